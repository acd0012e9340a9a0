"""Sizes x lengths x seeds on the synthetic source: the floor of the joint law against the exact one (chapter 1).

scalinglaws sweep synthetic --workers 2 --device cpu --precision fp32 --no-compile --csv data/runs/synthetic.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (128, 96, 64, 48, 32, 24, 16)
LENGTHS = tuple(2**k for k in range(18, 24))  # a quarter of a million to eight million tokens, branches of one trunk
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return grids.grid(recipe.SYNTHETIC, WIDTHS, LENGTHS, SEEDS)
