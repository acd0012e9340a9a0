"""Do 95% intervals hold in 95 of 100 cases? Simulated data sets whose truth is known, each fitted and resampled.

The truth is a fit to real points, on the same N and D; the noise is added to ln L, in three kinds.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit
from scipy.special import ndtri

from scalinglaws.counting import flops_6nd
from scalinglaws.files import DATA
from scalinglaws.laws.bootstrap import bootstrap
from scalinglaws.laws.catalogue import chinchilla
from scalinglaws.laws.fit import MAD_TO_SIGMA, Fit, FitError, fit

__all__ = ["NOISES", "QUANTITIES", "STORED", "Design", "coverage", "simulate"]

Array = NDArray[np.float64]
Noise = Literal["resampled", "Gaussian", "unequal"]
Method = Literal["percentile", "bca", "studentized", "curvature"]
NOISES: tuple[Noise, ...] = get_args(Noise)

STORED = DATA / "calibration.csv"  # made by benchmarks/calibration.py
QUANTITIES = ("alpha", "beta", "E", "a", "ln N_opt")
C_FAR = 100.0  # times the largest budget of the points: where the optimum is predicted
SMOOTH = 0.7  # in ln C: over so much the spread of unequal noise is averaged
STEP = 1e-5  # of a parameter, for slopes
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Design:
    """Where the points of a simulated data set stand, what they would be without noise, and what noise looks like."""

    N: Array
    D: Array
    truth: Mapping[str, float]
    residuals: Array  # of ln L, with median 0

    @classmethod
    def of(cls, found: Fit) -> Self:
        """Return the design that a fit of the Chinchilla law to real points makes."""
        N, D = found.x["N"], found.x["D"]
        residuals = np.log(found.L / found.predict(N=N, D=D))
        return cls(N=N, D=D, truth=dict(found.theta), residuals=residuals - np.median(residuals))

    def quantities(self, theta: Mapping[str, Array]) -> Array:
        """Return the `QUANTITIES` [..., 5]: parameters, the exponent of N_opt, and N_opt far beyond the points."""
        far = C_FAR * float(flops_6nd(self.N, self.D).max())
        exponent, size = chinchilla.optimum_exponents(theta)[0], chinchilla.optimum(theta, far)[0]
        return np.stack([theta["alpha"], theta["beta"], theta["E"], exponent, np.log(size)], axis=-1)

    def noise(self, kind: Noise, rng: np.random.Generator) -> Array:
        """Return one draw [n] of the noise in ln L: the residuals resampled, Gaussian, or Gaussian and unequal.

        Gaussian noise has the residuals' robust spread; unequal noise the mean size of theirs at like budgets.
        """
        _index(kind)
        if kind == "resampled":
            return rng.choice(self.residuals, self.residuals.size)
        drawn = rng.normal(size=self.residuals.size)
        if kind == "Gaussian":
            return MAD_TO_SIGMA * float(np.median(np.abs(self.residuals))) * drawn
        log_C = np.log(self.N * self.D)
        near = np.exp(-0.5 * ((log_C[:, None] - log_C) / SMOOTH) ** 2)
        size = near @ np.abs(self.residuals) / near.sum(axis=1)
        return size / math.sqrt(2 / math.pi) * drawn


def simulate(
    design: Design, kind: Noise, number: int, *, resamples: int = 999, methods: Iterable[Method] = get_args(Method)
) -> list[dict[str, Any]]:
    """Return a row per method and quantity of one simulated data set: the interval, and whether it holds the truth.

    A data set that cannot be fitted counts as one whose intervals do not hold.

    Parameters
    ----------
    design : Design
        The points and the truth.
    kind : str
        Of the noise, see `Design.noise`.
    number : int
        Of the simulation: the seed of its noise and of its resamples.
    resamples : int
        Refits of the bootstrap.
    methods : iterable of str
        Those of `Bootstrap.interval`, and "curvature": estimate and covariance of `scipy.optimize.curve_fit` on ln L,
        give or take 1.96 standard errors.
    """
    rng = np.random.default_rng([_index(kind), number])
    L = chinchilla.value(design.truth, design.N, design.D) * np.exp(design.noise(kind, rng))
    true = design.quantities({name: np.array(value) for name, value in design.truth.items()})
    try:
        found = fit(chinchilla, N=design.N, D=design.D, L=L).checked()
        cloud = bootstrap(found, n=resamples, seed=number, how="rows")
    except FitError:
        cloud = None
    rows = []
    for method in methods:
        if cloud is None:
            ends = np.full((2, len(QUANTITIES)), math.nan)
        elif method == "curvature":
            ends = _by_curvature(design, cloud.fit)
        else:
            ends = cloud.interval(design.quantities, level=LEVEL, method=method)
        for name, truth, low, high in zip(QUANTITIES, true.tolist(), *np.asarray(ends).tolist(), strict=True):
            row = {"noise": kind, "method": method, "quantity": name, "simulation": number}
            rows.append(row | {"low": low, "high": high, "held": low <= truth <= high})
    return rows


def _index(kind: Noise) -> int:
    """Place of a kind among all."""
    if kind not in NOISES:
        raise ValueError(f"noise is {kind!r}; choose one of {', '.join(NOISES)}")
    return NOISES.index(kind)


def _by_curvature(design: Design, found: Fit) -> Array:
    """Intervals [2, 5] by least squares of ln L with the covariance of `curve_fit`: the usual way, for comparison."""

    def log_loss(_: ArrayLike, *u: float) -> Array:
        return np.log(chinchilla.value(chinchilla.theta(np.array(u)), design.N, design.D))

    start = chinchilla.coordinates(found.theta)
    u, covariance = curve_fit(log_loss, design.N, np.log(found.L), p0=start)[:2]

    def at(u: Array) -> Array:
        return design.quantities(dict(zip(chinchilla.parameters, chinchilla.theta(u).T, strict=True)))

    nudge = STEP * np.eye(u.size)
    slopes = (at(u + nudge) - at(u - nudge)) / (2 * STEP)  # [p, K]
    error = ndtri((1 + LEVEL) / 2) * np.sqrt(np.einsum("pk,pq,qk->k", slopes, covariance, slopes))
    return at(u) + error * [[-1.0], [1.0]]


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, for each noise, method and quantity, how many simulations there are and how many intervals held.

    Parameters
    ----------
    rows : DataFrame
        Of `simulate`, of many simulations.

    Returns
    -------
    DataFrame
        Columns noise, method, quantity, simulations, held, share (in percent), error (its standard error, in percent),
        width (median).
    """
    rows = rows.assign(width=rows["high"] - rows["low"])
    table = rows.groupby(["noise", "method", "quantity"], sort=False).agg(
        simulations=("held", "size"), held=("held", "sum"), width=("width", "median")
    )
    share = table["held"] / table["simulations"]
    error = np.sqrt(share * (1 - share) / table["simulations"])
    return table.assign(share=100 * share, error=100 * error).reset_index()
