"""What a fit predicts of a run that was not made: the loss, the interval of the law, and that of the run.

The interval of the law is of its parameters. That of a new run also has the scatter of runs, and what the law was seen
to miss beyond its intervals when it predicted expensive runs at hand from the cheaper ones (see `backtest`): an error
that grows as the logarithm of how far a forecast reaches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalinglaws.files import dumps
from scalinglaws.laws.backtest import Backtest, compute_of, draws_of_runs, hold_out
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.fit import SCHEMA, Fit, FitError, Status
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.shown import Shown

__all__ = ["Forecast", "optimum_intervals", "predict"]

Array = NDArray[np.float64]
Ends = tuple[Array, Array]


@dataclass(frozen=True, kw_only=True)
class Forecast(Shown):
    """The loss of runs that were not made. Arrays have the common shape of the variables."""

    law: str
    loss: Array
    interval: Ends  # of the law: it holds where the law is right
    new_run: Ends  # of a run: law, scatter of runs, and what hidden runs showed the law to miss
    level: float
    reach: Array  # compute over the largest of the fitted runs
    status: Status  # of the fit
    message: str  # what makes the forecast doubtful; empty where nothing is known to

    def record(self) -> dict[str, Any]:
        """Return the forecast as values for JSON."""
        names = ("law", "loss", "interval", "new_run", "level", "reach", "status", "message")
        return {"schema": SCHEMA} | {name: getattr(self, name) for name in names}

    def to_json(self) -> str:
        """Return the forecast as one JSON object."""
        return dumps(self.record())

    def summary(self) -> str:
        """Return a line for each run, after what makes them doubtful."""
        lines = [f"{self.status}: {self.message}"] if self.message else []
        columns = (self.loss, *self.interval, *self.new_run, self.reach)
        for loss, low, high, run_low, run_high, reach in zip(*(np.ravel(column) for column in columns), strict=True):
            lines.append(
                f"loss {loss:.5g}, {100 * self.level:g}% interval of the law {low:.5g} to {high:.5g}, of a new run "
                f"{run_low:.5g} to {run_high:.5g}, at {reach:.3g} times the largest fitted compute"
            )
        return "\n".join(lines)


def predict(
    source: Fit | Bootstrap, *, level: float = 0.95, n: int = 999, seed: int = 0,
    clusters: ArrayLike | str | None = None, back: Backtest | None = None, **variables: ArrayLike | None,
) -> Forecast:  # fmt: skip
    """Return the loss that a fit predicts, with the interval of the law and that of a new run.

    >>> from scalinglaws.laws import chinchilla
    >>> from scalinglaws.laws.fit import fit
    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)))
    >>> L = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.005 * np.random.default_rng(0).normal(size=36))
    >>> found = predict(fit(chinchilla, N=N, D=D, L=L), N=1e10, D=1e12)
    >>> bool(found.new_run[0] < 2.028 < found.new_run[1])
    True

    Parameters
    ----------
    source : Fit or Bootstrap
        A fit, or its refits.
    level : float
        Probability that an interval is meant to hold.
    n, seed, clusters
        Of the refits of a fit, see `bootstrap`; for few points see `intervals.refits`.
    back : Backtest, optional
        Of the same runs; left out, it is made where the law's variables give the compute.
    **variables : array_like
        Of the runs to predict, by letter, as the fitted points were counted.

    Returns
    -------
    Forecast

    Raises
    ------
    FitError
        If the fit does not determine its parameters, has one at a bound, or has too few points for an interval.
    ValueError
        If the variables are not those of the law.
    """
    found = source if isinstance(source, Fit) else source.fit
    loss = found.predict(**variables)  # refuses variables that are not the law's
    x = {name: np.broadcast_to(np.asarray(variables[name], float), loss.shape).ravel() for name in found.x}
    cloud = refits(found, n=n, seed=seed, clusters=clusters) if isinstance(source, Fit) else source
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    law = cloud.interval(lambda theta: np.log(found.law.value(theta, *x.values())), level=level)
    rng = np.random.default_rng(seed)
    drawn = draws_of_runs(cloud, x, rng)
    try:
        reach = compute_of(x, None) / compute_of(found.x, None).max()
        if back is None:
            back = hold_out(found, level=level, clusters=None if isinstance(clusters, str) else clusters)
    except ValueError:
        reach = np.full(loss.size, np.nan)
    doubts = [found.misfit] if found.misfit else []
    far = np.log(np.maximum(np.nan_to_num(reach, nan=1.0), 1.0))
    if back is None or not back.cuts:
        slope = 0.0
        if (far > 0).any():
            doubts.append("no runs could be hidden to test forecasts: new_run has no error of extrapolation")
    else:
        slope = back.slope
        drawn = drawn + slope * far * rng.normal(size=drawn.shape)
    ends = np.quantile(drawn, tails, axis=0)
    runs = np.minimum(ends[0], law[0]), np.maximum(ends[1], law[1])
    return Forecast(
        law=found.law.name, loss=loss, interval=_shaped(law, loss), new_run=_shaped(runs, loss), level=level,
        reach=np.reshape(reach, loss.shape), status=found.status, message="; ".join(doubts),
    )  # fmt: skip


def optimum_intervals(
    cloud: Bootstrap, C: ArrayLike, *, level: float = 0.95, k: float = 6.0, **unique: ArrayLike
) -> Mapping[str, Ends]:
    """Return intervals of the compute-optimal N and D, and of the loss there, each of the shape of C.

    >>> from scalinglaws.laws import chinchilla
    >>> from scalinglaws.laws.bootstrap import bootstrap
    >>> from scalinglaws.laws.fit import fit
    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)))
    >>> L = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.005 * np.random.default_rng(0).normal(size=36))
    >>> ends = optimum_intervals(bootstrap(fit(chinchilla, N=N, D=D, L=L), n=99, seed=0), 1e21)
    >>> bool(ends["N"][0] < 2.93e9 < ends["N"][1])
    True

    Parameters
    ----------
    cloud : Bootstrap
        Refits, of `intervals.refits` or `bootstrap`.
    C : array_like
        Training FLOPs.
    level, k : float
        Probability that an interval is meant to hold; FLOPs per parameter and token.
    **unique : array_like
        ``U=``, unique tokens, for `muennighoff`.
    """
    law = cloud.fit.law
    if cloud.fit.at_bound:
        raise FitError(f"{cloud.fit.message}: a fit at a bound gives no plan; pin that parameter")

    def at(theta: Mapping[str, Array]) -> Array:
        N, D = law.optimum(theta, C, k=k, **unique)
        rows = [
            law.value({name: column[i] for name, column in theta.items()}, N[i], D[i], *unique.values())
            if unique or len(law.variables) == 2
            else law.value({name: column[i] for name, column in theta.items()}, N[i], D[i], D[i])
            for i in range(len(N))
        ]
        return np.stack([np.log(N), np.log(D), np.log(rows)], axis=1)

    low, high = cloud.interval(at, level=level)
    return {name: (np.exp(low[i]), np.exp(high[i])) for i, name in enumerate(("N", "D", "loss"))}


def _shaped(ends: Ends, loss: Array) -> Ends:
    """Ends of logarithms [n] as losses of the shape of the variables."""
    low, high = (np.exp(end).reshape(np.shape(loss)) for end in ends)
    return low, high
