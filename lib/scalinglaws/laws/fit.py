"""One robust fitter for every law, and the `Fit` that it returns.

The method, for any law: count variables and loss in their geometric means, which keeps scales and exponents apart;
start from the law's own starting points; minimize by Newton's method with the exact Hessian; certify the result by its
vanishing gradient and positive curvature. Arrays carry a leading axis of fits, R: starting points and bootstrap
resamples are solved together, since a resample is integer weights on the same points.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from numbers import Real
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalinglaws.counting import FLOPS_PER_PARAM_TOKEN
from scalinglaws.files import dumps, unversioned
from scalinglaws.laws.catalogue import LAWS
from scalinglaws.laws.lackoffit import LackOfFit, lack_of_fit
from scalinglaws.laws.law import Array, Law
from scalinglaws.laws.newton import CERTIFIED, MAX_CONDITION, Problem, Quadratic, Residual, decrement_goal, newton
from scalinglaws.laws.pins import groups
from scalinglaws.laws.shown import Shown

__all__ = ["SCHEMA", "USABLE", "Fit", "FitError", "Status", "fit"]

SCHEMA = 2  # of the JSON of fits and frontiers; raise when what it says changes
HUBER_SIGMAS = 1.345  # 95% efficient where noise is Gaussian: Holland & Welsch 1977
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for Gaussian noise
LEAST_SIGMA = 1e-9  # in log loss; residuals below it are round-off, and no reason to doubt a point
MIN_OFF_LINE = 0.01  # in logarithms: a smaller change of one variable moves the loss by less than seeds do
WIDE_DELTAS = (3e-2, 5e-3)  # in log loss; each optimum is the start for the next, narrower threshold
MANY_POINTS = 20_000  # of more, a sample of as many gives the start of the fit to all


class FitError(ValueError):
    """The data cannot be fitted, or the fit cannot be used; the message says why and what to do."""


class Status(StrEnum):
    """How a fit ended."""

    OK = "ok"
    MISFIT = "misfit"  # the optimum is certified, and the residuals still follow the variables: the law is wrong here
    AT_BOUND = "at_bound"
    ILL_CONDITIONED = "ill_conditioned"
    NOT_CERTIFIED = "not_certified"


USABLE = (Status.OK, Status.MISFIT, Status.AT_BOUND)


@dataclass(frozen=True, kw_only=True)
class Fit(Shown):
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
    lack_of_fit: LackOfFit | None = None  # None where residuals are round-off, or points too few
    intervals: Mapping[str, tuple[float, float]] | None = None  # see `Bootstrap.attach`
    level: float | None = None  # of the intervals
    problem: Problem = field(repr=False, compare=False)  # what was minimized, with the points

    @property
    def x(self) -> Mapping[str, Array]:
        """The variables of the points by letter, each [n_points]."""
        return self.problem.x

    @property
    def L(self) -> Array:
        """The losses of the points, [n_points]."""
        return self.problem.L

    @cached_property
    def centered(self) -> tuple[Array, float]:
        """The optimum [1, p] in coordinates of `problem`, not rounded as theta is, and delta in its residuals' unit."""
        delta, start = self.delta / self.problem.residual_unit, self.problem.center(self.theta)[None]
        return newton(self.problem, start, np.ones((1, self.n_points)), delta)[0], delta

    @property
    def n_free(self) -> int:
        """How many parameters were fitted: all but those pinned and tied."""
        return len(self.problem.free)

    @property
    def misfit(self) -> str:
        """What is wrong with the law at these points, in words; empty where nothing was found."""
        test = self.lack_of_fit
        if test is None or not test.misfit:
            return ""
        return f"the law does not fit, {test}: intervals are for noise alone, and forecasts will miss by more"

    @property
    def objective(self) -> str:
        """What was minimized, in words."""
        of = "ln L - ln f" if self.residual == "log" else "L - f"
        of = of if self.problem.weights is None else f"weighted {of}"
        huber = f"sum of Huber({of}), delta {self.delta:.6g}"
        return f"half the sum of squares of {of}" if math.isinf(self.delta) else huber

    def checked(self) -> Self:
        """Return the fit itself where the points determine its parameters; raise `FitError` with the reason if not.

        A misfit passes: its numbers are the best that this law can do, and `misfit` says what is wrong.
        """
        if self.status not in USABLE:
            raise FitError(f"{self.law.name}: {self.message}")
        return self

    def predict(self, **variables: ArrayLike | None) -> Array:
        """Return the loss at new values of the law's variables by letter, counted as the fitted points were."""
        return self.law.value(self.theta, *_by_letter(self.law, variables).values())

    def allocate(self, C: ArrayLike, *, k: float = FLOPS_PER_PARAM_TOKEN) -> tuple[Array, Array]:
        """Return the compute-optimal N and D for C = k N D training FLOPs, see `Law.optimum`; at a bound `FitError`."""
        if self.checked().at_bound:
            raise FitError(
                f"a fit at a bound gives no plan: {self.message}; pin that parameter, such as fix={{'E': 0}}"
            )
        return self.law.optimum(self.theta, C, k=k)

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
            f"  law or noise  {self.lack_of_fit or 'not tested: too few points, or residuals are round-off'}",
            f"  {'parameter':<12}  {'estimate':>14}  {'start':>14}  {interval}".rstrip(),
        ]
        held = self._held()
        for name, value in self.theta.items():
            low_high = "" if self.intervals is None else "{:.6g} to {:.6g}  ".format(*self.intervals[name])
            bound = "at its bound" if name in self.at_bound else held.get(name, "")
            lines.append(f"  {name:<12}  {value:>14.8g}  {self.start[name]:>14.6g}  {low_high}{bound}".rstrip())
        pairs = ", ".join(f"{one} {other} {r:+.5f}" for one, other, r in self.correlations[:3])
        return "\n".join([*lines, f"  correlations  {pairs or 'none'}"])

    def _held(self) -> dict[str, str]:
        """What is pinned and tied, in words by parameter."""
        pins = self.problem.pins
        if pins is None:
            return {}
        tied = {name: f"tied to {group[0]}" for group in pins.tied for name in group[1:]}
        return dict.fromkeys(pins.fixed, "pinned") | tied

    def held_record(self) -> dict[str, Any]:
        """Return what was pinned, tied, bounded and weighted, as values for JSON; empty where nothing was."""
        problem, out = self.problem, {}
        if problem.pins is not None:
            out = {"fixed": problem.pins.fixed, "tied": problem.pins.tied, "limits": problem.pins.limits}
        return {name: value for name, value in out.items() if value} | (
            {} if problem.weights is None else {"weights": problem.weights}
        )

    def to_json(self) -> str:
        """Return the fit and its points as one JSON object; null is infinity: of delta, or an overflown parameter."""
        record: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "problem"}
        record["lack_of_fit"] = None if self.lack_of_fit is None else asdict(self.lack_of_fit)
        record |= self.held_record()
        return dumps({"schema": SCHEMA} | record | {"law": self.law.name, "x": self.x, "L": self.L})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the fit that `to_json` wrote; ValueError if a later version wrote it or its law is unknown here."""
        record = unversioned(json.loads(text), known=SCHEMA)
        law = law_named(record["law"])
        x = {name: np.array(column) for name, column in record.pop("x").items()}
        test = record.get("lack_of_fit")  # files of the first schema have none
        if test is not None:
            F = math.inf if test["F"] is None else test["F"]
            test = LackOfFit(**test | {"F": F, "df": tuple(test["df"])})
        weights, limits = record.pop("weights", None), record.pop("limits", None)
        held: Any = {
            "weights": None if weights is None else np.array(weights), "fixed": record.pop("fixed", None),
            "tied": tuple(map(tuple, record.pop("tied", ()))),
            "limits": limits and {name: tuple(ends) for name, ends in limits.items()},
        }  # fmt: skip
        for name in ("theta", "start"):
            record[name] = {key: math.inf if value is None else value for key, value in record[name].items()}
        record |= {
            "law": law,
            "status": Status(record["status"]),
            "delta": math.inf if record["delta"] is None else record["delta"],
            "at_bound": tuple(record["at_bound"]),
            "correlations": tuple(map(tuple, record["correlations"])),
            "intervals": record["intervals"] and {name: tuple(ends) for name, ends in record["intervals"].items()},
            "lack_of_fit": test,
            "problem": Problem.of(law, x, np.array(record.pop("L")), record["residual"], **held),
        }
        return cls(**record)


def law_named(name: str) -> Law:
    """Return the law of a file, by its name."""
    if name not in LAWS:
        raise ValueError(f"law {name!r} is unknown here; choose one of {', '.join(LAWS)}")
    return LAWS[name]


def fit(
    law: Law, *, L: ArrayLike, residual: Residual = "log", delta: float | None = None,
    fix: Mapping[str, float] | None = None, tie: Iterable[str] | Iterable[Iterable[str]] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None, weights: ArrayLike | None = None,
    se: ArrayLike | None = None, **variables: ArrayLike | None,
) -> Fit:  # fmt: skip
    """Return the best fit of ``law`` to the points; no starting values are needed.

    >>> from scalinglaws.laws import power_floor
    >>> x = np.geomspace(1e4, 1e8, 9)
    >>> found = fit(power_floor, x=x, L=1.7 + 400 * x**-0.34)
    >>> found.status, round(found.theta["alpha"], 9)
    (<Status.OK: 'ok'>, 0.34)

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
        95% as efficient as least squares where noise is Gaussian, and little moved by outliers. ``math.inf`` is least
        squares. Hoffmann et al. 2022 used 1e-3, which on their runs is close to least absolute deviations.
    fix : mapping, optional
        Values of parameters that are not to be fitted, in the units of the points: ``{"E": 1.6}``.
    tie : iterable of str, or of such, optional
        Parameters of one kind that are to be equal: ``("alpha", "beta")``.
    bounds : mapping, optional
        Lowest and highest value of a parameter: ``{"alpha": (0.2, 0.4)}``; of a floor, an exponent, or k of `coupled`.
    weights, se : array_like [n], optional
        One of the two: how much the square of each residual counts, or the standard error of each loss, in the unit of
        L, which is a weight of 1 / se². Only their ratios matter. ``delta`` is then for residuals times the root of
        their weight, which is 1 on average.
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
    held = {"fixed": dict(fix or {}), "tied": groups(tie), "limits": dict(bounds or {})}
    n_free = len(law.parameters) - len(held["fixed"]) - sum(len(group) - 1 for group in held["tied"])
    given, losses = _checked_points(law, _by_letter(law, variables), L, n_free)
    problem = Problem.of(law, given, losses, residual, weights=_weights(weights, se, losses, residual), **held)
    start = None
    if losses.size > MANY_POINTS:
        some = np.random.default_rng(0).choice(losses.size, MANY_POINTS, replace=False)
        _, u, value, _ = search(problem.only(some), delta)
        start = u[[np.argmin(value)]]
    return report(problem, *search(problem, delta, start))


def search(problem: Problem, delta: float | None, starts: Array | None = None) -> tuple[Array, Array, Array, float]:
    """Return starting points [S, p], the optima [S, p] they lead to, the objectives [S], and Huber's threshold."""
    if starts is None:
        starts = problem.law.starts(problem.logs, problem.y)
        starts = starts if problem.pins is None else np.unique(starts[:, problem.pins.free], axis=0)
    u = starts
    w = np.ones((len(starts), problem.y.size))
    if delta is None:
        threshold = WIDE_DELTAS[0]
        for _ in range(2):  # the first fit gives the scale of the noise, the second a better one
            u, value, _ = newton(problem, u, w, threshold)
            threshold = _noise_threshold(problem.misfit(problem.predicted(u[[np.argmin(value)]])))
    else:
        threshold = delta / problem.residual_unit
        for wide in WIDE_DELTAS:
            if wide > threshold:
                u = newton(problem, u, w, wide)[0]
    u, value, _ = newton(problem, u, w, threshold)
    return starts, u, value, threshold


def _noise_threshold(residuals: Array) -> float:
    """Huber's threshold from the spread of the residuals, which outliers do not move."""
    deviation = np.median(np.abs(residuals - np.median(residuals)))
    return HUBER_SIGMAS * max(MAD_TO_SIGMA * float(deviation), LEAST_SIGMA)


def report(problem: Problem, starts: Array, u: Array, value: Array, threshold: float) -> Fit:
    """Return the best of the optima u [S, p], examined; all as `search` returns them."""
    n = problem.y.size
    agree = value <= value.min() * (1 + 1e-9) + 1e-28 * n
    law, best = problem.law, int(np.argmax(agree))  # the first: starts come best first
    optimum = u[[best]]
    objective, gradient, hessian = problem.evaluate(optimum, np.ones((1, n)), threshold)
    low, high = problem.bounds
    model = Quadratic.of(optimum, gradient, hessian, low, high)
    inside = (optimum[0] > low + 1e-9) & (optimum[0] < high - 1e-9)
    singular = np.linalg.svd(problem.jacobian(optimum[0])[:, inside], compute_uv=False)
    condition = float(min(singular[0] / max(singular[-1], 1e-300), 1 / np.finfo(float).eps))

    with np.errstate(over="ignore"):
        theta, start = (
            dict(zip(law.parameters, law.theta(problem.decenter(u)).tolist(), strict=True))
            for u in (optimum[0], starts[best])
        )
    overflown = [name for name, value in theta.items() if not math.isfinite(value)]
    limits = {} if problem.pins is None else problem.pins.limits
    bounds = {
        name: f"{name} at {theta[name]:.4g}: "
        + (
            "a limit that was given"
            if name in limits
            else law.bound_words(name, lowest=bool(optimum[0, j] <= low[j] + 1e-9))
        )
        for j, name in enumerate(problem.free)
        if not inside[j]
    }
    status = Status.ILL_CONDITIONED
    if condition > MAX_CONDITION:
        unusable = f"condition {condition:.4g} is above {MAX_CONDITION:.4g}"
        message = "; ".join(["the points do not determine the parameters", unusable, *bounds.values()])
    elif overflown:
        message = f"{', '.join(overflown)} overflows: count the loss in a unit that brings it near 1"
    elif not (model.convex[0] and model.decrement[0] <= CERTIFIED * decrement_goal(objective, n)[0]):
        status = Status.NOT_CERTIFIED
        message = f"no optimum found: the Newton decrement is still {model.decrement[0]:.4g}"
    elif bounds:
        status, message = Status.AT_BOUND, "certified, with " + "; ".join(bounds.values())
    else:
        status = Status.OK
        message = "certified: the gradient vanishes and the curvature is positive, inside all bounds"

    unit = problem.residual_unit
    found = Fit(
        law=law, theta=theta, status=status, message=message, residual=problem.residual, delta=threshold * unit,
        value=float(objective[0]) * unit**2, start=start, n_starts=len(starts), n_starts_agree=int(agree.sum()),
        n_points=n, at_bound=tuple(bounds), gradient_norm=float(np.abs(gradient[0, inside]).max()),
        newton_decrement=float(model.decrement[0]), condition=condition,
        correlations=_correlations(problem, optimum[0], hessian[0], inside) if status in USABLE else (),
        residual_rms=float(np.sqrt(np.mean(np.log(problem.y / problem.predicted(optimum)) ** 2))),
        lack_of_fit=lack_of_fit(problem, optimum[0], threshold) if status in USABLE else None, problem=problem,
    )  # fmt: skip
    if not found.misfit:
        return found
    if status is Status.AT_BOUND:  # the graver of the two
        return replace(found, message=f"{message}; {found.misfit}")
    return replace(found, status=Status.MISFIT, message=f"{found.misfit}; the optimum is certified")


def _correlations(
    problem: Problem, u: Array, hessian: Array, inside: NDArray[np.bool_]
) -> tuple[tuple[str, str, float], ...]:
    """Correlations of the parameters that are inside their bounds, from the curvature, strongest first."""
    small = 1e-6 * np.eye(u.size)
    to_points = (problem.decenter(u + small) - problem.decenter(u - small)) / 2e-6  # [q, p], from centered coordinates
    to_points = to_points if problem.pins is None else to_points[:, problem.pins.free]
    free = np.ix_(inside, inside)
    factor = np.linalg.inv(np.linalg.cholesky(hessian[free])) @ to_points[free]  # [q, q]
    factor /= np.linalg.norm(factor, axis=0)
    both = combinations(enumerate(np.array(problem.free)[inside].tolist()), 2)
    pairs = [(one, other, float(factor[:, i] @ factor[:, j])) for (i, one), (j, other) in both]
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


def _weights(weights: ArrayLike | None, se: ArrayLike | None, L: Array, residual: Residual) -> Array | None:
    """Weights [n] of squared residuals, 1 on average, of weights or of standard errors in the unit of L."""
    if weights is not None and se is not None:
        raise ValueError("give weights or se, not both: a standard error is a weight of 1 / se²")
    if weights is None and se is None:
        return None
    name, given = ("weights", weights) if se is None else ("se", se)
    columns = checked_columns({name: given, "L": L})  # type: ignore[dict-item]
    found = columns[name] if se is None else ((L if residual == "log" else 1.0) / columns[name]) ** 2
    return found / found.mean()


def _checked_points(law: Law, x: Mapping[str, ArrayLike], L: ArrayLike, p: int) -> tuple[dict[str, Array], Array]:
    """Columns of positive numbers, enough of them for p parameters, and varied enough for the law."""
    columns = checked_columns({**x, "L": L})
    losses = columns.pop("L")
    if losses.size <= p:
        raise FitError(f"{losses.size} points for the {p} parameters of {law.name}; it needs at least {p + 1}")
    for name, column in columns.items():
        distinct, needed = np.unique(column), law.least_sizes[name]
        if distinct.size < needed:
            values = ", ".join(f"{value:.4g}" for value in distinct)
            raise FitError(f"{name} takes {distinct.size} value ({values}); {law.name} needs {needed}: vary {name}")
    places = len(np.unique(np.stack(list(columns.values())), axis=1).T)
    if places < p:
        raise FitError(f"{places} distinct points for {p} parameters of {law.name}; repeats do not count, add sizes")
    varied = [name for name in columns if law.least_sizes[name] > 1]  # others may well be constant
    for one, other in combinations(varied, 2):
        a, b = (np.log(columns[name]) - np.log(columns[name]).mean() for name in (one, other))
        slope = (a @ b) / (a @ a)
        off_line = np.sqrt(np.mean((b - slope * a) ** 2))
        if slope > 0 and off_line < MIN_OFF_LINE:
            how_near = f"to {100 * off_line:.2g}%" if off_line > 1e-9 else "exactly"
            raise FitError(
                f"{other} follows {one} ({other} ∝ {one}^{slope:.4g}, {how_near}), so that their terms "
                f"cannot be told apart; vary {other} at fixed {one}"
            )
    return columns, losses


def checked_columns(given: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return columns of positive, finite numbers of one length as arrays [n]; `FitError` names what is not."""
    columns = {name: _checked_column(name, values) for name, values in given.items()}
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        lengths = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise FitError(f"columns differ in length: {lengths}; pass one value per run in each")
    return columns


def _checked_column(name: str, values: ArrayLike) -> Array:
    """A column of positive, finite numbers as an array; the error names the first row that holds another."""
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
