"""What a fit minimizes, and Newton's method on it, for many weighted problems at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalinglaws.laws.law import Law
from scalinglaws.laws.pins import Pins

__all__ = ["Problem", "Quadratic", "newton"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Residual = Literal["log", "raw"]

MAX_CONDITION = 1e8  # of the Jacobian: squared, as in a Hessian, it is all that double precision holds
MAX_STEPS = 200  # of Newton's method; some 10 are usual, 100 where the points hardly determine the law
STEP = 1e-6  # of a coordinate, to take slopes of a quantity: its error, 1e-10, is far below any standard error
CERTIFIED = 1e3  # times what the optimizer aims at, so 1e-9 standard errors


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The points in the units of their geometric means, and the objective on them.

    `fit` and the refits of a bootstrap minimize it by `newton`. Centered in this way, a change of an exponent does not
    change the size of its term, so that scales and exponents are far less correlated.
    """

    law: Law
    x: Mapping[str, Array]  # each [n], the variables as they were given
    L: Array  # [n], as given
    logs: Array  # [v, n], of the centered variables
    y: Array  # [n], centered losses
    residual: Residual
    units: Mapping[str, float]  # of each variable and of "L"
    weights: Array | None = None  # [n], of the squares of residuals, 1 on average; None: all 1
    pins: Pins | None = None  # None: all parameters are free

    @classmethod
    def of(
        cls, law: Law, x: Mapping[str, Array], L: Array, residual: Residual, *, weights: Array | None = None,
        fixed: Mapping[str, float] | None = None, tied: tuple[tuple[str, ...], ...] = (),
        limits: Mapping[str, tuple[float, float]] | None = None,
    ) -> Self:  # fmt: skip
        """Count each column in its geometric mean, or in that of the variable whose unit it shares; see `fit`."""
        means = {name: float(np.exp(np.log(column).mean())) for name, column in {**x, "L": L}.items()}
        units = means | {name: means[other] for name, other in law.unit_of.items()}
        logs = np.log(np.stack([x[name] / units[name] for name in law.variables]))
        found = cls(law=law, x=x, L=L, logs=logs, y=L / units["L"], residual=residual, units=units, weights=weights)
        if not (fixed or tied or limits):
            return found
        return replace(found, pins=Pins.of(law, found.decenter, fixed=fixed or {}, tied=tied, limits=limits or {}))

    def only(self, rows: NDArray[np.int_]) -> Self:
        """Return the problem of some of the points, in the same units."""
        x = {name: column[rows] for name, column in self.x.items()}
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, x=x, L=self.L[rows], logs=self.logs[:, rows], y=self.y[rows], weights=weights)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest free coordinates, each [q]."""
        return self.law.bounds if self.pins is None else (self.pins.low, self.pins.high)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free parameters, in the order of the coordinates."""
        names = self.law.parameters
        return names if self.pins is None else tuple(names[j] for j in self.pins.free)

    @cached_property
    def scale(self) -> Array | None:
        """What residuals are multiplied by, [n]: the square root of the weights."""
        return None if self.weights is None else np.sqrt(self.weights)

    def full(self, u: Array) -> Array:
        """Return all coordinates [..., p] of the law, of the free ones [..., q]."""
        return u if self.pins is None else self.pins.full(u)

    def predicted(self, u: Array) -> Array:
        """Return what fits u [R, q] predict at the points, [R, n], in the unit of the problem."""
        return self.law.jet(self.full(u), self.logs)[0]

    @property
    def residual_unit(self) -> float:
        """What a residual of 1 is in the unit of the points."""
        return 1.0 if self.residual == "log" else self.units["L"]

    def decenter(self, u: Array) -> Array:
        """Return all coordinates [..., p] in the units of the points, of free ones in those of the problem."""
        return self.law.rescale(self.full(u), {name: 1 / unit for name, unit in self.units.items()})

    def center(self, theta: Mapping[str, ArrayLike]) -> Array:
        """Return free coordinates [q] in the units of the problem, of parameters in those of the points."""
        u = self.law.rescale(self.law.coordinates(theta), self.units)
        return u if self.pins is None else u[..., self.pins.free]

    def theta(self, u: Array) -> dict[str, Array]:
        """Return parameters by name, each [R], in the units of the points, of coordinates u [R, q]."""
        return dict(zip(self.law.parameters, self.law.theta(self.decenter(u)).T, strict=True))

    def slope(self, quantity: Callable[[Mapping[str, Array]], ArrayLike], u: Array) -> Array:
        """Return the derivatives [R, K, q] by the coordinates u [R, q] of a quantity of K values in each fit."""
        low, high = self.bounds
        columns = []
        for j in range(u.shape[1]):
            up, down = u.copy(), u.copy()
            up[:, j], down[:, j] = np.minimum(u[:, j] + STEP, high[j]), np.maximum(u[:, j] - STEP, low[j])
            rise = np.asarray(quantity(self.theta(up)), float) - np.asarray(quantity(self.theta(down)), float)
            columns.append(rise.reshape(len(u), -1) / (up[:, j] - down[:, j])[:, None])
        return np.stack(columns, axis=2)

    def misfit(self, f: Array, y: Array | None = None) -> Array:
        """Return residuals [R, n] of predictions f [R, n], for the losses of the points or others, y [R, n].

        Where points have weights, times their square root: so that all have the same spread if the weights are right.
        """
        y = self.y if y is None else y
        r = np.log(y) - np.log(f) if self.residual == "log" else y - f
        return r if self.scale is None else r * self.scale

    def jacobian(self, u: Array) -> Array:
        """Return derivatives [n, q] of minus the residuals of one fit [q]."""
        f, J, _ = self.law.jet(self.full(u[None]), self.logs)
        J = J / f[:, None] if self.residual == "log" else J
        J = J if self.scale is None else J * self.scale
        return J[0].T if self.pins is None else J[0].T @ self.pins.into

    def scores(self, u: Array, delta: float, y: Array | None = None) -> Array:
        """Return the gradient [R, q, n] of each point's share of the objective, see `evaluate`."""
        f, J, _ = self.law.jet(self.full(u), self.logs)
        psi = np.clip(self.misfit(f, y), -delta, delta)
        psi = psi if self.scale is None else psi * self.scale
        out = -J * (psi / f if self.residual == "log" else psi)[:, None]
        return out if self.pins is None else self.pins.into.T @ out

    def noise_variance(self, u: Array, delta: float) -> float:
        """Return the variance of psi, with the degrees of freedom of a fit u [1, q], over the mean of psi'."""
        r = self.misfit(self.predicted(u))[0]
        psi = np.clip(r, -delta, delta)
        freedom = max(r.size - u.shape[1], 1)
        return float((psi**2).sum() / freedom / max((psi == r).mean(), 1 / r.size))

    def evaluate(self, u: Array, w: Array, delta: float, y: Array | None = None) -> tuple[Array, Array, Array]:
        """Return objective [R], gradient [R, q] and Hessian [R, q, q] of fits u [R, q] on points that count w [R, n].

        With r = s (h(y) - h(f)), h the logarithm or nothing, s the square root of a point's weight, and psi the
        derivative of Huber's function, the gradient is the sum of -s psi h' df, and the Hessian that of
        (s² psi' h'² - s psi h'') df dfᵀ - s psi h' d²f.
        """
        f, total = self.law.sums(self.full(u), self.logs)
        if self.pins is not None:
            total = _of_free(total, self.pins.into)
        r = self.misfit(f, y)
        psi = np.clip(r, -delta, delta)
        wpsi = w * psi
        value = np.vecdot(wpsi, r - psi / 2)
        outer = np.where(psi == r, w, 0.0)  # psi' is 1 inside the threshold, 0 outside
        if self.scale is not None:
            wpsi, outer = wpsi * self.scale, outer * self.scale**2
        if self.residual == "raw":
            return value, *total(-wpsi, outer)
        inverse = -1.0 / f  # h' = 1/f, h'' = -1/f²; in place, d = -wpsi / f and h = (outer + wpsi) / f²
        wpsi *= inverse
        outer *= inverse
        outer += wpsi
        outer *= inverse
        return value, *total(wpsi, outer)


def _of_free(total: Callable[[Array, Array], tuple[Array, Array]], into: Array):
    """What sums derivatives by the free coordinates, of what does by all."""

    def free(d: Array, h: Array) -> tuple[Array, Array]:
        slope, bend = total(d, h)
        return slope @ into, into.T @ bend @ into

    return free


def newton(problem: Problem, u: Array, w: Array, delta: float, *, y: Array | None = None) -> tuple[Array, Array, Flags]:
    """Return optima [R, p], their objectives [R] and whether they settled [R], from starts u [R, p].

    Points are weighted by w [R, n]; delta is Huber's threshold in the unit of a residual of the problem; y [R, n] are
    centered losses for each fit in place of the problem's own. A fit has settled where the curvature is positive and
    the Newton decrement at most `decrement_goal`. Levenberg 1944 and Marquardt 1963 for the damping, with the exact
    Hessian in place of Gauss-Newton's.
    """
    # A few rows at a time, so that temporaries stay in the processor's cache: with 4 times fewer it takes half as long
    # again, with 4 times more twice as long. A row that has settled makes room for the next.
    together = max(1, 2**16 // problem.y.size)
    low, high = problem.bounds
    trial = np.clip(u, low, high)
    u, value = trial.copy(), np.full(len(u), np.inf)
    gradient, hessian = np.zeros_like(u), np.zeros((*u.shape, u.shape[1]))
    damping, settled = np.zeros(len(u)), np.zeros(len(u), bool)
    steps_left, total = np.full(len(u), MAX_STEPS), w.sum(axis=1)

    while (at := np.flatnonzero(steps_left)[:together]).size:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            v, g, H = problem.evaluate(trial[at], w[at], delta, None if y is None else y[at])
        # A step is refused where the objective rises, or is not finite: a formula may overflow or turn negative. The
        # row then stays where it was, and tries again with more damping below.
        accepted = v <= value[at] + 1e-15 * np.sqrt(2 * v * total[at])  # round-off of v must not stop the last steps
        accepted &= np.isfinite(v) & np.isfinite(g).all(axis=1) & np.isfinite(H).all(axis=(1, 2))
        won = at[accepted]
        u[won], value[won], gradient[won], hessian[won] = trial[won], v[accepted], g[accepted], H[accepted]

        # Plain Newton steps wherever they are sure to go downhill: positive curvature, no bound touched, no damping.
        step, decrement, convex = plain_step(gradient[at], hessian[at])
        inside = ((u[at] > low) & (u[at] < high)).all(axis=1)
        plain = accepted & convex & inside & (damping[at] == 0)
        if not plain.all():
            hard = at[~plain]
            model = Quadratic.of(u[hard], gradient[hard], hessian[hard], low, high)
            # Damping is added to every curvature. The first refusal adds the least curvature, which halves the step
            # along the flattest axis, where Newton's method goes too far; each further one adds ten times as much. An
            # accepted step takes two thirds away, and below half the least curvature damping ends.
            flattest = model.curvature.min(axis=1)
            eased = np.where(accepted[~plain], damping[hard] / 3, np.maximum(10 * damping[hard], flattest))
            damping[hard] = np.where(eased < flattest / 2, 0.0, eased)
            step[~plain], decrement[~plain], convex[~plain] = model.step(damping[hard]), model.decrement, model.convex
        trial[at] = np.clip(u[at] + step, low, high)

        settled[at] = convex & (decrement <= decrement_goal(value[at], total[at]))
        steps_left[at] = np.where(settled[at], 0, steps_left[at] - 1)
    return u, value, settled


def decrement_goal(value: Array, total_weight: Array | float) -> Array:
    """Return the Newton decrement at which a fit has settled: 1e-12 standard errors of its parameters, or round-off.

    Round-off of a sum grows with its length, and the decrement with its square root.
    """
    return 1e-12 * np.sqrt(2 * value / total_weight) + 1e-14 * np.maximum(1.0, np.sqrt(total_weight / 1e4))


def plain_step(gradient: Array, hessian: Array) -> tuple[Array, Array, Flags]:
    """Return the Newton step [R, p], its decrement [R] and convexity [R], by elimination.

    Elimination needs no reordering where all pivots are positive, which is where the Hessian is positive definite.
    Elsewhere, or where a pivot is next to zero, convexity is False, and step and decrement are meaningless.
    """
    # Written out because it is the fastest way for many small matrices. On 4000 refits of 240 points, LAPACK's eigh in
    # its place takes a fifth longer, and cholesky with solve as well: cholesky refuses a whole stack for one matrix.
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
class Quadratic:
    """The objective near each fit as a parabola in the axes of its Hessian, for the steps that elimination cannot make.

    The eigenvectors separate the directions that curve upwards from those that do not: a negative curvature is taken by
    its size, so that the step goes downhill there too, and damping shortens each direction by its own share. A
    coordinate at its bound that would be pushed beyond is held.
    """

    axes: Array  # [R, p, p]
    slope: Array  # [R, p], along each axis
    curvature: Array  # [R, p], sizes along each axis
    convex: Flags  # [R], whether all were positive

    @classmethod
    def of(cls, u: Array, gradient: Array, hessian: Array, low: Array, high: Array) -> Self:
        """Return the parabola of gradient [R, p] and Hessian [R, p, p] at u [R, p], between the bounds [p]."""
        held = (u <= low) & (gradient > 0) | (u >= high) & (gradient < 0)
        largest = np.abs(np.diagonal(hessian, axis1=1, axis2=2)).max(axis=1)
        # A held coordinate neither moves nor changes the curvature of the others.
        hessian = np.where(held[:, :, None] | held[:, None], largest[:, None, None] * np.eye(u.shape[1]), hessian)
        curvature, axes = np.linalg.eigh(hessian)
        size = np.maximum(np.abs(curvature), 1e-15 * largest[:, None] + 1e-300)
        slope = (np.where(held, 0.0, gradient)[:, None] @ axes)[:, 0]
        return cls(axes=axes, slope=slope, curvature=size, convex=curvature[:, 0] > 0)

    def step(self, damping: Array) -> Array:
        """Return the Newton step [R, p] with damping [R] added to every curvature."""
        return -(self.axes @ (self.slope / (self.curvature + damping[:, None]))[:, :, None])[:, :, 0]

    @property
    def decrement(self) -> Array:
        """The Newton decrement [R]: half its square is the objective still to be gained."""
        return np.sqrt((self.slope**2 / self.curvature).sum(axis=1))
