"""Optimizers: what each makes of the gradient, for the weights of one model or of many.

Weights, gradients and moments are flat, (K..., P), as in `model`; `adamw` and `sgd` act on each element by itself,
`muon` on matrices. Each changes the moments that it keeps and returns the change: what the learning rate multiplies.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scalinglaws.config import ModelConfig, TrainConfig
from scalinglaws.lab.model import weights
from scalinglaws.lab.mup import kind

MUON_MOMENTUM = 0.95  # Jordan et al. 2024, and torch's
QUINTIC = (3.4445, -4.7750, 2.0315)  # a x + b x^3 + c x^5, steep at zero: Jordan et al. 2024
QUINTIC_STEPS = 5


def adamw(g: Tensor, m: Tensor, v: Tensor, betas: tuple[float, float], corrections, eps: float | Tensor) -> Tensor:
    """Adam's change (Kingma and Ba 2015): the mean gradient over the root of its mean square, (K..., n).

    Parameters
    ----------
    g : Tensor
        Gradient.
    m, v : Tensor
        Moving means of the gradient and of its square; changed here.
    betas : (float, float)
        What of each mean is kept.
    corrections : (Tensor, Tensor)
        1 / (1 - beta^t) at step t = 1, 2, ..., since both means start at zero.
    eps : float or Tensor
        Added to the root: a number, or one for each weight.

    Examples
    --------
    >>> g, m, v = torch.tensor([4.0, -0.1]), torch.zeros(2), torch.zeros(2)
    >>> first = torch.tensor(1 / (1 - 0.9)), torch.tensor(1 / (1 - 0.95))
    >>> adamw(g, m, v, (0.9, 0.95), first, 1e-8)  # the first step knows the sign alone
    tensor([ 1., -1.])
    """
    m.lerp_(g, 1 - betas[0])
    v.lerp_(g * g, 1 - betas[1])
    return (m * corrections[0]) / ((v * corrections[1]).sqrt() + eps)


def sgd(g: Tensor, m: Tensor, momentum: float) -> Tensor:
    """The change of descent with momentum (K..., n): the sum of all gradients, faded by ``momentum`` a step.

    Examples
    --------
    >>> m = torch.zeros(1)
    >>> [sgd(torch.ones(1), m, 0.5).item() for _ in range(3)]
    [1.0, 1.5, 1.75]
    """
    return m.mul_(momentum).add_(g)


def muon(
    g: Tensor, m: Tensor, v: Tensor, config: TrainConfig, corrections, eps: float | Tensor, model: ModelConfig,
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # fmt: skip
    """Muon's change (Jordan et al. 2024): of each matrix of the layers, its mean gradient made orthogonal, (K..., P).

    Queries, keys and values are three matrices. A matrix with more outputs than inputs changes by the root of their
    ratio more, as in torch's Muon. Embedding, positions and head are `adamw`'s.

    Parameters
    ----------
    g, m, v : Tensor
        Gradient and moments of all weights; the moments are changed here, v only where `adamw` needs it.
    config : TrainConfig
        Its betas are those of `adamw`; the mean of the matrices keeps `MUON_MOMENTUM`.
    corrections, eps
        As of `adamw`.
    model : ModelConfig
        A transformer.
    dtype : torch.dtype
        In which matrices are made orthogonal.

    Examples
    --------
    >>> from scalinglaws.recipe import TEXT
    >>> spec = TEXT.spec(16, 10_240)
    >>> g = torch.randn(7168, generator=torch.Generator().manual_seed(0))
    >>> one = torch.tensor(1.0)
    >>> change = muon(g, torch.zeros(7168), torch.zeros(7168), spec.train, (one, one), 1e-8, spec.model)
    >>> change.shape, bool(torch.linalg.matrix_norm(weights(change, spec.model)["0.out"], 2) < 1.3)
    (torch.Size([7168]), True)
    """
    of_g, of_m, of_v = (weights(z, model) for z in (g, m, v))
    of_eps = weights(eps, model) if isinstance(eps, Tensor) else dict.fromkeys(of_g, eps)
    changes, ahead = dict.fromkeys(of_g, g), {}
    for name in of_g:
        if kind(name) == "hidden":
            of_m[name].lerp_(of_g[name], 1 - MUON_MOMENTUM)
            nesterov = of_g[name].lerp(of_m[name], MUON_MOMENTUM)  # the mean after one more such gradient
            parts = 3 if name.endswith("qkv") else 1
            ahead[name] = nesterov.unflatten(-1, (parts, -1)).transpose(-2, -3)  # K... parts inputs outputs
        else:
            changes[name] = adamw(of_g[name], of_m[name], of_v[name], config.betas, corrections, of_eps[name])
    for name, matrices in zip(ahead, _all_orthogonal([*ahead.values()], dtype), strict=True):
        n_inputs, n_outputs = matrices.shape[-2:]
        changes[name] = math.sqrt(max(1.0, n_outputs / n_inputs)) * matrices.transpose(-2, -3).flatten(-2)
    return torch.cat([change.flatten(-2) for change in changes.values()], dim=-1)


def _all_orthogonal(matrices: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """`orthogonal` of each (K..., parts, a, b), all of one shape or its transpose in one batch: half the time."""
    wide = [x if x.shape[-2] <= x.shape[-1] else x.transpose(-1, -2) for x in matrices]
    found = list(wide)
    for shape in dict.fromkeys(x.shape[-2:] for x in wide):
        which = [i for i, x in enumerate(wide) if x.shape[-2:] == shape]
        together = orthogonal(torch.cat([wide[i] for i in which], dim=-3), dtype)
        for i, part in zip(which, together.split([wide[i].shape[-3] for i in which], dim=-3), strict=True):
            found[i] = part if matrices[i].shape == wide[i].shape else part.transpose(-1, -2)
    return found


def orthogonal(matrix: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The matrix (..., a, b) with all its singular values made about 1, by five steps of Newton and Schulz.

    Each step puts every singular value x through ``3.4445 x - 4.775 x^3 + 2.0315 x^5``, which brings those above some
    hundredths of the matrix' norm to between 0.68 and 1.13.

    Examples
    --------
    >>> orthogonal(torch.diag(torch.tensor([3.0, -1.0]))).round(decimals=2)
    tensor([[ 0.7500,  0.0000],
            [ 0.0000, -1.1300]])
    """
    a, b, c = QUINTIC
    x = matrix.to(dtype)
    wide = x if x.shape[-2] <= x.shape[-1] else x.transpose(-1, -2)  # so that the products below are the small ones
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(QUINTIC_STEPS):
        square = wide @ wide.transpose(-1, -2)
        wide = a * wide + (b * square + c * square @ square) @ wide
    return (wide if x.shape[-2] <= x.shape[-1] else wide.transpose(-1, -2)).to(matrix.dtype)


def make_update(
    config: TrainConfig,
    lr_factor: Tensor,
    decay: Tensor,
    *,
    eps: Tensor | None = None,
    model: ModelConfig | None = None,
    dtype: torch.dtype = torch.float32,
) -> Callable[..., None]:
    """The optimizer of a run, as a function that changes theta, m and v (K..., P) by the gradient g.

    Weight decay is decoupled with every optimizer (Loshchilov and Hutter 2019). The function takes
    ``(theta, m, v, g, clip, lr, correct1, correct2)``: the factor of `train.clip_factor`, the learning rate and the
    corrections of `adamw`.

    Parameters
    ----------
    lr_factor, decay : Tensor
        As of `train.spread`.
    eps : Tensor, optional
        Factor on ``config.eps`` of each weight, where not all are 1.
    model, dtype
        For `muon` only.

    Examples
    --------
    >>> config = TrainConfig(tokens=64, batch_tokens=64, lr=0.1, optimizer="sgd", grad_clip=0.0)
    >>> theta, m, v = torch.ones(1), torch.zeros(1), torch.zeros(1)
    >>> update = make_update(config, torch.ones(1), torch.zeros(1))
    >>> update(theta, m, v, torch.tensor([2.0]), None, 0.1, None, None)
    >>> theta
    tensor([0.8000])
    """
    if config.optimizer == "muon" and model is None:
        raise ValueError("optimizer='muon' without a model: give model=, whose matrices it has to know")
    decays = bool(decay.any())
    floor = config.eps if eps is None or bool((eps == 1).all()) else config.eps * eps

    @torch.no_grad()
    def update(theta, m, v, g, clip, lr, correct1, correct2):
        if config.grad_clip:
            g = g * clip
        if config.optimizer == "adamw":
            change = adamw(g, m, v, config.betas, (correct1, correct2), floor)
        elif model is not None and config.optimizer == "muon":
            change = muon(g, m, v, config, (correct1, correct2), floor, model, dtype)
        else:
            change = sgd(g, m, config.betas[0])
        if decays:
            change = change + decay * theta
        theta.sub_(lr * lr_factor * change)

    return update
