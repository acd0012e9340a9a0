"""What a chapter needs besides the science: one look for all figures, quoted numbers, claims, the source of a function.

Chapters run in the book's build, in JupyterLab and on Colab; everything here works in all three.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

from scalinglaws.claims import Claim, Claims, number

__all__ = ["Claim", "Claims", "number", "quote", "setup", "show", "style"]

# "default" first: a reader's own matplotlibrc must not change the book's figures.
STYLE = ["default", str(Path(__file__).with_name("book.mplstyle"))]

Quoted = TypeVar("Quoted", float, str)


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
