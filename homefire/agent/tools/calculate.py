"""Arithmetic, exact: fractions inside, a decimal number at the end.

    17 % of 2,340 · 0.17 * 2340 · (3 + 4)^2 / 7 · 5! · sqrt(2) · 120 + 19 % · 7 mod 3 · 1.5e3 · 2 × 3 ÷ 4

Promises: nothing but numbers is evaluated; no name is looked up in Python; sizes are bounded before they are worked out;
`a + b %` adds b hundredths of a, as pocket calculators do, and `b % of a` is a * b / 100. Bad input is BadExpression.
Does not cover: symbols, units, complex numbers. Roots and the like are worked out to 30 digits, then rounded to 15.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from homefire.agent.tool import Context, Outcome
from homefire.agent.tools.plain import PlainTool, declared, failed, told

MOST_CHARACTERS, MOST_DEPTH, MOST_BITS, MOST_FACTORIAL, DIGITS = 2_000, 60, 20_000, 1_000, 15
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,4})?|\.\d+)|(?P<name>[A-Za-z]+)"
    r"|(?P<sign>\*\*|//|[-+*/^%()!,×÷·−√]))"
)
_SAME = {
    "×": "*",
    "·": "*",
    "÷": "/",
    "−": "-",
    "^": "**",
    "x": "*",
    "times": "*",
    "plus": "+",
    "minus": "-",
    "percent": "%",
}
_EXACT = decimal.Context(prec=30, Emax=10_000, Emin=-10_000)


class BadExpression(ValueError):
    """What is wrong, in words."""


def work_out(text: str) -> Fraction:
    """The value of an expression. Raises BadExpression."""
    if len(text) > MOST_CHARACTERS:
        raise BadExpression(f"An expression has at most {MOST_CHARACTERS} characters.")
    parser = _Parser(_tokens(text.strip().rstrip("=? ").strip()))
    value = parser.sum(0)
    if parser.at < len(parser.tokens):
        raise BadExpression(f"'{parser.tokens[parser.at]}' stands where it cannot.")
    return value


def shown(value: Fraction) -> int | float | str:
    """A number as it is told: whole, or with at most 15 digits; a text where no float holds it."""
    if value.denominator == 1:
        return value.numerator if abs(value.numerator) < 10**30 else f"{_EXACT.create_decimal(value.numerator):.14e}"
    try:
        found = float(f"{_decimal(value):.{DIGITS}g}")
    except (OverflowError, ValueError):
        return f"{_decimal(value):.14e}"
    return int(found) if found.is_integer() and abs(found) < 1e15 else found


def calculate() -> PlainTool:
    """The tool."""

    async def work(arguments: Mapping[str, Any], context: Context) -> Outcome:
        try:
            return Outcome("ok", told({"result": shown(work_out(arguments["expression"]))}))
        except BadExpression as problem:
            return failed("bad_expression", f"{problem} Write numbers and + - * / ^ % ( ), such as 17 % of 2340.")

    return PlainTool(declared("calculate", "read"), work)


def _decimal(value: Fraction) -> decimal.Decimal:
    return _EXACT.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadExpression(f"'{text[at : at + 20].strip()[:20]}' cannot be read.")
        word = match[match.lastgroup or 0]
        if match.lastgroup == "name":
            word = word.lower()
        found.append(_SAME.get(word, word))
        at = match.end()
    return found


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise BadExpression("A negative number has no root here.")
    up, down = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if up * up == value.numerator and down * down == value.denominator:
        return Fraction(up, down)
    return Fraction(_decimal(value).sqrt(_EXACT))


def _real(work: Callable[[float], float]) -> Callable[[Fraction], Fraction]:
    def of(value: Fraction) -> Fraction:
        try:
            return Fraction(work(float(value)))
        except (ValueError, OverflowError):
            raise BadExpression("That is not defined, or too large.") from None

    return of


def _rounded(value: Fraction) -> Fraction:
    """Halves go away from zero, as people round."""
    return Fraction(math.floor(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1))


FUNCTIONS: Mapping[str, Callable[[Fraction], Fraction]] = {
    "sqrt": _root, "abs": abs, "round": _rounded, "floor": lambda v: Fraction(math.floor(v)),
    "ceil": lambda v: Fraction(math.ceil(v)), "ln": _real(math.log), "log": _real(math.log10), "exp": _real(math.exp),
    "sin": _real(math.sin), "cos": _real(math.cos), "tan": _real(math.tan),
}  # fmt: skip
_CONSTANTS = {"pi": Fraction(math.pi), "e": Fraction(math.e)}


class _Parser:
    """Recursive descent over the tokens. A percentage remembers that it is one, for `a + b %`."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self, *signs: str) -> str:
        if (found := self._peek()) and found in signs:
            self.at += 1
            return found
        return ""

    def sum(self, depth: int) -> Fraction:
        if depth > MOST_DEPTH:
            raise BadExpression("Too many brackets.")
        value, _ = self._product(depth)
        while sign := self._take("+", "-"):
            other, percent = self._product(depth)
            other = other * value if percent else other
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def _product(self, depth: int) -> tuple[Fraction, bool]:
        value, percent = self._signed(depth)
        while sign := self._take("*", "/", "//", "mod", "of"):
            other, _ = self._signed(depth)
            percent = False
            if sign in ("/", "//", "mod") and other == 0:
                raise BadExpression("Nothing can be divided by zero.")
            if sign in ("*", "of"):
                value = value * other
            elif sign == "/":
                value = value / other
            else:
                value = Fraction(value // other) if sign == "//" else value % other
            value = _bounded(value)
        return value, percent

    def _signed(self, depth: int) -> tuple[Fraction, bool]:
        if sign := self._take("-", "+"):
            if depth > MOST_DEPTH:
                raise BadExpression("Too many signs.")
            value, percent = self._signed(depth + 1)
            return (-value if sign == "-" else value), percent
        return self._power(depth)

    def _power(self, depth: int) -> tuple[Fraction, bool]:
        value, percent = self._behind(depth)
        if self._take("**"):
            other, _ = self._signed(depth + 1)
            return _raised(value, other), False
        return value, percent

    def _behind(self, depth: int) -> tuple[Fraction, bool]:
        value, percent = self._one(depth), False
        while sign := self._take("%", "!"):
            if sign == "%":
                if self._peek()[:1].isdigit() or self._peek() == "(":  # 7 % 3: the rest of a division
                    other = self._one(depth)
                    if other == 0:
                        raise BadExpression("Nothing can be divided by zero.")
                    value = value % other
                else:
                    value, percent = value / 100, True
            else:
                if value.denominator != 1 or not 0 <= value <= MOST_FACTORIAL:
                    raise BadExpression(f"n! is worked out for whole numbers from 0 to {MOST_FACTORIAL}.")
                value = Fraction(math.factorial(int(value)))
        return value, percent

    def _one(self, depth: int) -> Fraction:
        token = self._peek()
        self.at += 1
        if depth > MOST_DEPTH:
            raise BadExpression("It is nested too deeply.")
        if token == "(":
            value = self.sum(depth + 1)
            if not self._take(")"):
                raise BadExpression("A bracket is not closed.")
            return value
        if token == "√":
            if depth > MOST_DEPTH:
                raise BadExpression("Too many roots.")
            return _root(self._one(depth + 1))
        if token in FUNCTIONS and self._peek() == "(":
            return _bounded(FUNCTIONS[token](self._one(depth + 1)))
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token[:1].isdigit() or token[:1] == ".":
            return _bounded(Fraction(token.replace(",", "")))
        raise BadExpression(
            f"'{token}' stands where a number should." if token else "It ends where a number should stand."
        )


def _raised(value: Fraction, other: Fraction) -> Fraction:
    if value == 0 and other < 0:
        raise BadExpression("Nothing can be divided by zero.")
    if other.denominator == 1:
        size = max(value.numerator.bit_length(), value.denominator.bit_length(), 1)
        if abs(other) * size > MOST_BITS:
            if abs(value) != 1:
                raise BadExpression("The result is too large.")
            return value if int(other) % 2 else Fraction(1)
        return Fraction(value ** int(other))
    if other == Fraction(1, 2):
        return _root(value)
    if value < 0:
        raise BadExpression("A negative number has no such power here.")
    try:
        return Fraction(float(value) ** float(other))
    except OverflowError:
        raise BadExpression("The result is too large.") from None


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * MOST_BITS:
        raise BadExpression("The result is too large.")
    return value
