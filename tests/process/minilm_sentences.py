"""Five hundred texts for comparing embeddings, made from templates: long and short, prose, code and numbers, several languages.

Promises: always the same 500, each different; nine in ten in English, the rest in languages and scripts whose texts both
tokenizers cut alike (see `homefire/engines/embedding.py` for the ones they do not).
Does not cover: meaning; `APART` holds texts of the scripts that llama.cpp reads otherwise than BERT.
"""

from __future__ import annotations

import itertools
import random

WHO = [
    "The gardener",
    "My neighbour",
    "A tired engineer",
    "The old captain",
    "Nobody",
    "Our teacher",
    "The committee",
    "She",
]
DID = ["repaired", "forgot", "painted", "measured", "described", "sold", "photographed", "translated", "weighed", "hid"]
WHAT = ["the broken clock", "an unfinished letter", "seven wooden boats", "the river's depth", "a recipe for bread",
        "the minutes of the meeting", "a map of the harbour", "two kilograms of apples", "the quarterly report"]  # fmt: skip
WHEN = [
    "before breakfast",
    "in the spring of 1987",
    "while it rained",
    "without telling anyone",
    "for the third time",
    "at dawn",
]
ASK = ["How do I {} {}?", "Why would anyone {} {}?", "What happens if you {} {}?", "Who was the first to {} {}?"]
VERBS = ["sharpen", "insure", "calibrate", "borrow", "recycle", "assemble"]
CODE = [
    "def {0}(x):\n    return x ** {1} + {1}", "for (int i = 0; i < {1}; i++) {{ {0}[i] = i * 2; }}",
    "SELECT {0}, COUNT(*) FROM t{1} WHERE id > {1} GROUP BY {0};", "https://example.org/{0}/{1}?page={1}&sort=asc",
    "Error: {0}.c:{1}: undefined reference to `{0}_{1}'", "$ git commit -m \"{0}: fix #{1}\"", '{{"{0}": [{1}, null, true]}}',
]  # fmt: skip
NAMES = ["total", "readHeader", "user_name", "x86", "kvCache", "HTTPServer"]
NUMBERS = ["{} times {} is {}", "The price rose from €{}.50 to €{}.75, or {}%", "Flight LH{} leaves at {}:{} from gate B",
           "In {} there were {} of them, and in the year after {}", "+49 {} {}-{}"]  # fmt: skip
SHORT = ["Yes.", "No!", "Why?", "ok", "Hello", "bread", "42", "...", "a", "Thank you", "C++", "e=mc²", "N/A", "¿?", "👍", "Ωmega",
         "“quoted”", "naïve", "self-evident", "U.S.A."]  # fmt: skip
OTHER = [
    "Der Zug nach Köln fährt um {} Uhr ab, falls die Brücke geöffnet ist.", "Größere Mengen kosten {} Euro mehr.",
    "Où est la bibliothèque? Elle ferme à {} heures, même en été.", "L'élève a lu {} pages très vite.",
    "El niño comió {} plátanos mañana y añadió azúcar.", "¿Cuántos años tenía el señor en {}?",
    "La città è più bella con {} caffè aperti.", "O coração não sabe o que são {} ações.",
    "Příliš žluťoučký kůň úpěl {} ódy.", "Zażółć gęślą jaźń {} razy.", "Året har {} dagar på Åland.",
    "Kahve {} dakika içinde hazır olur, değil mi?", "Việt Nam có {} tỉnh và nhiều món ăn ngon.", "Ők {} őrült űrhajós.",
    "Поезд номер {} уходит с вокзала в полдень, ёлки зелёные.", "Το τρένο φεύγει σε {} ώρες από την Αθήνα.",
    "我们昨天买了{}本书。", "한국어 문장 {}개를 읽습니다.", "يوجد {} كتابا في المكتبة.", "ה{} ספרים בספרייה.",
]  # fmt: skip
# llama.cpp drops the vowel signs of these scripts, and pieces together words that BERT gives up.
APART = [
    "हिन्दी में एक छोटा वाक्य।", "বাংলা ভাষায় একটি বাক্য।", "தமிழில் ஒரு வாக்கியம்.", "తెలుగులో ఒక వాక్యం.",
    "a word of " + "x" * 101 + " letters",
]  # fmt: skip
COUNT = 500


def sentences() -> list[str]:
    """The 500."""
    dice = random.Random(500)
    prose = [f"{who} {did} {what} {when}." for who, did, what, when in itertools.product(WHO, DID, WHAT, WHEN)]
    dice.shuffle(prose)
    asked = [ask.format(verb, what) for ask, verb, what in itertools.product(ASK, VERBS, WHAT)]
    dice.shuffle(asked)
    code = [text.format(name, dice.randrange(2, 4096)) for text, name in itertools.product(CODE, NAMES)]
    counted = [text.format(*(dice.randrange(1, 10**size) for size in (1, 3, 5))) for text in NUMBERS for _ in range(8)]
    long = [" ".join(dice.sample(prose, size)) for size in (3, 5, 8, 12, 16) for _ in range(6)]
    other = [text.format(dice.randrange(2, 2000)) for text in OTHER for _ in range(2)]
    rest = [*SHORT, *code, *counted, *long, *other, *asked[:100]]
    return [*rest, *prose[: COUNT - len(rest)]]
