"""Text: 65,536 tokens read four times beside as many new ones, two sizes, twelve seeds (chapter 14).

scalinglaws sweep repeats_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/repeats_seeds.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (32, 16)
UNIQUE_TOKENS = 65_536
EPOCHS = (4,)
SEEDS = tuple(range(100, 112))  # three scatter too much: `repeats`


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [spec for width in WIDTHS for spec in grids.repeats(recipe.TEXT, width, UNIQUE_TOKENS, EPOCHS, SEEDS)]
