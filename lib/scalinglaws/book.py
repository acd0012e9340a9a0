"""What a chapter needs besides the science: one look for all figures, quoted numbers, claims, the source of a function.

Chapters run in the book's build, in JupyterLab and on Colab; everything here works in all three.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, TypeVar, get_args

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

__all__ = ["Claim", "number", "quote", "setup", "show", "style"]

# "default" first: a reader's own matplotlibrc must not change the book's figures.
STYLE = ["default", str(Path(__file__).with_name("book.mplstyle"))]

Quoted = TypeVar("Quoted", float, str)
Verdict = Literal["reproduced", "reproduced in direction", "not at this scale", "contradicted"]
How = Literal["live", "stored", "arithmetic"]
MET: tuple[Verdict, ...] = ("reproduced", "reproduced in direction")  # verdicts whose criterion holds
MARKS: dict[Verdict, str] = {
    "reproduced": "✓",
    "reproduced in direction": "↗",
    "not at this scale": "○",
    "contradicted": "✕",
}


def style() -> AbstractContextManager[None]:
    """Return a context in which figures look as they do in the book."""
    return plt.style.context(STYLE)


def setup() -> None:
    """Give a notebook the book's look for figures; the hidden first cell of each chapter calls it."""
    plt.style.use(STYLE)
    if get_ipython() is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})  # sharp at every zoom; the same bytes every time


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


def quote(name: str, value: Quoted, fmt: str = "{:.3g}") -> Quoted:
    """Return ``value`` unchanged, after making it available to the chapter's prose as ``{glue:text}`name```.

    Where no book is being built there is nothing to quote into, and nothing happens.

    Parameters
    ----------
    name : str
        The key; one value per key and chapter.
    value : float or str
        What to quote.
    fmt : str
        How to print it, see `number`.
    """
    if get_ipython() is None:
        return value
    try:
        from myst_nb import glue
    except ImportError:  # Colab: the notebook runs without the book's tools
        return value
    glue(name, number(value, fmt), display=False)
    return value


def show(obj: Callable | type) -> Markdown:
    """Return the source of a library function or class, without its decorators, for display in a notebook.

    Parameters
    ----------
    obj : function or class
        What to show.
    """
    source = textwrap.dedent(inspect.getsource(obj))
    first = ast.parse(source).body[0].lineno  # the line of "def" or "class"; decorators stand above it
    body = "".join(source.splitlines(keepends=True)[first - 1 :])
    return Markdown(f"````python\n{body}````")


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
        "live": trained in the chapter; "stored": from the run table; "arithmetic": no training at all.
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
            If the book would print a verdict that its own numbers do not bear out.
        """
        if bool(accepted) != (self.verdict in MET):
            outcome = "met" if accepted else "not met"
            raise AssertionError(
                f"claim {self.id}: criterion {self.criterion!r} is {outcome} (ours {self._ours()}, published "
                f"{self._published()}), but the verdict says {self.verdict!r}; change the verdict or find the bug"
            )
        return self

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
