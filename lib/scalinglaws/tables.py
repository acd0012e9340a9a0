"""Points for a fit from a table of other people's runs: which column is N, D, C and L, and what is wrong with it.

Columns are guessed by their usual names, and every guess is said, because a wrong one gives a fit of something else.
"""

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalinglaws import counting

GUESSES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "N": ("N", "n_params", "n_params_nonemb", "params", "model size"), "D": ("D", "tokens", "training_tokens"),
    "C": ("C", "flops", "training flop"), "L": ("L", "loss", "val_loss"), "U": ("U", "unique_tokens"),
    "S": ("S", "steps"), "x": ("x",), "se": (), "weights": (),
})  # fmt: skip
SWAPPED = 0.5  # tokens per parameter, median: below it the two columns look exchanged


@dataclass(frozen=True, kw_only=True)
class Points:
    """Columns of positive numbers by their letter, and what was done to get them."""

    columns: Mapping[str, NDArray[np.float64]]  # N, D, C, L as far as they are known; parameters, tokens, FLOPs, nats
    labels: NDArray | None  # of runs or clusters, where a column of them was named
    notes: tuple[str, ...]  # guesses and what was left out, a sentence each
    warnings: tuple[str, ...]  # what makes the points doubtful

    def __len__(self) -> int:
        return self.columns["L"].size

    def repeats(self) -> NDArray[np.intp] | None:
        """Labels that rows share which are equal in every column; None where all rows differ."""
        table = pd.DataFrame(dict(self.columns))
        if not table.duplicated().any():
            return None
        return np.asarray(table.groupby(list(table.columns), sort=False).ngroup())


def read(
    path: Path,
    *,
    needs: Sequence[str] = ("N", "D"),
    named: Mapping[str, str] | None = None,
    label: str | None = None,
    drop_highest: int = 0,
) -> Points:
    """Return the points in a CSV file (comma, semicolon or tab).

    It has a header line. Rows whose ``status`` is "diverged" or "failed" are left out, and so are ``drop_highest``
    points of the highest loss; notes say so. A ValueError names the column and the line at fault, and what to do.

    Parameters
    ----------
    needs : sequence of str
        Letters that must be known, besides L. Where both are not columns, C = 6 N D gives the third of N, D and C.
    named : mapping
        Column name by letter, for those that are not to be guessed.
    label : str, optional
        Column of labels, of runs or of clusters.
    """
    try:
        header, separator, skip = _header(path)
        chosen, notes = _choose(header, dict(named or {}), needs, label)
        table, more = _without_failed(_table(path, header, separator, skip, {*chosen.values(), label}), header)
        empty = [] if label is None else table.index[table[label].isna()]
        if len(empty):  # it would be a run or cluster of its own
            raise ValueError(f"line {empty[0]}: label {label!r} is empty ({len(empty)} such rows); name each run")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a CSV file with a header line") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text in UTF-8; save it as CSV in UTF-8") from error
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    columns = {letter: _numbers(path, table, letter, name) for letter, name in chosen.items()}
    columns, derived = _completed(columns, needs)
    keep = np.argsort(columns["L"], kind="stable")[: len(table) - drop_highest]
    if drop_highest < 0 or not keep.size:
        raise ValueError(f"{path}: cannot leave out {drop_highest} of {len(table)} points; choose fewer")
    keep.sort()
    dropped = [f"the {drop_highest} points of highest loss are left out"] if drop_highest else []
    columns = {letter: column[keep] for letter, column in columns.items()}
    return Points(
        columns=columns,
        labels=None if label is None else table[label].to_numpy()[keep],
        notes=(*notes, *more, *derived, *dropped),
        warnings=_doubts(path, columns, needs, asked={*(named or {})} >= {"N", "D"}),
    )


def _header(path: Path) -> tuple[list[str], str, int]:
    """Column names, what separates them, and how many lines they end after."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        skip, first = next(((k, line) for k, line in enumerate(file, start=1) if line.strip()), (0, ""))
    if not first:
        raise ValueError("the file is empty; it needs a header line and a line for each run")
    separator = max(",;\t", key=first.count)
    names = next(csv.reader([first], delimiter=separator, skipinitialspace=True))
    return [name.strip() for name in names], separator, skip


def _lines(path: Path, width: int, separator: str) -> list[int]:
    """Line at which each row of cells ends: a quoted cell may have several.

    Raises for a row with more cells than the header has names, which pandas would cut off without a word.
    """
    ends = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator, skipinitialspace=True)
        for row in rows:
            if len(row) > width and any(cell.strip() for cell in row[width:]):
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, the header {width} names; mend it")
            ends.append(rows.line_num)
    return ends


def _choose(
    header: list[str], named: dict[str, str], needs: Sequence[str], label: str | None
) -> tuple[dict[str, str], list[str]]:
    """Column by letter, named or guessed, and the guesses in words."""
    for name in [*named.values(), *([label] if label else [])]:
        if name not in header:
            raise ValueError(f"no column {name!r}; there are: {', '.join(header)}")
    lower = [name.lower() for name in header]
    chosen, notes = dict(named), []
    for letter in ("N", "D", "C", "L", *(set(needs) - set("NDC"))):
        found = [header[lower.index(guess.lower())] for guess in GUESSES[letter] if guess.lower() in lower]
        if letter not in chosen and found:
            chosen[letter] = found[0]
            others = f", not {' or '.join(map(repr, found[1:]))}: --{letter} chooses" if found[1:] else ""
            notes.append(f"{letter} is column {found[0]!r}{others}")
    known = {*chosen}
    if len(known & set("NDC")) >= 2:
        known |= set("NDC")
    for letter in (*needs, "L"):
        if letter not in known:
            raise ValueError(
                f"no column for {letter} (such as {', '.join(GUESSES[letter])}); name it with --{letter} COLUMN; "
                f"there are: {', '.join(header)}"
            )
    twice = [name for name in (*chosen.values(), label or "status", "status") if header.count(name) > 1]
    if twice:
        raise ValueError(f"column {twice[0]!r} stands twice in the header; rename one")
    direct = [letter for letter in (*needs, "L") if letter in chosen]
    wanted = {*direct} if len(direct) == len({*needs, "L"}) else {*needs, "L", *"NDC"}
    idle = sorted({*named} - wanted - {"C"})  # approaches 1 and 2 want C of the same table
    if idle:
        raise ValueError(f"--{idle[0]} has no effect on a fit of {', '.join([*needs, 'L'])}; leave it out")
    return {k: v for k, v in chosen.items() if k in wanted}, [note for note in notes if note[0] in wanted]


def _table(path: Path, header: list[str], separator: str, skip: int, columns: set[str | None]) -> pd.DataFrame:
    """The columns that are needed, as they stand in the file, by the line of each row."""
    columns |= {"status"} & {*header}
    lines = _lines(path, len(header), separator)[skip:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # text among numbers is reported by `_numbers`
        try:
            table = pd.read_csv(
                path, sep=separator, header=None, names=range(len(header)), skiprows=skip, index_col=False,
                usecols=[k for k, name in enumerate(header) if name in columns], encoding="utf-8-sig",
                skip_blank_lines=False, skipinitialspace=True,
            ).set_axis(lines)  # fmt: skip
        except pd.errors.EmptyDataError:
            table = pd.DataFrame()
    table = table.dropna(how="all")  # blank lines
    if table.empty:
        raise ValueError("no rows below the header; it needs a line for each run")
    return table.rename(columns=dict(enumerate(header)))


def _without_failed(table: pd.DataFrame, header: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The rows that are results, by the status of a run table."""
    if "status" not in header:
        return table, []
    bad = table["status"].isin(["diverged", "failed"])
    if bad.all():
        raise ValueError("every run diverged or failed")
    notes = [f"{bad.sum()} runs that diverged or failed are left out"] if bad.any() else []
    return table[~bad], notes


def _numbers(path: Path, table: pd.DataFrame, letter: str, name: str) -> NDArray[np.float64]:
    """A column of positive, finite numbers."""
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), float)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        cell = table[name].iloc[bad[0]]
        shown = "empty or nan" if pd.isna(cell) else repr(cell) if isinstance(cell, str) else f"{cell:.6g}"
        raise ValueError(
            f"{path}: line {table.index[bad[0]]}: {letter} ({name!r}) is {shown}, no finite number above zero "
            f"({bad.size} such rows); mend or drop them"
        )
    return values


def _completed(columns: dict, needs: Sequence[str]) -> tuple[dict, list[str]]:
    """N, D and C from two of them."""
    have = columns.keys() & set("NDC")
    if len(have) != 2:
        return columns, []
    (missing,) = set("NDC") - have
    if missing == "C":
        return columns | {"C": counting.flops_6nd(columns["N"], columns["D"])}, ["C = 6 N D"] * ("C" in needs)
    rule, other = {"N": (counting.params_6nd, "D"), "D": (counting.tokens_6nd, "N")}[missing]
    return columns | {missing: rule(columns["C"], columns[other])}, [f"{missing} = C / (6 {other})"]


def _doubts(
    path: Path, columns: Mapping[str, NDArray[np.float64]], needs: Sequence[str], *, asked: bool
) -> tuple[str, ...]:
    """What makes points doubtful that are all numbers; N and D that look exchanged and were guessed are an error."""
    out = []
    repeated = int(pd.DataFrame(dict(columns)).duplicated().sum())
    if repeated:
        out.append(f"{repeated} of {columns['L'].size} rows repeat another one: copies are no new evidence")
    if {"N", "D"} <= {*columns} and {*needs} & {"N", "D"}:
        ratio = float(np.median(columns["D"] / columns["N"]))
        if ratio < SWAPPED:
            text = f"half of the runs have fewer than {ratio:.3g} tokens per parameter: are N and D swapped?"
            if not asked:
                raise ValueError(f"{path}: {text} Name both columns with --N and --D to go on")
            out.append(text)
    return tuple(out)
