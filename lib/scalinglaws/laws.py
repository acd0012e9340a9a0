"""The formulas: value, derivatives, compute-optimal point and LaTeX of every law. Nothing here knows about data.

A law has two sets of numbers. ``theta`` are the parameters as papers print them, in the order of ``law.parameters`` or
as a mapping by name. ``u`` are the *fitting coordinates*: the logarithm of a scale, a floor or an exponent as it is.
Scales are positive and span decades, so their logarithm is what an optimizer should see; a floor may be exactly zero,
which a logarithm cannot say.

To add a law that is a sum of powers, write its terms (see `chinchilla`). To add any other, derive from `Law`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LAWS", "Law", "PowerSum", "Term", "chinchilla", "kaplan_amplitude", "kaplan_scale", "power", "power_floor"]

Array = NDArray[np.float64]
Theta = ArrayLike | Mapping[str, ArrayLike]
Kind = Literal["floor", "scale", "exponent"]


@dataclass(frozen=True, kw_only=True)
class Law(ABC):
    """A formula for the loss, with what a fitter and a reader need to know about it.

    Derive from it, and fill in the abstract methods, for a law that is not a `PowerSum`.
    """

    name: str
    source: str  # paper and equation

    @property
    @abstractmethod
    def kinds(self) -> Mapping[str, Kind]:
        """Parameters in order, each with its kind."""

    @property
    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """Letters of the variables, in the order in which `value` takes them."""

    @property
    @abstractmethod
    def latex(self) -> str:
        """The formula in LaTeX, without dollar signs."""

    @abstractmethod
    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        """Return loss, first derivatives, and second derivatives ready to be summed over the points.

        Parameters
        ----------
        u : array [R, p]
            Fitting coordinates, one row per fit.
        logs : array [v, n]
            Logarithms of the variables.

        Returns
        -------
        f : array [R, n]
        J : array [R, p, n]
            df/du.
        bend : callable
            From weights ``d`` [R, n] to the sum over n of d times the second derivatives of f, [R, p, p]. Summed
            because that is all Newton's method needs, and p times cheaper than keeping them per point.
        """

    @abstractmethod
    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        """Return the coordinates of the same law once each variable, and the loss ``"L"``, is counted in ``units``."""

    @abstractmethod
    def starts(self, logs: Array, L: Array) -> Array:
        """Return coordinates [S, p] to start an optimizer from, best first, for data centered on 1."""

    def optimum(self, theta: Theta, C: ArrayLike, *, k: float = 6.0) -> tuple[Array, Array]:
        """Return the compute-optimal N and D on C = k N D, for laws that have one in closed form."""
        raise ValueError(f"{self.name} has no compute-optimal point in closed form: {self.latex}")

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.kinds)

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, for data centered on 1.

        A term that is 1e-12 of the loss has vanished. An exponent above 5 is a step, and one below 0 a loss that
        grows with size: neither is a scaling law.
        """
        limits = {"floor": (0.0, np.inf), "scale": (np.log(1e-12), np.log(1e12)), "exponent": (0.0, 5.0)}
        low, high = np.array([limits[kind] for kind in self.kinds.values()]).T
        return low, high

    @property
    def has_floor(self) -> bool:
        """Whether a constant remains when every variable goes to infinity."""
        return "floor" in self.kinds.values()

    @cached_property
    def _is_log(self) -> NDArray[np.bool_]:
        return np.array([kind == "scale" for kind in self.kinds.values()])

    def array(self, theta: Theta) -> Array:
        """Return parameters as an array [..., p] from a mapping by name, or from such an array."""
        if isinstance(theta, Mapping):
            missing = [name for name in self.parameters if name not in theta]
            if missing:
                raise ValueError(f"{self.name} needs {', '.join(self.parameters)}; missing: {', '.join(missing)}")
            columns = np.broadcast_arrays(*(np.asarray(theta[name], float) for name in self.parameters))
            return np.stack(columns, axis=-1)
        array = np.asarray(theta, float)
        if array.shape[-1:] != (len(self.parameters),):
            raise ValueError(f"{self.name} needs {len(self.parameters)} parameters last; got shape {array.shape}")
        return array

    def coordinates(self, theta: Theta) -> Array:
        """Return fitting coordinates [..., p] of parameters."""
        array = self.array(theta)
        return np.where(self._is_log, np.log(np.where(self._is_log, array, 1.0)), array)

    def theta(self, u: Array) -> Array:
        """Return parameters [..., p] of fitting coordinates."""
        return np.where(self._is_log, np.exp(np.where(self._is_log, u, 0.0)), u)

    def value(self, theta: Theta, *x: ArrayLike) -> Array:
        """Return the loss, in the unit the law was fitted in (nats per token in this book).

        Parameters
        ----------
        theta : array [..., p] or mapping
            Parameters; leading axes are a batch, such as the resamples of a bootstrap.
        *x : array_like
            The variables, in the order of ``law.variables``; they broadcast against each other.

        Returns
        -------
        array
            Shape of the batch, then shape of the variables.
        """
        u, logs, shape = self._flat(theta, x)
        return self.jet(u, logs)[0].reshape(shape)

    def gradient(self, theta: Theta, *x: ArrayLike) -> Array:
        """Return the derivatives of the loss by each parameter: shape of `value`, then p."""
        u, logs, shape = self._flat(theta, x)
        per_coordinate = self.jet(u, logs)[1]  # [R, p, n]
        chain = np.where(self._is_log, 1 / self.theta(u), 1.0)  # dA = A d(ln A)
        return np.moveaxis(per_coordinate * chain[:, :, None], 1, 2).reshape(*shape, len(self.parameters))

    def _flat(self, theta: Theta, x: tuple[ArrayLike, ...]) -> tuple[Array, Array, tuple[int, ...]]:
        """Coordinates [R, p], logarithms of the variables [v, n], and the shape that undoes the flattening."""
        if len(x) != len(self.variables):
            raise ValueError(f"{self.name} is a law of {', '.join(self.variables)}; got {len(x)} variables")
        u = self.coordinates(theta)
        columns = np.broadcast_arrays(*(np.asarray(column, float) for column in x))
        logs = np.log(np.stack([column.ravel() for column in columns]))
        return u.reshape(-1, u.shape[-1]), logs, u.shape[:-1] + columns[0].shape


@dataclass(frozen=True)
class Term:
    """``scale / variable^exponent``, or a constant when it has no variable."""

    scale: str
    variable: str | None = None
    exponent: str | None = None


@dataclass(frozen=True, kw_only=True)
class PowerSum(Law):
    r"""A floor plus powers: :math:`L = E + \sum_k A_k x_k^{-\alpha_k}`; two terms may share an exponent."""

    terms: tuple[Term, ...]

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Scales in the order of the terms, then exponents."""
        kinds: dict[str, Kind] = {t.scale: "floor" if t.exponent is None else "scale" for t in self.terms}
        for t in self.terms:
            if t.exponent is not None:
                kinds[t.exponent] = "exponent"
        return kinds

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Variables in the order of the terms."""
        return tuple(dict.fromkeys(t.variable for t in self.terms if t.variable is not None))

    @property
    def latex(self) -> str:
        """The formula in LaTeX, without dollar signs."""
        powers = ((t.scale, t.variable, t.exponent) for t in self.terms)
        right = (A if x is None else rf"\frac{{{A}}}{{{x}^{{\{alpha}}}}}" for A, x, alpha in powers)
        return f"L({', '.join(self.variables)}) = " + " + ".join(right)

    @cached_property
    def _powers(self) -> tuple[tuple[int, int, int], ...]:
        """Index of scale, exponent and variable, for each term that is not the floor."""
        return tuple(
            (k, self.parameters.index(t.exponent), self.variables.index(t.variable))
            for k, t in enumerate(self.terms)
            if t.exponent is not None and t.variable is not None
        )

    @cached_property
    def _floors(self) -> list[int]:
        return [k for k, t in enumerate(self.terms) if t.exponent is None]

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        """Return loss, first derivatives and summed second derivatives, see `Law.jet`."""
        J = np.zeros((*u.shape, logs.shape[1]))  # [R, p, n]
        J[:, self._floors] = 1.0
        f = u[:, self._floors].sum(axis=1, keepdims=True)  # [R, 1], and [R, n] once a power is added
        for k, e, v in self._powers:
            term = np.exp(u[:, k, None] - u[:, e, None] * logs[v], out=J[:, k])  # [R, n]
            J[:, e] -= logs[v] * term
            f = f + term

        def bend(d: Array) -> Array:
            H = np.zeros((len(u), len(self.parameters), len(self.parameters)))
            for k, e, v in self._powers:
                x = logs[v]
                moments = (d * J[:, k]) @ np.stack([np.ones_like(x), -x, x * x], axis=1)  # [R, 3]
                H[:, k, k] = moments[:, 0]
                H[:, k, e] = H[:, e, k] = moments[:, 1]
                H[:, e, e] += moments[:, 2]
            return H

        return f, J, bend

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        """Return the coordinates of the same law in other units, see `Law.rescale`."""
        u = u.copy()
        u[..., self._floors] /= units["L"]
        for k, e, v in self._powers:
            u[..., k] -= u[..., e] * np.log(units[self.variables[v]]) + np.log(units["L"])
        return u

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points by variable projection, see `Law.starts`.

        Once the exponents are given, the relative residual f/L - 1 is linear in the scales. So the exponents run over a
        grid, and the best non-negative scales follow from small linear systems, cut out of one Gram matrix for the
        whole grid. The best point of each region of the grid is returned, not only the best of all: the objective to
        be minimized is not the sum of squares used here.
        """
        grid = np.geomspace(0.03, 3.0, 24)
        n_scales, n_exponents = len(self.terms), len(self.parameters) - len(self.terms)
        at = np.indices((grid.size,) * n_exponents).reshape(n_exponents, -1)  # [q, G]

        columns, of_term = [np.ones((len(self._floors), L.size))], np.zeros((n_scales, at.shape[1]), int)
        for k, e, v in self._powers:
            of_term[k] = sum(map(len, columns)) + at[e - n_scales]  # [G]
            columns.append(np.exp(-grid[:, None] * logs[v]))
        basis = np.concatenate(columns) / L  # [M, n]
        gram = (basis @ basis.T)[of_term[:, None], of_term].transpose(2, 0, 1)  # [G, K, K]
        gram = gram * (1 + 1e-12 * np.eye(n_scales))  # two terms can coincide exactly
        target = basis.sum(axis=1)[of_term].T  # [G, K]

        # The non-negative optimum is the best of the plain optima over the subsets of terms that come out positive.
        explained, scales = np.full(at.shape[1], -np.inf), np.zeros((at.shape[1], n_scales))
        for size in range(n_scales, 0, -1):
            for keep in map(list, combinations(range(n_scales), size)):
                c = np.linalg.solve(gram[:, keep][:, :, keep], target[:, keep, None])[..., 0]
                gain = (c * target[:, keep]).sum(axis=1)
                better = (c > 0).all(axis=1) & (gain > explained)
                explained[better] = gain[better]
                scales[better] = 0.0
                scales[np.ix_(better, keep)] = c[better]

        best_first = np.argsort(-explained, kind="stable")
        region = np.ravel_multi_index(tuple(at // 12), (grid.size // 12,) * n_exponents)  # [G]
        _, firsts = np.unique(region[best_first], return_index=True)
        chosen = best_first[np.sort(firsts)]
        u = np.concatenate([scales[chosen], grid[at.T[chosen]]], axis=1)  # [S, p]
        powers = [k for k, _, _ in self._powers]
        u[:, powers] = np.log(np.maximum(u[:, powers], 1e-3))  # a term that was left out starts small, not at zero
        return u

    def optimum(self, theta: Theta, C: ArrayLike, *, k: float = 6.0) -> tuple[Array, Array]:
        r"""Return the compute-optimal N (parameters) and D (tokens).

        The least loss on :math:`C = k N D` has :math:`\alpha A N^{-\alpha} = \beta B D^{-\beta}`, hence
        :math:`N = G (C/k)^a`, :math:`D = (C/k)^b / G` with :math:`a = \beta/(\alpha+\beta)`, :math:`b = 1 - a` and
        :math:`G = (\alpha A / \beta B)^{1/(\alpha+\beta)}`.

        Parameters
        ----------
        theta : array [..., p] or mapping
            Parameters; leading axes are a batch.
        C : array_like
            Training FLOPs, in the counting that ``k`` stands for.
        k : float
            FLOPs per parameter and token.

        Returns
        -------
        N, D : array
            Shape of the batch, then shape of C.

        Raises
        ------
        ValueError
            If the law is not one power of N and one of D.

        Notes
        -----
        Hoffmann et al. 2022, eq. 4.
        """
        array, C = self.array(theta), np.asarray(C, float)
        A, alpha, B, beta = self._pair(array.reshape(*array.shape[:-1], *(1,) * C.ndim, -1))
        log_nd = np.log(C / k)
        log_N = (np.log(alpha * A / (beta * B)) + beta * log_nd) / (alpha + beta)
        return np.exp(log_N), np.exp(log_nd - log_N)

    def optimum_exponents(self, theta: Theta) -> tuple[Array, Array]:
        r"""Return a and b of :math:`N_{opt} \propto C^a`, :math:`D_{opt} \propto C^b`; a + b = 1. See `optimum`."""
        _, alpha, _, beta = self._pair(self.array(theta))
        return beta / (alpha + beta), alpha / (alpha + beta)

    def _pair(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """A, alpha, B, beta of a law with one power of N and one of D."""
        if self.variables != ("N", "D") or len(self._powers) != 2:
            raise ValueError(f"{self.name} has no optimum, it is not one power of N and one of D: {self.latex}")
        (A, alpha, _), (B, beta, _) = self._powers
        return theta[..., A], theta[..., alpha], theta[..., B], theta[..., beta]


power = PowerSum(
    name="power",
    source="Kaplan et al. 2020, eqs. 1.1-1.3, with A = x_c^alpha",
    terms=(Term("A", "x", "alpha"),),
)
power_floor = PowerSum(
    name="power_floor",
    source="Henighan et al. 2020, eq. 1.1, with A = x_c^alpha",
    terms=(Term("E"), Term("A", "x", "alpha")),
)
chinchilla = PowerSum(
    name="chinchilla",
    source="Hoffmann et al. 2022, eq. 2",
    terms=(Term("E"), Term("A", "N", "alpha"), Term("B", "D", "beta")),
)

LAWS: Mapping[str, Law] = {law.name: law for law in (power, power_floor, chinchilla)}


def kaplan_amplitude(x_c: ArrayLike, alpha: ArrayLike) -> Array:
    r"""Return A such that :math:`A x^{-\alpha} = (x_c / x)^\alpha`, the form of Kaplan et al. 2020, eqs. 1.1-1.3."""
    return np.power(np.asarray(x_c, float), alpha)


def kaplan_scale(A: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the x_c of Kaplan et al. 2020, eqs. 1.1-1.3, in the unit of x: where the law gives a loss of 1."""
    return np.power(np.asarray(A, float), 1 / np.asarray(alpha, float))
