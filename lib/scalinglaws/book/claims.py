"""Claims with verdicts, and the ledger that lists all of the book's: ``data/claims.csv``.

A notebook calls `claim` with an id and its numbers; statement, regions and verdict stand in the registry. Chapters
write the ledger (with the variable ``SCALINGLAWS_CLAIMS`` naming a folder, each claim leaves a record there; `collect`
makes the table of them), and from then on a chapter that finds something else than the ledger says fails. Notebooks of
someone else may have a ledger of their own; to check against it takes nothing of the checkout.
"""

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from scalinglaws import published
from scalinglaws.book import ledger
from scalinglaws.book.ledger import COLUMNS, agree, records
from scalinglaws.book.registry import VERDICTS, Entry, Kind, Verdict, decide, entry

__all__ = ["Claim", "Claims", "claim", "collect", "counts", "in_words", "list_html", "number", "over_seeds"]

RECORDS = "SCALINGLAWS_CLAIMS"  # environment variable: the folder in which claims leave their records
POWER = (1.96 + 0.84) / 1.96  # over the half width of a 95% interval: an effect seen in 80% of repetitions
NOTHING = "Nothing to check: the runs are not on this machine."  # what an empty table of claims says
RAISED = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
MARKS: dict[Verdict, str] = {
    "reproduced": "✓",
    "reproduced in direction": "↗",
    "undecided": "○",
    "opposite here": "↘",
    "contradicted": "✕",
    "consistent": "=",
    "inconsistent": "≠",
}


def number(value: float | str, fmt: str = "{:.3g}") -> str:
    """Return a number as a book prints it: a true minus sign, none before zero, powers of ten in place of ``e+05``.

    ``fmt`` is a ``str.format`` field for it, such as ``"{:.2f} nats"``.
    """
    text = re.sub(r"(?<![\w.])-(?=0(?:\.0+)?(?![\w.]))", "", fmt.format(value))
    text = re.sub(r"(?<![\w.])-(?=[\d.])", "−", text)
    return re.sub(r"(?<=\d)e([+-])0*(\d+)", _power_of_ten, text)


def _power_of_ten(match: re.Match[str]) -> str:
    return " × 10" + ("−" * (match[1] == "-") + match[2]).translate(RAISED)


def _typeset(text: str) -> str:
    """Words of the registry as a page has them: a true minus sign, raised powers, curly apostrophes; TeX stays TeX."""
    parts = re.split(r"(\\\(.*?\\\))", text)
    for k, words in list(enumerate(parts))[::2]:
        words = re.sub(r"(?<=\d)\^(\d+)", lambda power: power[1].translate(RAISED), number(words, "{}"))
        parts[k] = re.sub(r"(?<=\w)'", "’", words)
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Claim(Entry):
    """A registered claim beside this book's number ``ours`` and its interval, shown as a box with a verdict."""

    ours: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.low is None) != (self.high is None):
            raise ValueError(f"claim {self.id}: low is {self.low}, high is {self.high}; give both or neither")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ValueError(f"claim {self.id}: low {self.low:.4g} is not below high {self.high:.4g}; swap them")

    def _published(self) -> str:
        return self.published if isinstance(self.published, str) else number(self.published, self.fmt)

    def _ours(self) -> str:
        ours = number(self.ours, self.fmt)
        if self.low is None or self.high is None:
            return ours
        return f"{ours} [{number(self.low, self.fmt)}, {number(self.high, self.fmt)}]"

    def _seen(self) -> str:
        """The smallest effect that the runs of an undecided claim could have shown."""
        if self.low is None or self.high is None:
            return "nothing can be said: these runs have no interval"
        ratio = "logarithm" in self.interval  # so the registry says of an interval that is symmetric as a factor
        effect = (self.high / self.low) ** (POWER / 2) if ratio else POWER * (self.high - self.low) / 2
        if self.fmt.endswith("%}") and effect > 1:
            return "nothing can be said: the interval is wider than any share"
        shown = number(effect, self.fmt.replace(":+", ":"))
        return f"{'a factor' if ratio else 'an effect'} of {shown}, in four of five repetitions (80% power)"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            (f"Published ({self.published_id})", self._published()),
            (f"Here ({self.how})", self._ours()),
            ("Accepted if", self.criterion),
        ]
        return [*rows, ("Could have seen", self._seen())] if self.verdict == "undecided" else rows

    def __str__(self) -> str:
        """Plain text, for terminals and for readers without HTML."""
        rows = "\n".join(f"  {name}: {value}" for name, value in self._rows())
        return f"{self.statement}\n{rows}\n  Verdict: {MARKS[self.verdict]} {self.verdict}"

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return self._box("section")

    def _box(self, tag: str, link: str | None = None, chapter: str = "") -> str:
        """The claim as an HTML element; with ``link`` it leads to its place there, and says what a page sorts it by."""
        anchor, word = f"claim-{escape(self.id)}", self.verdict.replace(" ", "-")
        place, statement = f' id="{anchor}"', escape(_typeset(self.statement))
        if link is not None:
            sorts = {"verdict": self.verdict, "kind": self.kind, "chapter": chapter, "section": self.section}
            place = "".join(f' data-{name}="{escape(value)}"' for name, value in sorts.items())
            statement = f'<a href="{link}#{anchor}">{statement}</a>'
        verdict = f'<span class="verdict verdict-{word}">{MARKS[self.verdict]} {self.verdict}</span>'
        rows = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(_typeset(value))}</dd></div>" for name, value in self._rows()
        )
        return (  # the last class lets MathJax in, which otherwise leaves a cell's HTML alone
            f'<{tag} class="claim claim-{word} tex2jax_process"{place}>'
            f'<p class="claim-statement">{verdict} {statement}</p><dl>{rows}</dl></{tag}>'
        )


def claim(
    id: str, *, ours: float, low: float | None = None, high: float | None = None, also: bool = True,
    registry: str | Path | None = None,
) -> Claim:  # fmt: skip
    """Return a registered claim with this run's numbers, if they bear out the verdict that the registry has.

    Parameters
    ----------
    id : str
        Its id in the registry, such as ``"powers-doubling"``.
    ours : float
        The deciding quantity, in the registry's unit.
    low, high : float, optional
        Its 95% interval; neither for plain arithmetic.
    also : bool
        Whether all other conditions of the criterion hold in this run.
    registry : path, optional
        A registry of your own; see `scalinglaws.book.registry`.

    Raises
    ------
    AssertionError
        If these numbers earn another verdict, or the ledger has other numbers.
    ValueError
        If the claim is not registered, or lacks the interval that decides it.
    """
    known = entry(id, registry)
    if known.awaits:
        raise ValueError(f"claim {id} awaits the runs of {', '.join(known.awaits)}: store them, then write its verdict")
    if known.retired:
        raise ValueError(f"claim {id} was retired on {known.retired['date']}: {known.retired['why']}")
    made = Claim(**{field.name: getattr(known, field.name) for field in fields(known)}, ours=ours, low=low, high=high)
    found = decide(known, ours, low, high, also)
    if found != known.verdict:
        raise AssertionError(
            f"claim {id}: {known.quantity or 'the number'} is {made._ours()}"
            f"{'' if also else ', another condition fails'}, so by its regions the claim is {found!r}, but the "
            f"registry says {known.verdict!r}: find the bug, or change the verdict there"
        )
    if folder := os.environ.get(RECORDS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{id}.json").write_text(json.dumps(asdict(made), default=float), encoding="utf-8")
    elif ledger.LEDGER.is_file():
        for row in ledger.read().query("id == @id").to_dict("records"):  # a claim of the reader's own has none
            if different := agree(asdict(made), row):
                raise AssertionError(
                    f"claim {id}: the ledger data/claims.csv has another {different}; "
                    "write it again with `make claims`, or find what changed"
                )
    return made


def over_seeds(values: ArrayLike, ours: float | None = None) -> dict[str, float]:
    """Return ``ours``, ``low`` and ``high`` for `claim`: a mean over seeds and its 95% interval by Student's t.

    ``values`` [n_seeds] are from each seed alone; ``ours`` is from all together, where that is not their mean.
    """
    each = np.asarray(values, float)
    ours = each.mean() if ours is None else ours
    half = stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / len(each) ** 0.5
    return {"ours": ours, "low": ours - half, "high": ours + half}


class Claims(tuple[Claim, ...]):
    """Several claims as one list, for those that need no box of their own."""

    def __new__(cls, *claims: Claim):
        """Make the list of what is given, one claim or more."""
        return super().__new__(cls, claims)

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or NOTHING

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return list_html(pd.DataFrame(map(asdict, self))) if self else f"<p>{NOTHING}</p>"


def collect(folder: str | Path, notebooks: str | Path | None = None) -> pd.DataFrame:
    """Make a ledger of the `records` in ``folder``, see there and `ledger`.

    ValueError as there, and if a claim names a row, such as ``"K99"``, that the table of published numbers lacks.
    """
    rows = []
    for record in records(folder, notebooks).to_dict("records"):
        value = record["published"]
        text = value if isinstance(value, str) else number(value, record["fmt"])
        place = _place(record["published_id"])
        place["section"] = record.get("section") or place["section"]
        rows.append(record | {"published": text} | place)
    names = [*(name for name in COLUMNS if name != "notebook"), "section", "source", "kind", "notebook"]
    return pd.DataFrame(rows)[names]


def _place(published_id: str) -> dict[str, str]:
    """Section of the lecture and source of a published row; a source in words is its own."""
    first = published_id.split(",")[0]
    if not re.fullmatch(r"[A-Z]\d\d", first):
        return {"section": "", "source": published_id}
    source = published.row(first)
    return {"section": source.section, "source": f"{source.paper}, {source.where}"}


def in_words(table: pd.DataFrame) -> str:
    """Return a ledger as text: a line or two for each claim, by chapter, and the number of each verdict by kind."""
    lines = []
    for notebook, group in table.groupby("notebook", sort=False):
        lines.append(str(notebook))
        for row in group.to_dict("records"):
            one = _claim(row)
            found = f"published {one._published()} ({one.published_id}), here {one._ours()} ({one.how})"
            lines.append(f"  {MARKS[one.verdict]} {one.statement}\n      {found}")
    tally = counts(table)
    for kind, verdicts in VERDICTS.items():
        each = ", ".join(f"{tally.loc[kind, verdict]} {verdict}" for verdict in verdicts)
        lines.append(f"{kind}, {tally.loc[kind].sum()} claims: {each}")
    return "\n".join(lines)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many claims of a ledger have each verdict (columns), apart by kind (rows)."""
    tally = pd.crosstab(table["kind"], table["verdict"])
    return tally.reindex(index=list(get_args(Kind)), columns=list(MARKS), fill_value=0)


def _claim(record: dict) -> Claim:
    """The claim of a row of a ledger."""
    given: dict[str, Any] = {field.name: record[field.name] for field in fields(Claim) if field.name in record}
    if pd.isna(given["low"]):
        given |= {"low": None, "high": None}
    return Claim(**given)


def list_html(frame: pd.DataFrame, link: str | None = None, label: str = "Claims") -> str:
    """Return rows of a ledger as an HTML list with a verdict in each; with ``link``, each leads to its place there."""
    boxes = ((_claim(record), str(record.get("notebook", ""))) for record in frame.to_dict("records"))
    items = "".join(claim._box("li", link, chapter) for claim, chapter in boxes)
    return f'<ul class="claims" aria-label="{escape(label)}">{items}</ul>'
