"""Exact first and second derivatives by the chain rule."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Jet:
    """A number that carries its exact first and second derivatives by the parameters through a formula.

    R fits, p parameters, n points; an axis of 1 stands for one that does not vary.
    """

    f: Array  # [R, n]
    J: Array  # [R, p, n]
    H: Array | None  # [R, p, p, n]; None: all zero

    __array_ufunc__ = None  # numpy then calls this class for array + jet

    @classmethod
    def parameters(cls, u: Array) -> list[Self]:
        """Return each of the coordinates u [R, p] as such a number."""
        one_hot = np.eye(u.shape[1])[:, None, :, None]  # [p, 1, p, 1]
        return [cls(u[:, [j]], one_hot[j], None) for j in range(u.shape[1])]

    def through(self, f: Array, slope: Array, bend: Array) -> Self:
        """Return a function of this number, given its value and its two derivatives here, each [R, n]."""
        H = (bend[:, None] * self.J)[:, :, None] * self.J[:, None]
        if self.H is not None:
            H = H + slope[:, None, None] * self.H
        return type(self)(f, slope[:, None] * self.J, H)

    def __add__(self, other: "Jet | Array | float") -> Self:
        if not isinstance(other, Jet):
            return type(self)(self.f + other, self.J, self.H)
        H = other.H if self.H is None else self.H if other.H is None else self.H + other.H
        return type(self)(self.f + other.f, self.J + other.J, H)

    def __mul__(self, other: "Jet | Array | float") -> Self:
        if not isinstance(other, Jet):
            return type(self)(self.f * other, self.J * other, None if self.H is None else self.H * other)
        cross = self.J[:, :, None] * other.J[:, None]
        H = cross + cross.swapaxes(1, 2)
        for one, another in ((self, other), (other, self)):
            if one.H is not None:
                H = H + one.H * another.f[:, None, None]
        return type(self)(self.f * other.f, self.J * other.f[:, None] + other.J * self.f[:, None], H)

    def __pow__(self, power: float) -> Self:
        f = self.f**power
        return self.through(f, power * f / self.f, power * (power - 1) * f / self.f**2)

    def __truediv__(self, other: "Jet") -> Self:
        return self * other**-1

    def __neg__(self) -> Self:
        return self * -1.0

    def __sub__(self, other: "Jet | Array | float") -> Self:
        return self + -other

    def __rsub__(self, other: Array | float) -> Self:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def exp(self) -> Self:
        """Return the exponential."""
        f = np.exp(self.f)
        return self.through(f, f, f)

    def log(self) -> Self:
        """Return the natural logarithm."""
        return self.through(np.log(self.f), 1 / self.f, -1 / self.f**2)

    def softplus(self) -> Self:
        """Return the logarithm of 1 + exp, without overflow."""
        rising = 0.5 * (1 + np.tanh(self.f / 2))
        return self.through(np.logaddexp(0.0, self.f), rising, rising * (1 - rising))

    def at_most(self, most: Array) -> Self:
        """Return the smaller of this number and ``most`` [n], which is constant."""
        free = self.f < most  # [R, n]
        H = None if self.H is None else self.H * free[:, None, None]
        return type(self)(np.where(free, self.f, most), self.J * free[:, None], H)


def power_of(log_scale: Jet, exponent: Jet, log_x: Array) -> Jet:
    """Return ``scale / x^exponent``, from the logarithms of scale and x."""
    return (log_scale - exponent * log_x).exp()
