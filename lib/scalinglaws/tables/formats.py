"""Bytes to a sheet: any usual encoding of text, JSON, JSON lines, Parquet; `text` reads the rest."""

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglaws.tables import columns
from scalinglaws.tables.sheet import Sheet, names, shown
from scalinglaws.tables.text import lines_of, table_in


def load(path: Path) -> Sheet:
    """The table in a file, or a ValueError that says what is wrong with it and what to do."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:4] == b"PAR1":
        return _parquet(data)
    if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise ValueError("is a workbook or an archive, not a table; save the sheet as CSV")
    text, notes = _decoded(data)
    if not text.strip():
        raise ValueError("the file is empty; it needs a header line and a line for each run")
    if "\0" in text:
        raise ValueError("holds bytes that are no text; give a CSV, JSON or Parquet file")
    if text.lstrip()[0] in "[{" and (sheet := _json(text, path.suffix)) is not None:
        return sheet.noting(*notes)
    if "<table" in text[:5000].casefold():
        raise ValueError("is a web page; save its table as CSV")
    return table_in(text).noting(*notes)


def _decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of bytes, and a note where the encoding had to be guessed."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    ):  # fmt: skip
        if data.startswith(mark):
            return data.decode(encoding), ()
    if data[1:2] == b"\0" and data[:1] != b"\0" and data[3:4] == b"\0":
        return data.decode("utf-16-le"), ()
    if data[:1] == b"\0" and data[1:2] != b"\0" and data[2:3] == b"\0":
        return data.decode("utf-16-be"), ()
    try:
        return data.decode(), ()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), ("the text is not in UTF-8 and was read as Windows-1252",)


def _parquet(data: bytes) -> Sheet:
    """The columns of a Parquet file."""
    try:
        table = pd.read_parquet(io.BytesIO(data))
    except ImportError as error:
        raise ValueError(
            "is Parquet, which pandas reads with one of two packages: pip install fastparquet, or pyarrow; or save "
            "the table as CSV"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    table.columns = ["/".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in table.columns]
    cells = {str(name): [None if cell is pd.NA else cell for cell in table[name].tolist()] for name in table}
    return _nonempty(_exploded(Sheet.of(cells, place="row", form="Parquet")))


def _nonempty(sheet: Sheet) -> Sheet:
    if not len(sheet):
        raise ValueError("no rows below the header; it needs a line for each run")
    return sheet


# JSON.


def _json(text: str, suffix: str) -> Sheet | None:
    """The records of JSON or of JSON lines; None where it is neither."""
    try:
        return _of_json(json.loads(text))
    except json.JSONDecodeError as error:
        whole = error
    records, lines = [], []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if records:
                raise ValueError(f"line {number} is no JSON ({error.msg}); mend or delete it") from error
            if suffix in (".json", ".jsonl", ".ndjson"):
                raise ValueError(f"line {whole.lineno} is no JSON ({whole.msg}); mend it") from error
            return None
        lines.append(number)
    return _of_records(records, lines=lines, place="line", form="JSON lines")


def _of_json(value: Any) -> Sheet:
    """A sheet from JSON in any of the orders in which tables are written."""
    if isinstance(value, list):
        return _of_records(value)
    if not isinstance(value, dict):
        raise ValueError(f"is JSON with a single {type(value).__name__}; give a list of records, one a run")
    if "log_history" in value:
        from scalinglaws.tables.folders import trainer_state

        return trainer_state({"run": value})
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _of_records([dict(zip(map(str, value["columns"]), row, strict=False)) for row in value["data"]])
    lists = {key: inner for key, inner in value.items() if isinstance(inner, list)}
    tables = [inner for inner in lists.values() if inner and all(isinstance(each, dict) for each in inner)]
    rest = _flat({key: inner for key, inner in value.items() if not isinstance(inner, list)})
    if tables and not any(columns.meaning(key) for key in rest):
        return _of_records(max(tables, key=len))
    if len(lists) == len(value) and len({*map(len, lists.values())}) == 1:
        return _of_records([dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])
    if value and all(isinstance(inner, dict) for inner in value.values()):
        if sum(columns.is_name(key) for key in value) >= 2:  # column -> row -> value, as pandas writes it
            keys = dict.fromkeys(key for inner in value.values() for key in inner)
            return _of_records([{name: inner.get(key) for name, inner in value.items()} for key in keys])
        return _of_records([{"run": key} | inner for key, inner in value.items()])
    return _of_records([value])


def _of_records(
    records: Sequence[Any], *, lines: Sequence[int] | None = None, place: str = "record", form: str = "JSON"
) -> Sheet:
    """A sheet of records; what is nested gets a name with slashes, lists of readings a row each."""
    for k, record in enumerate(records):
        if not isinstance(record, dict):
            raise ValueError(f"{place} {k + 1} is no object but {shown(record)}; give each run as {{name: value}}")
    flat = [_flat(record) for record in records]
    header = dict.fromkeys(key for record in flat for key in record)
    cells = {name: [record.get(name) for record in flat] for name in header}
    return _nonempty(_exploded(Sheet.of(cells, lines=lines, place=place, form=form)))


def _flat(record: dict[str, Any], home: str = "") -> dict[str, Any]:
    """A record without nesting: names with slashes; of a list of readings, each with its step, a list for each name."""
    out: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) and _has_step(each) for each in value):
            value = {name: [each.get(name) for each in value] for each in value for name in each}
        out |= _flat(value, f"{home}{key}/") if isinstance(value, dict) else {f"{home}{key}": value}
    return out


def _has_step(reading: dict[str, Any]) -> bool:
    return any(columns.role(name) == "step" for name in reading)


def _exploded(sheet: Sheet) -> Sheet:
    """A row for each reading, where the cells of known columns hold lists of them."""
    columns_of = {name: sheet.table[k].tolist() for k, name in enumerate(sheet.header)}
    curves = {
        name: [cell.tolist() if hasattr(cell, "tolist") else cell for cell in cells]
        for name, cells in columns_of.items()
        if any(isinstance(cell, list) or hasattr(cell, "shape") for cell in cells)
        and (columns.meaning(name) or columns.role(name) == "step")
    }
    if not curves:
        return sheet
    rows: list[dict[str, Any]] = []
    for k, line in enumerate(sheet.table.index):
        lists = {name: cells[k] for name, cells in curves.items() if isinstance(cells[k], list)}
        lengths = {*map(len, lists.values())}
        if len(lengths) > 1:
            raise ValueError(f"{sheet.place} {line}: lists of readings differ in length ({names(list(lists))})")
        own = {"run": str(line)} | {name: cells[k] for name, cells in columns_of.items()}
        readings = range(lengths.pop() if lengths else 1)
        rows += [{"step": at} | own | {name: lists[name][at] for name in lists} for at in readings]
    new = Sheet.of({name: [row[name] for row in rows] for name in rows[0]}, place="reading", form=sheet.form)
    return new.noting(*sheet.notes, f"{names(list(curves))} hold lists: each is the curve of a run")
