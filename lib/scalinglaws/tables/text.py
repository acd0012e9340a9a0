"""Text to a sheet: cells separated by a comma, semicolon, tab, bar or white space, and tables drawn as in Markdown."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from scalinglaws.tables import columns
from scalinglaws.tables.numbers import is_missing, is_number
from scalinglaws.tables.sheet import Sheet

SAMPLE = 40  # lines that tell the separator
HEADER_WITHIN = 12  # lines: a title may stand above the header
# A line of a Markdown or text table that only draws.
RULE = re.compile(r"(?=.*[-=─━═]{2})[\s|+\-=:\u2500-\u257f]+")
COMMENT = ("#", "%", "//")
BEGINNING = 1_000_000  # letters in which the header stands and the form can be seen
LARGE = 2_000_000  # letters of text: below it a table is read in a second cell by cell
FORMS = {",": "CSV", ";": "CSV with semicolons", "\t": "TSV", "|": "text with bars"}


def table_in(text: str) -> Sheet:
    """The table in a text."""
    begun = lines_of(text[:BEGINNING])
    if any(RULE.fullmatch(line) and re.search(r"[|+\u2500-\u257f]", line) for line in begun):
        return _drawn(lines_of(text))
    return _separated(text)


def lines_of(text: str) -> list[str]:
    """The lines of a text, as an editor counts them; `str.splitlines` ends them at other marks too."""
    return re.split(r"\r\n|\r|\n", text)


def _drawn(lines: Sequence[str]) -> Sheet:
    """A table of Markdown, or one drawn with bars."""
    rows: list[list[str]] = []
    ends: list[int] = []
    begun = 0
    for number, line in enumerate(lines, start=1):
        line = re.sub("[│┃║]", "|", line).strip()
        if RULE.fullmatch(line):
            continue
        if "|" not in line:
            if len(rows) > 1:
                begun = number
                break
            rows, ends = [], []
            continue
        cells = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
        rows.append([_unmarked(cell) for cell in cells])
        ends.append(number)
    more = begun and any(RULE.fullmatch(line.strip()) and "|" in line for line in lines[begun:])
    sheet = _sheet(rows, ends, "|", form="Markdown")
    return sheet.noting(f"the first table is read; another one begins below line {begun}") if more else sheet


def _unmarked(cell: str) -> str:
    """A cell without the marks of Markdown."""
    cell = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell.replace("\\|", "|").strip())
    return re.sub(r"^(\*\*|__|\*|`|~~)(.*)\1$", r"\2", cell).replace("\\_", "_").strip()


def _separated(text: str, *, at_once: bool = True) -> Sheet:
    """A table whose cells are separated by a comma, semicolon, tab, bar or by white space."""
    head, header_line, body_from, separator = _beginning(text)
    if separator in (" ", "  "):
        split = str.split if separator == " " else lambda line: re.split(r"\s{2,}", line.strip())
        numbered = [
            (k, split(line)) for k, line in enumerate(lines_of(text), start=1) if k > body_from and line.strip()
        ]
        rows, ends = [row for _, row in numbered], [k for k, _ in numbered]
    else:
        if at_once and len(text) > LARGE and not header_line and (sheet := _at_once(text, separator)) is not None:
            return sheet
        rows, ends = _rows(text, separator)
        first = next((k for k, end in enumerate(ends) if end > body_from), len(ends))
        rows, ends = rows[first:], ends[first:]
    if header_line:  # it stood behind a comment sign
        rows, ends = [head, *rows], [header_line, *ends]
    kept = [k for k, row in enumerate(rows) if any(map(str.strip, row))]
    if len(kept) < len(rows):
        rows, ends = [rows[k] for k in kept], [ends[k] for k in kept]
    return _sheet(rows, ends, separator, form=FORMS.get(separator, "text in columns"))


def _rows(text: str, separator: str) -> tuple[list[list[str]], list[int]]:
    """Rows of cells, and the line that each ends on: a quoted cell may have several."""
    rows, ends = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        begun = ends[-1] + 1 if ends else 1
        raise ValueError(f"line {begun}: a quote is not closed, or cells are damaged ({error})") from error
    return rows, ends


def _at_once(text: str, separator: str) -> Sheet | None:
    """A large table of plain cells by pandas' reader, which is ten times faster; None where it is not that plain."""
    ends = [match.end() for match in islice(re.finditer("\n", text), SAMPLE)]
    head = _separated(text[: ends[-1]], at_once=False) if len(ends) == SAMPLE else None
    if head is None or head.notes or any(head.units.values()) or '"' in text or "\n#" in text:
        return None
    line, width = int(head.table.index[0]), len(head.header)
    names_line, body = text[ends[line - 3] if line > 2 else 0 : ends[line - 2]].strip(), text[ends[line - 2] :].rstrip()
    if re.search(r"\n\s*\n", body) or f"\n{names_line}" in body or _cells(names_line, separator) != list(head.header):
        return None
    try:  # one name more than there are: a longer row shows there, and is not cut off
        table: Any = pd.read_csv(
            io.StringIO(body), sep=separator, header=None, names=range(width + 1), index_col=False, na_filter=False,
            skip_blank_lines=False, skipinitialspace=True, low_memory=False,
        ).set_axis(np.arange(line, line + body.count("\n") + 1))  # fmt: skip
    except ValueError:
        return None
    beyond = table.pop(width)
    if not (beyond.isna() if pd.api.types.is_numeric_dtype(beyond) else beyond == "").all():
        return None
    texts = [k for k in table if not pd.api.types.is_numeric_dtype(table[k])]
    if separator != "," and any(columns.meaning(head.header[k]) for k in texts):
        return None  # the decimal mark is in question
    table[texts] = table[texts].astype(object)
    return Sheet(header=head.header, table=table, form=head.form, separator=separator)


def _beginning(text: str) -> tuple[list[str], int, int, str]:
    """Names behind a comment sign and their line (or 0), the line that the table begins after, and the separator."""
    sample, comments, declared = [], [], ""
    for number, line in enumerate(lines_of(text[:BEGINNING]), start=1):
        plain = line.strip()
        if match := re.fullmatch(r'"?sep=(.)"?', plain):
            declared = match[1]
        elif not sample and plain.startswith(COMMENT):
            comments.append((number, plain.lstrip("#%/ ")))
            # A header may begin with "#", as in "#params": it counts as one if what follows are numbers.
        elif plain:
            sample.append((number, line))
        if len(sample) == SAMPLE:
            break
    lines = [line for _, line in sample]
    if not lines and comments:
        raise ValueError("there are only comments; it needs a header line and a line for each run")
    separator = declared or _separator([*(line for _, line in comments[-1:]), *lines])
    first = sample[0][0] - 1
    if comments and all(
        is_number(cell) and not is_missing(cell) for cell in _cells(lines[0], separator) if cell.strip()
    ):
        for number, line in reversed(comments):
            cells = _cells(line, separator)
            if sum(columns.meaning(cell) is not None for cell in cells) >= 2:
                return [cell.strip() for cell in cells], number, first, separator
    return [], 0, first, separator


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    if separator == "  ":
        return re.split(r"\s{2,}", line.strip())
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _separator(lines: Sequence[str]) -> str:
    """What separates cells: that by which most names are known, and all lines have equally many cells.

    White space counts where no other separator gives the lines one number of cells.
    """

    def fit(separator: str) -> tuple[bool, int, float, int]:
        rows = [_cells(line, separator) for line in lines]
        known = [sum(columns.is_name(cell) for cell in row) for row in rows[:HEADER_WITHIN]]
        width, count = Counter(map(len, rows)).most_common(1)[0]
        head = len(rows[known.index(max(known))])
        even = width > 1 and count >= 0.7 * len(rows) and head in (width - 1, width)
        return even, max(known), count / len(rows), width

    marks, spaces = (",", ";", "\t", "|"), ("  ", " ")
    best = max(marks, key=fit)
    return best if fit(best)[:2] >= (True, 1) else max((*marks, *spaces), key=fit)


def _sheet(rows: list[list[str]], ends: list[int], separator: str, *, form: str) -> Sheet:
    """The sheet of rows of cells: finds the header, a row of units, a second header, an index without a name."""
    if not rows:
        raise ValueError("the file is empty; it needs a header line and a line for each run")
    at = next((k for k, row in enumerate(rows[:HEADER_WITHIN]) if sum(map(columns.is_name, row)) >= 2), 0)
    notes = (f"{form}: the header is line {ends[at]}; what stands above it is left out",) * bool(at)
    header, rows, ends = [name.strip() for name in rows[at]], rows[at + 1 :], ends[at + 1 :]
    if header and all(is_number(name) for name in header) and not all(map(is_missing, header)):
        raise ValueError(
            "line 1 holds numbers only, so no column for N, D or L is known; add a header line such as N,D,loss"
        )
    if not rows:
        raise ValueError("no rows below the header; it needs a line for each run")
    header, units, taken = _second_header(header, rows)
    rows, ends = rows[taken:], ends[taken:]
    if not rows:
        raise ValueError("no rows below the header; it needs a line for each run")
    comments = [k for k, row in enumerate(rows) if row[0][:1] == "#" and len(row) < len(header)]
    if comments:
        notes = (*notes, f"{len(comments)} lines that begin with # are left out")
        kept = sorted({*range(len(rows))} - {*comments})
        rows, ends = [rows[k] for k in kept], [ends[k] for k in kept]
    header, rows = _widths(header, rows, ends)
    _refuse_second_table(header, rows, ends)
    cells: list[Sequence[str]] = list(zip(*rows, strict=True))
    empty = [k for k, name in enumerate(header) if not name and not any(map(str.strip, cells[k]))]
    keep = [k for k in range(len(header)) if k not in empty]
    sheet = Sheet.of({k: cells[k] for k in keep}, lines=ends, form=form, separator=separator)  # pyrefly: ignore
    named = tuple(header[k] for k in keep)
    return Sheet(
        header=named, table=sheet.table, form=form, separator=separator,
        units={name: units.get(name, "") for name in named}, notes=notes,
    )  # fmt: skip


def _second_header(header: list[str], rows: list[list[str]]) -> tuple[list[str], dict[str, str], int]:
    """Names, units and the rows that they take: below the first line may stand units, or names below groups."""
    second = [cell.strip() for cell in rows[0]]
    letters = [cell for cell in second if cell and not is_missing(cell)]
    if not letters or len(second) > len(header) or any(is_number(cell) for cell in letters):
        return header, {}, 0
    second += [""] * (len(header) - len(second))
    if second == header:
        return header, {}, 0  # damage, which `_refuse_second_table` names
    if all(columns.is_unit(cell) for cell in letters):
        return header, dict(zip(header, second, strict=True)), 1
    known = [sum(columns.meaning(name) is not None for name in names) for names in (header, second)]
    if known[1] < 2 or known[1] < known[0]:
        return header, {}, 0
    taken = 2 if len(rows) > 1 and not any(map(str.strip, rows[1][1:])) else 1  # pandas adds a row for the index's name
    group, joined = "", []
    for over, name in zip(header, second, strict=True):
        group = over or group
        joined.append(
            name
            if columns.meaning(name) and not columns.meaning(f"{group}/{name}")
            else f"{group}/{name}"
            if group and name
            else name or over
        )
    return joined, {}, taken


def _widths(header: list[str], rows: list[list[str]], ends: list[int]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one width; a row that is too long is an error, unless all begin with a label of their own."""
    width = len(header)
    if {*map(len, rows)} == {width}:
        return header, rows
    longer = [k for k, row in enumerate(rows) if any(map(str.strip, row[width:]))]
    if longer:
        if (
            len(longer) == len(rows)
            and all(len(row) == width + 1 for row in rows)
            and _are_labels([row[0] for row in rows])
        ):
            return ["", *header], rows
        k = longer[0]
        raise ValueError(
            f"line {ends[k]} has {len(rows[k])} cells, the header {width} names; mend it"
            + " (decimal commas need quotes, or semicolons between the cells)" * (len(longer) == len(rows))
        )
    return header, [row[:width] + [""] * (width - len(row)) for row in rows]


def _are_labels(cells: Sequence[str]) -> bool:
    """Whether cells number or name rows: 0, 1, 2 ..., or words that differ."""
    if not any(is_number(cell) for cell in cells):
        return len({*cells}) == len(cells)
    return any(list(cells) == [str(k + first) for k in range(len(cells))] for first in (0, 1))


def _refuse_second_table(header: list[str], rows: list[list[str]], ends: list[int]) -> None:
    """Refuse a header that stands again below: two files in one."""
    plain = [name.strip() for name in header]
    for k, row in enumerate(rows):
        if row[0] == plain[0] and [cell.strip() for cell in row] == plain:
            raise ValueError(
                f"line {ends[k]} is the header again: two tables stand in this file; give each in a file of its "
                f"own, or delete "
                "that line if their runs differ"
            )
