"""Other people's numbers, each with its source.

The table is ``data/published/published.csv``: one row per published figure, formula or finding. Its columns:

- ``id``: a letter for the source or topic (K Kaplan, C Hoffmann, E Besiroglu, P Porian, M muP, ...) and a number.
- ``section``: section of the lecture; ``8.0a`` is its caution on optimal laws, ``8.0b`` its note that train-optimal is
  not deployment-optimal, ``setup`` an experimental setting, ``regularization`` the side topic of that name,
  ``since`` what came after the lecture.
- ``quantity``, ``symbol``, ``unit``, ``uncertainty``, ``note``.
- ``text``: the figure, figures, formula or finding, as close to print as plain text allows.
- ``number``: the headline figure, empty where ``text`` is several figures or none.
- ``figures``: named figures of the row, ``name=number`` pairs between semicolons, the headline first.
- ``paper``: citation key in ``references.bib``; ``where``: equation, table, figure or section.
- ``tier``: how far the figure was checked, see `TIERS`.

>>> value("C21", "alpha")
0.34

`dataset` gives other people's runs, which are downloaded and never part of this project: see `DATASETS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from re import fullmatch
from types import MappingProxyType
from typing import Any

import pandas as pd

from scalinglaws.datasets import DatasetUnavailable, dataset
from scalinglaws.files import DATA

__all__ = ["TIERS", "DatasetUnavailable", "Published", "by_size", "dataset", "row", "table", "value"]

TIERS: Mapping[str, str] = MappingProxyType({
    "P": "read in the paper itself or in an official model card",
    "C": "read in, or computed from, the authors' code or data, or computed from rows of tier P",
    "S": "read in a secondary text only",
    "M": "from memory, not found in any text: never to be printed as published",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of the table; ``number`` is None where ``text`` is several figures or none."""

    id: str
    section: str
    quantity: str
    symbol: str
    text: str
    number: float | None
    figures: Mapping[str, float]
    unit: str
    uncertainty: str
    paper: str
    where: str
    tier: str
    note: str


def table() -> pd.DataFrame:
    """Return the whole table as a new frame: ``number`` is float (NaN where empty), every other column text.

    In an install that lacks the file this is a FileNotFoundError.
    """
    path = DATA / "published" / "published.csv"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: install the package again, `pip install .` in a checkout")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.assign(number=pd.to_numeric(frame["number"]))


def row(id: str) -> Published:
    """Return the row of an id such as ``"K26"``, its named figures parsed; a ValueError names similar ids."""
    rows = _rows()
    if id not in rows:
        close = get_close_matches(id[:1].upper() + id[1:].zfill(2), rows, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "published.table() lists all rows."
        raise ValueError(f"no published row has id {id!r}: {hint}")
    return rows[id]


def value(id: str, name: str | None = None, *, allow_memory: bool = False) -> float:
    """Return one published figure, in the unit of the row with an id such as ``"C21"``.

    Parameters
    ----------
    name
        Which of the row's named figures; None takes the headline figure. A row of a single figure also answers to its
        symbol: ``value("K01", "alpha_N")``.
    allow_memory
        Whether a row of tier M, written down from memory and not checked, may be used.

    Raises
    ------
    ValueError
        If the row is unknown, is of tier M and not allowed, has no such figure, or needs a name.
    """
    found = row(id)
    if found.tier == "M" and not allow_memory:
        raise ValueError(f"{id} was never checked at its source: check {found.paper}, or pass allow_memory=True")
    if not found.figures:
        raise ValueError(f"{id} is not a number but {found.text!r}: read published.row({id!r}).text")
    if name is None and found.number is not None:
        return found.number
    if name not in found.figures:
        given = "no name was given" if name is None else f"{name!r} is not one of them"
        raise ValueError(f"{id} has the figures {', '.join(found.figures)}; {given}")
    return found.figures[name]


def by_size(*ids: str) -> pd.DataFrame:
    """Return rows whose figures are named by size, such as ``D_67B``, as one table: N, and a column for each letter.

    Sizes are in parameters, in the order of the rows. Of a figure that was corrected, ``C_175B_corrected``, the
    corrected one counts. A row with a figure of another name is a ValueError.
    """
    found: dict[float, dict[str, float]] = {}
    for one in map(row, ids):
        for name, figure in one.figures.items():
            named = fullmatch(r"(\w)_([\d.]+)([MBT])(?:_corrected)?", name)
            if not named:
                raise ValueError(f"{one.id} has the figure {name}: by_size reads names such as D_67B")
            letter, count, unit = named.groups()
            found.setdefault(float(count) * {"M": 1e6, "B": 1e9, "T": 1e12}[unit], {})[letter] = figure
    return pd.DataFrame(found).T.rename_axis("N").reset_index()


@cache
def _rows() -> Mapping[str, Published]:
    """All rows by id, read once."""
    return {str(record["id"]): _parse(record) for record in table().to_dict("records")}


def _parse(record: dict) -> Published:
    """One row of the table as an object; a single figure goes under its symbol."""
    number = None if pd.isna(record["number"]) else float(record["number"])
    pairs = (pair.split("=") for pair in record["figures"].split(";") if pair)
    figures = {name.strip(): float(figure) for name, figure in pairs}
    if not figures and number is not None:
        figures = {record["symbol"]: number}
    fields: dict[str, Any] = {**record, "number": number, "figures": MappingProxyType(figures)}
    return Published(**fields)
