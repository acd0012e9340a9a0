"""Exercises that answer back: what is off about an answer, without the answer; and forecasts, which are scored.

A chapter computes the answer and what each slip leads to; ``data/exercises.toml`` has the words of its exercises. The
scores of a reader's forecasts are kept in the cache, so that one chapter can sum those of all.
"""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import EllipsisType

import numpy as np
import pandas as pd

from scalinglaws.book.claims import number
from scalinglaws.book.seals import interval_score
from scalinglaws.files import DATA, cache_folder, dumps, write_text

__all__ = ["Checked", "Exercise", "Forecast", "exercise", "forecast", "scores"]

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
# Of an interval in each of fifteen chapters three should miss, which shows whether a reader's are too narrow or too
# wide; at 95% not one might, and each miss would cost four times as much.
LEVEL = 0.8
KEPT = ("number", "low", "high", "found", "score")
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
    minutes : int
        How long it takes, said where there is no answer yet; 0 where nobody has estimated it.
    """

    name: str
    answer: Answer = field(repr=False)
    unit: str = ""
    rel: float = 0.02
    absolute: float = 0.0
    choices: Sequence[str] = ()
    slips: Mapping[str, Answer] = field(default_factory=dict, repr=False)
    minutes: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.answer, str) and self.answer not in self.choices:
            raise ValueError(f"{self.name}: answer is not among choices ({', '.join(self.choices) or 'none'}); add it")
        for text, slip in self.slips.items():
            if not isinstance(slip, str) and self._near(slip):
                raise ValueError(f"{self.name}: slip {text!r} is as good as the answer; narrow rel, or leave it out")

    def check(self, answer: Answer | EllipsisType) -> Checked:
        """Return whether an answer is right, and if not, what is off about it; dots (``...``) stand for none yet."""
        if answer is ...:
            return _none_yet(self, "no answer yet. Put yours in place of the dots")
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


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A question about a number that the reader has not seen: answered by a number and an interval, and scored.

    The score is the interval score of Gneiting & Raftery 2007, eq. 43, of an 80% interval: its width, and ten times the
    miss; the number itself is not scored. Its unit is the width of what 80% of ``among`` have, so that scores of
    different questions can be added: who quotes that range, and is not wrong, has 1. Where all of ``among`` are above
    0, all of it is in logarithms.

    Parameters
    ----------
    key : str
        Chapter and number, such as "09-5"; the forecast is kept under it.
    found : float
        What came.
    among : sequence of float
        What is known already of the like: stored runs, seeds, published models. At least two numbers that differ.
    unit : str
        Such as "tokens".
    minutes : int
        How long it takes.
    """

    key: str
    found: float = field(repr=False)
    among: Sequence[float] = field(repr=False)
    unit: str = ""
    minutes: int = 0

    def __post_init__(self) -> None:
        if len(self.among) < 2 or not np.isfinite(self.among).all() or np.ptp(self.among) == 0:
            raise ValueError(f"{self.name}: among has no spread; give at least two finite numbers that differ")
        if not math.isfinite(self.found) or (self._in_logarithms and self.found <= 0):
            raise ValueError(f"{self.name}: found={self.found} is not finite, or among is above 0 and it is not")

    @property
    def name(self) -> str:
        """What the page calls it, such as "Exercise 5"."""
        return f"Exercise {self.key[3:]}"

    @property
    def range(self) -> tuple[float, float]:
        """What 80% of ``among`` have."""
        low, high = np.quantile(np.asarray(self.among, float), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    @property
    def _in_logarithms(self) -> bool:
        """Whether factors count, not differences."""
        return min(self.among) > 0

    def score(self, low: float, high: float) -> float:
        """Return the score of an interval: the lower the better, 1 for the range of ``among`` if that is right."""
        ends = np.array([low, high, self.found, *self.range], float)
        low, high, found, *width = np.log(ends) if self._in_logarithms else ends
        return float(interval_score(low, high, found, LEVEL) / (width[1] - width[0]))

    def check(self, answer: Sequence[float] | EllipsisType) -> Checked:
        """Return what came and the score of (number, low, high), and keep the first; dots (``...``) stand for none yet.

        What is kept is a file of the reader's cache; where it cannot be written, the reply says so.
        """
        if answer is ...:
            return _none_yet(self, "no forecast yet. Put a number and the two ends of an interval in place of the dots")
        try:
            middle, low, high = np.asarray(answer, float).tolist()
        except (TypeError, ValueError):
            middle = low = high = math.nan
        if not -math.inf < low <= middle <= high < math.inf:
            wanted = (
                "three numbers are wanted, yours and the lower and the upper end of its interval: (number, low, high)"
            )
            return Checked(False, f"{self.name}: {wanted}{f', in {self.unit}' if self.unit else ''}.")
        if self._in_logarithms and low <= 0:
            return Checked(False, f"{self.name}: it is above 0, and the lower end of your interval is not.")
        row = dict(zip(KEPT, (middle, low, high, self.found, self.score(low, high)), strict=True))
        inside = "inside" if low <= self.found <= high else "outside"
        return Checked(inside == "inside", f"{self.name}: {self._reply(row, inside)} {_keep(self.key, row)}")

    def _reply(self, row: Mapping[str, float], inside: str) -> str:
        """What came, how far off the number was, and the score beside that of the range known before."""
        off = f", {self.found / row['number'] - 1:+.0%} off your number," if self._in_logarithms else ""
        known = " to ".join(number(end, "{:.3g}") for end in self.range)
        return (
            f"it is {number(self.found, '{:.3g}')} {self.unit}".rstrip()
            + f"{off} {inside} your interval. Your score is "
            f"{row['score']:.2f}; the range that was known, {known}, has {self.score(*self.range):.2f}: less is better."
        )


def exercise(key: str, *, answer: Answer, slips: Mapping[str, Answer]) -> Exercise:
    """An exercise of a chapter: its words from ``data/exercises.toml``, its numbers given.

    ``key`` is chapter and number, such as "09-1"; slips go by the short names that they have in the file. ValueError if
    that has no such exercise, or other slips.
    """
    words = _words(key)
    said = words.pop("slips", {})
    if said.keys() != slips.keys():
        raise ValueError(f"{key}: slips are {', '.join(slips)}; data/exercises.toml has {', '.join(said)}: give these")
    return Exercise(name=f"Exercise {key[3:]}", answer=answer, slips={said[k]: slips[k] for k in said}, **words)


def forecast(key: str, *, found: float, among: Sequence[float]) -> Forecast:
    """A forecasting question of a chapter: unit and minutes from ``data/exercises.toml``, its numbers given.

    Parameters
    ----------
    key : str
        Chapter and number, such as "09-5". ValueError if the file has no such exercise.
    found, among : float, sequence of float
        What came, and what was known of the like, as `Forecast` has them.

    Returns
    -------
    Forecast
    """
    return Forecast(key=key, found=float(found), among=list(among), **_words(key))


def scores() -> pd.DataFrame:
    """Return the reader's forecasts that are kept, the first of each question; none where none can be read.

    Returns
    -------
    DataFrame
        By key of the question: ``number``, ``low`` and ``high`` of the reader, ``found`` (what came) and ``score``.
    """
    return pd.DataFrame.from_dict(_kept(), orient="index", columns=list(KEPT)).sort_index().rename_axis("exercise")


def _words(key: str) -> dict:
    """What the file has of an exercise."""
    words = tomllib.loads((DATA / "exercises.toml").read_text(encoding="utf-8")).get(key)
    if words is None:
        raise ValueError(f"no exercise {key!r} in data/exercises.toml; write its words there first")
    return words


def _none_yet(question: Exercise | Forecast, text: str) -> Checked:
    """The reply to dots."""
    minutes = f" ({question.minutes} minutes)" if question.minutes else ""
    return Checked(False, f"{question.name}{minutes}: {text} and run the cell again.")


def _file() -> Path:
    """Where a reader's forecasts are kept."""
    return cache_folder("reader") / "forecasts.json"


def _kept() -> dict[str, dict[str, float]]:
    """The forecasts that are kept, by key; none where the file is missing or not what was written."""
    try:
        read = json.loads(_file().read_text(encoding="utf-8"))
        return {key: {name: float(row[name]) for name in KEPT} for key, row in read.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(key: str, row: dict[str, float]) -> str:
    """Keep a forecast unless there is one already, and say which counts."""
    kept = _kept()
    first = kept.setdefault(key, row)
    if any(first[name] != row[name] for name in ("number", "low", "high")):
        given, low, high = (number(first[name], "{:.3g}") for name in ("number", "low", "high"))
        was = f"{given}, {low} to {high}, score {first['score']:.2f}"
        return f"Your first forecast counts ({was}); to begin again, delete {_file()}."
    try:
        write_text(_file(), dumps(kept, indent=1))
    except OSError as error:
        return f"It is not kept: {error}."
    return "It is kept: chapter 15 adds them up."


def _close(given: np.ndarray, right: np.ndarray, rel: float, absolute: float) -> bool:
    """Whether all numbers are within a part of the right ones, or within an absolute distance."""
    allowed = np.maximum(rel * np.abs(right), absolute)
    return given.shape == right.shape and bool((np.abs(given - right) <= allowed).all())
