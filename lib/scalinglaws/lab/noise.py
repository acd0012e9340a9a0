"""Gradient noise scale, and the steps that a run takes to a target loss: two ways to the critical batch size.

The simple noise scale (McCandlish et al. 2018, section 2.2) is

    B_simple = tr(Sigma) / |G|^2

with G the true gradient and Sigma the covariance of one token's gradient; so it is a number of tokens. (Tokens of one
sequence are not independent, so Sigma is the covariance of a sequence's gradient times the length of a sequence.) The
squared norm of a measured gradient is larger than |G|^2 by the variance of its noise. Two estimators correct for that:
`two_batches` from the norms at two batch sizes, and `many_samples` from the gradients of single sequences. Both are
unbiased for |G|^2 and for tr(Sigma); the ratio is taken of their means.

Gradients are those of the weights as stored, without clipping, dropout or Adam's rescaling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from scalinglaws.config import RunSpec
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import model as models
from scalinglaws.lab import train
from scalinglaws.lab.corpus import Corpus
from scalinglaws.lab.runtime import AUTO, Runtime

TOGETHER = 2**23  # gradient entries held at a time
GROUPS = 16  # for standard errors


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """An estimate of the noise scale and of its parts."""

    grad_sq: float  # |G|^2
    trace: float  # tr(Sigma) of one token
    noise_scale: float  # their ratio, in tokens; nan where |G|^2 came out at or below zero
    noise_scale_se: float  # its standard error, by the jackknife, in tokens


def two_batches(
    small_sq: ArrayLike, big_sq: ArrayLike, *, small_tokens: int, big_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased |G|^2 and tr(Sigma) of one token, each (n,), from squared gradient norms at two batch sizes.

    McCandlish et al. 2018, appendix A.1 (published rows B05 and B06). Single values are noisy, and |G|^2 may be
    negative: average before taking the ratio, as `average` does. The norms (n,) are of the gradients of batches of
    ``small_tokens`` and of ``big_tokens``.
    """
    if not 0 < small_tokens < big_tokens:
        raise ValueError(f"small_tokens={small_tokens}, big_tokens={big_tokens}: give two sizes, the smaller one first")
    small_sq, big_sq = np.asarray(small_sq, float), np.asarray(big_sq, float)
    grad_sq = (big_tokens * big_sq - small_tokens * small_sq) / (big_tokens - small_tokens)
    trace = (small_sq - big_sq) / (1 / small_tokens - 1 / big_tokens)
    return grad_sq, trace


def many_samples(total: np.ndarray, total_sq: float, n: int, *, sample_tokens: int) -> tuple[float, float]:
    """Unbiased |G|^2 and tr(Sigma) of one token from the gradients of n samples of ``sample_tokens`` tokens each.

    ``total`` is the sum (P,) of the gradients and ``total_sq`` that of their squared norms.
    """
    mean_sq = float(total @ total) / n**2
    of_one = (total_sq - n * mean_sq) / (n - 1)  # trace of the covariance of one sample
    return mean_sq - of_one / n, of_one * sample_tokens


def average(grad_sq: ArrayLike, trace: ArrayLike) -> NoiseScale:
    """Noise scale from repeated estimates (n,) of its parts, as of `two_batches` along a stretch of training."""
    parts = np.stack([np.asarray(grad_sq, float), np.asarray(trace, float)])  # 2 n
    n = parts.shape[1]
    without_one = (parts.sum(1, keepdims=True) - parts) / max(1, n - 1)
    return _estimate(parts.mean(1), without_one)


def from_samples(totals: np.ndarray, totals_sq: np.ndarray, n: Sequence[int], *, sample_tokens: int) -> NoiseScale:
    """Noise scale from the gradients of single samples, summed within groups of ``n`` samples.

    ``totals`` (groups, P) are the sums of the gradients and ``totals_sq`` (groups,) those of their squared norms.
    """
    count, total, total_sq = sum(n), totals.sum(0), float(totals_sq.sum())
    without_one = [
        many_samples(total - part, total_sq - sq, count - size, sample_tokens=sample_tokens)
        for part, sq, size in zip(totals, totals_sq, n, strict=True)
    ]
    parts = many_samples(total, total_sq, count, sample_tokens=sample_tokens)
    return _estimate(np.array(parts), np.array(without_one).T)


def _estimate(parts: np.ndarray, without_one: np.ndarray) -> NoiseScale:
    """The ratio of the parts (2,), with the jackknife's standard error from the parts (2, n) without each group."""
    n, positive = without_one.shape[1], parts[0] > 0 and bool((without_one[0] > 0).all())
    se = math.sqrt((n - 1) * (without_one[1] / without_one[0]).var()) if n > 1 and positive else math.nan
    grad_sq, trace = parts.tolist()
    ratio = trace / grad_sq if grad_sq > 0 else math.nan
    return NoiseScale(grad_sq=grad_sq, trace=trace, noise_scale=ratio, noise_scale_se=se)


def per_sequence_gradients(theta: Tensor, x: Tensor, y: Tensor, spec: RunSpec) -> Tensor:
    """Gradient (n, P) of the mean loss of each sequence x, y (n, T): n copies of the model see one sequence each."""
    at = models.tables(spec.model, device=theta.device)

    def total(copies: Tensor) -> Tensor:
        return models.loss(copies, x[:, None], y[:, None], spec.model, at).mean(-1).sum()

    return train.plain_gradient(total)(theta.expand(len(x), -1).contiguous())[0]


def measure(
    spec: RunSpec,
    corpus: Corpus | None = None,
    *,
    at: Sequence[int],
    sequences: int = 512,
    small_tokens: int | None = None,
    seed: int = 0,
    runtime: Runtime = AUTO,
) -> pd.DataFrame:
    """Train a run and measure the noise scale on the way, by both estimators.

    "two_batches" takes the batches of the training steps that lead to a point, ``sequences`` in all, and splits each
    into smaller ones; "per_sequence" takes as many single sequences at that point, drawn by a generator of its own.
    Training is that of a run without measurements.

    Parameters
    ----------
    at
        Tokens of training at which to measure: multiples of ``batch_tokens``, each at least ``sequences`` sequences
        after the one before.
    sequences
        For each estimate; a multiple of 16 and of the sequences in a batch.
    small_tokens
        The smaller of the two batches; the larger is ``batch_tokens``. None: a quarter of that, at least a sequence.

    Returns
    -------
    pandas.DataFrame
        One row per point and method: ``tokens``, ``loss`` (validation, nats/token), ``method`` ("two_batches" |
        "per_sequence") and the fields of `NoiseScale`.

    Raises
    ------
    ValueError
        When ``at`` or the sizes do not fit the run, or training diverges before the last point.
    """
    seq_len, per_step = spec.model.seq_len, spec.train.batch_tokens // spec.model.seq_len
    small = max(1, per_step // 4) if small_tokens is None else small_tokens // seq_len
    _check(spec, at, sequences, small)
    loop = train.Loop(spec, corpora.load(spec.data) if corpus is None else corpus, runtime)
    state, rng, rows = loop.start(), np.random.default_rng(seed), []
    for tokens in sorted(at):
        last = tokens // spec.train.batch_tokens
        trouble, squares = loop.run(state, last - sequences // per_step, spec.train), []
        while not trouble and state.step < last:
            squares.append(_squares(state.theta, *loop.batches[state.step], spec, small))
            trouble = loop.run(state, state.step + 1, spec.train)
        if trouble:
            raise ValueError(f"at={tokens}: {trouble}; lower lr or measure earlier")
        parts = two_batches(*np.transpose(squares), small_tokens=small * seq_len, big_tokens=per_step * seq_len)
        assert isinstance(loop.batches, train.Batches)  # see `_check`
        starts = loop.batches.sequences[rng.integers(loop.batches.n, size=(GROUPS, sequences // GROUPS))] * seq_len
        groups = [_sums(state.theta, *train.cut(loop.batches.text, part, seq_len), spec) for part in starts]
        totals, totals_sq = map(np.array, zip(*groups, strict=True))
        sizes = [sequences // GROUPS] * GROUPS
        found = {
            "two_batches": average(*parts),
            "per_sequence": from_samples(totals, totals_sq, sizes, sample_tokens=seq_len),
        }
        loss = loop.score(state)[1]
        rows += [{"tokens": tokens, "loss": loss, "method": name, **vars(one)} for name, one in found.items()]
    return pd.DataFrame(rows)


def _check(spec: RunSpec, at: Sequence[int], sequences: int, small: int) -> None:
    """Raise ValueError where `measure` cannot do what it is asked."""
    batch_tokens, seq_len = spec.train.batch_tokens, spec.model.seq_len
    per_step = batch_tokens // seq_len
    if spec.data.corpus == "chains":
        raise ValueError("corpus='chains': sequences are taken from a text, and this source has none; choose another")
    if sequences < 2 * GROUPS or sequences % GROUPS or sequences % per_step:
        raise ValueError(
            f"sequences={sequences}: give a multiple of {GROUPS} and of the {per_step} in a batch, from {2 * GROUPS} on"
        )
    if not 0 < small < per_step or per_step % small:
        raise ValueError(
            f"small_tokens={small * seq_len}: give a part of batch_tokens={batch_tokens} into which it divides evenly, "
            f"a multiple of seq_len={seq_len}"
        )
    before = 0
    for tokens in sorted(at):
        if tokens % batch_tokens or tokens > spec.train.tokens or tokens - before < sequences * seq_len:
            raise ValueError(
                f"at={tokens}: give multiples of batch_tokens={batch_tokens} up to tokens={spec.train.tokens}, "
                f"each at least sequences x seq_len = {sequences * seq_len} after {before}"
            )
        before = tokens


def _squares(theta: Tensor, x: Tensor, y: Tensor, spec: RunSpec, small: int) -> tuple[float, float]:
    """Squared norms of the gradients of a batch x, y (n, T): the mean over parts of ``small`` sequences, the whole."""
    at = models.tables(spec.model, device=theta.device)
    gradient = train.plain_gradient(lambda theta, x, y: models.loss(theta, x, y, spec.model, at).mean())
    parts = [gradient(theta, *part)[0].double() for part in zip(x.split(small), y.split(small), strict=True)]
    whole = torch.stack(parts).mean(0)
    return float(np.mean([g.square().sum().item() for g in parts])), whole.square().sum().item()


def _sums(theta: Tensor, x: Tensor, y: Tensor, spec: RunSpec) -> tuple[np.ndarray, float]:
    """Sum (P,) of the gradients of single sequences x, y (n, T), and the sum of their squared norms."""
    total, total_sq = torch.zeros_like(theta, dtype=torch.float64), 0.0
    together = max(1, min(64, TOGETHER // len(theta)))
    for part in zip(x.split(together), y.split(together), strict=True):
        g = per_sequence_gradients(theta, *part, spec).double()
        total += g.sum(0)
        total_sq += g.square().sum().item()
    return total.cpu().numpy(), total_sq


def steps_to_target(steps: ArrayLike, losses: ArrayLike, target: float) -> float:
    """When a loss curve (n,) first reaches ``target``: linear between its points, in the logarithm of steps.

    Steps increase; for tokens the answer is in tokens. It is nan when the curve never reaches the target, and when it
    has already done so at its first point: then ask for earlier scores.
    """
    steps, losses = np.asarray(steps, float), np.asarray(losses, float)
    if steps.shape != losses.shape or steps.ndim != 1 or not (np.diff(steps, prepend=0) > 0).all():
        raise ValueError(
            f"steps of shape {steps.shape}, losses {losses.shape}: give two of one length, steps rising from above zero"
        )
    reached = np.flatnonzero(losses <= target)
    if not len(reached) or reached[0] == 0:
        return math.nan
    after = reached[0]
    part = (losses[after - 1] - target) / (losses[after - 1] - losses[after])
    return float(steps[after - 1] * (steps[after] / steps[after - 1]) ** part)
