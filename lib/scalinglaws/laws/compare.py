# ruff: noqa: D102, since what a method of `Law` does is said there
"""Which of two recipes is better: the compute that one saves at equal loss, and whether that depends on the compute.

Both tables are fitted at once, by one law with one floor: two recipes on the same text, in the same tokens, have the
same least loss. Scales and exponents are their own. On the compute-optimal frontier of such a law the loss above the
floor is a power of compute, so that the compute which A needs for the loss that B has at C is C times a power of C:
an offset, the same factor everywhere, where the power is zero, and otherwise a slope. Of runs of one size, where
compute goes as the tokens, the same holds of a law of D alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scalinglaws.counting import flops_6nd, tokens_6nd
from scalinglaws.files import dumps
from scalinglaws.laws.catalogue import chinchilla, coupled, coupled_no_floor, power_floor
from scalinglaws.laws.fit import SCHEMA, Fit, checked_columns, fit
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.law import Array, Kind, Law
from scalinglaws.laws.shown import Shown
from scalinglaws.tables import Points

__all__ = ["Comparison", "TwoRecipes", "compare", "log_ratio"]

Table = Points | Mapping[str, ArrayLike]
Verdict = Literal["none", "offset", "slope"]
Ends = tuple[Array, Array]

OWN = ("A", "B", "alpha", "beta")  # what each recipe has of its own; a floor and k are shared
BASES = (chinchilla, coupled, coupled_no_floor)  # and power_floor, for runs of one size


@dataclass(frozen=True, kw_only=True)
class TwoRecipes(Law):
    """A law of N and D, or of D alone, for two recipes: R is 1 for runs of one, and e for those of the other.

    Of the other, ``d_A`` is added to ln A, ``d_alpha`` to alpha, and so on.
    """

    base: Law

    @cached_property
    def own(self) -> tuple[str, ...]:
        """What each recipe has of its own."""
        return tuple(name for name in OWN if name in self.base.parameters)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        own: dict[str, Kind] = {f"d_{name}": "slope" for name in self.own}
        return dict(self.base.kinds) | own

    @property
    def variables(self) -> tuple[str, ...]:
        return (*self.base.variables, "R")

    @property
    def least_sizes(self) -> Mapping[str, int]:
        return MappingProxyType({**self.base.least_sizes, "R": 1})

    @property
    def latex(self) -> str:
        return self.base.latex

    def bound_words(self, name: str, *, lowest: bool) -> str:
        own = name.startswith("d_")
        return "larger than these points can tell" if own else super().bound_words(name, lowest=lowest)

    @cached_property
    def _own(self) -> list[int]:
        return [self.base.parameters.index(name) for name in self.own]

    def into(self, r: float) -> Array:
        """Return what makes coordinates [p] of the base law of those of both, [p, p + own], at ln R = r."""
        same = np.eye(len(self.base.parameters))
        return np.concatenate([same, r * same[:, self._own]], axis=1)

    def of(self, theta: Mapping[str, ArrayLike], r: float) -> Array:
        """Return the parameters [..., p] of the base law for the recipe with ln R = r."""
        return self.base.theta(self.coordinates(theta) @ self.into(r).T)

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        f, J, bends = np.empty((len(u), logs.shape[1])), np.empty((*u.shape, logs.shape[1])), []
        for r in np.unique(logs[-1]):
            at, into = np.flatnonzero(logs[-1] == r), self.into(r)
            f[:, at], own, bend = self.base.jet(u @ into.T, logs[:-1, at])
            J[:, :, at] = into.T @ own
            bends.append((at, into, bend))

        def total(d: Array) -> Array:
            return np.sum([into.T @ bend(d[:, at]) @ into for at, into, bend in bends], axis=0)

        return f, J, total

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        one, other = (self.base.rescale(u @ self.into(np.log(units["R"]) + r).T, units) for r in (0.0, 1.0))
        return np.concatenate([one, (other - one)[..., self._own]], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        u = self.base.starts(logs[:-1], L)
        return np.concatenate([u, np.zeros((len(u), len(self.own)))], axis=1)


@dataclass(frozen=True, kw_only=True)
class Comparison(Shown):
    """The compute that recipe A needs for the loss of recipe B, over that of B; made by `compare`. Arrays [m]."""

    law: str
    C: Array  # training FLOPs of B
    ratio: Array  # of compute, A over B, at equal loss: above 1 where B is better
    interval: Ends
    slope: float  # d ln ratio / d ln C
    slope_interval: tuple[float, float]
    offset: float  # the ratio, if it is the same at all compute
    offset_interval: tuple[float, float]
    verdict: Verdict
    level: float
    n_runs: tuple[int, int]
    pairs: int  # runs of both that share size, length and seed, as far as these are known
    message: str  # what makes the comparison doubtful; empty where nothing is known to

    @property
    def saved(self) -> Array:
        """Share of the compute of A that B saves at equal loss; negative where A is better."""
        return 1 - 1 / self.ratio

    def record(self) -> dict[str, Any]:
        """Return the comparison as values for JSON."""
        names = ("law", "C", "ratio", "interval", "saved", "slope", "slope_interval", "offset", "offset_interval")
        names += ("verdict", "level", "n_runs", "pairs", "message")
        return {"schema": SCHEMA} | {name: getattr(self, name) for name in names}

    def to_json(self) -> str:
        """Return the comparison as one JSON object."""
        return dumps(self.record())

    def summary(self) -> str:
        """Return the verdict in words, then a line for each compute."""
        said = {
            "none": "no difference between A and B is seen",
            "offset": "B differs from A by one factor of compute, as far as these runs tell",
            "slope": "the factor of compute between A and B changes with compute",
        }[self.verdict]
        of, lines = f"{100 * self.level:g}% interval", [f"misfit: {self.message}"] if self.message else []
        lines.append(f"{self.law}: {self.verdict}: {said}")
        lines.append(f"  {self.n_runs[0]} runs of A, {self.n_runs[1]} of B, {self.pairs} pairs; at equal loss:")
        lines.append(f"  {'FLOPs of B':<12}{'those of A':<20}{of:<24}saved")
        for C, ratio, low, high in zip(self.C, self.ratio, *self.interval, strict=True):
            saved = f"{100 * (1 - 1 / ratio):.3g}% by B" if ratio >= 1 else f"{100 * (1 - ratio):.3g}% by A"
            lines.append(f"  {C:<12.4g}{f'{ratio:.4g} times these':<20}{f'{low:.4g} to {high:.4g}':<24}{saved}")
        slope, offset = (("{:.4g} to {:.4g}").format(*ends) for ends in (self.slope_interval, self.offset_interval))
        lines.append(f"  {'slope':<12}{self.slope:<20.4g}{slope:<24}per e-fold of compute")
        return "\n".join([*lines, f"  {'offset':<12}{f'{self.offset:.4g} times':<20}{offset:<24}if it is one factor"])


def compare(
    A: Table, B: Table, *, law: Law = chinchilla, C: ArrayLike | None = None, level: float = 0.95, n: int = 999,
    seed: int = 0,
) -> Comparison:  # fmt: skip
    """Return how much compute recipe B saves at equal loss, and whether by an offset or by slope.

    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 4)))
    >>> noise = np.exp(0.003 * np.random.default_rng(0).normal(size=(2, 20)))
    >>> A = {"N": N, "D": D, "L": (1.8 + 480 / N**0.35 + 2100 / D**0.37) * noise[0]}
    >>> B = {"N": N, "D": D, "L": (1.8 + 480 / N**0.35 + 2100 / (1.3 * D) ** 0.37) * noise[1]}
    >>> found = compare(A, B, C=1e20)
    >>> found.verdict, bool(found.interval[0][0] < 1.3 < found.interval[1][0])
    ('offset', True)

    Parameters
    ----------
    A, B : Points or mapping
        Runs of the two recipes: what `read_runs` returns, or columns N, D and L by letter, and, optionally, "seed".
        Losses are on the same text, in the same unit. Runs of both of equal N, D and seed are pairs, which share their
        noise: they are resampled together. Where the law misses by more than noise, whole cells (N, D) are.
    law : Law
        `chinchilla`, `coupled` or `coupled_no_floor`; for runs of one size, the same in both tables, `power_floor`, of
        D alone. The floor and k are those of both recipes.
    C : array_like, optional
        Training FLOPs, 6 N D, of B, at which the saving is wanted. Left out: least, middle and largest of the compute
        that both tables have.
    level, n, seed
        Of the intervals, see `intervals.refits`.

    Returns
    -------
    Comparison
        Its verdict is "slope" where the interval of the slope leaves out 0; else "offset" where that of the one factor
        leaves out 1; else "none".

    Raises
    ------
    FitError
        If the runs do not determine the law for both recipes, or are too few for an interval.
    ValueError
        If a column is missing, the law is another, sizes are several and the law is of D alone or the reverse, or the
        tables have no compute in common and C is left out.
    """
    tables = _table(A, "A"), _table(B, "B")
    size = _size(law, tables)
    at = _compute(tables) if C is None else checked_columns({"C": np.atleast_1d(C)})["C"]
    columns = {name: "D" if name == "x" else name for name in (*law.variables, "L")}
    both: Any = {name: np.concatenate([table[column] for table in tables]) for name, column in columns.items()}
    both["R"] = np.exp(np.repeat([0.0, 1.0], [len(table) for table in tables]))
    joint = TwoRecipes(name=f"{law.name}, two recipes", source=law.source, base=law)
    one_slope = {f"d_{name}": 0.0 for name in joint.own if name in ("alpha", "beta")}
    found, same = fit(joint, **both), fit(joint, fix=one_slope, **both)
    labels, pairs = _clusters(tables, cells=bool(found.misfit))

    def of(theta: Mapping[str, Array]) -> Array:
        return log_ratio(joint, theta, at, size=size)

    (own, low, high), (one, less, more) = (_with_ends(each, of, labels, level, n, seed) for each in (found, same))
    bent, better = not low[-1] <= 0 <= high[-1], not less[0] <= 0 <= more[0]
    return Comparison(
        law=law.name, C=at, ratio=np.exp(own[:-1]), interval=(np.exp(low[:-1]), np.exp(high[:-1])),
        slope=float(own[-1]), slope_interval=(float(low[-1]), float(high[-1])), offset=float(np.exp(one[0])),
        offset_interval=(float(np.exp(less[0])), float(np.exp(more[0]))),
        verdict="slope" if bent else "offset" if better else "none", level=level,
        n_runs=(len(tables[0]), len(tables[1])), pairs=pairs, message=found.misfit,
    )  # fmt: skip


def _with_ends(
    found: Fit, of: Callable[[Mapping[str, Array]], Array], labels: NDArray, level: float, n: int, seed: int
) -> tuple[Array, Array, Array]:
    """What a function makes of a fit, [m], with the ends of its intervals."""
    low, high = refits(found, n=n, seed=seed, level=level, clusters=labels).interval(of, level=level)
    return of({name: np.array([value]) for name, value in found.theta.items()})[0], low, high


def _size(law: Law, tables: tuple[pd.DataFrame, pd.DataFrame]) -> float | None:
    """The one size of all runs, for a law of D alone; None for another, of several sizes."""
    if law not in (*BASES, power_floor):
        names = ", ".join(each.name for each in BASES)
        raise ValueError(f"law is {law.name}; choose one of {names}, or power_floor for runs of one size")
    sizes = np.unique(pd.concat([table["N"] for table in tables]))
    if law == power_floor and sizes.size > 1:
        raise ValueError(f"power_floor compares runs of one size, and these have {sizes.size}; take a law of N and D")
    if law != power_floor and sizes.size == 1:
        raise ValueError(f"all runs have N = {sizes[0]:.4g}: compare them with law=power_floor, a law of D alone")
    return float(sizes[0]) if law == power_floor else None


def log_ratio(law: TwoRecipes, theta: Mapping[str, Array], C: Array, *, size: float | None = None) -> Array:
    r"""Return ln of the compute of A over that of B at equal loss, at compute C [m] of B, and its slope: [n, m + 1].

    On the frontier the sum in the law's bracket is :math:`s(C) = A N^{-\alpha} (1 + \alpha/\beta)`, at the best N, and
    falls as :math:`C^{-\alpha\beta/(\alpha+\beta)}`. Of one ``size`` it is :math:`A D^{-\alpha}`, and D is C / 6 N.
    """
    sums, powers = [], []
    for r in (0.0, 1.0):
        own = law.of(theta, r)  # [n, p]
        if size is not None:
            A, alpha = (own[:, [law.base.parameters.index(name)]] for name in law.own)
            sums.append(np.log(A) - alpha * np.log(tokens_6nd(C, np.full_like(C, size))))  # [n, m]
            powers.append(alpha)
            continue
        log_A, alpha, _, beta = (each[:, None] for each in law.base.balance(own))
        log_N = np.log(law.base.optimum(own, C)[0])  # [n, m]
        sums.append(log_A - alpha * log_N + np.log1p(alpha / beta))
        powers.append(alpha * beta / (alpha + beta))
    return np.concatenate([(sums[0] - sums[1]) / powers[0], powers[1] / powers[0] - 1], axis=1)


def _table(given: Table, name: str) -> pd.DataFrame:
    """N, D and L of a recipe, and its seeds as text, empty where they are not known."""
    columns, seeds = (given.columns, given.seeds) if isinstance(given, Points) else (given, given.get("seed"))
    missing = [letter for letter in ("N", "D", "L") if letter not in columns]
    if missing:
        raise ValueError(f"{name} has no {' and '.join(missing)}; give columns N, D and L")
    table = pd.DataFrame(checked_columns({letter: columns[letter] for letter in ("N", "D", "L")}))
    return table.assign(seed="" if seeds is None else np.asarray(seeds).astype(str))


def _compute(tables: tuple[pd.DataFrame, pd.DataFrame]) -> Array:
    """Least, middle and largest compute that both tables have."""
    spent = [flops_6nd(table["N"], table["D"]) for table in tables]
    low, high = max(C.min() for C in spent), min(C.max() for C in spent)
    if not low < high:
        ranges = " and ".join(f"{C.min():.3g} to {C.max():.3g}" for C in spent)
        raise ValueError(f"A and B have no compute in common, {ranges} FLOPs; give C, where to compare them")
    return np.geomspace(low, high, 3)


def _clusters(tables: tuple[pd.DataFrame, pd.DataFrame], *, cells: bool) -> tuple[NDArray, int]:
    """Labels of runs that share their noise, and how many size, length and seed the tables share."""
    seeded = all((table["seed"] != "").all() for table in tables)
    by = ["N", "D", "seed"] if seeded else ["N", "D"]
    pairs = len(tables[0][by].drop_duplicates().merge(tables[1][by].drop_duplicates()))
    return pd.concat(tables).groupby(["N", "D"] if cells else by, sort=False).ngroup().to_numpy(), pairs
