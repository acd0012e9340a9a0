"""Claims with verdicts, and the ledger that lists all of the book's: ``data/claims.csv``.

A chapter states each claim as a `Claim` and holds it to its criterion with `Claim.check`. Chapters write the ledger
(with the variable ``SCALINGLAWS_CLAIMS`` naming a folder, each checked claim leaves a record there; `collect` makes
the table of them), and from then on a chapter that finds something else than the ledger says fails. Notebooks of
someone else may have a ledger of their own; to check against it takes nothing of the checkout.
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
    "concerning",
    "counts",
    "differences",
    "in_words",
    "ledger",
    "list_html",
    "number",
    "records",
    "write",
]

Verdict = Literal["reproduced", "reproduced in direction", "not at this scale", "contradicted"]
How = Literal["live", "stored", "public data", "arithmetic"]
RECORDS = "SCALINGLAWS_CLAIMS"  # environment variable: the folder in which checked claims leave their records
ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "data" / "claims.csv"
CHAPTERS = ROOT / "chapters"
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


def ledger(path: str | Path | None = None) -> pd.DataFrame:
    """Return a ledger as a new frame, one row per claim in the order of the notebooks; the book's by default.

    Columns: those of `Claim`, ``published`` as text, ``low`` and ``high`` NaN where there is no interval; ``section``
    of the lecture and ``source`` (citation key and place) of the published row; ``notebook`` is the chapter.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the data folder does not lie beside the package's source.
    ValueError
        If the file is no ledger.
    """
    file = Path(path or LEDGER)
    if not file.is_file():
        remedy = "write it with --write FOLDER" if path else "install from a checkout, or name another with --ledger"
        raise FileNotFoundError(f"no ledger {file}: {remedy}")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    absent = {*Claim.__dataclass_fields__, "notebook"} - set(table.columns)
    if absent:
        raise ValueError(f"{file} is no ledger, it has no column {min(absent)}: write one with --write FOLDER")
    return table.assign(**{name: pd.to_numeric(table[name]) for name in ("ours", "low", "high")})


def records(folder: str | Path, notebooks: str | Path | None = None) -> pd.DataFrame:
    """Return what the checked claims of some notebooks left in ``folder``, one row per claim in their order.

    Parameters
    ----------
    folder : path
        What the variable ``SCALINGLAWS_CLAIMS`` named when the notebooks ran.
    notebooks : path, optional
        Folder of the notebooks; by default the book's chapters.

    Raises
    ------
    ValueError
        If no notebook states a claim, one left no record, a record belongs to none, or two claims have one id.
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
            f"{folder} has {unknown[0]!r}, which no notebook in {notebooks} states: begin each claim with "
            'Claim(id="..."), and empty the folder before the notebooks run'
        )
    return pd.DataFrame(rows)


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


def write(table: pd.DataFrame, path: str | Path | None = None) -> None:
    """Write ``table``, see `collect`, as a ledger; the book's by default."""
    runs.atomically(Path(path or LEDGER), lambda file: table.to_csv(file, index=False, float_format="%.8g"))


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
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook}: is no notebook ({type(error).__name__}); save it again") from error
    code = re.sub(r"^([^\"'#\n]*)#.*$", r"\1", code, flags=re.MULTILINE)  # comments
    ids = re.findall(r"Claim\(\s*id=f?\"([^\"]+)\"", code)
    return [".+".join(map(re.escape, re.split(r"\{[^}]*\}", id))) for id in ids]


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

    These are the claims of all notebooks of the same name, stated there or not, and those that were ``found`` under
    any name.
    """
    names = {path.stem for path in Path(notebooks).glob("*.ipynb")}
    return kept[kept["notebook"].isin(names) | kept["id"].isin(found["id"])]


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
