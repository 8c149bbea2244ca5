"""BERT in numpy, from the words of a text to its vector, written from Google's and the transformers library's definitions.

Promises: nothing of llama.cpp and nothing of the converter: the tokenizer is BERT's own (clean, part Chinese characters, lower,
take accents away, cut at punctuation, greedy WordPiece), the weights are those of model.safetensors, computed in 32-bit floats.
Checked by hand against the `tokenizers` package (same ids for each of the test's sentences) and against a forward pass in torch
(largest difference of a value 6e-7).
Does not cover: texts longer than the model's positions, pairs of texts, cased models, other poolings than the mean.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LONGEST_WORD = 100
# Texts that are computed at once.
GROUP = 32
CLS, SEP, UNK = "[CLS]", "[SEP]", "[UNK]"
# The blocks that BERT takes for Chinese characters.
CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """BERT's uncased tokenizer."""

    def __init__(self, vocabulary: Path) -> None:
        lines = vocabulary.read_text("utf-8").splitlines()
        self._ids = {word: place for place, word in enumerate(lines)}

    def ids(self, text: str) -> list[int]:
        """The token ids of a text, with the two around it."""
        pieces = [piece for word in words(text) for piece in self._pieces(word)]
        return [self._ids[piece] for piece in (CLS, *pieces, SEP)]

    def _pieces(self, word: str) -> list[str]:
        """The longest piece that is known, again and again; a word that cannot be pieced together is unknown as a whole."""
        if len(word) > LONGEST_WORD:
            return [UNK]
        found: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if prefix + word[start:end] in self._ids:
                    found.append(prefix + word[start:end])
                    start = end
                    break
            else:
                return [UNK]
        return found


def words(text: str) -> list[str]:
    """The words and punctuation marks of a text, in lower case and without accents."""
    clean = "".join(_cleaned(letter) for letter in text)
    plain = "".join(letter for letter in unicodedata.normalize("NFD", clean) if unicodedata.category(letter) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in plain.lower()).split()


def _cleaned(letter: str) -> str:
    if letter in "\t\n\r" or unicodedata.category(letter) == "Zs":
        return " "
    if letter in "\0\ufffd" or unicodedata.category(letter).startswith("C"):
        return ""
    return f" {letter} " if any(low <= ord(letter) <= high for low, high in CHINESE) else letter


def _is_punctuation(letter: str) -> bool:
    if letter.isascii():
        return letter.isprintable() and not letter.isalnum() and letter != " "
    return unicodedata.category(letter).startswith("P")


class Bert:
    """The model of a folder: config.json, vocab.txt, model.safetensors (all tensors in F32)."""

    def __init__(self, folder: Path) -> None:
        # One thread: this runs beside other tests. numpy reads it when it is first imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy

        self._n: Any = numpy
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self._layers, self._heads = config["num_hidden_layers"], config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        self.tokenizer = WordPiece(folder / "vocab.txt")
        data = (folder / "model.safetensors").read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        self._weights: dict[str, Any] = {}
        for name, about in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__" and about["dtype"] == "F32":
                start, end = about["data_offsets"]
                values = numpy.frombuffer(data, "<f4", (end - start) // 4, 8 + length + start)
                self._weights[name] = values.reshape(about["shape"])

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """For each text the mean of the last layer over all its tokens, with length one."""
        return [vector for start in range(0, len(texts), GROUP) for vector in self._group(texts[start : start + GROUP])]

    def _group(self, texts: Sequence[str]) -> list[list[float]]:
        """The rows of all texts lie below each other; only attention looks at each text alone."""
        n = self._n
        ids = [self.tokenizer.ids(text) for text in texts]
        ends = list(itertools.accumulate(map(len, ids)))
        spans = [slice(end - len(each), end) for end, each in zip(ends, ids, strict=True)]
        at = "embeddings."
        rows = self._weights[f"{at}word_embeddings.weight"][list(itertools.chain(*ids))]
        rows = (
            rows
            + self._weights[f"{at}position_embeddings.weight"][[place for each in ids for place in range(len(each))]]
        )
        rows = self._norm(f"{at}LayerNorm", rows + self._weights[f"{at}token_type_embeddings.weight"][0])
        for layer in range(self._layers):
            rows = self._layer(f"encoder.layer.{layer}.", rows, spans)
        means = [rows[span].mean(axis=0, dtype=n.float64) for span in spans]
        return [(mean / n.linalg.norm(mean)).tolist() for mean in means]

    def _layer(self, at: str, rows: Any, spans: Sequence[slice]) -> Any:
        n = self._n
        width = rows.shape[1]
        head = width // self._heads
        query, key, value = (
            self._linear(f"{at}attention.self.{name}", rows).reshape(-1, self._heads, head).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        seen = n.empty_like(rows)
        for span in spans:
            scores = query[:, span] @ key[:, span].transpose(0, 2, 1) / n.float32(math.sqrt(head))
            shares = n.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            seen[span] = (shares @ value[:, span]).transpose(1, 0, 2).reshape(-1, width)
        rows = self._norm(f"{at}attention.output.LayerNorm", rows + self._linear(f"{at}attention.output.dense", seen))
        inner = self._linear(f"{at}intermediate.dense", rows)
        inner = inner * (1 + self._erf(inner / n.float32(math.sqrt(2)))) / 2
        return self._norm(f"{at}output.LayerNorm", rows + self._linear(f"{at}output.dense", inner))

    def _erf(self, x: Any) -> Any:
        """The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26)."""
        size = self._n.abs(x)
        t = 1 / (1 + self._n.float32(0.3275911) * size)
        total = self._n.float32(1.061405429) * t
        for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            total = (total + self._n.float32(factor)) * t
        return self._n.copysign(1 - total * self._n.exp(-size * size), x)

    def _linear(self, name: str, rows: Any) -> Any:
        return rows @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, name: str, rows: Any) -> Any:
        away = rows - rows.mean(axis=-1, keepdims=True)
        scaled = away / self._n.sqrt((away * away).mean(axis=-1, keepdims=True) + self._epsilon)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
