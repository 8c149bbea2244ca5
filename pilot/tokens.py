"""The tokenizer: byte-level BPE in which a word is the same token with and without a space.

Promises: any bytes encode; the ids equal those of llama.cpp with `tokenizer.ggml.pre` = `PRE`
(the evaluation checks it). The merges that join a space to a word come last and exist only for
frequent words, so a rare word, which is what the model has to copy, is cut into the same
pieces after a space, after a quote and at the start of a line.
Does not cover: training text (`pilot/corpus/`).
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pilot.dialogue import END, MARKS, NOTHING, START

PRE = "smollm"  # digits alone, then the GPT-2 expression
SPECIAL = (NOTHING, START, END, *MARKS)
SPACE = "Ġ"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train(texts: Iterable[str], size: int, spaced_words: int) -> Tokenizer:
    """Learn merges from `texts`; `spaced_words` frequent words get a token with their space."""
    texts = list(texts)
    pieces = learn_pieces(texts, size - spaced_words - len(SPECIAL))
    words = frequent_words(texts, pieces, spaced_words)
    return assemble(pieces, words)


def learn_pieces(texts: list[str], size: int) -> Tokenizer:
    """BPE over words cut free of their spaces."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.Split(Regex(r" (?=\p{L})"), "isolated"),
            pre_tokenizers.Split(Regex(GPT2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    learner.train_from_iterator(texts, trainer)
    return learner


def frequent_words(texts: list[str], pieces: Tokenizer, count: int) -> list[str]:
    """Words that are one piece already and often follow a space."""
    seen: Counter[str] = Counter()
    for text in texts:
        words = text.split(" ")
        seen.update(word.strip(".,?!:;\"'\n") for word in words[1:] if word[:1].isalpha())
    vocabulary = pieces.get_vocab()
    pegs = [chr(ord("a") + disk) for disk in range(20)] + ["A", "B", "C"]  # one token a disk, whatever the counts say
    return [*pegs, *(word for word, _ in seen.most_common() if word in vocabulary and word not in pegs)][:count]


def assemble(pieces: Tokenizer, words: list[str]) -> Tokenizer:
    """The final tokenizer: pieces, then space-and-word merges, then special tokens."""
    import json

    state = json.loads(pieces.to_str())["model"]
    vocabulary: dict[str, int] = dict(state["vocab"])
    merges = [tuple(pair) for pair in state["merges"]]
    for word in words:
        vocabulary[SPACE + word] = len(vocabulary)
        merges.append((SPACE, word))
    out = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    out.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.Split(Regex(GPT2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    out.decoder = decoders.ByteLevel()
    out.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL])
    return out


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def encode(tokenizer: Tokenizer, stretches: list[tuple[str, float]]) -> tuple[list[int], list[float]]:
    """Ids and the weight of each; a token takes the weight at its last character."""
    text = "".join(stretch for stretch, _ in stretches)
    weights: list[float] = []
    for stretch, weight in stretches:
        weights.extend([weight] * len(stretch))
    encoded = tokenizer.encode(text, add_special_tokens=False)
    ids: list[int] = encoded.ids
    return ids, [weights[max(end - 1, 0)] for _, end in encoded.offsets]
