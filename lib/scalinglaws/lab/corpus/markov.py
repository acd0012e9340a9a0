"""An order-2 Markov source whose entropy rate is computed exactly: the floor that a law fitted on it should have."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import entr
from tqdm import tqdm

from scalinglaws.files import digest_of
from scalinglaws.lab.corpus.base import Corpus, cached

MARKOV_TOKENS, _MARKOV_VAL_TOKENS = 2**24, 2**20
_STEPS, _PIECES = 2048, 1024  # a block of the sampler: pieces of one chain that are walked at once, steps of each


@dataclass(frozen=True, kw_only=True)
class MarkovSource:
    """Order-2 Markov chain: each symbol depends on the two before it, and the entropy rate is known exactly.

    After the symbols a, b the next one is y with probability ::

        p(y | a, b) = w0 u(y) + w1 q1(y | b) + w2 q2(y | a, b)

    where u is Zipf's law, and q1 and q2 give their mass to a few distinct candidates, drawn from u for every context.
    A model that knows nothing scores H0, one that has learned the bigrams H1, a perfect one the entropy (all nats).
    """

    vocab_size: int = 128  # symbols; at most 256
    zipf_exponent: float = 1.4  # u(y) is proportional to (y + 1)^-s
    weights: tuple[float, float, float] = (0.10, 0.20, 0.70)  # of u, q1, q2; the first at least 0.01
    candidate_weights: tuple[float, ...] = (0.6, 0.25, 0.1, 0.05)  # of the candidates of q1, and of those of q2
    seed: int = 0  # of the candidates

    def __post_init__(self):
        if not 2 <= self.vocab_size <= 256:
            raise ValueError(f"vocab_size={self.vocab_size}: choose from 2 to 256 (the law has vocab_size^3 entries)")
        for name in ("weights", "candidate_weights"):
            parts = getattr(self, name)
            if min(parts) < 0 or not math.isclose(sum(parts), 1):
                raise ValueError(f"{name}={parts}: give probabilities that add up to 1")
        if self.weights[0] < 0.01:
            raise ValueError(f"weights={self.weights}: give the first at least 0.01: it makes the chain mix")
        if len(self.candidate_weights) > self.vocab_size:
            raise ValueError(f"candidate_weights={self.candidate_weights}: give at most vocab_size={self.vocab_size}")

    @functools.cached_property
    def unigram(self) -> np.ndarray:
        """Zipf's law u, shape (V,). The stationary frequencies of symbols are `stationary` summed over one axis."""
        u = np.arange(1, self.vocab_size + 1) ** -float(self.zipf_exponent)
        return u / u.sum()

    @functools.cached_property
    def _moves(self) -> np.ndarray:
        """Probability of each way to choose a symbol, (2k + V,): a candidate of q1, one of q2, or a symbol by u."""
        by_u, by_last, by_both = self.weights
        candidates = np.array(self.candidate_weights)
        return np.concatenate([by_last * candidates, by_both * candidates, by_u * self.unigram])

    @functools.cached_property
    def _successors(self) -> np.ndarray:
        """Symbol that each move leads to from each context a V + b, shape (V^2, 2k + V), uint8."""
        v, k = self.vocab_size, len(self.candidate_weights)
        rng = np.random.default_rng(self.seed)
        # The k smallest of exponential variables with rates u: k distinct draws from u (Efraimidis and Spirakis 2006).
        times = rng.standard_exponential((v + 1, v, v)) / self.unigram
        candidates = np.argsort(times, axis=-1)[..., :k]  # (v + 1, v, k)
        parts = (candidates[:1], candidates[1:], np.arange(v))
        parts = [np.broadcast_to(part, (v, v, part.shape[-1])) for part in parts]
        return np.concatenate(parts, axis=-1).reshape(v * v, -1).astype(np.uint8)

    @functools.cached_property
    def transition(self) -> np.ndarray:
        """The law p(y | a, b) as an array indexed [a, b, y], shape (V, V, V)."""
        law = np.zeros((self.vocab_size**2, self.vocab_size))
        contexts = np.arange(len(law))
        for successor, probability in zip(self._successors.T, self._moves, strict=True):
            law[contexts, successor] += probability
        return law.reshape((self.vocab_size,) * 3)

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """Long-run frequency of the pair a, b, indexed [a, b], shape (V, V), by power iteration.

        One step changes the result by less than 1e-14 in total.
        """
        v = self.vocab_size
        by_candidate = self._successors[:, :-v]
        probability = self._moves[:-v]
        pair = (np.arange(v * v)[:, None] % v * v + by_candidate).ravel()  # the pair b, y after a, b and a move
        law = np.outer(self.unigram, self.unigram)
        change = 1.0  # shrinks by 1 - w0^2 in two steps or faster, as two choices by u are independent of the past
        while change >= 1e-14:
            step = np.bincount(pair, np.outer(law, probability).ravel(), v * v).reshape(v, v)
            step += self.weights[0] * np.outer(law.sum(0), self.unigram)
            change = np.abs(step - law).sum()
            law = step / step.sum()
        return law

    @functools.cached_property
    def entropy(self) -> float:
        """Entropy rate in nats per symbol: the loss of a model that knows the law (Shannon 1948, theorem 5)."""
        return float((self.stationary * entr(self.transition).sum(-1)).sum())

    @functools.cached_property
    def bigram_entropy(self) -> float:
        """H1: loss in nats of the best model that sees one symbol."""
        return float(entr(self.stationary).sum()) - self.unigram_entropy

    @functools.cached_property
    def unigram_entropy(self) -> float:
        """H0: loss in nats of the best model that sees no symbol."""
        return float(entr(self.stationary.sum(0)).sum())

    def floor(self, seq_len: int) -> float:
        """Lowest mean loss, in nats per token, of any model that sees windows of ``seq_len`` tokens.

        The first prediction of a window has one token of context where the source uses two, so it costs the bigram
        entropy; all others can cost the entropy rate.
        """
        return self.entropy + (self.bigram_entropy - self.entropy) / seq_len

    def nll(self, tokens: np.ndarray) -> np.ndarray:
        """Negative log-likelihood in nats under the true law, shape (n - 2,): the first two symbols are context."""
        return -np.log(self.transition[tokens[:-2], tokens[1:-1], tokens[2:]])

    def sample(self, n_tokens: int, *, seed: int) -> np.ndarray:
        """First ``n_tokens`` symbols of one unbroken, stationary chain, shape (n_tokens,), uint8.

        A longer sample of the same seed starts with the shorter one.
        """
        out = np.empty(n_tokens, np.uint8)
        thresholds = np.cumsum(self._moves)
        thresholds[-1] = 1.0  # the sum may differ from it by rounding
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(seed,)))
        context = rng.choice(self.stationary.size, p=self.stationary.ravel())
        starts = range(0, n_tokens, _STEPS * _PIECES)
        for start in tqdm(starts, desc="markov: sampling", unit=" blocks", disable=None, leave=False):
            moves = np.searchsorted(thresholds, rng.random((_STEPS, _PIECES)), side="right")
            tokens, context = self._chain(moves, context)
            out[start : start + tokens.size] = tokens[: n_tokens - start]
        return out

    def _chain(self, moves: np.ndarray, context: int) -> tuple[np.ndarray, int]:
        """Symbols of the chain that starts at a context and takes the moves, column after column; its last context."""
        # All columns are walked at once from guessed contexts, and again from where their left neighbors ended, until
        # nothing changes. After two choices by u in a row the guess has no effect, so two walks are enough as a rule;
        # n walks are right in the first n columns, so it always ends.
        v, n_moves = self.vocab_size, len(self._moves)
        successors = self._successors.ravel()
        tokens = np.empty(moves.shape, np.uint8)
        first = np.full(moves.shape[1], context)
        while True:
            last = first
            for row, move in zip(tokens, moves, strict=True):
                row[:] = successors.take(last * n_moves + move)  # (pieces,)
                last = last % v * v + row
            joined = np.concatenate([[context], last[:-1]])
            if np.array_equal(joined, first):
                return tokens.T.ravel(), int(last[-1])
            first = joined


def markov(source: MarkovSource | None = None, *, n_tokens: int = MARKOV_TOKENS) -> Corpus:
    """Corpus of ``n_tokens`` symbols of a synthetic source, validated on 2^20 symbols of another sample of it.

    The same train part, longer, comes with a larger ``n_tokens``.
    """
    source = source or MarkovSource()
    digest = digest_of([repr(source), source.sample(4096, seed=0).tobytes().hex()])[:16]
    train, val = cached(
        f"markov-{n_tokens}-{digest}",
        lambda: (source.sample(n_tokens, seed=0), source.sample(_MARKOV_VAL_TOKENS, seed=1)),
    )
    v, entropy = source.vocab_size, source.entropy
    return Corpus(name="markov", vocab_size=v, train=train, val=val, fingerprint=digest, entropy=entropy)
