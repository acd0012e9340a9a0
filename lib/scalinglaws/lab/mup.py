"""Width and depth rules: how initial size, learning rate and multipliers of each weight follow from the shape.

`rules` holds the three parametrizations, for the model and for the optimizer.

    r = d_model / base_d_model   standard                  muP (Adam)                   CompleteP (Adam)
    l = n_layer / base_n_layer
    embeddings, positions        std 1 (tied: 0.02), lr 1  the same                     the same
    hidden matrices              std 1/sqrt(fan_in), lr 1  std 1/sqrt(fan_in), lr 1/r   as muP
    head                         std 0, lr 1               std 0, lr 1, output x 1/r    as muP
    attention logits             x 1/sqrt(d_head)          x sqrt(base_d_head)/d_head   as muP
    what a branch adds           x 1                       x 1                          x 1/l
    Adam's eps                   x 1                       x 1                          x 1/r; hidden matrices 1/(r l)

The muP column is Tensor Programs V (Yang et al. 2022), table 8. The variance 1/fan_in is the lecture's sigma/r: it
falls as 1/r when the width grows. As the head starts at zero, the two columns are the same model at r = 1. The columns
are for Adam; SGD would need other rules, which are not here. `FORMS` has the forms in which the lecture and the paper
write these rules. The last column is Dey et al. 2025, table 1, with alpha = 1: there the depth changes no rate.
"""

import math
from dataclasses import dataclass
from typing import Literal

from scalinglaws.config import ModelConfig

Kind = Literal["input", "hidden", "output"]


@dataclass(frozen=True, kw_only=True)
class Powers:
    """How a kind of weight scales: the power of the width ratio r in each factor, 0 where it does not depend on r."""

    multiplier: float = 0.0  # of the weight, where the model uses it
    init_std: float = 0.0  # STANDARD DEVIATION; the tables give its square
    lr: float = 0.0  # of Adam

    @property
    def effective(self) -> tuple[float, float]:
        """Powers of what acts on the activations: the initial weight times its multiplier, and Adam's step times it.

        Adam's step does not depend on the size of the gradient. So a factor moved from the initial size and the rate
        into the multiplier changes nothing that the model computes, at any step: Tensor Programs V, lemma J.1. Two
        forms with the same effective powers are the same model.
        """
        return self.multiplier + self.init_std, self.multiplier + self.lr


# Ways to write width rules for Adam. "input": embeddings, positions, biases (one side grows with the width, or none);
# "hidden": both sides grow; "output": the head. All but "standard" scale attention logits by 1/d_head.
FORMS: dict[str, dict[Kind, Powers]] = {
    # PyTorch's habit, and Tensor Programs V, table 3, in brackets: one rate for all.
    "standard": {"input": Powers(), "hidden": Powers(init_std=-0.5), "output": Powers(init_std=-0.5)},
    # Yao et al. 2023, table 2: variance sigma/r, rate l/r, output multiplier tau/r. What `rules` does.
    "lecture": {"input": Powers(), "hidden": Powers(init_std=-0.5, lr=-1), "output": Powers(multiplier=-1)},
    # Tensor Programs V, table 3: no multipliers; the output has variance 1/fan_in^2 and rate 1/fan_in.
    "table 3": {"input": Powers(), "hidden": Powers(init_std=-0.5, lr=-1), "output": Powers(init_std=-1, lr=-1)},
    # Tensor Programs V, table 8: the output has multiplier 1/fan_in. The lecture's, with fan_in for r.
    "table 8": {"input": Powers(), "hidden": Powers(init_std=-0.5, lr=-1), "output": Powers(multiplier=-1)},
}


def kind(name: str) -> Kind:
    """Kind of a weight of the transformer, by its name in `rules`."""
    return "input" if name in ("embedding", "position") else "output" if name == "head" else "hidden"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Shape, initial size and factors of one weight."""

    shape: tuple[int, ...]  # (inputs, outputs), or (entries, d_model) for tables
    init_std: float
    lr: float  # factor on the learning rate
    decay: float  # factor on the weight decay; 0 for tables, which only a matrix product would shrink
    eps: float = 1.0  # factor on Adam's eps


def rules(model: ModelConfig) -> dict[str, Rule]:
    """Rule of every weight, by name, in the order in which they lie in memory."""
    d = model.d_model
    r = 1.0 if model.parametrization == "standard" else model.width_ratio
    eps = 1 / r if model.parametrization == "completep" else 1.0

    def table(entries: int) -> Rule:
        # GPT-2's 0.02 where the table is also the head, or is added to one of positions.
        gpt2 = model.tied or model.position == "learned"
        return Rule(shape=(entries, d), init_std=0.02 if gpt2 else 1.0, lr=1.0, decay=0.0, eps=eps)

    def hidden(fan_in: int, fan_out: int) -> Rule:
        # AdamW shrinks by lr * weight_decay: with lr / r the decay takes r to stay the same at every width.
        std = model.init_scale * fan_in**-0.5
        return Rule(shape=(fan_in, fan_out), init_std=std, lr=1 / r, decay=r, eps=eps * branch_scale(model))

    out = {"embedding": table(model.vocab_size)}
    if model.position == "learned":
        out["position"] = table(model.seq_len)
    for i in range(model.n_layer):
        if model.family == "lstm":
            out |= {f"{i}.input": hidden(d, model.d_ff), f"{i}.recurrent": hidden(d, model.d_ff)}
            continue
        out |= {f"{i}.qkv": hidden(d, 3 * d), f"{i}.out": hidden(d, d)}
        out |= {f"{i}.up": hidden(d, model.d_ff), f"{i}.down": hidden(model.d_ff, d)}
    if not model.tied:
        out["head"] = Rule(shape=(d, model.vocab_size), init_std=0.0, lr=1.0, decay=1.0, eps=eps)
    return out


def attention_scale(model: ModelConfig) -> float:
    """Factor on the attention logits."""
    base = model.base_d_head if model.parametrization != "standard" else None
    return math.sqrt(base or model.d_head) / model.d_head


def output_scale(model: ModelConfig) -> float:
    """Factor on the logits."""
    return 1.0 if model.parametrization == "standard" else 1 / model.width_ratio


def branch_scale(model: ModelConfig) -> float:
    """Factor on what each attention and each feed-forward adds to the stream."""
    return 1 / model.depth_ratio if model.parametrization == "completep" else 1.0
