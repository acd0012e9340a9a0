"""The registry of claims, ``data/claims.toml``: what each says, which quantity decides it and where, the verdict.

A notebook brings numbers (`scalinglaws.book.claims.claim`); all else about a claim stands here, once. A reader's own
registry is a file of the same form: the variable ``SCALINGLAWS_REGISTRY`` names it, and the book's is read after it.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from scalinglaws.files import DATA

__all__ = ["Entry", "decide", "entry", "read"]

Kind = Literal["trained", "public data", "arithmetic"]
How = Literal["live", "stored", "public data", "arithmetic"]
Tested = Literal["reproduced", "reproduced in direction", "undecided", "opposite here", "contradicted"]
Derived = Literal["consistent", "inconsistent"]
Verdict = Literal[Tested, Derived]
VERDICTS = {"trained": get_args(Tested), "public data": get_args(Tested), "arithmetic": get_args(Derived)}
Region = tuple[tuple[float, float], ...]  # ranges, ends included
REGISTRY = "SCALINGLAWS_REGISTRY"  # environment variable: a registry of the reader's own


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One claim of a registry; the head of ``data/claims.toml`` says what each field holds."""

    id: str
    section: str = ""
    statement: str
    published: float | str
    published_id: str
    kind: Kind
    how: How
    quantity: str = ""
    interval: str = "none"
    reproduced: Region = ()
    opposite: Region = ()
    criterion: str
    verdict: Verdict = "undecided"  # what it is while it awaits its runs
    awaits: tuple[str, ...] = ()
    fmt: str = "{:.3g}"
    own_scope: bool = False
    runs: tuple[str, ...] = ()
    first_seen: str = ""
    registered: str = ""
    changed: tuple[dict, ...] = ()
    retired: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.id or {*self.id} & {*"/\\"}:
            raise ValueError(f"claim id {self.id!r}: it names a file, so give letters and hyphens, and no slash")
        for name, allowed in (("kind", get_args(Kind)), ("how", get_args(How))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"claim {self.id}: {name} is {getattr(self, name)!r}, use one of {allowed}")
        if self.awaits and (self.runs or self.verdict != "undecided"):
            raise ValueError(f"claim {self.id}: it has runs or a verdict, and awaits runs; write `runs` for `awaits`")
        if self.retired is not None and ({*self.retired} != {"date", "why"} or self.awaits):
            raise ValueError(f"claim {self.id}: `retired` has date and why, and no claim that awaits runs has it")
        if self.verdict not in VERDICTS[self.kind]:
            raise ValueError(f"claim {self.id}: verdict is {self.verdict!r}, use one of {VERDICTS[self.kind]}")
        for low, high in (*self.reproduced, *self.opposite):
            if not low <= high:
                raise ValueError(f"claim {self.id}: no range from {low} to {high}; write [low, high]")


def read(path: str | Path | None = None) -> dict[str, Entry]:
    """Return the entries of a registry by id, in its order; the book's by default.

    FileNotFoundError without such a file; ValueError if it is not TOML, or an entry lacks a field or has one too many.
    """
    file = Path(path or DATA / "claims.toml")
    if not file.is_file():
        raise FileNotFoundError(f"no registry {file}: write one like the book's data/claims.toml, a table for each id")
    try:
        rows = tomllib.loads(file.read_text(encoding="utf-8"))
        return {id: Entry(id=id, **_fields(row)) for id, row in rows.items()}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from error


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """A table as `Entry` has it; a single range may be written without the outer brackets."""
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    for name in ("reproduced", "opposite"):
        ranges = found.get(name, ())
        ranges = [ranges] if ranges and not isinstance(ranges[0], list) else ranges
        found[name] = tuple((float(low), float(high)) for low, high in ranges)
    return found


def entry(id: str, path: str | Path | None = None) -> Entry:
    """Return the entry of one claim from ``path``, else the reader's own registry or the book's; ValueError if none."""
    places = [path] if path else [*filter(None, [os.environ.get(REGISTRY)]), None]
    for place in places:
        if found := read(place).get(id):
            return found
    where = " or ".join(str(place or "the book's data/claims.toml") for place in places)
    raise ValueError(f"no claim {id!r} in {where}: register it there before its numbers are looked at")


def decide(entry: Entry, ours: float, low: float | None = None, high: float | None = None, also=True) -> Verdict:
    """Return the verdict that an interval earns.

    Arithmetic is decided by the value, and so is public data without an interval: a computation repeated on the same
    runs. A trained claim without an interval is undecided. An interval in the opposite region is never ``reproduced``.
    ``ours`` is the deciding quantity, in the unit of the regions; ``low`` and ``high`` its 95% interval; ``also``
    whether all other conditions of the criterion hold.
    """
    if entry.kind == "arithmetic":
        return "consistent" if also and _inside(entry.reproduced, ours, ours) else "inconsistent"
    if entry.interval.startswith("none"):
        low = high = ours
        if entry.kind == "trained":
            return "undecided"
    if low is None or high is None:
        raise ValueError(f"claim {entry.id} is decided by its interval ({entry.interval}): give low= and high=")
    if _inside(entry.opposite, low, high):
        return "contradicted" if entry.own_scope else "opposite here"
    if not also:
        return "undecided"
    if _inside(entry.reproduced, low, high):
        return "reproduced"
    clear = entry.opposite and all(high < left or low > right for left, right in entry.opposite)
    return "reproduced in direction" if clear else "undecided"


def _inside(region: Region, low: float, high: float) -> bool:
    return any(left <= low <= high <= right for left, right in region)
