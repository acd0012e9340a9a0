"""N, D and C under every convention in use, from a config alone; and the units they are quoted in.

The conventions differ by what they leave out, which at small scale is most of the model: see the table in chapter 1.
`tests/test_counting.py` holds the counts to the built model and the FLOPs to torch's own counter.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from scalinglaws.config import ModelConfig

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Number = TypeVar("Number", float, "NDArray[np.float64]", "pd.Series")
FLOPS_PER_PARAM_TOKEN = 6  # two for the forward pass and four for the backward: Kaplan et al. 2020, section 2.1
PF_DAY = 1e15 * 86_400  # floating-point operations; Kaplan et al. 2020, section 1.3


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Parameters by group. Groups do not overlap and sum to ``n_params``."""

    embedding: int  # input table; when tied it is also the head and is counted here, once
    position: int  # learned positions; rotary ones have no parameters
    attention: int
    feed_forward: int
    recurrent: int  # the layers of an LSTM
    head: int  # output matrix of its own; 0 when tied
    head_matmul: int  # size of the product that makes the logits, tied or not

    @property
    def n_params(self) -> int:
        """Everything that is trained: Hoffmann et al. 2022."""
        return self.embedding + self.position + self.n_params_nonemb + self.head

    @property
    def n_params_nonemb(self) -> int:
        """Layers only, neither embeddings nor head: Kaplan et al. 2020, eq. 2.1."""
        return self.attention + self.feed_forward + self.recurrent

    @property
    def n_params_matmul(self) -> int:
        """Every weight that multiplies an activation, so the head counts: Porian et al. 2024."""
        return self.n_params_nonemb + self.head_matmul


def count(model: ModelConfig) -> Counts:
    """Parameters of a model by group."""
    d, vocab = model.d_model, model.vocab_size
    is_lstm = model.family == "lstm"
    return Counts(
        embedding=vocab * d,
        position=model.seq_len * d if model.position == "learned" else 0,
        attention=0 if is_lstm else model.n_layer * 4 * d * d,  # queries, keys, values, output
        feed_forward=0 if is_lstm else model.n_layer * 2 * d * model.d_ff,  # up, down
        recurrent=model.n_layer * 2 * d * model.d_ff if is_lstm else 0,  # from the input and from the state
        head=0 if model.tied else vocab * d,
        head_matmul=vocab * d,
    )


def flops_per_token(model: ModelConfig) -> int:
    """FLOPs to train on one token, forward and backward, as executed.

    2 per weight that multiplies an activation and 4 T d per layer for dense attention (T d each for scores and for
    values, a product and a sum; half of the scores are masked, but computed), times 3: the backward pass costs twice
    the forward. Element-wise work is left out, as everywhere in this literature.
    """
    attention = 4 * model.n_layer * model.seq_len * model.d_model if model.family == "transformer" else 0
    return 3 * (2 * count(model).n_params_matmul + attention)


def flops_per_token_kaplan(model: ModelConfig) -> int:
    """FLOPs per token by Kaplan et al. 2020, table 1: no head, causal half of the attention."""
    attention = 2 * model.n_layer * model.seq_len * model.d_model if model.family == "transformer" else 0
    return 3 * (2 * count(model).n_params_nonemb + attention)


def flops_per_token_hoffmann(model: ModelConfig) -> int:
    """FLOPs per token by Hoffmann et al. 2022, appendix F: embedding lookups count as products, softmax as 3 each."""
    if model.family != "transformer":
        raise ValueError(f"family={model.family!r}: appendix F counts transformers; use flops_per_token")
    n = count(model)
    products = 2 * (n.embedding + n.attention + n.feed_forward + n.head_matmul)
    attention = model.n_layer * model.seq_len * (4 * model.d_model + 3 * model.n_head)
    return 3 * (products + attention)


def flops(model: ModelConfig, tokens: int) -> int:
    """C: FLOPs to train ``model`` on ``tokens`` tokens, as executed."""
    return flops_per_token(model) * tokens


def flops_6nd(n: Number, tokens: Number) -> Number:
    """C by the rule 6 N D; say which N."""
    return FLOPS_PER_PARAM_TOKEN * n * tokens


def tokens_6nd(flops: Number | float, n: Number) -> Number:
    """D such that C = 6 N D."""
    return flops / (FLOPS_PER_PARAM_TOKEN * n)


def params_6nd(flops: Number | float, tokens: Number) -> Number:
    """N such that C = 6 N D, in the counting of C."""
    return flops / (FLOPS_PER_PARAM_TOKEN * tokens)


def per_param_token(flops: ArrayLike, n: ArrayLike, tokens: ArrayLike) -> dict[str, float]:
    """Return the median of C/(N D) over runs, and its drift with C.

    >>> per_param_token([6e18, 6e20], [1e9, 1e10], [1e9, 1e10])
    {'median': 6.0, 'drift': 0.0}

    Parameters
    ----------
    flops, n, tokens : array_like [runs]
        C, N and D.

    Returns
    -------
    dict
        "median", 6 by the rule 6 N D, and "drift", the exponent of C/(N D) as a power of C: the optimum has exponents a
        and b with a + b = 1 - drift. 0 where all runs have one C.
    """
    C = np.asarray(flops, float)
    ratio = C / (np.asarray(n, float) * np.asarray(tokens, float))
    u, logs = np.log(C) - np.log(C).mean(), np.log(ratio)
    drift = u @ (logs - logs.mean()) / (u @ u) if np.ptp(C) else 0.0
    return {"median": float(np.median(ratio)), "drift": float(drift)}


def pf_days(flops: float) -> float:
    """FLOPs in petaflop/s-days."""
    return flops / PF_DAY


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)


def nats(bits: float) -> float:
    """Bits in nats."""
    return bits * math.log(2)
