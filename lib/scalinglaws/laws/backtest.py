"""Hold-out by compute: fit the cheap runs, predict the dear ones, and see by how much and how often a law misses.

A forecast is an extrapolation in compute, and this is the only test of one that runs at hand allow. Errors are of the
logarithm of the loss, run over forecast: +0.01 is a run that came out 1% above its forecast.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scalinglaws.counting import flops_6nd
from scalinglaws.files import dumps
from scalinglaws.laws.bootstrap import Bootstrap, bootstrap
from scalinglaws.laws.fit import USABLE, Fit, FitError, checked_columns, fit
from scalinglaws.laws.intervals import LEAST_SPARE, refits
from scalinglaws.laws.law import Law
from scalinglaws.laws.newton import Residual
from scalinglaws.laws.shown import Shown

__all__ = ["FACTORS", "Backtest", "Cut", "backtest", "compute_of", "draws_of_runs", "hold_out"]

Array = NDArray[np.float64]
FACTORS = (4.0, 16.0, 64.0)  # the fit sees what is below the largest compute by so much
REFITS = 199  # for the interval of each hidden run


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a fit to the runs below a part of the largest compute predicted of the rest. Arrays [n_hidden]."""

    factor: float
    found: Fit
    n_seen: int
    reach: Array  # compute of each hidden run over the largest that was seen
    error: Array  # ln of measured over predicted loss
    low: Array  # interval of a new run, in ln of loss over predicted
    high: Array

    @property
    def n_hidden(self) -> int:
        """Hidden runs."""
        return self.error.size

    @property
    def mean_error(self) -> float:
        """Mean of the errors: above zero where forecasts were too low."""
        return float(self.error.mean())

    @property
    def rms(self) -> float:
        """Root of the mean squared error."""
        return float(np.sqrt(np.mean(self.error**2)))

    @property
    def inside(self) -> float:
        """Share of the hidden runs in the interval of a new run; nan where no refits were made."""
        if np.isnan(self.low).all():
            return np.nan
        return float(((self.low <= self.error) & (self.error <= self.high)).mean())

    def record(self) -> dict[str, float]:
        """Return the cut as values for JSON: shares, not percents."""
        names = ("factor", "n_seen", "n_hidden", "mean_error", "rms", "inside")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Backtest(Shown):
    """Forecasts of a law over compute, each by a fit to the cheaper runs; made by `backtest`."""

    law: Law
    cuts: tuple[Cut, ...]  # those that could be made
    level: float  # of the intervals
    skipped: Mapping[float, str] = field(default_factory=dict)  # factor -> why there is no cut

    def at(self, factor: float) -> Cut:
        """Return the cut of a factor; ValueError says why there is none."""
        found = {cut.factor: cut for cut in self.cuts}
        if factor not in found:
            why = self.skipped.get(factor, f"there are cuts at {', '.join(f'{each:g}' for each in found)}")
            raise ValueError(f"no cut at a factor of {factor:g}: {why}")
        return found[factor]

    @property
    def rms(self) -> float:
        """Root of the mean squared error over all cuts, each weighing the same; nan without cuts."""
        return float(np.sqrt(np.mean([cut.rms**2 for cut in self.cuts]))) if self.cuts else np.nan

    @property
    def slope(self) -> float:
        """By how much forecasts miss beyond their intervals, per e-folding of compute beyond what was seen.

        The standard deviation of the error that noise does not explain is taken to grow as the logarithm of how far a
        forecast reaches.
        """
        if not self.cuts:
            return np.nan
        # Half of an interval of the level is so many standard deviations of what noise explains.
        sure = [((cut.high - cut.low) / 2 / _half(self.level)) ** 2 for cut in self.cuts]
        excess = sum(float((cut.error**2 - own).sum()) for cut, own in zip(self.cuts, sure, strict=True))
        far = sum(float((np.log(cut.reach) ** 2).sum()) for cut in self.cuts)
        return float(np.sqrt(max(excess, 0.0) / far))

    def record(self) -> list[dict[str, float]]:
        """Return the cuts as values for JSON."""
        return [cut.record() for cut in self.cuts]

    def to_json(self) -> str:
        """Return the cuts as a JSON list."""
        return dumps(self.record())

    def line(self) -> str:
        """Return one line: how far the forecasts over the largest factor were off."""
        if not self.cuts:
            return "not made: " + (next(iter(self.skipped.values())) if self.skipped else "no cuts")
        cut = self.cuts[-1]
        return (
            f"fitted to 1/{cut.factor:g} of the compute it misses the other {cut.n_hidden} runs by "
            f"{100 * cut.mean_error:+.2f}% on average, rms {100 * cut.rms:.2f}%; {100 * cut.inside:.0f}% lie inside "
            f"their {100 * self.level:g}% interval"
        )

    def summary(self) -> str:
        """Return a table of the cuts."""
        lines = [f"{self.law.name}: hold-out by compute", "  below  seen  hidden  mean error     rms  inside  status"]
        lines += [
            f"  1/{cut.factor:<4g}{cut.n_seen:>5}{cut.n_hidden:>8}{100 * cut.mean_error:>+11.2f}%{100 * cut.rms:>7.2f}%"
            f"{100 * cut.inside:>7.0f}%  {cut.found.status}"
            for cut in self.cuts
        ]
        return "\n".join([*lines, *(f"  1/{factor:<4g} not made: {why}" for factor, why in self.skipped.items())])


def backtest(
    law: Law, *, L: ArrayLike, C: ArrayLike | None = None, factors: Iterable[float] = FACTORS, n: int = REFITS,
    seed: int = 0, level: float = 0.95, clusters: ArrayLike | None = None, residual: Residual = "log",
    delta: float | None = None, fix: Mapping[str, float] | None = None,
    tie: Iterable[str] | Iterable[Iterable[str]] = (),
    **variables: ArrayLike | None,
) -> Backtest:  # fmt: skip
    """Return what fits to the cheaper runs predict of the more expensive ones.

    >>> from scalinglaws.laws import chinchilla
    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)))
    >>> L = 1.8 + 480 / N**0.35 + 2100 / D**0.37
    >>> L = L * np.exp(0.01 * np.random.default_rng(0).normal(size=36))
    >>> found = backtest(chinchilla, N=N, D=D, L=L)
    >>> [(cut.factor, cut.n_seen, cut.n_hidden) for cut in found.cuts]
    [(4.0, 33, 3), (16.0, 30, 6), (64.0, 26, 10)]
    >>> found.cuts[-1].inside
    1.0

    Parameters
    ----------
    law : Law
        Such as `laws.chinchilla`.
    L : array_like [n]
        Losses.
    C : array_like [n], optional
        Compute by which runs are cut; left out, 6 N D, or the only variable of the law.
    factors : iterable of float
        A fit sees the runs with at most the largest C over each of these.
    n, seed, level : int, int, float
        Refits of the intervals (0: none), their seed, and the probability that an interval is meant to hold.
    clusters : array_like [n], optional
        Labels of points that share their noise, see `bootstrap`.
    residual, delta, fix, tie
        See `fit`.
    **variables : array_like [n]
        The variables of the law by letter.

    Returns
    -------
    Backtest
        Cuts that leave too few runs, or that do not determine the law, are in its ``skipped`` with the reason.

    Raises
    ------
    ValueError
        If C is left out and does not follow from the variables, or an option is unknown.
    """
    given: dict[str, Any] = {name: np.asarray(column) for name, column in variables.items() if column is not None}
    options: dict[str, Any] = {"residual": residual, "delta": delta, "fix": fix, "tie": tie}
    return _cuts(
        law, given, np.asarray(L, float), compute_of(given, C), options, None, factors=factors, n=n, seed=seed,
        level=level, clusters=clusters,
    )  # fmt: skip


def hold_out(
    found: Fit, *, C: ArrayLike | None = None, factors: Iterable[float] = FACTORS, n: int = REFITS, seed: int = 0,
    level: float = 0.95, clusters: ArrayLike | None = None,
) -> Backtest:  # fmt: skip
    """Return the `backtest` of a fit's own points, with what it holds and how it weighs them; arguments as there.

    >>> from scalinglaws.laws import power
    >>> x = np.geomspace(1, 256, 9)
    >>> hold_out(fit(power, x=x, L=8 / x * np.tile([1.01, 0.99, 1.0], 3)), factors=[4]).cuts[0].n_hidden
    2
    """
    pins, options = found.problem.pins, {"residual": found.residual}
    if pins is not None:
        options |= {"fix": pins.fixed, "tie": pins.tied, "bounds": pins.limits}
    return _cuts(
        found.law, found.x, found.L, compute_of(found.x, C), options, found.problem.weights, factors=factors, n=n,
        seed=seed, level=level, clusters=clusters,
    )  # fmt: skip


def _cuts(
    law: Law, x: Mapping[str, Array], L: Array, C: Array, options: Mapping[str, Any], weights: Array | None, *,
    factors: Iterable[float], n: int, seed: int, level: float, clusters: ArrayLike | None,
) -> Backtest:  # fmt: skip
    """The cuts that can be made."""
    cuts, skipped = [], {}
    for factor in factors:
        if not factor > 1:
            raise ValueError(f"factor {factor:.4g}: give numbers above 1, such as 4, 16, 64")
        seen = C.max() / factor * (1 + 1e-9) >= C
        try:
            columns: Any = {name: column[seen] for name, column in x.items()}
            own = None if weights is None else weights[seen]
            found = fit(law, L=L[seen], weights=own, **options, **columns)
            labels = None if clusters is None else np.asarray(clusters)[seen]
            cuts.append(_cut(found, x, L, C, seen, factor, labels, n, seed, level))
        except FitError as error:
            skipped[factor] = str(error)
    return Backtest(law=law, cuts=tuple(cuts), level=level, skipped=skipped)


def compute_of(variables: Mapping[str, Array], C: ArrayLike | None) -> Array:
    """Return the compute [n] by which points are ordered: as given, 6 N D, or the only variable."""
    if C is not None:
        return checked_columns({"C": C, **variables})["C"]
    if {"N", "D"} <= {*variables}:
        columns = checked_columns(variables)
        return flops_6nd(columns["N"], columns["D"])
    if len(variables) == 1:
        return next(iter(checked_columns(variables).values()))
    raise ValueError(f"the compute of {', '.join(variables)} is not known: pass C=...")


def draws_of_runs(cloud: Bootstrap, x: Mapping[str, Array], rng: np.random.Generator) -> Array:
    """Return ln of losses [refits, n] of new runs: each refit's prediction and a residual of the fit drawn from all.

    Residuals of a fit are too small, so they are widened by its degrees of freedom, and both by ``cloud.widened``.
    """
    found = cloud.fit
    off = np.log(found.L / found.predict(**found.x))
    off = np.sqrt(off.size / max(off.size - found.n_free, 1)) * (off - off.mean())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = np.log(found.law.value(cloud.theta, *(x[name] for name in found.law.variables)))
    drawn = value + rng.choice(off, value.shape)
    if cloud.widened == 1.0:
        return drawn
    here = np.log(found.predict(**x))
    return here + cloud.widened * (drawn - here)


def _cut(
    found: Fit, x: Mapping[str, Array], L: Array, C: Array, seen: NDArray[np.bool_], factor: float,
    labels: NDArray | None, n: int, seed: int, level: float,
) -> Cut:  # fmt: skip
    """A fit to the runs that are seen, held against the others."""
    if found.status not in USABLE:
        raise FitError(f"{found.status}: {found.message}")
    hidden = {name: column[~seen] for name, column in x.items()}
    predicted = np.log(found.predict(**hidden))
    low = high = np.full(predicted.size, np.nan)
    if found.n_points < found.n_free + LEAST_SPARE:
        raise FitError(f"{found.n_points} runs are too few for {found.n_free} parameters")
    if n:
        make = (
            bootstrap if found.at_bound else refits
        )  # a fit at a bound has no interval of its own, but this is a test
        cloud = make(found, n=n, seed=seed, clusters=labels)
        drawn = draws_of_runs(cloud, hidden, np.random.default_rng(seed))
        low, high = np.quantile(drawn - predicted, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Cut(
        factor=float(factor), found=found, n_seen=int(seen.sum()), reach=C[~seen] / C[seen].max(),
        error=np.log(L[~seen]) - predicted, low=low, high=high,
    )  # fmt: skip


def _half(level: float) -> float:
    """Standard deviations in half of an interval of Gaussian noise."""
    return float(ndtri((1 + level) / 2))
