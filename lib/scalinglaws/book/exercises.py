"""Exercises that answer back: what is off about an answer, without the answer.

A chapter computes the answer and what each slip leads to; ``data/exercises.toml`` has the words of its exercises.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import EllipsisType

import numpy as np

from scalinglaws.files import DATA

__all__ = ["Checked", "Exercise", "exercise"]

Answer = float | str | Sequence[float]

# What is often done to a right number by mistake, as a factor; the first that fits is named.
FACTORS = (
    (-1.0, "the size is right, the sign is not"),
    (100.0, "a fraction is wanted, not a percentage"),
    (0.01, "a percentage is wanted, not a fraction"),
    *((k, "look at the base of the logarithm") for k in (math.log(10), 1 / math.log(10))),
    *((k, "look at the base of the logarithm: bits are not nats") for k in (math.log(2), 1 / math.log(2))),
    *((k, f"a factor of {k} too many") for k in (2, 3, 6)),
    *((1 / k, f"a factor of {k} is missing") for k in (2, 3, 6)),
)
POWERS = (
    (-1.0, "upside down: take it the other way round"),
    (2.0, "this is the square of what is asked"),
    (0.5, "this is the root of what is asked"),
)
ROUNDED = 0.005  # a slip is known by its number even if that was rounded
EXPLAINS = 0.02  # a mistake explains an answer to within so much, or the exercise's own tolerance if that is narrower


@dataclass(frozen=True)
class Checked:
    """The reply to an answer; shown at the end of a cell it is one line."""

    right: bool
    message: str

    def __repr__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        kind = "right" if self.right else "not-yet"
        return f'<p class="checked checked-{kind}" role="status">{escape(self.message)}</p>'


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A question with one right answer.

    Parameters
    ----------
    name : str
        As the page calls it, such as "Exercise 2".
    answer : float, str or sequence of float
        The right answer, computed: a number, several in an order that the text fixes, or one of ``choices``.
    unit : str
        Of a number, such as "tokens"; said when an answer is no number at all.
    rel : float
        How far off a number may be, in parts of the answer: what rounding or the reader's own machine may do.
    absolute : float
        How far off it may be in its own unit; the wider of the two counts. An answer of 0 needs it.
    choices : sequence of str
        Between which a word has to choose.
    slips : mapping
        Wrong answers, shaped like the answer, by the text that is said to them: it names the mistake, not the number.
    """

    name: str
    answer: Answer = field(repr=False)
    unit: str = ""
    rel: float = 0.02
    absolute: float = 0.0
    choices: Sequence[str] = ()
    slips: Mapping[str, Answer] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.answer, str) and self.answer not in self.choices:
            raise ValueError(f"{self.name}: answer is not among choices ({', '.join(self.choices) or 'none'}); add it")
        for text, slip in self.slips.items():
            if not isinstance(slip, str) and self._near(slip):
                raise ValueError(f"{self.name}: slip {text!r} is as good as the answer; narrow rel, or leave it out")

    def check(self, answer: Answer | EllipsisType) -> Checked:
        """Return whether an answer is right, and if not, what is off about it; dots (``...``) stand for none yet."""
        if answer is ...:
            return Checked(False, f"{self.name}: no answer yet. Put yours in place of the dots and run the cell again.")
        hint = self._word(answer) if isinstance(self.answer, str) else self._hint(answer)
        end = "" if hint.endswith(("?", "!", ".")) else "."
        return Checked(not hint, f"{self.name}: not yet: {hint}{end}" if hint else f"{self.name}: right.")

    def _word(self, answer: Answer) -> str:
        """What is off about a word."""
        if str(answer) not in self.choices:
            return f"choose one of {', '.join(self.choices)}"
        if str(answer) == self.answer:
            return ""
        return next((text for text, slip in self.slips.items() if str(answer) == slip), "think again about the other")

    def _hint(self, answer: Answer) -> str:
        """What is off about a number or several."""
        right = np.asarray(self.answer, float)
        wanted = "one number is wanted" if right.ndim == 0 else f"{right.size} numbers in a row are wanted"
        wanted += f", in {self.unit}" if self.unit else ""
        try:
            given = np.asarray(answer, float)
        except (TypeError, ValueError):
            return f"{wanted}, not {type(answer).__name__}"
        if given.size != right.size:
            return f"{wanted}; you gave {given.size}"
        given = given.reshape(right.shape)
        if not np.isfinite(given).all():
            return "not a finite number: look for a division by zero or the logarithm of something negative"
        if self._near(given):
            return ""
        rel = max(self.rel, ROUNDED)
        slip = next((text for text, slip in self.slips.items() if _close(given, np.asarray(slip), rel, 0.0)), "")
        return slip or self._common(given, right) or self._distance(given, right)

    def _near(self, given: Answer | np.ndarray) -> bool:
        """Whether all numbers are near enough."""
        return _close(np.asarray(given, float), np.asarray(self.answer, float), self.rel, self.absolute)

    def _common(self, given: np.ndarray, right: np.ndarray) -> str:
        """A mistake that would make the answer of the right one, in words; empty where none does."""
        rel = min(self.rel, EXPLAINS)
        wrong = [(factor * right, text) for factor, text in FACTORS]
        if (right > 0).all() and not np.allclose(right, 1.0, rtol=0.1):
            wrong += [(right**power, text) for power, text in POWERS]
        return next((text for value, text in wrong if _close(given, value, rel, 0.0)), "")

    def _distance(self, given: np.ndarray, right: np.ndarray) -> str:
        """Where and which way the answer is off, roughly."""
        off = np.abs(given - right) > np.maximum(self.rel * np.abs(right), self.absolute)
        where = "the number" if right.ndim == 0 else f"number {int(np.argmax(off)) + 1} of {right.size}"
        x, y = (float(values.ravel()[np.argmax(off)]) for values in (given, right))
        if x * y < 0:
            return f"{where} has the wrong sign"
        if not y:
            return f"{where} should be nearer to 0"
        which = "too large" if abs(x) > abs(y) else "too small"
        factor = max(abs(x / y), abs(y / x)) if x else math.inf
        far = "by more than a factor of ten" if factor > 10 else "by less than a tenth" if factor < 1.1 else ""
        return f"{where} is {which} {far}".strip()


def exercise(key: str, *, answer: Answer, slips: Mapping[str, Answer]) -> Exercise:
    """An exercise of a chapter: its words from ``data/exercises.toml``, its numbers given.

    ``key`` is chapter and number, such as "09-1"; slips go by the short names that they have in the file. ValueError if
    that has no such exercise, or other slips.
    """
    words = tomllib.loads((DATA / "exercises.toml").read_text(encoding="utf-8")).get(key)
    if words is None:
        raise ValueError(f"no exercise {key!r} in data/exercises.toml; write its words there first")
    said = words.pop("slips", {})
    if said.keys() != slips.keys():
        raise ValueError(f"{key}: slips are {', '.join(slips)}; data/exercises.toml has {', '.join(said)}: give these")
    return Exercise(name=f"Exercise {key[3:]}", answer=answer, slips={said[k]: slips[k] for k in said}, **words)


def _close(given: np.ndarray, right: np.ndarray, rel: float, absolute: float) -> bool:
    """Whether all numbers are within a part of the right ones, or within an absolute distance."""
    allowed = np.maximum(rel * np.abs(right), absolute)
    return given.shape == right.shape and bool((np.abs(given - right) <= allowed).all())
