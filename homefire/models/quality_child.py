"""The child that compares two files of one model: perplexity and predictions of a chat model, vectors of an embedder.

Run as `python -m homefire.models.quality_child JSON` (see `task`): {"before", "after": paths, "kind": "chat" or "embedding",
"threads", "caches": types of the two KV caches}.
Promises: both files read the same texts, of this project, in windows of at most 256 tokens; one file is in memory at a time.
Does not cover: how well the model answers at all: the texts are few, so the figures compare two files and nothing else.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import asdict
from typing import Any

from homefire.errors import EngineFailed
from homefire.models import quality
from homefire.models.gguf import TENSOR_TYPES
from homefire.models.native import Batch, Native
from homefire.models.task import Progress, child

WINDOW = 256
_TYPES = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
TEXTS = (
    "The harbour was quiet when the last ferry came in. Two men tied it to the pier, looked at the sky and went "
    "home without a word.",
    "To make bread, mix five hundred grams of flour with three hundred grams of water, a little salt and some "
    "yeast. Knead it for ten minutes, let it rest until it has doubled, and bake it at two hundred and twenty "
    "degrees for half an hour.",
    "Water boils at 100 degrees Celsius at sea level. On a high mountain the air presses less on it, so it boils "
    "earlier, and an egg takes longer to become hard.",
    "def mean(values):\n    if not values:\n        raise ValueError('no values')\n    return sum(values) / "
    "len(values)\n",
    "Dear Ms Okafor, thank you for your letter of 12 March. The invoice was paid on Friday; please tell us if it "
    "has not reached you.",
    "The train leaves at 7.45 from platform 3. If you miss it, the next one goes at 8.15, but it stops in every "
    "village.",
    "A cache keeps what was asked for recently, because it is likely to be asked for again. When it is full, "
    "something has to leave.",
    "Once upon a time there was a miller who had three sons. When he died, the eldest got the mill, the second "
    "the donkey, and the youngest nothing but the cat.",
    "Der Zug war voll, und draußen regnete es. Niemand sprach, bis das Kind fragte, warum die Fenster weinen.",
    "SELECT name, count(*) FROM orders WHERE day >= '2026-01-01' GROUP BY name ORDER BY 2 DESC LIMIT 10;",
    "Every even number larger than two seems to be the sum of two primes. Nobody has proved it, and nobody has "
    "found an exception.",
    "The committee met on Tuesday. It approved the budget by seven votes to two, and put off the question of the "
    "bridge until May.",
)


class Reader:
    """One file in memory. Use it as a context manager."""

    def __init__(self, native: Native, path: str, embeds: bool, threads: int, cache: str) -> None:
        self._native, self._library, self._embeds = native, native.library, embeds
        model, context = native.parameters()
        model.n_gpu_layers = 0
        context.n_ctx = context.n_batch = context.n_ubatch = WINDOW
        context.n_outputs_max, context.n_seq_max = WINDOW, 1
        context.n_threads = context.n_threads_batch = threads
        context.embeddings = embeds
        context.type_k = context.type_v = _TYPES[cache]
        native.log.clear()
        self._model, self._context = native.load(path, model, context)
        if not self._model or not self._context:
            native.free(self._model, self._context)
            raise EngineFailed(f"The engine cannot read the file: {''.join(native.log).strip()[-300:]}")
        self._declare()
        self._vocabulary = ctypes.c_void_p(self._library.llama_model_get_vocab(ctypes.c_void_p(self._model)))
        self._size = self._library.llama_vocab_n_tokens(self._vocabulary)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._native.free(self._model, self._context)

    def _declare(self) -> None:
        library, pointer = self._library, ctypes.c_void_p
        library.llama_model_get_vocab.restype = pointer
        library.llama_get_memory.restype = pointer
        library.llama_batch_init.restype = Batch
        library.llama_batch_free.argtypes = [Batch]
        library.llama_batch_free.restype = None
        library.llama_decode.argtypes = [pointer, Batch]
        for name in ("llama_get_logits_ith", "llama_get_embeddings_ith", "llama_get_embeddings_seq"):
            getattr(library, name).restype = ctypes.POINTER(ctypes.c_float)
            getattr(library, name).argtypes = [pointer, ctypes.c_int32]

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text, with what the model wants at its start and end, at most a window of them."""
        room = (ctypes.c_int32 * WINDOW)()
        raw = text.encode()
        while True:
            found = self._library.llama_tokenize(self._vocabulary, raw, len(raw), room, WINDOW, True, False)
            if found >= 0:
                return list(room[:found])
            raw = raw[: len(raw) * 3 // 4]

    def read(self, tokens: list[int]) -> None:
        """Runs the network over the tokens; logits or embeddings of all of them can then be had."""
        batch = self._library.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for at, token in enumerate(tokens):
                batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, at, 1, 1
                batch.seq_id[at][0] = 0
            if memory := self._library.llama_get_memory(ctypes.c_void_p(self._context)):
                self._library.llama_memory_clear(ctypes.c_void_p(memory), ctypes.c_bool(True))
            if status := self._library.llama_decode(self._context, batch):
                raise EngineFailed(f"The engine could not read a text (llama_decode gave {status}).")
        finally:
            self._library.llama_batch_free(batch)

    def scores(self, text: str) -> tuple[list[float], list[int]]:
        """For each token but the first: the natural logarithm of its probability, and which token was the likeliest."""
        tokens = self.tokens(text)
        self.read(tokens)
        logarithms, likeliest = [], []
        for at, token in enumerate(tokens[1:]):
            logits = self._library.llama_get_logits_ith(self._context, at)[: self._size]
            top = max(logits)
            logarithms.append(logits[token] - top - math.log(math.fsum(math.exp(one - top) for one in logits)))
            likeliest.append(logits.index(top))
        return logarithms, likeliest

    def vector(self, text: str) -> list[float]:
        """The text's embedding, as the file says that it is pooled."""
        tokens = self.tokens(text)
        self.read(tokens)
        width = self._library.llama_model_n_embd(ctypes.c_void_p(self._model))
        found = self._library.llama_get_embeddings_seq(self._context, 0)
        if not found:  # no pooling: the last token's
            found = self._library.llama_get_embeddings_ith(self._context, len(tokens) - 1)
        return [float(value) for value in found[:width]]


def work(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """In the child. Raises EngineFailed."""
    try:
        native = Native()
        native.parameters()
    except (OSError, AttributeError, ValueError) as problem:
        raise EngineFailed(f"This build of the engine cannot be asked directly: {problem}.") from None
    embeds = arguments["kind"] == "embedding"
    found: list[list[Any]] = []
    for place, cache in zip(("before", "after"), arguments["caches"], strict=True):
        with Reader(native, arguments[place], embeds, arguments["threads"], cache) as reader:
            answers: list[Any] = []
            for text in TEXTS:
                answers.append(reader.vector(text) if embeds else reader.scores(text))
                progress(len(found) * len(TEXTS) + len(answers), 2 * len(TEXTS))
            found.append(answers)
    before, after = found
    if embeds:
        cosines = [quality.cosine(one, other) for one, other in zip(before, after, strict=True)]
        return {"cosine": asdict(quality.spread(cosines))}
    chosen = [
        (one, other) for was, now in zip(before, after, strict=True) for one, other in zip(was[1], now[1], strict=True)
    ]
    return {
        "perplexity": {
            "before": quality.perplexity([logarithms for logarithms, _ in before]),
            "after": quality.perplexity([logarithms for logarithms, _ in after]),
        },
        "same_token_pct": 100 * sum(one == other for one, other in chosen) / len(chosen),
        "tokens": len(chosen),
    }


if __name__ == "__main__":
    child(work)
