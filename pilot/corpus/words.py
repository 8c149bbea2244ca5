"""Names, places, things and invented words; each pool has a part that training never sees.

Promises: `Pool.train` and `Pool.held` share nothing. Invented words are drawn from two sets of
syllable patterns that differ in their last letters. Does not cover sentences.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

VOWELS = "aeiou"
STARTS = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
    "",
    "",
    "th",
    "qu",
    "sk",
)
TRAIN_ENDS = ("n", "l", "r", "s", "t", "m", "k", "", "", "nd", "x", "a", "o", "en", "ia", "us")
HELD_ENDS = ("p", "f", "rt", "g", "nt", "lm", "eth", "ock")


@dataclass(frozen=True)
class Pool:
    """Words for training and words for the evaluation."""

    train: tuple[str, ...]
    held: tuple[str, ...]

    def draw(self, rng: random.Random, held: bool = False) -> str:
        return rng.choice(self.held if held else self.train)


def pool(train: str, held: str) -> Pool:
    return Pool(tuple(train.split(",")), tuple(held.split(",")))


def invented(rng: random.Random, held: bool = False) -> str:
    """A word that is in no dictionary, lower case."""
    middle = "".join(rng.choice(STARTS) + rng.choice(VOWELS) for _ in range(rng.choice((1, 2, 2, 3))))
    return middle + rng.choice(HELD_ENDS if held else TRAIN_ENDS)


NAMES = pool(
    "Anna,Ben,Carla,David,Elena,Frank,Greta,Hugo,Ines,Jonas,Karin,Lars,Maria,Nils,Olga,Peter,Quinn,"
    "Rosa,Stefan,Tina,Ursula,Viktor,Wendy,Xenia,Yusuf,Zoe,Alice,Bob,Charlie,Diana,Erik,Fatima,"
    "George,Hannah,Ivan,Julia,Kofi,Linda,Mohamed,Nina,Oscar,Paula,Ravi,Sarah,Tom,Uma,Vera,Will,Yuki,"
    "Aisha,Bruno,Chen,Dora,Emil,Freya,Gustav,Helen,Igor,Jack,Kate,Leo,Mia,Noah,Otto,Priya,Rita,Sam,"
    "Tara,Vincent,Walter,Amir,Bella,Cora,Dylan,Ella,Felix,Gina,Henry,Iris,James,Klara,Lucas,Mona,"
    "Nora,Oliver,Pablo,Ruth,Simon,Tessa,Luis,Marta,Ali,Ana,Joe,Max,Lily,Jane,John,Mary,Paul,Emma",
    "Agnes,Boris,Celia,Dmitri,Edith,Fergus,Gloria,Harald,Ingrid,Jasper,Keiko,Lionel,Mabel,Nestor,"
    "Odette,Petra,Rupert,Sylvia,Tobias,Wanda,Amara,Cedric,Delia,Elliot,Fiona",
)
CITIES = pool(
    "Berlin,Paris,London,Oslo,Madrid,Rome,Vienna,Prague,Lisbon,Dublin,Cairo,Lima,Tokyo,Seoul,Delhi,"
    "Toronto,Boston,Chicago,Denver,Austin,Seattle,Sydney,Perth,Nairobi,Lagos,Accra,Warsaw,Athens,"
    "Zurich,Geneva,Munich,Hamburg,Milan,Turin,Porto,Bergen,Helsinki,Riga,Tallinn,Budapest,Bogota,"
    "Quito,Havana,Kyoto,Osaka,Mumbai,Hanoi,Manila,Dakar,Tunis,New York,San Diego,Cape Town,Utrecht,"
    "Leeds,Lyon,Nice,Graz,Basel,Bonn,Cologne,Dresden,Moscow,Kiev,Istanbul,Beirut,Tehran,Miami,Dallas",
    "Bristol,Marseille,Valencia,Naples,Gdansk,Brno,Malmo,Aarhus,Tampere,Sapporo,Calgary,Phoenix,"
    "Montevideo,Kampala,Brisbane,Porto Alegre,Salzburg,Glasgow,Rotterdam,Seville,Antwerp",
)
JOBS = pool(
    "teacher,nurse,baker,doctor,farmer,pilot,driver,painter,singer,lawyer,builder,cook,engineer,"
    "gardener,tailor,writer,clerk,actor,dentist,plumber,carpenter,student,waiter,librarian,chemist",
    "potter,surgeon,sailor,barber,miner,florist,welder,editor,judge,mechanic,weaver,brewer",
)
THINGS = pool(
    "apple,book,chair,lamp,table,bottle,shirt,shoe,hat,coat,pen,pencil,cup,plate,spoon,knife,phone,"
    "clock,radio,bag,box,key,door,window,bicycle,car,boat,tent,rope,hammer,nail,brick,candle,mirror,"
    "carpet,pillow,blanket,basket,bucket,ladder,brush,comb,ring,coin,stamp,letter,ticket,map,globe,"
    "guitar,piano,drum,violin,flute,ball,kite,puzzle,doll,train,truck,engine,wheel,screen,keyboard",
    "kettle,sofa,scarf,glove,wallet,camera,helmet,shovel,towel,mug,drawer,trumpet,scooter,magnet",
)
COLOURS = pool(
    "red,blue,green,yellow,black,white,brown,orange,purple,pink,grey,silver,gold,beige,navy,cyan",
    "teal,violet,crimson,ivory,amber,maroon",
)
ANIMALS = pool(
    "dog,cat,horse,cow,sheep,goat,pig,hen,duck,goose,rabbit,mouse,parrot,turtle,hamster,donkey,"
    "fox,wolf,bear,lion,tiger,whale,shark,eagle,owl,frog,snake,bee,ant,spider,elephant,giraffe",
    "ferret,lizard,pigeon,badger,otter,moose,heron,beetle,zebra,falcon",
)
DAYS = pool("Monday,Tuesday,Wednesday,Thursday,Friday", "Saturday,Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
FOODS = pool(
    "bread,soup,pizza,pasta,rice,cheese,salad,cake,pancakes,curry,stew,chocolate,coffee,tea,eggs,"
    "potatoes,fish,noodles,cookies,pie,sandwich,beans,honey,jam,butter",
    "lasagne,omelette,dumplings,risotto,waffles,goulash,hummus,porridge",
)
TOPICS = pool(
    "the moon,the sun,black holes,gravity,volcanoes,dinosaurs,the ocean,electricity,magnets,light,"
    "the brain,the heart,vitamins,viruses,bacteria,photosynthesis,evolution,atoms,chemistry,physics,"
    "the Roman Empire,Napoleon,the French Revolution,world war two,ancient Egypt,the Vikings,"
    "the stock market,inflation,taxes,bitcoin,interest rates,mortgages,insurance,marketing,"
    "football,tennis,chess,the Olympics,basketball,golf,cricket,cycling,music,jazz,opera,rock music,"
    "painting,Picasso,Shakespeare,novels,films,philosophy,Plato,religion,psychology,history,politics,"
    "elections,climate change,solar panels,nuclear power,electric cars,rockets,satellites,robots,"
    "computers,the internet,Python,JavaScript,Linux,databases,machine learning,quantum computers,"
    "cooking,baking,gardening,roses,trees,birds,whales,bees,cats,dogs,horses,France,Japan,Brazil,"
    "India,China,Germany,Africa,the Alps,the Amazon,Antarctica,mountains,rivers,earthquakes,the law,"
    "contracts,diabetes,headaches,sleep,diets,yoga,love,friendship,war,money,school,time travel",
    "Saturn,comets,penguins,the Renaissance,Beethoven,ballet,surfing,algebra,Iceland,Mongolia,"
    "glaciers,telescopes,hurricanes,asthma,pensions,sculpture,Rust,coral reefs,the Aztecs,vaccines,"
    "skiing,semiconductors,butterflies,Shintoism,archaeology",
)
COUNTRIES = pool(
    "France,Germany,Spain,Italy,Japan,China,India,Brazil,Peru,Chile,Egypt,Kenya,Ghana,Norway,Sweden,"
    "Finland,Poland,Greece,Turkey,Iran,Canada,Mexico,Cuba,Australia,Portugal,Ireland,Austria,Russia",
    "Iceland,Bolivia,Nepal,Estonia,Vietnam,Morocco,Belgium,Uruguay,Hungary,Mongolia",
)
PEOPLE = pool(
    "Einstein,Newton,Napoleon,Mozart,Picasso,Shakespeare,Darwin,Cleopatra,Gandhi,Lincoln,Tesla,"
    "Galileo,Marie Curie,Caesar,Plato,Columbus,Elvis,Madonna,the president,the king,the pope",
    "Beethoven,Aristotle,Ada Lovelace,Kepler,Nelson Mandela,Rembrandt,the prime minister,Chopin",
)
LANGUAGES = pool(
    "French,German,Spanish,Italian,Japanese,Chinese,Russian,Arabic,Dutch,Greek,Turkish,Polish,Hindi",
    "Swedish,Korean,Portuguese,Hebrew,Finnish,Latin",
)
CODE = pool(
    "Python,JavaScript,Java,C,Go,SQL,Bash,HTML,PHP,Ruby,TypeScript,Swift,Perl,Kotlin",
    "Rust,Haskell,Lua,Scala,Fortran,Julia",
)
FILES = pool(
    "notes,report,photos,music,docs,letters,work,backup,plans,recipes,taxes,videos,code",
    "archive,drafts,invoices,sketches,journal",
)

# Real words in lower case whose halves make new ones.
HALVES = tuple(
    word.lower()
    for words in (NAMES, CITIES, JOBS, THINGS, ANIMALS, FOODS)
    for word in words.train
    if word.isalpha() and len(word) > 3
)


def person(rng: random.Random, held: bool = False) -> str:
    """A first name; a third of them invented, so that copying is learned and not a list."""
    if rng.random() < 0.35:
        return invented(rng, held).capitalize()
    return NAMES.draw(rng, held)


def city(rng: random.Random, held: bool = False) -> str:
    if rng.random() < 0.25:
        return invented(rng, held).capitalize()
    return CITIES.draw(rng, held)


def full_name(rng: random.Random, held: bool = False) -> str:
    return f"{person(rng, held)} {invented(rng, held).capitalize()}"


def clock(rng: random.Random) -> str:
    return f"{rng.randrange(0, 24):02d}:{rng.choice((0, 5, 10, 15, 20, 30, 40, 45, 50)):02d}"


def date(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"
    return f"20{rng.randrange(20, 40)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"


def any_word(rng: random.Random, held: bool = False) -> str:
    """A word of any kind, for copying."""
    kind = rng.randrange(8)
    if kind < 2:
        return invented(rng, held)
    if kind == 2:
        return str(rng.randrange(0, 1000))
    if kind == 3:
        return person(rng, held)
    return rng.choice((THINGS, COLOURS, ANIMALS, FOODS)).draw(rng, held)


def is_held(value: object) -> bool:
    """Which side of the fence an open-ended value stands on: one in eight belongs to the evaluation, for ever."""
    return zlib.crc32(str(value).encode()) % 8 == 0


def fenced(draw: Callable[[], Value], held: bool) -> Value:
    """Draws until the value stands on the right side. `draw` needs some hundred possible values or this may loop for long."""
    while is_held(value := draw()) != held:
        pass
    return value


def fresh(rng: random.Random, held: bool = False) -> str:
    """A word without a list behind it, lower case: syllables, halves of two words, or plain letters. It can only be copied."""

    def draw() -> str:
        kind = rng.random()
        if kind < 0.45:
            body = "".join(rng.choice(STARTS) + rng.choice(VOWELS) for _ in range(rng.choice((1, 2, 2, 3))))
            return body + rng.choice(TRAIN_ENDS + HELD_ENDS)
        if kind < 0.8:
            front, back = rng.choice(HALVES), rng.choice(HALVES)
            return front[: rng.randrange(2, 5)] + back[-rng.randrange(2, 5) :]
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(3, 8)))

    return fenced(draw, held)


def number(rng: random.Random, held: bool = False, low: int = 1, high: int = 9999) -> int:
    """A whole number from `low` to below `high` (a span of 100 or more) on its side of the fence."""
    return fenced(lambda: rng.randrange(low, high), held)


def code(rng: random.Random, held: bool = False) -> str:
    """A code of letters and digits, like KX-4821 or 77f2a."""

    def draw() -> str:
        letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randrange(1, 4)))
        digits = str(rng.randrange(10, 99999))
        return rng.choice((f"{letters}-{digits}", letters + digits, f"{digits}{letters.lower()}"))

    return fenced(draw, held)
