"""Strict reading of JSON bodies: the one door by which outside JSON comes in, so that all routes answer bad input alike.

Promises: `decode` gives a value of the asked type or raises InvalidJson or InvalidRequest, the latter naming the field; NaN,
lone surrogates, invalid UTF-8, wrong types, values out of range and unknown fields never get through.
Does not cover: what the fields mean.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from homefire.errors import InvalidJson, InvalidRequest

T = TypeVar("T")
MAX_DEPTH = 64


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object in which unknown fields are refused."""


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's type. Raises InvalidJson or InvalidRequest, the latter naming the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as problem:
        message, _, where = str(problem).partition(" - at `")
        path = where.rstrip("`").removeprefix("$").lstrip(".")
        if unknown := re.search(r"unknown field `(.+)`", message):
            path = f"{path}.{unknown[1]}".lstrip(".")
            message = f"There is no field '{path}'"
        elif missing := re.search(r"missing required field `(.+)`", message):
            path = f"{path}.{missing[1]}".lstrip(".")
            message = f"The field '{path}' is missing"
        raise InvalidRequest(
            f"{message}{f' (in {path})' if path and path not in message else ''}.", param=path
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InvalidJson(f"The body is not JSON: {problem}.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None


def check_depth(value: Any, where: str) -> None:
    """Raises InvalidJson if `value` is nested deeper than 64 levels: native code that walks it would overflow its stack."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return
        level = inner
    raise InvalidJson(f"'{where}' is nested deeper than {MAX_DEPTH} levels.", param=where)
