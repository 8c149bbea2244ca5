"""What two prompts have in common, without cutting either into tokens: a chain of hashes over the blocks of a request's text.

Each hash covers its own block and all before it, so two requests share as many blocks as their chains share leading entries, and
a chain says nothing about the text to who has not got it. It only guides which KV cache to use: llama.cpp compares the tokens
themselves before it uses any.
Promises: pure; the chain of a conversation is a prefix of the chain of the same conversation with more messages.
Does not cover: chat templates that write earlier messages differently later (then fewer tokens match than the chain says).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from homefire.messages import ChatRequest, CompletionRequest

# Bytes of text in a block: small ones at the beginning, where a short conversation is told from another, larger ones after.
SMALL_BLOCK, LARGE_BLOCK = 64, 512
SMALL_UNTIL = 4096
HASH_BYTES = 16
Chain = tuple[bytes, ...]
_encode = msgspec.json.Encoder().encode


def chain_of(text: bytes) -> Chain:
    """One hash of `HASH_BYTES` bytes for each whole block of the text."""
    found: list[bytes] = []
    before, start, size = b"", 0, SMALL_BLOCK
    while start + size <= len(text):
        before = hashlib.blake2b(before + text[start : start + size], digest_size=HASH_BYTES).digest()
        found.append(before)
        start += size
        size = SMALL_BLOCK if start < SMALL_UNTIL else LARGE_BLOCK
    return tuple(found)


def covered(blocks: int) -> int:
    """Bytes of text in so many leading blocks."""
    small = min(blocks, SMALL_UNTIL // SMALL_BLOCK)
    return small * SMALL_BLOCK + (blocks - small) * LARGE_BLOCK


def text_of(request: ChatRequest | CompletionRequest) -> bytes:
    """What of a request shapes its prompt, in the order in which templates put it: tools, then messages."""
    if isinstance(request, CompletionRequest):
        return b"\0plain\0" + request.prompt.encode(errors="surrogatepass")
    return b"".join(_pieces(request))


def shared(one: Chain, other: Chain) -> int:
    """How many leading blocks are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # a hash covers all before it, so the first difference can be found by halving
        middle = (low + high + 1) // 2
        if one[middle - 1] == other[middle - 1]:
            low = middle
        else:
            high = middle - 1
    return low


def _pieces(request: ChatRequest) -> Iterator[bytes]:
    for tool in request.tools:
        yield _encode((tool.name, tool.description, tool.parameters))
    for message in request.messages:
        yield f"\0{message.role}\0".encode()
        yield (message.content or "").encode(errors="surrogatepass")
        for call in message.tool_calls:
            yield _encode((call.name, call.arguments))
