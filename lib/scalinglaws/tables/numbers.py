"""Cells of text as numbers: thousands separators, decimal commas, suffixes, powers of ten."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scalinglaws.tables.units import FLOP_WORD, PF_DAYS, SCALES, scale, words

Decimal = Literal[".", ","]

MISSING = {"", *words("nan na n/a #n/a #na null none - -- --- – — ? . <na> nat tbd n.a. missing")}
# A cell of a loss that says why there is none.
NO_RESULT = {"diverged", "div", "oom", "crashed", "failed", "error", "inf", "+inf", "-inf", "infinity", "∞", "killed"}
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2009\u202f\u2007'’_"), None)  # that people put between thousands
_MINUS = {ord("−"): "-", ord("–"): "-"}
_PLAIN = re.compile(r"([+-]?)([\d., ]*\d[\d., ]*)(?:e([+-]?\d+))?")
_TIMES = re.compile(r"(.*\d)\s*[x×*·]\s*10\s*(?:\^|\*\*)?\s*([+-]?\d+)")
_POWER = re.compile(r"([+-]?\d+)\s*(?:\^|\*\*)\s*([+-]?\d+)")
_SUFFIXED = re.compile(r"(.*\d\.?)\s*([a-z][a-z/\s-]*)")
# Cells that can be read in one way only.
_COMMA_IS_DECIMAL = re.compile(
    r"[+-]?(\d+,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})(e[+-]?\d+)?"
)
_POINT_IS_DECIMAL = re.compile(
    r"[+-]?(\d*\.(\d{0,2}|\d{4,})|0\d*\.\d+|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})(e[+-]?\d+)?"
)
_WORD_AT_END = re.compile(r"\s*[a-z]+$")
_GROUPS = {mark: re.compile(rf"\d{{1,3}}({re.escape(mark)}\d{{3}})+") for mark in ",. "}


def is_missing(cell: Any) -> bool:
    """Whether a cell holds no value: None, nan, or one of the usual words."""
    if isinstance(cell, str):
        return cell.strip().casefold() in MISSING
    return cell is None or (isinstance(cell, float | np.floating) and math.isnan(cell))


def is_number(cell: Any) -> bool:
    """Whether a cell can be read as a number in some way."""
    return not isinstance(cell, str) or not (math.isnan(number(cell, ".")) and math.isnan(number(cell, ",")))


def decimal_mark(cells: Iterable[str], separator: str) -> Decimal | None:
    """The decimal mark of a table by the cells that can be read in one way only; None where they contradict."""
    comma = point = commas = points = False
    for cell in cells:
        text = _WORD_AT_END.sub("", cell.strip().casefold())
        comma, point = (
            comma or bool(_COMMA_IS_DECIMAL.fullmatch(text)),
            point or bool(_POINT_IS_DECIMAL.fullmatch(text)),
        )
        commas, points = commas or "," in text, points or "." in text
    if comma and point:
        return None
    if not comma and not point:  # such as 3,123: a decimal comma where commas do not separate
        comma = commas and not points and separator in (";", "\t", " ")
    return "," if comma else "."


def numbers(cells: Sequence[Any], decimal: Decimal) -> NDArray[np.float64]:
    """Values [n] of cells; nan for what is missing or is no number."""
    try:
        if decimal == ".":  # the usual case, at the speed of Python's own reader
            return np.array([float(cell) for cell in cells])
    except (ValueError, TypeError):
        pass
    known: dict[Any, float] = {}
    out = np.empty(len(cells))
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            if cell not in known:
                known[cell] = number(cell, decimal)
            out[row] = known[cell]
        else:
            out[row] = math.nan if is_missing(cell) or isinstance(cell, bool | list | dict) else _as_float(cell)
    return out


def number(text: str, decimal: Decimal) -> float:
    """The number in a text, nan if it is none.

    >>> [number(text, ".") for text in ("20,000,000", "1.3B", "350m", "2 x 10^9", "1.5 PF-days")]
    [20000000.0, 1300000000.0, 350000000.0, 2000000000.0, 1.296e+20]
    >>> number("1.234,5", ",")
    1234.5
    """
    text = text.translate(_SPACES).translate(_MINUS).strip().casefold()
    if text in MISSING:
        return math.nan
    if (power := _POWER.fullmatch(text)) and abs(int(power[2])) < 400:
        return _power(int(power[1]), int(power[2]))
    if times := _TIMES.fullmatch(text):
        return number(times[1], decimal) * _power(10, int(times[2]))
    factor = 1.0
    if (suffixed := _SUFFIXED.fullmatch(text)) and not _PLAIN.fullmatch(text):
        found = _suffix(suffixed[2].strip())
        if found is None:
            return math.nan
        text, factor = suffixed[1].strip(), found
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        return math.inf if text in ("inf", "+inf", "infinity", "∞") else -math.inf if text == "-inf" else math.nan
    sign, digits, exponent = plain.groups()
    digits = _joined(digits.strip(), decimal)
    return math.nan if digits is None else factor * float(f"{sign}{digits}e{exponent or 0}")


def _suffix(text: str) -> float | None:
    """The factor of what follows a number: "b", " billion", "m tokens", "pf-days"."""
    first = text.split()[0]
    known = first in SCALES or FLOP_WORD.fullmatch(first) or PF_DAYS.fullmatch(re.sub(r"[^a-z]", "", text))
    return scale(text) if known or first in ("tokens", "params", "parameters") else None


def _joined(digits: str, decimal: Decimal) -> str | None:
    """Digits without separators and with a point; None where separators stand where none can."""
    whole, mark, rest = digits.partition(decimal)
    if not all(char.isdigit() for char in rest):
        return None
    other = next((char for char in ",. " if char != decimal and char in whole), None)
    if other is not None and not _GROUPS[other].fullmatch(whole):
        return None
    if other is None and not (whole.isdigit() or (not whole and rest)):
        return None
    return re.sub(r"[,. ]", "", whole) + ("." + rest if mark else "")


def _power(base: int, exponent: int) -> float:
    try:
        return float(base) ** exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan


def _as_float(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return math.nan
