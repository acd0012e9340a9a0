# ruff: noqa: D102, since what a method of `Law` or `Written` does is said there
"""The published laws: formula, derivatives, compute-optimal point and LaTeX of each, as values ready to be fitted.

A law has two sets of numbers. ``theta`` are the parameters as papers print them, in the order of ``law.parameters`` or
as a mapping by name. ``u`` are the *fitting coordinates*: the logarithm of a scale, a floor or an exponent as it is.
Scales are positive and span decades, so an optimizer works with their logarithm; a floor may be zero, which has none.

To add a law that is a sum of powers, write its terms (see `chinchilla`). To add any other, derive from `Written` and
write its formula once: first and second derivatives follow by the chain rule, exactly (see `KaplanJoint`).

``L`` is whatever a law predicts. For most that is a loss; for `critical_batch_time` it is steps, for `critical_batch`
a batch and for `loss_to_error` an error rate.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from scalinglaws.counting import FLOPS_PER_PARAM_TOKEN
from scalinglaws.laws.forms import Coupled, Interaction, Monomial
from scalinglaws.laws.jet import Jet, power_of
from scalinglaws.laws.law import Array, Kind, Law, PowerSum, Term, Theta, best_starts, nonnegative

__all__ = [
    "LAWS", "Written", "broken", "chinchilla", "coupled", "coupled_no_floor", "critical_batch", "critical_batch_time",
    "gadre", "interaction", "kaplan_joint", "kaplan_scale", "kaplan_steps", "loss_to_error", "monomial", "monomial_nd",
    "muennighoff", "power", "power_floor", "repeats_excess", "rosenfeld",
]  # fmt: skip


LOG_6 = np.log(FLOPS_PER_PARAM_TOKEN)


class Written(Law):
    """A law given by its formula; derivatives follow from it."""

    @abstractmethod
    def formula(self, u: list[Jet], logs: Array) -> Jet:
        """Return the loss from the coordinates and the logarithms of the variables [v, n]."""

    def jet(self, u: Array, logs: Array) -> tuple[Array, Array, Callable[[Array], Array]]:
        shape = (len(u), u.shape[1], logs.shape[1])
        out = self.formula(Jet.parameters(u), logs)

        def bend(d: Array) -> Array:
            if out.H is None:
                return np.zeros((*u.shape, u.shape[1]))
            return (np.broadcast_to(out.H, (*u.shape, *shape[1:])) @ d[:, None, :, None])[..., 0]

        return np.broadcast_to(out.f, shape[::2]), np.broadcast_to(out.J, shape), bend


def _kinds(**kinds: Kind) -> Mapping[str, Kind]:
    """Parameters in order, each with its kind."""
    return kinds


@dataclass(frozen=True, kw_only=True)
class _Scaled(Written):
    """A law whose two scales are where the term of a variable alone gives a loss of 1, so that they may lie far off."""

    bounds = np.array([-300.0, -300.0, 1e-2, 1e-2]), np.array([300.0, 300.0, 5.0, 5.0])

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        u = u.copy()
        u[..., :2] -= np.log([units[name] for name in self.variables])
        u[..., :2] -= np.log(units["L"]) / u[..., 2:]
        return u


@dataclass(frozen=True, kw_only=True)
class KaplanJoint(_Scaled):
    r"""Size and data in one law without a floor: :math:`L = [(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}`."""

    kinds = _kinds(N_c="scale", D_c="scale", alpha_N="exponent", alpha_D="exponent")
    variables = ("N", "D")
    latex = r"L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N/\alpha_D} + \frac{D_c}{D}\right]^{\alpha_D}"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        N_c, D_c, alpha_N, alpha_D = u
        of_data = D_c - logs[1]  # logarithm of D_c / D
        of_size = (N_c - logs[0]) * (alpha_N / alpha_D)
        return (alpha_D * (of_data + (of_size - of_data).softplus())).exp()

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: L^(1/alpha_D) is linear in the two terms, so only the exponents need a grid."""
        alpha_D, ratio = (grid.ravel() for grid in np.meshgrid(np.geomspace(0.02, 1.5, 12), np.geomspace(0.1, 4, 12)))
        target = L ** (1 / alpha_D[:, None])  # [G, n]
        of_data = np.broadcast_to(1 / np.exp(logs[1]), target.shape)
        basis = np.stack([np.exp(-ratio[:, None] * logs[0]), of_data], axis=1) / target[:, None]  # [G, 2, n]
        scales, _ = nonnegative(basis @ basis.swapaxes(1, 2), basis.sum(axis=2))
        scales = np.maximum(scales, 1e-3)
        u = np.stack([np.log(scales[:, 0]) / ratio, np.log(scales[:, 1]), ratio * alpha_D, alpha_D], axis=1)
        misfit = ((np.log(L) - np.log(self.jet(u, logs)[0])) ** 2).sum(axis=1)
        chosen = best_starts(misfit, (alpha_D > 0.2) + 2 * (ratio > 0.7))
        return np.clip(u[chosen], *self.bounds)

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        N_c, D_c, alpha_N, alpha_D = np.moveaxis(theta, -1, 0)
        ratio = alpha_N / alpha_D
        return ratio * np.log(N_c), ratio, np.log(D_c), np.ones_like(ratio)


@dataclass(frozen=True, kw_only=True)
class KaplanSteps(_Scaled):
    r"""Size and steps with data to spare: :math:`L = (N_c/N)^{\alpha_N} + (S_c/S)^{\alpha_S}`."""

    kinds = _kinds(N_c="scale", S_c="scale", alpha_N="exponent", alpha_S="exponent")
    variables = ("N", "S")
    latex = r"L(N, S) = \left(\frac{N_c}{N}\right)^{\alpha_N} + \left(\frac{S_c}{S}\right)^{\alpha_S}"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        N_c, S_c, alpha_N, alpha_S = u
        return (alpha_N * (N_c - logs[0])).exp() + (alpha_S * (S_c - logs[1])).exp()

    def starts(self, logs: Array, L: Array) -> Array:
        terms = (Term("A", "N", "alpha_N"), Term("B", "S", "alpha_S"))
        A, B, alpha_N, alpha_S = PowerSum(name="", source="", terms=terms).starts(logs, L).T
        return np.stack([A / alpha_N, B / alpha_S, alpha_N, alpha_S], axis=1)

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        N_c, S_c, alpha_N, alpha_S = np.moveaxis(theta, -1, 0)
        return alpha_N * np.log(N_c), alpha_N, alpha_S * np.log(S_c), alpha_S


@dataclass(frozen=True, kw_only=True)
class CriticalBatchTime(Written):
    r"""Steps to a target loss by batch: :math:`S = S_{min} (1 + B_{crit}/B)`, of which ``L`` is S.

    The same curve as :math:`(S/S_{min} - 1)(E/E_{min} - 1) = 1` with :math:`E = B S` and
    :math:`B_{crit} = E_{min}/S_{min}`. Steps are least for large B, examples and compute for small B; at the critical
    batch both are twice their least.
    """

    kinds = _kinds(S_min="scale", B_crit="scale")
    variables = ("B",)
    latex = r"S(B) = S_{min} \left(1 + \frac{B_{crit}}{B}\right)"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        S_min, B_crit = u
        return S_min.exp() + (S_min + B_crit - logs[0]).exp()

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        return u - np.log([units["L"], units["B"]])

    def starts(self, logs: Array, L: Array) -> Array:
        """Return the starting point: the law is linear in S_min and S_min B_crit."""
        basis = np.stack([np.ones_like(L), np.exp(-logs[0])]) / L
        scales = np.maximum(nonnegative((basis @ basis.T)[None], basis.sum(axis=1)[None])[0], 1e-3)
        return np.log(np.stack([scales[:, 0], scales[:, 1] / scales[:, 0]], axis=1))


@dataclass(frozen=True, kw_only=True)
class CriticalBatch(Written):
    r"""Critical batch by loss: :math:`B_{crit} = B_* / x^{1/\alpha_B}`, where x is the loss and ``L`` the batch."""

    kinds = _kinds(B_star="scale", alpha_B="exponent")
    variables = ("x",)
    latex = r"B_{crit}(x) = \frac{B_*}{x^{1/\alpha_B}}"
    bounds = np.array([-400.0, 0.02]), np.array([400.0, 50.0])  # powers of 0.02 to 50, since a loss spans little

    def bound_words(self, name: str, *, lowest: bool) -> str:
        """Return what a bound means, see `Law.bound_words`: the exponent is the inverse of alpha_B."""
        if name == "alpha_B":
            return "a step, not a power law" if lowest else "the batch does not change with the loss"
        return super().bound_words(name, lowest=lowest)

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        B_star, alpha_B = u
        return (B_star - alpha_B**-1 * logs[0]).exp()

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        B_star, alpha_B = np.moveaxis(u, -1, 0)
        return np.stack([B_star - np.log(units["x"]) / alpha_B - np.log(units["L"]), alpha_B], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return the starting point: a line in logarithms."""
        slope = -(logs[0] @ np.log(L)) / (logs[0] @ logs[0])
        return np.array([[0.0, np.clip(1 / max(slope, 0.02), *(end[1] for end in self.bounds))]])


@dataclass(frozen=True, kw_only=True)
class Rosenfeld(Written):
    r"""A power law that joins the level of random guessing, :math:`\epsilon_0`, where models are too small to learn.

    With :math:`t = E + A N^{-\alpha} + B D^{-\beta}`, the loss is :math:`t / \sqrt{1 + (t/\epsilon_0)^2}`. This is
    :math:`\epsilon_0 |\tilde\epsilon / (\tilde\epsilon - i\eta)|` of the paper with :math:`t = \epsilon_0
    \tilde\epsilon/\eta`: only that ratio shows in the loss, so :math:`\eta` is no parameter of its own here.
    """

    kinds = _kinds(E="floor", A="scale", B="scale", eps_0="scale", alpha="exponent", beta="exponent")
    variables = ("N", "D")
    latex = r"L(N, D) = \frac{t}{\sqrt{1 + (t/\epsilon_0)^2}},\quad t = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        E, A, B, eps_0, alpha, beta = u
        t = E + power_of(A, alpha, logs[0]) + power_of(B, beta, logs[1])
        q = t * (-eps_0).exp()
        return t * (1.0 + q * q) ** -0.5

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, A, B, eps_0, alpha, beta = np.moveaxis(u, -1, 0)
        log_L = np.log(units["L"])
        A, B = A - alpha * np.log(units["N"]) - log_L, B - beta * np.log(units["D"]) - log_L
        return np.stack([E / units["L"], A, B, eps_0 - log_L, alpha, beta], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: a level is guessed, and Chinchilla's surface put under it."""
        found = []
        for above in (1.02, 1.3, 3.0, 30.0):
            eps_0 = above * L.max()
            E, A, B, alpha, beta = chinchilla.starts(logs, L / np.sqrt(1 - (L / eps_0) ** 2)).T
            found.append(np.stack([E, A, B, np.full_like(A, np.log(eps_0)), alpha, beta], axis=1)[:2])
        return np.concatenate(found)

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return what the optimum needs, see `Law.balance`: the envelope keeps the order of losses."""
        _, A, B, _, alpha, beta = np.moveaxis(theta, -1, 0)
        return np.log(A), alpha, np.log(B), beta


@dataclass(frozen=True, kw_only=True)
class Muennighoff(Written):
    r"""Chinchilla's surface in effective parameters and tokens, which repeated data raise less and less.

    U unique tokens are seen :math:`1 + R_D` times in D = U (1 + R_D) tokens, and count as
    :math:`D' = U [1 + R_D^* (1 - e^{-R_D/R_D^*})]`. Parameters beyond :math:`U_N`, the compute-optimal size for U
    tokens, saturate alike with :math:`R_N^*`. D below U is taken as one pass over D tokens. The paper fits with
    alpha = beta; here they are two.
    """

    kinds = _kinds(
        E="floor", A="scale", B="scale", R_N_star="scale", R_D_star="scale", alpha="exponent", beta="exponent"
    )
    variables = ("N", "D", "U")
    least_sizes = MappingProxyType({"N": 3, "D": 3, "U": 1})  # repeats show with one U, too
    unit_of = MappingProxyType({"N": "N", "D": "D", "U": "D"})
    latex = (
        r"L(N, D, U) = E + \frac{A}{N'^{\alpha}} + \frac{B}{D'^{\beta}},\quad "
        r"D' = U \left[1 + R_D^* \left(1 - e^{-(D/U - 1)/R_D^*}\right)\right],\quad "
        r"N' = U_N \left[1 + R_N^* \left(1 - e^{-(N/U_N - 1)/R_N^*}\right)\right]"
    )

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, see `Law.bounds`; the compute-optimal size needs positive exponents."""
        low, high = (np.array(end) for end in super().bounds)
        low[5:] = 1e-3
        return low, high

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        E, A, B, R_N, R_D, alpha, beta = u
        log_N, log_D = logs[:2]
        log_U = np.minimum(logs[2], log_D)
        best_N = (alpha.log() + A - beta.log() - B + beta * log_U) / alpha
        log_U_N = best_N.at_most(log_N)
        effective_N = log_U_N + _saturating((log_N - log_U_N).exp() - 1.0, R_N)
        effective_D = log_U + _saturating(np.exp(log_D - log_U) - 1.0, R_D)
        return E + (A - alpha * effective_N).exp() + (B - beta * effective_D).exp()

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, A, B, R_N, R_D, alpha, beta = np.moveaxis(u, -1, 0)
        log_L = np.log(units["L"])
        A, B = A - alpha * np.log(units["N"]) - log_L, B - beta * np.log(units["D"]) - log_L
        return np.stack([E / units["L"], A, B, R_N, R_D, alpha, beta], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: decay constants are guessed, and Chinchilla's surface fitted to effective tokens."""
        log_N, log_D, log_U = logs[0], logs[1], np.minimum(logs[1], logs[2])
        found = []
        for R_D in (3.0, 15.0, 60.0):
            effective = log_U + np.log1p(R_D * -np.expm1(-np.expm1(log_D - log_U) / R_D))
            E, A, B, alpha, beta = chinchilla.starts(np.stack([log_N, effective]), L).T
            for R_N in (5.0, 50.0):
                same = [np.full_like(A, np.log(R_N)), np.full_like(A, np.log(R_D))]
                found.append(np.stack([E, A, B, *same, alpha, beta], axis=1)[:2])
        return np.concatenate(found)

    def optimum(
        self, theta: Theta, C: ArrayLike, *, k: float = FLOPS_PER_PARAM_TOKEN, U: ArrayLike = np.inf
    ) -> tuple[Array, Array]:
        """Return the compute-optimal N and D where only ``U`` unique tokens exist, see `Law.optimum`.

        The least loss on C = k N D by golden sections in ln N, which end where the loss is flat to round-off: N is good
        to about 1e-7, unless the unique tokens are used up. Then a wide range of N has the same loss to round-off, and
        N is anywhere in it. While one pass is not yet optimal it is Chinchilla's optimum, exactly.
        """
        array = self.array(theta)
        self._check_falls(array)
        C, U = np.broadcast_arrays(np.asarray(C, float), np.asarray(U, float))
        plain = [self.parameters.index(name) for name in chinchilla.parameters]
        fresh_N, fresh_D = chinchilla.optimum(array[..., plain], C, k=k)
        if np.isinf(U).all() or (fresh_D <= U).all():
            return fresh_N, fresh_D
        flat = array.reshape(-1, array.shape[-1])
        N = np.stack([self._repeated(row, C.ravel(), k, U.ravel()) for row in flat]).reshape(fresh_N.shape)
        one_pass = fresh_D <= U
        return np.where(one_pass, fresh_N, N), np.where(one_pass, fresh_D, C / k / N)

    def _repeated(self, theta: Array, C: Array, k: float, U: Array) -> Array:
        """Best N [n] for one set of parameters, by golden sections."""
        shrink = (np.sqrt(5) - 1) / 2
        high = np.log(C / k / U)  # one pass; below it, tokens repeat
        low = high - 30.0

        def loss(log_N: Array) -> Array:
            N = np.exp(log_N)
            return self.value(theta, N, C / k / N, U)

        for _ in range(110):
            width = shrink * (high - low)
            better_low = loss(high - width) < loss(low + width)
            low, high = np.where(better_low, low, high - width), np.where(better_low, low + width, high)
        return np.exp((low + high) / 2)


def _saturating(repeats: Jet | Array, log_R: Jet) -> Jet:
    """Logarithm of 1 + R (1 - exp(-repeats / R))."""
    seen = (-(repeats * (-log_R).exp())).exp()
    return (1.0 + log_R.exp() * (1.0 - seen)).log()


@dataclass(frozen=True, kw_only=True)
class RepeatsExcess(Written):
    r"""Loss by tokens of one size of model, and what repeating U unique tokens adds: :math:`c\,(D/U - 1)^p`.

    Epochs are D / U. On new text (U is D or more) nothing is added. An excess that grows without end, unlike
    `Muennighoff`'s, so that the loss has a least number of epochs.
    """

    kinds = _kinds(E="floor", B="scale", c="scale", beta="exponent", p="exponent")
    variables = ("D", "U")
    least_sizes = MappingProxyType({"D": 3, "U": 1})  # repeats show with one U, too
    unit_of = MappingProxyType({"D": "D", "U": "D"})
    latex = r"L(D, U) = E + \frac{B}{D^{\beta}} + c \left(\frac{D}{U} - 1\right)^{p}"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        E, B, c, beta, p = u
        repeated, log_repeats = _repeats(logs)
        return E + power_of(B, beta, logs[0]) + (c + p * log_repeats).exp() * repeated

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, B, c, beta, p = np.moveaxis(u, -1, 0)
        log_L = np.log(units["L"])
        return np.stack([E / units["L"], B - beta * np.log(units["D"]) - log_L, c - log_L, beta, p], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: floor and scales are linear once the exponents are on a grid."""
        beta, p = (axis.ravel() for axis in np.meshgrid(np.geomspace(0.03, 2, 16), np.geomspace(0.1, 3, 12)))
        repeated, log_repeats = _repeats(logs)
        falling, rising = np.exp(-beta[:, None] * logs[0]), repeated * np.exp(p[:, None] * log_repeats)
        basis = np.stack([np.broadcast_to(1 / L, falling.shape), falling / L, rising / L], axis=1)  # [G, 3, n]
        scales, explained = nonnegative(basis @ basis.swapaxes(1, 2), basis.sum(axis=2))
        E, B, c = np.maximum(scales, [0.0, 1e-3, 1e-3]).T
        return np.stack([E, np.log(B), np.log(c), beta, p], axis=1)[best_starts(-explained, (beta > 0.3) + 2 * (p > 1))]


def _repeats(logs: Array) -> tuple[Array, Array]:
    """Where tokens are repeated, as ones and zeros, and the logarithm of D/U - 1 there, zero elsewhere."""
    more = logs[0] - logs[1]
    repeated = more > 1e-9  # one pass, but for rounding of the units
    return repeated.astype(float), np.log(np.expm1(np.where(repeated, more, np.log(2))))


@dataclass(frozen=True, kw_only=True)
class Gadre(Written):
    r"""Loss by compute and over-training M = D/N, in N and D by C = 6 N D.

    :math:`L = E + (a M^\eta + b M^{-\eta}) C^{-\eta} = E + 6^{-\eta} (a N^{-2\eta} + b D^{-2\eta})`: Chinchilla's
    surface with one exponent, so that over-training moves the line in log-log and not its slope.
    """

    kinds = _kinds(E="floor", a="scale", b="scale", eta="exponent")
    variables = ("N", "D")
    latex = r"L(N, D) = E + \left(a M^{\eta} + b M^{-\eta}\right) C^{-\eta},\quad M = \frac{D}{N},\quad C = 6 N D"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        E, a, b, eta = u
        return E + power_of(a, eta, 2 * logs[0] + LOG_6) + power_of(b, eta, 2 * logs[1] + LOG_6)

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, a, b, eta = np.moveaxis(u, -1, 0)
        log_L = np.log(units["L"])
        a, b = a - 2 * eta * np.log(units["N"]) - log_L, b - 2 * eta * np.log(units["D"]) - log_L
        return np.stack([E / units["L"], a, b, eta], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        terms = (Term("E"), Term("A", "N", "alpha"), Term("B", "D", "alpha"))
        E, A, B, alpha = PowerSum(name="", source="", terms=terms).starts(logs, L).T
        eta = alpha / 2
        return np.stack([E, A + eta * LOG_6, B + eta * LOG_6, eta], axis=1)

    def balance(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        _, a, b, eta = np.moveaxis(theta, -1, 0)
        return np.log(a) - eta * LOG_6, 2 * eta, np.log(b) - eta * LOG_6, 2 * eta


@dataclass(frozen=True, kw_only=True)
class LossToError(Written):
    r"""Error rate by loss, :math:`\epsilon - k e^{-\gamma x}`: x is the loss and ``L`` the error.

    An error is near its ceiling for weak models, so fit it with ``residual="raw"``.
    """

    kinds = _kinds(epsilon="scale", k="scale", gamma="scale")
    variables = ("x",)
    least_sizes = MappingProxyType({"x": 3})
    latex = r"\mathrm{error}(x) = \epsilon - k e^{-\gamma x}"

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        epsilon, k, gamma = u
        return epsilon.exp() - (k - gamma.exp() * np.exp(logs[0])).exp()

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        return u - np.log([units["L"], units["L"], 1 / units["x"]])

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: only gamma needs a grid."""
        gamma = np.geomspace(0.05, 50, 60)
        falling = -np.exp(-gamma[:, None] * (np.exp(logs[0]) - 1)) / L  # counted from the middle, lest it underflows
        basis = np.stack([np.broadcast_to(1 / L, falling.shape), falling], axis=1)  # [G, 2, n]
        scales, explained = nonnegative(basis @ basis.swapaxes(1, 2), basis.sum(axis=2))
        scales = np.maximum(scales, 1e-3)
        u = np.stack([np.log(scales[:, 0]), np.log(scales[:, 1]) + gamma, np.log(gamma)], axis=1)
        positive = (self.jet(u, logs)[0] > 0).all(axis=1)
        return u[best_starts(np.where(positive, -explained, np.inf), np.arange(60) // 20)]


@dataclass(frozen=True, kw_only=True)
class Broken(Written):
    r"""A power law that bends once: :math:`E + A x^{-c_0} [1 + (x/d_1)^{1/f_1}]^{-c_1 f_1}`.

    Its slope goes from :math:`c_0` to :math:`c_0 + c_1` around :math:`d_1`, over :math:`f_1` e-foldings of x; a
    negative :math:`c_1` flattens it.
    """

    kinds = _kinds(E="floor", A="scale", d_1="scale", f_1="scale", c_0="exponent", c_1="slope")
    variables = ("x",)
    latex = r"L(x) = E + A x^{-c_0} \left[1 + \left(\frac{x}{d_1}\right)^{1/f_1}\right]^{-c_1 f_1}"

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, see `Law.bounds`; a bend is between a corner and ten e-foldings wide."""
        low, high = (np.array(end) for end in super().bounds)
        low[3], high[3] = np.log(0.01), np.log(10.0)
        return low, high

    def bound_words(self, name: str, *, lowest: bool) -> str:
        if name == "f_1":
            return "the bend is a corner" if lowest else "the bend is too wide to be one"
        return super().bound_words(name, lowest=lowest)

    def formula(self, u: list[Jet], logs: Array) -> Jet:
        E, A, d, f, c_0, c_1 = u
        bend = ((logs[0] - d) * (-f).exp()).softplus() * f.exp()
        return E + (A - c_0 * logs[0] - c_1 * bend).exp()

    def rescale(self, u: Array, units: Mapping[str, float]) -> Array:
        E, A, d, f, c_0, c_1 = np.moveaxis(u, -1, 0)
        A = A - c_0 * np.log(units["x"]) - np.log(units["L"])
        return np.stack([E / units["L"], A, d - np.log(units["x"]), f, c_0, c_1], axis=-1)

    def starts(self, logs: Array, L: Array) -> Array:
        """Return starting points: E and A are linear once place, width and slopes of the bend are on a grid."""
        places, widths = np.quantile(logs[0], np.linspace(0.1, 0.9, 9)), np.log([0.2, 1.0])
        slopes, changes = np.geomspace(0.03, 2, 9), np.array([-0.5, -0.2, -0.05, 0.05, 0.2, 0.5, 1.0])
        grid = np.meshgrid(places, widths, slopes, changes, indexing="ij")
        d, f, c_0, c_1 = (axis.ravel() for axis in grid)
        bend = np.exp(f)[:, None] * np.logaddexp(0, (logs[0] - d[:, None]) / np.exp(f)[:, None])
        falling = np.exp(-c_0[:, None] * logs[0] - c_1[:, None] * bend)  # [G, n]
        basis = np.stack([np.broadcast_to(1 / L, falling.shape), falling / L], axis=1)
        scales, explained = nonnegative(basis @ basis.swapaxes(1, 2), basis.sum(axis=2))
        chosen = best_starts(-explained, np.arange(d.size) // (d.size // 9) * 2 + (c_1 > 0))
        A = np.log(np.maximum(scales[:, 1], 1e-3))
        return np.stack([scales[:, 0], A, d, f, c_0, c_1], axis=1)[chosen][:8]


_FLOOR, _POWER = Term("E"), Term("A", "x", "alpha")
_SURFACE = (_FLOOR, Term("A", "N", "alpha"), Term("B", "D", "beta"))

power = PowerSum(name="power", source="Kaplan et al. 2020, eqs. 1.1-1.3, with A = x_c^alpha", terms=(_POWER,))
power_floor = PowerSum(
    name="power_floor", source="Henighan et al. 2020, eq. 1.1, with A = x_c^alpha", terms=(_FLOOR, _POWER)
)
chinchilla = PowerSum(name="chinchilla", source="Hoffmann et al. 2022, eq. 2", terms=_SURFACE)
kaplan_joint = KaplanJoint(name="kaplan_joint", source="Kaplan et al. 2020, eq. 1.5")
kaplan_steps = KaplanSteps(name="kaplan_steps", source="Kaplan et al. 2020, eq. 1.6")
critical_batch_time = CriticalBatchTime(
    name="critical_batch_time", source="McCandlish et al. 2018, eq. 2.11; Kaplan et al. 2020, eqs. 5.1 and 5.4"
)
critical_batch = CriticalBatch(name="critical_batch", source="Kaplan et al. 2020, eqs. 1.4 and 5.3")
rosenfeld = Rosenfeld(name="rosenfeld", source="Rosenfeld et al. 2020, eqs. 3 and 5, with eta in the scales")
muennighoff = Muennighoff(name="muennighoff", source="Muennighoff et al. 2023, eq. 5")
repeats_excess = RepeatsExcess(
    name="repeats_excess", source="after Lovelace et al. 2026: an additive penalty, of which c and p are free here"
)
gadre = Gadre(name="gadre", source="Gadre et al. 2024, eq. 4")
loss_to_error = LossToError(name="loss_to_error", source="Gadre et al. 2024, eq. 5")
broken = Broken(name="broken", source="Caballero et al. 2022, eq. 1, with one break")
coupled = Coupled(name="coupled", source="Kaplan et al. 2020, eq. 1.5, with a floor and a k of its own")
coupled_no_floor = Coupled(
    name="coupled_no_floor", source="Kaplan et al. 2020, eq. 1.5, with a k of its own", floor=False
)
interaction = Interaction(name="interaction", source="Hoffmann et al. 2022, eq. 2, with an interaction")
monomial = Monomial(name="monomial", source="Hoffmann et al. 2022, section 3: N_opt of C", powers=(("x", "p"),))
monomial_nd = Monomial(
    name="monomial_nd", source="Li et al. 2025 (Step Law): learning rate and batch", powers=(("N", "p"), ("D", "q"))
)

LAWS: Mapping[str, Law] = {law.name: law for law in [*globals().values()] if isinstance(law, Law)}


def kaplan_scale(A: ArrayLike, alpha: ArrayLike) -> Array:
    r"""Return the x_c of Kaplan et al. 2020, eqs. 1.1-1.3, in the unit of x: :math:`(x_c/x)^\alpha = A x^{-\alpha}`."""
    return np.power(np.asarray(A, float), 1 / np.asarray(alpha, float))
