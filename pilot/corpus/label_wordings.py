"""The table of wordings behind the skill `labels`: questions of six kinds by the answer they ask for.

One pattern of `phrases.say` a line, a line that starts with two spaces goes on with the one before; `{name}` is a list
of `LISTS`, a short form of `SHORT` or a slot of `pilot/corpus/labels.py`; all was written for this project.
Promises: for every label a part to learn from and a part held out; the held lines use no word that the other lines lack.
Does not cover: the values of the slots, marks and capitals, the date and user in front (`pilot/corpus/labels.py`).
"""

from pilot.corpus.intent_wordings import Wordings, wordings

# Nouns that decide the label wherever they are what is asked for.
LISTS: dict[str, str] = {
    "who_noun": "president,king,queen,author,singer,inventor,actor,actress,painter,leader,founder,captain,general,writer,"
    "poet,composer,director,scientist,explorer,astronaut,emperor,prime minister,mayor,governor,senator,coach,player,"
    "goalkeeper,boxer,dancer,musician,drummer,guitarist,philosopher,doctor,nurse,teacher,lawyer,judge,pilot,architect,"
    "man,woman,boy,girl,person,child,wife,husband,brother,sister,son,daughter,father,mother,uncle,prince,princess,pope,"
    "saint,spy,murderer,thief,criminal,hero,character,detective,comedian,journalist,designer,owner,winner,champion,"
    "team,band,company,group,tribe,family,club,party,organization,firm,baseball player,football team,tennis player,"
    "film star,rock band,businessman,millionaire,engineer,economist,chemist,physicist,sailor,soldier,outlaw,cartoonist,"
    "manufacturer,agency,baseball team,novelist,photographer,runner,swimmer,senator,dictator,cast,first lady",
    "where_noun": "city,country,state,river,mountain,lake,island,ocean,continent,capital,street,planet,desert,town,"
    "province,county,region,park,airport,village,sea,bay,valley,peninsula,volcano,waterfall,forest,canal,strait,harbour,"
    "port,nation,district,hill,cape,bridge,building,museum,castle,cave,beach,country,kingdom,colony,mountain range,"
    "capital city,u.s. state,european country,african nation,place,territory,republic,border town,hotel,stadium,canyon,"
    "avenue,square,location,hemisphere,galaxy,birthplace,address,headquarters,site,reef,swamp,peak",
    "what_noun": "animal,colour,color,food,language,sport,book,film,movie,song,disease,currency,plant,metal,instrument,"
    "game,product,car,word,letter,symbol,religion,vehicle,weapon,drink,award,war,holiday,drug,chemical,organ,"
    "newspaper,novel,ship,technique,bird,fish,insect,flower,fruit,vegetable,tree,gas,element,material,fabric,stone,"
    "gem,dish,cheese,spice,wine,beer,sauce,dance,play,opera,magazine,tv show,television series,comic strip,card game,"
    "board game,toy,tool,machine,computer,software,aircraft,airplane,train,rocket,satellite,boat,dog breed,mammal,"
    "snake,dinosaur,bone,muscle,vitamin,virus,illness,crop,oil,liquid,acid,mineral,battle,event,festival,prize,medal,"
    "flag,coin,treaty,law,theory,science,subject,painting,poem,musical,brand,cereal,soft drink,dessert,hobby,tax,"
    "medicine,substance,body part,eye color,shape,device,invention,nickname,title,crime,alphabet,tune,fear,creature",
    "count_noun": "population,height,length,distance,price,year,date,month,day,age,weight,speed,temperature,percentage,"
    "number,zip code,phone number,salary,size,depth,area,width,cost,boiling point,score,birthday,birth date,"
    "diameter,average age,average weight,life expectancy,speed limit,death toll,melting point,wage,income,tax rate,"
    "interest rate,fee,fare,frequency,telephone number,area code,altitude,elevation,circumference,radius,mileage,"
    "record time,duration,century,decade,hour,fine,average salary,gestation period,amount,total,budget,"
    "wavelength,voltage,minimum age,maximum speed,top speed,normal temperature,value,horsepower,ratio,odds,rate,"
    "density,mass,volume,calorie count,street number,room number,page count,expiry date,deadline",
    "why_noun": "reason,meaning,difference,origin,definition,purpose,history,effect,cause,story,function,process,"
    "nature,significance,importance,role,use,legend,advantage,disadvantage,benefit,danger,symptoms,idea,principle,"
    "method,concept,background,explanation,effects,causes,consequences,side effects,rules,steps,structure,theory behind,"
    "plot,moral,message,theme,job,procedure,recipe,secret,mechanism",
    "rank": "largest,oldest,tallest,smallest,longest,fastest,first,last,most famous,best,richest,biggest,most popular,"
    "most common,highest,deepest,youngest,newest,second largest,most expensive,only,next,worst,original,third,main",
    "of_place": "french,german,american,british,spanish,italian,japanese,chinese,russian,african,brazilian,english,"
    "indian,canadian,mexican,greek,irish,dutch,polish,european,asian,roman,egyptian,swedish,turkish,australian",
    "quality": "famous,small,big,old,new,red,white,black,rare,popular,strange,ancient,modern,wild,rich,early,former,young,"
    "holy,royal,secret,blue,dead,dangerous,little,cold,golden",
    "unit_noun": "miles,people,calories,teeth,bones,legs,days,hours,years,dollars,pounds,children,wives,islands,states,"
    "countries,moons,strings,players,cards,keys,letters,pages,songs,films,books,languages,students,soldiers,stars,feet,"
    "inches,gallons,ounces,grams,muscles,eggs,chromosomes,votes,seats,goals,points,members,copies,steps,cars,rooms,"
    "colors,medals,brothers,times,cities,rivers,bridges,schools,dogs,words,minutes,planets,wars,awards,cups",
    "measure": "far,old,big,tall,long,deep,fast,much,high,heavy,wide,hot,cold,often,large,late,thick,loud,expensive,soon,"
    "early,warm,rich,close,strong,small",
    "doing": "built,won,wrote,invented,discovered,painted,founded,killed,played,designed,directed,sang,owns,leads,created,"
    "bought,sold,ruled,married,defeated,recorded,produced,composed,developed,made,stole,coached,explored,robbed,"
    "portrayed,crossed,climbed,visited,started,named,assassinated,led,governed,starred in,fought,shot,wears,flew",
    "done": "born,built,found,made,held,buried,located,grown,invented,killed,discovered,published,married,signed,fought,"
    "founded,raised,filmed,produced,based,spoken,hidden,sold,shown,elected,executed,opened,played,introduced,written",
    "being": "found,made,used,called,grown,known,sold,eaten,seen,built,worn,produced,played,named,painted,formed,caught",
    "act": "fly,sleep,sing,dance,work,swim,grow,burn,freeze,fall,float,change colour,jump,die,move,glow,rise,sink,break,"
    "smell,hurt,shine,bark,purr,cry,snore,yawn,rust,melt,spin,itch,migrate,hibernate,sweat,fade,dream,turn red,laugh",
    "task": "make,clean,cook,repair,build,play,write,grow,train,catch,measure,open,paint,prevent,cure,treat,use,calculate,"
    "find,get,remove,stop,buy,sell,change,start,draw,tie,fix,store,wash,choose,raise,teach,copy,convert,register",
}
SHORT: dict[str, str] = {
    "is": "(is|was)",
    "wh": "(what|which)",
    "adj": "({of_place} |{quality} |{of_place} |||)",
    "the_rank": "the ({rank} |{quality} |{of_place} ||)",
    "near": "(in|of|near|from|on|outside|around) {place}",
    "ask": "(name|tell me|give|identify|do you know|can you name|i want to know|list)",
    # What follows the noun says little about the label, so that the noun must decide.
    "tail": "({is} {being} (in|near|by|for) {someone_or_place}|(comes|came) from {place}|(starts|"
    "ends) with the letter {letter}|"
    "(has|had) {the_rank} {thing}|{doing} {work}|(appears|appeared) in {work}|is {rank} {near}|became famous in {year}|"
    "(was|is) (mentioned|shown|seen) in {work}|gave {someone} (the|a) {thing}|(is|was) (nicknamed|known as|"
    "called) {nick}|"
    "belonged to {someone}|has no {thing}s|(lost|won|left|changed) in {year}|{someone} (liked|hated|saw|loved|lost|"
    "left) most)",
    "tails": "(are|were) {being} (in|near|by|for) {someone_or_place}|(come|came) from {place}|(start|"
    "end) with the letter {letter}|"
    "(have|had) {the_rank} {thing}|{doing} {work}|(appear|appeared) in {work}|became famous in {year}|(lost|won|left|"
    "changed) in {year}|"
    "(were|are) (mentioned|shown|seen) in {work}|gave {someone} (the|a) {thing}|(are|were) (nicknamed|known as|"
    "called) {nick}|"
    "belonged to {someone}|have no {thing}s",
    "etail": "({tail}|{tail}|(eats|likes|has|lost|needs|contains) (the most |no |{quality} |){thing}s|is (spoken|"
    "used|played|eaten|grown) in {place}|"
    "(lives|grows|sleeps|swims) in the (sea|forest|desert|north|river|house|mountains)|is made (from|of|with) {food}|"
    "costs the most|"
    "has (two|four|six|eight|long|short|no) (legs|eyes|wings|letters|strings|wheels|leaves)|tastes {quality}|"
    "can {act}|(was|is) named after {someone})",
    "ptail": "({tail}|{tail}|(was born|lived|died|worked|sang|played|fought) in {place}|married {someone}|"
    "wrote about {topic}|"
    "(won|lost) the {thing} in {year}|(was|became) the {rank} {who_noun} (of|in) {place}|killed {someone}|"
    "taught {someone}|can {act}|"
    "played the {who_noun} in {work}|sailed to {place}|ruled {place}|said that {things} {act}|said he would {act})",
    "wtail": "({tail}|{tail}|(borders|lies near|is near|joins|faces|separates) {place}|has the (most {things}|"
    "{rank} {count_noun}|{rank} {where_noun})|"
    "(flows|runs) (through|into) {place}|was (founded|visited|ruled|destroyed) by {someone}|lies (north|south|east|"
    "west) of {place}|"
    "(hosted|held) the {thing} in {year}|is home to {someone}|{someone} (lives|lived|died|was born) in|"
    "produces the most {things})",
    "after": "(in {place}|of {place}|in {work}|for {someone}|of {someone}|in {year}|in the world|of all time|"
    "near {place}|"
    "in {the_rank} {thing}|on earth|by {someone}|from {place}|of the {thing}|in history|{doing} by {someone}|)",
    "subject": "({someone}|the {thing}|{place}|{work}|a {animal}|the {word}|the {animal}|a {thing}|a {word})",
    "plural": "({animal}s|{thing}s|the {animal}s|{word}s|the {proper}s|{of_place} people|children|{things})",
    "things": "({animal}s|{thing}s|people|cats|{word}s|{of_place} people|children|stars|leaves|clouds|{food})",
    "idea": "(a {word}|{word}|a {animal}|the {word} {thing}|{word} disease|{of_place} {word}|a {thing}|"
    "the {word} effect|"
    "{topic}|a {word} {thing}|a {what_noun}|a {who_noun}|a {where_noun}|a {count_noun}|the {word} theory|"
    "{word} music|a {quality} {thing}|{topic})",
}

LABELS: dict[str, Wordings] = {
    "abbreviation": wordings(
        """
what (does|did|do) {letters} stand for( in {topic}| on {thing}s| in {word} talk|)?
what (does|did) the (abbreviation|acronym|letters|initials|short form) {letters} (stand
  for|mean|represent|abbreviate)?
what (does|did) the {letters} (stand for|mean) in (the name |){someone}?
what do the (letters|initials) {letters} (stand for|mean|represent)( in {topic}| on a {thing}|)?
what {is} the (abbreviation|acronym|short form|short name|initials|letters) (for|of|used for) {long_name}?
what (is|are) the (abbreviation|initials|letters) (that stand|that stands|standing) for {long_name}?
what (is|was) {letters} (short for|an abbreviation for|an abbreviation of|an acronym for|the abbreviation for|the
  acronym of)?
what is the (full|long|complete|whole|expanded) (form|name|version|meaning) of {letters}?
{letters} (is short for|stands for|is an abbreviation of|is an acronym for|is the abbreviation of) what?
{letters} (stands for|is short for) (which|what) (words|word|name|phrase)?
(which|what) (words|phrase|full name|name) (do|did) (the letters|the initials) {letters} (stand
  for|abbreviate|represent)?
how (do you|do people|does one|can i) (abbreviate|shorten) {long_name}?
how (is|was) {long_name} (abbreviated|shortened)( in letters| in {topic}|)?
(spell out|expand|write out|give the full form of) (the abbreviation |the acronym |the letters |){letters}
(give|tell me|name|find) the (abbreviation|acronym|short form|initials) (of|for) {long_name}
(tell me|do you know) what (the letters |the acronym |){letters} (stands for|stand for|is short for)
(which|what) (abbreviation|acronym|letters) (is|are) used for {long_name}?
(which|what) (abbreviation|acronym|initials) (stands|stand) for {long_name}?
(which|what) letters (stand for|abbreviate|are short for|represent) {long_name}?
in {topic}, what (does|do) (the letters |the abbreviation |){letters} (stand for|represent|mean)?
when (people|they|{of_place} people) (write|say) {letters}, what does it (stand for|abbreviate)?
what words are (abbreviated|shortened) (as|to) {letters}?
the (letters|initials|acronym) {letters} (stand|stands) for what?
what is {letters} an (abbreviation|acronym) (of|for)?
""",
        """
in the name {someone}, what do the initials {letters} stand for?
{long_name} is abbreviated how?
tell me the words that the letters {letters} represent
which phrase is shortened to {letters}?
the acronym {letters} is short for what name?
expand the initials {letters} used in {topic}
do you know the short form of {long_name}?
what is the complete phrase abbreviated as {letters}?
if people say {letters} in {topic}, what does it stand for?
what abbreviation do {of_place} people write for {long_name}?
""",
    ),
    "entity": wordings(
        """
{wh} {adj} {what_noun} {etail}?
{wh} {adj} {what_noun} {etail}?
what {is} {the_rank} {what_noun} {after}?
what {is} the name of (the|a|an) {adj} {what_noun} (that|which) {etail}?
what {is} (the name of |){someone}'s ({quality} |favourite |first |){what_noun}( called| named|)?
name (the|a|an|one) {adj} {what_noun} (that|which) {etail}
{ask} {the_rank} {what_noun} {after}
(what|which) (kind|type|sort|breed|class|variety|make) of {adj} {what_noun} {etail}?
(what|which) (kind|type|sort|breed|variety|make) of (thing|stuff|{what_noun}|{animal}|{thing}) ((is|was)
  {subject}|(are|were) {plural})?
(what|which) {what_noun} (is|was|are|were) {being} (by|in|near|for) {someone_or_place}?
(what|which) {what_noun} (does|did) {someone} (use|eat|like|play|wear|speak|drive|own|hate|carry|win|drink|study)?
(what|which) {what_noun} (do|does|did) {of_place} people (use|eat|like|play|wear|speak|drive|celebrate|drink|study)?
in (what|which) {what_noun} (does|did) {subject} (appear|play|win|die)?
in (what|which) {what_noun} (is|was) {subject} (found|used|mentioned|{being})?
which of (these|the) {what_noun}s {etail}?
what (does|did) {someone_or_animal} (eat|drink|wear|use|play|sell|collect|drive|carry|speak|smell like)?
what ((is|was) {subject}|(are|were) {plural}) (made of|made from|composed of|covered with|filled with)?
what (is|was) {someone} (allergic to|famous for playing|afraid of|wearing|holding|riding)?
what (is|was) (used|needed|added|eaten|burned|worn) to (make|cure|clean|measure|cover|cook) {things}?
what (is|are|do you call|do they call|is another name for|is another word for|is the word for|is the term for) (a
  {quality} {thing}|a group of {animal}s| fear of {things}|a {quality} {animal}|the sound of a {animal}|a young
  {animal})( called|)?
what (color|colour) ((is|was) {subject}|(are|were) {plural})?
what (language|religion|currency|sport|food|dish) (is|was) (spoken|used|played|eaten|found|{being}) in {place}?
what (language|sport|food|dish|game|instrument|currency) do (they|people) (speak|use|play|eat|learn) in {place}?
what (book|film|song|novel|play|poem|movie) (did|does) {someone} (write|direct|sing|make|record|star in|publish)(
  in {year}|)?
what (book|film|song|novel|play|poem|movie) (made|makes) {someone} famous?
what {what_noun}s (are|were) (there |){being} (in|by) {someone_or_place}?
(of the|among the) {what_noun}s {near}, which (is|was) the {rank}?
(name|list) (some|two|three|a few|all the|the) {adj} {what_noun}s {after}
(what|which) (two|three|four|seven) {what_noun}s {tails}?
what (animal|bird|fish|insect|mammal|creature) (lays|has|eats|lives|sleeps|builds|lost|makes) (in |the {rank}
  |){thing}s?
what (did|does) {someone} (invent|discover|win|steal|paint|write|buy|sell|compose)( in {year}| in {place}|)?
what {is} {someone}'s (occupation|profession|religion|hobby|native language|nationality|favourite {what_noun})?
""",
        """
the {what_noun} that {etail} has what name?
do you know which {adj} {what_noun} {etail}?
{someone} {doing} which {what_noun} in {year}?
by {year}, what {of_place} {what_noun} {etail}?
name one kind of {what_noun} that {etail}
to make {things}, what {what_noun} do people use?
tell me the name of the {rank} {what_noun} {near}
what was the {rank} {what_noun} that {someone} {doing}?
of all {what_noun}s, which one {etail}?
on {thing}s, what type of {what_noun} is used?
in {place}, which {what_noun} {etail}?
""",
    ),
    "description": wordings(
        """
why (does|did|doesn't|can't) {subject} {act}?
why (do|did|don't|can't) {plural} {act}?
why (is|was) {subject} (so {quality}|{being} in {place}|{quality})?
why (are|were) {plural} (so {quality}|{being} in {place}|{quality})?
why (do|did|don't|can) {things} {act}?
why ((is|was) {subject}|(are|were) {plural}) ({quality}|so {quality}|{being} {near}|called {nick}|named
  {nick}|important|{done} in {year})?
why did {someone} (leave|write|kill|join|sell|build|lose|win|paint|invade|refuse|resign|{act}) ({work}|{place}|the
  {thing}|in {year})?
how (do|does|did|can) {things} {act}?
how ((does|did) {subject}|(do|did) {plural}) ({act}|work|begin|start|get its name|get the name {nick}|die|become
  famous|end|become {quality})?
how (do|can|should|would|could) (you|i|one|we|people) {task} (a|the|your|my) ({quality} |){thing}( {near}| at home|)?
how (do|can|should|would|could) (you|i|one|we|people) {task} {things}( {near}| at home|)?
how ((is|was) {subject}|(are|were) {plural}) ({being}|{done}|made|formed|used|different from {subject}|related to
  {subject}|chosen)?
what (is|was) {idea}?
what (is|was) {idea}?
what is {idea} (in {topic}|exactly|all about)?
what (is|was) {the_rank} {why_noun} (of|behind|for|in) {subject_or_idea}?
what (is|are|was|were) the {why_noun} (of|behind|for) {subject_or_idea}?
what (is|are) the (difference|differences|similarities|relation|connection) between {idea} and {idea}?
what (causes|caused|triggers) {things} to {act}?
what (makes|made) {things} {act}?
what (causes|caused|triggers) {idea}?
what (happens|happened) (to|with) {subject}( after {year}| in {year}|)?
what happens (when|if) {plural} {act}?
what (does|did) {subject} (do|mean|look like|feel like|think of {subject}|say about {subject}|taste like|believe in)?
what does (it mean|the word {word} mean|the phrase {word} {word} mean|the term {word} mean|{word} mean|a {word}
  do)( in {topic}|)?
what (do|did) {things} (do|think|say|mean|believe) (about|with|when|to) {subject}?
(define|describe|explain) {subject_or_idea}
(describe|explain|tell me) (how|why) {things} {act}
(describe|explain|tell me about) the {why_noun} (of|behind) {subject_or_idea}
what is {someone} (famous|known|best known|remembered|noted) for?
what (are|were) (some|the|the main) (ways|reasons|methods|effects|causes|advantages|rules|symptoms|uses) (of|for|to
  {task}) {subject_or_idea}?
what {is} (meant by|known about|so special about|wrong with|the matter with|the point of|the big deal about|bad
  about|good about) {subject_or_idea}?
what kind of {why_noun} (is|was) behind {subject_or_idea}?
in what way (is|was) {subject} ({quality}|different|important)?
in what way (do|did) {plural} ({act}|change|differ)?
for what reason (is|was) {subject} ({quality}|{being} {near})?
for what reason (do|did) {plural} {act}?
(what|which) (steps|method|way|process) (is|are|should be) (used|taken|needed) to {task} {things}?
how come {things} {act}?
where (does|did) the (word|name|term|phrase|saying) {word} (come from|originate)?
what (is|was) it like to (be {quality}|live in {place}|{act}|{task} {things})?
can you (explain|describe) (what {idea} is|why {things} {act}|how {things} {act}|how to {task} {things})?
""",
        """
please explain what makes {things} {act}
what reason did {someone} have to leave {place}?
how did {idea} get started?
tell me what {idea} is
in {topic}, what is meant by {idea}?
what exactly happens if {things} {act}?
is there a reason why {things} {act}?
how would one explain {subject_or_idea}?
so what does {idea} look like?
what are the main {why_noun} and the effects of {idea}?
what did {someone} mean by {idea}?
what is the best way to {task} {things} at home?
""",
    ),
    "person": wordings(
        """
who {doing} {work}?
who {doing} {the_rank} {thing}( in {year}| in {place}|)?
who (is|was) {someone}?
who (is|was) {the_rank} {who_noun} {after}?
who (is|was) {the_rank} {who_noun} (that|who) {ptail}?
who (was|is|were) (the|a) {who_noun} (of|in|for) ({work}|{place}|{someone}|{year})?
who (did|does|can|could|would|will|should) {someone} (marry|kill|love|play for|work
  for|meet|defeat|succeed|call|vote for|admire)( in {year}|)?
who (lives|lived|works|died|sleeps|ruled|lost|sang|danced|fought|appeared|won) (in|at|near) ({place}|{work}|the
  {thing})?
who (said|wrote|shouted|sang|once said) (that {things} {act}|{work})?
who (was|is|were) {done} (in|by|near|on) ({place}|{year}|{someone})?
{wh} {adj} {who_noun} {ptail}?
{wh} {adj} {who_noun} {ptail}?
what {who_noun} (is|was) {being} (for|in|by|near) ({work}|{place})?
{wh} {is} {the_rank} {who_noun} {after}?
what {is} the name of (the|a|an) {adj} {who_noun} (that|who) {ptail}?
{wh} {is} {someone}'s ({quality} |first |real |){who_noun}( called| named|)?
what (is|was) {someone}'s (real|full|maiden|first|stage|birth|last) name?
what (is|was) the (real|full|maiden|first|stage|birth|last) name of (the {who_noun}|{someone}|the {who_noun} who
  {ptail})?
(name|identify|list) (the|a|an|one) {adj} {who_noun} (that|who) {ptail}
{ask} {the_rank} {who_noun} {after}
(name|list) (some|two|three|a few|all the|the) {adj} {who_noun}s {after}
(to|for|by|with|against) (whom|which {who_noun}|what {who_noun}) (did|was|is|does) ({work}|{someone}|the {thing})
  (play|{being}|{done}|lose|marry|written)?
whose (idea|{thing}|{animal}|house|face|wife|{what_noun}) (was|is) (it|{being}|{quality}|{done}|in {work}|that)?
(what|which) (two|three) {who_noun}s {tails}?
in {year}, who {doing} {the_rank} {thing}?
in {work}, who (is|was|plays|played) (the {who_noun}|{someone})?
(do you know|tell me|i want to know) who ({doing} {work}|{ptail})
what (kind|type|sort) of (people {tails}|{who_noun} {ptail})?
what {who_noun}s (are|were) {being} in {place}?
who else {doing} ({work}|the {thing})?
who (invented|discovered|made|founded) (the |){idea_plain}?
""",
        """
the {who_noun} that {ptail} has what name?
do you know which {adj} {who_noun} {ptail}?
{work} was {done} by whom?
by {year}, what {of_place} {who_noun} {ptail}?
whose {who_noun} was {someone}?
tell me the name of the {rank} {who_noun} {near}
of all {who_noun}s, which one {ptail}?
who, in {year}, was the {who_noun} of {place}?
{work} was played by which {who_noun}?
in {place}, which {who_noun} {ptail}?
who first {doing} {work} in {place}?
""",
    ),
    "place": wordings(
        """
where ((is|was) {subject}|(are|were) {plural})( located| {done}| {being}| now|)?
where ((is|was) {subject}|(are|were) {plural}) {done}( in {year}|)?
where (does|did|can|could) {someone} (live|work|die|go|come from|grow up|{act}|play|study|get married|sleep)( in
  {year}|)?
where (do|can|could|should|would) (i|you|people|{things}|we|one) (find|buy|see|get|live|go|{act}|study|watch) (the
  {thing}|{things}|{work}|in winter)?
where in {place} ((is|was) {subject}|(are|were) {plural})( located| {done}|)?
where (on|in) (earth|the world|the body|{place}) (is|was|can you find) {subject}?
where (on|in) (earth|the world|{place}) do {plural} (live|{act})?
{wh} {adj} {where_noun} {wtail}?
{wh} {adj} {where_noun} {wtail}?
{wh} {adj} {where_noun} (borders|lies near|lies between|is home to|hosted|covers|contains|exports|produces|flows
  through|is north of|is south of) {place_or_thing}?
{wh} {adj} {where_noun} (has|had) (the {rank} {what_noun}|the {rank} {count_noun}|the most {things}|no {thing}s|a
  {quality} {thing})?
what {is} {the_rank} {where_noun} {after}?
what {is} the name of (the|a|an) {adj} {where_noun} (that|which) {wtail}?
what (is|was) the (capital|capital city|birthplace|location|address|{rank} {where_noun}|headquarters) of
  {place_or_thing}?
what (is|was) {someone}'s (birthplace|address|home town|home country|native country|city of birth)?
what are the (two|three|four|{rank}) {where_noun}s {near}?
(in|on|near|from|at|along) (what|which) {adj} {where_noun} ((is|was) {subject}|(are|were) {plural})
  ({done}|located|{being})?
(in|on|near|from|to|through|along) (what|which) {adj} {where_noun} ((does|did|can) {subject}|(do|can) {plural})
  (live|go|{act}|die|flow|sleep)?
(in|on|near|from|at) (what|which) {where_noun} (would|can|could|do|did) (you|i|people|one)
  (find|see|buy|visit|live|meet) ({things}|{work}|{someone}|the {thing})?
(name|identify|list) (the|a|an|one) {adj} {where_noun} (that|which) {wtail}
{ask} {the_rank} {where_noun} {after}
(name|list) (some|two|three|a few|all the|the) {adj} {where_noun}s {after}
(what|which) (two|three|four) {where_noun}s {tails}?
{someone} was (born|buried|raised|married|killed) (in|on|near) (what|which) {where_noun}?
(what|which) {where_noun}s (are|is) {being} (in|by|near) {place}?
(what|which) {where_noun} (is|was) {someone} (from|born in|buried in|living in|king of|president of)?
(do you know|tell me|i want to know) where ({subject} is|{someone} (lives|was born|died|comes from))
(what|which) (is|was) the {rank} {where_noun} that {wtail}?
what {where_noun} (did|does) {someone} (live in|come from|visit|rule|represent|die in|play in)?
what {where_noun}'s {what_noun} (is|was) {being} in {year}?
(what|which) (part|area|side|corner) of {place} (is|was) ({quality}|{being}|{rank})?
where did {someone} {task} (the {thing}|{things})?
""",
        """
the {where_noun} that {wtail} has what name?
do you know which {adj} {where_noun} {wtail}?
{subject} is located near what {where_noun}?
by {year}, what {of_place} {where_noun} {wtail}?
tell me the name of the {rank} {where_noun} {near}
of all {where_noun}s, which one {wtail}?
where exactly could people see {work}?
to what {where_noun} did {someone} go in {year}?
people find {things} in which {where_noun}?
in {place}, which {where_noun} {wtail}?
where would i go to buy {things}?
""",
    ),
    "number": wordings(
        """
how many {unit_noun} (are|were) (there |){near}?
how many {unit_noun} (are|were) (there |)(in|on|to|of) (a {thing}|the {thing}|{work}|a {animal}|the {word})?
how many {unit_noun} ((does|did|can) {subject}|(do|did|can) {plural}) (have|win|lose|need|eat|make|own|sell|write)(
  in {year}| a day| each year|)?
how many {unit_noun} {tails}?
how many {adj} {who_noun}s {tails}?
how many {adj} {what_noun}s {tails}?
how many {adj} {where_noun}s {tails}?
how {measure} ((is|was) {subject}|(are|were) {plural})( {near}| in {year}|)?
how {measure} (is|was) {the_rank} {thing}( {near}|)?
how {measure} ((does|did|can|could|should|must|will) {subject}|(do|did|can|could|should|must|will) {plural})
  ({act}|live|cost|weigh|take|run|last|get)?
how {measure} (is|was) (it|the distance|the way) (from {place} |)to {place}?
how {measure} (do|can|must|should) (i|you|we|people) ({task} {things}|{act}|{task} a {thing})?
how much (does|did|will) {subject} (cost|weigh|earn|pay|eat)( in {year}|)?
how much (is|was) {subject} (worth|sold for)( in {year}|)?
how much (money|water|{food}|time|space|salt|energy|sleep) (does|did) {subject} (need|have|lose|make|use)?
how much (money|water|{food}|time|space|salt|energy|sleep) (is|was) there {near}?
when ((is|was) {subject}|(are|were) {plural}) ({done}|{being}|over|due)( in {place}|)?
when ((did|does|will) {subject}|(did|do|will) {plural}) ({act}|begin|start|end|die|open|leave {place}|become
  {quality}|win|get married|retire)?
when (is|was) {the_rank} {thing} ({done}|{being})?
when (is|was) ({someone}'s|the) (birthday|wedding|{rank} {what_noun}|{rank} {who_noun})( {done}|)?
what {is} {the_rank} {count_noun} (of|for|in) ({subject}|{place}|{things}|{the_rank} {where_noun}|{the_rank}
  {what_noun}|{the_rank} {who_noun})?
what {is} {the_rank} {count_noun} (of|for|in) ({subject}|{place}|{things})?
what {is} {someone_or_place}'s ({rank} |){count_noun}?
{wh} (year|month|day|date|century|decade|hour|day of the week|weekday) (did|does) {subject}
  ({act}|begin|end|die|win|fall on)?
{wh} (year|month|day|date|century|decade|weekday) ((is|was) {subject}|were {plural}) ({done}|{being})?
what (does|did|would|will) {subject} (cost|weigh|measure)( now| today| in {year}|)?
(in|on|at|by|during|since|until) (what|which) (year|month|day|date|century|decade|hour|age|time) (did|does)
  {subject} ({act}|begin|end|die|win|live)?
(in|on|at|by|during|since) (what|which) (year|month|day|date|century|decade|time) ((is|was) {subject}|were
  {plural}) ({done}|{being})?
(at|to) what (temperature|speed|age|height|depth|time|price|angle) ((does|did|can|should) {subject}|(do|can|should)
  {plural}) ({act}|boil|freeze|cook|sell)?
at what (temperature|speed|age|height|price) (is|was) {subject} ({being}|{done})?
what (percentage|percent|fraction|number|amount|share) of ({things}|people|{animal}s|{adj} {who_noun}s) ({act}|are
  {quality}|{tails}|are {being})?
what (time|date|year|day) (is|was|did) ({the_rank} {thing}|{someone}'s {thing}) ({done}|begin|over|{being}|end|open)?
(name|tell me|give|state|find) the {count_noun} of ({subject}|{place}|{the_rank} {thing})
(do you know|tell me|i want to know) (how many {unit_noun} {tails}|when {someone} (died|left|won|was born)|how
  {measure} {subject} is)
(the|a) {count_noun} of {subject} is (what|how much)?
what (are|were) the (odds|chances|dates|dimensions|ages|numbers|hours|prices) (of|for) {subject}?
what is the (average|normal|total|minimum|maximum|exact|current) {count_noun} (of|for|in)
  ({subject}|{place}|{things})?
(what|how much) (is|was) (the|a) {thing} (worth|in dollars|going to cost|sold for)( in {year}|)?
(for|after|within) how many (days|years|hours|minutes|months|weeks) (did|does) {subject} ({act}|last|run)?
what (debts|profits|losses|costs|wages|taxes) (did|does) {someone} (have|make|leave|pay)?
""",
        """
do you know how many {unit_noun} {tails}?
{subject} was {done} in what year?
in {place}, how {measure} is {the_rank} {thing}?
tell me what the {count_noun} of {subject} is
since which year is {subject} {being} in {place}?
by {year}, how many {unit_noun} were there {near}?
what would the {count_noun} of {subject} be?
until what age did {someone} live?
of all {unit_noun} in {place}, how many are {quality}?
when exactly did {someone} leave {place}?
the {thing} of {someone} costs how much?
what is the {count_noun} for {adj} {who_noun}s in {place}?
""",
    ),
}
