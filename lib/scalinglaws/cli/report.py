"""What the ``scalinglaws fit`` command reports of a table of runs, as text and as JSON. `page` makes a page of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalinglaws.counting import per_param_token
from scalinglaws.laws import LAWS
from scalinglaws.laws import frontier as frontiers
from scalinglaws.laws.backtest import Backtest, hold_out
from scalinglaws.laws.bootstrap import Bootstrap, cells
from scalinglaws.laws.choice import Choice, choose
from scalinglaws.laws.doubts import identifiability
from scalinglaws.laws.fit import MAD_TO_SIGMA, SCHEMA, USABLE, Fit, FitError, fit
from scalinglaws.laws.frontier import Frontier, Resampled
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.newton import Residual
from scalinglaws.tables import NATS, Points

__all__ = ["Report", "make"]

LEVEL = 0.95
TOO_MANY = 1e8  # refits times points that fit in memory, a few GB
MANY = 2e7  # refits times points: more take minutes, so they are made on request only
RISING = 0.5  # share of the squares of ln L that a rising line leaves; of more it is no rise
MOST_HELD_OUT = 5000  # points of which the hold-out by compute is made unasked
HIGHEST = 5  # points of highest loss that the fit is repeated without


@dataclass(frozen=True, kw_only=True)
class Report:
    """A fit, its intervals, and what to distrust; made by `make`."""

    found: Fit | Frontier
    approach: str  # "1", "2", "3" or "vp"
    points: Points
    cloud: Bootstrap | Resampled | None
    intervals: Mapping[str, tuple[float, float]] | None  # of the parameters, and of a and b
    exponents: tuple[float, float] | None  # a and b of N ∝ C^a, D ∝ C^b
    cautions: tuple[str, ...]
    notes: tuple[str, ...] = ()
    back: Backtest | None = None  # hold-out by compute, where the runs span enough of it
    choice: Choice | None = None  # with --law auto

    @property
    def usable(self) -> bool:
        """Whether the points determine what was fitted, inside all bounds: a misfit is usable, and says so."""
        return isinstance(self.found, Frontier) or (self.found.status in USABLE and not self.found.at_bound)

    def record(self) -> dict[str, Any]:
        """Return the result as values for JSON, in full precision."""
        C = self.points.columns.get("C")
        a, b = self.exponents or (None, None)
        found, C_range = self.found, None if C is None else [float(C.min()), float(C.max())]
        common = {"schema": SCHEMA, "approach": self.approach, "a": a, "b": b, "intervals": self.intervals}
        common |= {"level": LEVEL if self.intervals else None, "n_points": len(self.points), "C_range": C_range}
        common |= {"warnings": self.cautions, "unit": self.points.unit, "read": self.points.notes}
        if isinstance(found, Frontier):  # with what a fit's record has and a frontier's has not
            own = found.record() | {"theta": None, "objective": None, "status": "warned" if found.warnings else "ok"}
            own |= {"message": "; ".join(found.warnings) or f"{len(found.C)} optima"}
            own |= {"refused": [{"C": b.C, "why": b.message} for b in found.budgets if b.refused is not None]}
        else:
            own = {"law": found.law.name, "theta": dict(found.theta), "objective": found.value}
            own |= {"minimized": found.objective, "delta": found.delta}
            own |= {"status": str(found.status), "message": found.message, "at_bound": found.at_bound}
            own |= {"lack_of_fit": None if found.lack_of_fit is None else asdict(found.lack_of_fit)}
            own |= {"backtest": None if self.back is None else self.back.record()}
            own |= {"choice": None if self.choice is None else self.choice.record()}
            own |= {"counting": counting_of(self.points.columns), "refits": self._refits()}
        return own | common

    def _refits(self) -> dict[str, Any] | None:
        """What 'predict' and 'plan' need to make the intervals again: the fit with its points, and how to draw."""
        cloud = self.cloud
        if not isinstance(cloud, Bootstrap):
            return None
        own = {"fit": json.loads(cloud.fit.to_json()), "n": len(cloud.theta[cloud.fit.law.parameters[0]])}
        labels = None if self.points.labels is None else cells({"label": self.points.labels}).tolist()
        return own | {"seed": cloud.seed, "clusters": labels}

    def text(self) -> str:
        """Return the result in words: status first, then cautions, then the numbers."""
        first, *rest = self.found.summary().splitlines()
        shown = [f"  caution       {caution}" for caution in self.cautions]
        shown += [] if self.back is None else [f"  hold-out      {self.back.line()}"]
        lines = [first, *shown, *rest]
        if isinstance(self.found, Frontier):  # whose summary has its own warnings
            lines = [*(f"warning: {text}" for text in self.points.warnings), first, *rest]
        if self.points.unit != NATS:
            lines.append(f"  unit          losses in {self.points.unit}")
        if self.choice is not None:
            lines += ["", *self.choice.summary().splitlines()]
        if self.exponents is not None and not isinstance(self.found, Frontier):
            for name, value in zip("ab", self.exponents, strict=True):
                low_high = "" if self.intervals is None else "{:.6g} to {:.6g}".format(*self.intervals[name])
                what = {"a": "N_opt ∝ C^a", "b": "D_opt ∝ C^b"}[name]
                lines.append(f"  {name:<12}  {value:>14.8g}  {what:>14}  {low_high}".rstrip())
        return "\n".join(lines)


def make(
    points: Points, *, law: str = "chinchilla", approach: str = "3", delta: float | None = None,
    residual: Residual = "log", n: int | None = None, seed: int = 0, tolerance: float | None = None,
    fix: Mapping[str, float] | None = None, tie: Sequence[tuple[str, ...]] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Report:  # fmt: skip
    """Return the report of a fit by the options of the command, or raise `FitError`.

    ``law`` is a name in `laws.LAWS`; ``n`` are the refits for the intervals, 0 for none: left out, 999, or none where
    that would take minutes. What is held and the columns of weights are as for `fit`.
    """
    columns, choice = points.columns, None
    if approach in ("3", "vp"):
        _refuse_rising(columns, "chinchilla" if law == "auto" else law)
    if approach in ("1", "2"):
        frontier = _frontier(points, approach, frontiers.TOLERANCE if tolerance is None else tolerance)
        resampled, notes = _resampled(frontier, n, seed)
        frontier = frontier if resampled is None else resampled.attach(level=LEVEL)
        return Report(
            found=frontier, approach=approach, points=points, cloud=resampled, intervals=frontier.intervals,
            exponents=(frontier.a, frontier.b), cautions=(*points.warnings, *frontier.warnings), notes=notes,
        )  # fmt: skip
    if approach == "vp":
        found = frontiers.variable_projection(N=columns["N"], D=columns["D"], L=columns["L"])
    else:
        held: Any = {"fix": fix, "tie": tie, "bounds": bounds, "residual": residual}
        held |= {name: columns.get(name) for name in ("se", "weights", "L")}
        if law == "auto":
            choice = choose(C=columns.get("C"), N=columns["N"], D=columns["D"], clusters=points.labels, **held)
            law = choice.chosen.name
        variables: Any = {letter: columns[letter] for letter in LAWS[law].variables}
        found = fit(LAWS[law], delta=delta, **held, **variables)
    back = choice.candidate.back if choice is not None else _hold_out(found, points)
    cloud, notes = _cloud(found, points, n, seed)
    found = found if cloud is None else cloud.attach(level=LEVEL)
    exponents, ends = _exponents(found, cloud)
    return Report(
        found=found, approach=approach, points=points, cloud=cloud, exponents=exponents, notes=notes,
        intervals=None if found.intervals is None else dict(found.intervals) | ends,
        cautions=(*points.warnings, *_cautions(found, cloud)), back=back, choice=choice,
    )  # fmt: skip


def _hold_out(found: Fit, points: Points) -> Backtest | None:
    """The hold-out by compute of a fit, where it takes a second and the runs span enough compute for a cut."""
    if found.status not in USABLE or len(points) > MOST_HELD_OUT or found.law.variables not in (("N", "D"), ("x",)):
        return None
    back = hold_out(found, C=points.columns.get("C"), clusters=points.labels)
    return back if back.cuts else None


def counting_of(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[str, float]] | None:
    """Return C / (N D) of a table that has all three: its median, and its drift, the slope of its logarithm on ln C.

    A median of 6 and no drift are the rule 6 N D. A drift moves every exponent of compute: None without a column of C.
    """
    if not {"N", "D", "C"} <= {*columns}:
        return None
    return {"C/ND": per_param_token(columns["C"], columns["N"], columns["D"])}


def _refuse_rising(columns: Mapping[str, NDArray[np.float64]], law: str) -> None:
    """Refuse values that rise with every variable of a law that can only fall."""
    letters = LAWS[law].variables
    if law.startswith("monomial") or not {*letters} <= {*columns}:
        return
    logs = np.stack([np.log(columns[letter]) for letter in letters], axis=1)
    logs, y = logs - logs.mean(axis=0), np.log(columns["L"]) - np.log(columns["L"]).mean()
    slopes = np.linalg.lstsq(logs, y, rcond=None)[0]
    left = y - logs @ slopes
    if (slopes > 0).all() and left @ left < RISING * (y @ y):
        rises = ", ".join(f"{letter}^{slope:.3g}" for letter, slope in zip(letters, slopes, strict=True))
        other = "monomial_nd" if letters == ("N", "D") else "monomial"
        raise FitError(
            f"L rises, as {rises}, and {law} can only fall: take --law {other}, or name another column with --L"
        )


def _frontier(points: Points, approach: str, tolerance: float) -> Frontier:
    """Optima by approach 1 or 2; the surface, where it can be fitted, sizes the bias of a parabola."""
    columns: Any = {letter: points.columns[letter] for letter in "CNLD"}
    if approach == "1":
        return frontiers.approach1(run=points.labels, tolerance=tolerance, **columns)
    try:
        surface = frontiers.approach3(N=columns["N"], D=columns["D"], L=columns["L"]).checked()
    except FitError:
        surface = None
    return frontiers.approach2(tolerance=tolerance, surface=surface, **columns)


def _resampled(found: Frontier, n: int | None, seed: int) -> tuple[Resampled | None, tuple[str, ...]]:
    """Resampled optima, where they are wanted and can be made."""
    if n == 0:
        return None, ()
    try:
        return found.bootstrap(n=999 if n is None else n, seed=seed), ()
    except FitError as error:
        if n is not None:
            raise
        return None, (f"no intervals: {error}",)


def _cloud(found: Fit, points: Points, n: int | None, seed: int) -> tuple[Bootstrap | None, tuple[str, ...]]:
    """Refits, where they are wanted and can be made."""
    wanted = 999 if n is None else n
    if not wanted or found.status not in USABLE:
        return None, ()
    most = int(TOO_MANY // len(points))
    if n is None and wanted * len(points) > MANY:
        ask = f"ask by --bootstrap {min(wanted, most)}"
        return None, (f"no intervals: {wanted} refits of {len(points):,} points take long; {ask}",)
    if wanted > most:
        raise FitError(f"{wanted:,} refits of {len(points):,} points do not fit in memory; ask for at most {most:,}")
    try:
        cloud = refits(found, n=wanted, seed=seed, level=LEVEL, clusters=points.labels)
    except FitError as error:
        if n is not None and not found.at_bound:
            raise
        return None, (f"no intervals: {error}",)
    drawn = {"rows": "points", "residuals": "residuals", "sized": "residuals"}.get(cloud.how)
    if points.labels is None and drawn is None:
        drawn = f"{cloud.n_clusters} cells of equal {' and '.join(found.x)}"
    return cloud, () if drawn in (None, "points") else (f"intervals resample {drawn}",)


def _exponents(found: Fit, cloud: Bootstrap | None) -> tuple[tuple[float, float] | None, dict]:
    """a and b with their intervals, for laws that have a compute-optimal point."""
    try:
        a, b = (float(value) for value in found.law.optimum_exponents(found.theta))
    except ValueError:
        return None, {}
    ends = {}
    if cloud is not None:
        for k, name in enumerate("ab"):
            low, high = cloud.interval(lambda theta, k=k: found.law.optimum_exponents(theta)[k], level=LEVEL)
            ends[name] = (float(low), float(high))
    return (a, b), ends


def _cautions(found: Fit, cloud: Bootstrap | None) -> tuple[str, ...]:
    """What to distrust in a fit, the most serious first."""
    out = [] if found.status in USABLE else ["the parameters below are not determined; do not use them"]
    out += identifiability(found).findings
    if "E" in found.at_bound and found.theta["E"] == 0:
        names = [name for name in ("alpha", "beta") if name in found.theta]
        said = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} not to be believed"
        out.append(f"with the floor at its bound {said}: pin the floor, --fix E=..., if it is known")
    if {"N", "D"} <= {*found.x} and np.ptp(np.log(found.x["N"] * found.x["D"])) < np.log(1.05):
        out.append("all runs have one budget: how the optimum moves with compute rests on the form of the law alone")
    if cloud is not None and cloud.message:
        out.append(cloud.message)
    if found.residual == "log" and found.status in USABLE:
        off = np.log(found.L / found.predict(**found.x))
        sigma = MAD_TO_SIGMA * np.median(np.abs(off - np.median(off)))
        far = int((np.abs(off) > 6 * sigma).sum()) if sigma > 1e-9 else 0
        if far:
            out.append(f"{far} points lie more than six robust standard deviations off the law: look at them")
    return tuple(dict.fromkeys([*out, *_without_highest(found)]))


def _without_highest(found: Fit) -> list[str]:
    """What the fit says without the points of highest loss, where that changes the exponents."""
    if found.status not in USABLE or not 8 * HIGHEST <= found.n_points <= MANY / 1000 or "N" not in found.x:
        return []
    keep = np.sort(np.argsort(found.L, kind="stable")[:-HIGHEST])
    try:
        variables: Any = {letter: column[keep] for letter, column in found.x.items()}
        other = fit(found.law, L=found.L[keep], residual=found.residual, delta=found.delta, **variables).checked()
        before, after = (float(f.law.optimum_exponents(f.theta)[0]) for f in (found, other))
    except ValueError:
        return []
    if abs(after - before) < 0.01:
        return []
    return [f"without the {HIGHEST} points of highest loss a is {after:.5g}, not {before:.5g}: compare both fits"]
