"""What to train for a budget: compute-optimal sizes of a fitted or a published law, with or without serving.

Of the refits of a bootstrap a plan has intervals too.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from scalinglaws import published
from scalinglaws.counting import FLOPS_PER_PARAM_TOKEN, PF_DAY, flops_6nd, tokens_6nd
from scalinglaws.files import unversioned
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.catalogue import chinchilla, kaplan_joint, muennighoff
from scalinglaws.laws.fit import SCHEMA, USABLE, Fit, FitError, Status, law_named
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.frontier import Frontier, least_squares_line
from scalinglaws.laws.law import Array, Law
from scalinglaws.laws.shown import Shown

__all__ = [
    "NAMED", "Allocation", "Counted", "InferenceAllocation", "Source", "allocate", "allocate_for_inference",
    "counted", "ladder_exponent", "named", "plan", "source_of_json",
]  # fmt: skip

# Of an optimum; a str is one of NAMED.
Source = Fit | Bootstrap | Frontier | str | tuple[Law, Mapping[str, float]]

NAMED = ("kaplan2020", "hoffmann2022", "hoffmann2022-rounded", "besiroglu2024", "muennighoff2023", "sardana2023")
FLOPS_RULES = ("6nd", "6nd-nonemb")


@dataclass(frozen=True, kw_only=True)
class _Planned(Shown):
    """What both kinds of plan have."""

    source: str
    message: str = ""  # what is wrong with the law that it rests on; empty where nothing was found
    intervals: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)  # of N, D and loss, from refits
    level: float = 0.95  # of the intervals
    unit: str = "nats per token"  # of the loss

    def _lines(self) -> list[tuple[str, str, str]]:
        """Field, name and unit of each line."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return a line for each number of the plan, with its interval where there is one."""
        lines = [self.message] if self.message else []
        lines += [f"law      {self.source}"]
        for name, short, unit in self._lines():
            known = np.isfinite(getattr(self, name)).any()
            unit = "" if not known else self.unit if name == "loss" else unit
            line = f"{short:8} {_words(getattr(self, name))} {unit}".rstrip()
            if name in self.intervals:
                low, high = map(_words, self.intervals[name])
                line += f"; {self.level:.0%} interval {low} to {high}"
            lines.append(line)
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Allocation(_Planned):
    """What to train for a budget. Arrays have the shape of C."""

    N: Array  # parameters
    D: Array  # tokens
    loss: Array  # nan where the source has none (approaches 1 and 2 of fewer than four budgets)
    tokens_per_param: Array
    C: Array  # training FLOPs
    flops: str  # counting rule; "its runs": that of the runs that a frontier was fitted to

    def _lines(self) -> list[tuple[str, str, str]]:
        return [
            ("C", "C", f"FLOPs of training, counted as {self.flops}"), ("N", "N", "parameters"), ("D", "D", "tokens"),
            ("tokens_per_param", "D/N", "tokens per parameter"), ("loss", "loss", ""),
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class InferenceAllocation(_Planned):
    """The cheapest model of a quality, training and serving together. Arrays have the common shape of the inputs."""

    N: Array  # parameters
    D: Array  # tokens
    loss: Array  # nats per token
    tokens_per_param: Array
    C_train: Array
    C_inference: Array
    C: Array  # sum of both
    saved: Array  # of the sum for the model of the same loss that is compute-optimal in training; a share
    inference_tokens: Array

    def _lines(self) -> list[tuple[str, str, str]]:
        return [
            ("inference_tokens", "use", "tokens"), ("N", "N", "parameters"), ("D", "D", "tokens"),
            ("tokens_per_param", "D/N", "tokens per parameter"), ("loss", "loss", ""),
            ("C_train", "training", "FLOPs"), ("C_inference", "serving", "FLOPs"),
            ("saved", "saved", "as a share of all FLOPs"),
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A compute-optimal frontier under non-embedding counting, from a surface in total parameters. Arrays [n]."""

    N_nonemb: Array
    N: Array
    D: Array
    C_nonemb: Array
    C: Array
    loss: Array
    exponent: Array  # local: d ln N_nonemb / d ln C_nonemb
    gamma: float  # embedding parameters over the cube root of N_nonemb


def named(name: str) -> tuple[Law, dict[str, float]]:
    """Return a published law and its constants.

    "kaplan2020" is the joint law in non-embedding parameters (Table 2); "hoffmann2022" has the constants of the TeX
    source and "hoffmann2022-rounded" those in print; "besiroglu2024" is the refit in print; "muennighoff2023" is for
    repeated data; "sardana2023" has the constants that reproduce the examples of that paper. ValueError if no law is
    named so.
    """
    value = published.value
    if name == "kaplan2020":
        figures = {"alpha_N": "K15", "alpha_D": "K16", "N_c": "K17", "D_c": "K18"}
        return kaplan_joint, {letter: value(id) for letter, id in figures.items()}
    if name == "hoffmann2022":
        return chinchilla, _from_logarithms("C22")
    if name in ("hoffmann2022-rounded", "sardana2023"):
        id = "C21" if name == "hoffmann2022-rounded" else "S08"
        return chinchilla, {letter: value(id, letter) for letter in chinchilla.parameters}
    if name == "besiroglu2024":
        figures = {"A": "E01", "B": "E02", "E": "E03", "alpha": "E04", "beta": "E05"}
        return chinchilla, {letter: value(id, letter) for letter, id in figures.items()}
    if name == "muennighoff2023":
        decay = {"R_D_star": value("D01", "R_D_star"), "R_N_star": value("D02", "R_N_star")}
        return muennighoff, _from_logarithms("D03") | decay
    raise ValueError(f"no law is named {name!r}; choose one of {', '.join(NAMED)}")


def plan(
    source: Source, C: ArrayLike, *, inference_tokens: ArrayLike | None = None, flops: str | float = "6nd",
    unique_tokens: ArrayLike | None = None, level: float = 0.95,
) -> Allocation | InferenceAllocation:  # fmt: skip
    """Return what to train for C training FLOPs: `allocate`, or with ``inference_tokens`` `allocate_for_inference`.

    Of the refits of a bootstrap N, D and loss have intervals at ``level``, which hold what the scatter of the runs does
    to the law's parameters, and not what the law itself misses (see `predict`). With ``inference_tokens`` each refit
    aims at the loss that it has C buy.

    Errors are theirs; ``inference_tokens`` with ``flops`` or ``unique_tokens`` is a ValueError, and so are refits with
    "6nd-nonemb", whose intervals are not known.

    >>> print(plan("hoffmann2022", 5.76e23))
    law      hoffmann2022
    C        5.76e+23 FLOPs of training, counted as 6nd
    N        4.036e+10 parameters
    D        2.379e+12 tokens
    D/N      58.93 tokens per parameter
    loss     1.918 nats per token
    """
    if inference_tokens is not None and flops != "6nd":
        raise ValueError(f"flops={flops!r} with inference_tokens: serving is counted with 6 N D only; leave flops out")
    if inference_tokens is not None and unique_tokens is not None:
        raise ValueError("inference_tokens with unique_tokens: plans for serving have tokens to spare; leave one out")
    if inference_tokens is not None:
        best = allocate_for_inference(source, C=C, inference_tokens=inference_tokens)
    else:
        best = allocate(source, C, flops=flops, unique_tokens=unique_tokens)
    if not isinstance(source, Bootstrap):
        return best
    if isinstance(best, InferenceAllocation):
        return replace(best, intervals=_serving_intervals(source, C, best.inference_tokens, level), level=level)
    rule, per_param_token = _rule(flops)
    if rule == "6nd-nonemb":
        raise ValueError("flops='6nd-nonemb' of refits: their intervals are not known; plan with the fit itself")
    known = {} if unique_tokens is None else {"U": unique_tokens}
    ends = optimum_intervals(source, C, level=level, k=per_param_token, **known)
    return replace(best, intervals=ends, level=level)


def allocate(
    source: Source, C: ArrayLike, *, flops: str | float = "6nd", unique_tokens: ArrayLike | None = None
) -> Allocation:
    """Return the compute-optimal N and D for a training budget.

    "kaplan2020" is the paper's own frontier for efficient training (Table 6, eq. 1.3), in non-embedding parameters: C
    is spent at the critical batch, so C_min = C/2 (eq. 5.5).

    Parameters
    ----------
    source : Fit, Bootstrap, Frontier, str, or (Law, mapping)
        A fit, one with refits, the result of approach 1 or 2, a name from `NAMED`, or a law and its parameters.
    C : array_like
        Training FLOPs.
    flops : str or float
        How C counts. "6nd": 6 N D in the N of the source. "6nd-nonemb": 6 N D without the embeddings, for a surface in
        total parameters, by `counted`; N is still the total. A number: FLOPs per parameter and token.
    unique_tokens : array_like, optional
        Of a law that knows repeated data, such as "muennighoff2023": how many different tokens there are.

    Raises
    ------
    FitError
        If the fit does not determine its parameters, or has one at a bound.
    ValueError
        If the rule or the name is unknown, the law has no compute-optimal point, or C is not positive.
    """
    C = np.asarray(C, float)
    if not (np.isfinite(C) & (C > 0)).all():
        raise ValueError("C must be positive and finite, in training FLOPs such as 1e21")
    rule, per_param_token = _rule(flops)
    if unique_tokens is not None:
        return _with_unique(source, C, unique_tokens, rule, per_param_token)
    if source == "kaplan2020":
        if rule != "6nd":
            raise ValueError(f"flops is {flops!r}; the frontier of kaplan2020 was fitted to '6nd' without embeddings")
        return _kaplan_frontier(C)
    if isinstance(source, Frontier):
        if rule != "6nd":
            raise ValueError(f"flops is {flops!r}; approaches 1 and 2 count as their runs did, so leave it '6nd'")
        N, D = source.optimum(C)
        return Allocation(
            N=N, D=D, loss=source.loss(C), tokens_per_param=D / N, C=C, flops="its runs", source=source.source
        )
    label, law, theta = _source(source)
    if rule == "6nd-nonemb":
        N, D, loss = _at_nonemb_budget(source, C)
    elif law.variables[:2] != ("N", "D"):
        raise ValueError(f"{label} is a law of {', '.join(law.variables)}; an allocation needs one of N and D")
    else:
        N, D = law.optimum(theta, C, k=per_param_token)
        loss = law.value(theta, N, D, *([D] * (len(law.variables) - 2)))  # unique tokens: all of them
    return Allocation(
        N=N, D=D, loss=loss, tokens_per_param=D / N, C=C, flops=rule, source=label, message=_misfit(source)
    )


def _with_unique(source: Source, C: Array, unique: ArrayLike, rule: str, per_param_token: float) -> Allocation:
    """What to train where tokens repeat."""
    U = np.asarray(unique, float)
    if not (np.isfinite(U) & (U > 0)).all():
        raise ValueError("unique_tokens must be positive and finite, such as 1e11")
    label, law, theta = _source(source)
    if law != muennighoff or rule == "6nd-nonemb":
        raise ValueError(f"{label} knows no repeated data; take muennighoff2023 or a fit of muennighoff, and 6nd")
    N, D = muennighoff.optimum(theta, C, k=per_param_token, U=U)
    loss = muennighoff.value(theta, N, D, np.minimum(U, D))
    return Allocation(
        N=N, D=D, loss=loss, tokens_per_param=D / N, C=C, flops=rule, source=label, message=_misfit(source)
    )


def _misfit(source: Source) -> str:
    """What is wrong with the law of a source, where it is a fit."""
    source = source.fit if isinstance(source, Bootstrap) else source
    return source.misfit if isinstance(source, Fit) else ""


def _cheapest(
    theta: Mapping[str, float] | Mapping[str, Array], loss: Array, tokens: Array
) -> list[tuple[Array, Array]]:
    """N and D of the least training and serving at a loss, and of the least training alone."""
    E, A, B, alpha, beta = (theta[name] for name in chinchilla.parameters)

    def line(odds: Array) -> tuple[Array, Array]:
        """N and D at which the loss splits s : 1 - s, from ln s/(1-s)."""
        of_N, of_D = (loss - E) / (1 + np.exp(-odds)), (loss - E) / (1 + np.exp(odds))
        return (A / of_N) ** (1 / alpha), (B / of_D) ** (1 / beta)

    best_training = np.broadcast_to(np.log(beta / alpha), np.broadcast_shapes(loss.shape, tokens.shape))
    low, high = best_training, best_training + np.log1p(tokens / line(best_training)[1])  # D only grows from here
    for _ in range(80):
        middle = (low + high) / 2
        beyond = middle - best_training > np.log1p(tokens / (3 * line(middle)[1]))
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return [line((low + high) / 2), line(best_training)]


def _serving_intervals(cloud: Bootstrap, C: ArrayLike, tokens: Array, level: float) -> dict[str, tuple[Array, Array]]:
    """Intervals of the cheapest N and D and of the loss, where each refit aims at the loss that it has C buy."""
    budgets = np.broadcast_to(np.asarray(C, float), tokens.shape)

    def at(theta: Mapping[str, Array]) -> Array:
        column = {name: values.reshape(-1, *(1,) * tokens.ndim) for name, values in theta.items()}
        N, D = chinchilla.optimum(theta, budgets)  # [n, ...]
        loss = column["E"] + column["A"] / N ** column["alpha"] + column["B"] / D ** column["beta"]
        best_N, best_D = _cheapest(column, loss, tokens)[0]
        return np.stack([np.log(best_N), np.log(best_D), np.log(loss)], axis=1)

    low, high = cloud.interval(at, level=level)
    return {name: (np.exp(low[i]), np.exp(high[i])) for i, name in enumerate(("N", "D", "loss"))}


def _words(values: ArrayLike) -> str:
    """One number, or several between commas."""
    return ", ".join(f"{value:.4g}" if math.isfinite(value) else "not known" for value in np.ravel(values))


def allocate_for_inference(
    source: Source, *, inference_tokens: ArrayLike, C: ArrayLike | None = None, loss: ArrayLike | None = None
) -> InferenceAllocation:
    r"""Return the N and D of least :math:`6 N D + 2 N D_{inf}` among all that reach a loss.

    Sardana et al. 2023, eq. 2. On the line of one loss, with s the share of the reducible loss that is due to N, the
    optimum has :math:`\alpha s / \beta (1 - s) = 1 + D_{inf} / 3D`: both sides are monotone in s, so that bisection
    finds the only root.

    Parameters
    ----------
    source : Fit, Bootstrap, str, or (Law, mapping)
        Of Chinchilla's surface.
    inference_tokens : array_like
        Tokens that the model will read and write in its life.
    C, loss : array_like
        One of the two: the loss to reach, or training FLOPs that would reach it if they were spent compute-optimally.

    Raises
    ------
    ValueError
        If both or neither of C and loss are given, a loss is at or below the floor, tokens are negative, or the law is
        not Chinchilla's.
    """
    label, theta = _surface(source)
    if (C is None) == (loss is None):
        raise ValueError("give one of C and loss: the quality to reach")
    if C is not None:
        loss = allocate(source, C).loss
    target, tokens = np.broadcast_arrays(np.asarray(loss, float), np.asarray(inference_tokens, float))
    E = theta["E"]
    if not (target > E).all():
        raise ValueError(f"a loss of {target.min():.5g} is not above the floor E = {E:.5g} of {label}: out of reach")
    if not (np.isfinite(tokens) & (tokens >= 0)).all():
        raise ValueError("inference_tokens must be finite and not negative")
    (N, D), (plain_N, plain_D) = _cheapest(theta, target, tokens)
    train, serve = flops_6nd(N, D), 2 * N * tokens  # a forward pass: 2 FLOPs per parameter and token
    plain = flops_6nd(plain_N, plain_D) + 2 * plain_N * tokens
    return InferenceAllocation(
        N=N, D=D, loss=target, tokens_per_param=D / N, C_train=train, C_inference=serve, C=train + serve,
        saved=1 - (train + serve) / plain, inference_tokens=tokens, source=label, message=_misfit(source),
    )  # fmt: skip


def counted(source: Source, N_nonemb: ArrayLike, *, gamma: float | None = None) -> Counted:
    r"""Return the frontier that a study finds which counts neither embeddings nor their FLOPs, in closed form.

    Total parameters are :math:`N = N_{\setminus E} + \gamma N_{\setminus E}^{1/3}`. The least loss on
    :math:`C_{\setminus E} = 6 N_{\setminus E} D` has :math:`h \alpha A N^{-\alpha} = \beta B D^{-\beta}` with
    :math:`h = d\ln N / d\ln N_{\setminus E}`, so every size has its D and its compute at once. Where embeddings are
    most of the model, h is 1/3 and rises; the local exponent then rises far above that of large models. The closed form
    is of Pearce & Song 2024; the local exponent is our own derivation.

    Parameters
    ----------
    source : Fit, str, or (Law, mapping)
        Of Chinchilla's surface, in total parameters.
    N_nonemb : array_like
        Sizes without embeddings.
    gamma : float, optional
        Embedding parameters over the cube root of N_nonemb; left out, that of Chinchilla's models.

    Raises
    ------
    ValueError
        If the law is not Chinchilla's.
    """
    _, theta = _surface(source)
    gamma = published.value("Q03", "gamma") if gamma is None else gamma
    size = np.asarray(N_nonemb, float)
    embedding = gamma * np.cbrt(size)
    N = size + embedding
    h = (size + embedding / 3) / N
    dh = (size + embedding / 9) / (size + embedding / 3) - h  # d ln h / d ln N_nonemb
    _, A, B, alpha, beta = (theta[name] for name in chinchilla.parameters)
    D = (beta * B / (h * alpha * A) * N**alpha) ** (1 / beta)
    return Counted(
        N_nonemb=size, N=N, D=D, C_nonemb=flops_6nd(size, D), C=flops_6nd(N, D), loss=chinchilla.value(theta, N, D),
        exponent=1 / (1 + (alpha * h - dh) / beta), gamma=gamma,
    )  # fmt: skip


def ladder_exponent(
    source: Source, N_nonemb: ArrayLike, C: ArrayLike, *,
    embeddings: bool, D: ArrayLike | None = None, gamma: float | None = None,
) -> float:  # fmt: skip
    """Return the slope of ln N on ln C that a ladder of models gives: at each budget the best of the sizes at hand.

    What a study with these models would measure. It differs from `counted` because sizes come in steps.

    Parameters
    ----------
    source : Fit, str, or (Law, mapping)
        Of Chinchilla's surface, in total parameters.
    N_nonemb : array_like [n]
        Sizes of the ladder, without embeddings.
    C : array_like [m]
        Budgets.
    embeddings : bool
        Whether N and C = 6 N D count them.
    D : array_like [k], optional
        Tokens at which every model is read, of which the nearest to a budget counts; left out, exactly C / 6N.
    gamma : float, optional
        See `counted`.
    """
    sizes, C = np.asarray(N_nonemb, float), np.asarray(C, float)
    total = counted(source, sizes, gamma=gamma).N
    shown = total if embeddings else sizes
    tokens = tokens_6nd(C[:, None], shown)  # [m, n]
    if D is not None:
        readings = np.sort(np.asarray(D, float))
        above = np.clip(np.searchsorted(readings, tokens), 1, readings.size - 1)
        below_is_nearer = tokens - readings[above - 1] < readings[above] - tokens
        tokens = readings[above - below_is_nearer]
    loss = chinchilla.value(_surface(source)[1], total, tokens)
    return float(least_squares_line(np.log(C), np.log(shown[loss.argmin(axis=1)]))[1])


def source_of_json(text: str) -> Source:
    """Return the law and its parameters, or the frontier, in JSON of `Fit`, `Frontier` or 'scalinglaws fit --json'.

    Raises
    ------
    ValueError
        If a later version wrote it, the law is unknown here, or the fit is not to be used.
    KeyError, TypeError
        If it is the JSON of something else.
    """
    record = unversioned(json.loads(text), known=SCHEMA)
    if record.get("theta") is None:
        return Frontier.from_json(text)
    law = law_named(record["law"])
    if record["status"] not in USABLE:
        raise ValueError(f"this fit is not to be used: {record['status']}: {record['message']}")
    if record["status"] == Status.AT_BOUND:
        raise ValueError(f"a fit at a bound gives no plan: {record['message']}; pin that parameter with --fix")
    theta = {name: float(value) for name, value in record["theta"].items()}
    if not all(map(math.isfinite, theta.values())):
        raise ValueError("theta is not all finite numbers")
    return law, theta


def _from_logarithms(id: str) -> dict[str, float]:
    """Constants of a row that has the logarithms of the scales."""
    figures = published.row(id).figures
    scales = {letter: math.exp(figures[f"ln_{letter}"]) for letter in ("E", "A", "B")}
    return {**scales, "alpha": figures["alpha"], "beta": figures["beta"]}


def _source(source: Source) -> tuple[str, Law, Mapping[str, float]]:
    """A label, the law and its parameters."""
    if isinstance(source, str):
        return source, *named(source)
    if isinstance(source, Bootstrap):
        source = source.fit
    if isinstance(source, Fit):
        source.checked()
        if source.status is Status.AT_BOUND:
            raise FitError(f"a fit at a bound gives no plan: {source.message}; pin that parameter, fix={{...}}")
        return f"fit of {source.law.name}", source.law, source.theta
    if isinstance(source, Frontier):
        raise ValueError(f"{source.source} has optima and no loss, which is needed here; fit with approach 3")
    match source:
        case (Law() as law, Mapping() as theta):
            return law.name, law, theta
    raise ValueError(
        f"the source is a {type(source).__name__}; give a Fit, its Bootstrap, the Frontier of approach 1 or 2, "
        "a name such as 'hoffmann2022', or a law with its parameters: (laws.chinchilla, theta)"
    )


def _surface(source: Source) -> tuple[str, Mapping[str, float]]:
    """A label and the parameters of Chinchilla's surface."""
    label, law, theta = _source(source)
    if law != chinchilla:
        raise ValueError(f"{label} is no surface E + A/N^alpha + B/D^beta; choose a fit of that, or another name")
    return label, theta


def _rule(flops: str | float) -> tuple[str, float]:
    """Name of a counting rule, and its FLOPs per parameter and token."""
    if isinstance(flops, str):
        if flops not in FLOPS_RULES:
            raise ValueError(f"flops is {flops!r}; choose one of {', '.join(FLOPS_RULES)}, or a number such as 6.0")
        return flops, float(FLOPS_PER_PARAM_TOKEN)
    if not (math.isfinite(flops) and flops > 0):
        raise ValueError(f"flops is {flops:.4g}; it must be positive: FLOPs per parameter and token, such as 6.0")
    return f"{flops:g}nd", float(flops)


def _kaplan_frontier(C: Array) -> Allocation:
    """Efficient training as in Kaplan et al. 2020."""
    value = published.value
    least = C / 2 / PF_DAY  # C_min, PF-days
    N = value("K30") * least ** value("K26", "p_N")
    D = tokens_6nd(C, N)
    loss = (value("K08") / least) ** value("K07")
    return Allocation(N=N, D=D, loss=loss, tokens_per_param=D / N, C=C, flops="6nd", source="kaplan2020")


def _at_nonemb_budget(source: Source, C: Array) -> tuple[Array, Array, Array]:
    """Total N, D and loss at which the non-embedding FLOPs are C, by bisection in ln N: compute grows with size."""
    low, high = np.zeros(C.shape), np.log(C)
    for _ in range(100):
        middle = (low + high) / 2
        beyond = counted(source, np.exp(middle)).C_nonemb > C
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    found = counted(source, np.exp((low + high) / 2))
    return found.N, found.D, found.loss
