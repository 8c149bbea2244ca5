"""Which tools a model is shown: eight at most, those that fit the task, so that a small model is not drowned in a hundred.

By embedding of their descriptions where an embedding model is there, else by words: those of the name, the description and a
table of what people write when they want the tool. The order is always that of the offer, so that the prompt's beginning stays.
Promises: pure but for the vectors; `respond` and `ask_person` are always among them; a tool that was called stays.
Does not cover: what may be called (`safety/boundary.py`): one that is offered and not shown may be called too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from homefire.agent.needs import Embed
from homefire.safety.boundary import ToolSpec

MOST = 8
ALWAYS = ("respond", "ask_person")
# What people write who want a tool, beyond the words of its name and description.
CUES: Mapping[str, str] = {
    "calculate": r"\d\s*[-+*/x%]|percent|\b(?:sum|plus|minus|times|multipl|divid|subtract|add \d|work out|average|total)",
    "convert_units": r"\b(?:convert|how many) |\b(?:in|to|into) (?:miles|feet|inch|pounds|ounces|gallons|celsius|fahrenheit|kilo|"
    r"met(?:er|re)s|cm|km|kg|grams|lit(?:er|re)s|minutes|hours|seconds|days)",
    "add_days": r"\b(?:days?|weeks?) (?:after|before|from|later|ago)|deadline|wh(?:ich|at) date",
    "current_time": r"\b(?:time is it|what time|the time|today|what day|date is it|now\b)",
    "set_timer": r"\b(?:timer|alarm|remind me|wake me|in \d+ minutes)",
    "remember": r"\b(?:remember|keep (?:it|that|in mind)|don't forget|store (?:it|that))",
    "recall": r"\b(?:recall|wh(?:at|o|ere) (?:is|was|are) my|did i (?:say|tell)|do you (?:know|remember)|my )",
    "forget": r"\b(?:forget|remove .{0,30}from (?:your |the )?memory|no longer)",
    "add_note": r"\b(?:note|write (?:it |this |that )?down|jot)",
    "list_files": r"\b(?:which files|list|folder|directory|what is in)",
    "read_file": r"\b(?:read|open|show|look (?:in|at)|contents? of|says?)\b|\w\.\w{1,4}\b",
    "write_file": r"\b(?:write|save|create|put .{0,30}(?:in|into|to) )|\w\.\w{1,4}\b",
    "search_files": r"\b(?:search|find|look for|grep|where .{0,30}(?:stand|mention|occur))",
    "search_knowledge": r"\b(?:documents?|manual|handbook|knowledge|according to|papers?|policy|rules|contract)",
    "ingest": r"\b(?:ingest|take in|learn (?:the|this) folder|add .{0,30}to (?:the |my )?knowledge)",
    "run_code": r"\b(?:code|python|script|program|plot|simulate)",
    "run_shell": r"\b(?:shell|command|terminal|bash|run `)",
    "web_search": r"\b(?:web|internet|online|news|latest)",
    "web_fetch": r"https?://|\b(?:web ?page|website|url|link)",
    "system_status": r"\b(?:memory|cpu|processor|ram|disk|gpu|machine|computer|system|busy|slow)",
    "load_model": r"\b(?:load|switch to|use) (?:the )?(?:model|\w+-\d+b)",
    "start_process": r"\b(?:process|long (?:job|run)|million steps|in the background)",
    "process_status": r"\b(?:process|how far|progress)",
    "spawn_agent": r"\b(?:another agent|delegate|in parallel|an agent|sub-?agent)",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in CUES.items()}
_WORDS = re.compile(r"[a-z]{3,}")
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "that",
        "this",
        "from",
        "into",
        "what",
        "which",
        "who",
        "how",
        "are",
        "was",
        "were",
        "you",
        "your",
        "its",
        "has",
        "have",
        "one",
        "two",
        "give",
        "gives",
    ]
)


class Chooser:
    """Chooses for one run. Vectors of descriptions are made once for it: another run may have another embedder."""

    def __init__(self, offered: Sequence[ToolSpec], embed: Embed | None, most: int = MOST) -> None:
        self._offered, self._embed, self._most = offered, embed, most
        self._known: dict[str, bytes] = {}

    async def choose(self, task: str, kept: frozenset[str] = frozenset()) -> tuple[ToolSpec, ...]:
        """The tools for a task; `kept` are in it whatever they score (those that were called)."""
        if len(self._offered) <= self._most:
            return tuple(self._offered)
        always = [tool.name for tool in self._offered if tool.name in ALWAYS or tool.name in kept][-self._most :]
        scores = await self._scores(task)
        ranked = sorted((-score, at) for at, score in enumerate(scores) if self._offered[at].name not in always)
        chosen = {self._offered[at].name for _, at in ranked[: self._most - len(always)]} | set(always)
        return tuple(tool for tool in self._offered if tool.name in chosen)

    async def _scores(self, task: str) -> list[float]:
        by_words = [by_word(task, tool) for tool in self._offered]
        if self._embed is None:
            return by_words
        texts = [f"{tool.name.replace('_', ' ')}: {tool.description}" for tool in self._offered]
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        found = await self._embed([task[:2000], *missing])
        if found is None:
            return by_words
        self._known.update(zip(missing, found[1:], strict=True))
        query = memoryview(found[0]).cast("f")
        near = [
            sum(a * b for a, b in zip(query, memoryview(self._known[text]).cast("f"), strict=True)) for text in texts
        ]
        # What people plainly say counts beside what is near in meaning.
        return [meaning + 0.15 * min(words, 3.0) for meaning, words in zip(near, by_words, strict=True)]


def by_word(task: str, tool: ToolSpec) -> float:
    """How well a tool fits a task by its words."""
    said = {word for word in _WORDS.findall(task.lower()) if word not in _COMMON}
    own = {
        word
        for word in _WORDS.findall(f"{tool.name.replace('_', ' ')} {tool.description}".lower())
        if word not in _COMMON
    }
    cue = _PATTERNS.get(tool.name)
    stems = {word[:5] for word in said} & {word[:5] for word in own}
    return len(stems) + (2.0 if cue is not None and cue.search(task) else 0.0)
