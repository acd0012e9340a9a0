"""Text: Adam and SGD with momentum by length, five learning rates each, three seeds (chapter 8).

scalinglaws sweep optimizers --workers 2 --device cpu --precision fp32 --csv data/runs/optimizers.csv
"""

from scalinglaws import recipe
from scalinglaws.config import Optimizer, RunSpec
from scalinglaws.lab import grids

WIDTH = 32  # the base width, where muP's factors, which are made for Adam, are all 1
LENGTHS = tuple(2**k for k in range(15, 20))  # branches of one trunk
LRS: dict[Optimizer, tuple[float, ...]] = {
    "sgd": tuple(2.0**k for k in range(-4, 1)),
    "adamw": tuple(2.0**k for k in range(-9, -4)),
}
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = grids.grid(recipe.TEXT, [WIDTH], LENGTHS, SEEDS)
    tuned = [grids.vary(spec, optimizer=name, lr=lr) for name, lrs in LRS.items() for lr in lrs for spec in runs]
    return [grids.vary(spec, eval_tokens=32_768) for spec in tuned]
