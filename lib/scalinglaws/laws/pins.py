"""Parameters that a fit holds: pinned to a value, tied to each other, or kept between limits."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scalinglaws.laws.law import Law

__all__ = ["Pins", "groups"]

Array = NDArray[np.float64]
ROUND_OFF = 1e-9  # of a coordinate: by less, what is held has not moved


@dataclass(frozen=True, kw_only=True)
class Pins:
    """Which coordinates of a law are free, and how the others follow from them: u = base + into @ free."""

    fixed: Mapping[str, float]  # parameter -> value, in the units of the points
    tied: tuple[tuple[str, ...], ...]  # parameters that are equal; the first of each is free
    limits: Mapping[str, tuple[float, float]]
    free: NDArray[np.intp]  # [q], places of the free parameters
    base: Array  # [p]
    into: Array  # [p, q]
    low: Array  # [q]
    high: Array  # [q]

    @classmethod
    def of(
        cls, law: Law, decenter: Callable[[Array], Array], *,
        fixed: Mapping[str, float], tied: tuple[tuple[str, ...], ...], limits: Mapping[str, tuple[float, float]],
    ) -> Self:  # fmt: skip
        """Return the pins of a law whose coordinates ``decenter`` counts in the units of the points.

        In those units a pinned coordinate has its value and two that are tied are equal. ``decenter`` is affine for
        most laws, so each is one linear equation for the coordinates as they are counted in the fit.
        """
        p, place = len(law.parameters), {name: j for j, name in enumerate(law.parameters)}
        _check(law, fixed, tied, limits)
        followers = [(group[0], name) for group in tied for name in group[1:]]
        held = [place[name] for name in fixed] + [place[name] for _, name in followers]
        free = np.array([j for j in range(p) if j not in held], dtype=np.intp)
        ones = np.ones(p)  # no exponent is zero there, by which some laws divide
        origin = decenter(ones)
        slope = np.stack([decenter(ones + step) - origin for step in np.eye(p)], axis=1)  # [p, p]
        values = law.coordinates(dict.fromkeys(law.parameters, 1.0) | dict(fixed))
        rows = [slope[place[name]] for name in fixed]
        rows += [slope[place[name]] - slope[place[first]] for first, name in followers]
        rest = origin - slope @ ones
        target = [values[place[name]] - rest[place[name]] for name in fixed]
        target += [rest[place[first]] - rest[place[name]] for first, name in followers]
        base, into = np.zeros(p), np.zeros((p, free.size))
        into[free] = np.eye(free.size)
        if held:
            equations = np.array(rows)
            solved = np.linalg.solve(equations[:, held], np.column_stack([target, -equations[:, free]]))
            base[held], into[held] = solved[:, 0], solved[:, 1:]
        low, high = (end.copy() for end in np.array(law.bounds))
        for name, ends in limits.items():
            j = place[name]
            if law.kinds[name] == "scale" and np.abs(slope[j]).sum() > 1:
                raise ValueError(f"{name} is a scale, which moves with an exponent: pin it, or bound the exponent")
            ends = (law.coordinates(dict.fromkeys(law.parameters, 1.0) | {name: end})[j] for end in ends)
            low[j], high[j] = ((end - rest[j]) / slope[j, j] for end in ends)
        found = cls(
            fixed=dict(fixed), tied=tied, limits=dict(limits), free=free, base=base, into=into,
            low=low[free], high=high[free],
        )  # fmt: skip
        found._check_held(law, decenter, values)
        return found

    def full(self, u: Array) -> Array:
        """Return all coordinates [..., p] of the free ones [..., q]."""
        return self.base + u @ self.into.T

    def _check_held(self, law: Law, decenter: Callable[[Array], Array], values: Array) -> None:
        """Refuse a law for which what is held moves with what is free, since its change of units is not affine."""
        shown = decenter(self.full(np.linspace(0.3, 0.9, self.free.size)))
        for name in self.fixed:
            j = law.parameters.index(name)
            if abs(shown[j] - values[j]) > ROUND_OFF * max(1.0, abs(values[j])):
                raise ValueError(f"{name} of {law.name} cannot be pinned: its unit moves with an exponent; pin another")


def groups(tie: Iterable[str] | Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Return groups of tied names, of one group of names or of several."""
    given = [*tie]
    if not given:
        return ()
    if all(isinstance(name, str) for name in given):
        return (tuple(map(str, given)),)
    return tuple(tuple(group) for group in given)


def _check(law: Law, fixed: Mapping[str, float], tied: tuple, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for unknown names, values that the law does not have, and parameters held twice."""
    named = [*fixed, *(name for group in tied for name in group), *limits]
    unknown = [name for name in named if name not in law.parameters]
    if unknown:
        raise ValueError(f"{law.name} has no parameter {unknown[0]!r}; it has {', '.join(law.parameters)}")
    firsts = {group[0] for group in tied if group}  # the limits of a tie are those of its first
    held = [*fixed, *(name for group in tied for name in group), *({*limits} - firsts)]
    twice = [name for name in {*held} if held.count(name) > 1]
    if twice:
        raise ValueError(f"{min(twice)} is pinned, tied or bounded twice; hold it once")
    if len(fixed) + sum(len(group) - 1 for group in tied) >= len(law.parameters):
        raise ValueError(f"no parameter of {law.name} is left to fit; pin fewer")
    for group in tied:
        kinds = {law.kinds[name] for name in group}
        if len(group) < 2 or len(kinds) > 1:
            raise ValueError(f"tie {', '.join(group)}: give two or more parameters of one kind, such as two exponents")
    for name, value in [*fixed.items(), *((name, end) for name, ends in limits.items() for end in ends)]:
        scale = law.kinds[name] == "scale"
        if not (value > 0 if scale else np.isfinite(value) and (value >= 0 or law.kinds[name] == "slope")):
            raise ValueError(f"{name} is {value:.4g}; give a number {'above' if scale else 'not below'} zero")
    for name, (low, high) in limits.items():
        if not low < high:
            raise ValueError(f"{name} between {low:.4g} and {high:.4g}: give the lower limit first")
