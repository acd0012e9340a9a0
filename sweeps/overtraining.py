"""Text: small models far past 20 tokens per parameter, to more than 500, three seeds (chapter 13).

scalinglaws sweep overtraining --workers 2 --device cpu --precision fp32 --csv data/runs/overtraining.csv
"""

from scalinglaws import counting, recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

TEXT = recipe.NARROW_HEADS
WIDTHS = (40, 32, 24, 16)
TOKENS_PER_PARAM = (20, 40, 80, 160, 320, 640)  # of n_params_nonemb
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = []
    for width in WIDTHS:
        n = counting.count(TEXT.model(width)).n_params_nonemb
        runs += grids.grid(TEXT, [width], [n * ratio for ratio in TOKENS_PER_PARAM], SEEDS)
    return runs
