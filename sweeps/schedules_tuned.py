"""Text: cosine cut short against cosine matched, five sizes, five peak rates, three seeds (chapter 12).

scalinglaws sweep schedules_tuned --workers 2 --device cpu --precision bf16 --csv data/runs/schedules_tuned.csv
"""

import itertools

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (64, 48, 32, 24, 16)
LENGTHS = (2**17, 2**18, 2**19, 2**20, 2**21)  # the last is the horizon of the one that is cut: by 16, 8, 4 and 2
PEAKS = tuple(2.0 ** (k / 2) for k in range(-14, -9))
SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = []
    for width, peak in itertools.product(WIDTHS, PEAKS):
        at_peak = grids.schedules(recipe.NARROW_HEADS, [width], LENGTHS, SEEDS)
        runs += [grids.vary(spec, lr=peak) for spec in at_peak if spec.train.schedule == "cosine"]
    return runs
