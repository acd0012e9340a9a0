# ruff: noqa: D102, since what a method of `Law` does is said there
"""Forms that widen the published ones: size and data in one bracket, a sum with an interaction, products of powers.

Their derivatives are written out, because fits of them are resampled a thousand times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from scalinglaws.laws.law import Array, Kind, Law, PowerSum, Term, Theta, best_starts, nonnegative

__all__ = ["Coupled", "Interaction", "Monomial"]

_SUM = PowerSum(name="", source="", terms=(Term("E"), Term("A", "N", "alpha"), Term("B", "D", "beta")))


@dataclass(frozen=True, kw_only=True)
class Coupled(Law):
    r"""Size and data in one bracket: :math:`E + [(A N^{-\alpha})^{1/k} + (B D^{-\beta})^{1/k}]^k`.

    The same law as :math:`E + A (N^{-a} + R D^{-b})^k` with :math:`\alpha = k a`, :math:`\beta = k b`. Written so, A
    and alpha are those of the power law that remains where tokens are plenty, and B and beta where parameters are,
    whatever k is, so that k is hardly correlated with them. With k = 1 it is Chinchilla's sum, with a small k the
    larger of its terms. Without floor and with k = beta it is `kaplan_joint`.
    """

    floor: bool = True

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        floor: dict[str, Kind] = {"E": "floor"} if self.floor else {}
        return floor | {"A": "scale", "B": "scale", "alpha": "exponent", "beta": "exponent", "k": "scale"}

    @property
    def variables(self) -> tuple[str, ...]:
        return ("N", "D")

    @property
    def latex(self) -> str:
        bracket = r"\left[\left(\frac{A}{N^{\alpha}}\right)^{1/k} + \left(\frac{B}{D^{\beta}}\right)^{1/k}\right]^k"
        return "L(N, D) = " + "E + " * self.floor + bracket

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, see `Law.bounds`; k is between a corner and more than twice the sum."""
        low, high = (np.array(end) for end in super().bounds)
        low[-1], high[-1] = np.log(0.05), np.log(4.0)
        return low, high

    def bound_words(self, name: str, *, lowest: bool) -> str:
        if name == "k":
            return "only the larger of the two terms counts" if lowest else "both terms matter only together"
        return super().bound_words(name, lowest=lowest)

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        r"""Return loss and derivatives, see `Law.jet`.

        With :math:`t_A = \ln A - \alpha \ln N`, :math:`t_B` alike, and :math:`z = (t_A - t_B)/k`, the bracket is
        :math:`e^v`, :math:`v = k \ln(e^{t_A/k} + e^{t_B/k})`. The derivatives of v by :math:`t_A` and :math:`t_B` are
        the shares :math:`w` of the two terms, that by :math:`\ln k` is k times their entropy, and all second ones are
        products of one row c with itself, times :math:`w_A w_B / k`, but for k times the entropy by :math:`\ln k`.
        """
        A, B, alpha, beta, log_k = u[:, -5:].T[:, :, None]  # each [R, 1]
        x, y = logs
        k, size, data = np.exp(log_k), A - alpha * x, B - beta * y  # [R, 1], [R, n], [R, n]
        z = (size - data) / k
        of_size, of_data, far = expit(z), expit(-z), np.abs(z)
        value = np.exp(k * np.logaddexp(size / k, data / k))
        entropy = k * (np.log1p(np.exp(-far)) + far * expit(-far))
        g = np.stack([of_size, of_data, -x * of_size, -y * of_data, entropy], axis=1)  # [R, 5, n]
        f, J = value, value[:, None] * g
        if self.floor:
            f, J = value + u[:, :1], np.concatenate([np.ones_like(J[:, :1]), J], axis=1)

        def bend(d: Array) -> Array:
            c = np.stack([np.ones_like(z), -np.ones_like(z), -x + 0 * z, y + 0 * z, -k * z], axis=1)
            weight = d * value
            H = np.zeros((len(u), u.shape[1], u.shape[1]))
            H[:, -5:, -5:] = (g * weight[:, None]) @ g.transpose(0, 2, 1)
            H[:, -5:, -5:] += (c * (weight * of_size * of_data / k)[:, None]) @ c.transpose(0, 2, 1)
            H[:, -1, -1] += np.vecdot(weight, entropy)
            return H

        return f, J, bend

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        u = u.copy()
        if self.floor:
            u[..., 0] /= units["L"]
        for scale, exponent, name in ((-5, -3, "N"), (-4, -2, "D")):
            u[..., scale] -= u[..., exponent] * np.log(units[name]) + np.log(units["L"])
        return u

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: floor, k and exponents on a grid, the two scales by linear systems.

        What is above the floor, to the power 1/k, is linear in both scales to that power.
        """
        grid = np.geomspace(0.04, 1.5, 7)
        floors = L.min() * np.array([0.0, 0.5, 0.8, 0.95] if self.floor else [0.0])
        at = np.indices((floors.size, 3, grid.size, grid.size)).reshape(4, -1)
        E, k, alpha, beta = floors[at[0]], np.array([1.0, 0.5, 0.2])[at[1]], grid[at[2]], grid[at[3]]
        target = (L - E[:, None]) ** (1 / k[:, None])  # [G, n]
        basis = np.exp(-np.stack([alpha / k, beta / k], axis=1)[:, :, None] * logs) / target[:, None]  # [G, 2, n]
        scales, _ = nonnegative(basis @ basis.swapaxes(1, 2), basis.sum(axis=2))
        A, B = k * np.log(np.maximum(scales.T, 1e-9))
        low, high = self.bounds
        u = np.clip(np.stack([E, A, B, alpha, beta, np.log(k)], axis=1)[:, 6 - low.size :], low, high)
        misfit = ((np.log(L) - np.log(self.jet(u, logs)[0])) ** 2).sum(axis=1)
        return u[best_starts(misfit, 2 * at[1] + (at[0] >= floors.size / 2))]

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return what the optimum needs, see `Law.balance`: the bracket falls with the sum in it."""
        A, B, alpha, beta, k = np.moveaxis(theta[..., -5:], -1, 0)
        return np.log(A) / k, alpha / k, np.log(B) / k, beta / k


@dataclass(frozen=True, kw_only=True)
class Interaction(Law):
    r"""Chinchilla's sum with an interaction, :math:`E + a + b + c\,a b` of :math:`a = A N^{-\alpha}, b = B D^{-\beta}`.

    A negative c says that parameters help less where tokens are few, and the reverse, as analysis of variance has it.
    Far out the product falls faster than both of its factors, so that the law ends in the sum.
    """

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        return {"E": "floor", "A": "scale", "B": "scale", "alpha": "exponent", "beta": "exponent", "c": "slope"}

    @property
    def variables(self) -> tuple[str, ...]:
        return ("N", "D")

    @property
    def latex(self) -> str:
        a, b = r"\frac{A}{N^{\alpha}}", r"\frac{B}{D^{\beta}}"
        return f"L(N, D) = E + {a} + {b} + c {a} {b}"

    def bound_words(self, name: str, *, lowest: bool) -> str:
        return "larger than these points can tell" if name == "c" else super().bound_words(name, lowest=lowest)

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        """Return loss and derivatives, see `Law.jet`: those of a power by its own two are the power times 1 and -ln."""
        E, A, B, alpha, beta, c = u.T[:, :, None]  # each [R, 1]
        x, y = logs
        a, b = np.exp(A - alpha * x), np.exp(B - beta * y)  # [R, n]
        of_a, of_b, both = a * (1 + c * b), b * (1 + c * a), a * b
        J = np.stack([np.ones_like(a), of_a, of_b, -x * of_a, -y * of_b, both], axis=1)

        def bend(d: Array) -> Array:
            P, Q = np.stack([np.ones_like(x), -x], axis=1), np.stack([np.ones_like(y), -y], axis=1)  # [n, 2]
            H = np.zeros((len(u), 6, 6))
            pairs = (((1, 3), P, (1, 3), P, of_a), ((2, 4), Q, (2, 4), Q, of_b), ((1, 3), P, (2, 4), Q, c * both))
            for rows, one, columns, other, weight in pairs:
                block = np.einsum("rn,ni,nj->rij", d * weight, one, other, optimize=True)
                H[np.ix_(range(len(u)), rows, columns)] = block
                H[np.ix_(range(len(u)), columns, rows)] = block.transpose(0, 2, 1)
            H[:, (1, 3), 5] = H[:, 5, (1, 3)] = (d * both) @ P
            H[:, (2, 4), 5] = H[:, 5, (2, 4)] = (d * both) @ Q
            return H

        return E + a + b + c * both, J, bend

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, A, B, alpha, beta, c = np.moveaxis(u, -1, 0)
        A = A - alpha * np.log(units["N"]) - np.log(units["L"])
        B = B - beta * np.log(units["D"]) - np.log(units["L"])
        return np.stack([E / units["L"], A, B, alpha, beta, c * units["L"]], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: those of the sum, without interaction."""
        u = _SUM.starts(logs, L)
        return np.concatenate([u, np.zeros((len(u), 1))], axis=1)

    def optimum(self, theta: Theta, C: ArrayLike, *, k: float = 6) -> tuple[Array, Array]:
        """Return the compute-optimal N and D, see `Law.optimum`, by bisection of the slope in ln N along C = k N D.

        The search goes out from the optimum of the sum, within a factor of e^12; beyond that, or where the slope does
        not change its sign, there is none, and N and D are nan.
        """
        array, C = self.array(theta), np.asarray(C, float)
        N = _SUM.optimum(array[..., :5], C, k=k)[0]
        rows = array.reshape(*array.shape[:-1], *(1,) * C.ndim, -1)
        _, A, B, alpha, beta, c = np.moveaxis(rows, -1, 0)

        def falls(log_N: Array) -> NDArray[np.bool_]:
            a, b = A * np.exp(-alpha * log_N), B * np.exp(-beta * (np.log(C / k) - log_N))
            return alpha * a * (1 + c * b) > beta * b * (1 + c * a)

        low, high = np.log(N) - 12.0, np.log(N) + 12.0
        found = falls(low) & ~falls(high)
        for _ in range(70):
            middle = (low + high) / 2
            down = falls(middle)
            low, high = np.where(down, middle, low), np.where(down, high, middle)
        best = np.where(found, np.exp((low + high) / 2), np.nan)
        return best, C / k / best


@dataclass(frozen=True, kw_only=True)
class Monomial(Law):
    r"""A product of powers of any sign, :math:`A x^p` or :math:`A N^p D^q`: what rises or falls with its variables.

    Such as the best size by compute, or the best learning rate and batch by parameters and tokens. ``L`` is that.
    """

    powers: tuple[tuple[str, str], ...]  # letter of each variable, and the name of its exponent

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        scale: dict[str, Kind] = {"A": "scale"}
        exponents: dict[str, Kind] = {exponent: "slope" for _, exponent in self.powers}
        return scale | exponents

    @cached_property
    def variables(self) -> tuple[str, ...]:
        return tuple(letter for letter, _ in self.powers)

    @property
    def latex(self) -> str:
        of = ", ".join(self.variables)
        return f"y({of}) = A " + " ".join(f"{letter}^{{{exponent}}}" for letter, exponent in self.powers)

    @cached_property
    def least_sizes(self) -> Mapping[str, int]:
        return dict.fromkeys(self.variables, 2)

    def bound_words(self, name: str, *, lowest: bool) -> str:
        return "a step, not a power law" if name != "A" else super().bound_words(name, lowest=lowest)

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        basis = np.concatenate([np.ones((1, logs.shape[1])), logs])  # [p, n]
        f = np.exp(u @ basis)
        return f, f[:, None] * basis, lambda d: (basis * (d * f)[:, None]) @ basis.T

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        u = u.copy()
        u[..., 0] += u[..., 1:] @ np.log([units[letter] for letter in self.variables]) - np.log(units["L"])
        return u

    def starts(self, logs: Array, L: Array) -> Array:
        """Return the starting point: a plane in logarithms."""
        basis = np.concatenate([np.ones((1, logs.shape[1])), logs])
        plane = np.asarray(np.linalg.lstsq(basis.T, np.log(L), rcond=None)[0], float)
        return np.clip(plane, *self.bounds)[None]
