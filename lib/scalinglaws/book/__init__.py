"""Teaches: what chapters call. ``from scalinglaws import book`` and then ``book.quote``, ``book.claim`` and so on.

Loaded when first used, since the command line needs the ledger where there is no notebook.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalinglaws.book.chapter import chapters, published_rows, quote, quotes, setup, show, style, sweeps, verdicts
    from scalinglaws.book.claims import Claims, claim, number, over_seeds
    from scalinglaws.book.exercises import Exercise, Forecast, exercise, forecast, scores
    from scalinglaws.book.public import derived, raw

__all__ = [
    "Claims", "Exercise", "Forecast", "chapters", "claim", "derived", "exercise", "forecast", "number", "over_seeds",
    "published_rows", "quote", "quotes", "raw", "scores", "setup", "show", "style", "sweeps", "verdicts",
]  # fmt: skip

_HOMES = {"derived": "public", "raw": "public"}
_HOMES |= dict.fromkeys(("Exercise", "Forecast", "exercise", "forecast", "scores"), "exercises")
_HOMES |= dict.fromkeys(("Claims", "claim", "number", "over_seeds"), "claims")


def __getattr__(name: str):
    """Load a name of `__all__` when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'chapter')}"), name)
