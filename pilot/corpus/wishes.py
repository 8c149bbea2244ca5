"""How people ask for each tool of `fixtures/tools.json`: wordings to learn from, and wordings held out.

A wording is a pattern of `phrases.say`; its blanks are filled by the draws of `fillings.py`. A pattern that starts with `!` is an
order and may take a polite lead ("could you", "please").
Promises: a held wording is a new sentence of words that the training wordings use too; of two tools that are easily confused
each wording names what decides (the memory, the documents, the web, a folder, a file).
Does not cover: the values in the blanks, the arguments and the results (`fillings.py`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """Patterns of one form of a wish."""

    asks: tuple[str, ...]
    held: tuple[str, ...]


LEADS = (
    *("",) * 9,
    "please ",
    "please ",
    "can you ",
    "can you please ",
    "could you ",
    "would you ",
    "will you ",
    "i want you to ",
    "i need you to ",
    "i would like you to ",
    "now ",
    "next, ",
    "go ahead and ",
    "kindly ",
    "you should ",
    "i wish you would ",
)
LEADS_HELD = ("", "", "", "could you please ", "now please ", "would you kindly ", "i would like you to please ")

SUMS = {
    "calculate.symbols": Wording(
        (
            "(what is|what's|whats|how much is) {e}(?|)",
            "!(calculate|compute|work out|solve|evaluate) {e}",
            "!(calculate|compute|work out|solve|do) (this sum|the sum|the expression)(:|) {e}",
            "{e}( =| = ?|)",
            "what (does {e} (make|give|come to)|do you get for {e}|would {e} be)?",
            "!(give|tell) me (the result|the value|the answer|the total) of {e}",
            "i (need|want|would like) (the result|the value|the answer|the total) of {e}",
            "{e}: (what is the (result|answer|total)?|(give|tell) me the (result|value|total))",
            "i (want|need|would like) to know (what|how much) {e} is",
            "!tell me (what|how much) {e} (is|makes|comes to)",
            "(sum|result|total|math): {e}",
            "do you know (what|how much) {e} (is|makes|gives)?",
        ),
        (
            "what result does {e} give?",
            "!solve this for me: {e}",
            "how much do you get for {e}?",
            "i would like you to give me the total: {e}",
            "i want to know the answer of {e}",
            "{e}: how much does it make?",
        ),
    ),
    "calculate.spoken": Wording(
        (
            "(what is|what's|whats|how much is) {e}?",
            "!(calculate|compute|work out|evaluate) {e}",
            "{e}",
            "what (does {e} (make|give|come to)|do you get for {e})?",
            "!(give|tell) me {e}",
            "i (need|want) (to know|the result of|the value of) {e}",
            "do you know (what|how much) {e} is?",
            "(sum|math): {e}",
        ),
        (
            "i would like to know what {e} is",
            "what is the value of {e}?",
            "!tell me how much {e} is",
        ),
    ),
    "calculate.add": Wording(
        ("!add {a} to {b}", "!add {a} and {b}", "!add up {a} and {b}", "(what|how much) is {a} added to {b}?"),
        ("what do you get if you add {a} to {b}?", "!give me {a} added to {b}", "how much is it if i add {a} and {b}?"),
    ),
    "calculate.take": Wording(
        (
            "!(subtract|take|take away) {a} from {b}",
            "(what|how much) is {a} (subtracted|taken) from {b}?",
            "what is left (if|when) (you|i) (take|subtract) {a} from {b}?",
            "what do (you|i) get if (you|i) subtract {a} from {b}?",
        ),
        ("how much is left if i subtract {a} from {b}?", "what do i get when i take {a} away from {b}?"),
    ),
    "calculate.multiply": Wording(
        (
            "!multiply {a} (by|with) {b}",
            "(what|how much) is {a} multiplied by {b}?",
            "what do (you|i) get if (you|i) multiply {a} by {b}?",
        ),
        ("how much is it if i multiply {a} by {b}?", "!tell me what {a} multiplied by {b} is"),
    ),
    "calculate.divide": Wording(
        (
            "!divide {a} by {b}",
            "(what|how much) is {a} divided by {b}?",
            "what do (you|i) get if (you|i) divide {a} by {b}?",
        ),
        ("how much is it if i divide {a} by {b}?", "!tell me what {a} divided by {b} is"),
    ),
    "calculate.percent": Wording(
        (
            "(what is|what's|how much is) {p} of {b}?",
            "!(calculate|compute|work out) {p} of {b}",
            "{p} of {b}( =|)",
            "!(give|tell) me {p} of {b}",
            "i (need|want) (to know|) {p} of {b}",
            "what does {p} of {b} (make|come to)?",
        ),
        (
            "i would like to know how much {p} of {b} is",
            "what do you get for {p} of {b}?",
            "i want to know what {p} of {b} is",
        ),
    ),
    "convert_units": Wording(
        (
            "!(convert {v} {f} (to|into|in)|(change|turn|translate) {v} {f} into) {t}",
            "(what is|what's|how much is) {v} {f} in {t}?",
            "how many {t} (are|is) {v} {f}?",
            "how many {t} (are there in|make|do you get for|go into) {v} {f}?",
            "{v} {f} (in|to|as|into) {t}( please|?|)",
            "!(express|give me|show|write) {v} {f} (in|as) {t}",
            "i have {v} {f}, (how many {t} is that|how much is that in {t})?",
            "i (need|want) {v} {f} in {t}",
            "!tell me (how many {t} {v} {f} are|what {v} {f} is in {t})",
            "what (would {v} {f} be|does {v} {f} make) in {t}?",
            "units: {v} {f} to {t}",
            "in {t}, (what|how much) is {v} {f}?",
        ),
        (
            "how much would {v} {f} make in {t}?",
            "!tell me what you get for {v} {f} in {t}",
            "i want to convert {v} {f} to {t}",
            "in {t}, how many is {v} {f}?",
            "{v} {f}: how many {t} are there in that?",
        ),
    ),
}

TIMES = {
    "add_days.after": Wording(
        (
            "!add {n} days to {d}",
            "(what|which) (date|day) (is|comes|will it be|falls) {n} days after {d}?",
            "(what is|what's|give me|tell me|show me) the (date|day) {n} days (after|from) {d}",
            "{n} days (after|from) {d}(?|)",
            "{d} plus {n} days(?|)",
            "what is {d} plus {n} days?",
            "!count {n} days (on |forward |)from {d}",
            "(it starts|we begin|we start) on {d}, (what|which) date (is|comes) {n} days later?",
            "when is it {n} days after {d}?",
            "from {d}, {n} days later: (which|what) (date|day)?",
        ),
        (
            "which day is it {n} days from {d}?",
            "if we start on {d}, what date is {n} days later?",
            "!tell me the date that comes {n} days after {d}",
            "when is {d} plus {n} days?",
        ),
    ),
    "add_days.before": Wording(
        (
            "!(subtract|take) {n} days from {d}",
            "(what|which) (date|day) (is|was|comes) {n} days before {d}?",
            "(what is|what's|give me|tell me) the (date|day) {n} days before {d}",
            "{n} days before {d}(?|)",
            "{d} minus {n} days(?|)",
            "!(go|count) back {n} days from {d}",
            "it ends on {d}, (what|which) (date|day) (is|was) {n} days earlier?",
        ),
        (
            "which day was it {n} days before {d}?",
            "what is {d} minus {n} days?",
            "!tell me the date that comes {n} days before {d}",
        ),
    ),
    "current_time": Wording(
        (
            "(what|which) (time|date|day) is it( now| today| right now|)?",
            "(what is|what's|whats) the (time|date|current time|current date|date today|hour|time now)?",
            "!(tell|give|show) me the (time|date|hour|current time|current date|date and the time)( now|)",
            "!(check|look at|read) the (clock|time|date|calendar)( now|)",
            "(time|date|current time|date and time|today's date|the hour)( now| please|?|)",
            "(what's|what is) (today's date|today)?",
            "do you (know (what time it is|what day it is|the hour)|have (the time|the date))?",
            "what day (of the month|of the week) (is it|do we have)( today|)?",
            "how late is it( now|)?",
            "i (need|want) (to know |)the (time|date|hour)( now| right now|)",
            "is it (late|morning|evening|monday|friday) (already|now)?",
        ),
        (
            "do you have the current date?",
            "!tell me what time it is now",
            "which date do we have today?",
            "i want to know what day it is",
            "!check what time it is right now",
        ),
    ),
    "set_timer.plain": Wording(
        (
            "!(set|start|make|run|put on) a timer (for|of) {m}",
            "!set (the|my) timer (for|to) {m}",
            "timer( for|:|) {m}",
            "(i need|i want|i would like|give me) a timer (of|for) {m}",
            "!(count down|time) {m}( for me|)",
            "!(wake me|wake me up|ring|call me) (in|after) {m}",
            "!let me know (in {m}( from now|)|after {m}|when {m} (are over|have passed))",
            "{m} (on the|on a) timer",
            "!remind me (in|after) {m}",
            "!tell me when {m} (are over|have passed)",
        ),
        (
            "!start the timer: {m}",
            "a timer for me, please: {m}",
            "!let the timer run for {m}",
            "in {m} from now, call me",
            "a timer should ring after {m}",
        ),
    ),
    "set_timer.label": Wording(
        (
            "!(set|start|make) a timer (for|of) {m} (called|named|for|for the) {l}",
            "!(set|start|make) (a|the) {l} timer (for|of|over) {m}",
            "!(set|start) a timer (called|named) {l} (for|of|to) {m}",
            "{l} timer(,|:|) {m}",
            "timer {l}(,|:|) {m}",
            "timer (for|of) {m}(,|:) {l}",
            "(i need|i want|give me) a timer for {l}(,|:) {m}",
            "the {l} (takes|needs) {m}(, set a timer|, start a timer|, please time it|)",
            "!count down {m} for the {l}",
            "{m} for the {l}, (please set|set|start|i need) a timer",
        ),
        (
            "the {l} needs a timer of {m}",
            "!put on a timer for the {l}: {m}",
            "i want a {l} timer of {m}",
            "!start a timer for {m} and call it {l}",
            "i need a timer named {l} for {m}",
        ),
    ),
    "set_timer.remind": Wording(
        (
            "!remind me (in|after) {m} to {l}",
            "in {m}, (remind|tell) me to {l}",
            "!set a timer for {m} to {l}",
            "!let me know in {m} to {l}",
            "!tell me to {l} (in|after) {m}",
            "reminder in {m}: {l}",
            "i (have|need|want) to {l} in {m}, (remind me|set a timer)",
        ),
        (
            "!remind me to {l} after {m}",
            "in {m} i need to {l}, set a timer",
            "after {m}, tell me to {l}",
        ),
    ),
}

MEMORY = {
    "remember": Wording(
        (
            "!(remember|memorise|keep in mind|bear in mind|keep in memory|store in memory|save in memory) that {x}",
            "!(remember|memorise|keep in mind|keep in memory|save to memory|put in your memory)( this|): {x}",
            "(do not|don't|never|please do not|you must not) (ever |)forget that {x}",
            "!(store|save|keep|put) (the fact|the information) that {x} in (your|the) memory",
            "!(store|save|put) in (your|the) memory (the fact |)that {x}",
            "!make sure (you|that you|to) (remember|know|never forget) that {x}",
            "{x}(.|,|;) (please |)(remember|memorise) (that|this)( for later| for me|)(.|)",
            "{x}(.|,) (please |)keep (that|this) in (mind|memory)(.|)",
            "(for your memory|for later|a fact for your memory|a fact to remember|something to remember): {x}",
            "(you should|you must|you have to|i want you to) (remember|know for later|keep in memory) that {x}",
            "!remember for (me|later|next time)(:| that) {x}",
            "!learn this fact about me: {x}",
        ),
        (
            "!keep this fact in mind: {x}",
            "never forget this about me: {x}",
            "!make sure that you keep in mind that {x}",
            "!put this in your memory for later: {x}",
            "you must never forget that {x}",
            "something to keep in mind for later: {x}",
        ),
    ),
    "recall": Wording(
        (
            "what (do|can) you (still |)(remember|recall) about {q}?",
            "what (did i (tell you|say to you)|have i told you) (about|on) {q}?",
            "what (did i (say|tell you|mention)|have i (said|told you)) about {q}( before| last time| earlier|)?",
            "do you (remember|recall|still remember|still know) (anything|something|what i said|what i told you) about {q}?",
            "!(search|look in|check|look through) (your|the) memory (for|about) {q}",
            "!recall (everything|anything|what you know|what i said|the facts) about {q}",
            "(have i (ever |)(told you|said|mentioned)"
            "|did i (ever |)(tell you|say|mention)) (anything|something) about {q}( before|)?",
            "what (is|do you have|have you got|is stored) in (your|the) memory (about|on) {q}?",
            "!remind me (what|of what) i (said|told you) about {q}",
            "(memory|recall): {q}(?|)",
            "!look up {q} in (your|the) memory",
            "do you remember {q}?",
            "is there (anything|something) (about|on) {q} in (your|the) memory?",
        ),
        (
            "what do you remember that i said about {q}?",
            "!look in your memory for what i said about {q}",
            "did i mention anything on {q} before?",
            "what is in your memory that i said about {q}?",
            "!tell me what i told you before about {q}",
        ),
    ),
    "forget": Wording(
        (
            "!forget (that|the fact that) {x}",
            "!forget( this|): {x}",
            "!(remove|delete|erase|drop) from (your|the) memory(:| that| the fact that) {x}",
            "!(remove|delete|erase|drop) (the fact |)that {x} from (your|the) memory",
            "!((remove|delete|erase) {x} from|take {x} out of) (your|the) memory",
            "it is (no longer|not) true that {x}(, forget it|, so forget it|; please forget that)",
            "you (can|may|should) (now |)forget that {x}",
            "!stop (remembering|keeping in mind|keeping in memory) that {x}",
            "(do not|you should not|you should no longer) (remember|keep in memory) that {x}",
            "(memory, delete|delete a fact|a fact to forget|forget this fact): {x}",
            "{x}(, but|:|,) that is (wrong|not true|no longer true)(, please|, so|,) forget it",
        ),
        (
            "!drop this fact from your memory: {x}",
            "it is no longer true that {x}, so delete it from memory",
            "you may delete from your memory that {x}",
            "you should no longer remember that {x}, delete it",
            "!erase this from memory: {x}",
        ),
    ),
    "add_note": Wording(
        (
            "!(write|make|add|create|take|save) a (new |)note (called|titled|named|with the title) {n}( that says|"
            " saying| with the text|:) {x}",
            "!(write|add|make|create) a note: title {n}, text {x}",
            "(new note|note|make a note|add a note|a note)(, title| called| titled|) {n}: {x}",
            "!put {x} (in|into) a (new |)note (called|titled|named) {n}",
            "!(write|note) down {x} (under the title|in a note called|in a note titled) {n}",
            "(i need|i want|i'd like) a note (called|titled|named) {n} (saying|that says|with the text|with) {x}",
            "!note {x} under the title {n}",
            "a note for me(,|:) title {n}, text: {x}",
            "!add to my notes, title {n}: {x}",
            "!add {x} to my notes (under|as|with the title) {n}",
        ),
        (
            "!note down a new note titled {n}: {x}",
            "i want you to save {x} in a note titled {n}",
            "!create a note with the title {n}, saying {x}",
            "my note {n} should say {x}, please write it",
            "in my notes, under the title {n}, write {x}",
        ),
    ),
}

FILES = {
    "list_files": Wording(
        (
            "!(list|show|show me|give me|name) (the|all|all the) files (in|of|inside|under) (the folder |folder |){d}",
            "!(list|show me) (the |)(folder|directory|contents of the folder) {d}",
            "(what|which) files (are|are there|do i have|can you see|lie) (in|inside|under) (the folder |){d}?",
            "(what is|what's|what do i have|what lies) in (the|my) (folder|directory) {d}?",
            "what (does the (folder|directory) {d} (hold|contain|have)|is there in the (folder|directory) {d})?",
            "files (in|of) {d}(?|)",
            "(folder|directory) {d}: (which|what) files?",
            "ls {d}",
            "!look (into|in|inside) the (folder|directory) {d}( and list the files| and name the files|)",
            "i (want|need) (to see |)(a list of |)(the|all) files (in|of) {d}",
            "(a list of|the names of) (the|all) files (in|inside) {d}( please|)",
            "how many files (are|lie) in (the folder |){d}?",
        ),
        (
            "which files does the folder {d} contain?",
            "!name all files that lie in {d}",
            "i want to see what is in the directory {d}",
            "what do i have inside the folder {d}?",
            "!give me a list of what the folder {d} has",
        ),
    ),
    "read_file": Wording(
        (
            "!(read|open|show|show me|print|display) (the file |file |my file |){p}",
            "!(read|show) (me |)(the contents|the content|the text) of (the file |){p}",
            "what does (the file |file |){p} (say|contain|hold)?",
            "(what is|what's|what stands|what is written) in (the file |file |){p}?",
            "(contents|content|text) of (the file |){p}( please|?|)",
            "i (want|need|would like) to (see|read) (the file |what is in |){p}",
            "cat {p}",
            "!(have a look|look|take a look) (at|into) (the file |){p}( and read it| for me|)",
            "!read {p} (to me|aloud|for me)",
            "!tell me what (is|stands|is written) in (the file |){p}",
            "what did i write in {p}?",
            "!get me the (text|contents) of {p}",
        ),
        (
            "what text does the file {p} hold?",
            "!tell me what the file {p} says",
            "i would like to see what is written in {p}",
            "!take a look at what is in {p}",
            "{p}: read me the text of this file",
        ),
    ),
    "write_file": Wording(
        (
            "!(write|save|put|store) {x} (to|in|into) (the file |a file called |a file named |file |){p}",
            "!(write|save|put) the (text|words|line) {x} (to|in|into) (the file |){p}",
            "!(create|make|write) (the file|a file|a new file|the new file) {p} (with|containing|with the text|that says) {x}",
            "!(create|write|make) {p} (with|containing|with the text|and write in it)(:|) {x}",
            "!(write|save) (to|in|into) (the file |){p}(:| the text| this text:| the words) {x}",
            "(file|new file|save file) {p}: {x}",
            "{p} should (contain|say|hold) {x}(, please write it|, write that file|, write it|)",
            "i (want|need) a file {p} (with|containing|that says|with the text) {x}",
            "!save this (text |)(as|to|in|under) {p}: {x}",
            "!store the (text|line) {x} (as|under) {p}",
        ),
        (
            "!make a new file called {p} and write in it {x}",
            "i need the text {x} in the file {p}, please save it",
            "the file {p} should say {x}, please create it",
            "!save the line {x} as the file {p}",
            "!put this text into {p}: {x}",
        ),
    ),
    "search_files": Wording(
        (
            "!(search|search in|look in|look through|check) "
            "(the files|all files|my files) (in|of|inside|under) (the folder |){d}"
            " for {q}",
            "!(search|look through|go through) (the folder |the files of |the files in ){d} for {q}",
            "!(find|look for|search for|search) {q} in the files (in|of|inside|under) (the folder |){d}",
            "(which|what) files (in|of|under) (the folder |){d} (mention|contain|speak of|have|talk about) {q}?",
            "!(find|show me|list) the files (in|of) (the folder |){d} (that|which) (mention|contain|speak of|have) {q}",
            "(where|in which file) (in|of) (the folder |){d} (is|do i mention|do i find) {q}?",
            "(does any file (in|of) (the folder |){d} (mention|contain)"
            "|is there a file in (the folder |){d} that (mentions|contains)) {q}?",
            "grep {q} in the folder {d}",
            "!(find|look for|search for) {q} in the folder {d}",
            "in (the files of|the folder) {d}, (find|search for|look for) {q}",
        ),
        (
            "in the folder {d}, which files mention {q}?",
            "!go through the files of {d} and find {q}",
            "is {q} in any file of the folder {d}?",
            "!look inside all files under {d} for {q}",
            "find me the files in the folder {d} that have {q}",
        ),
    ),
    "search_knowledge": Wording(
        (
            "!(search|look in|look through|check) (the knowledge|the knowledge base|the ingested documents|my documents) for {q}",
            "!ask (the knowledge|the knowledge base|my documents) about {q}",
            "what (do (my|the|the ingested|our) documents|does (my|the) knowledge( base|)) (say|have) (about|on) {q}?",
            "!(look up|find|search for|search) {q} in (the|my) (knowledge|knowledge base|documents|ingested documents)",
            "(according to|from) (my|the|the ingested) documents, (what is|what about) {q}?",
            "is there (anything|something) (about|on) {q} in (the knowledge|my documents|the ingested documents)?",
            "(do (my|the|our|the ingested) documents|does the knowledge base) (mention|say anything about|speak of|cover) {q}?",
            "!tell me what (my|the|the ingested) documents say (about|on) {q}",
            "(knowledge|documents|knowledge base): {q}",
            "{q}: what (do my documents|does the knowledge base) (say|have)?",
            "which (of my|of the|ingested|of the ingested) documents (mention|cover|speak of) {q}?",
        ),
        (
            "what is there about {q} in the ingested documents?",
            "!ask the knowledge base what it has on {q}",
            "according to the knowledge base, what about {q}?",
            "!search what i ingested, my documents, for {q}",
            "i want to know what my documents say on {q}",
        ),
    ),
    "ingest": Wording(
        (
            "!(ingest|index|learn|study) {fp}",
            "!(import|bring|read|put|take|load|add) {fp} into (the|my|your) knowledge( base|)",
            "!add {fp} to (the|my|your) knowledge( base|)",
            "!(ingest|index|learn|study) (everything in|what is in) {p}( for the knowledge|)",
            "!(put|take|bring) (everything in|what is in) {p} into (the|my|your) knowledge( base|)",
            "!make {fp} (part of|searchable in) the knowledge( base|)",
            "(ingest|index|into the knowledge|add to the knowledge|knowledge, add): {p}",
            "i (want|need) {fp} (in|added to|ingested into) the knowledge( base|)",
            "{fp} (should|must) (go into|be in|be ingested into) the knowledge( base|)",
            "!add to (the|your) knowledge( base|) {fp}",
            "!fill the knowledge( base|) (with|from) {fp}",
        ),
        (
            "into the knowledge base should go {fp}",
            "!read {fp} and add it to your knowledge",
            "!study what is in {p} and put it into the knowledge",
            "i need everything in {p} to go into the knowledge base",
            "{fp}: ingest it, please",
        ),
    ),
}

WORLD = {
    "run_code": Wording(
        (
            "!(run|execute|try) (the|a line of|some) (Python|python|Python code|python code|code): {c}",
            "!(run|execute|try) (this|the following|my) (Python|python|Python code|code|python code)(:|) {c}",
            "(what does (this|the) (Python |python |)code print|what is the output of (this|the) (Python |python |)code)(:|) {c}",
            "(python|Python|code|run code|python code)(:|) {c}",
            "{c} (in Python|in python|as Python code)( please|, run it|)",
            "!(run|execute|try) {c} (in Python|in python|as code|with Python|in the Python sandbox)",
            "i (want|need) (to run|to execute|the output of) (this|the) (Python |python |)code(:|) {c}",
            "!use Python(:| to run| to execute) {c}",
            "here is (some|my|the) (Python|code|Python code)(, run it|, try it|, please execute it| to run|): {c}",
        ),
        (
            "!execute in Python: {c}",
            "what does Python print for this code: {c}",
            "i have some Python code to run: {c}",
            "here is a line to run with Python: {c}",
            "!give me the output of this python: {c}",
        ),
    ),
    "run_shell": Wording(
        (
            "!(run|execute|try|start) (this|the|the following|my) (shell command|command|command line)(:|) {c}",
            "!(run|execute|try|do) {c} (in the shell|in a shell|on the command line|in the terminal|in bash)",
            "(shell|bash|terminal|command|command line|shell command): {c}",
            "(in the shell|on the command line|in the terminal|in bash)(:|,) {c}",
            "(what does the (shell |)command {c} print|what is the output of the (shell |)command {c})",
            "i (want|need) (to run|to execute|the output of) the (command|shell command) {c}",
            "!(use|open) (the shell|the terminal|bash) (to run|and run|and type) {c}",
            "!type {c} (in|into) (the shell|the terminal)",
            "{c} (in the shell|in the terminal|as a shell command)( please|, run it|)",
        ),
        (
            "!execute in the shell: {c}",
            "what does the shell print for the command {c}",
            "i need you to type {c} on the command line",
            "!give me the output of the shell command {c}",
            "i have a command for the terminal: {c}",
        ),
    ),
    "web_search": Wording(
        (
            "!(search the|check the|look on the|browse the) (web|internet|net) for {q}",
            "!(look|search) online for {q}",
            "!(look up|find|search|search for|google|look for) {q} (on the web|on the internet|online|on the net)",
            "!(google|web search|search online for|search the net for) {q}",
            "what (does (the web|the internet|the net)|do web pages) (say|have) (about|on) {q}?",
            "(web|web search|internet|online): {q}",
            "is there (anything|something) (about|on) {q} (on the web|on the internet|online)?",
            "(find|get) me (news|pages|something|information|web pages) (about|on) {q} from (the web|the internet)",
            "what can (you|i) find (about|on) {q} (online|on the web|on the internet)?",
            "i (need|want) (a|to do a) (web search|search of the web) (about|for|on) {q}",
            "!use the (web|internet) to (find|look up|search for) {q}",
        ),
        (
            "!check online what there is about {q}",
            "what does the net have on {q}? search the web",
            "google what the internet says about {q}",
            "!do a search on the web for {q}",
            "can you find web pages on {q}?",
        ),
    ),
    "web_fetch": Wording(
        (
            "!(fetch|get|open|load|download|read|visit|show me) (the page |the web page |the site |the url |){u}",
            "(what is|what's) (on|at) (the page |the web page |the site |){u}?",
            "what does (the page|the web page|the site|) {u} (say|show|contain)?",
            "!(go to|visit|look at|have a look at) {u}( and read it| for me| and tell me what it says|)",
            "(page|url|fetch|link|web page): {u}",
            "here is (a|the) (link|url|page)(, fetch it|, open it|, read it| to read| to open|): {u}",
            "i (want|need) (to read |to see |)(the page|the text of the page|the contents of|the text of) {u}",
            "!(fetch|get|read) (me |)the (text|contents) (of|at|from) {u}",
            "{u}, (please fetch|fetch|open|read) (it|that|this page)",
        ),
        (
            "what does it say at {u}?",
            "!get the text that is on the web page {u}",
            "i want to see what the site {u} shows",
            "!have a look at the link {u}",
            "here is the url of a page to read: {u}",
        ),
    ),
}

MACHINE = {
    "system_status": Wording(
        (
            "(how is|how's) (the system|the machine|the computer|my computer|this machine)( doing| running| now|)?",
            "!(show me|check|give me|tell me) the (system status|status of the system|state of the machine)",
            "!(check|show) the (system|machine|processor|system status|memory use|processor load)",
            "how (busy|loaded|hot) is the (processor|machine|computer|system)?",
            "how much (memory|ram) (is left|is free|is used|is in use|does the machine have|does the computer have left)( now|)?",
            "(which|what) models (are (loaded|running|in use|installed)( now|)|do you have)?",
            "(system status|status|system|machine status|processor load|memory use)( please|?|)",
            "is the (processor|machine|computer|system) (busy|under load|all right|fine|ok)?",
            "is there (enough|any) (memory|ram) (left|free)?",
            "what is the (state|status|load) of (the system|the machine|the processor|this computer)?",
            "(i want|i need) (to see|to know) (the system status|how busy the machine is|how the system is doing)",
        ),
        (
            "how much ram is there left on the computer?",
            "!tell me how the machine is doing",
            "is this machine under load?",
            "which models are in use now, and how busy is the processor?",
            "i need to know how much memory is free",
        ),
    ),
    "load_model": Wording(
        (
            "!(load|start|open|bring up) (the model |model |my model |){m}( into memory| for me|)",
            "!(switch|change) (over |)to (the model |model |){m}",
            "!(use|take|run) (the model |model |){m}( from now on| instead| as the model|)",
            "(load|load model|model|switch to): {m}",
            "i (want|need|would like) (the model |to use the model |to load |to work with the model ){m}(| now| loaded)",
            "!(make|get) (the model |){m} (ready|ready for use)",
            "!put (the model |){m} into memory",
            "can (i|we) (have|use|talk to) the model {m}?",
            "{m} (should be|is) the model to (load|use)( now|)",
            "{m} (should|must) be loaded( now|)",
        ),
        (
            "!bring the model {m} into memory",
            "we would like to work with {m}, load it",
            "!get ready to use the model {m}",
            "from now on i want to talk to the model {m}",
            "the model to switch to is {m}",
        ),
    ),
    "start_process": Wording(
        (
            "!(start|launch|begin|run|kick off) (the|a|a long|a new) process (called |named |){n} (with|of|over|for) {s} steps",
            "!(start|launch|begin|kick off) {n} (with|as a process of|as a process with|for) {s} steps",
            "!(start|launch|run|begin) a (long |)process (of|with) {s} steps (called|named|and call it|and name it) {n}",
            "(process|new process|start process|long process)(:|) {n}, {s} steps",
            "i (want|need) (a|a long|a new) process (called |named |){n} (with|of) {s} steps",
            "process {n} (should|must) (start with|begin with|run for|run with) {s} steps",
            "!start a {s} step process (called|named) {n}",
            "!let (the process |){n} (run|go) (for|through|over) {s} steps",
        ),
        (
            "!launch the long process {n}, it has {s} steps",
            "a new process should begin: {n} with {s} steps",
            "!kick off a process of {s} steps and call it {n}",
            "i want {n} to run as a long process for {s} steps",
            "!let a new process called {n} go through {s} steps",
        ),
    ),
    "process_status": Wording(
        (
            "how far (is {n}|is the process {n}|has {n} come|has the process {n} come|has {n} got)( now|)?",
            "(is (the process|process) {n} (done|finished|ready|complete|still running)"
            "|has (the process|process) {n} finished)( yet| already|)?",
            "(what is|what's) the (status|progress|state) of (the process |process |){n}?",
            "!(check|check on|look at|show|show me) (the process |the progress of |the status of the process |progress of ){n}",
            "(status|progress|process status)( of|:) (the process |){n}",
            "how is (the process |process ){n} (doing|going|coming along|getting on)?",
            "(at which step is (the process |){n}|(which|what) step is (the process |){n} at"
            "|(which|what) step has the process {n} reached)( now|)?",
            "how many steps (has (the process |){n} (done|finished)|does {n} have left)?",
            "when will (the process |){n} be (done|finished|ready)?",
            "!tell me how far (the process |){n} (is|has got|has come)",
            "is {n} (still running|done yet|finished yet|running)?",
        ),
        (
            "has the process {n} come far yet?",
            "!show me how the process {n} is doing",
            "which step has {n} come to?",
            "is the process {n} ready, or is it still running?",
            "!look at how many steps {n} has finished",
        ),
    ),
    "ask_person": Wording(
        (
            "!ask (the person|the user|the human|me|your user)( this| the question| this question|)(:|) {q}",
            "!put (this|the|the following) question to (the person|the user|me|the human): {q}",
            "(question for|a question for|ask) (the person|the user|the human|me): {q}",
            "!(find out|get an answer|get the answer) from (the person|the user|me): {q}",
            "i want you to ask (the person|the user|me): {q}",
            "(the person|the user|the human) (must|has to|should) (answer|decide)(: | this: | this question: ){q}",
            "(before you go on|first|when you are ready), ask (the person|the user|me)(:|) {q}",
            "{q} (please ask|ask) (the person|the user|me) that",
        ),
        (
            "the human should answer the following question: {q}",
            "!get an answer to this from the user: {q}",
            "here is a question to put to the person: {q}",
            "the question to ask the human: {q}",
            "!find out and ask the person this: {q}",
        ),
    ),
    "spawn_agent": Wording(
        (
            "!(spawn|start|create|launch|call) (an|another|a new) agent as {ar} to {t}",
            "!(spawn|start|create|launch|call) {ar} agent to {t}",
            "!(let|have|make) {ar} agent {t}",
            "!(ask|tell|get) (another agent, {ar},|{ar} agent|the {r} agent) to {t}",
            "!(give|hand|pass) (the task|this task|this job) to {ar} agent: {t}",
            "(agent|new agent|spawn agent)(:|,) (role {r}, task {t}|{r}, {t}|{r}: {t})",
            "i (need|want) {ar} agent (to|who can|that can) {t}",
            "{ar} agent should {t}",
            "(a task for|this is for) {ar} agent: {t}",
            "!(give|hand) {ar} agent (the|this) task: {t}",
        ),
        (
            "!launch an agent in the role of {r} with the task: {t}",
            "!let another agent, {ar}, {t}",
            "a new {r} agent should {t}",
            "here is a task for {ar} agent: {t}",
            "this task is for {ar} agent: {t}",
        ),
    ),
}

WORDINGS: dict[str, Wording] = {**SUMS, **TIMES, **MEMORY, **FILES, **WORLD, **MACHINE}
