"""What a fit does not determine: undetermined directions, narrow ranges, strong correlations, a distant floor."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from scalinglaws.laws.fit import Fit
from scalinglaws.laws.newton import MAX_CONDITION
from scalinglaws.laws.shown import Shown

__all__ = ["Identifiability", "identifiability"]

STRONG_CORRELATION = 0.99
FEW_DECADES = 1.0  # over less than a factor of 10, many other curves look like a power law


@dataclass(frozen=True, kw_only=True)
class Identifiability(Shown):
    """What the points of a fit can tell and what they cannot."""

    condition: float  # of the Jacobian, in centered coordinates
    usable: bool  # whether the condition is at most `newton.MAX_CONDITION`
    correlations: tuple[tuple[str, str, float], ...]  # strongest first
    relative_errors: Mapping[str, float]  # standard error by the curvature over the estimate; empty if not usable
    findings: tuple[str, ...]  # sentences, the most serious first

    def summary(self) -> str:
        """Return the findings as text of a few lines."""
        verdict = "the points determine the parameters" if self.usable else "the points do not determine the parameters"
        return "\n".join([f"{verdict} (condition {self.condition:.5g})", *(f"  - {line}" for line in self.findings)])


def identifiability(fit: Fit) -> Identifiability:
    """Return condition, correlations, and in words what the points of any fit, also a refused one, cannot tell."""
    usable = fit.condition <= MAX_CONDITION
    errors = _relative_errors(fit) if usable and fit.correlations else {}
    findings = [*_undetermined(fit, usable), *_narrow_ranges(fit), *_uncertain(fit, errors), *_floor(fit)]
    return Identifiability(
        condition=fit.condition, usable=usable, correlations=fit.correlations, relative_errors=errors,
        findings=tuple(findings),
    )  # fmt: skip


def _undetermined(fit: Fit, usable: bool) -> Iterator[str]:
    """Parameters that can change without a change of the losses, and those at a bound or tightly correlated."""
    if not usable:
        jacobian = fit.problem.jacobian(fit.problem.center(fit.theta))
        _, singular, axes = np.linalg.svd(jacobian, full_matrices=False)
        free = singular <= max(singular[-1], singular[0] / MAX_CONDITION)  # the directions that no loss tells
        moves = np.linalg.norm(axes[free], axis=0)
        names = [name for name, size in zip(fit.problem.free, moves, strict=True) if size > 0.3 * moves.max()]
        yield f"{' and '.join(names)} can change without a change of any loss by more than round-off"
    yield from (f"{name} is at its bound: these points say nothing about it beyond that" for name in fit.at_bound)
    for one, other, r in fit.correlations:
        if abs(r) > STRONG_CORRELATION:
            yield f"{one} and {other} move together (correlation {r:+.4f}): quote predictions, not {one} alone"


def _narrow_ranges(fit: Fit) -> Iterator[str]:
    """Variables that span little, and pairs that vary together only."""
    for name, column in fit.x.items():
        span = column.max() / column.min()
        if fit.law.least_sizes[name] > 1 and np.log10(span) < FEW_DECADES:
            yield f"{name} spans a factor of {span:.3g}: too narrow to show a power law, widen it"
    for one, other in combinations(fit.x, 2):
        a, b = (np.log(fit.x[name]) for name in (one, other))
        if a.std() == 0 or b.std() == 0:
            continue
        r = float(np.corrcoef(a, b)[0, 1])
        if r < -0.999:
            yield f"{one} {other} is the same for all points: one budget tells where its optimum is, not how it moves"
        elif r > 0.95:
            yield f"{other} nearly follows {one} (correlation {r:.3f}): vary {other} at fixed {one}"


def _relative_errors(fit: Fit) -> dict[str, float]:
    """Standard error over estimate by the curvature, of every parameter inside its bounds."""
    u, delta = fit.centered
    noise = fit.problem.noise_variance(u, delta)
    _, _, hessian = fit.problem.evaluate(u, np.ones((1, fit.n_points)), delta)
    low, high = fit.problem.bounds
    held = ((u <= low) | (u >= high))[0]
    covariance = noise * np.linalg.pinv(np.where(held[:, None] | held, np.eye(held.size), hessian[0]), hermitian=True)
    errors = {}
    for name, value in fit.theta.items():
        if name in fit.problem.free and name not in fit.at_bound:
            slope = np.where(held, 0.0, fit.problem.slope(lambda theta, name=name: theta[name], u)[0, 0])
            errors[name] = float(np.sqrt(slope @ covariance @ slope) / abs(value))
    return errors


def _uncertain(fit: Fit, errors: Mapping[str, float]) -> Iterator[str]:
    """Parameters known to no better than half of their size."""
    for name, error in sorted(errors.items(), key=lambda item: -item[1]):
        if error > 0.5:
            yield f"{name} is {fit.theta[name]:.5g} give or take {100 * error:.3g}%"


def _floor(fit: Fit) -> Iterator[str]:
    """How far the points are above the floor that they are said to approach."""
    if fit.law.has_floor and fit.theta.get("E", 0.0) > 0:
        above = float(fit.L.min() / fit.theta["E"] - 1)
        if above > 0.1:
            yield f"the lowest loss is {100 * above:.3g}% above the floor E, which is an extrapolation"
