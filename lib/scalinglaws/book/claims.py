"""Claims with verdicts, and the ledger that lists all of the book's: ``data/claims.csv``.

A chapter states each claim as a `Claim` and holds it to its criterion with `Claim.check`. Chapters write the ledger
(with the variable ``SCALINGLAWS_CLAIMS`` naming a folder, each checked claim leaves a record there; `collect` makes
the table of them), and from then on a chapter that finds something else than the ledger says fails. Notebooks of
someone else may have a ledger of their own; to check against it takes nothing of the checkout.
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from scalinglaws import published
from scalinglaws.book import ledger
from scalinglaws.book.ledger import How, Verdict, agree, records

__all__ = ["Claim", "Claims", "collect", "counts", "in_words", "list_html", "number"]

RECORDS = "SCALINGLAWS_CLAIMS"  # environment variable: the folder in which checked claims leave their records
MET: tuple[Verdict, ...] = ("reproduced", "reproduced in direction")  # verdicts whose criterion holds
NOTHING = "Nothing to check: the runs are not on this machine."  # what an empty table of claims says
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
        Its row in the table of published numbers, such as ``"K01"``; a source that is not there in words.
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
        if not self.id or {*self.id} & {*"/\\"}:
            raise ValueError(f"claim id {self.id!r}: it names a file, so give letters and hyphens, and no slash")
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
        rows = ledger.read() if ledger.LEDGER.is_file() else pd.DataFrame(columns=["id"])
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
        return self._box("section")

    def _box(self, tag: str, link: str | None = None) -> str:
        """The claim as an HTML element; with ``link`` it leads to its place there and is not that place itself."""
        anchor, kind = f"claim-{escape(self.id)}", self.verdict.replace(" ", "-")
        place, statement = f' id="{anchor}"', escape(self.statement)
        if link is not None:
            place, statement = "", f'<a href="{link}#{anchor}">{statement}</a>'
        verdict = f'<span class="verdict verdict-{kind}">{MARKS[self.verdict]} {self.verdict}</span>'
        rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in self._rows())
        return (  # the last class lets MathJax in, which otherwise leaves a cell's HTML alone
            f'<{tag} class="claim claim-{kind} tex2jax_process"{place}>'
            f'<p class="claim-statement">{verdict} {statement}</p><dl>{rows}</dl></{tag}>'
        )


@dataclass(frozen=True, init=False)
class Claims:
    """Several checked claims as one list, for those that need no box of their own."""

    claims: tuple[Claim, ...]

    def __init__(self, *claims: Claim):
        object.__setattr__(self, "claims", claims)

    def __str__(self) -> str:
        return "\n".join(map(str, self.claims)) or NOTHING

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        rows = [asdict(claim) for claim in self.claims]
        return list_html(pd.DataFrame(rows)) if rows else f"<p>{NOTHING}</p>"


def collect(folder: str | Path, notebooks: str | Path | None = None) -> pd.DataFrame:
    """Make a ledger of the `records` in ``folder``, see there and `ledger`.

    Raises
    ------
    ValueError
        As `records`; also if a claim names a row, such as ``"K99"``, that the table of published numbers lacks.
    """
    rows = []
    for record in records(folder, notebooks).to_dict("records"):
        value = record["published"]
        text = value if isinstance(value, str) else number(value, record["fmt"])
        rows.append(record | {"published": text} | _place(record["published_id"]) | {"notebook": record["notebook"]})
    table = pd.DataFrame(rows)
    return table[[*(name for name in table if name != "notebook"), "notebook"]]


def _place(published_id: str) -> dict[str, str]:
    """Section of the lecture and source of a published row; a source in words is its own."""
    first = published_id.split(",")[0]
    if not re.fullmatch(r"[A-Z]\d\d", first):
        return {"section": "", "source": published_id}
    source = published.row(first)
    return {"section": source.section, "source": f"{source.paper}, {source.where}"}


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


def counts(table: pd.DataFrame) -> pd.Series:
    """Return how many claims of a ledger have each verdict, in the order of `Verdict`."""
    return table["verdict"].value_counts().reindex(list(get_args(Verdict)), fill_value=0)


def _claim(record: dict) -> Claim:
    """The claim of a row of a ledger."""
    fields: dict[str, Any] = {name: record[name] for name in Claim.__dataclass_fields__}
    if pd.isna(fields["low"]):
        fields |= {"low": None, "high": None}
    return Claim(**fields)


def list_html(frame: pd.DataFrame, link: str | None = None, label: str = "Claims") -> str:
    """Return rows of a ledger as an HTML list with a verdict in each; with ``link``, each leads to its place there."""
    items = "".join(_claim(record)._box("li", link) for record in frame.to_dict("records"))
    return f'<ul class="claims" aria-label="{escape(label)}">{items}</ul>'
