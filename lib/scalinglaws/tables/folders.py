"""Curves as trackers write them: folders of `trainer_state.json`, of TensorBoard's or a tracker's CSV, a column a run.

All become one sheet with the columns run and step and one for each metric. What the curves do not say of a run, such as
its parameters, stands in a table in the same folder that has a line for each run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalinglaws.counting import params_6nd
from scalinglaws.tables import columns, formats
from scalinglaws.tables.numbers import is_missing
from scalinglaws.tables.readings import curves_without_label
from scalinglaws.tables.sheet import Sheet, listed, names, shown

TABLES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".md", ".gz"}
TENSORBOARD = {"wall time", "step", "value"}
EXPORT = re.compile(r"(?:run[-_])?(?P<run>.+?)[-_]tag[-_](?P<tag>.+)", re.IGNORECASE)  # names that TensorBoard gives
PER_RUN = re.compile(r"(?P<run>.+) - (?P<metric>[^-].*)")  # names of columns in a tracker's export of a chart
HOW = (
    "give a folder that holds this file and a table with a line for each run: a column run with these names, N, "
    "and D or "
    "tokens_per_step"
)


def load_folder(folder: Path) -> Sheet:
    """The runs in a folder, each with its curve."""
    states = sorted(folder.rglob("trainer_state.json"))
    files = [
        path for path in sorted(folder.rglob("*"))
        if path.suffix.casefold() in TABLES and path.is_file() and not path.name.startswith(".")
        and path.name != "trainer_state.json"
    ]  # fmt: skip
    if states:
        curves = trainer_state(_latest([(_run_of(path, folder), _read_json(path)) for path in states]))
        return _with_table(curves, [(path, formats.load(path)) for path in files if path.parent == folder])
    if not files:
        raise ValueError("holds no trainer_state.json and no table; give a folder of a trainer's or a tracker's files")
    curves, tables = [], []
    for path in files:
        try:
            sheet = formats.load(path)
        except ValueError as error:
            raise ValueError(f"{path.relative_to(folder)}: {error}") from error
        name = path.relative_to(folder).with_suffix("").as_posix()
        curve = _curve(sheet, name)
        (tables if curve is None else curves).append((path, sheet if curve is None else curve))
    if not curves:
        return _stacked([sheet.with_column("file", [path.stem] * len(sheet)) for path, sheet in tables])
    return _with_table(_stacked([curve for _, curve in curves], pivot=True), tables)


def by_run(sheet: Sheet, *, bare: bool = True) -> Sheet | None:
    """Curves with a row for each reading, of a sheet that has a column for each run; None where it has none.

    With ``bare``, columns that stand behind one of steps and have names of nothing else are losses of runs.
    """
    found = {name: match for name in sheet.header if (match := PER_RUN.fullmatch(name))}
    values = {
        name: match
        for name, match in found.items()
        if not match["metric"].casefold().endswith(("__min", "__max", "_step"))
    }
    if not values:
        return _by_bare_name(sheet) if bare else None
    if len(sheet.header) - len(found) > 2:
        return None
    axis = next((name for name in sheet.header if name not in found), None)
    at = sheet.cells(axis) if axis else list(range(len(sheet)))
    runs = list(dict.fromkeys(match["run"] for match in values.values()))
    parts = []
    for run in runs:
        own = {match["metric"]: sheet.cells(name) for name, match in values.items() if match["run"] == run}
        parts.append(_long(run, axis or "step", at, own))
    whole = _stacked(parts)
    return replace(whole, form=sheet.form, separator=sheet.separator).noting(f"a column for each of {len(runs)} runs")


def _by_bare_name(sheet: Sheet) -> Sheet | None:
    """Curves of a sheet with steps or tokens in the first column and a column of losses for each run."""
    axis, *runs = sheet.header or ("",)
    is_axis = columns.role(axis) == "step" or ((known := columns.meaning(axis)) is not None and known.letter == "D")
    if not is_axis or len(runs) < 2 or any(columns.is_name(name) for name in runs) or "" in runs:
        return None
    if not all((sheet.numbers(name) > 0).any() for name in runs):
        return None
    at = sheet.cells(axis)
    whole = _stacked([_long(run, axis, at, {"loss": sheet.cells(run)}) for run in runs])
    note = f"a column for each of {len(runs)} runs, taken to hold losses"
    return replace(whole, form=sheet.form, separator=sheet.separator).noting(note)


def trainer_state(states: Mapping[str, Any]) -> Sheet:
    """The curves in Hugging Face's `trainer_state.json` by run; N by its FLOPs, where it counted tokens too."""
    rows: list[dict[str, Any]] = []
    for run, state in states.items():
        history = state.get("log_history") if isinstance(state, dict) else None
        if not isinstance(history, list):
            raise ValueError(f"{run}: trainer_state.json has no log_history")
        step, planned = state.get("global_step") or 0, state.get("max_steps") or 0
        flops, tokens = state.get("total_flos") or 0, state.get("num_input_tokens_seen") or 0
        own: dict[str, Any] = {
            "run": run,
            "status": "finished" if step >= planned else f"stopped at step {step} of {planned}",
        }
        if flops and tokens:
            own["n_params_nonemb"] = params_6nd(flops, tokens)
        elif flops:
            own["total_flos"] = flops  # of the whole run
        for entry in history:
            if {"loss", "eval_loss"} & entry.keys():
                seen = entry.get("num_input_tokens_seen") or (tokens if entry.get("step") == step else None)
                rows.append(own | {"step": entry.get("step")} | ({"tokens": seen} if tokens else {}) | {
                    key: entry.get(key) for key in ("loss", "eval_loss") if key in entry
                })  # fmt: skip
    if not rows:
        raise ValueError("no trainer_state.json has a loss in its log_history")
    header = dict.fromkeys(key for row in rows for key in row)
    sheet = Sheet.of(
        {key: [row.get(key) for row in rows] for key in header}, place="reading", form="trainer_state.json"
    )
    if "n_params_nonemb" in sheet.header:
        sheet = sheet.noting(
            "N is total_flos / (6 num_input_tokens_seen): parameters without embeddings, as the trainer counts"
        )
    return sheet


def _run_of(path: Path, folder: Path) -> str:
    """The name of a run: its folder's, without that of a checkpoint."""
    parts = [
        part for part in path.parent.relative_to(folder).parts if not re.fullmatch(r"checkpoint-\d+|last|final", part)
    ]
    return "/".join(parts) or folder.resolve().name


def _latest(states: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The state of each run that reaches furthest: every checkpoint has one, with the history up to it."""
    out: dict[str, Any] = {}
    for run, state in states:
        if run not in out or (_step_of(state) >= _step_of(out[run])):
            out[run] = state
    return out


def _step_of(state: Any) -> float:
    return (state.get("global_step") or 0) if isinstance(state, dict) else 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} in {path.parent.name} is no JSON ({error}); delete or mend it") from error


def _curve(sheet: Sheet, name: str) -> Sheet | None:
    """The curve or curves in a file of a folder; None where it is a table of runs."""
    lower = {each.casefold() for each in sheet.header}
    if lower >= TENSORBOARD:
        match = EXPORT.fullmatch(name.rpartition("/")[2])
        run, tag = (match["run"], match["tag"]) if match else (name, "loss")
        home, _, last = name.rpartition("/")
        if not match and home and columns.meaning(last) is not None:
            run, tag = home, last  # a folder for each run, a file for each metric
        of = {each.casefold(): each for each in sheet.header}
        return _long(run, "step", sheet.cells(of["step"]), {tag: sheet.cells(of["value"])})
    if (wide := by_run(sheet)) is not None:
        return wide
    steps, runs = columns.step_of(sheet.header), columns.roles(sheet.header, "run")
    losses = [each for each in sheet.header if (found := columns.meaning(each)) and found.letter == "L"]
    if not losses or runs or len(sheet) < 2:
        return None
    if steps:
        sizes = [each for each in sheet.header if (found := columns.meaning(each)) and found.letter == "N"]
        one = all(len({*sheet.text(each)} - {""}) < 2 for each in sizes)
        return sheet.with_column("run", [name] * len(sheet)) if one else None
    tokens = [each for each in sheet.header if (found := columns.meaning(each)) and found.letter == "D"]
    even = tokens and len(sheet) > 2 and curves_without_label(np.ones(len(sheet)), sheet.numbers(tokens[0]))
    return sheet.with_column("run", [name] * len(sheet)) if even else None


def _long(run: str, axis: str, at: Sequence[Any], values: Mapping[str, Sequence[Any]]) -> Sheet:
    """One run as a sheet: its name, the axis and the metrics; rows without any metric are left out."""
    rows = [k for k in range(len(at)) if not all(is_missing(column[k]) for column in values.values())]
    cells = {name: [column[k] for k in rows] for name, column in values.items()}
    return Sheet.of({"run": [run] * len(rows), axis: [at[k] for k in rows]} | cells, place="reading", form="curves")


def _stacked(sheets: Sequence[Sheet], *, pivot: bool = False) -> Sheet:
    """Sheets below each other; with ``pivot`` metrics of one run and step, from several files, share a row."""
    header = list(dict.fromkeys(name for sheet in sheets for name in sheet.header))
    cells: dict[str, list[Any]] = {
        name: [
            cell for sheet in sheets for cell in (sheet.cells(name) if name in sheet.header else [None] * len(sheet))
        ]
        for name in header
    }
    step = columns.step_of(header)
    if pivot and step and "run" in cells:
        keys = list(zip(map(str, cells["run"]), map(str, cells[step]), strict=True))
        if len({*keys}) < len(keys):
            joined: dict[Any, dict[str, Any]] = {}
            for k, key in enumerate(keys):
                row = joined.setdefault(key, dict.fromkeys(header))
                row |= {name: column[k] for name, column in cells.items() if not is_missing(column[k])}
            cells = {name: [row[name] for row in joined.values()] for name in header}
    notes = dict.fromkeys(note for sheet in sheets for note in sheet.notes)
    separators = {sheet.separator for sheet in sheets}
    only = separators.pop() if len(separators) == 1 else ","
    return Sheet.of(cells, place="reading", form=f"{len(sheets)} files", separator=only, notes=tuple(notes))


def _with_table(curves: Sheet, tables: Sequence[tuple[Path, Sheet]]) -> Sheet:
    """Curves with the columns of a table that has a line for each run."""
    runs = curves.text("run")
    wanted = {*runs}
    for path, sheet in tables:
        for label in [*columns.roles(sheet.header, "run"), *columns.roles(sheet.header, "name"), *sheet.header[:1]]:
            lines = {text.removesuffix(path.suffix): k for k, text in enumerate(sheet.text(label))}
            if not wanted & lines.keys():
                continue
            missing = sorted(wanted - lines.keys())
            if missing:
                raise ValueError(
                    f"{path.name} has no line for {listed(missing)}; add N and D of each run, or take its curve away"
                )
            if len(lines) < len(sheet):
                raise ValueError(f"{path.name} names a run twice in {shown(label)}; give one line for each")
            at = np.array([lines[run] for run in runs])
            for name in sheet.header:
                known = columns.meaning(name)
                if name != label and name not in curves.header and (known is None or known.letter != "L"):
                    cells = sheet.cells(name)
                    curves = curves.with_column(name, [cells[k] for k in at])
            return curves.noting(f"N and what else the curves do not say are from {path.name}")
    return curves


def ask_for_sizes(curves: Sheet, missing: str) -> str:
    """What to do about curves that do not say the size of their runs."""
    runs = list(dict.fromkeys(curves.text("run")))
    what = f"these are curves of {len(runs)} runs ({listed(runs, 4)}) and no column says {missing}"
    return f"{what}: {HOW}; columns: {names(curves.header)}"
