"""Points for a fit from a table of runs: `read_runs`, the one reader of every command and of Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalinglaws.tables import columns, folders, formats
from scalinglaws.tables import readings as reading
from scalinglaws.tables.choice import Choice, NoColumn, choose
from scalinglaws.tables.counts import (
    another_counting,
    completed,
    in_known_unit,
    is_no_result,
    positive,
    refuse_implausible,
    what_is_doubtful,
)  # fmt: skip
from scalinglaws.tables.numbers import is_missing
from scalinglaws.tables.sheet import Sheet, names, shown
from scalinglaws.tables.units import NATS
from scalinglaws.tables.where import rows_where


@dataclass(frozen=True, kw_only=True)
class Points:
    """Columns of positive numbers by their letter, and what was done to get them."""

    columns: Mapping[str, NDArray[np.float64]]  # N, D, C, L as far as they are known; parameters, tokens, FLOPs
    labels: NDArray | None  # of runs or clusters, where readings are kept or a column of labels was named
    notes: tuple[str, ...]  # what was read first, then choices and what was left out, a sentence each
    warnings: tuple[str, ...]  # what makes the points doubtful
    unit: str = NATS  # of L
    seeds: NDArray | None = None  # what the column of seeds holds, where there is one

    def __len__(self) -> int:
        return self.columns["L"].size

    def of(self, law: Any) -> dict[str, NDArray[np.float64]]:
        """Return the columns that a law is fitted to: ``sl.fit(law, **points.of(law))``."""
        return {letter: self.columns[letter] for letter in (*law.variables, "L")}

    def repeats(self) -> NDArray[np.intp] | None:
        """Labels that rows share which are equal in every column; None where all rows differ."""
        table = pd.DataFrame(dict(self.columns))
        if not table.duplicated().any():
            return None
        return np.asarray(table.groupby(list(table.columns), sort=False).ngroup())


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `read_runs`."""

    needs: tuple[str, ...]
    named: Mapping[str, str]
    label: str | None
    where: str | None
    drop_missing: bool
    keep_failed: bool
    readings: reading.Readings | None
    curves: bool
    best_of: str | Sequence[str] | None
    unit: str | None
    drop_highest: int


def read_runs(
    path: str | Path, *, needs: Sequence[str] = ("N", "D"), named: Mapping[str, str] | None = None,
    unit: str | None = None, where: str | None = None, drop_missing: bool = False, keep_failed: bool = False,
    readings: reading.Readings | None = None, curves: bool = False, best_of: str | Sequence[str] | None = None,
    label: str | None = None, drop_highest: int = 0,
) -> Points:  # fmt: skip
    """Return the points in a table of runs: a file of any usual form, or a folder of training curves.

    Text (comma, semicolon, tab, white space; decimal commas; any usual encoding), Markdown, JSON, JSON lines and
    Parquet are read, and folders of ``trainer_state.json`` or of the CSV files of TensorBoard and of trackers. Columns
    are found by their names; units are those of names, cells or a row of units. Notes say what was read and what was
    left out.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    needs : sequence of str
        Letters that must be known, besides L. Where both are not columns, C = 6 N D gives the third of N, D and C.
    named : mapping
        Column by letter, for those that are not to be found by name; a unit may follow: ``{"N": "size:M"}``.
    unit : str, optional
        What the losses are counted in: "nats", "bits" (per token), "perplexity", "bpb", "bpc", ... Left out, by the
        name of their column, else nats per token.
    where : str, optional
        Condition on the columns that rows must meet, such as ``"status == 'finished' and lr < 1e-2"``.
    drop_missing : bool
        Leave out rows without a value that is needed; otherwise they are an error.
    keep_failed : bool
        Keep runs that a column of statuses calls failed, crashed, killed, running and the like.
    readings : str, optional
        Where rows are readings of runs: "last" takes the last of each run (default), "cluster" all, labelled by run,
        and "all" takes every row as a run of its own.
    curves : bool
        Whether "cluster" is the default: for what wants training curves.
    best_of : str or sequence of str, optional
        Columns of recipes, such as ``["lr", "batch"]``: of each place (N, D) the best recipe is taken, with all its
        seeds. "all" takes the lowest loss of each place, "none" every row. Left out: the rates, batches ... that vary.
    label : str, optional
        Column of labels, of runs or of clusters; readings of a run that it labels are all kept.
    drop_highest : int
        Points of the highest loss to leave out.

    Returns
    -------
    Points
        N in parameters, D in tokens, C in FLOPs, L in ``unit``: nats per token, or what cannot be converted to it.

    Raises
    ------
    ValueError
        If the file cannot be read, a column is missing or two fit equally well, a cell is no number above zero, a
        count is implausible, or an option has no effect. The message names file, line and column, and what to do.
    """
    asked = Asked(
        needs=tuple(needs), named=dict(named or {}), label=label, where=where, drop_missing=drop_missing,
        keep_failed=keep_failed, readings=readings, curves=curves, best_of=best_of, unit=unit,
        drop_highest=drop_highest,
    )  # fmt: skip
    path = Path(path)
    try:
        return _points(_sheet(path, bare=not asked.named), asked)
    except OSError as error:
        raise ValueError(
            f"{path}: {error.strerror or error}; give a table with a header line, or a folder of curves"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text in {error.encoding}; save it as CSV in UTF-8") from error
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error


def _sheet(path: Path, *, bare: bool) -> Sheet:
    """The table of a file or folder, with a row for each run or reading; ``bare`` as for `folders.by_run`."""
    if path.is_dir():
        return folders.load_folder(path)
    sheet = formats.load(path)
    if {name.casefold() for name in sheet.header} >= folders.TENSORBOARD:
        raise ValueError(f"is the curve of one run as TensorBoard writes it; {folders.HOW}")
    return folders.by_run(sheet, bare=bare) or _turned(sheet)


def _turned(sheet: Sheet) -> Sheet:
    """The sheet with rows for columns, where a column stands for each run and the names below each other."""
    own = sum(columns.meaning(name) is not None for name in sheet.header[1:])
    if len(sheet.header) < 3 or own or len(sheet) > 200:
        return sheet
    first = [str(cell).strip() for cell in sheet.table[0]]
    known = {found.letter for cell in first if (found := columns.meaning(cell)) is not None}
    if not {"L"} < known or len({*first}) < len(first):
        return sheet
    cells = {"run": list(sheet.header[1:])} | {name: sheet.table.iloc[k, 1:].tolist() for k, name in enumerate(first)}
    turned = Sheet.of(cells, place="run", form=sheet.form, separator=sheet.separator)
    return turned.noting(*sheet.notes, f"a column for each of {len(turned)} runs")


def _points(sheet: Sheet, asked: Asked) -> Points:
    """The stages of reading, after each other; notes and doubts are collected on the way."""
    rows, notes, doubts = len(sheet), list(sheet.notes), []
    if asked.label is not None and asked.label not in sheet.header:
        raise ValueError(f"no column {shown(asked.label)}; there are: {names(sheet.header)}")
    sheet = _where(sheet, asked, notes)
    sheet = _without_summary(sheet, notes)
    sheet = _without_failed(sheet, asked, notes, doubts)
    sheet = _with_tokens(sheet, asked, notes)
    chosen = _chosen(sheet, asked)
    sheet, labels, n_runs = _runs(sheet, chosen, asked, notes)
    sheet, labels = _complete(sheet, chosen, labels, asked, notes)
    values = {letter: positive(sheet, choice) for letter, choice in chosen.items()}
    unit, losses = in_known_unit(values["L"], chosen["L"], asked.needs)
    if "se" in values:  # standard errors are converted with the losses
        of_log = (chosen["L"].unit or "").startswith("perplexity")
        values["se"] = values["se"] * (1 / values["L"] if of_log else losses / values["L"])
    values["L"] = losses
    refuse_implausible(values, chosen, asked.needs)
    values, derived = completed(values, chosen)
    notes += another_counting(sheet, values) if "C = 6 N D" in derived else []
    doubts += _epochs(sheet, chosen, asked)
    keep = _best(sheet, values, asked, notes, doubts)
    if not any("they differ in" in text for text in doubts):  # which names the columns
        doubts += reading.mixed(sheet.only(keep), values["N"][keep] if "N" in values else None)
    keep = _lowest(values["L"][keep], keep, asked, notes)
    values = {letter: column[keep] for letter, column in values.items()}
    labels = labels if asked.label is None else _label(sheet, asked.label)
    seeds = [np.array(sheet.text(name), dtype=object)[keep] for name in columns.roles(sheet.header, "seed")]
    places = int(reading.places(values["N"], values["D"]).max()) + 1 if {"N", "D"} <= values.keys() else None
    if n_runs == rows:
        doubts += _looks_like_curves(values)
    doubts += what_is_doubtful(values, chosen, asked.needs, asked=asked.named, all_differ=places == len(keep))
    account = _account(sheet, rows, n_runs, places, values, chosen, unit, derived)
    return Points(
        columns=values, labels=None if labels is None else labels[keep], unit=unit,
        seeds=seeds[0] if len(seeds) == 1 else None,
        notes=tuple(dict.fromkeys([account, *_others(sheet, chosen), *notes])), warnings=tuple(dict.fromkeys(doubts)),
    )  # fmt: skip


def _chosen(sheet: Sheet, asked: Asked) -> dict[str, Choice]:
    """The columns; of curves that do not say a size, how to give it."""
    try:
        return choose(sheet, asked.needs, asked.named, asked.unit)
    except NoColumn as error:
        if sheet.place != "reading" or "run" not in sheet.header:
            raise
        raise ValueError(folders.ask_for_sizes(sheet, error.letter)) from error


# Rows.


def _where(sheet: Sheet, asked: Asked, notes: list[str]) -> Sheet:
    """The rows that meet the condition."""
    if asked.where is None:
        return sheet
    keep = rows_where(sheet, asked.where)
    if not keep.any():
        raise ValueError(f"--where {shown(asked.where)} keeps none of {len(sheet)} rows")
    if keep.all():
        raise ValueError(f"--where {shown(asked.where)} has no effect: all {len(sheet)} rows meet it; leave it out")
    notes.append(f"--where keeps {keep.sum()} of {len(sheet)} rows")
    return sheet.only(keep)


def _without_summary(sheet: Sheet, notes: list[str]) -> Sheet:
    """The rows above the totals or means that end a table."""
    foot = reading.summary(sheet)
    if foot.any():
        notes.append(f"left out, as sums or means of the rows above: {sheet.rows(foot)}")
    return sheet.only(~foot)


def _epochs(sheet: Sheet, chosen: Mapping[str, Choice], asked: Asked) -> list[str]:
    """A doubt where tokens may be those of one of several epochs; tokens of a data set are an error."""
    several = [name for name in columns.roles(sheet.header, "epochs") if (sheet.numbers(name) > 1).any()]
    if not several or "D" not in chosen or "D" in asked.named or "U" in chosen:
        return []
    name = chosen["D"].name
    known = columns.meaning(name)
    text = f"D ({shown(name)}) beside {shown(several[0])}: D is all tokens that were read, each epoch of them"
    if known is not None and known.rank != (0,):
        raise ValueError(f"{text}; give a column of their product, or name the one that holds it with --D COLUMN")
    return [] if {*columns.words_of(name)[0]} & columns.ALL_READ else [f"{text}; --D names another column"]


def _without_failed(sheet: Sheet, asked: Asked, notes: list[str], doubts: list[str]) -> Sheet:
    """The rows that are results, by columns of statuses."""
    bad, why, unclear = reading.failed(sheet)
    doubts += unclear
    if asked.keep_failed:
        if not bad.any():
            raise ValueError(
                "--keep-failed has no effect: no column says that a run failed or still runs; leave it out"
            )
        notes.append(f"kept, though no finished runs: {why}")
        return sheet
    if bad.all():
        raise ValueError(f"every run diverged or failed: {why}; --keep-failed keeps them")
    if bad.any():
        hint = "a tracker also calls runs failed that were stopped after their last step"
        notes.append(f"left out, as no finished runs: {why}; --keep-failed keeps them ({hint})")
    return sheet.only(~bad)


def _with_tokens(sheet: Sheet, asked: Asked, notes: list[str]) -> Sheet:
    """The sheet with tokens where it has steps and tokens per step in their place."""
    known = {found.letter for name in sheet.header if (found := columns.meaning(name)) is not None} | {*asked.named}
    if "D" in known or "D" not in asked.needs or {"N", "C"} <= known:
        return sheet
    per_step = next(iter(columns.roles(sheet.header, "tokens_per_step")), None)
    steps = columns.step_of(sheet.header) or next(iter(columns.roles(sheet.header, "steps")), None)
    if per_step is None or steps is None or "epoch" in steps.casefold():
        return sheet
    notes.append(f"D is {shown(steps)} times {shown(per_step)}")
    return sheet.with_column("tokens", (sheet.numbers(steps) * sheet.numbers(per_step)).tolist())


def _runs(
    sheet: Sheet, chosen: Mapping[str, Choice], asked: Asked, notes: list[str]
) -> tuple[Sheet, NDArray | None, int]:
    """Rows that are runs, or readings with the label of their run, and the number of runs."""
    N = chosen["N"].values(sheet) if "N" in chosen else None
    try:
        name, labels, step = (None, None, None) if asked.readings == "all" else reading.run_labels(sheet, N)
    except ValueError:
        if asked.label is None:
            raise
        name, labels, step = None, None, None
    if labels is None:
        if asked.readings in ("last", "cluster"):
            none = "no column tells runs with several readings apart"
            raise ValueError(f"--readings {asked.readings} has no effect: {none}; leave it out")
        return sheet, None, len(sheet) if asked.label is None else len({*sheet.text(asked.label)})
    n_runs = int(labels.max()) + 1
    by = f"column {shown(name)}" if name else f"column {shown(step)}, which begins again"
    whole = asked.label is not None and name in (None, asked.label)
    how = asked.readings or ("cluster" if asked.curves or whole else "last")
    sheet, labels = _with_loss(sheet, labels, chosen, notes)
    if how == "cluster":
        if not any(reading.varies_within(labels, chosen[x].values(sheet)) for x in "DCx" if x in chosen):
            need = "needs the tokens of each reading, and they are one value for each run"
            raise ValueError(f"--readings cluster {need}; use --readings last")
        notes.append(f"{len(sheet)} readings of {n_runs} runs by {by}: all are kept, labelled by run")
        return sheet, np.array(sheet.text(name), dtype=object) if name else labels, n_runs
    at = np.arange(len(sheet), dtype=float)
    if step or "D" in chosen:
        at = sheet.numbers(step) if step else chosen["D"].values(sheet)
    more = "--readings cluster keeps all, with intervals by run"
    notes.append(f"{len(sheet)} readings of {n_runs} runs by {by}: the last of each is taken ({more})")
    return sheet.only(reading.last_of_each(labels, at)), None, n_runs


def _with_loss(
    sheet: Sheet, labels: NDArray[np.intp], chosen: Mapping[str, Choice], notes: list[str]
) -> tuple[Sheet, NDArray[np.intp]]:
    """Readings with all that is needed; runs whose last loss is no number have diverged and are left out."""
    cells = sheet.cells(chosen["L"].name)
    last = {int(label): row for row, label in enumerate(labels)}
    diverged = {label: row for label, row in last.items() if is_no_result(cells[row])}
    gone = np.isin(labels, [*diverged])
    if diverged:
        where = sheet.rows(np.isin(np.arange(len(sheet)), [*diverged.values()]))
        notes.append(f"{len(diverged)} runs whose last loss is no number are left out ({where})")
    empty = np.isnan(np.stack([choice.values(sheet) for choice in chosen.values()])).any(axis=0) & ~gone
    words = np.array([not is_missing(cell) for cell in cells]) & np.isnan(chosen["L"].values(sheet))
    empty &= ~words  # a word where a loss belongs is an error further on
    if empty.any():
        notes.append(f"{empty.sum()} readings without a loss, or another value that is needed, are left out")
    keep = ~(gone | empty)
    if not keep.any():
        raise ValueError("no reading has all that is needed; give a table with the last reading of each run")
    return sheet.only(keep), labels[keep]


def _complete(
    sheet: Sheet, chosen: Mapping[str, Choice], labels: NDArray | None, asked: Asked, notes: list[str]
) -> tuple[Sheet, NDArray | None]:
    """The rows that have all values that are needed; without ``drop_missing`` others are an error further on."""
    if not asked.drop_missing:
        return sheet, labels
    gone = np.zeros(len(sheet), bool)
    for choice in chosen.values():
        cells, values = sheet.cells(choice.name), choice.values(sheet)
        said = [is_missing(cell) or (choice.letter == "L" and is_no_result(cell)) for cell in cells]
        gone |= np.array(said, bool) & ~((values > 0) & np.isfinite(values))
    if not gone.any():
        raise ValueError("--drop-missing has no effect: no row lacks a value; leave it out")
    if gone.all():
        raise ValueError("every row lacks a value that is needed; --drop-missing would leave none")
    notes.append(f"{gone.sum()} rows without a value are left out ({sheet.rows(gone)})")
    return sheet.only(~gone), None if labels is None else labels[~gone]


def _label(sheet: Sheet, name: str) -> NDArray:
    """The labels of the rows; an empty one would be a run or cluster of its own."""
    words = sheet.text(name)
    empty = np.array([not word for word in words], bool)
    if empty.any():
        line = sheet.table.index[empty][0]
        raise ValueError(f"{sheet.place} {line}: label {shown(name)} is empty ({empty.sum()} such rows); name each run")
    return np.array(words, dtype=object)


def _best(
    sheet: Sheet, values: Mapping[str, NDArray], asked: Asked, notes: list[str], doubts: list[str]
) -> NDArray[np.intp]:
    """The rows of the best recipe of each place."""
    every = np.arange(len(sheet))
    if not {"N", "D"} <= values.keys():
        if asked.best_of is not None:
            raise ValueError("--best-of has no effect on a fit without N and D; leave it out")
        return every
    if asked.readings == "cluster" or asked.curves or asked.label is not None:
        if asked.best_of not in (None, "none"):
            raise ValueError(
                "--best-of takes one recipe of each place (N, D), and all readings are wanted; leave one out"
            )
        return every
    keep, said, unclear = reading.best_of(sheet, values["N"], values["D"], values["L"], asked.best_of)
    notes += said
    doubts += unclear
    return every if keep is None else keep


def _lowest(L: NDArray, keep: NDArray[np.intp], asked: Asked, notes: list[str]) -> NDArray[np.intp]:
    """The points but those of the highest loss."""
    if asked.drop_highest < 0 or asked.drop_highest >= L.size:
        raise ValueError(f"cannot leave out {asked.drop_highest} of {L.size} points; choose fewer")
    if asked.drop_highest:
        notes.append(f"the {asked.drop_highest} points of highest loss are left out")
    return keep[np.sort(np.argsort(L, kind="stable")[: L.size - asked.drop_highest])]


def _account(
    sheet: Sheet, rows: int, n_runs: int, places: int | None, values: Mapping[str, NDArray],
    chosen: Mapping[str, Choice], unit: str, derived: Sequence[str],
) -> str:  # fmt: skip
    """What was read, in one line."""
    size = values["L"].size
    runs = f"{size:,} points" if size != n_runs else f"{n_runs:,} runs"
    runs += f" at {places:,} places (N, D)" if places else ""
    letters = sorted(chosen, key=lambda letter: [*"NDCUSx", "L", "se", "weights"].index(letter))
    taken = ", ".join(chosen[letter].words() for letter in letters if letter != "L")
    key = chosen["L"].unit or ""
    how = " (ln of perplexity)" if key.startswith("perplexity") else " (bits times ln 2)" if key == "bits" else ""
    loss = f"{chosen['L'].words()} in {unit}{how}"
    return "; ".join([f"read {rows:,} rows ({sheet.form}): {runs}", ", ".join(filter(None, [taken, loss])), *derived])


def _others(sheet: Sheet, chosen: Mapping[str, Choice]) -> list[str]:
    """The columns that could have been taken as well."""
    out = []
    for letter, choice in chosen.items():
        if choice.others:
            why = f" ({choice.why})" * bool(choice.why)
            out.append(f"{letter} could also be {' or '.join(map(shown, choice.others[:4]))}: --{letter} chooses{why}")
    errors = [] if "se" in chosen else [name for name in sheet.header if columns.is_standard_error(name)]
    if errors:
        out.append(f"{names(errors)} may be standard errors of the losses: --se weighs by them")
    return out


def _looks_like_curves(values: Mapping[str, NDArray]) -> list[str]:
    """A doubt where rows are spaced as readings are, and nothing says that they are."""
    if not {"N", "D"} <= values.keys() or values["L"].size > 100_000:
        return []
    sizes = reading.curves_without_label(values["N"], values["D"])
    if not sizes:
        return []
    ask = "if they are, give the last of each run, or a column of runs with --cluster"
    return [f"tokens are evenly spaced in {sizes} stretches of one size, as readings of one run are: {ask}"]
