"""Is the law wrong? Tests of the residuals of a fit against noise.

A fit is the best of its law, which need not be good: the tests here ask whether the residuals still follow the
variables. Where cells are repeated with other seeds, what the means of the cells leave is compared with the scatter in
the cells (pure error). And whatever terms up to cubic in the logarithms of the variables still explain, once they are
made orthogonal to the law's own derivatives, is compared with what they do not. Both are F tests; the second is one of
residuals cut at Huber's threshold (a score test, Markatou & Hettmansperger 1990), so that no outlier is a lack of fit.
"""

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc

from scalinglaws.laws.newton import Problem

__all__ = ["ALPHA", "LackOfFit", "lack_of_fit"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Kind = Literal["pure error", "terms"]

ALPHA = 0.01  # below this p, residuals follow the variables
ROUND_OFF = 1e-9  # root mean square of residuals below which there is nothing to test
LARGE = 200  # points beyond which a test finds errors that are too small to matter
LEAST = 2e-3  # rms beyond noise, of the loss, that matters in a large table
MOST = 20_000  # points of which the test is made; of more, a sample of as many
LEAST_FREEDOM = 4  # degrees of freedom of the noise, for a test to be made
DEGREES = (3, 2)  # of the terms, the first for which there are points enough
SAME = 1e-6  # share of a term that the law's derivatives must leave for it to count


@dataclass(frozen=True, kw_only=True)
class LackOfFit:
    """An F test of a law's residuals against noise."""

    kind: Kind
    F: float
    df: tuple[int, int]
    p: float
    rms_beyond_noise: float  # of ln L, of what the test found beyond what noise gives
    misfit: bool  # whether the law is to be called wrong for these points

    def __str__(self) -> str:
        p = "p < 1e-15" if self.p < 1e-15 else f"p = {self.p:.2g}"
        size = f", rms {100 * self.rms_beyond_noise:.2g}% beyond noise" if self.rms_beyond_noise else ""
        return f"{self.kind} F({self.df[0]}, {self.df[1]}) = {self.F:.4g}, {p}{size}"


def lack_of_fit(problem: Problem, u: Array, delta: float) -> LackOfFit | None:
    """Return whether residuals of a fit still follow the variables, by the test that finds the most.

    Where cells have replicates, pure error is asked first and terms up to cubic second; the second is returned only
    where it alone finds something, and each has half of the level, `ALPHA`. Copies of a point count once.

    >>> from scalinglaws.laws import chinchilla, coupled
    >>> N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 4)))
    >>> L = coupled.value({"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37, "k": 0.5}, N, D)
    >>> L = L * np.exp(0.003 * np.random.default_rng(0).normal(size=24))
    >>> from scalinglaws.laws.fit import fit
    >>> [fit(law, N=N, D=D, L=L).status.value for law in (chinchilla, coupled)]
    ['misfit', 'ok']

    Parameters
    ----------
    problem : Problem
        The points.
    u : array [q]
        The optimum, in coordinates of the problem.
    delta : float
        Huber's threshold, in the unit of a residual of the problem.

    Returns
    -------
    LackOfFit or None
        None where residuals are round-off, or there are too few points to tell.
    """
    if problem.y.size > MOST:
        some = np.random.default_rng(0).choice(problem.y.size, MOST, replace=False)
        problem = problem.only(np.sort(some))
    else:
        once = ~pd.DataFrame({**problem.x, "L": problem.L}).duplicated().to_numpy()
        problem = problem if once.all() else problem.only(np.flatnonzero(once))
    r = problem.misfit(problem.predicted(u[None]))[0]
    if np.sqrt(np.mean(r**2)) < ROUND_OFF * problem.y.max():
        return None
    low, high = problem.bounds
    J = problem.jacobian(u)[:, (u > low) & (u < high)]  # a coordinate at its bound is not fitted
    Q = np.linalg.qr(J)[0]
    cut = np.clip(r, -delta, delta)
    unit = max(float((cut == r).mean()), 1 / r.size)  # by how much cutting shrinks a common shift
    tests = [_pure_error(problem, r - Q @ (Q.T @ r), Q.shape[1]), _terms(problem, cut - Q @ (Q.T @ cut), Q, unit)]
    done = [test for test in tests if test is not None]
    if len(done) == 2:  # two chances to be wrong: each has half of the level
        done = [replace(test, misfit=test.misfit and test.p < ALPHA / 2) for test in done]
    return next((test for test in done if test.misfit), done[0] if done else None)


def _pure_error(problem: Problem, e: Array, fitted: int) -> LackOfFit | None:
    """Means of cells against the scatter in them; None without replicates."""
    cell = pd.DataFrame(dict(problem.x)).groupby(list(problem.x), sort=False).ngroup().to_numpy()
    n, cells = e.size, int(cell.max()) + 1
    df = (cells - fitted, n - cells)
    if df[0] < 1 or df[1] < LEAST_FREEDOM:
        return None
    s = np.ones(n) if problem.scale is None else problem.scale
    between = float((np.bincount(cell, s * e) ** 2 / np.bincount(cell, s * s)).sum())
    return _test("pure error", between, float(e @ e) - between, df, n, 1.0)


def _terms(problem: Problem, e: Array, Q: Array, unit: float) -> LackOfFit | None:
    """What terms in the logarithms explain beyond the law; None where there are too few points.

    Of the combinations of T terms, the T - q of which the law's q derivatives leave most: the others nearly lie in
    these, and would cost freedom for nothing.
    """
    n = e.size
    logs = problem.logs[problem.logs.std(axis=1) > 0]
    logs = (logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, keepdims=True)
    for degree in DEGREES:
        powers = [c for d in range(degree + 1) for c in combinations_with_replacement(range(len(logs)), d)]
        terms = np.stack([np.prod(logs[list(c)], axis=0) for c in powers], axis=1)  # [n, T]
        terms = terms if problem.scale is None else terms * problem.scale[:, None]
        terms /= np.linalg.norm(terms, axis=0)
        U, size, _ = np.linalg.svd(terms - Q @ (Q.T @ terms), full_matrices=False)
        beyond = U[:, : max(min(len(powers) - Q.shape[1], int((size > SAME).sum())), 0)]
        df = (beyond.shape[1], n - Q.shape[1] - beyond.shape[1])
        if df[0] and df[1] >= LEAST_FREEDOM:
            explained = float(((beyond.T @ e) ** 2).sum())
            return _test("terms", explained, float(e @ e) - explained, df, n, unit)
    return None


def _test(kind: Kind, found: float, left: float, df: tuple[int, int], n: int, unit: float) -> LackOfFit:
    """The F test of two sums of squares."""
    noise = max(left, 0.0) / df[1]
    F = found / df[0] / noise if noise > 0 else np.inf
    p = float(fdtrc(*df, F)) if np.isfinite(F) else 0.0
    beyond = float(np.sqrt(max(found - df[0] * noise, 0.0) / n)) / unit
    misfit = p < ALPHA and (n <= LARGE or beyond > LEAST)
    return LackOfFit(kind=kind, F=float(F), df=df, p=p, rms_beyond_noise=beyond, misfit=misfit)
