r"""Laws of whole loss curves: the multi-power law of a schedule, and how curves of several sizes collapse.

The multi-power law (Luo et al. 2025) predicts the loss after every step from the learning rates :math:`\eta`:

.. math::

    L(t) = L_0 + A\,S_1(t)^{-\alpha} - B \sum_{k \le t} (\eta_{k-1} - \eta_k)\,
    \left[1 - \left(C\,\eta_k^{-\gamma} S_k(t) + 1\right)^{-\beta}\right],

where :math:`S_k(t)` is the sum of the rates from step k to t. The first two terms are a power law of the progress made;
the last is what each fall of the rate brings, which takes some more steps to come.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from scalinglaws.laws.doubts import identifiability
from scalinglaws.laws.fit import USABLE, Fit, Status, checked_columns, report, search
from scalinglaws.laws.law import Kind, Law, Theta
from scalinglaws.laws.newton import Problem
from scalinglaws.laws.pins import Pins
from scalinglaws.laws.shown import Shown

__all__ = ["Curve", "CurveFit", "collapse", "fit_curves", "multi_power"]

Array = NDArray[np.float64]
_BLOCKS = 256  # changes of the rate are summed over at most so many blocks of steps
_LEAST_RATE = 1e-6  # of the peak: a rate of zero has no power
# Lowest and highest coordinates, of C that of C S / eta^gamma over a run at the peak. One run with a single fall tells
# the last two poorly apart: they are kept near the published ones (beta .583 to .598, gamma .635 to .655).
_LIMITS = {"alpha": (0.05, 2.0), "C": (-3.0, 12.0), "beta": (0.2, 1.5), "gamma": (0.2, 1.0)}
_STARTS = [(alpha, scale, 0.5, gamma) for alpha in (0.3, 0.7) for scale, gamma in ((2.0, 0.8), (5.0, 0.4))]
_LEFT_OUT = 1e-3  # in their centered unit: where A or B start that are best at zero
_APART = 0.1  # of a coordinate: 10% of a scale
_AS_GOOD = 2.0  # half of chi-square's 95% point for one parameter, about: in units of the noise's variance


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One run's losses, and the learning rates that led there."""

    rates: Array  # [T], learning rate of each step, warm-up included
    warmup: int  # steps whose changes of the rate are no falls: the warm-up
    at: NDArray[np.int64]  # [n], steps after which the loss is given, from 1 to T
    loss: Array  # [n], nats per token


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveFit(Shown):
    """Parameters of a multi-power law by name, how well they fit, and whether the curves determine them."""

    theta: Mapping[str, float]
    rms: float  # of the relative residuals
    status: Status
    message: str
    errors: Mapping[str, float]  # standard errors of what was fitted; empty where `no_errors` says why
    no_errors: str
    fit: Fit  # the optimum's certificate: gradient, condition, starts that agree

    def predict(self, rates: ArrayLike, at: ArrayLike, *, warmup: int) -> Array:
        """Return the losses [n] of another schedule after the steps ``at``; see `multi_power`."""
        return multi_power(self.theta, rates, at, warmup=warmup)

    def checked(self) -> Self:
        """Return the fit itself where the curves determine its parameters; raise `FitError` with the reason if not."""
        replace(self.fit, status=self.status, message=self.message).checked()
        return self

    def summary(self) -> str:
        """Return a report of a dozen lines, as `Fit.summary` does, with the standard errors."""
        lines = [replace(self.fit, status=self.status, message=self.message).summary()]
        errors = ", ".join(f"{name} {error:.2g}" for name, error in self.errors.items())
        lines.append(f"  errors        {errors or f'none: {self.no_errors}'}")
        return "\n".join([*lines, *(f"  - {finding}" for finding in identifiability(self.fit).findings)])


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
    other four, from several starts. Newton's method with the exact Hessian takes each to its optimum, and the best is
    certified as those of `laws.fit.fit` are.

    Parameters
    ----------
    curves
        Leave the first part of a run out of ``at``: the law says nothing of the steps before progress is a power law.
    decay
        Whether falls of the rate count. Without, B is zero and the law is one of the sum of the rates alone.
    beta, gamma
        Values to hold, above zero, such as the published ones: one run with a single fall hardly tells them.

    Returns
    -------
    CurveFit
        Look at its ``status``, whose words are those of `laws.fit.Status`; here the parameters are called undetermined
        also where starts end apart and fit as well as each other but for the noise.

    Raises
    ------
    ValueError
        When there are fewer points than parameters.
    """
    held = {name: value for name, value in (("beta", beta), ("gamma", gamma)) if decay and value is not None}
    problem = _problem(curves, decay, held)
    starts, u, value, threshold = search(problem, math.inf)
    found = report(problem, starts, u, value, threshold)
    status, message = found.status, found.message
    if status in USABLE and (rival := _rival(problem, u, value)):
        status, message = Status.ILL_CONDITIONED, f"the points do not determine the parameters: {rival}"
    if status not in USABLE:
        message = "; ".join([message, *(each for each in identifiability(found).findings if "without" in each)])
    of_falls = {"B": 0.0, "C": 1.0, "beta": beta or 1.0, "gamma": gamma or 1.0}
    theta = dict(found.theta) if decay else dict(found.theta) | of_falls
    off = [multi_power(theta, curve.rates, curve.at, warmup=curve.warmup) / curve.loss - 1 for curve in curves]
    errors, why = _errors(found, off) if status in USABLE else ({}, f"the fit is {status.value}")
    rms = float(np.sqrt(np.mean(np.concatenate(off) ** 2)))
    return CurveFit(theta=theta, rms=rms, status=status, message=message, errors=errors, no_errors=why, fit=found)


def _problem(curves: Sequence[Curve], decay: bool, held: Mapping[str, float]) -> "_Problem":
    """What is minimized: half the sum of squares of relative residuals."""
    loss = checked_columns({"loss": np.concatenate([curve.loss for curve in curves])})["loss"]
    if loss.size < 8:
        raise ValueError(f"curves: {loss.size} points in all are too few for seven parameters; give at least 8")
    paths = [_Path.of(curve.rates, curve.at, curve.warmup) for curve in curves]
    S = np.concatenate([path.done for path in paths])
    units = {"S": max(path.total for path in paths), "eta": max(path.peak for path in paths), "L": float(loss.mean())}
    law = _OfCurves(
        name="multi_power", source="Luo et al. 2025, eq. 1", falls=decay, held=held,
        paths=tuple(path.counted(units["S"], units["eta"]) for path in paths),
    )  # fmt: skip
    found = _Problem(
        law=law, x={"S": S}, L=loss, logs=np.log(S / units["S"])[None], y=loss / units["L"], residual="raw",
        units=units, weights=loss**-2.0 / np.mean(loss**-2.0),
    )  # fmt: skip
    return replace(found, pins=Pins.of(law, found.decenter, fixed=held, tied=(), limits={})) if held else found


def _rival(problem: Problem, u: Array, value: Array) -> str:
    """Where another start ended that fits as well but for the noise, in words; empty where none did."""
    best = int(value.argmin())
    noise = problem.noise_variance(u[[best]], math.inf)
    apart = np.abs(u - u[best]).max(axis=1) > _APART
    near = np.flatnonzero(apart & (value - value[best] <= _AS_GOOD * noise))
    if not near.size:
        return ""
    rival = int(near[value[near].argmin()])
    one, other = (problem.theta(u[[row]]) for row in (best, rival))
    moved = [name for j, name in enumerate(problem.free) if abs(u[rival, j] - u[best, j]) > _APART]
    here = ", ".join(f"{name} {one[name][0]:.3g} or {other[name][0]:.3g}" for name in moved)
    return f"optima apart fit alike but for the noise, with {here}"


def _errors(found: Fit, off: Sequence[Array]) -> tuple[dict[str, float], str]:
    """Standard errors by the curvature, or why there are none, of a fit that leaves relative residuals by curve."""
    squares = sum(float(each @ each) for each in off)
    along = sum(float(each[1:] @ each[:-1]) for each in off) / max(squares, 1e-300)
    if along > 2 / math.sqrt(found.n_points):
        return {}, f"residuals of neighboring points go together (correlation {along:.2f}); compare seeds instead"
    each = identifiability(found).relative_errors
    return {name: error * abs(found.theta[name]) for name, error in each.items()}, ""


@dataclass(frozen=True, kw_only=True, eq=False)
class _OfCurves(Law):
    """The multi-power law at the points of some curves, whose rates and sums are counted in the units of the fit.

    Its points are those of the paths: logarithms of the variable say nothing more.
    """

    paths: tuple["_Path", ...]
    falls: bool  # whether they count
    held: Mapping[str, float]

    variables = ("S",)
    latex = r"L_0 + A S^{-\alpha} - B \sum (\eta_{k-1} - \eta_k) [1 - (C \eta_k^{-\gamma} S_k + 1)^{-\beta}]"

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        kinds: dict[str, Kind] = {"L_0": "floor", "A": "scale", "alpha": "exponent"}
        of_falls: dict[str, Kind] = {"B": "scale", "C": "scale", "beta": "exponent", "gamma": "exponent"}
        return kinds | of_falls if self.falls else kinds

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        low, high = super().bounds
        ends = zip(self.parameters, low, high, strict=True)
        return tuple(np.array([_LIMITS.get(name, pair) for name, *pair in ends]).T)

    def bound_words(self, name: str, *, lowest: bool) -> str:
        return "the end of its range" if name in _LIMITS else super().bound_words(name, lowest=lowest)

    def only(self, rows: NDArray[np.intp]) -> Self:
        """Return the law of some of the points."""
        places = np.split(np.arange(sum(len(path.done) for path in self.paths)), self.ends[:-1])
        mine = [np.flatnonzero(np.isin(place, rows)) for place in places]
        paths = zip(self.paths, mine, strict=True)
        return replace(self, paths=tuple(replace(p, done=p.done[k], since=p.since[k]) for p, k in paths))

    @cached_property
    def ends(self) -> Array:
        """Points up to the end of each path."""
        return np.cumsum([len(path.done) for path in self.paths])

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        of_rows = ([path.jet(row) for path in self.paths] for row in u)
        f, J, H = (np.stack(each) for each in zip(*(_joined(parts) for parts in of_rows), strict=True))
        return f, J, lambda d: np.einsum("rpqn,rn->rpq", H, d)

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        S, eta, L = (math.log(units[name]) for name in ("S", "eta", "L"))
        L_0, A, alpha, *falls = np.moveaxis(u, -1, 0)
        out = [L_0 / units["L"], A - alpha * S - L, alpha]
        if falls:
            B, C, beta, gamma = falls
            out += [B + eta - L, C - gamma * eta + S, beta, gamma]
        return np.stack(out, axis=-1)

    def value(self, theta: Theta, *x: ArrayLike) -> Array:
        raise ValueError("this law is that of the curves that were fitted: ask CurveFit.predict for other schedules")

    def starts(self, logs: Array, L: Array) -> Array:
        """Return where a search over the exponents and C ends from several places, with the best scales of each."""
        names = ("alpha", "C", "beta", "gamma")
        searched = np.array([name in self.parameters and name not in self.held for name in names])
        ends = np.array([_LIMITS[name] for name in names])[searched].T

        def full(x: Array) -> Array:
            out = np.array([1.0, 0.0, *(self.held.get(name, 1.0) for name in names[2:])])
            out[searched] = x
            return out

        def off(x: Array) -> Array:
            return self._scaled(full(x), L)[1]

        places = np.unique(np.array(_STARTS)[:, searched], axis=0)
        found = [optimize.least_squares(off, place, bounds=tuple(ends)) for place in places]
        found.sort(key=lambda result: result.cost)
        return np.stack([self._scaled(full(result.x), L)[0] for result in found])

    def _scaled(self, x: Array, L: Array) -> tuple[Array, Array]:
        """Coordinates [p] with the best scales for alpha, ln C, beta and gamma, and the relative residuals [n]."""
        alpha, scale, beta, gamma = x
        parts = [path.features(alpha, np.exp(scale), beta, gamma) for path in self.paths]
        progress, falls = (np.concatenate(part) for part in zip(*parts, strict=True))
        unit = progress.max()
        columns = np.stack([np.ones_like(L), progress / unit, -falls][: 2 + self.falls], axis=1) / L[:, None]
        scales, _ = optimize.nnls(columns, np.ones_like(L))
        L_0, A, *B = np.maximum(scales, [0.0, *[_LEFT_OUT] * (len(scales) - 1)])
        u = [L_0, np.log(A / unit), alpha, *(np.log(each) for each in B), scale, beta, gamma]
        return np.array(u[: len(self.parameters)]), columns @ scales - 1


def _joined(parts: Sequence[tuple[Array, Array, Array]]) -> list[Array]:
    """Values, first and second derivatives of several paths as one, the points of one after those of the other."""
    return [np.concatenate(each, axis=-1) for each in zip(*parts, strict=True)]


@dataclass(frozen=True, kw_only=True)
class _Problem(Problem):
    """Curves to fit."""

    law: _OfCurves

    def only(self, rows: NDArray[np.int_]) -> Self:
        """Return the problem of some of the points, see `Problem.only`."""
        return replace(super().only(rows), law=self.law.only(rows))


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
    def of(cls, rates: Array, at: NDArray, warmup: int) -> Self:
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

    def counted(self, sums: float, rates: float) -> Self:
        """Return the path with its sums and its rates in other units."""
        fields = {"done": sums, "since": sums, "total": sums, "fall": rates, "rate": rates, "peak": rates}
        return replace(self, **{name: getattr(self, name) / unit for name, unit in fields.items()})

    def features(self, alpha: float, C: float, beta: float, gamma: float) -> tuple[Array, Array]:
        """The power of the progress, and the sum over falls, each [n]."""
        share = 1 - (C * self.rate**-gamma * self.since + 1) ** -beta  # n K
        return self.done**-alpha, share @ self.fall

    def jet(self, u: Array) -> tuple[Array, Array, Array]:
        """Losses [n], their derivatives [p, n] and second ones [p, p, n] by L_0, ln A, alpha, ln B, ln C, beta, gamma.

        With z = C S_k / eta_k^gamma and q = z / (1 + z), the derivative of (1 + z)^-beta by ln C is -beta q times it,
        that of q is q (1 - q), and gamma acts as ln C does, times -ln eta_k.
        """
        L_0, log_A, alpha, *of_falls = u
        x = np.log(self.done)
        power = np.exp(log_A - alpha * x)
        J = np.stack([np.ones_like(x), power, -x * power])
        H = np.zeros((len(u), len(u), x.size))
        H[1, 1], H[1, 2], H[2, 1], H[2, 2] = power, -x * power, -x * power, x * x * power
        if not of_falls:
            return L_0 + power, J, H
        log_B, log_C, beta, gamma = of_falls
        B, rate = np.exp(log_B), -np.log(self.rate)  # [K]
        z = np.exp(log_C + gamma * rate) * self.since  # [n, K]
        q, more = z / (1 + z), np.log1p(z)
        left = B * self.fall * np.exp(-beta * more)  # what is still to come of each fall
        by_C, by_beta = -beta * q * left, -more * left
        twice, cross = beta * q * left * (beta * q - 1 + q), q * left * (beta * more - 1)
        gain = left.sum(axis=1) - B * self.fall.sum()  # [n], below zero
        first = np.stack([by_C.sum(axis=1), by_beta.sum(axis=1), by_C @ rate])
        H[3:, 3:] = [
            [gain, *first],
            [first[0], twice.sum(axis=1), cross.sum(axis=1), twice @ rate],
            [first[1], cross.sum(axis=1), (more**2 * left).sum(axis=1), cross @ rate],
            [first[2], twice @ rate, cross @ rate, twice @ rate**2],
        ]
        return L_0 + power + gain, np.concatenate([J, gain[None], first]), H


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
        size of loss - floor, not normalized, root mean square over sizes; nan of one seed.

    Raises
    ------
    ValueError
        When the floor is not below every loss, or there are not at least two sizes, each with every seed once.
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
    if sizes < 2 or len(table) != sizes * seeds:
        given = f"{len(table)} curves of {sizes} sizes and {seeds} seeds"
        raise ValueError(f"{given}: give two sizes or more, each with every seed once")
    normalized = table.div(table.iloc[:, -1], axis=0)

    def spread(values: pd.DataFrame, level: int) -> Array:
        groups = values.iloc[:, :-1].groupby(level=level)
        return np.sqrt((groups.std() / groups.mean()).pow(2).mean().to_numpy())

    return pd.DataFrame({"share": at, "between_sizes": spread(normalized, 1), "between_seeds": spread(table, 0)})
