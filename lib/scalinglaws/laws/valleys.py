"""The optimum of each budget with its errors, and resamples of it: isoFLOP curves, and the lowest of the sizes.

What `frontier` fits its power laws to. An optimum has three logarithms: of N, of D and of the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Budget", "Curve", "Envelope", "IsoFLOPs", "LowestSizes", "Optima", "Refusal", "lowest"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
CURVED = 1.0  # standard errors that a curvature must be above zero, where the noise is known
WELL_CURVED = 2.0  # of a smaller curvature the vertex counts by its error
NOMINAL = 1e-3  # noise, as a share of the loss, where runs do not tell it: draws then have its shape and not its size
FARTHEST = 1.0  # half-widths from the middle: the last size is where the vertex of a resample ends that is beyond
EPS = 1e-12


class Refusal(StrEnum):
    """Why a budget gave no optimum."""

    TOO_FEW = "too few sizes"
    DOWNWARD = "opens downward"
    FLAT = "no curvature beyond the noise"
    EDGE = "minimum at the edge"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The runs of one budget: their optimum with its errors, or why they have none."""

    C: float  # geometric mean of its runs
    n_points: int
    half_width: float  # sizes reach from 1/half_width to half_width times their geometric middle
    n_sizes: int = 0  # distinct; 0 where an older file did not say
    N_opt: float = math.nan  # nan where refused
    D_opt: float = math.nan
    L_opt: float = math.nan
    N_error: float = math.nan  # standard error of ln N_opt; nan where the runs do not tell their noise
    D_error: float = math.nan
    curvature: float = math.nan  # half the second derivative of the loss by ln N, at the vertex
    curvature_error: float = math.nan
    near_edge: bool = False  # the vertex lies between the last two sizes
    weight: float = 1.0  # in the power laws: below 1 of a less certain optimum, near the edge or hardly curved
    refused: Refusal | None = None
    message: str = ""
    coefficients: tuple[float, ...] = ()  # of the polynomial in ln N - ln N_middle, highest power first

    @classmethod
    def at(cls, log_C: float, N: Array) -> Self:
        """Return a budget with runs of sizes N [n], and nothing found in it yet."""
        half_width = float(np.sqrt(N.max() / N.min()))
        return cls(C=float(np.exp(log_C)), n_points=N.size, n_sizes=np.unique(N).size, half_width=half_width)

    @property
    def hardly_curved(self) -> bool:
        """Whether the curvature is less than twice its standard error."""
        return self.curvature < WELL_CURVED * self.curvature_error

    @property
    def status(self) -> str:
        """The words "ok", "near the edge" or "hardly curved", or why it is refused."""
        if self.refused:
            return str(self.refused)
        return "near the edge" if self.near_edge else "hardly curved" if self.hardly_curved else "ok"

    def without(self, why: Refusal, message: str) -> Self:
        """Return the budget with the reason why it has no optimum."""
        return replace(self, refused=why, message=f"refused, {why}: {message}")


class Optima(Protocol):
    """Where the optima of budgets come from, so that they can be resampled."""

    @property
    def freedom(self) -> tuple[int, int, int]:
        """Degrees of freedom with which the size of the draws of ln N, ln D and ln L is known; 0: only their shape."""
        ...

    @property
    def least(self) -> bool:
        """Whether the draws of ln N and ln D are the least that these move, since noise comes on top."""
        ...

    def draws(self, rng: np.random.Generator, n: int) -> Array:
        """Return by how much ln N, ln D and ln L of the m optima move in n resamples of the runs, [3, n, m]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A polynomial in the logarithm of N or D through the losses of one budget, by least squares."""

    letter: str  # of the variable
    degree: int
    logs: Array = field(repr=False)  # [n], of the variable
    L: Array = field(repr=False)  # [n]

    @cached_property
    def middle(self) -> float:
        """Of the logarithms."""
        return float(self.logs.min() + self.logs.max()) / 2

    @cached_property
    def width(self) -> float:
        """Half the range of the logarithms."""
        return float(np.ptp(self.logs)) / 2

    @cached_property
    def basis(self) -> Array:
        """Powers [n, p] of v, the distance from the middle in half-widths; the highest first."""
        return np.vander((self.logs - self.middle) / self.width, self.degree + 1)

    @cached_property
    def inverse(self) -> Array:
        """Pseudo-inverse [p, n] of the basis: coefficients are its product with the losses."""
        return np.asarray(np.linalg.pinv(self.basis), float)

    @cached_property
    def scaled(self) -> Array:
        """Coefficients [p] of the polynomial in v."""
        return np.asarray(np.linalg.lstsq(self.basis, self.L, rcond=None)[0], float)

    @cached_property
    def vertex(self) -> float:
        """The minimum, in v: the lowest inside of the points, else the nearest outside; nan where there is none."""
        slope = np.polyder(self.scaled)
        roots = np.roots(slope)
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        valleys = real[np.polyval(np.polyder(slope), real) > 0]
        inside = valleys[np.abs(valleys) <= 1 + EPS]
        if inside.size:
            return float(inside[np.argmin(np.polyval(self.scaled, inside))])
        return float(valleys[np.argmin(np.abs(valleys))]) if valleys.size else math.nan

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Coefficients of the polynomial in the logarithm from its middle."""
        return tuple((self.scaled / self.width ** np.arange(self.degree, -1, -1)).tolist())

    @property
    def optimum(self) -> float:
        """The variable at the vertex."""
        return math.exp(self.middle + self.width * self.vertex)

    @property
    def least(self) -> float:
        """The loss at the vertex."""
        return float(np.polyval(self.scaled, self.vertex))

    @cached_property
    def bend(self) -> float:
        """Second derivative by v at the vertex."""
        return float(np.polyval(np.polyder(self.scaled, 2), self.vertex))

    @property
    def curvature(self) -> float:
        """Half the second derivative by the logarithm at the vertex; where there is none, that of the middle."""
        bend = 2 * float(self.scaled[-3]) if math.isnan(self.vertex) else self.bend
        return bend / 2 / self.width**2

    @cached_property
    def errors(self) -> tuple[float, float]:
        """Standard errors of the logarithm at the vertex and of `curvature`, to first order, for losses off by 1."""
        powers = np.arange(self.degree, -1, -1)
        by_slope = powers * self.vertex ** np.maximum(powers - 1, 0)
        by_bend = powers * (powers - 1) * self.vertex ** np.maximum(powers - 2, 0)
        of_vertex = -by_slope / self.bend
        of_bend = by_bend + float(np.polyval(np.polyder(self.scaled, 3), self.vertex)) * of_vertex
        moved, bent = (float(np.linalg.norm(gradient @ self.inverse)) for gradient in (of_vertex, of_bend))
        return self.width * moved, bent / 2 / self.width**2

    @cached_property
    def between_last_two(self) -> bool:
        """Whether the vertex has but one point beyond it, on one of the sides."""
        inner = np.unique(self.basis[:, -2])[1:-1]
        return not inner[0] - EPS <= self.vertex <= inner[-1] + EPS

    def trouble(self, noise: float) -> tuple[Refusal, str] | None:
        """Why there is no optimum, if so, for losses off by ``noise``; nan where that is not known."""
        if math.isnan(self.vertex) or (self.degree == 2 and self.scaled[0] <= 0):
            why = f"curvature {self.curvature:.4g} in ln {self.letter}; the losses are no valley"
            return Refusal.DOWNWARD, why
        if abs(self.vertex) > 1 + EPS:
            side = "larger" if (self.vertex > 0) == (self.letter == "N") else "smaller"
            why = f"vertex at {self.letter} = {self.optimum:.4g} is beyond the last size; train {side} models"
            return Refusal.EDGE, why
        error = noise * self.errors[1]
        if self.curvature < CURVED * error:
            why = f"curvature {self.curvature:.2g} in ln {self.letter} with a standard error of {error:.2g}; "
            return Refusal.FLAT, why + "train sizes farther apart, or more seeds"
        return None

    def redrawn(self, L: Array) -> tuple[Array, Array]:
        """Logarithm of the variable, and loss, at the vertices [n] through other losses [n, points]."""
        scaled = (L @ self.inverse.T).T  # [p, n]
        powers = np.arange(self.degree, 0, -1)[:, None]
        slopes = powers * scaled[:-1]
        bends = powers[:-1, :] * np.arange(self.degree - 1, 0, -1)[:, None] * scaled[:-2]
        v = np.full(len(L), self.vertex)
        for _ in range(1 if self.degree == 2 else 30):  # Newton's method, exact for a parabola
            slope, bend = np.polyval(slopes, v), np.polyval(bends, v)
            step = np.divide(slope, bend, out=np.copysign(np.inf, slope), where=bend > 0)
            v = np.clip(v - step, -FARTHEST, FARTHEST)
        return self.middle + self.width * v, np.log(np.polyval(scaled, v))


@dataclass(frozen=True, kw_only=True)
class IsoFLOPs:
    """Curves of several budgets, in ln N and in ln D, whose losses have one noise as a share of the loss."""

    curves: tuple[tuple[Curve, Curve], ...]  # of N and of D
    noise: float  # standard deviation of ln L; nan where there are no more runs than coefficients
    runs_freedom: int  # degrees of freedom of the noise
    residuals: Array = field(repr=False)  # of ln L, with that deviation
    least: bool = False  # the draws have the noise of the runs

    @classmethod
    def of(cls, curves: Sequence[tuple[Curve, Curve]]) -> Self:
        """Take the noise from what the curves in ln N leave over, of all budgets together."""
        of_N = [curve for curve, _ in curves]
        freedom = sum(curve.L.size - curve.degree - 1 for curve in of_N)
        left, share = [np.empty(0)], [np.empty(0)]
        for curve in of_N:
            left.append((curve.L - curve.basis @ curve.scaled) / curve.L.mean())
            share.append(1 - np.einsum("ij,ji->i", curve.basis, curve.inverse))  # of a residual that a fit leaves
        off, kept = np.concatenate(left), np.concatenate(share)
        noise = math.sqrt(off @ off / freedom) if freedom else math.nan
        some = kept > 1e-6
        off = off[some] / np.sqrt(kept[some])
        if off.any():
            off = off - off.mean()
            off *= noise / max(np.sqrt(np.mean(off**2)), 1e-300)
        return cls(curves=tuple(curves), noise=noise, runs_freedom=freedom, residuals=off)

    @property
    def freedom(self) -> tuple[int, int, int]:
        """Those of the noise, for all three; see `Optima`."""
        return (self.runs_freedom,) * 3

    def only(self, chosen: Sequence[bool]) -> Self:
        """Return some of the curves, with the noise of all."""
        return replace(self, curves=tuple(pair for pair, take in zip(self.curves, chosen, strict=True) if take))

    def draws(self, rng: np.random.Generator, n: int) -> Array:
        """Residuals, drawn from those of all budgets, on the fitted curves; see `Optima`."""
        moved = np.empty((3, n, len(self.curves)))
        for k, (of_N, of_D) in enumerate(self.curves):
            fitted, size = of_N.basis @ of_N.scaled, (n, of_N.L.size)
            off = rng.choice(self.residuals, size) if self.runs_freedom else NOMINAL * rng.normal(size=size)
            losses = np.vstack([fitted, fitted + off * of_N.L.mean()])
            (N, L), (D, _) = of_N.redrawn(losses), of_D.redrawn(losses)
            moved[:, :, k] = [each[1:] - each[0] for each in (N, D, L)]
        return moved


@dataclass(frozen=True, kw_only=True)
class LowestSizes:
    """The best size of each budget among those at hand: it stands for all up to half way to its neighbors."""

    below: Array  # [2, m], from ln N and ln D of the best size to those of the next smaller; of N negative
    above: Array  # [2, m], to the next larger
    freedom: tuple[int, int, int] = (0, 0, 0)
    least: bool = True  # noise moves the best size besides

    @classmethod
    def of(cls, runs: Sequence[tuple[Array, Array, Array]]) -> Self:
        """Return it for budgets with runs N, D, L [n], each with sizes on both sides of the best."""
        below, above = [], []
        for N, D, L in runs:
            order = np.lexsort((L, N))
            sizes, first = np.unique(N[order], return_index=True)
            logs = np.log([sizes, D[order][first]])  # of the best run of each size
            best = int(np.searchsorted(sizes, N[lowest(N, L)]))
            below.append(logs[:, best - 1] - logs[:, best])
            above.append(logs[:, best + 1] - logs[:, best])
        return cls(below=np.transpose(below), above=np.transpose(above))

    def draws(self, rng: np.random.Generator, n: int) -> Array:
        """Gaussian, with the variance of a place anywhere up to half way to either neighbor; see `Optima`."""
        share = rng.normal(0, 12**-0.5, (n, self.below.shape[1]))
        moved = np.where(share < 0, -share * self.below[:, None], share * self.above[:, None])
        return np.concatenate([moved, NOMINAL * rng.normal(size=(1, *share.shape))])


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Training curves near their ends, read at m places of compute; one that does not reach a place is inf there."""

    log_C: Array  # [m]
    log_N: Array  # [curves]
    log_D: Array = field(repr=False)  # [m, curves]
    log_L: Array = field(repr=False)  # [m, curves]
    reach: float  # a best size counts if others on both sides, so far off in ln N, are worse

    def optima(self, taken: Flags) -> tuple[Array, Array, Flags]:
        """Return ln N and ln D of the best of the curves that are taken [curves], and which count, each [m]."""
        L = np.where(taken, self.log_L, np.inf)
        best, here = L.argmin(axis=1), np.isfinite(L)
        N = self.log_N[best]
        least = np.where(here, self.log_N, np.inf).min(axis=1)
        largest = np.where(here, self.log_N, -np.inf).max(axis=1)
        within = (least + self.reach <= N) & (N + self.reach <= largest)
        return N, self.log_D[np.arange(N.size), best], within

    def draws(self, rng: np.random.Generator, n: int) -> tuple[Array, Flags]:
        """Return ln N and ln D of the optima [2, n, m] of as many curves, drawn with replacement, and which count."""
        drawn = rng.integers(self.log_N.size, size=(n, self.log_N.size))
        each = [self.optima(np.bincount(rows, minlength=self.log_N.size) > 0) for rows in drawn]
        N, D, counts = map(np.array, zip(*each, strict=True))
        return np.stack([N, D]), counts


def lowest(N: Array, L: Array) -> int:
    """Return the row of least loss; of several the one of the smallest size."""
    return int(np.lexsort((N, L))[0])
