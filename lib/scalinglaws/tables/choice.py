"""The column of each letter: named by the user or found by its name, and asked about where two fit equally well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scalinglaws.tables import columns
from scalinglaws.tables.sheet import Sheet, names, shown
from scalinglaws.tables.units import LOSS_UNITS, loss_unit_of, scale, scale_words

SUCH_AS: Mapping[str, str] = MappingProxyType({
    "N": "N, n_params, params_M", "D": "D, tokens, tokens_B", "C": "C, flops, pf_days", "L": "L, loss, val_loss",
    "U": "U, unique_tokens", "S": "S, steps", "x": "x",
})  # fmt: skip
ONE_SIZE = 1.02  # sizes that differ by less are no sweep of sizes
SAME = 1e-6  # share by which two columns may differ that say the same


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A column that was taken for a letter, and how its cells are counted."""

    letter: str
    name: str
    kind: str = ""
    factor: float = 1.0
    unit: str | None = None  # key of a loss's unit; None: no word on it
    said: bool = False  # whether the user, or the table, says how it is counted
    others: tuple[str, ...] = ()  # columns that could have been taken
    why: str = ""  # why not the first of them

    def values(self, sheet: Sheet) -> NDArray[np.float64]:
        """The column [n], in parameters, tokens or FLOPs; a loss as it stands."""
        return sheet.numbers(self.name) * self.factor

    def words(self) -> str:
        """What was taken, in a few words."""
        counted = scale_words(self.factor, flops=self.letter == "C")
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.letter} from {shown(self.name)}{kind}" + (f" in {counted}" if counted else "")


def choose(
    sheet: Sheet, needs: Sequence[str], named: Mapping[str, str], unit: str | None, *, required: bool = True
) -> dict[str, Choice]:
    """The column of each letter that is needed, of L, and of N, D and C as far as they are there."""
    chosen = {letter: _named(sheet, letter, text) for letter, text in named.items()}
    asks: dict[str, str] = {}
    for letter in ("N", "D", "C", "L", *sorted({*needs} - {*"NDCL"})):
        if letter in chosen:
            continue
        try:
            found = _found(sheet, letter, {*needs})
        except _Tie as tie:
            asks[letter] = str(tie)
            continue
        if found is not None:
            chosen[letter] = found
    if unit is not None and "L" in chosen:
        chosen["L"] = replace(chosen["L"], unit=_unit(unit), said=True)
    wanted = _wanted({*chosen, *asks}, needs)
    for letter in (*needs, "L"):
        derived = letter in "NDC" and len(({*chosen} | {*asks}) & {*"NDC"} - {letter}) == 2
        if letter not in chosen and letter not in asks and not derived and required:
            raise NoColumn(letter, sheet)
    for letter in wanted & {*asks}:
        raise ValueError(asks[letter])
    idle = sorted({*named} - wanted - {"C"})  # approaches 1 and 2 want C of the same table
    if idle:
        raise ValueError(f"--{idle[0]} has no effect on a fit of {', '.join([*needs, 'L'])}; leave it out")
    return {letter: choice for letter, choice in chosen.items() if letter in wanted}


def compute_column(sheet: Sheet) -> Choice | None:
    """The column of compute of a table whose N and D are read in its place."""
    try:
        return _found(sheet, "C", set())
    except ValueError:
        return None


def _wanted(known: set[str], needs: Sequence[str]) -> set[str]:
    """The letters that are read: those needed, or where one is not there the two that give it."""
    direct = {*needs, "L"}
    return direct if direct <= known else direct | {*"NDC"}


def _named(sheet: Sheet, letter: str, text: str) -> Choice:
    """A column that the user named, with its unit after a colon if there is one."""
    name, given = text, ""
    if text not in sheet.header and ":" in text:
        name, _, given = text.rpartition(":")
    if name not in sheet.header:
        raise ValueError(f"no column {shown(name)}; there are: {names(sheet.header)}")
    known = columns.meaning(name)
    kind = known.kind if known and known.letter == letter else ""
    if letter == "L":
        words = given or sheet.units.get(name, "")
        key = _unit(given) if given else (known.unit if known and known.letter == "L" else None) or loss_unit_of(words)
        return Choice(letter=letter, name=name, kind=kind, unit=key, said=bool(given))
    factor = scale(given) if given else _factor(sheet, name, known)
    if factor is None and given:
        raise ValueError(
            f"--{letter} {text}: {given!r} is no unit; give one such as K, M, B, T, 1e9, PF-days or ZFLOPs, or 1 "
            f"for none"
        )
    return Choice(letter=letter, name=name, kind=kind, factor=factor or 1.0, said=bool(given))


def _unit(text: str) -> str:
    """The key of a unit of losses that the user named."""
    key = text if text in LOSS_UNITS else loss_unit_of(text)
    if key is None:
        raise ValueError(f"{text!r} is no unit of a loss; choose one of {', '.join(LOSS_UNITS)}")
    return key


def _factor(sheet: Sheet, name: str, known: columns.Meaning | None) -> float | None:
    """What a column is counted in by its name, or by the row of units."""
    by_row = scale(sheet.units.get(name, "")) if sheet.units.get(name, "") else None
    return known.factor if known is not None and known.factor is not None else by_row


class NoColumn(ValueError):
    """No column has a name of a letter that is needed."""

    def __init__(self, letter: str, sheet: Sheet):
        self.letter, such_as = letter, SUCH_AS.get(letter, letter)
        there = f"there are: {names(sheet.header)}{_optima(sheet) or _one_variable(sheet)}"
        super().__init__(f"no column for {letter} (such as {such_as}); name it with --{letter} COLUMN; {there}")


class _Tie(ValueError):
    """Two columns that fit a letter equally well."""


def _found(sheet: Sheet, letter: str, needs: set[str]) -> Choice | None:
    """The column whose name fits a letter best."""
    found = [
        (known, name)
        for name in dict.fromkeys(sheet.header)
        if (known := columns.meaning(name)) and known.letter == letter
    ]
    if letter == "S" and not found:
        found = [(columns.Meaning(letter="S", rank=(0,)), name) for name in columns.roles(sheet.header, "steps")]
    filled = [(known, name) for known, name in found if sheet.header.count(name) > 1 or _has_numbers(sheet, name)]
    found = filled or [(known, name) for known, name in found[:1] if any(sheet.text(name))]  # words, named further on
    if not found:
        return None
    for _, name in found:
        if sheet.header.count(name) > 1 and (letter in needs or letter == "L"):
            sheet.cells(name)  # raises
    found.sort(key=lambda each: each[0].rank)
    known, name = found[0]
    others = tuple(other for _, other in found[1:])
    if letter == "N" and len(found) > 1 and "N" in needs and (swept := _swept(sheet, found)) is not None:
        known, name = swept
        others = tuple(other for _, other in found if other != name)
    why = (
        f"the sizes in {shown(found[0][1])} are within {100 * (ONE_SIZE - 1):.2g}% of each other"
        if found[0][1] != name
        else ""
    )
    choice = Choice(
        why=why, letter=letter, name=name, kind=known.kind, factor=_factor(sheet, name, known) or 1.0, others=others,
        unit=known.unit or (loss_unit_of(sheet.units.get(name, "")) if letter == "L" else None),
    )  # fmt: skip
    equal = [(other, each) for other, each in found if other.rank == known.rank and each != name]
    for other, each in equal:
        if not _agree(sheet, choice, replace(choice, name=each, factor=_factor(sheet, each, other) or 1.0)):
            both = f"columns {shown(name)} and {shown(each)}"
            raise _Tie(f"{both} fit {letter} equally well and differ; name one with --{letter} COLUMN")
    return choice


def _has_numbers(sheet: Sheet, name: str) -> bool:
    """Whether a quarter of a column or more is filled with numbers, or a row of most runs: validation is rare."""
    known = ~np.isnan(sheet.numbers(name))
    if known.sum() * 4 >= len(known):
        return True
    labels = [np.array(sheet.text(label), dtype=object) for label in columns.roles(sheet.header, "run")]
    return any(2 * len({*runs[known]}) > len({*runs}) for runs in labels)


def _agree(sheet: Sheet, one: Choice, other: Choice) -> bool:
    a, b = one.values(sheet), other.values(sheet)
    both = ~(np.isnan(a) | np.isnan(b))
    return bool(both.any() and (np.abs(a - b)[both] <= SAME * np.abs(a)[both]).all())


def _swept(sheet: Sheet, found: Sequence[tuple[columns.Meaning, str]]) -> tuple[columns.Meaning, str] | None:
    """The first column of sizes that differ, where those of the best name are as good as one."""
    for rank, (known, name) in enumerate(found):
        values = sheet.numbers(name)
        values = values[values > 0]
        if values.size and values.max() > ONE_SIZE * values.min():
            return (known, name) if rank else None
    return None


def _optima(sheet: Sheet) -> str:
    """A hint where a table has optima in place of losses."""
    optima = [name for name in sheet.header if {"opt", "optimal", "optimum", "star"} & {*columns.words_of(name)[0]}]
    axis = next((name for name in sheet.header if (m := columns.meaning(name)) and m.letter == "C"), None)
    if not optima or axis is None:
        return ""
    flags = f"--law monomial --x {quote(axis)} --L {quote(optima[0])}"
    return f"; {names(optima)} look like optima: {flags} fits how they change"


def _one_variable(sheet: Sheet) -> str:
    """A hint where a table has one variable and a loss."""
    found = [(known.letter, name) for name in sheet.header if (known := columns.meaning(name)) is not None]
    variables = [name for letter, name in found if letter in ("N", "D", "C", "x")]
    if len(variables) != 1 or "L" not in {letter for letter, _ in found}:
        return ""
    return f"; a law of one variable takes them: --law power_floor --x {quote(variables[0])}"
