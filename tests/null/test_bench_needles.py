"""What `bench needles` hides and how it grades, and the functions of `bench retrieval`.

Promises: haystacks and needles come from the seed; a grader that accepts everything, or nothing, turns one of these red.
Does not cover: what is found (`bench needles` is run by hand; its figures stand in docs/log.md).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench import functions
from bench.haystack import KINDS, Put, files, write
from bench.haystack_words import GAPS, PROSE, TAILS
from bench.latent_pairs import PAIRS
from bench.needle_kinds import (
    COUNT,
    SHARES,
    Line,
    aggregate,
    needles,
    predicted,
    rank,
    read_from,
    recall,
    survey_lines,
    survey_puts,
)
from bench.processes import Clock, cpu_seconds, memory_mb, tree
from homefire.index.fusion import tokens
from homefire.index.query import STOP_WORDS
from pilot.corpus import labels

SIZE = 2_000_000
# Words of both that name nothing which could be asked about.
EVERYDAY = """about after becam befor believ clean cost cut down first get giv heat her keep lat lik mad must old one open plan
read run sleep way work coupl"""


def content(text: str) -> set[str]:
    return {token for token in tokens(text) if token not in STOP_WORDS}


def test_the_same_seed_makes_the_same_haystack(tmp_path: Path) -> None:
    puts = [each.put for each in needles(3)]
    first, again = dict(files(3, SIZE, puts)), dict(files(3, SIZE, puts))
    assert first == again != dict(files(4, SIZE, puts))
    assert abs(sum(map(len, first.values())) - SIZE) < 0.1 * SIZE
    assert write(tmp_path, 3, SIZE, puts) == sum(len(text.encode()) for text in first.values())
    suffixes = Counter(Path(name).suffix for name in first)
    assert set(suffixes) == {".md", ".txt", ".py", ".c", ".log"}


def test_every_needle_is_hidden_once_where_it_says() -> None:
    hidden = needles(1)
    puts = [each.put for each in hidden] + survey_puts(survey_lines(1))
    texts = {name: " ".join(text.split()) for name, text in files(1, SIZE, puts)}
    lines = [line for _, text in files(1, SIZE, puts) for line in text.split("\n")]
    for put in puts:
        holders = [name for name, text in texts.items() if put.sentence in text]
        assert len(holders) == 1 and texts[holders[0]].count(put.sentence) == 1, put
        folder = holders[0].split("/")[0]
        assert (folder == "logs") == (put.place == "log") and (folder == "src") == (put.place == "code")
        alone = put.sentence in lines
        assert alone or put.place in ("middle", "code"), put
        assert not (alone and put.place == "middle"), put
    assert Counter(each.put.place for each in hidden) == {place: 3 * share for place, share in SHARES.items()}
    assert set(SHARES) == {"line", "middle", "code", "log"} and sum(SHARES.values()) == COUNT


def test_a_haystack_without_room_says_so() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        list(files(1, 1, [Put(f"sentence {number}", "log") for number in range(99)], KINDS))


def test_keys_differ_by_one_word_or_digit_and_questions_have_one_answer() -> None:
    hidden = needles(1)
    for tier in ("literal", "near_duplicate", "latent"):
        mine = [each for each in hidden if each.tier == tier]
        assert len(mine) == len({each.question for each in mine}) == len({each.put.sentence for each in mine}) == COUNT
    near = [each for each in hidden if each.tier == "near_duplicate"]
    for one in near:
        words = one.put.sentence.split()
        others = [other.put.sentence.split() for other in near if other is not one]
        differ = [
            sum(a != b for a, b in zip(words, other, strict=True)) for other in others if len(other) == len(words)
        ]
        assert min(differ) == 2, "the key and the value"
        assert content(one.question) <= content(one.put.sentence)


def test_latent_pairs_share_no_content_word() -> None:
    assert len(PAIRS) == COUNT
    for question, sentence in PAIRS:
        assert question.endswith("?") and sentence.endswith(".")
        assert not content(question) & set(tokens(sentence)), (question, sentence)


def test_the_haystack_speaks_of_nothing_that_latent_questions_ask_about() -> None:
    patterns = [*(text for texts in PROSE.values() for text in texts), *TAILS]
    said = content(" ".join(re.sub(r"\{\w+\}", "", text) for text in patterns))
    said |= content(" ".join(word for words in GAPS.values() for word in words))
    assert said & content(" ".join(question for question, _ in PAIRS)) <= set(EVERYDAY.split())


def test_a_rank_needs_the_whole_sentence() -> None:
    sentence = "The vault code of the Oslo office is 12345."
    wrapped = "Before it.\nThe vault code of the\n  Oslo office is 12345. After it."
    assert rank(["The vault code of the Oslo office is 12346.", wrapped], sentence) == 2
    assert rank(["the Oslo office", "is 12345."], sentence) == 0
    assert rank([], sentence) == 0
    assert [recall([1, 2, 7, 0], at) for at in (1, 5, 10)] == [0.25, 0.5, 0.75]
    with pytest.raises(ValueError, match="no rank"):
        recall([], 1)


def surveyed(labels_of: str) -> list[Line]:
    names = {name[0]: name for name in labels.NAMES}
    return [Line(1, f"2032-01-{day:02}", f"text {day}", names[sign]) for day, sign in enumerate(labels_of, 1)]


def test_what_is_counted_is_scored_by_how_far_off_it_is() -> None:
    true = surveyed("ppppnn")
    right = {line.said: line.label for line in true}
    assert aggregate(true, right) == {"count": 1, "most_frequent": 1, "last": 1}
    one_off = right | {true[-1].said: "entity"}
    assert aggregate(true, one_off) == pytest.approx({"count": (4 + 2 * 0.75) / 6, "most_frequent": 1, "last": 0})
    other = dict.fromkeys(right, next(name for name in labels.NAMES if name not in right.values()))
    assert aggregate(true, other)["most_frequent"] == 0
    nothing = aggregate(true, {})
    assert nothing["most_frequent"] == nothing["last"] == 0 and nothing["count"] < 0.9


def test_the_limit_follows_from_the_accuracy_of_one_label() -> None:
    true = survey_lines(1)
    assert Counter(line.survey for line in true).most_common(1)[0][1] == 40 and len({line.said for line in true}) == 200
    assert predicted(true, 1.0, 1, 5) == {"count": 1, "most_frequent": 1, "last": 1}
    good, bad = predicted(true, 0.95, 1, 60), predicted(true, 0.5, 1, 60)
    assert all(good[name] > bad[name] for name in good) and abs(good["last"] - 0.95) < 0.06
    assert predicted(true, 0.95, 1, 60) == good


@pytest.mark.parametrize(("answer", "read"), [("a hedgehog", True), ("hedgehog.", True), ("not found", False), ("", False),
                                              ("the", False), ("a hedgehog and a dog", False)])  # fmt: skip
def test_an_answer_is_read_if_its_words_stand_in_the_sentence(answer: str, read: bool) -> None:
    assert read_from(answer, "Our schoolmaster keeps a hedgehog in his study.") is read


def test_functions_have_lost_the_sentence_that_asks_for_them() -> None:
    found = functions.functions(40)
    assert len(found) == 40 and len({each.source for each in found}) == len({each.sentence for each in found}) == 40
    for each in found:
        assert each.sentence not in each.source
        (node,) = ast.parse(each.source).body
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    assert functions.first_sentence("Does it.\nThen more.\n\nAnd more.") == "Does it."
    assert functions.scores([1, 0, 4, 30]) == pytest.approx(
        {"r1": 0.25, "r10": 0.5, "r50": 0.75, "mrr": (1 + 0.25 + 1 / 30) / 4}
    )


def test_what_a_process_takes_is_counted_with_its_children() -> None:
    program = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\ninput()"
    with Clock(os.getpid()) as clock:
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
            assert child.pid in tree(os.getpid())
            whole, private = memory_mb(child.pid)
            assert 0 < private <= whole < 200
            while cpu_seconds(child.pid) < 0.3:
                pass
            clock.cpu()
            child.communicate(b"\n")
        assert clock.cpu() >= 0.3 and clock.wall() > 0
    assert cpu_seconds(child.pid) == 0
