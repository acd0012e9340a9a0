"""Text: cosine cut short, cosine matched to each length, WSD branches; five sizes, three seeds (chapter 12).

scalinglaws sweep schedules --workers 2 --device cpu --precision fp32 --csv data/runs/schedules.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

TEXT = recipe.NARROW_HEADS
WIDTHS = (64, 48, 32, 24, 16)
LENGTHS = tuple(2**k for k in range(16, 22))
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return grids.schedules(TEXT, WIDTHS, LENGTHS, SEEDS)
