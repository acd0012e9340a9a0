r"""Laws of whole loss curves: the multi-power law of a schedule, and how curves of several sizes collapse.

The multi-power law (Luo et al. 2025) foretells the loss after every step from the learning rates :math:`\eta`:

.. math::

    L(t) = L_0 + A\,S_1(t)^{-\alpha} - B \sum_{k \le t} (\eta_{k-1} - \eta_k)\,
    \left[1 - \left(C\,\eta_k^{-\gamma} S_k(t) + 1\right)^{-\beta}\right],

where :math:`S_k(t)` is the sum of the rates from step k to t. The first two terms are a power law of the progress made;
the last is what each fall of the rate brings, which takes some more steps to come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

__all__ = ["Curve", "CurveFit", "collapse", "fit_curves", "multi_power"]

Array = NDArray[np.float64]
_BLOCKS = 256  # changes of the rate are summed over at most so many blocks of steps
_LEAST_RATE = 1e-6  # of the peak: a rate of zero has no power
# Bounds of alpha, of the logarithm of C S / eta^gamma over a run at the peak, of beta and gamma. One run with a single
# fall tells the last two poorly apart: they are kept near the published ones (beta .58 to .60, gamma .64 to .66).
_LOW, _HIGH = np.array([0.05, -3.0, 0.2, 0.2]), np.array([2.0, 12.0, 1.5, 1.0])
_STARTS = [(alpha, scale, 0.5, gamma) for alpha in (0.3, 0.7) for scale, gamma in ((2.0, 0.8), (5.0, 0.4))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One run's losses, and the learning rates that led there."""

    rates: Array  # [T], learning rate of each step, warm-up included
    warmup: int  # steps whose changes of the rate are no falls: the warm-up
    at: NDArray[np.int64]  # [n], steps after which the loss is given, from 1 to T
    loss: Array  # [n], nats per token


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveFit:
    """Parameters of a multi-power law by name, and how well they fit."""

    theta: Mapping[str, float]
    rms: float  # of the relative residuals

    def predict(self, rates: ArrayLike, at: ArrayLike, *, warmup: int) -> Array:
        """Return the losses [n] of another schedule after the steps ``at``; see `multi_power`."""
        return multi_power(self.theta, rates, at, warmup=warmup)


def multi_power(theta: Mapping[str, float], rates: ArrayLike, at: ArrayLike, *, warmup: int = 0) -> Array:
    """Return the losses [n], in nats per token, that the law gives after the steps ``at`` of a schedule.

    Parameters
    ----------
    theta
        ``L_0``, ``A``, ``alpha``, ``B``, ``C``, ``beta`` and ``gamma``, as in the paper; their unit goes with that of
        the rates.
    rates : array [T]
        Learning rate of each step, warm-up included: it counts as progress.
    at : array [n]
        Steps, from 1 to T.
    warmup
        First steps, in which a change of the rate is no fall.
    """
    path = _Path.of(np.asarray(rates, float), np.asarray(at), warmup)
    progress, falls = path.features(theta["alpha"], theta["C"], theta["beta"], theta["gamma"])
    return theta["L_0"] + theta["A"] * progress - theta["B"] * falls


def fit_curves(
    curves: Sequence[Curve], *, decay: bool = True, beta: float | None = None, gamma: float | None = None
) -> CurveFit:
    """Fit a multi-power law to one or more curves, by least squares of the relative residuals.

    The law is linear in L_0, A and B, which are kept at or above zero and solved for at each step of a search over the
    other four, from several starts.

    Parameters
    ----------
    curves
        Leave the first part of a run out of ``at``: the law says nothing of the steps before progress is a power law.
    decay
        Whether falls of the rate count. Without, B is zero and the law is one of the sum of the rates alone.
    beta, gamma
        Values to hold, above zero, such as the published ones: one run with a single fall hardly tells them.

    Raises
    ------
    ValueError
        When there are fewer points than parameters.
    """
    n = sum(len(curve.at) for curve in curves)
    if n < 8:
        raise ValueError(f"curves: {n} points in all are too few for seven parameters; give at least 8")
    paths = [_Path.of(curve.rates, curve.at, curve.warmup) for curve in curves]
    loss = np.concatenate([np.asarray(curve.loss, float) for curve in curves])
    peak, total = max(path.peak for path in paths), max(path.total for path in paths)

    def solve(x: Array) -> tuple[Array, Array]:
        alpha, scale, beta, gamma = x
        parts = [path.features(alpha, np.exp(scale) * peak**gamma / total, beta, gamma) for path in paths]
        progress, falls = (np.concatenate(part) for part in zip(*parts, strict=True))
        unit = progress.max()
        columns = [np.ones(n), progress / unit] + [-falls / peak] * decay
        scales, _ = optimize.nnls(np.stack(columns, axis=1) / loss[:, None], np.ones(n))
        L_0, A, B = (*scales, 0.0)[:3]
        return np.array([L_0, A / unit, B / peak]), (L_0 + A * progress / unit - B * falls / peak) / loss - 1

    held = np.array([np.nan, np.nan, np.nan if beta is None else beta, np.nan if gamma is None else gamma])
    free = np.isnan(held)

    def whole(x: Array) -> Array:
        full = held.copy()
        full[free] = x
        return full

    ends = _LOW[free], _HIGH[free]
    found = [
        optimize.least_squares(lambda x: solve(whole(x))[1], np.array(start)[free], bounds=ends) for start in _STARTS
    ]
    best = min(found, key=lambda result: result.cost)
    (L_0, A, B), residual = solve(whole(best.x))
    alpha, scale, power, of_rate = whole(best.x)
    C = np.exp(scale) * peak**of_rate / total
    values = {"L_0": L_0, "A": A, "alpha": alpha, "B": B, "C": C, "beta": power, "gamma": of_rate}
    return CurveFit(theta={name: float(v) for name, v in values.items()}, rms=float(np.sqrt(np.mean(residual**2))))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Path:
    """What the law asks of a schedule: sums of rates at some steps, and the falls before each."""

    done: Array  # [n], sum of the rates up to the step
    since: Array  # [n, K], of that the part since the block of each fall began; zero for later ones
    fall: Array  # [K], by how much the rate fell in a block
    rate: Array  # [K], rate at the end of the block
    peak: float
    total: float

    @classmethod
    def of(cls, rates: Array, at: NDArray, warmup: int) -> "_Path":
        """The path of a schedule, its steps in blocks."""
        if at.min() < 1 or at.max() > len(rates):
            raise ValueError(f"at: steps from {at.min()} to {at.max()}; give some from 1 to {len(rates)}, the last one")
        sums = np.concatenate([[0.0], np.cumsum(rates)])
        first = max(warmup, 1)  # falls are those into steps first + 1 to T
        falls = first + np.flatnonzero(np.diff(rates[first - 1 :]))  # of step k + 1 from step k, by the index of k + 1
        blocks = [block for block in np.array_split(falls, _BLOCKS) if len(block)]
        begin, end = (np.array([block[i] for block in blocks], int) for i in (0, -1))
        fall = rates[begin - 1] - rates[end]
        since = np.maximum(0.0, sums[at][:, None] - sums[begin])
        return cls(
            done=sums[at],
            since=np.where(at[:, None] > begin, since, 0.0),
            fall=fall,
            rate=np.maximum(rates[end], _LEAST_RATE * rates.max()),
            peak=float(rates.max()),
            total=float(sums[-1]),
        )

    def features(self, alpha: float, C: float, beta: float, gamma: float) -> tuple[Array, Array]:
        """The power of the progress, and the sum over falls, each [n]."""
        share = 1 - (C * self.rate**-gamma * self.since + 1) ** -beta  # n K
        return self.done**-alpha, share @ self.fall


def collapse(curves: pd.DataFrame, *, floor: float, shares: ArrayLike) -> pd.DataFrame:
    """Normalize loss curves of several sizes and seeds, and measure how far apart they are.

    A curve becomes (loss - floor) over its own value at the end, against the share of its tokens. Where curves of
    compute-optimal runs then lie on one another they collapse; where they lie closer than seeds of one size do before,
    Qiu et al. (2025) call it supercollapse.

    Parameters
    ----------
    curves
        Columns ``size``, ``seed``, ``tokens`` and ``loss``; each size and seed is one curve.
    floor
        Loss that no size goes below, in nats per token. Fix it beforehand: the lower it is, the closer all curves seem.
    shares
        Shares of the training, above 0 and at most 1, at which to compare.

    Returns
    -------
    DataFrame
        A row for each share: ``share``; ``between_sizes``, standard deviation over sizes of the normalized curves of
        one seed, relative to their mean, root mean square over seeds; ``between_seeds``, the same over the seeds of one
        size of loss - floor, not normalized, root mean square over sizes.

    Raises
    ------
    ValueError
        When the floor is not below every loss, or there are not at least two sizes and two seeds, each pair once.
    """
    if not floor < curves["loss"].min():
        raise ValueError(f"floor={floor:.4g} is not below the least loss, {curves['loss'].min():.4g}: give a lower one")
    at = np.asarray(shares, float)
    above = {}
    for key, curve in curves.sort_values("tokens").groupby(["size", "seed"]):
        above[key] = np.interp(at, curve["tokens"] / curve["tokens"].max(), curve["loss"] - floor)
        above[key] = np.append(above[key], curve["loss"].iloc[-1] - floor)
    table = pd.DataFrame(above).T  # rows (size, seed), columns shares and the end
    sizes, seeds = (table.index.get_level_values(level).nunique() for level in (0, 1))
    if min(sizes, seeds) < 2 or len(table) != sizes * seeds:
        raise ValueError(f"{len(table)} curves of {sizes} sizes and {seeds} seeds: give two or more of each, in pairs")
    normalized = table.div(table.iloc[:, -1], axis=0)

    def spread(values: pd.DataFrame, level: int) -> Array:
        groups = values.iloc[:, :-1].groupby(level=level)
        return np.sqrt((groups.std() / groups.mean()).pow(2).mean().to_numpy())

    return pd.DataFrame({"share": at, "between_sizes": spread(normalized, 1), "between_seeds": spread(table, 0)})
