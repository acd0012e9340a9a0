"""Which runs next? Those that shrink the interval at a target most for their compute.

A fit's derivatives and its noise give the information that runs carry about the parameters, those at hand and those
not yet made; the variance of a quantity, here ln N_opt or ln L at the target, follows to first order (c-optimality:
Elfving 1952; at the estimate of a law that is not linear, Chernoff 1953). Runs are taken from a grid of N and D one
after the other, by variance removed per FLOP, and then exchanged while that helps (Fedorov 1972).

Such a design trusts the law: it would put all runs where they tell most if the law is right, and none where they could
tell that it is wrong. So the law is given terms that it lacks, up to cubic in ln N and ln D, each about as large as the
noise and not to be estimated (DuMouchel & Jones 1994). A design that leaves them mixed up with the target pays for it,
so runs are spread, and `lack_of_fit` of the next fit has something to find.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scalinglaws.counting import flops_6nd
from scalinglaws.files import dumps
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.fit import SCHEMA, Fit, FitError
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.shown import Shown

__all__ = ["Design", "design"]

Array = NDArray[np.float64]
Quantity = Literal["N", "loss"]
GOALS: tuple[Quantity, ...] = get_args(Quantity)
Ends = tuple[float, float]

PER_DECADE = 4  # candidate sizes, and lengths: the optimum of a design is flat
MOST = 24  # candidate sizes, and lengths, at most
DEGREE = 3  # of the terms that the law lacks
SAME = 1e-6  # share of a term that the law's derivatives must leave for it to count
PASSES = 20  # of exchanges; some three are usual


@dataclass(frozen=True, kw_only=True)
class Design(Shown):
    """Runs to make next, and what they are expected to do to the intervals at the target; made by `design`."""

    law: str
    C: float  # the target, training FLOPs
    runs: pd.DataFrame  # N, D, seeds, flops: a row for each size and length, flops of all its seeds
    budget: float
    now: Mapping[str, Ends]  # of N and loss at the target; empty where the runs at hand give none
    expected: Mapping[str, Ends]  # after the runs, if the estimate stays what it is
    level: float
    message: str  # what makes the design doubtful; empty where nothing is known to

    @property
    def flops(self) -> float:
        """FLOPs of all runs."""
        return float(self.runs["flops"].sum())

    def each(self) -> pd.DataFrame:
        """Return a row for each run to make: N and D rounded, seed from 0."""
        rows = self.runs.loc[self.runs.index.repeat(self.runs["seeds"]), ["N", "D"]].round()
        return rows.assign(seed=rows.groupby(level=0).cumcount()).reset_index(drop=True)

    def record(self) -> dict[str, Any]:
        """Return the design as values for JSON."""
        names = ("law", "C", "budget", "flops", "now", "expected", "level", "message")
        own = {name: getattr(self, name) for name in names}
        return {"schema": SCHEMA} | own | {"runs": self.runs.to_dict("records")}

    def to_json(self) -> str:
        """Return the design as one JSON object."""
        return dumps(self.record())

    def summary(self) -> str:
        """Return the table of runs, after the intervals before and after them."""
        lines = [f"{'misfit: ' * bool(self.now)}{self.message}"] if self.message else []
        lines.append(f"{self.law}: {100 * self.level:g}% intervals at {self.C:.4g} FLOPs")
        for name, what in (("N", "parameters"), ("loss", "loss")):
            now = "{:.4g} to {:.4g} now, ".format(*self.now[name]) if self.now else ""
            low, high = self.expected[name]
            lines.append(f"  {what:<12}{now}{low:.4g} to {high:.4g} expected after these runs")
        lines.append(f"  {'N':>10}  {'D':>10}  {'seeds':>5}  {'FLOPs':>10}")
        lines += ["  {:>10.4g}  {:>10.4g}  {:>5.0f}  {:>10.4g}".format(*row) for row in self.runs.to_numpy(float)]
        return "\n".join([*lines, f"  {self.runs['seeds'].sum()} runs, {self.flops:.4g} of {self.budget:.4g} FLOPs"])


def design(
    source: Fit | Bootstrap, *, C: float, budget: float, N: ArrayLike | None = None, D: ArrayLike | None = None,
    largest: float | None = None, seeds: int = 1, runs: int = 35, quantity: Quantity = "N", level: float = 0.95,
    n: int = 999, seed: int = 0, clusters: ArrayLike | str | None = None,
) -> Design:  # fmt: skip
    """Return which runs to make next so that N_opt, or the loss, at a target compute is known best.

    >>> from scalinglaws.laws import chinchilla
    >>> from scalinglaws.laws.fit import fit
    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 5)))
    >>> L = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.003 * np.random.default_rng(0).normal(size=25))
    >>> found = design(fit(chinchilla, N=N, D=D, L=L), C=1e21, budget=2e19, N=[1e6, 1e9], D=[1e8, 1e11], runs=8)
    >>> bool(found.flops <= 2e19), int(found.runs["seeds"].sum())
    (True, 8)

    Parameters
    ----------
    source : Fit or Bootstrap
        Of the runs at hand to a law of N and D, or its refits.
    C : float
        The target: training FLOPs, 6 N D, at which the best size and its loss are wanted.
    budget : float
        FLOPs, 6 N D, for all the new runs.
    N, D : array_like, optional
        Lowest and highest size and length of new runs; or three or more, the only ones to choose from. Left out: from
        the lowest to the highest of the runs at hand, or to what is best for the budget where that is higher.
    largest : float, optional
        FLOPs of one run at most; left out, the budget.
    seeds : int
        Runs of one size and length at most, those at hand included.
    runs : int
        Runs at most. Each is taken to cost ``budget / runs`` beside its FLOPs, so that a few dear runs are not paid
        for with hundreds of cheap ones.
    quantity : str
        "N": the interval of the best size at the target; "loss": that of its loss.
    level, n, seed, clusters
        Of the interval at hand, see `intervals.refits`.

    Returns
    -------
    Design

    Raises
    ------
    FitError
        If the points do not determine the fit.
    ValueError
        If the law is not one of N and D, a number is not positive, or no run lies within the limits.
    """
    if quantity not in GOALS:
        raise ValueError(f"quantity is {quantity!r}; choose one of {', '.join(GOALS)}")
    for name, value in (("C", C), ("budget", budget), ("largest", largest or budget), ("seeds", seeds), ("runs", runs)):
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value:.4g}; give a number above zero")
    found = source if isinstance(source, Fit) else source.fit
    if found.law.variables != ("N", "D"):
        raise ValueError(f"{found.law.name} is a law of {', '.join(found.law.variables)}; fit one of N and D")
    now: dict[str, Ends] = {}
    message = found.checked().misfit
    try:
        cloud = refits(found, n=n, seed=seed, level=level, clusters=clusters) if isinstance(source, Fit) else source
        ends = optimum_intervals(cloud, C, level=level)
        now = {name: (float(ends[name][0]), float(ends[name][1])) for name in GOALS}
    except FitError as error:  # the runs at hand give no interval, which more of them may do
        message = f"no interval now: {error}"
    cells = _candidates(found, budget, N, D, min(budget, largest or budget))
    known = _Known.of(found, cells, C, GOALS.index(quantity))
    room = np.maximum(seeds - _there(found, cells), 0)
    if not room.any():
        raise ValueError(f"runs at hand have all places within the limits {seeds} times: raise seeds, or widen N and D")
    counts = _exchanged(known, *_greedy(known, budget, room, runs), budget, room)
    chosen = np.flatnonzero(counts)
    table = pd.DataFrame({name: column[chosen] for name, column in cells.items()} | {"seeds": counts[chosen]})
    table["flops"] = known.cost[chosen] * counts[chosen]
    return Design(
        law=found.law.name, C=float(C), budget=float(budget), now=now, expected=known.expected(now, counts, level),
        level=level, runs=table.sort_values(["N", "D"], ignore_index=True), message=message,
    )  # fmt: skip


def _candidates(
    found: Fit, budget: float, N: ArrayLike | None, D: ArrayLike | None, largest: float
) -> dict[str, Array]:
    """The sizes and lengths to choose from, as cells [n] by letter."""
    best = dict(zip("ND", found.law.optimum(found.theta, budget), strict=True))
    axes = []
    for letter, given in (("N", N), ("D", D)):
        ends = [found.x[letter].min(), max(found.x[letter].max(), float(best[letter]))] if given is None else given
        values = np.unique(np.asarray(ends, float))
        if values.size < 2 or not (values[0] > 0 and np.isfinite(values[-1])):
            raise ValueError(f"{letter} is {given}: give the lowest and the highest, or three or more to choose from")
        if values.size == 2:
            steps = min(MOST, 1 + max(3, round(PER_DECADE * np.log10(values[1] / values[0]))))
            values = np.geomspace(values[0], values[-1], steps)
        axes.append(values)
    n, d = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    fits = flops_6nd(n, d) <= largest * (1 + 1e-9)
    if not fits.any():
        least = flops_6nd(n, d).min()
        raise ValueError(f"the cheapest run within the limits takes {least:.4g} FLOPs, and {largest:.4g} are allowed")
    return {"N": n[fits], "D": d[fits]}


def _there(found: Fit, cells: Mapping[str, Array]) -> NDArray[np.int_]:
    """How many of the runs at hand have the size and length of each candidate, [n]."""
    same = [np.isclose(cells[letter][:, None], found.x[letter], rtol=1e-3) for letter in "ND"]
    return (same[0] & same[1]).sum(axis=1)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What runs tell of the law's q parameters and of t terms that it lacks, in units of the noise."""

    rows: Array  # [n, q + t], of a run of each candidate
    cost: Array  # [n], FLOPs
    at_hand: Array  # [q + t, q + t], the information of the runs that are there
    middle: Array  # [2], ln N_opt and ln L at the target
    slopes: Array  # [2, q], of these
    goal: int  # which of the two counts

    @classmethod
    def of(cls, found: Fit, cells: Mapping[str, Array], C: float, goal: int) -> Self:
        problem, (u, delta) = found.problem, found.centered
        sigma = np.sqrt(problem.noise_variance(u, delta))
        logs = np.log(np.stack([cells[name] / problem.units[name] for name in ("N", "D")]))
        new = replace(problem, x=cells, logs=logs, L=np.ones(len(logs[0])), y=np.ones(len(logs[0])), weights=None)
        F, J = (each.jacobian(u[0]) / sigma for each in (new, replace(problem, weights=None)))
        Z, of_hand = _lacking(F, logs, J, problem.logs)
        seen = np.concatenate([J, of_hand], axis=1)
        seen = seen if problem.scale is None else seen * problem.scale[:, None]
        prior = np.diag(np.repeat([0.0, 1.0], [F.shape[1], Z.shape[1]]))  # the terms are about as large as the noise

        def target(theta: Mapping[str, Array]) -> Array:
            N, D = found.law.optimum(theta, C)  # each [1], as theta is of one fit
            return np.log(np.stack([N, found.law.value(theta, N[0], D[0])], axis=-1))

        return cls(
            rows=np.concatenate([F, Z], axis=1), cost=flops_6nd(cells["N"], cells["D"]), goal=goal,
            at_hand=seen.T @ seen + prior, slopes=problem.slope(target, u)[0], middle=target(problem.theta(u))[0],
        )  # fmt: skip

    @property
    def aim(self) -> Array:
        """Slopes of the goal by parameters and terms, [q + t]."""
        return np.pad(self.slopes[self.goal], (0, self.rows.shape[1] - self.slopes.shape[1]))

    def expected(self, now: Mapping[str, Ends], counts: NDArray[np.int_], level: float) -> dict[str, Ends]:
        """Intervals after runs if the law is right: those of now as far as they shrink, else by the curvature."""
        q, out = self.slopes.shape[1], {}
        before = self.at_hand[:q, :q]
        after = before + (self.rows[:, :q] * counts[:, None]).T @ self.rows[:, :q]
        for name, middle, slope in zip(GOALS, self.middle, self.slopes, strict=True):
            was, is_ = (float(np.sqrt(slope @ np.linalg.solve(M, slope))) for M in (before, after))
            half = float(ndtri((1 + level) / 2)) * is_
            ends = (np.log(np.array(now[name])) - middle) * is_ / was if now else np.array([-half, half])
            out[name] = float(np.exp(middle + ends[0])), float(np.exp(middle + ends[1]))
        return out


def _lacking(F: Array, logs: Array, J: Array, logs_at_hand: Array) -> tuple[Array, Array]:
    """Terms that a law lacks at the candidates [n, t] and at the points at hand [m, t].

    Powers of the logarithms of N and D, less what the law's derivatives explain of them over the candidates, of which
    the combinations are taken that are left most; each has the range 1 there (DuMouchel & Jones 1994).
    """
    middle, half = (logs.max(axis=1) + logs.min(axis=1)) / 2, np.ptp(logs, axis=1) / 2

    def powers(x: Array) -> Array:
        z = (x - middle[:, None]) / half[:, None]
        each = [c for d in range(DEGREE + 1) for c in combinations_with_replacement(range(2), d)]
        return np.stack([np.prod(z[list(c)], axis=0) for c in each], axis=1)

    of_law = np.linalg.lstsq(F, powers(logs), rcond=None)[0]
    U, size, turn = np.linalg.svd(powers(logs) - F @ of_law, full_matrices=False)
    t = max(min(U.shape[1] - F.shape[1], int((size > SAME * np.sqrt(len(F))).sum())), 0)
    into = turn[:t].T / size[:t] / np.ptp(U[:, :t], axis=0)
    return (powers(logs) - F @ of_law) @ into, (powers(logs_at_hand) - J @ of_law) @ into


def _gains(known: _Known, V: Array) -> Array:
    """By how much one run of each candidate lowers the variance of the goal, [n], from a covariance V."""
    return (known.rows @ (V @ known.aim)) ** 2 / (1 + np.vecdot(known.rows @ V, known.rows))


def _with(V: Array, row: Array, sign: int = 1) -> Array:
    """The covariance with one run more, or less (Sherman & Morrison 1950)."""
    v = V @ row
    return V - sign * np.outer(v, v) / (1 + sign * (row @ v))


def _greedy(known: _Known, budget: float, room: NDArray[np.int_], runs: int) -> tuple[Array, NDArray[np.int_]]:
    """Covariance and counts [n] after taking the run of the largest gain for its cost, again and again."""
    V: Array = np.asarray(np.linalg.inv(known.at_hand), float)
    counts, left = np.zeros(len(known.cost), int), budget
    for _ in range(runs):
        open_ = (known.cost <= left * (1 + 1e-9)) & (counts < room)
        if not open_.any():
            break
        best = int(np.where(open_, _gains(known, V) / (known.cost + budget / runs), -1.0).argmax())
        V, left = _with(V, known.rows[best]), left - known.cost[best]
        counts[best] += 1
    return V, counts


def _exchanged(
    known: _Known, V: Array, counts: NDArray[np.int_], budget: float, room: NDArray[np.int_]
) -> NDArray[np.int_]:
    """Counts [n] after exchanging runs one for one while that lowers the variance of the goal within the budget."""
    counts = counts.copy()
    for _ in range(PASSES):
        before = counts.copy()
        for old in np.flatnonzero(counts):
            without, left = _with(V, known.rows[old], -1), budget - known.cost @ counts + known.cost[old]
            counts[old] -= 1
            open_ = (known.cost <= left * (1 + 1e-9)) & (counts < room)
            gains = np.where(open_, _gains(known, without), -1.0)
            new = int(gains.argmax())
            new = new if gains[new] > gains[old] * (1 + 1e-9) else int(old)
            V = _with(without, known.rows[new])
            counts[new] += 1
        if (counts == before).all():
            break
    return counts
