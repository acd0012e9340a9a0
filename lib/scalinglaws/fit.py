"""One robust fitter for every law, and the `Fit` that it returns.

The method, for any law: count variables and loss in their geometric means, so that scales do not trade off against
exponents; start from the law's own starting points; minimize by Newton's method with the exact Hessian; believe the
result because its gradient vanishes and its curvature is positive, never because an optimizer says so. Arrays carry a
leading axis of fits, R: starting points and bootstrap resamples are solved together, a resample being nothing but
integer weights on the same points.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import combinations
from numbers import Real
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalinglaws.laws import LAWS, Law

__all__ = ["Fit", "FitError", "Problem", "Status", "checked_column", "fit", "newton"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Residual = Literal["log", "raw"]

MAX_CONDITION = 1e8  # of the Jacobian: squared, as in a Hessian, it is all that double precision holds
HUBER_SIGMAS = 1.345  # 95% efficient where noise is Gaussian: Holland & Welsch 1977
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for Gaussian noise
LEAST_SIGMA = 1e-9  # in log loss; residuals below it are round-off, and no reason to doubt a point
MIN_OFF_LINE = 0.01  # in logarithms: a smaller change of one variable moves the loss by less than seeds do
MAX_STEPS = 200  # of Newton's method; some 10 are usual, 100 where the points hardly determine the law
CERTIFIED = 1e3  # times what the optimizer aims at, so 1e-9 standard errors
WIDE_DELTAS = (3e-2, 5e-3)  # in log loss; each optimum is the start for the next, narrower threshold
MANY_POINTS = 20_000  # beyond, a sample of as many finds the region of the optimum, and all points the optimum


class FitError(ValueError):
    """The data cannot be fitted, or the fit cannot be used; the message says why and what to do."""


class Status(StrEnum):
    """How a fit ended."""

    OK = "ok"
    AT_BOUND = "at_bound"
    ILL_CONDITIONED = "ill_conditioned"
    NOT_CERTIFIED = "not_certified"


USABLE = (Status.OK, Status.AT_BOUND)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted law: the parameters, what was minimized, how it ended, and the points themselves.

    The objective is the *sum* over the points of Huber's function of the residual: r²/2 up to ``delta``, and
    delta (|r| - delta/2) beyond. The residual is ln L - ln f, or L - f where ``residual`` is "raw".
    """

    law: Law
    theta: Mapping[str, float]
    status: Status
    message: str
    residual: Residual
    delta: float  # math.inf: least squares
    value: float  # of the objective
    start: Mapping[str, float]  # the starting point that led here
    n_starts: int
    n_starts_agree: int  # starting points that led to this optimum
    n_points: int
    at_bound: tuple[str, ...]
    gradient_norm: float  # largest component, in centered coordinates
    newton_decrement: float  # distance from the exact optimum, in the unit of a residual
    condition: float  # of the Jacobian of the residuals, in centered coordinates
    correlations: tuple[tuple[str, str, float], ...]  # strongest first; a scale by its logarithm
    residual_rms: float  # of ln L - ln f, whatever was minimized
    intervals: Mapping[str, tuple[float, float]] | None = None  # see `Bootstrap.attach`
    level: float | None = None  # of the intervals
    x: Mapping[str, Array] = field(repr=False, compare=False)
    L: Array = field(repr=False, compare=False)

    @property
    def objective(self) -> str:
        """What was minimized, in words."""
        of = "ln L - ln f" if self.residual == "log" else "L - f"
        if math.isinf(self.delta):
            return f"half the sum of squares of {of}"
        return f"sum of Huber({of}), delta {self.delta:.6g}"

    def checked(self) -> Self:
        """Return the fit itself where the points determine its parameters; raise `FitError` with the reason if not."""
        if self.status not in USABLE:
            raise FitError(f"{self.law.name}: {self.message}")
        return self

    def predict(self, **variables: ArrayLike | None) -> Array:
        """Return the loss at new values of the law's variables by letter, counted as the fitted points were."""
        return self.law.value(self.theta, *_by_letter(self.law, variables).values())

    def allocate(self, C: ArrayLike, *, k: float = 6.0) -> tuple[Array, Array]:
        """Return the compute-optimal N and D for C = k N D training FLOPs, see `laws.PowerSum.optimum`."""
        return self.checked().law.optimum(self.theta, C, k=k)

    def summary(self) -> str:
        """Return a report of a dozen lines: status first, then the estimates and how they were found."""
        interval = "" if self.level is None else f"{100 * self.level:g}% interval"
        lines = [
            f"{self.law.name}: {self.status}: {self.message}",
            f"  law           {self.law.source}",
            f"  objective     {self.value:.10g}, {self.objective}",
            f"  points        {self.n_points}, rms of ln L - ln f {self.residual_rms:.5g}",
            f"  certificate   gradient {self.gradient_norm:.1e}, Newton decrement {self.newton_decrement:.1e}, "
            f"condition {self.condition:.5g}",
            f"  starts        {self.n_starts_agree} of {self.n_starts} reached this optimum",
            f"  {'parameter':<12}  {'estimate':>14}  {'start':>14}  {interval}".rstrip(),
        ]
        for name, value in self.theta.items():
            low_high = "" if self.intervals is None else "{:.6g} to {:.6g}  ".format(*self.intervals[name])
            bound = "at its bound" if name in self.at_bound else ""
            lines.append(f"  {name:<12}  {value:>14.8g}  {self.start[name]:>14.6g}  {low_high}{bound}".rstrip())
        pairs = ", ".join(f"{one} {other} {r:+.5f}" for one, other, r in self.correlations[:3])
        return "\n".join([*lines, f"  correlations  {pairs or 'none'}"])

    def to_json(self) -> str:
        """Return the fit and its points as one JSON object; an infinite delta is null, as is an overflown parameter."""
        record: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        record |= {
            "law": self.law.name,
            "delta": None if math.isinf(self.delta) else self.delta,
            "theta": {name: value if math.isfinite(value) else None for name, value in self.theta.items()},
            "start": {name: value if math.isfinite(value) else None for name, value in self.start.items()},
            "x": {name: column.tolist() for name, column in self.x.items()},
            "L": self.L.tolist(),
        }
        return json.dumps(record, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the fit that `to_json` wrote."""
        record = json.loads(text)
        if record["law"] not in LAWS:
            raise ValueError(f"law {record['law']!r} is unknown here; choose one of {', '.join(LAWS)}")
        record |= {
            "law": LAWS[record["law"]],
            "status": Status(record["status"]),
            "delta": math.inf if record["delta"] is None else record["delta"],
            "theta": {name: math.inf if value is None else value for name, value in record["theta"].items()},
            "start": {name: math.inf if value is None else value for name, value in record["start"].items()},
            "at_bound": tuple(record["at_bound"]),
            "correlations": tuple(tuple(pair) for pair in record["correlations"]),
            "intervals": record["intervals"] and {name: tuple(ends) for name, ends in record["intervals"].items()},
            "x": {name: np.array(column) for name, column in record["x"].items()},
            "L": np.array(record["L"]),
        }
        return cls(**record)


def fit(
    law: Law,
    *,
    L: ArrayLike,
    residual: Residual = "log",
    delta: float | None = None,
    **variables: ArrayLike | None,
) -> Fit:
    """Return the best fit of ``law`` to the points; no starting values are needed.

    Parameters
    ----------
    law : Law
        Such as `laws.chinchilla`.
    L : array_like [n]
        What the law predicts: loss in nats per token, for most.
    residual : str
        "log": relative errors count; "raw": errors in the unit of the loss.
    delta : float, optional
        Huber's threshold, in the unit of a residual. Left out it is 1.345 robust standard deviations of the residuals:
        nearly as sharp as least squares where noise is Gaussian, and hard of hearing for outliers. ``math.inf`` is
        least squares. Hoffmann et al. 2022 used 1e-3, which on their runs is close to least absolute deviations.
    **variables : array_like [n]
        The variables of the law by letter (N, D, C, S, B, U, x), those and no others; parameters and tokens in the
        counting of your choice.

    Returns
    -------
    Fit
        Look at its ``status``, or let `Fit.checked` turn trouble into an error.

    Raises
    ------
    FitError
        If a column holds anything but positive numbers, a variable takes too few values, or there are no more points
        than parameters.
    ValueError
        If the variables are not those of the law, or an option is unknown.
    TypeError
        If ``law`` is something else, such as the name of one.
    """
    if not isinstance(law, Law):
        raise TypeError(f"law is {law!r}; pass a law, such as laws.chinchilla (others: {', '.join(LAWS)})")
    if residual not in get_args(Residual):
        raise ValueError(f"residual is {residual!r}; choose one of {', '.join(get_args(Residual))}")
    if delta is not None and not delta > 0:
        raise ValueError(f"delta is {delta:.4g}; it must be positive, or math.inf for least squares")
    given, losses = _checked_points(law, _by_letter(law, variables), L)
    problem = Problem.of(law, given, losses, residual)
    if losses.size > MANY_POINTS:
        some = np.random.default_rng(0).choice(losses.size, MANY_POINTS, replace=False)
        _, u, value, _ = _search(problem.only(some), delta)
        starts, u, value, threshold = _search(problem, delta, u[[np.argmin(value)]])
    else:
        starts, u, value, threshold = _search(problem, delta)
    return _report(problem, given, losses, threshold, starts, u, value)


def _search(problem: "Problem", delta: float | None, starts: Array | None = None) -> tuple[Array, Array, Array, float]:
    """Starting points [S, p], the optima [S, p] they lead to, the objectives [S], and Huber's threshold."""
    starts = u = problem.law.starts(problem.logs, problem.y) if starts is None else starts
    w = np.ones((len(starts), problem.y.size))
    if delta is None:
        threshold = WIDE_DELTAS[0]
        for _ in range(2):  # the first fit gives the scale of the noise, the second a better one
            u, value, _ = newton(problem, u, w, threshold)
            f, _, _ = problem.law.jet(u[[np.argmin(value)]], problem.logs)
            threshold = _noise_threshold(problem.misfit(f))
    else:
        threshold = delta / problem.residual_unit
        for wide in WIDE_DELTAS:
            if wide > threshold:
                u = newton(problem, u, w, wide)[0]
    u, value, _ = newton(problem, u, w, threshold)
    return starts, u, value, threshold


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The points in the units of their geometric means, and the objective on them.

    What `fit` and the refits of a bootstrap minimize; see `newton`.
    """

    law: Law
    logs: Array  # [v, n], of the variables
    y: Array  # [n], losses
    residual: Residual
    units: Mapping[str, float]

    @classmethod
    def of(cls, law: Law, x: Mapping[str, Array], L: Array, residual: Residual) -> Self:
        """Count each column in its geometric mean, or in that of the variable whose unit it shares."""
        means = {name: float(np.exp(np.log(column).mean())) for name, column in {**x, "L": L}.items()}
        units = means | {name: means[other] for name, other in law.unit_of.items()}
        logs = np.log(np.stack([x[name] / units[name] for name in law.variables]))
        return cls(law=law, logs=logs, y=L / units["L"], residual=residual, units=units)

    def only(self, rows: NDArray[np.int_]) -> Self:
        """Return the problem of some of the points, in the same units."""
        return replace(self, logs=self.logs[:, rows], y=self.y[rows])

    @property
    def residual_unit(self) -> float:
        """What a residual of 1 is in the unit of the points."""
        return 1.0 if self.residual == "log" else self.units["L"]

    def decenter(self, u: Array) -> Array:
        """Fitting coordinates in the units of the points."""
        return self.law.rescale(u, {name: 1 / unit for name, unit in self.units.items()})

    def center(self, theta: Mapping[str, ArrayLike]) -> Array:
        """Fitting coordinates, in the units of the problem, of parameters in the units of the points."""
        return self.law.rescale(self.law.coordinates(theta), self.units)

    def misfit(self, f: Array, y: Array | None = None) -> Array:
        """Residuals [R, n] of predictions f [R, n], for the losses of the points or others, y [R, n]."""
        y = self.y if y is None else y
        return np.log(y) - np.log(f) if self.residual == "log" else y - f

    def jacobian(self, u: Array) -> Array:
        """Derivatives [n, p] of minus the residuals of one fit [p]."""
        f, J, _ = self.law.jet(u[None], self.logs)
        return (J / f[:, None] if self.residual == "log" else J)[0].T

    def scores(self, u: Array, delta: float, y: Array | None = None) -> Array:
        """Gradient [R, p, n] of each point's share of the objective, see `evaluate`."""
        f, J, _ = self.law.jet(u, self.logs)
        psi = np.clip(self.misfit(f, y), -delta, delta)
        return -J * (psi / f if self.residual == "log" else psi)[:, None]

    def evaluate(self, u: Array, w: Array, delta: float, y: Array | None = None) -> tuple[Array, Array, Array]:
        """Objective [R], gradient [R, p] and Hessian [R, p, p] of fits u [R, p] on points weighted by w [R, n].

        With r = h(y) - h(f), h the logarithm or nothing, and psi the derivative of Huber's function, the gradient is
        the sum of -psi h' df, and the Hessian that of (psi' h'² - psi h'') df dfᵀ - psi h' d²f.
        """
        f, total = self.law.sums(u, self.logs)
        r = self.misfit(f, y)
        psi = np.clip(r, -delta, delta)
        wpsi = w * psi
        value = np.vecdot(wpsi, r - psi / 2)
        outer = np.where(psi == r, w, 0.0)  # psi' is 1 inside the threshold, 0 outside
        if self.residual == "raw":
            return value, *total(-wpsi, outer)
        inverse = -1.0 / f  # h' = 1/f, h'' = -1/f²; in place, d = -wpsi / f and h = (outer + wpsi) / f²
        wpsi *= inverse
        outer *= inverse
        outer += wpsi
        outer *= inverse
        return value, *total(wpsi, outer)


def newton(problem: Problem, u: Array, w: Array, delta: float, *, y: Array | None = None) -> tuple[Array, Array, Flags]:
    """Return optima [R, p], their objectives [R] and whether they settled [R], from starts u [R, p].

    Points are weighted by w [R, n]; y [R, n] are losses for each fit in place of the points' own. A formula that
    overflows or turns negative on the way has no finite objective, which is a step that failed.

    A step that fails is repeated with damping, first as much as halves it along the flattest axis. A few rows are
    worked on at a time, so that temporaries stay in the processor's cache; one that settles makes room for the next.
    """
    together = max(1, 2**16 // problem.y.size)  # 4 times fewer: a half slower; 4 times more: twice, out of the cache
    low, high = problem.law.bounds
    trial = np.clip(u, low, high)
    u, value = trial.copy(), np.full(len(u), np.inf)
    gradient, hessian = np.zeros_like(u), np.zeros((*u.shape, u.shape[1]))
    damping, settled = np.zeros(len(u)), np.zeros(len(u), bool)
    steps_left, total = np.full(len(u), MAX_STEPS), w.sum(axis=1)

    while (at := np.flatnonzero(steps_left)[:together]).size:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            v, g, H = problem.evaluate(trial[at], w[at], delta, None if y is None else y[at])
        accepted = v <= value[at] + 1e-15 * np.sqrt(2 * v * total[at])  # round-off of v must not stop the last steps
        accepted &= np.isfinite(v) & np.isfinite(g).all(axis=1) & np.isfinite(H).all(axis=(1, 2))
        won = at[accepted]
        u[won], value[won], gradient[won], hessian[won] = trial[won], v[accepted], g[accepted], H[accepted]

        step, decrement, convex = _plain_step(gradient[at], hessian[at])
        inside = ((u[at] > low) & (u[at] < high)).all(axis=1)
        plain = accepted & convex & inside & (damping[at] == 0)
        if not plain.all():
            hard = at[~plain]
            model = _Model.of(u[hard], gradient[hard], hessian[hard], low, high)
            flattest = model.curvature.min(axis=1)
            eased = np.where(accepted[~plain], damping[hard] / 3, np.maximum(10 * damping[hard], flattest))
            damping[hard] = np.where(eased < flattest / 2, 0.0, eased)
            step[~plain], decrement[~plain], convex[~plain] = model.step(damping[hard]), model.decrement, model.convex
        trial[at] = np.clip(u[at] + step, low, high)

        settled[at] = convex & (decrement <= _decrement_goal(value[at], total[at]))
        steps_left[at] = np.where(settled[at], 0, steps_left[at] - 1)
    return u, value, settled


def _decrement_goal(value: Array, total_weight: Array | float) -> Array:
    """Newton decrement at which a fit has settled: 1e-12 standard errors of its parameters, or round-off.

    Round-off of a sum grows with its length, and the decrement with its square root.
    """
    return 1e-12 * np.sqrt(2 * value / total_weight) + 1e-14 * np.maximum(1.0, np.sqrt(total_weight / 1e4))


def _plain_step(gradient: Array, hessian: Array) -> tuple[Array, Array, Flags]:
    """Newton step [R, p], decrement [R] and convexity [R] by elimination: the usual case, at a fraction of the price.

    Elimination needs no reordering where all pivots are positive, which is where the Hessian is; elsewhere, and where
    a pivot is next to nothing, step and decrement mean nothing, and convexity is denied.
    """
    p = gradient.shape[1]
    rows = np.concatenate([hessian, gradient[:, :, None]], axis=2).transpose(1, 2, 0).copy()  # [p, p + 1, R]
    scale = np.einsum("iir->ir", rows[:, :p]).copy()  # [p, R]
    with np.errstate(all="ignore"):
        for j in range(p - 1):
            rows[j + 1 :, j:] -= rows[j + 1 :, None, j] / rows[j, j] * rows[None, j, j:]
        pivots = np.einsum("iir->ir", rows[:, :p])
        step = -rows[:, p] / pivots
        decrement = np.sqrt(-(rows[:, p] * step).sum(axis=0))
        for j in range(p - 1, 0, -1):
            step[:j] -= rows[:j, j] / pivots[:j] * step[j]
        convex = (pivots > 1e-10 * scale).all(axis=0) & np.isfinite(decrement)
    return step.T, decrement, convex


@dataclass(frozen=True, kw_only=True)
class _Model:
    """The objective near each fit as a parabola in its own axes; a coordinate held at its bound is flat in it."""

    axes: Array  # [R, p, p]
    slope: Array  # [R, p], along each axis
    curvature: Array  # [R, p], along each axis; a negative one by its size, so that every step goes downhill
    convex: Flags  # [R]

    @classmethod
    def of(cls, u: Array, gradient: Array, hessian: Array, low: Array, high: Array) -> Self:
        held = (u <= low) & (gradient > 0) | (u >= high) & (gradient < 0)
        largest = np.abs(np.diagonal(hessian, axis1=1, axis2=2)).max(axis=1)
        hessian = np.where(
            held[:, :, None] | held[:, None], largest[:, None, None] * np.eye(u.shape[1]), hessian
        )  # a held coordinate neither moves nor bends the others
        curvature, axes = np.linalg.eigh(hessian)
        size = np.maximum(np.abs(curvature), 1e-15 * largest[:, None] + 1e-300)
        slope = (np.where(held, 0.0, gradient)[:, None] @ axes)[:, 0]
        return cls(axes=axes, slope=slope, curvature=size, convex=curvature[:, 0] > 0)

    def step(self, damping: Array) -> Array:
        """Newton step [R, p] with damping [R] added to every curvature."""
        return -(self.axes @ (self.slope / (self.curvature + damping[:, None]))[:, :, None])[:, :, 0]

    @property
    def decrement(self) -> Array:
        """Newton decrement [R]: half its square is the objective still to be gained."""
        return np.sqrt((self.slope**2 / self.curvature).sum(axis=1))


def _noise_threshold(residuals: Array) -> float:
    """Huber's threshold from the spread of the residuals, which outliers do not move."""
    deviation = np.median(np.abs(residuals - np.median(residuals)))
    return HUBER_SIGMAS * max(MAD_TO_SIGMA * float(deviation), LEAST_SIGMA)


def _report(
    problem: Problem, x: Mapping[str, Array], L: Array, threshold: float, starts: Array, u: Array, value: Array
) -> Fit:
    """The best of the optima u [S, p], examined."""
    agree = value <= value.min() * (1 + 1e-9) + 1e-28 * L.size
    law, best = problem.law, int(np.argmax(agree))  # the first: starts come best first
    optimum = u[[best]]
    objective, gradient, hessian = problem.evaluate(optimum, np.ones((1, L.size)), threshold)
    low, high = law.bounds
    model = _Model.of(optimum, gradient, hessian, low, high)
    inside = (optimum[0] > low + 1e-9) & (optimum[0] < high - 1e-9)
    singular = np.linalg.svd(problem.jacobian(optimum[0])[:, inside], compute_uv=False)
    condition = float(min(singular[0] / max(singular[-1], 1e-300), 1 / np.finfo(float).eps))

    with np.errstate(over="ignore"):
        theta, start = (
            dict(zip(law.parameters, law.theta(problem.decenter(u)).tolist(), strict=True))
            for u in (optimum[0], starts[best])
        )
    overflown = [name for name, value in theta.items() if not math.isfinite(value)]
    bounds = {
        name: f"{name} at {theta[name]:.4g}: {law.bound_words(name, lowest=bool(optimum[0, j] <= low[j] + 1e-9))}"
        for j, name in enumerate(law.parameters)
        if not inside[j]
    }
    if condition > MAX_CONDITION:
        status = Status.ILL_CONDITIONED
        unusable = f"condition {condition:.4g} is above {MAX_CONDITION:.4g}"
        message = "; ".join(["the points do not determine the parameters", unusable, *bounds.values()])
    elif overflown:
        status = Status.ILL_CONDITIONED
        message = f"{', '.join(overflown)} overflows: count the loss in a unit that brings it near 1"
    elif not (model.convex[0] and model.decrement[0] <= CERTIFIED * _decrement_goal(objective, L.size)[0]):
        status = Status.NOT_CERTIFIED
        message = f"no optimum found: the Newton decrement is still {model.decrement[0]:.4g}"
    elif bounds:
        status = Status.AT_BOUND
        message = "certified, with " + "; ".join(bounds.values())
    else:
        status = Status.OK
        message = "certified: the gradient vanishes and the curvature is positive, inside all bounds"

    unit = problem.residual_unit
    return Fit(
        law=law,
        theta=theta,
        status=status,
        message=message,
        residual=problem.residual,
        delta=threshold * unit,
        value=float(objective[0]) * unit**2,
        start=start,
        n_starts=len(starts),
        n_starts_agree=int(agree.sum()),
        n_points=L.size,
        at_bound=tuple(bounds),
        gradient_norm=float(np.abs(gradient[0, inside]).max()),
        newton_decrement=float(model.decrement[0]),
        condition=condition,
        correlations=_correlations(problem, optimum[0], hessian[0], inside) if status in USABLE else (),
        residual_rms=float(np.sqrt(np.mean(np.log(problem.y / law.jet(optimum, problem.logs)[0]) ** 2))),
        x=x,
        L=L,
    )


def _correlations(problem: Problem, u: Array, hessian: Array, inside: Flags) -> tuple[tuple[str, str, float], ...]:
    """Correlations of the parameters that are inside their bounds, from the curvature, strongest first."""
    small = 1e-6 * np.eye(u.size)
    to_points = (problem.decenter(u + small) - problem.decenter(u - small)) / 2e-6  # [p, p], from centered coordinates
    free = np.ix_(inside, inside)
    factor = np.linalg.inv(np.linalg.cholesky(hessian[free])) @ to_points[free]  # [q, q]
    factor /= np.linalg.norm(factor, axis=0)
    names = np.array(problem.law.parameters)[inside].tolist()
    pairs = [
        (one, other, float(factor[:, i] @ factor[:, j])) for (i, one), (j, other) in combinations(enumerate(names), 2)
    ]
    return tuple(sorted(pairs, key=lambda pair: -abs(pair[2])))


def _by_letter(law: Law, given: Mapping[str, ArrayLike | None]) -> dict[str, ArrayLike]:
    """The variables of the law in its order; neither more nor fewer may be given."""
    present = {name: column for name, column in given.items() if column is not None}
    if set(present) != set(law.variables):
        raise ValueError(
            f"{law.name} is a law of {', '.join(law.variables)}; got {', '.join(present) or 'none'}: pass "
            + ", ".join(f"{name}=..." for name in law.variables)
        )
    return {name: present[name] for name in law.variables}


def _checked_points(law: Law, x: Mapping[str, ArrayLike], L: ArrayLike) -> tuple[dict[str, Array], Array]:
    """Columns of positive numbers, enough of them, and varied enough for the law."""
    columns = {name: checked_column(name, values) for name, values in {**x, "L": L}.items()}
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        lengths = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise FitError(f"columns differ in length: {lengths}; pass one value per run in each")
    losses = columns.pop("L")
    p = len(law.parameters)
    if losses.size <= p:
        raise FitError(f"{losses.size} points for the {p} parameters of {law.name}; it needs at least {p + 1}")
    for name, column in columns.items():
        distinct, needed = np.unique(column), law.least_sizes[name]
        if distinct.size < needed:
            values = ", ".join(f"{value:.4g}" for value in distinct)
            raise FitError(
                f"{name} takes {distinct.size} value ({values}); {law.name} needs {needed} sizes: vary {name}"
            )
    places = len(np.unique(np.stack(list(columns.values())), axis=1).T)
    if places < p:
        raise FitError(
            f"{places} distinct points for the {p} parameters of {law.name}; repeats do not count, add sizes"
        )
    for one, other in combinations(columns, 2):
        a, b = (np.log(columns[name]) - np.log(columns[name]).mean() for name in (one, other))
        if min(law.least_sizes[one], law.least_sizes[other]) < 2:
            continue  # one of them may well be constant
        slope = (a @ b) / (a @ a)
        off_line = np.sqrt(np.mean((b - slope * a) ** 2))
        if slope > 0 and off_line < MIN_OFF_LINE:
            raise FitError(
                f"{other} follows {one} ({other} ∝ {one}^{slope:.4g}, to {100 * off_line:.2g}%), so that their terms "
                f"cannot be told apart; vary {other} at fixed {one}"
            )
    return columns, losses


def checked_column(name: str, values: ArrayLike) -> Array:
    """Return a column of positive, finite numbers as an array; `FitError` names the first row that holds another."""
    raw = np.asarray(values)
    if raw.ndim != 1:
        raise FitError(f"{name} has shape {raw.shape}; pass one value per run")
    if raw.dtype.kind not in "iuf":
        for row, value in enumerate(np.asarray(values, dtype=object).tolist()):  # numpy would turn all into text
            if not isinstance(value, Real):
                raise FitError(f"{name} in row {row} is {value!r}, not a number; convert the column or drop the row")
    column = raw.astype(float)
    bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
    if bad.size:
        raise FitError(
            f"{name} in row {bad[0]} is {column[bad[0]]:.4g} ({bad.size} such rows); it must be positive and finite: "
            "drop failed and diverged runs"
        )
    return column
