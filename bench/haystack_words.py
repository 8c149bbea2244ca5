"""The words that haystacks are made of: prose as sentences with gaps, what fills the gaps, and the phrases of code and logs.

Promises: data only; nothing here is taken from anywhere; no sentence speaks of the things that the latent questions of
`latent_pairs.py` ask about (`tests/null/test_bench_needles.py`): such a sentence would be an answer too.
Does not cover: putting them together (`haystack.py`).
"""

from __future__ import annotations

GAPS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split(","))
    for name, words in {
        "name": "Arlen,Bettina,Corvin,Dagny,Edric,Fenna,Gorm,Hedda,Ivo,Jorun,Kester,Lioba,Marek,Nell,Osric,Petra,Quirin,Runa,"
        "Sander,Tilda,Ulf,Verena,Wim,Xenia,Yorick,Zelma,Anselm,Brida,Caspar,Doreen,Emeric,Frida",
        "place": "Aldermoor,Birchwick,Cawdale,Dunmere,Eskby,Farrowgate,Gildersome,Harrowfen,Inverleigh,Juniper Row,Kelderby,"
        "Langstrand,Millbeck,Northam,Otterholt,Pellworth,Quarrington,Ravenscar,Saltby,Thornwick,Umberley,Vexford,Westerdale",
        "thing": "the fence,the gate,"
        "the ledger,the old wagon,the lamp post,the turnstile,the anvil,the north wall,the pump,the cart,"
        "the chimney,the boathouse,the signboard,the cellar door,the mill wheel,the well,the footpath,the hay loft,the bench",
        "plant": "beans,carrots,marigolds,leeks,currants,tomatoes,lettuces,onions,pears,plums,roses,cabbages,peas,thyme,sage",
        "quality": "narrow,broad,"
        "rusty,damp,heavy,crooked,bright,dusty,quiet,stubborn,pale,shallow,steep,worn,painted,hollow",
        "when": "in the spring,before noon,"
        "last autumn,after the rain,at dusk,on the second day,towards evening,that week,in March,"
        "during the thaw,late in August,at first light,within the hour,over the winter,on market day",
        "number": "two,three,four,five,six,seven,eight,nine,eleven,twelve,fourteen,sixteen,eighteen,twenty,thirty,forty",
        "wind": "a north wind,a light breeze,a westerly,dead calm,a hard squall,fog from the south,a steady swell,drizzle",
        "metal": "copper,zinc,nickel,lead,tin,brass,iron,bronze",
        "liquid": "brine,resin,vinegar,the solution,distilled water,lye,the sample,oil",
        "person": "the clerk,the mate,"
        "the gardener,a cousin,the carpenter,the assistant,the chair,an apprentice,the sexton,the smith",
        "feeling": "pleased,uneasy,tired,curious,hopeful,cross,relieved,silent,doubtful,amused",
        "part": "the valve,the bearing,"
        "the belt,the lower flange,the gasket,the filter,the shaft,the clamp,the spring,the coupling",
    }.items()
}

PROSE: dict[str, tuple[str, ...]] = {
    "minutes": (
        "{name} asked why {thing} in {place} had not been mended {when}.",
        "It was agreed by {number} votes that {thing} would be painted {when}.",
        "{person_} read a memorandum from {place} about the {quality} road and the cost of gravel.",
        "The motion of {name} to move {thing} was put off until more is known.",
        "{name} and {name2} were thanked for their work on {thing}.",
        "A sum of {number} hundred crowns was set aside so that {thing} at {place} can be rebuilt {when}.",
        "Nobody spoke against the plan, though {name} said that the {quality} ground might give way.",
    ),
    "voyage": (
        "We had {wind} {when}, and {name} took the first watch.",
        "{person_} counted {number} barrels in the hold and found one of them {quality}.",
        "Off {place} the water turned {quality}, and we sounded {number} fathoms.",
        "{name} mended a sail while {name2} told a story that left everybody {feeling}.",
        "With {wind} behind us we made {number} leagues {when}.",
        "The anchor held near {place}, but {person} was {feeling} and did not sleep.",
    ),
    "garden": (
        "The {plant} were sown {when} in the {quality} bed behind {thing}.",
        "{name} says that {plant} and {plant2} should never share a row.",
        "I cut back the {plant} and gave {number} baskets of them to {person}.",
        "Slugs came {when} and left nothing of the {plant} but {quality} stalks.",
        "Ash from the kitchen keeps the {plant} healthy, or so {name} believes.",
        "The ground near {place} is {quality}, which {plant} seem to like.",
    ),
    "manual": (
        "Loosen {part} by {number} turns before {part2} is taken off.",
        "If {part} feels {quality}, clean it with {liquid} and wait until it is dry.",
        "Never turn the crank while {part} is open or {part2} is missing.",
        "A {quality} sound from {part} means that it should be replaced {when}.",
        "Put {number} drops of oil on {part} and turn the handle slowly.",
        "Put the {metal} washers into the tray below {part}.",
    ),
    "tale": (
        "{name} walked past {thing} and felt {feeling} without knowing why.",
        "\"You were in {place} {when},\" said {name}, and {name2} only nodded.",
        "The house stood {quality} under the poplars, and {person} no longer came to it.",
        "When {name} opened the {quality} box, there were {number} buttons in it.",
        "All evening {name} listened to {thing} creaking.",
        "{name2} had been {feeling} ever since the {quality} autumn in {place}.",
    ),
    "laboratory": (
        "A strip of {metal} was left in {liquid} for {number} hours and became {quality}.",
        "The {metal} sample lost {number} grams {when}, more than the {metal2} one.",
        "We repeated the run with {liquid} in place of {liquid2}; the curve stayed {quality}.",
        "{name} recorded {number} readings {when} and left out the first of them.",
        "No trace of {metal} was found in {liquid}, even after it had been heated.",
        "The {quality} layer on the {metal} plate dissolved once {liquid} was added.",
    ),
}  # fmt: skip

# How most sentences go on, so that few of them come twice.
TAILS = (
    ", which {name} of {place} had feared {when}",
    ", and {number} of the {plant} from {place} were left to {name}",
    ", though {name} and {person} thought otherwise {when}",
    "; {name} noted it in {place} with a {quality} pencil",
    ", as {person} from {place} told {name}",
    ", so {name} went back to {place} for {number} more",
    ", because {thing} at {place} was too {quality} for {name}",
    "; by then {name} had already seen {thing} of {place}",
)

VERBS, NOUNS = (
    tuple(words.split(","))
    for words in (
        "load,parse,store,merge,count,render,flush,split,append,resolve,trim,verify,fetch,queue,encode,drop,sort,open",
        "buffer,row,index,page,token,header,stream,cache,record,frame,entry,cursor,batch,block,offset,table,handle,field",
    )
)
COMMENTS = (
    "The {noun} may be empty here, so the {noun2} is checked first.",
    "Callers must {verb} the {noun} before they {verb2} it.",
    "Returns the {noun}, or None when there was nothing to {verb}.",
    "Older versions did {verb} the {noun} twice; see the notes on the {noun2}.",
)
EVENTS = (
    "INFO worker-{a}: {verb} {noun} {b} took {c} ms",
    "DEBUG pool: {noun} {b} handed to worker-{a}, {c} waiting",
    "WARN {noun}: retry {a} of {verb} after {c} ms (id={b})",
    "INFO http: GET /{noun}/{b} 200 {c}",
    "ERROR {noun}: cannot {verb} {b}: timed out",
)
