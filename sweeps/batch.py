"""Text: steps to a target loss by batch (chapter 5): two sizes, three seeds, learning rates around each batch's best.

scalinglaws sweep batch --workers 2 --device cpu --precision fp32 --csv data/runs/batch.csv
"""

import itertools
from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

CONSTANT = replace(recipe.TEXT, schedule="constant")  # a loss on the way is comparable at every step
TOKENS = {128: 16e5, 256: 16e5, 512: 18e5, 1024: 20e5, 2048: 24e5, 4096: 30e5, 8192: 44e5}  # by batch_tokens
BEST = {128: -7.5, 256: -7, 512: -7, 1024: -6.5, 2048: -6, 4096: -5.5, 8192: -5.5}  # log2 of the rate, in a first sweep
AROUND = (-1, -0.5, 0, 0.5, 1)  # octaves
WIDTHS = (64, 32)
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = []
    for width, (batch_tokens, best) in itertools.product(WIDTHS, BEST.items()):
        lrs = [2.0 ** (best + octaves) for octaves in AROUND]
        runs += grids.batch(CONSTANT, width, [batch_tokens], lrs, TOKENS, SEEDS, evals=48)
    return [grids.vary(spec, eval_tokens=32_768) for spec in runs]
