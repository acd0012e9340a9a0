"""Which law? A choice among laws by hold-out over compute, with AIC and BIC beside it.

Rule: of the laws that the points determine inside all bounds, those without lack of fit are taken; of these, those
whose rms error on hidden, costly runs is at most twice the lowest, over the cuts of which a fit saw three runs for each
fitted parameter of the largest law; of these the one with most of them, since its intervals admit what the others
assume; of equals, the first in the list. Where every law has lack of fit, none of them admits the truth, and the one
with the lowest rms error is taken. Where no cut leaves so many runs, BIC decides.

Parameters that are held are held in every law; one that does not have them is out. A pinned floor is a statement that
there is one.

The least error itself does not decide: hidden runs share one fit, so that its lead is mostly luck. On simulated runs of
a coupled law (`benchmarks/forecasts.py`) laws chosen by it had intervals that held in as few as 79% of sets.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scalinglaws.laws.backtest import Backtest, compute_of, hold_out
from scalinglaws.laws.catalogue import chinchilla, coupled, coupled_no_floor, interaction, kaplan_joint
from scalinglaws.laws.fit import Fit, FitError, Status, fit
from scalinglaws.laws.law import Law
from scalinglaws.laws.newton import Residual
from scalinglaws.laws.shown import Shown

__all__ = ["CANDIDATES", "Candidate", "Choice", "choose"]

NEAR = 2.0  # times the lowest rms error on hidden runs: as good, as far as so few forecasts can tell
PER_PARAMETER = 3  # runs that a fit saw, for each fitted parameter of the largest law, for its forecasts to count
LEVEL = 0.95
CANDIDATES: tuple[Law, ...] = (chinchilla, coupled, coupled_no_floor, interaction, kaplan_joint)  # of N and D


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A law that was tried."""

    law: Law
    found: Fit | None  # None where the points cannot be fitted
    back: Backtest
    why: str  # it is out, or the words "chosen" or ""

    @property
    def aic(self) -> float:
        """Akaike's criterion of Gaussian noise in ln L, up to a constant: -2 ln likelihood + 2 parameters."""
        return self._criterion(2.0)

    @property
    def bic(self) -> float:
        """Schwarz's criterion: -2 ln likelihood + ln n for each parameter."""
        return math.nan if self.found is None else self._criterion(math.log(self.found.n_points))

    def _criterion(self, price: float) -> float:
        if self.found is None:
            return math.nan
        found, rms = self.found, self.found.residual_rms
        if found.problem.weights is not None:
            off = np.log(found.L / found.predict(**found.x))
            rms = math.sqrt(np.mean(found.problem.weights * off**2))
        return 2 * found.n_points * math.log(rms) + price * (found.n_free + 1)

    def record(self) -> dict[str, Any]:
        """Return the candidate as values for JSON."""
        return {
            "law": self.law.name, "status": None if self.found is None else str(self.found.status),
            "parameters": len(self.law.parameters), "aic": self.aic, "bic": self.bic,
            "backtest": self.back.record(), "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice(Shown):
    """The laws that were tried, and the one that the rule chooses; made by `choose`."""

    candidates: tuple[Candidate, ...]
    chosen: Law
    rule: str

    @property
    def candidate(self) -> Candidate:
        """The one that was chosen."""
        return next(each for each in self.candidates if each.law is self.chosen)

    def summary(self) -> str:
        """Return a table of the laws: criteria relative to the lowest, and hold-out errors by factor."""
        factors = sorted({cut.factor for each in self.candidates for cut in each.back.cuts})
        heads = "".join(f"{f'below 1/{factor:g}':>13}" for factor in factors)
        least = {name: np.nanmin([getattr(each, name) for each in self.candidates]) for name in ("aic", "bic")}
        lines = [self.rule, f"  {'law':<17}{'dAIC':>8}{'dBIC':>8}{heads}  rms of hidden runs"]
        for each in self.candidates:
            by = {cut.factor: f"{100 * cut.rms:.2f}%" for cut in each.back.cuts}
            shown = "".join(f"{by.get(factor, '-'):>13}" for factor in factors)
            aic, bic = each.aic - least["aic"], each.bic - least["bic"]
            lines.append(f"  {each.law.name:<17}{aic:>8.1f}{bic:>8.1f}{shown}  {each.why}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the choice as values for JSON."""
        return {"chosen": self.chosen.name, "rule": self.rule, "laws": [each.record() for each in self.candidates]}


def choose(
    *, L: ArrayLike, C: ArrayLike | None = None, laws: Sequence[Law] = CANDIDATES, seed: int = 0,
    clusters: ArrayLike | None = None, residual: Residual = "log", fix: Mapping[str, float] | None = None,
    tie: Iterable[str] | Iterable[Iterable[str]] = (), bounds: Mapping[str, tuple[float, float]] | None = None,
    weights: ArrayLike | None = None, se: ArrayLike | None = None, **variables: ArrayLike | None,
) -> Choice:  # fmt: skip
    """Return which of some laws of the same variables to forecast with, by the rule at the head of this module.

    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)))
    >>> L = coupled.value({"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37, "k": 0.5}, N, D)
    >>> choose(N=N, D=D, L=L * np.exp(0.003 * np.random.default_rng(0).normal(size=36))).chosen.name
    'coupled'

    Parameters
    ----------
    L : array_like [n]
        Losses.
    C : array_like [n], optional
        Compute by which runs are hidden, see `backtest`.
    laws : sequence of Law
        To choose from.
    seed, clusters
        Of the refits, see `backtest`.
    residual, fix, tie, bounds, weights, se
        See `fit`; of every law. One without a parameter that is named here is out, and its ``why`` says so.
    **variables : array_like [n]
        By letter.

    Returns
    -------
    Choice

    Raises
    ------
    FitError
        If the points determine none of the laws, or none has the parameters that are held.
    """
    given: dict[str, Any] = {
        name: np.asarray(column, float) for name, column in variables.items() if column is not None
    }
    compute = compute_of(given, C)
    held: Any = {"fix": fix, "tie": [*tie], "bounds": bounds, "weights": weights, "se": se, "residual": residual}
    tried = []
    for law in laws:
        found, back = None, Backtest(law=law, cuts=(), level=LEVEL)
        try:
            found = fit(law, L=L, **held, **given)
            back = hold_out(found, C=compute, n=0)
            why = "" if found.status is Status.OK else str(found.status)
        except ValueError as error:
            why = str(error)
        tried.append(Candidate(law=law, found=found, back=back, why=why))
    inside = [each for each in tried if each.why in ("", "misfit")]
    if not inside:
        by = {why: ", ".join(each.law.name for each in tried if each.why == why) for why in [t.why for t in tried]}
        said = "; ".join(f"{names}: {why}" for why, names in by.items())
        raise FitError(f"no law is determined inside its bounds: {said}")
    right = [each for each in inside if not each.why] or inside
    best, near, rule = _best(right)
    assert best.found is not None  # all of `inside` have a fit
    back = hold_out(best.found, C=compute, seed=seed, clusters=clusters)  # and intervals
    said = [_said(each, best, right, near) for each in tried]
    said = [replace(each, back=back) if each.law is best.law else each for each in said]
    return Choice(candidates=tuple(said), chosen=best.law, rule=rule)


def _n_free(each: Candidate) -> int:
    """Fitted parameters."""
    return len(each.law.parameters) if each.found is None else each.found.n_free


def _best(right: Sequence[Candidate]) -> tuple[Candidate, list[Candidate], str]:
    """The one to take, those whose error on hidden runs is at most twice the lowest, and the rule."""
    enough = PER_PARAMETER * max(map(_n_free, right))
    common = set.intersection(*({cut.factor for cut in each.back.cuts if cut.n_seen >= enough} for each in right))
    words = "without lack of fit" if not right[0].why else "though all misfit"
    if not common:
        least = min(right, key=lambda each: each.bic)
        return least, [least], f"law by BIC, {words}: too few runs to hide any"
    rms = [math.sqrt(np.mean([cut.rms**2 for cut in each.back.cuts if cut.factor in common])) for each in right]
    near = [each for each, error in zip(right, rms, strict=True) if error <= NEAR * min(rms)]
    if right[0].why:
        return right[int(np.argmin(rms))], near, f"law by hold-out over compute, {words}: the lowest error"
    best = max(near, key=_n_free)  # of equals, the first
    return best, near, f"law by hold-out over compute, {words}: the most general within {NEAR:g} times the lowest error"


def _said(each: Candidate, best: Candidate, right: Sequence[Candidate], near: Sequence[Candidate]) -> Candidate:
    """The candidate, with the reason why it is out."""
    if each is best:
        words = "chosen"
    elif each in right:
        words = "as good" if each in near else "misses hidden runs by more"
    else:
        return each
    return replace(each, why=f"{words}, {each.why}" if each.why else words)
