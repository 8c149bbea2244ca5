"""A hundred pairs of a question and a sentence that answers it without one content word in common.

Promises: data only, written for this benchmark; that no pair shares a word, whatever its ending, is a test
(`tests/null/test_bench_needles.py`).
Does not cover: questions that need two sentences.
"""

from __future__ import annotations

# question | sentence
_PAIRS = """
Which medicine did the doctor give to the sick child?|The physician treated the feverish toddler with penicillin.
What pet does the teacher own?|Our schoolmaster keeps a hedgehog in his study.
How do I get to work when it snows?|During blizzards the commute to the office is done on skis.
Where did the thief hide the jewels?|The burglar concealed her diamonds beneath the floorboards.
Who won the running race?|Hilde crossed the finish line of the marathon ahead of everyone.
What does the baby eat in the morning?|For breakfast the infant gets mashed bananas.
Which vehicle broke down on the motorway?|A lorry with a smoking engine blocked the highway for hours.
Why was the plane late?|The flight departed behind schedule because ice covered its wings.
What is the king afraid of?|His Majesty is terrified by spiders.
How did the fire begin?|The blaze was started by a candle that fell onto a curtain.
What instrument does the musician play?|She is a professional cellist in an orchestra.
Which drink keeps the students awake?|Undergraduates rely on strong coffee while revising late at night.
What colour is the bride's clothing?|At her wedding she wore a crimson gown.
Where do the monks sleep?|The friars spend the night in unheated cells under the chapel.
How much money does a ticket cost?|The price of admission is nine euros.
Which illness killed the emperor?|The ruler of the realm died from smallpox.
What sport do the twins like?|Both brothers are passionate about volleyball.
Who repaired the automobile?|A mechanic called Otto fixed her car within an afternoon.
What did the explorers find in the cave?|Deep in the grotto, the expedition discovered prehistoric paintings.
What is kept in the attic?|Up under the roof there are crates full of Christmas decorations.
Which animal frightened the campers?|A grizzly bear scared the people staying in tents.
What job does her husband have?|She is married to a plumber.
When does the shop close?|The store shuts its doors at seven in the evening.
What was the present for grandmother?|Granny received a pair of woollen slippers as a gift.
How do farmers protect crops from birds?|Scarecrows keep pigeons away from the wheat fields.
Which language is spoken on the island?|The inhabitants of the archipelago talk to each other in Portuguese.
What did the lawyer forget?|The attorney left his briefcase at home on the day of the trial.
Where was the ship going?|The vessel was bound for Valparaiso with a cargo of timber.
Why did the team lose?|They were defeated since their goalkeeper had injured his wrist.
Which food makes the boy ill?|The lad is allergic to peanuts and comes out in a rash.
What does the machine produce?|The factory robot makes plastic bottle caps.
How old is the tree?|That oak has been growing for three centuries.
What is wrong with the computer?|The laptop has a faulty keyboard.
Who built the cathedral?|Stonemasons from Burgundy erected the great church.
What is the dog's favourite toy?|The puppy loves to chew a squeaky rubber duck.
Where can one swim in summer?|In July bathing is allowed in the lake behind the quarry.
Which book is the girl reading?|She is halfway through a novel about pirates.
How do the prisoners talk to each other?|The inmates communicate by tapping on water pipes.
What did the queen wear on her head?|A tiara of sapphires adorned the hair of the monarch.
What does the poor man sell?|A beggar earns a few pennies by offering matches to passers-by.
Why is the street closed?|The road is blocked as workers are laying new sewers.
Which planet did the astronomer observe?|Through the telescope the stargazer studied Saturn.
What happened to the old bridge?|Floods swept away the ancient crossing over the river.
What is the painter famous for?|The artist became renowned thanks to his portraits of fishermen.
How does the hotel heat its rooms?|Guests of the inn are kept warm by a geothermal pump.
Who teaches the children maths?|Mister Novak gives arithmetic lessons to the pupils.
What did they eat at the party?|Roast goose was served at the celebration.
Where does the secret agent live?|The spy has a flat in a suburb of Lisbon.
What damaged the roof?|Hailstones smashed dozens of tiles on top of the house.
How often must the patient take pills?|The sick woman swallows a tablet every four hours.
Which insect destroyed the harvest?|Locusts devoured all the grain before it could be reaped.
What is the cook making for supper?|Tonight the chef prepares mushroom soup for dinner.
Why did the singer cancel the concert?|The performance was called off because the soprano had lost her voice.
What does the miner dig for?|Underground he searches for silver ore.
Who wrote the letter?|The author of the note was a widow from Graz.
What hobby does the judge have?|In his leisure time the magistrate collects butterflies.
Where are the keys?|Whatever unlocks the front door hangs on a nail by the fridge.
How did the soldier get hurt?|Shrapnel wounded the infantryman in the leg.
What does the bakery sell on Sundays?|Cinnamon rolls are offered at weekends where bread is made.
Which part of the body hurts him?|His left shoulder aches whenever he lifts an arm.
What kind of weather ruined the holiday?|Endless rain spoiled our vacation.
What are the windows made of?|The panes consist of bulletproof glass.
How fast can the horse run?|The stallion gallops at seventy kilometres an hour.
Which city will host the games?|The Olympics are going to be held in Brisbane.
What did the customs officers take away?|Border guards confiscated a suitcase stuffed with cigars.
Who looks after the cat when the family is away?|A neighbour feeds our tabby while we are travelling.
What caused the power cut?|The blackout was due to a squirrel in the transformer.
Where did the couple first meet?|The lovers got to know one another in a laundrette.
What is the best remedy for a cough?|Thyme tea with honey soothes a sore throat most effectively.
Why was the employee dismissed?|The clerk was sacked for stealing stamps from the company.
What do the villagers believe about the hill?|Local folk are convinced that the mound is haunted by a ghost.
What does the scientist study?|The researcher investigates how jellyfish glow.
Which fruit grows in the garden?|Apricots ripen on the trellis in our yard.
How is the cheese stored?|Wheels of Gouda are kept on pine shelves in a cool vault.
What broke the silence?|The quiet was interrupted by a ringing telephone.
What did the boss promise the staff?|The manager assured the workforce of a longer lunch break.
Where is the treasure buried?|The chest of gold lies beneath a palm on the beach.
Who is the youngest member of the crew?|The cabin boy, at fifteen, is junior to all other sailors.
What do tourists buy as a souvenir?|Visitors like to carry home little wooden windmills.
How did the detective solve the murder?|The inspector caught the killer thanks to a footprint in the mud.
What fuel does the stove burn?|The oven is fired with dried peat.
Which meal is the most expensive on the menu?|Lobster costs more than any other dish in this restaurant.
What makes the soil fertile?|Compost enriches the earth so that plants thrive.
Why do the neighbours quarrel?|The people next door argue over a barking terrier.
What was the politician accused of?|The senator was charged with taking bribes.
What does the toddler call the moon?|In the little one's speech the lunar disc is named lamp.
How do you clean the silver spoons?|Tarnished cutlery is polished using toothpaste.
What job did the actor do before he became famous?|Prior to his career on stage, the film star drove a taxi.
Which disease do mosquitoes spread here?|In this region biting gnats transmit malaria.
What is on the roof of the school?|The college has solar panels on top.
How does the blind man find his way?|Being unable to see, he is led around by a Labrador.
What is the punishment for parking here?|Whoever leaves a car in this spot pays a fine of fifty dollars.
What did the archaeologists dig up?|Excavations brought a bronze helmet to light.
Where do the fishermen sell what they catch?|Cod and herring are auctioned by trawler owners at the harbour hall.
What scares the little girl at night?|After dark the small daughter fears thunder.
How was the message sent?|The telegram travelled by carrier pigeon.
What is the cheapest way to travel to the capital?|Taking the coach costs less than any other journey to Vienna.
What does the widow do every Friday?|Once a week the bereaved lady puts tulips on a grave.
Which tool is needed to open the crate?|One must pry the lid of that box with a crowbar.
What noise does the old refrigerator make?|The ancient fridge hums like a swarm of bees.
"""
PAIRS: tuple[tuple[str, str], ...] = tuple(
    (question, sentence) for question, _, sentence in (line.partition("|") for line in _PAIRS.strip().split("\n"))
)
