"""Compute-optimal sizes from runs: the three approaches of Hoffmann et al. 2022, and variable projection.

All work on columns of runs: C (FLOPs), N (parameters), D (tokens), L (nats per token), in a counting of your choice.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import gammaincinv

from scalinglaws.counting import FLOPS_PER_PARAM_TOKEN, per_param_token, tokens_6nd
from scalinglaws.files import dumps, unversioned
from scalinglaws.laws.catalogue import chinchilla, power_floor
from scalinglaws.laws.fit import SCHEMA, Fit, FitError, checked_columns, fit
from scalinglaws.laws.newton import Residual, newton
from scalinglaws.laws.shown import Shown
from scalinglaws.laws.valleys import Budget, Curve, Envelope, IsoFLOPs, LowestSizes, Optima, Refusal, lowest

__all__ = [
    "Budget", "Frontier", "Refusal", "Resampled", "approach1", "approach2", "approach3", "isoflop_bias",
    "variable_projection",
]  # fmt: skip

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
LEAST_SIZES = 3  # on one budget, to see a minimum at all
ENVELOPE_POINTS = 1500  # along ln C: Hoffmann et al. 2022, section 3.1
REDRAWN_POINTS = 500  # of the envelope, for its intervals: by so many the exponent moves by less than 0.01
ENVELOPE_REACH = 2.0  # a best size counts if others on both sides, so many times off, are worse
TOLERANCE = 0.1  # in ln C: runs of one budget; budgets are usually a factor of 2 or more apart
TELLING_BIAS = 0.01  # in ln N: a smaller bias of a parabola gives no warning
EXPONENTS = (1e-3, 5.0)  # alpha and beta, as the general fitter bounds them
SAME_PRODUCT = 0.1  # 6 N D off C by more than this share: they are counted differently, or a column is wrong
TELLING_DRIFT = 0.01  # of C/(N D), as an exponent of C: by so much a + b is not 1
PRIOR_FREEDOM = 1  # as how many degrees of freedom the runs' own noise counts, beside the scatter of the optima


@dataclass(frozen=True, kw_only=True)
class Frontier(Shown):
    """Power laws N = N_scale C^a and D = D_scale C^b through the optima of several budgets; see `approach2`."""

    source: str  # "approach 1" or "approach 2"
    a: float
    b: float
    N_scale: float
    D_scale: float
    C: Array  # [m], of the optima that the power laws are fitted to
    N: Array  # [m]
    D: Array  # [m]
    L: Array  # [m]
    budgets: tuple[Budget, ...]  # all, also the refused ones
    bias: float | None  # of ln N_opt by the shape of a parabola; None where that is not known or does not apply
    warnings: tuple[str, ...]
    counting: Mapping[str, float] | None = None  # of the runs: "median" of C/(N D), and its "drift" as C^drift
    intervals: Mapping[str, tuple[float, float]] | None = None  # see `Resampled.attach`
    level: float | None = None  # of the intervals
    points: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)  # what `approach1` or 2 was given
    optima: Optima | Envelope | None = field(default=None, repr=False, compare=False)  # to be resampled

    def optimum(self, C: ArrayLike) -> tuple[Array, Array]:
        """Return N and D [...] for budgets C [...], on the two power laws."""
        C = np.asarray(C, float)
        return self.N_scale * C**self.a, self.D_scale * C**self.b

    @cached_property
    def of_loss(self) -> Fit | None:
        """L = E + A/C^alpha through the optima, by least squares; None of fewer than four, or where untold."""
        try:
            return fit(power_floor, x=self.C, L=self.L, delta=math.inf).checked()
        except FitError:
            return None

    def loss(self, C: ArrayLike) -> Array:
        """Return the loss at the optima of budgets C [...], by `of_loss`; nan where there is none."""
        C = np.asarray(C, float)
        return np.full(C.shape, np.nan) if self.of_loss is None else self.of_loss.predict(x=C)

    def bootstrap(self, *, n: int = 999, seed: int) -> "Resampled":
        """Return n frontiers through resampled optima, for intervals of anything computed from a frontier.

        Runs are resampled: each budget's losses become its fitted curve with residuals drawn from those of all budgets,
        and every optimum is found again. How far the optima then move is not all: they may also scatter around the
        power law by more than the runs' noise. So the moves are multiplied by s/x, with s² the scatter of the budgets
        around the power law over that of the draws, and x² drawn from chi-squared over its degrees of freedom: what
        Student's t does for a line through few points. The runs' own noise counts in s as `PRIOR_FREEDOM` degrees. The
        best sizes of `approach1` without curves move by the steps between sizes at the least, and by noise besides, so
        that there s/x is never below 1.
        Training curves are drawn whole, with replacement, and their envelope is found again.

        Of 400 simulated sets at 5 and at 9 budgets of seven sizes, with 0.3 and 1% of noise, with and without optima
        that scatter besides, 95% intervals of a, N_opt and D_opt held in 92.8 to 97.5%, of the loss at ten times the
        largest budget in 93.5 to 99.2% (`benchmarks/optima.py`). Budgets drawn with replacement, at 0.3%, hold in 88 to
        90%, runs drawn alone in 48 to 94%. Those of approach 1 without curves held in 92 to 97%, of the loss in 82 to
        94%: the least of noisy losses is low.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Of the resampling.

        Raises
        ------
        FitError
            If there is nothing to resample: optima read from a file without the runs, or two budgets with no more runs
            than the curve has coefficients.
        """
        if self.optima is None:
            raise FitError(f"{self.source}: the runs are not at hand, so that they cannot be resampled; fit them again")
        if isinstance(self.optima, Envelope):
            return self._redrawn(self.optima, n, seed)
        prior = np.minimum(self.optima.freedom, PRIOR_FREEDOM)
        if self.C.size == 2 and not (prior[0] or self.optima.least):
            raise FitError("two budgets with no more sizes than a curve needs show no scatter; add sizes or budgets")
        rng = np.random.default_rng(seed)
        moved, rank = self.optima.draws(rng, n), rng.random(n)
        x, w = np.log(self.C), np.array([budget.weight for budget in self.budgets if budget.refused is None])
        line, found = np.stack([np.ones_like(x), x], axis=1), {}
        for k, (name, values) in enumerate({"a": self.N, "b": self.D}.items()):
            left = np.log(values / self.optimum(self.C)[k])
            logs = np.log(values) + _sized(moved[k], left, line, w, prior[k], rank, self.optima.least)
            intercept, found[name] = least_squares_line(x, logs, w)
            with np.errstate(over="ignore"):  # of few budgets some resamples lie far off
                found["ND"[k] + "_scale"] = np.exp(intercept)
        return Resampled(frontier=self, seed=seed, loss_law=self._losses(moved[2], prior[2], rank), **found)

    def _redrawn(self, envelope: Envelope, n: int, seed: int) -> "Resampled":
        """Frontiers under the envelopes of as many curves, drawn with replacement."""
        logs, counts = envelope.draws(np.random.default_rng(seed), n)
        enough = counts.sum(axis=1) > 1
        if not enough.any():
            raise FitError("no resample of these curves has an envelope; train more sizes")
        (of_N, a), (of_D, b) = (least_squares_line(envelope.log_C, y[enough], counts[enough]) for y in logs)
        scales = {"N_scale": np.exp(of_N), "D_scale": np.exp(of_D)}
        return Resampled(frontier=self, seed=seed, a=a, b=b, loss_law=None, **scales)

    def _losses(self, moved: Array, prior: int, rank: Array) -> dict[str, Array] | None:
        """Loss laws through resampled optima, if there are more of these than a law has parameters and one to spare."""
        law = self.of_loss
        if law is None or self.C.size < 5:
            return None
        slopes, flat = law.problem.jacobian(law.centered[0][0]), np.ones_like(self.C)
        moved = _sized(moved, np.log(self.L / self.loss(self.C)), slopes, flat, prior, rank)
        start, w = np.tile(law.centered[0], (len(moved), 1)), np.ones(moved.shape)
        u, _, _ = newton(law.problem, start, w, math.inf, y=law.problem.y * np.exp(moved))
        return law.problem.theta(u)

    def summary(self) -> str:
        """Return a report of a few lines: warnings first, then the laws, then every budget."""
        lines = [f"{self.source}: N = {self.N_scale:.5g} C^{self.a:.5g}, D = {self.D_scale:.5g} C^{self.b:.5g}"]
        lines[:0] = [f"warning: {text}" for text in self.warnings]
        for name, (low, high) in (self.intervals or {}).items():
            lines.append(f"  {name:<2} {getattr(self, name):.5g}  {100 * (self.level or 0):g}% {low:.5g} to {high:.5g}")
        if self.counting:
            lines.append(f"  C/(N D) {self.counting['median']:.5g} (median), drifts as C^{self.counting['drift']:+.3f}")
        for budget in self.budgets:
            found = f"N_opt {budget.N_opt:.5g}  L_opt {budget.L_opt:.5g}"
            if math.isfinite(budget.N_error):
                found = f"N_opt {budget.N_opt:.5g} ± {budget.N_error:.1%}  L_opt {budget.L_opt:.5g}"
            if budget.status != "ok":
                found += f"  {budget.status}, weight {budget.weight:.2g}"
            found = budget.message if budget.refused else found
            lines.append(f"  C {budget.C:.5g}  {budget.n_points:>4} points  {found}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the values that `to_json` writes; what 'scalinglaws fit --json' prints has them among others."""
        names = ("a", "b", "N_scale", "D_scale", "bias", "intervals", "level", "points")
        own = {name: getattr(self, name) for name in names} | {"loss_law": self.of_loss and self.of_loss.theta}
        optima = [dict(zip("CNDL", row, strict=True)) for row in zip(self.C, self.N, self.D, self.L, strict=True)]
        lists = {"optima": optima, "warnings": self.warnings, "counting": {"C/ND": self.counting}}
        lists |= {"budgets": [asdict(budget) | {"status": budget.status} for budget in self.budgets]}
        return {"schema": SCHEMA, "law": self.source} | own | lists

    def to_json(self) -> str:
        """Return the frontier as one JSON object; null is a number that is not there."""
        return dumps(self.record())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the frontier of `to_json` or 'scalinglaws fit --json'; ValueError if a later version wrote it."""
        record = unversioned(json.loads(text), known=SCHEMA)
        read: dict[str, Any] = {name: float(record[name]) for name in ("a", "b", "N_scale", "D_scale")}
        read |= {letter: np.array([row[letter] for row in record["optima"]], float) for letter in "CNDL"}
        read |= {name: record.get(name) for name in ("bias", "level", "points")}  # older files lack some
        if record.get("intervals"):
            read["intervals"] = {name: (low, high) for name, (low, high) in record["intervals"].items()}
        if points := read["points"]:
            again = {"approach 1": approach1, "approach 2": approach2}[record["law"]](**points)
            read["optima"], read["points"] = again.optima, again.points
        return cls(
            source=record["law"], budgets=tuple(map(_from_null, record.get("budgets", ()))),
            counting=record.get("counting", {}).get("C/ND"), warnings=tuple(record["warnings"]), **read,
        )  # fmt: skip


def _from_null(budget: dict[str, Any]) -> Budget:
    """A budget from its JSON."""
    own: dict[str, Any] = {name: math.nan if value is None else value for name, value in budget.items()}
    own.pop("status", None)  # older files have none
    refused, coefficients = budget["refused"], tuple(budget["coefficients"])
    return Budget(**own | {"refused": refused and Refusal(refused), "coefficients": coefficients})


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Frontiers through resampled optima, one for each resample; made by `Frontier.bootstrap`."""

    frontier: Frontier
    seed: int
    a: Array  # [n]
    b: Array  # [n]
    N_scale: Array  # [n]
    D_scale: Array  # [n]
    loss_law: Mapping[str, Array] | None  # parameters [n]; None of fewer than five optima

    def optimum(self, C: ArrayLike) -> tuple[Array, Array]:
        """Return N and D [n, ...] for budgets C [...], on the power laws of each resample."""
        C, one = np.asarray(C, float), (-1, *np.ones(np.ndim(C), int))
        a, b, N_scale, D_scale = (getattr(self, name).reshape(one) for name in ("a", "b", "N_scale", "D_scale"))
        with np.errstate(over="ignore", divide="ignore"):  # in logarithms, since of few budgets some lie far off
            return np.exp(np.log(N_scale) + a * np.log(C)), np.exp(np.log(D_scale) + b * np.log(C))

    def loss(self, C: ArrayLike) -> Array:
        """Return the loss at the optima [n, ...] of budgets C [...]; nan of fewer than five optima."""
        if self.loss_law is None:
            return np.full((self.a.size, *np.shape(C)), np.nan)
        return power_floor.value(self.loss_law, C)

    def interval(self, of: "str | Callable[[Resampled], Array]", *, level: float = 0.95) -> tuple[Array, Array]:
        """Return the ends of the percentile interval of a quantity.

        Parameters
        ----------
        of : str or callable
            "a", "b", "N_scale" or "D_scale"; or a function from the resamples to an array [n, ...].
        level : float
            Probability that the interval is meant to hold.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level:.4g}; it must lie between 0 and 1, such as 0.95")
        values = getattr(self, of) if isinstance(of, str) else of(self)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def attach(self, *, level: float = 0.95) -> Frontier:
        """Return the frontier with intervals of a and b."""
        ends = {name: self.interval(name, level=level) for name in "ab"}
        intervals = {name: (float(low), float(high)) for name, (low, high) in ends.items()}
        return replace(self.frontier, intervals=intervals, level=level)


def _sized(moved: Array, left: Array, columns: Array, w: Array, prior: int, rank: Array, least: bool = False) -> Array:
    """Moves [n, m] of m values, made as large as the values' own scatter ``left`` [m] around a linear law asks for.

    See `Frontier.bootstrap`; ``columns`` [m, p] are the law's, w [m] the weights, rank [n] that of x² in its
    distribution. With ``least`` no move is made smaller. The spread of the moves is half of what lies between their
    16th and 84th percentiles, since their tails are long.
    """
    freedom = columns.shape[0] - columns.shape[1]
    spread = np.diff(np.quantile(moved, [0.16, 0.84], axis=0), axis=0)[0] / 2
    if freedom < 1 or not spread.any():  # nothing around the law, or no noise
        return moved
    basis, _ = np.linalg.qr(np.sqrt(w)[:, None] * columns)
    expected = float((w * spread**2) @ (1 - (basis**2).sum(axis=1)))  # weighted squares around the law
    scatter = prior + freedom * float(w @ left**2) / expected
    size = np.sqrt(scatter / (2 * gammaincinv((prior + freedom) / 2, rank)))
    return moved * (np.maximum(size, 1.0) if least else size)[:, None]


def approach1(
    *, C: ArrayLike, N: ArrayLike, L: ArrayLike, D: ArrayLike | None = None, run: ArrayLike | None = None,
    last: float = 0.15, tolerance: float = TOLERANCE,
) -> Frontier:  # fmt: skip
    """Return the frontier under the envelope of training runs: the size that has the least loss for each compute.

    Hoffmann et al. 2022, section 3.1 and footnote 4 (the last 15% of a run).

    >>> C, N = [1e18, 1e18, 1e18, 1e20, 1e20, 1e20], [1e7, 1e8, 1e9, 1e8, 1e9, 1e10]
    >>> found = approach1(C=C, N=N, L=[3.2, 3.0, 3.1, 2.4, 2.2, 2.3])
    >>> round(found.a, 9)
    0.5

    Parameters
    ----------
    C, N, L : array_like [n]
        Training FLOPs so far, parameters and loss: readings along training curves, or one per run.
    D : array_like [n], optional
        Tokens; left out, C / 6N.
    run : array_like [n], optional
        Label of the training curve that a reading belongs to. Left out, every point is a run at its end.
    last : float
        Share of a curve, in compute, from which readings are taken: earlier, its learning rate is still high, and the
        loss is above that of a run made to end there.
    tolerance : float
        In ln C; without curves, runs within it of the next share a budget.

    Returns
    -------
    Frontier
        With curves, a point for every compute at which three sizes or more can be compared; without, one per budget. A
        point whose best size is the least or the largest at hand is refused: the envelope lies beyond. With curves,
        sizes of half and of twice the best must be at hand as well. D_opt is the tokens of the best run. Intervals by
        `Frontier.bootstrap` take each best size to stand for all up to half way to its neighbors; with curves they are
        from resampled curves, without the loss.

    Raises
    ------
    FitError
        If fewer than two points are left, with the reasons, or a column is not positive and finite.
    """
    columns = _columns(C=C, N=N, L=L, D=D)
    if not 0 < last <= 1:
        raise ValueError(f"last is {last:.4g}; it is a share of a run, such as 0.15")
    if run is not None:
        curves = _near_ends(columns, np.asarray(run), last)
        found = _frontier("approach 1", columns, _envelope(curves, ENVELOPE_POINTS), None, ())
        return replace(found, optima=_read(curves, REDRAWN_POINTS))
    groups = [{letter: columns[letter][rows] for letter in "CNDL"} for rows in _budgets(columns["C"], tolerance)]
    budgets = [_best_size(float(np.log(of["C"]).mean()), of["N"], of["D"], of["L"]) for of in groups]
    found = _frontier("approach 1", columns, budgets, None, ())
    kept = [(of["N"], of["D"], of["L"]) for of, budget in zip(groups, budgets, strict=True) if budget.refused is None]
    return replace(found, optima=LowestSizes.of(kept), points=columns | {"tolerance": tolerance})


def approach2(
    *, C: ArrayLike, N: ArrayLike, L: ArrayLike, D: ArrayLike | None = None, degree: int = 2,
    tolerance: float = TOLERANCE, surface: Fit | Mapping[str, float] | None = None,
) -> Frontier:  # fmt: skip
    """Return the frontier through the minima of isoFLOP curves: loss against ln N at one budget, and a polynomial.

    Hoffmann et al. 2022, section 3.2; Czech et al. 2026 for the bias.

    >>> C, N = [1e18, 1e18, 1e18, 1e20, 1e20, 1e20], [1e7, 1e8, 1e9, 1e8, 1e9, 1e10]
    >>> found = approach2(C=C, N=N, L=[3.1, 3.0, 3.1, 2.3, 2.2, 2.3], surface={"alpha": 0.35, "beta": 0.35})
    >>> round(found.a, 9)
    0.5
    >>> print(found.summary())
    warning: two budgets only: the power laws go through both points, whatever their noise
    approach 2: N = 0.1 C^0.5, D = 1.6667 C^0.5
      C/(N D) 6 (median), drifts as C^+0.000
      C 1e+18     3 points  N_opt 1e+08  L_opt 3
      C 1e+20     3 points  N_opt 1e+09  L_opt 2.2

    Parameters
    ----------
    C, N, L, D, tolerance
        As for `approach1` without curves. D_opt is the vertex of a parabola of its own, in ln D: C / (N D) need not be
        the same for all sizes, and b is then not 1 - a. ``Frontier.counting`` has its median and its drift with C.
    degree : int
        2, a parabola, or 4. Where alpha is larger than beta the loss is steeper towards small sizes. A parabola is
        symmetric, so its minimum is then off.
    surface : Fit or mapping, optional
        Anything with an alpha and a beta, from which the bias of the parabola on these sizes is calculated. It is
        reported and not removed.

    Returns
    -------
    Frontier
        Its ``budgets`` say which are refused: fewer sizes than the polynomial needs, a curve that opens downward or has
        no curvature beyond the noise, or a minimum beyond the sizes. Those with two sizes and more on either side of
        the minimum count alike in the power laws; a minimum between the last two sizes, or of a curve that is hardly
        one, counts less by its standard error. The noise is what all curves leave over, as a share of the loss.

    Raises
    ------
    FitError
        If fewer than two budgets are left, with the reasons, or a column is not positive and finite.
    """
    if degree not in (2, 4):
        raise ValueError(f"degree is {degree!r}; choose 2, a parabola, or 4")
    columns = _columns(C=C, N=N, L=L, D=D)
    groups = list(_budgets(columns["C"], tolerance))
    fitted = [_curves(columns, rows, degree) for rows in groups]
    isoflops = IsoFLOPs.of([curves for curves in fitted if not isinstance(curves, str)])
    budgets = _weighted([_minimum(columns, rows, each, isoflops) for rows, each in zip(groups, fitted, strict=True)])
    kept = [(rows, each.N_opt) for rows, each in zip(groups, budgets, strict=True) if each.refused is None]
    offsets = [np.log(columns["N"][rows] / N_opt) for rows, N_opt in kept]  # sizes of each budget from its optimum
    bias, warnings = _bias(offsets, surface) if degree == 2 and offsets else (None, ())
    found = _frontier("approach 2", columns, budgets, bias, warnings)
    chosen = [each.refused is None for each, curves in zip(budgets, fitted, strict=True) if not isinstance(curves, str)]
    return replace(
        found, warnings=(*found.warnings, *_drift(offsets)), optima=isoflops.only(chosen),
        points=columns | {"degree": degree, "tolerance": tolerance},
    )  # fmt: skip


def _bias(offsets: Sequence[Array], surface: Fit | Mapping[str, float] | None) -> tuple[float | None, tuple[str, ...]]:
    """Mean error of ln N_opt by the shape of a parabola, and a warning if it is unknown or large."""
    if surface is None:
        return None, ("the bias of a parabola is unknown: pass surface=, with an alpha and a beta, to size it",)
    theta = surface.theta if isinstance(surface, Fit) else surface
    if not {"alpha", "beta"} <= theta.keys():
        raise ValueError(f"surface has {', '.join(theta)}; give one with an alpha and a beta, or leave it out")
    bias = float(np.mean([_vertex_bias(each, theta["alpha"], theta["beta"]) for each in offsets]))
    if not abs(bias) > TELLING_BIAS:
        return bias, ()
    return bias, (
        f"a parabola on these sizes puts N_opt off by about {100 * math.expm1(bias):+.2g}% "
        f"(alpha {theta['alpha']:.4g}, beta {theta['beta']:.4g}); use degree=4, or approach 3",
    )


def isoflop_bias(N: ArrayLike, *, alpha: float, beta: float) -> float:
    r"""Return the error of ln N_opt of a parabola through sizes ``N`` of one budget that are centered on its optimum.

    With :math:`u = \ln N - \langle\ln N\rangle`, :math:`(\alpha - \beta)/6 \cdot \langle u^4 \rangle / \langle u^2
    \rangle`: the least-squares line through a cubic. Leading order in the width, good to 5% up to 16 times either way.
    It does not hold for sizes off the center; `approach2` calculates with the sizes at hand. Budgets with the same
    offsets of their sizes have the same bias, which then moves the power law and not its exponent.
    """
    u = np.log(np.asarray(N, float))
    u = u - u.mean()
    return float((alpha - beta) / 6 * np.mean(u**4) / np.mean(u**2))


def _vertex_bias(offsets: Array, alpha: float, beta: float) -> float:
    """The error of ln N_opt of a parabola through ln N - ln N_opt as found: that at which it would be found there.

    On one budget the loss is, up to floor and scale, beta exp(-alpha v) + alpha exp(beta v) with v from the optimum.
    """
    if min(alpha, beta) <= 0:
        return math.nan  # no optimum to be off from
    bias, most = 0.0, float(np.ptp(offsets))
    for _ in range(20):
        v = offsets + bias
        curvature, slope, _ = np.polyfit(offsets, beta * np.expm1(-alpha * v) + alpha * np.expm1(beta * v), 2)
        bias = min(max(bias - slope / (2 * curvature), -most), most)
    return float(bias)


def approach3(
    *, N: ArrayLike, D: ArrayLike, L: ArrayLike, residual: Residual = "log", delta: float | None = None
) -> Fit:
    """Return the fit of Chinchilla's surface to runs, see `fit.fit`; its message says if N and D look swapped.

    Hoffmann et al. 2022, section 3.3, used delta=1e-3.
    """
    return _noting_a_swap(fit(chinchilla, L=L, residual=residual, delta=delta, N=N, D=D))


def variable_projection(*, N: ArrayLike, D: ArrayLike, L: ArrayLike) -> Fit:
    """Return the least-squares fit of raw losses by another method than the general fitter's: two unknowns, not five.

    For given exponents the best E, A and B are a linear problem. What is left is minimized over the exponents alone, by
    Gauss-Newton with the projection's own derivative (Golub & Pereyra 1973), from the best point of a coarse grid. The
    estimates replace the general fitter's in its `Fit`, which keeps its status and certificate. Where Gauss-Newton ends
    above the general fitter's objective, or outside of the law, that fit is returned as it is.

    Raises
    ------
    FitError
        If the points cannot be fitted, or variable projection finds a lower objective than the general fitter.
    """
    other = _noting_a_swap(fit(chinchilla, L=L, residual="raw", delta=math.inf, N=N, D=D))
    problem = other.problem
    terms = np.stack([np.zeros_like(problem.y), *problem.logs])  # [3, n], of the floor, N and D

    def basis(exponents: Array) -> Array:
        return np.exp(-np.array([0.0, *exponents])[:, None] * terms).T  # [n, 3]

    def residual(exponents: Array) -> Array:
        columns = basis(exponents)
        return problem.y - columns @ np.linalg.lstsq(columns, problem.y, rcond=None)[0]

    def jacobian(exponents: Array) -> Array:
        """Derivative [n, 2] of the projected residual: both terms of Golub & Pereyra's formula."""
        columns = basis(exponents)
        orthonormal, triangle = np.linalg.qr(columns)
        coefficients = np.linalg.solve(triangle, orthonormal.T @ problem.y)
        left = problem.y - columns @ coefficients
        slopes = -terms[1:].T * columns[:, 1:]  # [n, 2], each of its own column only
        moved = slopes * coefficients[1:]
        moved = moved - orthonormal @ (orthonormal.T @ moved)  # what no change of the coefficients can undo
        through = np.zeros((3, 2))
        through[[1, 2], [0, 1]] = slopes.T @ left
        return -(moved + orthonormal @ np.linalg.solve(triangle.T, through))

    grid = [(alpha, beta) for alpha in np.geomspace(0.05, 2, 16) for beta in np.geomspace(0.05, 2, 16)]
    start = min(grid, key=lambda pair: float((residual(np.array(pair)) ** 2).sum()))
    limits = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    exponents = least_squares(residual, start, jac=jacobian, bounds=EXPONENTS, **limits).x  # pyrefly: ignore
    rounding = 1e-14 * np.linalg.norm(problem.y)
    for _ in range(20):  # scipy stops where the sum of squares is flat to rounding; its slope is still known there
        further = exponents + np.linalg.lstsq(jacobian(exponents), -residual(exponents), rcond=None)[0]
        outside = not (EXPONENTS[0] <= further.min() and further.max() <= EXPONENTS[1])
        if outside or np.linalg.norm(residual(further)) > np.linalg.norm(residual(exponents)) + rounding:
            break
        exponents = further
    E, A, B = np.linalg.lstsq(basis(exponents), problem.y, rcond=None)[0]
    value = float((residual(exponents) ** 2).sum() / 2) * problem.residual_unit**2
    slack = 1e-6 * other.value + 1e-26 * float(other.L @ other.L)  # the second: rounding, where there is no noise
    if min(A, B) > 0 <= E and value < other.value - slack:
        raise FitError(f"variable projection found {value:.6g} where the general fitter found {other.value:.6g}")
    if min(A, B) <= 0 or E < 0 or value > other.value + slack:
        return other  # a scale or the floor is negative, or this is another valley
    u = problem.decenter(np.array([E, np.log(A), np.log(B), *exponents]))
    theta = dict(zip(chinchilla.parameters, chinchilla.theta(u).tolist(), strict=True))
    return replace(other, theta=theta, value=value)


def _columns(**given: ArrayLike | None) -> dict[str, Array]:
    """Columns of positive numbers of one length; tokens by 6 N D = C where they are not given."""
    columns = checked_columns({name: values for name, values in given.items() if values is not None})
    if not columns["C"].size:
        raise FitError("no runs; pass one value per run in C, N and L")
    if "D" not in columns:
        columns["D"] = tokens_6nd(columns["C"], columns["N"])
    return columns


def _budgets(C: Array, tolerance: float) -> Iterator[Rows]:
    """Rows of each budget, in order of C: a gap in ln C ends one."""
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance:.4g}; it is a difference in ln C, such as 0.1")
    order = np.argsort(C, kind="stable")
    logs = np.log(C[order])
    for rows in np.split(order, np.flatnonzero(np.diff(logs) > tolerance) + 1):
        spread = float(np.ptp(np.log(C[rows])))
        if spread > 3 * tolerance and rows.size > 1:
            raise FitError(
                f"C runs from {C[rows].min():.4g} to {C[rows].max():.4g} without a gap: these are no isoFLOP runs; "
                "use approach 3, or set a smaller tolerance"
            )
        yield rows


def _curves(columns: Mapping[str, Array], rows: Rows, degree: int) -> tuple[Curve, Curve] | str:
    """Polynomials in ln N and in ln D through the runs of a budget, or what is missing for them."""
    N, D, L = (columns[letter][rows] for letter in "NDL")
    for letter, values in (("sizes", N), ("token counts", D)):
        distinct = np.unique(values).size
        if distinct <= degree:
            return f"{distinct} {letter}, a polynomial of degree {degree} needs {degree + 1}"
    order = np.lexsort((L, N))  # sums in one order, whatever the order of rows
    of_N, of_D = (
        Curve(letter=letter, degree=degree, logs=np.log(values[order]), L=L[order])
        for letter, values in (("N", N), ("D", D))
    )
    return of_N, of_D


def _minimum(columns: Mapping[str, Array], rows: Rows, curves: tuple[Curve, Curve] | str, isoflops: IsoFLOPs) -> Budget:
    """The minimum of a budget's polynomials, or why there is none among its sizes."""
    budget = Budget.at(np.log(columns["C"][rows]).mean(), columns["N"][rows])
    if isinstance(curves, str):
        return budget.without(Refusal.TOO_FEW, curves)
    of_N, of_D = curves
    noise = isoflops.noise * float(of_N.L.mean())
    budget = replace(budget, coefficients=of_N.coefficients, curvature=of_N.curvature)
    for curve in curves:
        if trouble := curve.trouble(noise):
            return budget.without(*trouble)
    (error, bent), (of_tokens, _) = of_N.errors, of_D.errors
    return replace(
        budget, N_opt=of_N.optimum, D_opt=of_D.optimum, L_opt=of_N.least, N_error=noise * error,
        weight=(error * float(of_N.L.mean())) ** -2,
        D_error=noise * of_tokens, curvature_error=noise * bent, near_edge=of_N.between_last_two,
    )  # fmt: skip


def _weighted(budgets: list[Budget]) -> list[Budget]:
    """The budgets with their weights, from inverse squares of the errors that a loss off by 1 would make.

    Optima with two sizes and more on either side count alike, as in the papers. One near the edge, or of a curve that
    is hardly one, counts less by its square error in the largest of theirs.
    """
    kept = [budget for budget in budgets if budget.refused is None]
    certain = [budget.weight for budget in kept if budget.status == "ok"]
    full = min(certain) if certain else max((budget.weight for budget in kept), default=1.0)
    weights = [1.0 if budget.refused or budget.status == "ok" else budget.weight / full for budget in budgets]
    return [replace(budget, weight=min(1.0, weight)) for budget, weight in zip(budgets, weights, strict=True)]


def _best_size(log_C: float, N: Array, D: Array, L: Array) -> Budget:
    """The best size of a budget, if sizes on both sides of it are worse."""
    budget = Budget.at(log_C, N)
    if budget.n_sizes < LEAST_SIZES:
        return budget.without(Refusal.TOO_FEW, f"{budget.n_sizes} sizes, an envelope needs {LEAST_SIZES}")
    best = lowest(N, L)
    if N[best] in (N.min(), N.max()):
        side = "larger" if N[best] == N.max() else "smaller"
        return budget.without(Refusal.EDGE, f"the best size, {N[best]:.4g}, is the last; train {side} models")
    return replace(budget, N_opt=float(N[best]), D_opt=float(D[best]), L_opt=float(L[best]))


def _near_ends(columns: Mapping[str, Array], run: NDArray, last: float) -> list[dict[str, Array]]:
    """Logarithms of C, N, D and L of each training curve in its last part, with a reading before that if there is."""
    if run.shape != columns["C"].shape:
        raise ValueError(f"run has shape {run.shape}; give one label for each of {columns['C'].size} readings")
    missing = np.flatnonzero(pd.isna(run))
    if missing.size:
        raise FitError(f"run in row {missing[0]} is empty ({missing.size} such rows); label every reading with its run")
    curves = []
    for label in np.unique(run):
        rows = np.flatnonzero(run == label)
        if np.ptp(columns["N"][rows]) > 0:
            raise FitError(f"run {label!r} has readings of several sizes N; label each run on its own")
        rows = rows[np.argsort(columns["C"][rows], kind="stable")]
        curve = {letter: np.log(columns[letter][rows]) for letter in "CNDL"}
        start = curve["C"][-1] + math.log1p(-last) if last < 1 else -math.inf
        first = max(np.searchsorted(curve["C"], start) - 1, 0)  # before the window, to have a line up to its start
        curves.append(
            {letter: logs[first:] for letter, logs in curve.items()} | {"from": np.maximum(start, curve["C"][0])}
        )
    return curves


def _read(curves: list[dict[str, Array]], n_points: int) -> Envelope:
    """Curves at places of compute from the first to the last, from straight lines in logarithms."""
    begins, ends = (np.array(logs) for logs in zip(*((curve["from"], curve["C"][-1]) for curve in curves), strict=True))
    at = np.linspace(begins.min(), ends.max(), n_points)
    here = (begins <= at[:, None] + 1e-12) & (at[:, None] <= ends + 1e-12)
    D, L = (np.transpose([np.interp(at, curve["C"], curve[letter]) for curve in curves]) for letter in "DL")
    return Envelope(
        log_C=at, log_N=np.array([curve["N"][0] for curve in curves]), log_D=D, log_L=np.where(here, L, np.inf),
        reach=math.log(ENVELOPE_REACH),
    )  # fmt: skip


def _envelope(curves: list[dict[str, Array]], n_points: int) -> list[Budget]:
    """The best size at every compute at which curves are near their end."""
    read, found = _read(curves, n_points), []
    for k, at in enumerate(read.log_C):
        here = np.isfinite(read.log_L[k])
        if here.any():  # a run ends near here
            N, D, L = np.exp([read.log_N[here], read.log_D[k, here], read.log_L[k, here]])
            found.append(_well_inside(_best_size(float(at), N, D, L), N))
    return found


def _well_inside(budget: Budget, N: Array) -> Budget:
    """Refuse a best size next to the last: which of two neighbors is better depends on how near their ends they are."""
    if budget.refused is not None or ENVELOPE_REACH * N.min() <= budget.N_opt <= N.max() / ENVELOPE_REACH:
        return budget
    side = "larger" if ENVELOPE_REACH * budget.N_opt > N.max() else "smaller"
    return budget.without(Refusal.EDGE, f"the best size, {budget.N_opt:.4g}, is next to the last; train {side} models")


def _frontier(
    source: str, columns: Mapping[str, Array], budgets: list[Budget], bias: float | None, warnings: tuple[str, ...]
) -> Frontier:
    """Power laws through what was found on each budget."""
    kept = [budget for budget in budgets if budget.refused is None]
    refused = [budget for budget in budgets if budget.refused is not None]
    if len(kept) < 2:
        reasons = "; ".join(f"C {budget.C:.4g} {budget.message}" for budget in refused[:3])
        few = any(budget.refused is Refusal.TOO_FEW for budget in refused)
        raise FitError(
            f"{source}: {len(kept)} of {len(budgets)} budgets give an optimum, two are needed"
            + f": {reasons}" * bool(refused)
            + "; use approach 3, or widen the tolerance that puts runs on one budget" * few
        )
    names = ("C", "N_opt", "D_opt", "L_opt", "weight")
    C, N, D, L, w = (np.array([getattr(budget, name) for budget in kept]) for name in names)
    (log_N, a), (log_D, b) = (least_squares_line(np.log(C), np.log(values), w) for values in (N, D))
    counting = per_param_token(columns["C"], columns["N"], columns["D"])
    notes = list(warnings)
    if refused:
        first = f"C {refused[0].C:.4g}: {refused[0].message}"
        notes.append(f"{len(refused)} of {len(budgets)} budgets are refused; {first}")
    notes += _miscounted(counting)
    if len(kept) == 2:
        notes.append("two budgets only: the power laws go through both points, whatever their noise")
    return Frontier(
        source=source, a=float(a), b=float(b), N_scale=math.exp(log_N), D_scale=math.exp(log_D), C=C, N=N, D=D, L=L,
        budgets=tuple(budgets), bias=bias, warnings=tuple(notes), counting=counting,
    )  # fmt: skip


def _miscounted(counting: Mapping[str, float]) -> list[str]:
    """Warnings if C is not 6 N D, or another multiple of N D at small than at large budgets."""
    median, drift = counting["median"], counting["drift"]
    notes = []
    if abs(median / FLOPS_PER_PARAM_TOKEN - 1) > SAME_PRODUCT:
        notes.append(f"C is {median:.4g} N D (median), not 6 N D: check that all three count alike")
    if abs(drift) > TELLING_DRIFT:
        notes.append(
            f"C/(N D) drifts as C^{drift:.2g}: b is not 1 - a, and plans by 6 N D are others; count as these runs did"
        )
    return notes


def _drift(offsets: Sequence[Array]) -> tuple[str, ...]:
    """A warning if the middle of the sizes moves against the optimum over the budgets: that biases the exponent."""
    moved = float(np.ptp([each.mean() for each in offsets]))
    if moved < math.log(2):
        return ()
    return (
        f"the sizes drift against the optimum by a factor of {math.exp(moved):.2g} over the budgets, which biases the "
        "exponent, and narrower grids do not help: center each grid, or use approach 3",
    )


def least_squares_line(x: Array, y: Array, weights: ArrayLike = 1.0) -> tuple[Array, Array]:
    """Return intercept and slope [...] of the least-squares lines through points x [n], y [..., n]."""
    w = np.broadcast_to(np.asarray(weights, float), y.shape)
    w = w / w.sum(axis=-1, keepdims=True)
    u = x - np.vecdot(w, x)[..., None]
    slope = np.vecdot(w * u, y) / np.vecdot(w, u**2)
    return np.vecdot(w, y) - slope * np.vecdot(w, x), slope


def _noting_a_swap(found: Fit) -> Fit:
    """The fit, whose message says so if N and D look swapped."""
    if (found.x["D"] < found.x["N"]).all():
        return replace(found, message=f"{found.message}; every D is below its N: are the two columns swapped?")
    return found
