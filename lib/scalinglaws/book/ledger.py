"""The ledger that lists the book's claims, ``data/claims.csv``, and the records that notebooks leave."""

import ast
import contextlib
import json
import math
import re
from pathlib import Path

import pandas as pd

from scalinglaws import files
from scalinglaws.files import CHECKOUT

__all__ = ["agree", "concerning", "differences", "read", "records", "write"]

COLUMNS = (
    "id", "statement", "published", "published_id", "ours", "low", "high", "criterion", "verdict", "how", "fmt",
    "notebook",
)  # fmt: skip
LEDGER = CHECKOUT / "data" / "claims.csv"
CHAPTERS = CHECKOUT / "chapters"


def read(path: str | Path | None = None) -> pd.DataFrame:
    """Return a ledger as a new frame, one row per claim in the order of the notebooks; the book's by default.

    Columns: those of `Claim`, ``published`` as text, ``low`` and ``high`` NaN where there is no interval; ``section``
    of the lecture; ``source`` (citation key and place) of the published row; ``kind``; ``notebook``, the chapter.
    FileNotFoundError without such a file, ValueError if it is no ledger.
    """
    file = Path(path or LEDGER)
    if not file.is_file():
        remedy = "write it with --write FOLDER" if path else "install from a checkout, or name another with --ledger"
        raise FileNotFoundError(f"no ledger {file}: {remedy}")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    absent = {*COLUMNS} - set(table.columns)
    if absent:
        raise ValueError(f"{file} is no ledger, it has no column {min(absent)}: write one with --write FOLDER")
    if "kind" not in table:  # of a ledger written before claims had kinds
        table["kind"] = table["how"].replace({"live": "trained", "stored": "trained"})
    return table.assign(**{name: pd.to_numeric(table[name]) for name in ("ours", "low", "high")})


def records(folder: str | Path, notebooks: str | Path | None = None) -> pd.DataFrame:
    """Return what the checked claims of some notebooks left in ``folder``, one row per claim in their order.

    ``folder`` is what the variable ``SCALINGLAWS_CLAIMS`` named when they ran; by default they are the book's chapters.
    ValueError if no notebook states a claim, one left no record, a record belongs to none, or two claims have one id.
    """
    notebooks = Path(notebooks or CHAPTERS)
    left = {path.stem: path for path in sorted(Path(folder).glob("*.json"))}
    rows = []
    for notebook in sorted(notebooks.glob("*.ipynb")):
        ids = stated(notebook)
        for id in ids:
            others = set(ids) - {id}
            found = [name for name in left if re.fullmatch(id, name) and re.escape(name) not in others]
            if not found:
                name = id.replace("\\", "")
                raise ValueError(
                    f"{notebook.name} states {name!r}, which left no record in {folder}: run it, with the data it needs"
                )
            texts = (left[name].read_text(encoding="utf-8") for name in found)
            rows += [json.loads(text) | {"notebook": notebook.stem} for text in texts]
    ids = [row["id"] for row in rows]
    if not ids:
        raise ValueError(f"no notebook in {notebooks} states a claim: name the folder of yours with --notebooks")
    twice = sorted({id for id in ids if ids.count(id) > 1})
    if twice:
        raise ValueError(f"stated twice: {', '.join(twice)}; give each claim an id of its own")
    unknown = sorted(set(left) - set(ids))
    if unknown:
        raise ValueError(
            f"{folder} has {unknown[0]!r}, which no notebook in {notebooks} states: write each id in the "
            'call, claim("..."), and empty the folder before the notebooks run'
        )
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, path: str | Path | None = None) -> None:
    """Write ``table``, see `collect`, as a ledger; the book's by default."""
    files.atomically(Path(path or LEDGER), lambda file: table.to_csv(file, index=False, float_format="%.8g"))


def stated(notebook: Path) -> list[str]:
    """Return the ids of a notebook's claims, in its order, as regular expressions: an id may have parts in braces."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook}: is no notebook ({type(error).__name__}); save it again") from error
    found = []
    for code in codes:
        with contextlib.suppress(SyntaxError):
            tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", code, flags=re.MULTILINE))  # without IPython's magic
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            found += map(_id, sorted(calls, key=lambda call: (call.lineno, call.col_offset)))
    return [id for id in found if id]


def _id(call: ast.Call) -> str:
    """The id that a call of ``claim`` is given, as a regular expression; empty where it is no string."""
    if getattr(call.func, "attr", getattr(call.func, "id", "")) != "claim":
        return ""
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "id")][:1]
    pattern = ""
    for part in (part for node in given for part in getattr(node, "values", [node])):  # of an f-string
        value = getattr(part, "value", None)
        pattern += re.escape(value) if isinstance(value, str) else ".+" if isinstance(part, ast.FormattedValue) else ""
    return pattern


def agree(record: dict, row: dict) -> str:
    """Return in which respect a claim just made differs from its row of the ledger; an empty string if in none.

    Words must be equal. Numbers that come from no training must agree to a tenth of their interval (a bootstrap's
    ends move a little with the processor's rounding) or to a thousandth. A live claim trains again, elsewhere to other
    digits: its value may leave the ledger's interval by the widths of the two intervals, and no further; without an
    interval it may be any number.
    """
    for name in ("statement", "published_id", "criterion", "verdict", "how"):
        if record[name] != row[name]:
            return f"{name}, {row[name]!r}"
    has_interval = record["low"] is not None
    if has_interval == bool(pd.isna(row["low"])):
        return "interval"
    if record["how"] == "live":
        room = record["high"] - record["low"] + row["high"] - row["low"] if has_interval else math.inf
        apart = has_interval and not row["low"] - room <= record["ours"] <= row["high"] + room
        return f"interval, from {row['low']:.4g} to {row['high']:.4g}" if apart else ""
    width = row["high"] - row["low"] if has_interval else 0.0
    for name in ("ours", "low", "high") if has_interval else ("ours",):
        if math.isnan(record[name]) and math.isnan(row[name]):
            continue
        if not math.isclose(record[name], row[name], rel_tol=1e-3, abs_tol=width / 10):
            return f"value of {name}, {row[name]:.6g} and not {record[name]:.6g}"
    return ""


def differences(found: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """Return in words where the claims ``found`` by a run of the chapters differ from those ``kept`` in the ledger."""
    rows = {row["id"]: row for row in kept.to_dict("records")}
    lines = [f"{id}: in the ledger, but no chapter states it" for id in rows if id not in set(found["id"])]
    for record in found.to_dict("records"):
        absent = {"low": None, "high": None} if pd.isna(record["low"]) else {}
        if record["id"] not in rows:
            lines.append(f"{record['id']}: stated in {record['notebook']}, but not in the ledger")
        elif different := agree(record | absent, rows[record["id"]]):
            lines.append(f"{record['id']}: the ledger has another {different}")
    return lines


def concerning(kept: pd.DataFrame, found: pd.DataFrame, notebooks: str | Path) -> pd.DataFrame:
    """Return the rows of the ledger ``kept`` that a folder of notebooks answers for.

    These are all claims of notebooks of the same name, and those that were ``found`` under any name.
    """
    names = {path.stem for path in Path(notebooks).glob("*.ipynb")}
    return kept[kept["notebook"].isin(names) | kept["id"].isin(found["id"])]
