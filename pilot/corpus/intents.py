"""The skill `intents`: under the fixture's system message, the name of the intent of what a person types.

Promises: the 24 names and the system message are those of `fixtures/intents.json`; the wordings and values of the trials are
in no document. Topics and belongings are shared between intents, so that the words around them must decide.
Does not cover: the wordings (`intent_wordings.py`, `intent_wordings_machine.py`), what the agent does with an intent.
"""

import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pilot.corpus import words
from pilot.corpus.intent_wordings import SHORT, TALK, Wordings
from pilot.corpus.intent_wordings_machine import MACHINE
from pilot.corpus.phrases import rough, say
from pilot.corpus.skill import Ask, Mark
from pilot.dialogue import Dialogue, Turn, pilot, user

FIXTURE = json.loads((Path(__file__).parents[2] / "fixtures" / "intents.json").read_text("utf-8"))
PROMPT: str = FIXTURE["prompt"]
NAMES: tuple[str, ...] = tuple(entry["name"] for entry in FIXTURE["intents"])
INTENTS: dict[str, Wordings] = {**TALK, **MACHINE}

GOALS: dict[str, tuple[str, float]] = {"intents_pct": (">=", 95)}
TRIALS = 720

WIDE = (
    "small_talk",
    "about_itself",
    "refuse",
    "system_status",
    "tell_time",
)  # many words and few slots: read twice as often

# Values made of known words: which combinations are held out is decided by `words.is_held`.
COMBINED = {
    "subject_matter": "(the |our |)(refund|holiday|parking|safety|delivery|heating|travel|cleaning|payment|overtime|"
    "insurance|visitor|backup|password|summer|office|kitchen|garden|school|energy|privacy|meeting|training|customer|"
    "fire|laptop|gift|sick leave|return|warranty|billing|hiring|pet) (policy|rules|plan|costs|times|process|limits|"
    "schedule|form|steps|terms|hours|budget|prices|period|fees|checks|results|figures|problem)",
    "benign": "(bake|cook|make|prepare|order|freeze) (bread|soup|a cake|pizza|rice|dumplings|pancakes|jam|tea|pasta)"
    "|(repair|clean|build|paint|fix|sell|buy|choose|open|fold|move) (a|my|the) {thing}"
    "|(learn|teach|speak|practise) (French|German|chess|the piano|the guitar|swimming|yoga|Spanish|maths)"
    "|(book|cancel|order|change|pay for) (a|the|my) (flight|ticket|meeting|room|hotel|visa|parcel|table|password)"
    "|(grow|plant|water) (roses|tomatoes|beans|trees|herbs|grass)",
    "harm": "(break|sneak|get) into (a bank|the house of {victim}|a locked car|an office|a museum|a school|a shop)"
    "|(steal|swipe|grab) (a car|money|a wallet|jewels|a phone|credit cards|passwords|a bicycle|data|secrets)"
    "( from {victim}| from a shop|)"
    "|(poison|hurt|kill|kidnap|stalk|blackmail|threaten|harass|bully|spy on|attack|drug|rob|scam|murder|injure|"
    "humiliate|follow|torture|strangle|beat up) {victim}"
    "|(hack|hack into|crack|take over|attack|steal) the (account|phone|email|computer|website|bank account|webcam|"
    "password|identity) of {victim}"
    "|(make|build|buy|plant|hide|set off|sell|smuggle|use|get) {weapon}"
    "|(write|spread|install|hide|sell|use|make|buy) {malware}"
    "|(forge|fake|counterfeit) (a passport|money|a signature|documents|a prescription|banknotes|a licence)"
    "|(sell|smuggle|cook|make|buy|mix) {drug}"
    "|(burn down|set fire to|blow up|destroy|sabotage|bomb) (a building|a school|a church|a bridge|a car|a shop|"
    "the house of {victim}|the power grid|a train)"
    "|(cheat|trick|deceive|defraud|scam|rob) (old people|the tax office|my insurance|voters|the bank|customers|"
    "{victim})"
    "|(spread|write|post) (lies|hate|rumours|threats|fake news|private photos) about {victim}"
    "|(launder money|hide a body|get away with murder|get away with theft|avoid the police|shoplift|rig an election)"
    "|(tap|track|bug) the (phone|car|house) of {victim} secretly",
    "mine_person": "my ({rank} |)(dentist|doctor|landlord|boss|sister|brother|teacher|neighbour|lawyer|hairdresser|"
    "trainer|cousin|plumber|vet|tutor|nephew|partner|manager)|the name of my ({rank} |)(dog|cat|horse|school|street|"
    "bank|team|landlord|dentist|doctor|boss|teacher|daughter|son|uncle|aunt)",
    "mine_code": "(my|the|our) ({place} |)(wifi password|locker code|pin|door code|alarm code|passport number|"
    "phone number|member number|licence plate|tax number|account number|room number|order number|password|shoe size)",
    "mine_date": "my ({rank} |)(dentist appointment|exam|flight|birthday|interview|wedding day|deadline|holiday|"
    "driving test)|the (birthday|wedding day|name day) of my (mother|father|sister|brother|daughter|son|boss|wife|"
    "husband)|{name}'s (birthday|party|exam|wedding|appointment)",
    "mine_liking": "my ({rank} |)(favourite (food|colour|animal|drink|fruit|city|thing)|lucky (number|colour|charm))",
    "job": "({w}|{place}|photo|video|nightly|weekly|big|{name}) (backup|download|sync|scan|rendering|export|upload|"
    "training|simulation|benchmark|evaluation|update|migration|crawl|compression|encoding|transcription|build|job|"
    "clean-up|test run|fine-tuning|analysis|repair)"
    "|(backup|download|sync|scan|rendering|export|upload|training|simulation|migration|compression|encoding|update|"
    "analysis) of ({w}|{folder}|{file}|{model}|the {place} {thing}s)",
}
LISTS = {
    "rank": "first,second,new,old,former,next,last,family",
    "place": "office,home,garage,garden,gym,cellar,school,hotel,summer,kitchen,bank,work",
    "victim": "my neighbour,my boss,my wife,my husband,my teacher,a colleague,my ex,a child,a politician,my brother,"
    "an old lady,the people next door,a stranger,my girlfriend,someone,somebody,a classmate,a rival,a person,{name}",
    "weapon": "a bomb,a gun without a licence,an explosive,a pipe bomb,poison gas,a nerve agent,a silencer,"
    "an illegal weapon,a letter bomb,a chemical weapon,a bioweapon,explosives,an unregistered gun,a grenade",
    "malware": "a virus,ransomware,a keylogger,a trojan,spyware,a computer worm,malware,a phishing page,a botnet,"
    "a password stealer,a rootkit,a fake bank page,a computer virus",
    "drug": "meth,heroin,cocaine,illegal drugs,opium,crack,fentanyl,deadly pills,strong poison,illegal pills",
    "ext": "pdf,txt,csv,md,json,html,log,py",
    "on_net": "online,on the web,on the internet,on the net",
}
# Units of one kind: a sentence draws all its units from one row.
UNITS = (
    "miles,kilometres,km,metres,feet,inches,cm,yards,mm,centimetres",
    "kilograms,kg,pounds,ounces,grams,stones,tons,kilos",
    "litres,gallons,pints,cups,millilitres,teaspoons,tablespoons",
    "celsius,fahrenheit,kelvin,degrees celsius,degrees fahrenheit",
    "hours,minutes,seconds,days,weeks,months,years",
    "mph,km/h,knots,metres per second",
    "acres,hectares,square metres,square feet,square miles",
    "gigabytes,megabytes,kilobytes,GB,MB",
    "watts,horsepower,kilowatts,megawatts",
    "joules,calories,kilojoules,kilocalories",
    "bar,psi,pascals,kilopascals",
    "euros,dollars,pounds,francs",
)
FACTS = (
    "{mine} is {value}",
    "{mine} is {value}",
    "{mine} is {value}",
    "i (live|work|was born|grew up|study) in {city}",
    "i am (allergic to|afraid of|fond of) {like}",
    "{name} (likes|hates|sells|collects|loves|cannot stand|is allergic to|is fond of) {like}",
    "{name} (lives in|works in|moved to|comes from) {city}",
    "the {thing} (is|lies|hangs) (in|under|behind|beside|next to) the {thing}",
    "the {w} (meeting|class|shop|course|bus|club) (starts|opens|closes|ends|leaves) at {clock}",
    "we keep the {thing} (in|under|behind) the {thing}",
    "i (have|own|bought) {small} {animal}s",
    "the {thing} (belongs to {name}|is called {w}|costs {num}|is {colour})",
    "i (never|always|often) (eat {food}|drink {food}|wear {colour}|get up at {clock})",
    "{name} is my (sister|brother|boss|neighbour|doctor|friend|teacher|partner)",
)
TODOS = (
    "(buy|fetch|sell|clean|repair|bring|order|return|wash|paint|find) (the|a|my|some) ({colour} |){thing}",
    "(buy|get|order|cook|bring) {food}( and {food}|)",
    "(call|email|meet|visit|ask|thank|pay|write to) {name}( about {topic}| at {clock}| in {city}| on {date}|)",
    "(send|give|bring|show) (the {thing}|{w}|{code_value}) to {name}",
    "(water|feed|walk) the (plants|{animal}|flowers|{animal}s)",
    "(pay|check|read|renew) the (rent|bill|{w} invoice|mail|ticket|{w} report)",
    "(take|switch off|turn off|look at) the (oven|bread|washing|{thing}|lights)",
)
CODES = (
    "print({num} + {num})",
    "print('{w}')",
    "print(len('{w}'))",
    "print('{w}'.upper())",
    "sum([{num}, {num}, {small}])",
    "for i in range({small}): print(i)",
    "{w} = {num}; print({w} * {small})",
    "sorted([{num}, {small}, {num}])",
    "import math; print(math.sqrt({num}))",
    "max({num}, {num})",
    "[x * {small} for x in range({small})]",
    "def {w}(x): return x + {small}",
    "'{w}'[::-1]",
    "len('{w} {w}')",
    "while {w} < {num}: {w} += {small}",
    "print(round({num} / {small}, 2))",
)
COMMANDS = (
    "ls -la {path}",
    "echo {w}",
    "mkdir {w}",
    "rm {file}",
    "wc -l {file}",
    "du -sh {path}",
    "grep {w} {file}",
    "cp {file} {path}",
    "mv {file} {path}",
    "git status",
    "git log --oneline",
    "pip install {w}",
    "python3 {script}",
    "chmod +x {script}",
    "find {path} -name {w}",
    "touch {file}",
    "head -n {small} {file}",
    "date +%Y",
    "sort {file}",
    "tar -xf {w}.tar",
    "make {w}",
    "cat {file}",
    "df -h",
    "uname -a",
)
HABITS = {
    "fact": FACTS,
    "todo": TODOS,
    "code": CODES,
    "command": COMMANDS,
    "dur": (
        "{small} (minutes|seconds|hours|min|days|mins)",
        "{small} (minutes|seconds|hours|min)",
        "(a minute|one hour|an hour|half an hour|a quarter of an hour|one minute)",
        "{small} and a half (minutes|hours)",
        "(an hour and|one hour and) {small} minutes",
    ),
    "span": (
        "{small} (days|weeks|months|years|days|working days)",
        "{num} (days|weeks|days)",
        "(a|one) (day|week|month|year)",
        "(two|three|four|six|ten) (days|weeks|months|years)",
    ),
    "date": ("{day}", "{day}", "{day}", "{day} 20{two}", "the {nth} of {month}", "{day_word}"),
    "amount": ("{num} {unit}", "{small} {unit}", "{small}.{small} {unit}"),
    "sum": (
        "{num} {op} {num}",
        "{num} {op} {num}",
        "{small} {op} {num}",
        "{num} {op} {num} {op} {small}",
        "{num}{sign}{num}",
        "{num} (plus|minus|times|divided by) {num}",
    ),
    "source": (
        "{folder}",
        "{folder}",
        "{file}",
        "(the files|the documents|the papers|everything|all pdfs) {inside} {folder}",
    ),
    "subject": ("{mine}", "{mine}", "{topic}", "{name}", "my {w}", "the {w}", "{name}'s {thing}"),
    "item": ("{thing}s", "{food}", "{text}", "{code_value}", "{food} and {food}", "{topic}"),
    "like": ("{food}", "{animal}s", "{topic}", "{thing}s", "{colour} {thing}s", "{w}"),
    "text": (
        "{w}",
        "{w} {w}",
        "{todo}",
        "{colour} {thing}",
        "{w} is {w}",
        "{w} {w} {w} {w}",
        "{name} {w}",
        "{num} {w}",
    ),
    "quoted": ("'{text}'", '"{text}"', "{w}", "{w} {w}", "{code_value}", "'{w}'"),
    "folder": (
        "the (folder|directory) {path}",
        "(the|my) {name_of_folder} (folder|directory)",
        "{path}",
        "{path}",
        "{name_of_folder}/",
        "{w}",
    ),
    "path": ("{name_of_folder}", "{name_of_folder}/{w}", "/{w}/{name_of_folder}", "~/{name_of_folder}", "{w}/{w}/{w}"),
    "file": ("{stem}.{ext}", "{stem}.{ext}", "{path}/{stem}.{ext}", "{w}_{stem}.{ext}", "{stem}-{small}.{ext}"),
    "script": ("{stem}.py", "{path}/{stem}.py", "{stem}.sh", "{w}_{stem}.py"),
    "model": (
        "{w}-{small}b",
        "{w} {small}b",
        "{w}-{small}b-(instruct|chat|coder|q4|base)",
        "{w}-(small|large|mini|tiny).gguf",
        "{w}.gguf",
        "{w}",
        "(qwen|llama|mistral|gemma|phi)-{w}",
        "(qwen|llama|mistral|gemma|phi) {small}b",
        "the pilot",
    ),
    "url": (
        "https://{w}.(org|com|net|de)/{w}",
        "www.{w}.(com|org|net)",
        "{w}.(org|com|net)/{w}.html",
        "https://{w}.{w}.com",
    ),
    "topic": (
        "{known_topic}",
        "{known_topic}",
        "{subject_matter}",
        "{subject_matter}",
        "{subject_matter}",
        "{w}",
        "the {w}",
        "{w} {thing}s",
        "{name} {proper}",
        "the {proper} {subject_noun}",
        "{city}",
        "{code_value}",
        "{w} and {w}",
        "{colour} {animal}s",
    ),
}
LITERAL = ("code", "command")  # their brackets are their own
PLAIN: dict[str, Callable[[random.Random, bool], str]] = {
    "w": words.fresh,
    "proper": lambda rng, held: words.fresh(rng, held).capitalize(),
    "name": words.person,
    "city": words.city,
    "thing": words.THINGS.draw,
    "colour": words.COLOURS.draw,
    "animal": words.ANIMALS.draw,
    "food": words.FOODS.draw,
    "known_topic": words.TOPICS.draw,
    "code_value": words.code,
    "clock": lambda rng, held: rng.choice(
        (words.clock(rng), f"{rng.randrange(1, 13)} {rng.choice(('am', 'pm'))}", f"{rng.randrange(5, 12)}", "noon")
    ),
    "day": lambda rng, held: words.date(rng),
    "month": lambda rng, held: rng.choice(words.MONTHS),
    "nth": lambda rng, held: rng.choice(("1st", "2nd", "3rd", "21st", "22nd", "30th", f"{rng.randrange(4, 21)}th")),
    "two": lambda rng, held: str(rng.randrange(20, 40)),
    "small": lambda rng, held: str(rng.randrange(2, 61)),
    "num": lambda rng, held: str(words.number(rng, held, 2, rng.choice((200, 999, 9999)))),
    "op": lambda rng, held: rng.choice("+-*/x"),
    "sign": lambda rng, held: rng.choice("+-*/"),
    "name_of_folder": lambda rng, held: words.FILES.draw(rng, held) if rng.random() < 0.4 else words.fresh(rng, held),
    "stem": lambda rng, held: words.FILES.draw(rng, held) if rng.random() < 0.3 else words.fresh(rng, held),
    "subject_noun": lambda rng, held: rng.choice(
        ("project", "contract", "plan", "machine", "device", "report", "affair", "case", "study", "deal")
    ),
}
VALUES = {
    "mine_person": ("{name}", "{name} {proper}", "{proper}"),
    "mine_code": ("{code_value}", "{num}", "{w}{small}", "{w}"),
    "mine_date": ("on {day}", "on {day} at {clock}", "in {month}"),
    "mine_liking": ("{food}", "{colour}", "{animal}", "{small}", "{city}", "{w}"),
}


IRREGULAR = {
    "man": "men",
    "woman": "women",
    "person": "people",
    "people": "people",
    "child": "children",
    "wife": "wives",
    "knife": "knives",
    "thief": "thieves",
    "wolf": "wolves",
    "mouse": "mice",
    "moose": "moose",
    "goose": "geese",
    "sheep": "sheep",
    "series": "series",
    "scarf": "scarves",
    "businessman": "businessmen",
}


def plural(word: str) -> str:
    """The plural of a noun, whose last word takes the ending."""
    *front, last = word.split(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "es" if re.search(r"(s|x|ch|sh|z)$", last) else "s"
    return " ".join([*front, last])


class Filler:
    """Fills the slots of one sentence; `value` fits the belonging named before it."""

    def __init__(self, rng: random.Random, held: bool) -> None:
        self.rng = rng
        self.held = held
        self.kind = "mine_person"
        self.units = rng.choice(UNITS).split(",")

    def fill(self, pattern: str, literal: bool = False) -> str:
        text = pattern if literal else say(pattern, self.rng)
        while "{" in text:
            text = re.sub(
                r"\{(\w+)\}(s(?!\w))?", lambda slot: self.several(slot[1]) if slot[2] else self.slot(slot[1]), text
            )
        return re.sub(r" +", " ", text)

    def several(self, name: str) -> str:
        return plural(self.slot(name))

    def slot(self, name: str) -> str:
        if name in SHORT:
            return say(SHORT[name], self.rng)
        if name == "unit":
            unit = self.rng.choice(self.units)
            self.units = [other for other in self.units if other != unit]  # nobody turns miles into miles
            return unit
        if name in PLAIN:
            return PLAIN[name](self.rng, self.held)
        if name in HABITS:
            return self.fill(self.rng.choice(HABITS[name]), name in LITERAL)
        if name in LISTS:
            return self.fill(self.rng.choice(LISTS[name].split(",")))
        if name == "mine":
            self.kind = self.rng.choice(tuple(VALUES))
            return self.slot(self.kind)
        if name == "value":
            return self.fill(self.rng.choice(VALUES[self.kind]))
        return words.fenced(lambda: self.fill(f"({COMBINED[name]})"), self.held)


def wish(name: str, rng: random.Random, held: bool = False) -> str:
    """What a person types with this intent; the mark at its end comes and goes, and so does the capital."""
    table = INTENTS[name]
    text = Filler(rng, held).fill(rng.choice(table.held if held else table.train))
    bare = text.endswith("?")
    if bare and rng.random() < 0.25:
        text = text[:-1].rstrip()
    elif not bare and text[-1].isalnum() and rng.random() < 0.2:
        text += "."
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text


def exchange(rng: random.Random) -> list[Turn]:
    """One wish and the name of its intent."""
    name = rng.choice((*NAMES, *WIDE))
    text = wish(name, rng)
    return [user(rough(text, rng) if rng.random() < 0.4 else text), pilot(name)]


def document(rng: random.Random) -> Dialogue:
    """One wish, or a few one after another, under the one system message."""
    count = 1 if rng.random() < 0.35 else rng.randrange(2, 11)
    return Dialogue([Turn("system", PROMPT), *(turn for _ in range(count) for turn in exchange(rng))])


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One unseen wish; the answer must be the name of its intent and nothing else."""
    name = rng.choice(NAMES)
    text = wish(name, rng, held=True)
    reply = ask([{"role": "system", "content": PROMPT}, {"role": "user", "content": text}])
    yield Mark("intents_pct", reply.text.strip() == name, f"{name}: {text!r} -> {reply.text!r}")
