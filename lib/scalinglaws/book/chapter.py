"""What a chapter needs besides the science: one look for all figures, quoted numbers, claims, the source of a function.

Chapters run in the book's build, in JupyterLab and on Colab; everything here works in all three.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import escape
from importlib.util import find_spec
from typing import TypeVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, Markdown, display
from matplotlib_inline.backend_inline import set_matplotlib_formats

from scalinglaws import published, runs
from scalinglaws.book import claims, ledger
from scalinglaws.book.claims import number
from scalinglaws.files import CHECKOUT, DATA, PACKAGE

__all__ = ["chapters", "published_rows", "quote", "quotes", "setup", "show", "style", "sweeps", "verdicts"]

# "default" first: a reader's own matplotlibrc must not change the book's figures.
STYLE = ["default", str(PACKAGE / "book" / "book.mplstyle")]
GREEK = dict(zip(("alpha", "beta", "gamma", "delta", "eta", "lambda", "sigma", "tau"), "αβγδηλστ", strict=True))
GLUED = "application/papermill.record/"  # before the type of what is kept for the prose and not shown

Quoted = TypeVar("Quoted", bound=float | str)


def style() -> AbstractContextManager[None]:
    """Return a context in which figures look as they do in the book."""
    return plt.style.context(STYLE)


def setup() -> None:
    """Give a notebook the book's look for figures; the hidden first cell of each chapter calls it."""
    plt.style.use(STYLE)
    if get_ipython() is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})  # sharp at every zoom; the same bytes every time


def quote(name: str, value: Quoted, fmt: str = "{:.3g}") -> Quoted:
    """Return ``value`` unchanged, after making it available to the chapter's prose as ``{glue:text}`name```.

    One value per key and chapter, printed by ``fmt``, see `number`. Where no book is built nothing happens.
    """
    if get_ipython() is None or find_spec("myst_nb") is None:  # Colab: the notebook runs without the book's tools
        return value
    # What `myst_nb.glue` would leave; to import that loads Sphinx, two seconds a chapter.
    record = {GLUED + "text/plain": repr(number(value, fmt))}
    display(record, raw=True, metadata={"scrapbook": {"name": name, "mime_prefix": GLUED}})
    return value


def quotes(fmt: str = "{:.3g}", **values: float | str) -> None:
    """`quote` several values by key in one format; an underscore stands for the hyphen of the key."""
    for name, value in values.items():
        quote(name.replace("_", "-"), value, fmt)


def show(obj: Callable | type) -> Markdown:
    """Return the source of a library function or class, without its decorators, for display in a notebook."""
    source = textwrap.dedent(inspect.getsource(obj))
    first = ast.parse(source).body[0].lineno  # the line of "def" or "class"; decorators stand above it
    body = "".join(source.splitlines(keepends=True)[first - 1 :])
    return Markdown(f"````python\n{body}````")


def chapters(column: str = "question") -> HTML:
    """Return the map of the book for display: each chapter with its minutes and its verdicts.

    ``column`` of ``data/chapters.csv`` stands beside each: its ``question``, or the ``goal`` of who reads it.
    """
    table = ledger.read()
    rows = []
    for row in pd.read_csv(CHECKOUT / "data" / "chapters.csv", dtype=str).to_dict("records"):
        name = row["notebook"]
        title, minutes = _title_and_minutes(name)
        link = f'<a href="chapters/{name}.html">{int(name[:2])} {escape(title)}</a>'
        marks = _marks(table[table["notebook"] == name])
        cells = [link, escape(row["lecture"]), escape(row[column]), str(minutes), marks]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = ("Chapter", "Lecture", column.capitalize(), "Minutes", "Verdicts")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return HTML(f'<table class="chapter-map"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>')


def verdicts(notebook: str) -> HTML:
    """Return a chapter's rows of the ledger as a list for display, each with a link to its place in the chapter."""
    table = ledger.read()
    rows, label = table[table["notebook"] == notebook], f"Claims of chapter {int(notebook[:2])}"
    return HTML(claims.list_html(rows, f"chapters/{notebook}.html", label))


def published_rows(letter: str) -> HTML:
    """Return the published rows whose code begins with ``letter``, each with its anchor, for their page."""
    rows = []
    for row in published.table().query("id.str.startswith(@letter)").to_dict("records"):
        figures = " ".join(filter(None, (row["text"], row["unit"] if row["unit"] != "1" else "", row["uncertainty"])))
        paper = re.sub(r"^([a-z]+)(\d{4}).*", lambda key: f"{key[1].title()} {key[2]}", row["paper"])
        note = f"; {_formula(row['note'])}" if row["note"] else ""
        source = f"{escape(paper)}, {escape(row['where'])}; tier {row['tier']}{note}"
        body = f"{_formula(row['quantity'])}: {_formula(figures)}<br><span class='source'>{source}</span>"
        rows.append(f'<dt id="{row["id"]}">{row["id"]}</dt><dd>{body}</dd>')
    return HTML(f'<dl class="published-rows">{"".join(rows)}</dl>')


def _formula(text: str) -> str:
    """A formula typed in plain letters as HTML: Greek letters, powers and indices, such as 5e3 * N^0.74 or alpha_N."""
    text = escape(text, quote=False).replace(" * ", " · ").replace("_star", "*")
    text = re.sub(r"(?<![\w.])1e(-?\d+)\b", r"10^\1", text)
    text = re.sub(r"(?<![\w./])(\d+(?:\.\d+)?)e(-?\d+)\b", r"\1 × 10^\2", text)
    text = re.sub(r"\b(alpha|beta|gamma|delta|eta|lambda|sigma|tau)(?![a-z])", lambda name: GREEK[name[1]], text)
    text = re.sub(r"\^(-?\d+/\d+|-?\w+(?:\.\d+)?|\([^()]*\))", lambda power: f"<sup>{power[1].strip('()')}</sup>", text)
    index = r"(?<!\w)([A-Za-zα-ω])_(\w+|\{[^{}]*\})"
    text = re.sub(index, lambda part: f"{part[1]}<sub>{part[2].strip('{}').replace('_', ', ')}</sub>", text)
    return text.replace("<sub>inf</sub>", "<sub>∞</sub>").replace("<sup>-", "<sup>−")


def sweeps() -> HTML:
    """Return the book's sweeps for display: what each trains, and the runs, FLOPs and seconds of those that are stored.

    FLOPs and seconds are of each run from its first step, although branches of one trunk shared theirs.
    """
    rows, total = [], np.zeros(3)
    for path in sorted((CHECKOUT / "sweeps").glob("*.py")):
        about = str(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))).splitlines()[0].replace("`", "")
        flops, count, hours = "", "not trained yet", ""
        if (DATA / "runs" / f"{path.stem}.csv").exists():
            table = runs.stored(path.stem)
            sums = np.array([table["flops"].sum(), len(table), table["seconds"].sum() / 3600])
            total, (flops, count, hours) = total + sums, _sums(sums)
        rows.append([f"<code>{path.stem}</code>", flops, escape(about), count, hours])
    flops, count, hours = _sums(total)
    rows.append(["all", flops, "", count, hours])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in rows)
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Sweep", "FLOPs", "What", "Runs", "Hours"))
    return HTML(
        f'<table class="chapter-map sweeps stacked"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    )


def _sums(sums: np.ndarray) -> tuple[str, str, str]:
    """FLOPs, runs and hours as the table of sweeps has them."""
    return claims.number(sums[0], "{:.1e}"), f"{sums[1]:,.0f}", f"{sums[2]:.1f}"


def _marks(table: pd.DataFrame) -> str:
    """How many claims of a ledger have each verdict, as small marks; those of arithmetic have marks of their own."""
    counted = claims.counts(table).sum()
    return " ".join(
        f'<span class="verdict verdict-{verdict.replace(" ", "-")}" title="{verdict}">{mark}'
        f'<span class="visually-hidden"> {verdict}:</span> {counted[verdict]}</span>'
        for verdict, mark in claims.MARKS.items()
        if counted[verdict]
    )


def _title_and_minutes(notebook: str) -> tuple[str, int]:
    """First heading of a chapter, and the minutes to read it: 200 words each, a figure as 100, exercises left out."""
    cells = json.loads((CHECKOUT / "chapters" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    figures = sum("image" in cell["metadata"].get("mystnb", {}) for cell in cells)
    words = len(text.split("\n## Exercises")[0].split())
    return re.findall(r"^# (.+)$", text, re.MULTILINE)[0], round((words + 100 * figures) / 200)
