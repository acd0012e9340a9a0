"""How results are shown."""

from typing import Any

__all__ = ["Shown"]


class Shown:
    """A result that is printed, and shown at the end of a notebook's cell, as its summary; its repr has every field."""

    def __init_subclass__(cls) -> None:
        cls._repr_pretty_ = Shown._repr_pretty_  # IPython looks at the class itself first, and there finds a repr

    def summary(self) -> str:
        """Return the result as text of a few lines."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("..." if cycle else self.summary())
