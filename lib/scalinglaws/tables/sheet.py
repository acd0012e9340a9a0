"""A table as it stands in a file: names, cells of text or values, and the line of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalinglaws.tables.columns import meaning
from scalinglaws.tables.numbers import Decimal, decimal_mark, is_missing, numbers

SHOWN = 60  # letters of a cell or a name in a message
ROWS_SHOWN = 8  # rows that a message names


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Columns by their place, since a name may stand twice; rows by the line that they end on."""

    header: tuple[str, ...]
    table: pd.DataFrame  # columns 0, 1, ...; the index holds lines
    place: str = "line"  # what the index counts
    form: str = "CSV"
    separator: str = ","
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # name -> text of a row of units
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]], **more: Any) -> Self:
        """Return a sheet of columns by name; rows are counted from 1 unless ``lines`` are given."""
        lines = more.pop("lines", None)
        cells = {k: _objects(column) for k, column in enumerate(columns.values())}
        size = len(next(iter(cells.values()))) if cells else 0
        index = np.arange(1, size + 1) if lines is None else np.asarray(lines)
        return cls(header=tuple(columns), table=pd.DataFrame(cells, index=index, dtype=object), **more)

    def cells(self, name: str) -> list[Any]:
        """The cells of a column; a ValueError where its name stands twice."""
        if self.header.count(name) > 1:
            raise ValueError(f"column {shown(name)} stands twice in the header; rename one")
        return self.table[self.header.index(name)].tolist()

    def text(self, name: str) -> list[str]:
        """The cells of a column as words; empty for what is missing."""
        return ["" if is_missing(cell) else str(cell).strip() for cell in self.cells(name)]

    @cached_property
    def decimal(self) -> Decimal:
        """The decimal mark, by the columns whose names are known; a point where they contradict each other."""
        known = [k for k, name in enumerate(self.header) if meaning(name) is not None]
        texts: set[str] = set()
        for k in known if len(known) > 1 else range(len(self.header)):
            if self.table[k].dtype != object:
                continue  # all are plain numbers
            column = [cell for cell in self.table[k].tolist() if isinstance(cell, str) and len(cell) < 40]
            texts.update(column[:2000])
            texts.update([cell for cell in column if "," in cell][:2000])
        return decimal_mark((text for text in texts if any(map(str.isdigit, text))), self.separator) or "."

    def numbers(self, name: str) -> NDArray[np.float64]:
        """The values [n] of a column; nan for what is missing or no number."""
        column = self.table[self.header.index(name)] if self.header.count(name) == 1 else None
        if column is not None and column.dtype != object:
            return column.to_numpy(float)
        return numbers(self.cells(name), self.decimal)

    def only(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return the sheet of some rows, in the order asked for."""
        return replace(self, table=self.table[keep] if keep.dtype == bool else self.table.iloc[keep])

    def with_column(self, name: str, cells: Sequence[Any]) -> Self:
        """Return the sheet with one more column."""
        table = self.table.copy()
        table[len(self.header)] = pd.Series(_objects(cells), index=table.index, dtype=object)
        return replace(self, header=(*self.header, name), table=table)

    def noting(self, *notes: str) -> Self:
        """Return the sheet with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def rows(self, bad: NDArray[np.bool_]) -> str:
        """Rows in words: "lines 3, 7 and 12 more"."""
        lines = [str(line) for line in self.table.index[bad]]
        return f"{self.place}{'s' * (len(lines) > 1)} {listed(lines)}"


def shown(value: Any) -> str:
    """A cell or a name as a message shows it: quoted, printable and short."""
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def listed(words: Sequence[str], most: int = ROWS_SHOWN) -> str:
    """Words after each other, the last of many as a count."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def names(header: Sequence[str]) -> str:
    """Column names as a message lists them."""
    return ", ".join(name if name.isprintable() and len(name) <= SHOWN else shown(name) for name in header) or "none"


def _objects(cells: Sequence[Any]) -> NDArray[np.object_]:
    out = np.empty(len(cells), dtype=object)
    out[:] = cells
    return out
