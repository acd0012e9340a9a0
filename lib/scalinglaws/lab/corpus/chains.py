"""Windows that each draw a Markov chain of their own: what a model knows of a chain, it has read in its window.

The best possible prediction counts the transitions so far, so it is known exactly at every position. Bietti et al. 2023
and Edelman et al. 2024 train on such sources; a model of one layer can do no better than the frequencies of symbols.
"""

import functools
import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from scalinglaws.files import digest_of
from scalinglaws.lab.corpus.base import Corpus

_BLOCK = 256  # windows that are drawn at a time
_VALIDATION, _TRAINING, _MEASURING = 0, 1, 2  # streams of windows


@dataclass(frozen=True, kw_only=True)
class ChainSource:
    """Markov chains over ``vocab_size`` symbols; each window has its own, with rows by Dirichlet's law.

    The first symbol of a window is uniform, each next one is drawn from the row of the one before it.
    """

    vocab_size: int = 8  # symbols V; at most 256
    alpha: float = 0.3  # of the Dirichlet law of each row: the smaller, the fewer symbols may follow
    seed: int = 0  # of all windows

    def __post_init__(self):
        if not 2 <= self.vocab_size <= 256:
            raise ValueError(f"vocab_size={self.vocab_size}: choose from 2 to 256")
        if not 0.01 <= self.alpha <= 100:
            raise ValueError(f"alpha={self.alpha:.4g}: choose from 0.01 to 100, where rows can be drawn")

    def windows(self, first: int, n: int, seq_len: int, *, seed: int | None = None) -> np.ndarray:
        """Windows ``first`` to ``first + n`` - 1 of an endless stream, shape (n, seq_len + 1), uint8.

        Every window of every stream is drawn by itself. A shorter window is the beginning of the longer one.

        Parameters
        ----------
        seed : int, optional
            Of the stream to train on; None for the one to validate on.
        """
        stream = (_VALIDATION,) if seed is None else (_TRAINING, seed)
        return self._of_stream(stream, first, n, seq_len)

    def _of_stream(self, stream: tuple[int, ...], first: int, n: int, seq_len: int) -> np.ndarray:
        """Windows of any stream."""
        blocks = range(first // _BLOCK, -(-(first + n) // _BLOCK))
        drawn = np.concatenate([_block(self, stream, number, seq_len) for number in blocks])
        return drawn[first % _BLOCK :][:n]

    def predictive(self, windows: np.ndarray) -> np.ndarray:
        """Probability of every symbol at every position, given the window before it, (n, T, V) for windows (n, T + 1).

        After x with n transitions from x so far, k of them to y, it is (k + alpha) / (n + V alpha): the posterior mean
        of the chain's row, which no model can better.
        """
        n, seq_len = windows.shape[0], windows.shape[1] - 1
        v, rows = self.vocab_size, np.arange(n)
        counts = np.zeros((n, v, v))
        out = np.empty((n, seq_len, v))
        for t in range(seq_len):
            seen = counts[rows, windows[:, t]]  # n v
            out[:, t] = (seen + self.alpha) / (seen.sum(1, keepdims=True) + v * self.alpha)
            counts[rows, windows[:, t], windows[:, t + 1]] += 1
        return out

    def unigram_predictive(self, windows: np.ndarray) -> np.ndarray:
        """The same from the frequencies of symbols so far, (k + 1) / (n + V), whatever the last one was, (n, T, V).

        About what a model of one layer can do: its attention finds symbols, not what followed them.
        """
        before = np.eye(self.vocab_size)[windows[:, :-1]].cumsum(1)  # n T V
        return (before + 1) / (before.sum(-1, keepdims=True) + self.vocab_size)

    def floor(self, seq_len: int, *, n_windows: int = 4096) -> tuple[np.ndarray, np.ndarray]:
        """Lowest mean loss of any model at each position, and its standard error, each (seq_len,), in nats.

        In each window the floor is exact: the entropy of `predictive`. Its mean over all windows has no closed form,
        since what was counted depends on where the chain went, and is taken over ``n_windows`` of a stream of its own.
        The first position is exact: log V.
        """
        windows = self._of_stream((_MEASURING,), 0, n_windows, seq_len)
        each = np.concatenate([entr(self.predictive(part)).sum(-1) for part in np.array_split(windows, 16)])
        return each.mean(0), each.std(0, ddof=1) / np.sqrt(n_windows)

    def mean_floor(self, seq_len: int, *, n_windows: int = 4096) -> float:
        """Mean of `floor` over the positions of a window, in nats per symbol."""
        return float(self.floor(seq_len, n_windows=n_windows)[0].mean())


def predictive_by_hand(source: ChainSource, window: np.ndarray) -> np.ndarray:
    """`ChainSource.predictive` of one window (T + 1,), counted transition by transition, (T, V)."""
    counts: Counter[tuple[int, int]] = Counter()
    out = []
    symbols = [int(symbol) for symbol in window]
    for last, following in itertools.pairwise(symbols):
        from_last = [counts[last, y] for y in range(source.vocab_size)]
        total = sum(from_last) + source.vocab_size * source.alpha
        out.append([(k + source.alpha) / total for k in from_last])
        counts[last, following] += 1
    return np.array(out)


def chains(source: ChainSource | None = None) -> Corpus:
    """Corpus of a source of chains: no text, but windows as many as are asked for, none twice."""
    source = source or ChainSource()
    none = np.empty(0, np.uint8)
    digest = digest_of([repr(source), source.windows(0, 32, 128).tobytes().hex()])[:16]
    return Corpus(name="chains", vocab_size=source.vocab_size, train=none, val=none, fingerprint=digest, source=source)


@functools.lru_cache(maxsize=128)
def _block(source: ChainSource, stream: tuple[int, ...], number: int, seq_len: int) -> np.ndarray:
    """One block of a stream, (_BLOCK, seq_len + 1); kept, since a step takes a part of it."""
    rng = np.random.default_rng(np.random.SeedSequence(source.seed, spawn_key=(*stream, number)))
    v, rows = source.vocab_size, np.arange(_BLOCK)
    # Cumulative rows of every window's chain; the last is 1 but for rounding, which the draw below never reaches.
    ladder = rng.dirichlet(np.full(v, source.alpha), size=(_BLOCK, v)).cumsum(-1)[..., :-1]  # windows V V-1
    out = np.empty((seq_len + 1, _BLOCK), np.uint8)
    out[0] = rng.integers(v, size=_BLOCK)
    for before, after in itertools.pairwise(out):
        after[:] = (ladder[rows, before] <= rng.random((_BLOCK, 1))).sum(-1)
    drawn = out.T.copy()
    drawn.flags.writeable = False
    return drawn
