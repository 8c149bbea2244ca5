"""What a passage can say: kinds of entities, their attributes, the ways to state and to ask for each, and filler prose.

Patterns are those of `phrases.say`: `{e}` is the entity, `{v}` the value, `{a}` its article. They begin in lower case,
because a sentence may be wrapped in another; a value that opens a sentence must be a name, a number or a code.
Promises: every attribute has wordings that only the evaluation sees, made of words that training knows from other wordings;
a filler sentence states none of the attributes. Does not cover: how sentences become passages and questions (`reading.py`).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from pilot.corpus import words
from pilot.corpus.phrases import say

Draw = Callable[[random.Random, bool], str]


@dataclass(frozen=True)
class Attribute:
    """One thing a passage can say about an entity; `label` names it in lists."""

    label: str
    draw: Draw
    states: tuple[str, ...]
    asks: tuple[str, ...]
    held_states: tuple[str, ...]
    held_asks: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of entity: how to name one, and what can be said of it."""

    name: str
    draw: Draw
    attributes: tuple[Attribute, ...]


def attribute(label: str, draw: Draw, *wordings: str) -> Attribute:
    """From four lists of patterns, each written as one line with slashes: statements, questions, and both for the evaluation."""
    states, asks, held_states, held_asks = (tuple(part.strip() for part in text.split(" / ")) for text in wordings)
    return Attribute(label, draw, states, asks, held_states, held_asks)


def name(rng: random.Random, held: bool) -> str:
    """An invented proper name."""
    return words.fresh(rng, held).capitalize()


def anyone(rng: random.Random, held: bool) -> str:
    """A person, mostly of an invented name."""
    kind = rng.random()
    if kind < 0.4:
        return name(rng, held)
    return words.person(rng, held) if kind < 0.8 else f"{words.person(rng, held)} {name(rng, held)}"


def town(rng: random.Random, held: bool) -> str:
    return name(rng, held) if rng.random() < 0.6 else words.city(rng, held)


def job(rng: random.Random, held: bool) -> str:
    return rng.choice(("", "", "", "night ", "head ", "village ", "junior ")) + words.JOBS.draw(rng, held)


def colour(rng: random.Random, held: bool) -> str:
    return rng.choice(("", "", "dark ", "light ", "pale ")) + words.COLOURS.draw(rng, held)


def food(rng: random.Random, held: bool) -> str:
    first = rng.choice(("", "", "fresh ", "cold ", "hot ", "sweet ")) + words.FOODS.draw(rng, held)
    return first if rng.random() < 0.7 else f"{first} with {words.FOODS.draw(rng, held)}"


def spot(rng: random.Random, held: bool) -> str:
    """Somewhere to keep a thing, one to six words."""
    where = say("the (||old |small |big |{c} )(barn|shed|cellar|attic|garage|kitchen|hall|office|tower|mill)", rng)
    where = where.replace("{c}", words.COLOURS.draw(rng, held))
    kind = rng.random()
    if kind < 0.25:
        return f"room {words.number(rng, held, 1, 600)}"
    if kind < 0.5:
        return where
    return f"{where} {rng.choice(('near', 'in', 'behind'))} {town(rng, held)}"


def whole(low: int, high: int, unit: str = "") -> Draw:
    """A number with its unit."""
    units = unit.split(",")

    def draw(rng: random.Random, held: bool) -> str:
        return f"{words.number(rng, held, low, high)} {rng.choice(units)}".strip()

    return draw


def birthday(rng: random.Random, held: bool) -> str:
    return words.fenced(lambda: f"{rng.randrange(1, 29)} {rng.choice(words.MONTHS)}", held)


def date(rng: random.Random, held: bool) -> str:
    return words.fenced(lambda: words.date(rng), held)


def clock(rng: random.Random, held: bool) -> str:
    return words.fenced(lambda: words.clock(rng), held)


def model(rng: random.Random, held: bool) -> str:
    """A make of car, some with a number."""
    return name(rng, held) + rng.choice(("", "", f" {rng.randrange(1, 10)}00"))


def folder(rng: random.Random, held: bool) -> str:
    return "/" + "/".join(words.fresh(rng, held) for _ in range(rng.choice((1, 2, 2))))


def thing(rng: random.Random, held: bool) -> str:
    plain = words.THINGS.draw(rng, held)
    return f"the {plain}" if rng.random() < 0.35 else f"the {name(rng, held)} {plain}"


def file(rng: random.Random, held: bool) -> str:
    return f"the file {words.fresh(rng, held)}.{rng.choice(('md', 'txt', 'csv', 'py'))}"


def phone(rng: random.Random, held: bool) -> str:
    return words.fenced(lambda: f"{rng.randrange(100, 1000)}-{rng.randrange(1000, 10000)}", held)


PERSON = Kind(
    "person",
    anyone,
    (
        attribute(
            "job",
            job,
            "{e} works as {a} {v} / {e} (earns a living|found work) as {a} {v} / {e} is {a} {v}( by trade|) / {e} has a "
            "(job|post) as {a} {v} / by trade, {e} is {a} {v}",
            "what (work|job) does {e} do? / what does {e} do (for a living|for work|by trade)? / what is {e}'s "
            "(job|trade|work)? / (which|what) (job|post) does {e} have? / how does {e} earn a living?",
            "{e} has found a (job|post) as {a} {v} / for a living, {e} works as {a} {v}",
            "what kind of (work|job) does {e} have? / what is the (job|trade) of {e}?",
        ),
        attribute(
            "home",
            town,
            "{e} lives in {v} / {e} has a (flat|house|home) in {v} / {e}'s (home|house) is in {v} / {e} moved to {v}( "
            "last year| long ago|) / {v} is the (town|city) where {e} lives",
            "where does {e} live? / in (which|what) (town|city) is {e}'s (home|house|flat)? / (what|which) (town|city) "
            "does {e} live in? / where is {e}'s (home|house|flat)? / where is {e} at home?",
            "the (house|flat|home) of {e} is in {v} / {e} lives in a (flat|house) in {v}",
            "in (what|which) (town|city) does {e} live? / where does {e} have a (home|house)?",
        ),
        attribute(
            "age",
            whole(1, 110),
            "{e} is {v} years old / {e} turned {v}( last week| last year|) / {e} has reached the age of {v} / the age "
            "of {e} is {v} / {e} is now {v}",
            "how old is {e}( now|)? / what is {e}'s age? / what age has {e} reached? / how many years old is {e}?",
            "{e} is now {v} years old / last year {e} reached the age of {v}",
            "what is the age of {e}( now|)? / what age is {e} now?",
        ),
        attribute(
            "pet",
            words.ANIMALS.draw,
            "{e} (keeps|has|owns) {a} {v}( as a pet| at home) / {e}'s pet is {a} {v} / {e} looks after {a} {v} / at "
            "home, {e} has {a} {v}",
            "(what|which) (animal|pet) does {e} (have|keep|own)? / which animal lives with {e}? / what kind of pet does "
            "{e} (have|own)? / what is {e}'s pet? / what animal does {e} look after?",
            "the pet of {e} is {a} {v} / at home, {e} looks after {a} {v}",
            "what kind of animal is {e}'s pet? / which pet does {e} look after?",
        ),
        attribute(
            "favourite food",
            food,
            "{e} likes {v} (best|most) of all food / {e}'s favourite (food|dish|meal) is {v} / {e} would eat {v} every "
            "day / {e} loves (to eat {v}|eating {v}) / nothing tastes better to {e} than {v}",
            "what does {e} (like|love) to eat? / what is {e}'s favourite (food|dish|meal)? / which (food|dish) does {e} "
            "(love|like) (best|most)? / what would {e} eat every day?",
            "the favourite (food|dish) of {e} is {v} / of all food, {e} loves {v} most",
            "which (meal|dish) would {e} like best? / what food does {e} love to eat?",
        ),
        attribute(
            "birthday",
            birthday,
            "{e}'s birthday is on {v} / {e} was born on {v} / {e} celebrates a birthday on {v} / the birthday of {e} "
            "falls on {v} / {e} turns a year older on {v}",
            "when is {e}'s birthday? / on (what|which) (day|date) was {e} born? / when was {e} born? / when does {e} "
            "(celebrate a birthday|turn a year older)? / on what day does {e}'s birthday fall? / what is the birthday "
            "of {e}?",
            "the birthday of {e} is on {v} / on {v}, {e} celebrates a birthday",
            "on (which|what) (day|date) is {e}'s birthday? / what day does {e}'s birthday fall on?",
        ),
        attribute(
            "car",
            model,
            "{e} drives a {v} / {e}'s car is a {v} / {e} bought a {v}( last year|) and drives it to work / {e} goes to "
            "work in a {v} / the car of {e} is a {v}",
            "(what|which) car does {e} (drive|have|own)? / what kind of car does {e} (drive|have)? / what does {e} "
            "drive? / what is {e}'s car?",
            "{e} drives to work in a {v} / last year {e} bought a car, a {v}",
            "what car does {e} drive to work? / what kind of car is {e}'s?",
        ),
        attribute(
            "favourite colour",
            colour,
            "{e}'s favourite colour is {v} / {e} likes {v} (best|most) of all colours / {e} always wears {v} / the "
            "colour {e} (likes|loves) most is {v}",
            "what is {e}'s favourite colour? / (which|what) colour does {e} (like|love) (best|most)? / (what|which) "
            "colour does {e} (always|) wear?",
            "of all colours, {e} (likes|loves) {v} best / the favourite colour of {e} is {v}",
            "what is the favourite colour of {e}? / of all colours, which does {e} like best?",
        ),
        attribute(
            "phone number",
            phone,
            "{e}'s phone number is {v} / you (can|) reach {e} at {v} / call {e} at {v} / the number of {e}'s phone is "
            "{v}",
            "what is {e}'s phone number? / (what|which) number do I call to reach {e}? / how do I reach {e} by phone? / "
            "at what number can I call {e}?",
            "to reach {e}, call {v} / the phone number of {e} is {v}",
            "what is the phone number of {e}? / at (what|which) number can I reach {e}?",
        ),
    ),
)
THING = Kind(
    "thing",
    thing,
    (
        attribute(
            "owner",
            anyone,
            "{e} belongs to {v} / {v} owns {e} / {e} is the property of {v} / {v} is the owner of {e} / {e} is owned by "
            "{v}",
            "who owns {e}? / who is the owner of {e}? / whose property is {e}? / to whom does {e} belong? / who does "
            "{e} belong to?",
            "the owner of {e} is {v} / the owner {e} belongs to is {v}",
            "whose is {e}? / by whom is {e} owned?",
        ),
        attribute(
            "colour",
            colour,
            "{e} is {v}( in colour|) / {e} is painted {v} / the colour of {e} is {v} / somebody painted {e} {v} / {e} "
            "comes in {v}",
            "what colour is {e}? / (which|what) colour does {e} (have|come in)? / in (what|which) colour is {e} "
            "painted? / what is {e}'s colour?",
            "somebody has painted {e} {v} / {e} has the colour {v}",
            "what is the colour of {e}? / which colour is {e} painted?",
        ),
        attribute(
            "price",
            whole(1, 3000, "euros,dollars,pounds"),
            "{e} costs {v} / {e} sells for {v} / the price of {e} is {v} / you (pay|have to pay) {v} for {e} / somebody "
            "paid {v} for {e}",
            "how much (is|does) {e} (cost|)? / what is the price of {e}? / what does {e} (cost|sell for)? / how much do "
            "I (have to|) pay for {e}?",
            "the price you pay for {e} is {v} / {e} has a price of {v}",
            "what is {e}'s price? / for how much does {e} sell?",
        ),
        attribute(
            "place",
            spot,
            "{e} is (kept|stored) in {v} / you (find|can find) {e} in {v} / {e} stands in {v} / somebody (left|put) {e} "
            "in {v} / look for {e} in {v}",
            "where is {e}( kept| stored| now|)? / where (do|can) I find {e}? / where did somebody (leave|put) {e}? / in "
            "what place is {e}?",
            "you can find {e} stored in {v} / in {v} you find {e}",
            "in (what|which) place is {e} (kept|stored)? / where do I look for {e}?",
        ),
        attribute(
            "weight",
            whole(1, 900, "kg,grams"),
            "{e} weighs {v} / the weight of {e} is {v} / {e} is {v} heavy / {e} has a weight of {v}",
            "how heavy is {e}? / how much does {e} weigh? / what is the weight of {e}? / what does {e} weigh?",
            "the weight {e} has is {v} / when you weigh {e}, it is {v}",
            "what weight does {e} have? / what is {e}'s weight?",
        ),
        attribute(
            "maker",
            anyone,
            "{e} was (made|built) by {v} / {v} (made|built) {e}( long ago|) / {v} is the maker of {e} / {e} is the work "
            "of {v}",
            "who (made|built) {e}? / who is the maker of {e}? / by whom was {e} (made|built)? / whose work is {e}?",
            "the maker of {e} is {v} / long ago, {e} was built by {v}",
            "who was it that made {e}? / who is {e}'s maker?",
        ),
    ),
)
PLACE = Kind(
    "place",
    town,
    (
        attribute(
            "population",
            whole(100, 900000, ""),
            "{e} has {v} (people|inhabitants) / {v} people live in {e} / the population of {e} is {v} / {e} is home to "
            "{v} people",
            "how many people live in {e}? / how (big|large) is the population of {e}? / how many (inhabitants|people) "
            "does {e} have? / what is the population of {e}?",
            "{e} has a population of {v} / {v} inhabitants live in {e}",
            "what is {e}'s population? / to how many people is {e} home?",
        ),
        attribute(
            "river",
            name,
            "{e} lies on the (river |){v} / the (river |){v} (flows|runs) through {e} / the river in {e} is called {v} "
            "/ a river called {v} (flows|runs) through {e}",
            "(which|what) river (flows|runs) through {e}? / what is the river in {e} called? / on (which|what) river "
            "does {e} lie? / what is the name of the river in {e}?",
            "the name of the river in {e} is {v} / {e} lies on a river called {v}",
            "what is the name of {e}'s river? / (which|what) river does {e} lie on?",
        ),
        attribute(
            "mayor",
            anyone,
            "the mayor of {e} is {v} / {v} is the mayor of {e} / {v} runs the town hall of {e} / the people of {e} "
            "elected {v} as mayor / {e} is governed by {v}",
            "who is the mayor of {e}? / who governs {e}? / who runs the town hall of {e}? / whom did the people of {e} "
            "elect( as mayor|)?",
            "{v} was elected mayor of {e} / {e} has a mayor called {v}",
            "who is {e}'s mayor? / by whom is {e} governed?",
        ),
        attribute(
            "founding year",
            whole(1000, 2000),
            "{e} was founded in {v} / {e} dates from {v} / the first houses of {e} were built in {v} / {e} became a "
            "town in {v} / in {v}, {e} was founded",
            "when was {e} founded? / in (what|which) year was {e} founded? / (what|which) year does {e} date from? / "
            "when did {e} become a town?",
            "{e} was founded in the year {v} / in {v}, the first houses of {e} were built",
            "in (which|what) year did {e} become a town? / from when does {e} date?",
        ),
    ),
)
PROJECT = Kind(
    "project",
    lambda rng, held: f"project {name(rng, held)}",
    (
        attribute(
            "leader",
            anyone,
            "{v} leads {e} / {e} is led by {v} / {v} is in charge of {e} / the (leader|head) of {e} is {v}",
            "who leads {e}? / who is in charge of {e}? / who is the (leader|head) of {e}? / by whom is {e} led?",
            "{v} is the (leader|head) of {e} / in charge of {e} is {v}",
            "who is {e}'s (leader|head)? / in whose charge is {e}?",
        ),
        attribute(
            "deadline",
            date,
            "{e} (must|has to) be (finished|ready|done) by {v} / the deadline (of|for) {e} is {v} / {e} is due on {v} / "
            "the last day of {e} is {v}",
            "when must {e} be (finished|ready|done)? / what is the deadline (of|for) {e}? / when is {e} due? / by when "
            "does {e} have to be (finished|ready|done)? / what is the last day of {e}?",
            "by {v}, {e} has to be (finished|done) / {e} has a deadline on {v}",
            "what is {e}'s deadline? / on (what|which) day is {e} due?",
        ),
        attribute(
            "budget",
            whole(100, 90000, "euros,dollars,pounds"),
            "{e} has a budget of {v} / the budget (of|for) {e} is {v} / {v} was set aside for {e} / {e} may spend {v}",
            "how much money does {e} have? / what is the budget (of|for) {e}? / how much (may|can) {e} spend? / how "
            "much (money |)was set aside for {e}?",
            "a budget of {v} was set aside for {e} / {e} has {v} to spend",
            "what is {e}'s budget? / how much money (may|can) {e} spend?",
        ),
        attribute(
            "code",
            words.code,
            "the code (of|for) {e} is {v} / {e} has the code {v} / {e} is listed under {v} / {v} is the code (of|for) "
            "{e}",
            "what is the code (of|for) {e}? / under (what|which) code is {e} listed? / (which|what) code does {e} have?",
            "{e} is listed under the code {v} / {e}'s code is {v}",
            "what is {e}'s code? / what is {e} listed under?",
        ),
    ),
)
MEETING = Kind(
    "meeting",
    lambda rng, held: f"the {name(rng, held)} {rng.choice(('meeting', 'meeting', 'concert', 'party'))}",
    (
        attribute(
            "time",
            clock,
            "{e} (starts|begins) at {v} / {e} is at {v} / come to {e} at {v} / the start of {e} is at {v}",
            "(what|at what) time does {e} (start|begin)? / at what time is {e}? / when does {e} (start|begin)? / what "
            "is the start of {e}?",
            "at {v}, {e} (starts|begins) / the time of {e} is {v}",
            "what time is {e}? / what is the time of {e}?",
        ),
        attribute(
            "place",
            spot,
            "{e} takes place in {v} / {e} is held in {v} / go to {v} for {e} / we have {v} for {e}",
            "where does {e} take place? / where is {e}( held|)? / where do I go for {e}? / in (which|what) place is "
            "{e}( held|)?",
            "for {e}, go to {v} / the place for {e} is {v}",
            "in (what|which) place does {e} take place? / what is the place for {e}?",
        ),
        attribute(
            "host",
            anyone,
            "{v} hosts {e} / the host of {e} is {v} / {v} asked everybody to {e} / {e} is hosted by {v}",
            "who hosts {e}? / who is the host of {e}? / by whom is {e} hosted? / who asked everybody to {e}?",
            "{v} is the host of {e} / {e} has {v} as host",
            "who is {e}'s host? / whom does {e} have as host?",
        ),
    ),
)
ORDER = Kind(
    "order",
    lambda rng, held: f"order {words.number(rng, held, 100, 99999)}",
    (
        attribute(
            "customer",
            anyone,
            "{e} is for {v} / {e} came from {v} / {v} placed {e} / {e} was placed by {v} / the customer of {e} is {v}",
            "who is {e} for? / who placed {e}? / from whom did {e} come? / who is the customer of {e}? / by whom was "
            "{e} placed?",
            "{v} is the customer of {e} / a customer called {v} placed {e}",
            "whose is {e}? / who did {e} come from? / which customer placed {e}?",
        ),
        attribute(
            "total",
            whole(5, 9000, "euros,dollars,pounds"),
            "the total of {e} is {v} / {e} comes to {v} / {e} has a total of {v} / the bill for {e} is {v}",
            "what is the total of {e}? / how much does {e} come to? / how much is {e}? / how (big|large) is the bill "
            "for {e}?",
            "the bill for {e} comes to {v} / {e} has a bill of {v}",
            "what total does {e} have? / how much is the bill for {e}?",
        ),
        attribute(
            "delivery",
            date,
            "{e} arrives on {v} / {e} will be delivered on {v} / the delivery of {e} is on {v} / expect {e} on {v}",
            "when (does|will) {e} arrive? / on (what|which) day will {e} be delivered? / when can I expect {e}? / when "
            "is the delivery of {e}?",
            "{e} will arrive on {v} / on {v}, {e} will be delivered",
            "on (what|which) day does {e} arrive? / when will {e} be delivered?",
        ),
    ),
)
ROOM = Kind(
    "room",
    lambda rng, held: f"{rng.choice(('room', 'room', 'house', 'locker'))} {words.number(rng, held, 1, 2000)}",
    (
        attribute(
            "key code",
            words.code,
            "{v} opens {e} / the key code of {e} is {v} / {e} opens with {v} / use {v} to open {e}",
            "what opens {e}? / what is the key code of {e}? / with (what|which) code does {e} open? / (what|which) code "
            "do I use to open {e}?",
            "to open {e}, use {v} / {e} has the key code {v}",
            "what do I use to open {e}? / which key code opens {e}?",
        ),
        attribute(
            "guest",
            anyone,
            "{v} (stays|sleeps) in {e} / the guest in {e} is {v} / {e} was given to {v} / {e} is taken by {v}",
            "who (stays|sleeps) in {e}? / who is the guest in {e}? / to whom was {e} given? / by whom is {e} taken?",
            "{v} is the guest in {e} / {e} has a guest called {v}",
            "which guest (stays|sleeps) in {e}? / who has taken {e}?",
        ),
    ),
)
FILE = Kind(
    "file",
    file,
    (
        attribute(
            "author",
            anyone,
            "{v} wrote {e} / {e} was written by {v} / the author of {e} is {v} / {e} comes from the pen of {v}",
            "who wrote {e}? / who is the author of {e}? / by whom was {e} written? / from whose pen does {e} come?",
            "{v} is the author of {e} / the pen of {v} wrote {e}",
            "by which author was {e} written? / which author wrote {e}?",
        ),
        attribute(
            "size",
            whole(1, 9000, "KB,MB,lines"),
            "{e} is {v} (long|large) / the size of {e} is {v} / {e} takes up {v} / {e} has a size of {v}",
            "how (long|large|big) is {e}? / what is the size of {e}? / how much does {e} take up?",
            "in size, {e} is {v} / {e} takes up a size of {v}",
            "what size is {e}? / what size does {e} have?",
        ),
        attribute(
            "folder",
            folder,
            "{e} is in {v} / {e} (lies|was saved) in the folder {v} / look for {e} under {v} / {v} holds {e}",
            "where (is|lies) {e}? / in (what|which) folder is {e}? / (what|which) folder holds {e}? / where was {e} "
            "saved?",
            "the folder of {e} is {v} / the folder {v} holds {e}",
            "in (what|which) folder was {e} saved? / what is the folder of {e}?",
        ),
    ),
)
KINDS = (PERSON, PERSON, PERSON, THING, THING, PLACE, PROJECT, MEETING, ORDER, ROOM, FILE)

# `{n}` is an entity of the passage or somebody new: mentioned, but nothing is said of it that a question asks.
FILLER = (
    "(it rained|the wind blew|the snow fell|the sun shone) (all day|until late|for hours|again|over the hills)",
    "(nobody|hardly anybody|everybody) (noticed|remembered|understood|talked about) (it|the noise|the old story|the change)",
    "(the|an old) (gate|road|bridge|path|garden) (was|stood) (quiet|empty|wet|closed|open)( again| for hours| all day|)",
    "(some|a few|many) (birds|children|neighbours|visitors) (sat|waited|walked|sang) (by|near|along) the "
    "(wall|fence|path|trees)",
    "(after lunch|in the evening|later|in the end|that night), (everybody|somebody|nobody) (went (inside|home|outside)|"
    "fell asleep|felt tired)",
    "there (was|is) (not much|little|nothing|a lot) to (see|say|do|hear)( here| that night|)",
    "(it|this) was (a quiet|a long|a strange|an ordinary) (week|evening|story|winter)",
    "(the letters|the lights|the doors|the leaves) (were|stayed) (wet|dark|quiet) (all winter|for hours|again|until late)",
    "{n} (was mentioned|came up|was left out)( again| later| in the end|)",
    "(nobody|somebody|everybody) (asked about|talked about|remembered|thought of|forgot) {n}( that night| later|)",
    "there (is|was) (a long|an old|a strange) story about {n}( too|)",
    "more about {n} (later|another time)",
    "(the story|the path|{n}) was (soon |)forgotten",
    "(it|that) was another (story|matter)",
)
HELD_FILLER = (
    "(all day|for hours|until late), (the wind blew|the sun shone|it rained) (along|near) the (hills|road|wall)",
    "(a few|many) (neighbours|children) (noticed|remembered) (the noise|the strange story|the old bridge)( later|)",
    "the (trees|lights|birds) (by|near) the (fence|garden) (were|stayed) (wet|quiet|dark) that (evening|winter|night)",
    "(in the evening|after lunch), (some|many) visitors (walked|waited) (inside|outside)",
    "(hardly anybody|nobody) (fell asleep|felt tired) that (week|winter)",
    "(in the end|later), (somebody|everybody) felt tired and (went home|fell asleep|went inside)",
    "(this|it) was another (quiet|strange|ordinary) (story|evening|night)",
    "(later|in the end), {n} was (mentioned|forgotten|remembered)( again|)",
    "(hardly anybody|many visitors|the children) (thought of|remembered) {n}( all day| all winter|)",
)
HEADINGS = (
    "Notes",
    "Report",
    "News",
    "From the files",
    "What we know",
    "List",
    "Names and numbers",
    "# Notes",
    "# Files",
)
HELD_HEADINGS = ("# News", "Notes and news", "What we know from the files", "Report on names", "# List")
WRAPS = (
    "I heard that {s}",
    "as everybody knows, {s}",
    "we know that {s}",
    "they say {s}",
    "it is said that {s}",
    "also, {s}",
)
HELD_WRAPS = ("as we heard, {s}", "everybody knows that {s}", "as they say, {s}", "it is also said that {s}")
LEADS = (
    "tell me, {q}",
    "now, {q}",
    "please, {q}",
    "I want to know: {q}",
    "according to the text, {q}",
)
HELD_LEADS = ("please tell me, {q}", "I want you to tell me: {q}", "now tell me, according to the text, {q}")
# A statement that begins with one of these is an order and cannot follow "that".
ORDERS = ("call", "look", "come", "go", "use", "expect", "to", "for")
SHORT_ASKS = ("{l} of {e}?", "{e}: {l}?", "the {l} of {e}?")
HELD_SHORT_ASKS = ("{l}, {e}?", "please: {l} of {e}?")
LINES = ("{l}: {v}", "- {l}: {v}", "* {l}: {v}", "{l} = {v}", "* {l} - {v}")
HELD_LINES = ("- {l} = {v}", "{l} - {v}")
SINGLE_LINES = ("{l} of {e}: {v}", "{e}, {l}: {v}", "{e} - {l}: {v}", "- {l} of {e}: {v}", "{e} ({l}): {v}")
HELD_SINGLE_LINES = ("* {l} of {e} = {v}", "- {e}, {l}: {v}")
