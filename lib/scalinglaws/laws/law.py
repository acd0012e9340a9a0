"""What a law is: value, derivatives, compute-optimal point and LaTeX; and every law that is a sum of powers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Law", "PowerSum", "Term"]

Array = NDArray[np.float64]
Theta = ArrayLike | Mapping[str, ArrayLike]
Kind = Literal["floor", "scale", "exponent", "slope"]


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
        """Return the loss f [R, n], J = df/du [R, p, n], and what sums the second derivatives over the points.

        At fitting coordinates u [R, p], one row per fit, and logarithms of the variables [v, n]. The last is a function
        from weights d [R, n] to the sum over n of d times the second derivatives of f, [R, p, p]: all that Newton's
        method needs, and p times cheaper than keeping them per point.
        """

    def sums(self, u: Array, logs: Array) -> tuple[Array, Callable[[Array, Array], tuple[Array, Array]]]:
        """Return the loss [R, n], and what sums its derivatives over the points; u and logs as for `jet`.

        It takes weights d and h, each [R, n], to the sums over n of d df/du, [R, p], and h (df/du)(df/du)ᵀ + d d²f.
        """
        f, J, bend = self.jet(u, logs)

        def total(d: Array, h: Array) -> tuple[Array, Array]:
            return (J @ d[:, :, None])[:, :, 0], (J * h[:, None]) @ J.transpose(0, 2, 1) + bend(d)

        return f, total

    @abstractmethod
    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        """Return the coordinates of the same law once each variable, and the loss ``"L"``, is counted in ``units``."""

    @abstractmethod
    def starts(self, logs: Array, L: Array) -> Array:
        """Return coordinates [S, p] to start an optimizer from, best first, for data centered on 1."""

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        r"""Return :math:`\ln A, \alpha, \ln B, \beta`, where the law falls with :math:`A N^{-\alpha} + B D^{-\beta}`.

        All that `optimum` needs to know. Laws that are no function of such a sum raise ValueError.
        """
        raise ValueError(f"{self.name} has no compute-optimal point in closed form: {self.latex}")

    def optimum(self, theta: Theta, C: ArrayLike, *, k: float = 6) -> tuple[Array, Array]:
        r"""Return the compute-optimal N (parameters) and D (tokens), or the two variables that the law has instead.

        The least loss on :math:`C = k N D` has :math:`\alpha A N^{-\alpha} = \beta B D^{-\beta}`, hence
        :math:`N = G (C/k)^a`, :math:`D = (C/k)^b / G` with :math:`a = \beta/(\alpha+\beta)`, :math:`b = 1 - a` and
        :math:`G = (\alpha A / \beta B)^{1/(\alpha+\beta)}` (Hoffmann et al. 2022, eq. 4).

        Parameters
        ----------
        theta : array [..., p] or mapping
            Parameters; leading axes are a batch.
        C : array_like
            Training FLOPs, in the counting that ``k`` stands for.
        k : float
            FLOPs per parameter and token (6 as in `counting`); for a law of N and steps, times the tokens of a batch.

        Returns
        -------
        N, D : array
            Shape of the batch, then shape of C.

        Raises
        ------
        ValueError
            If the law has no such point in closed form, C is not positive, or an exponent is at its lowest: then the
            loss does not fall. A batch holds zeros and infinities there instead.
        """
        array, C = self.array(theta), np.asarray(C, float)
        if not (np.isfinite(C) & (C > 0)).all():
            raise ValueError("C must be positive and finite, in training FLOPs such as 1e21")
        log_A, alpha, log_B, beta = self.balance(array.reshape(*array.shape[:-1], *(1,) * C.ndim, -1))
        self._check_falls(array)
        log_nd = np.log(C / k)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_N = (np.log(alpha / beta) + log_A - log_B + beta * log_nd) / (alpha + beta)
            return np.exp(log_N), np.exp(log_nd - log_N)

    def optimum_exponents(self, theta: Theta) -> tuple[Array, Array]:
        r"""Return a and b of :math:`N_{opt} \propto C^a`, :math:`D_{opt} \propto C^b`; a + b = 1. See `optimum`."""
        array = self.array(theta)
        _, alpha, _, beta = self.balance(array)
        self._check_falls(array)
        with np.errstate(invalid="ignore"):
            return beta / (alpha + beta), alpha / (alpha + beta)

    def _check_falls(self, theta: Array) -> None:
        """Raise ValueError if an exponent of one set of parameters is at its lowest."""
        if theta.ndim == 1:
            for name, kind, value, low in zip(self.parameters, self.kinds.values(), theta, self.bounds[0], strict=True):
                if kind == "exponent" and value <= low:
                    raise ValueError(f"{name} is {value:.4g}, at its bound: this fit has no compute-optimal point")

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
        scale = (np.log(1e-12), np.log(1e12))
        limits = {"floor": (0.0, np.inf), "scale": scale, "exponent": (0.0, 5.0), "slope": (-5.0, 5.0)}
        low, high = np.array([limits[kind] for kind in self.kinds.values()]).T
        return low, high

    def bound_words(self, name: str, *, lowest: bool) -> str:
        """Return what it means that a parameter is at its lowest or, if not, its highest coordinate."""
        words = {
            "floor": ("these points show no floor", "all of the loss is floor"),
            "scale": ("its term has vanished", "larger than these points can tell"),
            "exponent": ("the loss does not fall", "a step, not a power law"),
            "slope": ("a step, not a bend", "a step, not a bend"),
        }
        return words[self.kinds[name]][0 if lowest else 1]

    @cached_property
    def least_sizes(self) -> Mapping[str, int]:
        """How many different values of each variable a fit needs."""
        return dict.fromkeys(self.variables, 2 if len(self.variables) == 1 and not self.has_floor else 3)

    @cached_property
    def unit_of(self) -> Mapping[str, str]:
        """The variable whose unit each variable is counted in: usually its own."""
        return {name: name for name in self.variables}

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
        """Return the loss in the unit of the fit (nats per token in this book): shape of the batch, then that of x.

        Parameters
        ----------
        theta : array [..., p] or mapping
            Parameters; leading axes are a batch, such as the resamples of a bootstrap.
        *x : array_like
            The variables, in the order of ``law.variables``; they broadcast against each other.
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
    """``scale / variable^exponent``, or a constant when it has no variable; each by its name."""

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
        scales: dict[str, Kind] = {t.scale: "floor" if t.exponent is None else "scale" for t in self.terms}
        exponents: dict[str, Kind] = {t.exponent: "exponent" for t in self.terms if t.exponent is not None}
        return scales | exponents

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

    @cached_property
    def _own_coordinates(self) -> tuple[Array, Array]:
        """Which coordinate [P, p] belongs to each of the terms' own (scale; scale, exponent; ...), and to each pair."""
        own = np.eye(len(self.parameters))[[*self._floors, *(i for k, e, _ in self._powers for i in (k, e))]]
        pairs = own[:, None, :, None] * own[None, :, None]  # [P, P, p, p]
        return own, pairs.reshape(len(own) ** 2, -1)

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

    def sums(self, u: Array, logs: Array) -> tuple[Array, Callable[[Array, Array], tuple[Array, Array]]]:
        """Return what `Law.sums` does, with no derivative ever written out per point.

        The derivatives of a term by its own coordinates are the term times 1 and -ln x, those of the second order the
        term times their products. So all sums are moments of ln x, weighted by products of two terms.
        """
        ones, f = np.ones((1, logs.shape[1])), u[:, self._floors].sum(axis=1, keepdims=True)  # [R, 1], soon [R, n]
        parts = [(None, ones) for _ in self._floors]  # each a term [R, n] and its factors [1 or 2, n]
        for k, e, v in self._powers:
            term = np.exp(u[:, k, None] - u[:, e, None] * logs[v])
            parts.append((term, np.concatenate([ones, -logs[v, None]])))
            f = f + term
        ends = np.cumsum([0, *(len(factors) for _, factors in parts)]).tolist()
        place = [slice(*pair) for pair in pairwise(ends)]
        own, own_pairs = self._own_coordinates  # [P, p], [P P, p p]

        def total(d: Array, h: Array) -> tuple[Array, Array]:
            slope, bend = np.empty((len(u), ends[-1])), np.empty((len(u), ends[-1], ends[-1]))
            for i, (term, factors) in enumerate(parts):
                d_term, h_term = (d, h) if term is None else (d * term, h * term)
                slope[:, place[i]] = d_term @ factors.T
                for j, (other, others) in enumerate(parts[: i + 1]):
                    weights = h_term if other is None else h_term * other
                    if i == j and term is not None:
                        weights += d_term  # second derivatives; those across terms vanish, and a floor has none
                    products = (factors[:, None] * others).reshape(-1, ones.size)
                    block = (weights @ products.T).reshape(-1, len(factors), len(others))
                    bend[:, place[i], place[j]] = block
                    bend[:, place[j], place[i]] = block.transpose(0, 2, 1)
            return slope @ own, (bend.reshape(len(u), -1) @ own_pairs).reshape(*u.shape, -1)

        return f, total

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
        whole grid. The best point of each region of it is returned, since the objective is not this sum of squares.
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
        target = basis.sum(axis=1)[of_term].T  # [G, K]

        scales, explained = nonnegative(gram, target)
        chosen = best_starts(-explained, np.ravel_multi_index(tuple(at // 12), (grid.size // 12,) * n_exponents))
        u = np.concatenate([scales[chosen], grid[at.T[chosen]]], axis=1)  # [S, p]
        powers = [k for k, _, _ in self._powers]
        u[:, powers] = np.log(np.maximum(u[:, powers], 1e-3))  # a term that was left out starts small, not at zero
        return u

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return what the optimum needs, see `Law.balance`."""
        if self.variables != ("N", "D") or len(self._powers) != 2:
            raise ValueError(f"{self.name} has no optimum, it is not one power of N and one of D: {self.latex}")
        (A, alpha, _), (B, beta, _) = self._powers
        return np.log(theta[..., A]), theta[..., alpha], np.log(theta[..., B]), theta[..., beta]


def best_starts(misfit: Array, regions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Indices of the best candidate of each region, best first; candidates that are not numbers never win."""
    best_first = np.argsort(np.where(np.isfinite(misfit), misfit, np.inf), kind="stable")
    _, firsts = np.unique(regions[best_first], return_index=True)
    return best_first[np.sort(firsts)]


def nonnegative(gram: Array, target: Array) -> tuple[Array, Array]:
    """Non-negative least squares of a few columns, many at once: scales [G, K] and the sum of squares explained [G].

    The optimum is the best of the plain optima over the subsets of columns that come out positive.
    """
    n_fits, n_scales = target.shape
    gram = gram * (1 + 1e-12 * np.eye(n_scales))  # two columns can coincide exactly
    explained, scales = np.full(n_fits, -np.inf), np.zeros((n_fits, n_scales))
    for size in range(n_scales, 0, -1):
        for keep in map(list, combinations(range(n_scales), size)):
            c = np.linalg.solve(gram[:, keep][:, :, keep], target[:, keep, None])[..., 0]
            gain = (c * target[:, keep]).sum(axis=1)
            better = (c > 0).all(axis=1) & (gain > explained)
            explained[better] = gain[better]
            scales[better] = 0.0
            scales[np.ix_(better, keep)] = c[better]
    return scales, explained
