"""Claims with verdicts, and the ledger that lists all of the book's: ``data/claims.csv``.

A chapter states each claim as a `Claim` and holds it to its criterion with `Claim.check`. Chapters write the ledger
(with the variable ``SCALINGLAWS_CLAIMS`` naming a folder, each checked claim leaves a record there; `collect` makes
the table of them), and from then on a chapter that finds something else than the ledger says fails.
"""

import json
import math
import os
import re
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from scalinglaws import published, runs

__all__ = [
    "Claim",
    "Claims",
    "agree",
    "collect",
    "counts",
    "differences",
    "in_words",
    "ledger",
    "number",
    "table_html",
    "write",
]

Verdict = Literal["reproduced", "reproduced in direction", "not at this scale", "contradicted"]
How = Literal["live", "stored", "public data", "arithmetic"]
RECORDS = "SCALINGLAWS_CLAIMS"  # environment variable: the folder in which checked claims leave their records
ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "data" / "claims.csv"
MET: tuple[Verdict, ...] = ("reproduced", "reproduced in direction")  # verdicts whose criterion holds
MARKS: dict[Verdict, str] = {
    "reproduced": "✓",
    "reproduced in direction": "↗",
    "not at this scale": "○",
    "contradicted": "✕",
}


def number(value: float | str, fmt: str = "{:.3g}") -> str:
    """Return a number as a book prints it: a true minus sign, and powers of ten in place of ``e+05``.

    Parameters
    ----------
    value : float or str
        What to print, in the unit that the text around it (or ``fmt``) names.
    fmt : str
        A ``str.format`` field for it, such as ``"{:.2f} nats"``.
    """
    text = re.sub(r"(?<![\w.])-(?=[\d.])", "−", fmt.format(value))
    return re.sub(r"(?<=\d)e([+-])0*(\d+)", _power_of_ten, text)


def _power_of_ten(match: re.Match[str]) -> str:
    sign = "⁻" if match[1] == "-" else ""
    return f" × 10{sign}" + match[2].translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


@dataclass(frozen=True, kw_only=True)
class Claim:
    r"""One published claim beside this book's own number, with the criterion that decides between them.

    Shown at the end of a cell it is a box with a verdict. `check` holds the verdict to the criterion.

    Parameters
    ----------
    id : str
        Unique in the book, such as ``"power-laws-slope"``.
    statement : str
        What is claimed, in one sentence. TeX goes between ``\(`` and ``\)``.
    published : float or str
        What the source states: a number, or words where it gives none.
    published_id : str
        Its row in the table of published numbers, such as ``"K01"``.
    ours : float
        The number found here, in the same unit.
    low, high : float, optional
        Interval for ``ours``; neither for plain arithmetic.
    criterion : str
        When the claim counts as reproduced, in words, fixed before the numbers are looked at.
    verdict : str
        The first two say that the criterion is met, the last two that it is not.
    how : str
        "live": trained in the chapter; "stored": from a run table of ours; "public data": other people's runs;
        "arithmetic": no runs at all.
    fmt : str
        How to print the numbers, see `number`.
    """

    id: str
    statement: str
    published: float | str
    published_id: str
    ours: float
    low: float | None = None
    high: float | None = None
    criterion: str
    verdict: Verdict
    how: How
    fmt: str = "{:.3g}"

    def __post_init__(self) -> None:
        for name, allowed in (("verdict", get_args(Verdict)), ("how", get_args(How))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"claim {self.id}: {name} is {getattr(self, name)!r}, use one of {allowed}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"claim {self.id}: low is {self.low}, high is {self.high}; give both or neither")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ValueError(f"claim {self.id}: low {self.low:.4g} is not below high {self.high:.4g}; swap them")

    def check(self, accepted: bool) -> "Claim":
        """Return the claim itself if the recorded verdict agrees with what the criterion says in this run.

        Parameters
        ----------
        accepted : bool
            Whether the criterion is met, computed from this run's numbers.

        Raises
        ------
        AssertionError
            If the book would print a verdict that its own numbers do not bear out, or that its ledger does not have.
        """
        if bool(accepted) != (self.verdict in MET):
            outcome = "met" if accepted else "not met"
            raise AssertionError(
                f"claim {self.id}: criterion {self.criterion!r} is {outcome} (ours {self._ours()}, published "
                f"{self._published()}), but the verdict says {self.verdict!r}; change the verdict or find the bug"
            )
        folder = os.environ.get(RECORDS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{self.id}.json").write_text(json.dumps(asdict(self), default=float), encoding="utf-8")
        else:
            self._compare()
        return self

    def _compare(self) -> None:
        """Hold the claim to its row of the ledger; a claim of the reader's own has none."""
        rows = ledger() if LEDGER.is_file() else pd.DataFrame(columns=["id"])
        for row in rows[rows["id"] == self.id].to_dict("records"):
            different = agree(asdict(self), row)
            if different:
                raise AssertionError(
                    f"claim {self.id}: the ledger data/claims.csv has another {different}; "
                    "write it again with `make claims`, or find what changed"
                )

    def _published(self) -> str:
        return self.published if isinstance(self.published, str) else number(self.published, self.fmt)

    def _ours(self) -> str:
        ours = number(self.ours, self.fmt)
        if self.low is None or self.high is None:
            return ours
        return f"{ours} [{number(self.low, self.fmt)}, {number(self.high, self.fmt)}]"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (f"Published ({self.published_id})", self._published()),
            (f"Here ({self.how})", self._ours()),
            ("Accepted if", self.criterion),
        ]

    def __str__(self) -> str:
        """Plain text, for terminals and for readers without HTML."""
        rows = "\n".join(f"  {name}: {value}" for name, value in self._rows())
        return f"{self.statement}\n{rows}\n  Verdict: {MARKS[self.verdict]} {self.verdict}"

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in self._rows())
        kind = self.verdict.replace(" ", "-")
        verdict = f'<span class="verdict verdict-{kind}">{MARKS[self.verdict]} {self.verdict}</span>'
        return (  # the last class lets MathJax in, which otherwise leaves a cell's HTML alone
            f'<section class="claim claim-{kind} tex2jax_process" id="claim-{escape(self.id)}" aria-label="Claim">'
            f'<p class="claim-statement">{verdict} {escape(self.statement)}</p><dl>{rows}</dl></section>'
        )


@dataclass(frozen=True, init=False)
class Claims:
    """Several checked claims as one table, for those that need no box of their own."""

    claims: tuple[Claim, ...]

    def __init__(self, *claims: Claim):
        object.__setattr__(self, "claims", claims)

    def __str__(self) -> str:
        return "\n".join(map(str, self.claims))

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return table_html(pd.DataFrame([asdict(claim) for claim in self.claims]))


def ledger() -> pd.DataFrame:
    """Return the ledger as a new frame, one row per claim in the order of the book.

    Columns: those of `Claim`, ``published`` as text, ``low`` and ``high`` NaN where there is no interval; ``section``
    of the lecture and ``source`` (citation key and place) of the published row; ``notebook`` is the chapter.

    Raises
    ------
    FileNotFoundError
        If the data folder does not lie beside the package's source.
    """
    if not LEDGER.is_file():
        raise FileNotFoundError("data/claims.csv is not beside lib/: install from a checkout, `pip install -e .`")
    table = pd.read_csv(LEDGER, dtype=str, keep_default_na=False)
    return table.assign(**{name: pd.to_numeric(table[name]) for name in ("ours", "low", "high")})


def collect(folder: str | Path, chapters: str | Path = ROOT / "chapters") -> pd.DataFrame:
    """Make a ledger of the records that checked claims left in ``folder``, see `ledger`.

    Raises
    ------
    ValueError
        If a chapter states a claim that left no record, or two state the same one.
    """
    rows = []
    left = sorted(path.stem for path in Path(folder).glob("*.json"))
    for notebook in sorted(Path(chapters).glob("*.ipynb")):
        ids = stated(notebook)
        for id in ids:
            others = set(ids) - {id}
            found = [name for name in left if re.fullmatch(id, name) and re.escape(name) not in others]
            if not found:
                raise ValueError(f"{notebook.name} states {id!r}, which left no record in {folder}: run that chapter")
            for name in found:
                record = json.loads((Path(folder) / f"{name}.json").read_text(encoding="utf-8"))
                source = published.row(record["published_id"].split(",")[0])
                place = {"section": source.section, "source": f"{source.paper}, {source.where}"}
                value = record["published"]
                text = value if isinstance(value, str) else number(value, record["fmt"])
                rows.append(record | place | {"published": text, "notebook": notebook.stem})
    table = pd.DataFrame(rows)
    twice = table["id"][table["id"].duplicated()].tolist()
    if twice:
        raise ValueError(f"stated twice: {', '.join(twice)}; give each claim an id of its own")
    return table


def write(table: pd.DataFrame) -> None:
    """Write ``table``, see `collect`, as the ledger."""
    runs.atomically(LEDGER, lambda path: table.to_csv(path, index=False, float_format="%.8g"))


def in_words(table: pd.DataFrame) -> str:
    """Return a ledger as text: a line or two for each claim, by chapter, and the number of each verdict."""
    lines = []
    for notebook, group in table.groupby("notebook", sort=False):
        lines.append(f"{notebook}")
        for row in group.to_dict("records"):
            claim = _claim(row)
            found = f"published {claim._published()} ({claim.published_id}), here {claim._ours()} ({claim.how})"
            lines.append(f"  {MARKS[claim.verdict]} {claim.statement}\n      {found}")
    tally = ", ".join(f"{number} {verdict}" for verdict, number in counts(table).items())
    return "\n".join([*lines, f"{len(table)} claims: {tally}"])


def stated(notebook: Path) -> list[str]:
    """Return the ids of a notebook's claims, in its order, as regular expressions: an id may have parts in braces."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    ids = re.findall(r"Claim\(\s*id=f?\"([^\"]+)\"", code)
    return [".+".join(map(re.escape, re.split(r"\{[^}]*\}", id))) for id in ids]


def agree(record: dict, row: dict) -> str:
    """Return in which respect a claim just made differs from its row of the ledger; an empty string if in none.

    Words must be equal. Numbers that come from no training must agree to a tenth of their interval (a bootstrap's
    ends move a little with the processor's rounding) or to a thousandth. A live claim trains again, elsewhere to other
    digits: its value may leave the ledger's interval by the widths of the two intervals, and no further.
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


def counts(table: pd.DataFrame) -> pd.Series:
    """Return how many claims of a ledger have each verdict, in the order of `Verdict`."""
    return table["verdict"].value_counts().reindex(list(get_args(Verdict)), fill_value=0)


def _claim(record: dict) -> Claim:
    """The claim of a row of a ledger."""
    fields: dict[str, Any] = {name: record[name] for name in Claim.__dataclass_fields__}
    if pd.isna(fields["low"]):
        fields |= {"low": None, "high": None}
    return Claim(**fields)


def table_html(frame: pd.DataFrame, link: str | None = None) -> str:
    """Return rows of a ledger as an HTML table with a verdict in each; with ``link``, each leads to its place there."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Claim", "Published", "Here", "Accepted if", "Verdict"))
    rows = []
    for record in frame.to_dict("records"):
        claim = _claim(record)
        anchor = f"claim-{escape(claim.id)}"
        statement = (
            escape(claim.statement) if link is None else f'<a href="{link}#{anchor}">{escape(claim.statement)}</a>'
        )
        cells = [f"{claim._published()} ({claim.published_id})", f"{claim._ours()} ({claim.how})", claim.criterion]
        kind = claim.verdict.replace(" ", "-")
        verdict = f'<span class="verdict verdict-{kind}">{MARKS[claim.verdict]} {claim.verdict}</span>'
        body = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        opening = f'<tr id="{anchor}">' if link is None else "<tr>"
        rows.append(f"{opening}<td>{statement}</td>{body}<td>{verdict}</td></tr>")
    return (
        '<div class="claims tex2jax_process" role="region" aria-label="Claims" tabindex="0">'
        f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
