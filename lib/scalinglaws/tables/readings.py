"""Rows to runs: which runs are no results, which rows are readings of one run, which recipes of one place (N, D)."""

import re
from collections.abc import Sequence
from typing import Literal, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalinglaws.tables import columns
from scalinglaws.tables.sheet import Sheet, listed, names, shown
from scalinglaws.tables.units import words

Readings = Literal["last", "cluster", "all"]
Bools = NDArray[np.bool_]

FINISHED = words("""
    ok finished finish done complete completed success succeeded successful ended converged final good passed
""")
# What schedulers and trackers call a run that did not come to its end.
FAILED = words("""
    diverged failed fail failure crashed crash killed running error errored oom out_of_memory preempted preempting
    pending queued scheduled cancelled canceled timeout timed_out aborted abort stopped interrupted incomplete
    unfinished in_progress started nan exploded invalid broken node_fail suspended requeued paused terminated lost
    dead diverging evicted
""")
SUMMARY = words("total totals subtotal sum mean average avg median std stdev stddev")
EVEN = 0.02  # share by which steps of readings differ where they are even
SAME_PLACE = 0.005  # share by which N or D of runs with other batch sizes may differ


def failed(sheet: Sheet) -> tuple[Bools, str, list[str]]:
    """Rows that are no results by the columns of statuses, why in words, and what could not be told."""
    bad, why, doubts = np.zeros(len(sheet), bool), [], []
    for name in columns.roles(sheet.header, "status"):
        said = [re.sub(r"\W+", "_", word.casefold()) for word in sheet.text(name)]
        own = np.array(
            [word in FAILED or word.startswith(("stopped_at", "cancelled_by", "fail")) for word in said], bool
        )
        odd = sorted({*said} - {*np.array(said, dtype=object)[own]} - FINISHED - {""})
        if own.any():
            counts = pd.Series(said)[own].value_counts()
            many = listed([f"{count} {word!r}" for word, count in counts.items()])
            why.append(f"{many} by column {shown(name)}, {sheet.rows(own)}")
        if odd and len(odd) < max(3, len(sheet) / 2):
            doubts.append(
                f"column {shown(name)} says {listed([repr(word) for word in odd], 4)}: kept; --where leaves rows out"
            )
        bad |= own
    for role, failing in (("failed", True), ("finished", False)):
        for name in columns.roles(sheet.header, role):
            said = [word.casefold() for word in sheet.text(name)]
            if {*said} <= {"true", "false", "yes", "no", "1", "0", "1.0", "0.0", ""}:
                own = np.array([(word in ("true", "yes", "1", "1.0")) == failing and word != "" for word in said], bool)
                if own.any():
                    why.append(f"{own.sum()} by column {shown(name)}, {sheet.rows(own)}")
                bad |= own
    for name in columns.roles(sheet.header, "exit"):
        own = np.nan_to_num(sheet.numbers(name)) != 0
        if own.any():
            why.append(f"{own.sum()} by column {shown(name)}, {sheet.rows(own)}")
        bad |= own
    return bad, "; ".join(why), doubts


def summary(sheet: Sheet) -> Bools:
    """Rows at the end whose first text is a word for a sum or mean of those above."""
    foot = np.zeros(len(sheet), bool)
    labels = [name for name in sheet.header if columns.meaning(name) is None and sheet.header.count(name) == 1]
    for name in labels:
        own = [word.casefold().strip(" *:#.") in SUMMARY for word in sheet.text(name)]
        ends = next((k for k, word in enumerate(reversed(own)) if not word), len(own))
        if 2 * ends < len(own):  # else a column that says what each row is
            foot[len(own) - ends :] = True
    return foot


def mixed(sheet: Sheet, N: NDArray | None) -> list[str]:
    """A doubt where rows are of several data sets, tokenizers or architectures."""
    out = []
    for name in columns.roles(sheet.header, "text"):
        said = np.array(sheet.text(name), dtype=object)
        kinds = sorted({*said} - {""})
        of_size = N is not None and pd.Series(said).groupby(N).nunique().max() <= 1
        if 1 < len(kinds) <= len(said) / 3 and not of_size:
            rows = "--where takes the rows of one"
            out.append(f"column {shown(name)} has {len(kinds)} values ({names(kinds[:4])}), fitted as one: {rows}")
    return out


def run_labels(sheet: Sheet, N: NDArray | None) -> tuple[str | None, NDArray[np.intp] | None, str | None]:
    """The column that tells runs apart, a number for the run of each row, and the column of steps.

    None for the numbers: every row is a run. Where a column of steps stands alone, a run begins where steps begin
    again.
    """
    step = columns.step_of(sheet.header)
    for role in ("run", "name"):
        for name in columns.roles(sheet.header, role):
            said = sheet.text(name)
            labels, _ = pd.factorize(np.array(said, dtype=object))
            if "" in said:
                continue
            if labels.max(initial=-1) + 1 == len(sheet):
                if role == "run" or not all(map(str.isdecimal, said)):
                    return None, None, None  # a name for each row
                continue
            if N is not None and varies_within(labels, N):
                continue  # a group of runs, such as a family of models
            if role == "name" and (step is None or (N is not None and not _counts_up(sheet, step, labels))):
                continue  # such as the name of a size
            if role == "name" and N is not None and labels.max() + 1 == len(np.unique(N)):
                order = np.lexsort((sheet.numbers(step or name), labels))
                if not _even(sheet.numbers(step or name)[order], labels[order]):
                    _ask(step or name)  # a name for each size, and steps as of a design
            return name, labels, step
    if step is None or len(sheet) < 3:
        return None, None, None
    at = sheet.numbers(step)
    new = np.ones(len(sheet), bool)
    new[1:] = ~(at[1:] > at[:-1])
    if N is not None:
        new[1:] |= N[1:] != N[:-1]
    labels = np.cumsum(new) - 1
    lengths = np.bincount(labels)
    if lengths.max() < 3 or np.isnan(at).any():
        return None, None, None
    if np.median(lengths) < 3 or not _even(at, labels):
        _ask(step)
    return None, labels, step


def _ask(step: str) -> NoReturn:
    """Ask whether rows are readings."""
    raise ValueError(
        f"column {shown(step)} stands beside several rows of one size, and no column names runs: are they readings "
        "of one run? Name the column of runs with --cluster, or --readings all if each row is a run of its own"
    )


def _counts_up(sheet: Sheet, step: str, labels: NDArray[np.intp]) -> bool:
    """Whether steps differ within labels: readings of one run."""
    return varies_within(labels, sheet.numbers(step))


def varies_within(labels: NDArray[np.intp], values: NDArray) -> bool:
    """Whether values [n] differ among rows of one label."""
    known = ~np.isnan(values)
    table = pd.DataFrame({"label": labels[known], "value": values[known]}).groupby("label")["value"]
    return bool((table.max() > table.min() * (1 + 1e-9)).any())


def _even(at: NDArray, labels: NDArray[np.intp]) -> bool:
    """Whether the steps of most runs are evenly spaced, as readings are and designs are not."""
    gaps = [np.diff(of) for of in np.split(at, np.flatnonzero(np.diff(labels)) + 1)]
    return float(np.mean([each.size > 2 and np.ptp(each[:-1]) <= EVEN * each.mean() for each in gaps])) > 0.5


def last_of_each(labels: NDArray[np.intp], order: NDArray) -> NDArray[np.intp]:
    """The row of the last reading of each run, in the order of rows."""
    table = pd.DataFrame({"label": labels, "order": order})
    return np.sort(table.sort_values("order", kind="stable").groupby("label").tail(1).index.to_numpy())


def curves_without_label(N: NDArray, D: NDArray) -> int:
    """Curves of one size whose tokens are evenly spaced and many, as those of readings are; 0 where most are not.

    All rows of a size are taken for one curve, and then, in the order of the table, those until its tokens begin again.
    """
    table = pd.DataFrame({"N": N, "D": D})
    in_order = np.cumsum((np.diff(N, prepend=N[0]) != 0) | (np.diff(D, prepend=D[0]) <= 0))
    for rows, of in ((table.sort_values(["N", "D"]), "N"), (table.assign(run=in_order), "run")):
        rows["gap"] = rows.groupby(of)["D"].diff()  # nan where a curve begins
        gaps = rows.groupby(of)["gap"].agg(["size", "count", "min", "max", "mean"])
        even = (gaps["min"] > 0) & (gaps["max"] - gaps["min"] <= EVEN * gaps["mean"])
        whole = gaps["count"] == gaps["size"] - 1  # no length is missing
        found = int((even & whole & (gaps["count"] >= 7)).sum())
        if 2 * found > len(gaps):
            return found
    return 0


def places(N: NDArray, D: NDArray, *, near: float = 0.0) -> NDArray[np.intp]:
    """A number for the place (N, D) of each row; with ``near``, values that differ by a smaller share are one."""
    return np.unique(_merged(N, near) + 1j * _merged(D, near), return_inverse=True)[1]


def _merged(values: NDArray, near: float) -> NDArray:
    if not near:
        return values
    distinct = np.unique(values)
    first, merged = distinct[0], []
    for value in distinct:
        first = value if value > first * (1 + near) else first
        merged.append(first)
    return np.array(merged)[np.searchsorted(distinct, values)]


def best_of(
    sheet: Sheet, N: NDArray, D: NDArray, L: NDArray, wanted: str | Sequence[str] | None
) -> tuple[NDArray[np.intp] | None, list[str], list[str]]:
    """The rows of the best recipe at each place (N, D), or None for all; notes and doubts in words.

    ``wanted``: columns that a recipe is made of; "all": the lowest loss of each place, whatever its seed; "none": every
    row; None: the columns of rates, batches and such that vary at one place, with every seed of the best.
    """
    near = SAME_PLACE if len(N) < 100_000 else 0.0
    if wanted == "none" or len(N) < 2:
        return None, [], []
    if wanted == "all":
        at = places(N, D, near=near)
        if at.max() + 1 == len(N):
            raise ValueError("--best-of has no effect: no two rows have one N and D; leave it out")
        return (
            _lowest(at, at, L),
            [f"the lowest loss of each of {at.max() + 1} places (N, D) is taken, of {len(N)} rows"],
            [],
        )
    asked = [wanted] if isinstance(wanted, str) else list(wanted or ())
    for name in asked:
        if name not in sheet.header:
            raise ValueError(f"--best-of: no column {name!r}; there are: {names(sheet.header)}")
    recipes = asked or [*columns.roles(sheet.header, "recipe"), *columns.roles(sheet.header, "tokens_per_step")]
    exact = places(N, D)
    if not asked and exact.max() + 1 == len(N) and not recipes:
        return None, [], []
    at = places(N, D, near=near) if recipes else exact
    varied = [name for name in recipes if _differs(sheet, name, at)]
    if not varied:
        if asked:
            raise ValueError(
                f"--best-of {','.join(asked)} has no effect: at no place (N, D) do rows differ in it; leave it out"
            )
        return None, [], _unexplained(sheet, N, D, L, exact)
    recipe = pd.DataFrame({name: sheet.text(name) for name in varied}).groupby(varied, sort=False).ngroup().to_numpy()
    keep = _lowest(at, recipe, L)
    kept = "; seeds of it are kept" if len(keep) > at.max() + 1 else ""
    best = f"the best of {names(varied)} is taken, of {len(N)} rows{kept} (--best-of)"
    note = f"at each of {at.max() + 1} places (N, D) {best}"
    return keep, [note], _at_the_end(sheet, varied, keep, at)


def _lowest(at: NDArray, recipe: NDArray, L: NDArray) -> NDArray[np.intp]:
    """Rows of the recipe of lowest mean loss at each place."""
    table = pd.DataFrame({"at": at, "recipe": recipe, "L": L})
    if np.array_equal(at, recipe):
        return np.sort(table.groupby("at")["L"].idxmin().to_numpy())
    means = table.groupby(["at", "recipe"])["L"].mean()
    best = means.loc[means.groupby("at").idxmin()].reset_index()[["at", "recipe"]]
    return np.sort(table.reset_index().merge(best, on=["at", "recipe"])["index"].to_numpy())


def _differs(sheet: Sheet, name: str, at: NDArray[np.intp]) -> bool:
    table = pd.DataFrame({"at": at, "value": sheet.text(name)})
    return bool(table.drop_duplicates()["at"].duplicated().any())


def _at_the_end(sheet: Sheet, varied: Sequence[str], keep: NDArray[np.intp], at: NDArray[np.intp]) -> list[str]:
    """A doubt where the best of a grid is often its first or its last: the best may lie beyond."""
    out = []
    for name in varied:
        values = sheet.numbers(name)
        if np.isnan(values).any():
            continue
        grid = pd.DataFrame({"at": at, "value": values}).groupby("at")["value"]
        low, high, count = (getattr(grid, each)().to_numpy() for each in ("min", "max", "nunique"))
        ends = [
            value in (low[place], high[place])
            for value, place in zip(values[keep], at[keep], strict=True)
            if count[place] > 2
        ]
        if sum(ends) * 4 > len(ends):
            end = f"is at an end of its grid for {sum(ends)} of {len(ends)} points"
            out.append(f"the best {shown(name)} {end}: the best may lie beyond")
    return out


def _unexplained(sheet: Sheet, N: NDArray, D: NDArray, L: NDArray, at: NDArray[np.intp]) -> list[str]:
    """A doubt where many rows share few places and no column that is known says why."""
    count, rows = int(at.max()) + 1, len(at)
    copies = int(pd.DataFrame({"at": at, "L": L}).duplicated().sum())
    if rows - copies <= count or any(_differs(sheet, name, at) for name in columns.roles(sheet.header, "seed")):
        return []
    told = ("run", "step", "status", "seed")
    others = [name for name in sheet.header if columns.meaning(name) is None and columns.role(name) not in told]
    others = [name for name in others if len({*sheet.text(name)}) < rows]
    varied = [name for name in others if _differs(sheet, name, at)]
    reason = "--best-of takes the best of each"
    if varied:
        reason = f"they differ in {names(varied[:4])}: --best-of NAME takes the best of each, --where chooses rows"
    return [f"{rows} rows stand at {count} places (N, D) and are taken as repeats; {reason}"]
