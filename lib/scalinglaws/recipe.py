"""Every opinion that turns a size and an amount of data into a spec, in one place.

Tiny models punish careless choices: with GPT-2's (added positions, tied small embeddings, large batches) they sit for a
million tokens on what bigrams can tell, and no law shows. Chapter 2 runs that comparison; LOG.md has the measurements.
"""

import math
from dataclasses import dataclass, field, replace

from scalinglaws.config import DataConfig, ModelConfig, Position, RunSpec, Schedule, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How models of all sizes are built and trained alike."""

    data: DataConfig = field(default_factory=DataConfig)
    vocab_size: int = 128
    seq_len: int = 64
    position: Position = "rope"
    d_head: int = 16  # heads grow in number, not in size, so that muP's 1/d_head changes nothing
    ff_ratio: int = 4  # d_ff / d_model
    lr: float = 1e-2  # at width 32; muP carries it to the others
    batch_tokens: int = 512  # at most: the critical batch of these models is a few hundred to a few thousand tokens
    warmup_tokens: int = 10_240  # in tokens, not a share of the run, so that all lengths share one trunk
    schedule: Schedule = "wsd"  # finished points at many lengths from one trunk: `train.train_branches`

    def model(self, d_model: int, n_layer: int = 1) -> ModelConfig:
        """The model of a width and depth; ``d_model`` is a multiple of ``d_head``."""
        if d_model % self.d_head:
            raise ValueError(f"d_model={d_model}: this recipe has heads of {self.d_head}, choose a multiple of that")
        return ModelConfig(
            n_layer=n_layer,
            d_model=d_model,
            n_head=d_model // self.d_head,
            d_ff=self.ff_ratio * d_model,
            vocab_size=self.vocab_size,
            seq_len=self.seq_len,
            position=self.position,
        )

    def spec(self, d_model: int, tokens: float, *, n_layer: int = 1, seed: int = 0) -> RunSpec:
        """The run of a model on about ``tokens`` tokens: the nearest whole number of steps, at least the warm-up."""
        if not 0 < tokens < math.inf:
            raise ValueError(f"tokens={tokens:.4g}: give a number above zero")
        steps = max(round(tokens / self.batch_tokens), -(-self.warmup_tokens // self.batch_tokens))
        train = TrainConfig(
            tokens=steps * self.batch_tokens,
            batch_tokens=self.batch_tokens,
            lr=self.lr,
            schedule=self.schedule,
            warmup_tokens=self.warmup_tokens,
            seed=seed,
        )
        return RunSpec(model=self.model(d_model, n_layer), train=train, data=self.data)


TEXT = Recipe()
NARROW_HEADS = replace(TEXT, d_head=8)  # half the heads' size: twice as many widths to choose from
SUBWORDS = replace(NARROW_HEADS, data=DataConfig(vocab="data/tokenizers/pystack-4096.json"), vocab_size=4096)

# The synthetic source asks only which two tokens came last. Short windows with positions of their own find that in a
# quarter of a million tokens at every seed; rotary ones find it sometimes (measured: see LOG.md).
SYNTHETIC = Recipe(data=DataConfig(corpus="markov"), seq_len=16, position="learned", d_head=8)

# A window holds one chain, of which the model has to find the transitions: the longer it is, the more it can know. Two
# layers of width 32 leave the plateau of one layer within a million tokens at this rate (see LOG.md).
CHAINS = Recipe(
    data=DataConfig(corpus="chains"), vocab_size=8, seq_len=128, lr=2.0**-7, batch_tokens=2048, warmup_tokens=20_480
)
