"""Text in 4096 subwords: Adam and SGD with momentum by length, six or more learning rates, three seeds (chapter 8).

scalinglaws sweep optimizers_subwords --workers 2 --device cpu --precision bf16 --csv data/runs/optimizers_subwords.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import DataConfig, Optimizer, RunSpec
from scalinglaws.lab import grids

# Adam has the more to gain from a vocabulary whose frequencies span decades. A warm-up of the recipe's 20 steps holds
# it back at high rates, so both have 128.
SUBWORDS = replace(
    recipe.TEXT,
    data=DataConfig(vocab="data/tokenizers/pystack-4096.json"),
    vocab_size=4096,
    warmup_tokens=2**16,
)
WIDTH = 32
LENGTHS = tuple(2**k for k in range(18, 23))  # branches of one trunk
LRS: dict[Optimizer, tuple[float, ...]] = {
    "adamw": tuple(2.0 ** (k / 2) for k in range(-15, -9)),
    "sgd": tuple(2.0 ** (k / 2) for k in range(-4, 2)),
}
SEEDS = (10, 11, 12)
# After these lengths Adam's best rate was the highest that it had: two more.
WIDER = {"lengths": (2**19, 2**20), "lrs": (2.0**-4.5, 2.0**-4)}


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = grids.grid(SUBWORDS, [WIDTH], LENGTHS, SEEDS)
    runs = [grids.vary(spec, parametrization="standard", eval_tokens=32_768) for spec in runs]
    again = [spec for spec in runs if spec.train.tokens in WIDER["lengths"]]
    swept = [grids.vary(spec, optimizer=name, lr=lr) for name, lrs in LRS.items() for lr in lrs for spec in runs]
    return swept + [grids.vary(spec, optimizer="adamw", lr=lr) for lr in WIDER["lrs"] for spec in again]
