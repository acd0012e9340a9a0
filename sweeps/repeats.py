"""Text: 65,536 tokens read 1 to 64 times, a sample of the corpus or its start, beside as many new ones (chapter 14).

scalinglaws sweep repeats --workers 2 --device cpu --precision fp32 --csv data/runs/repeats.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (32, 16)
UNIQUE_TOKENS = 65_536
ORIGINS = ("everywhere", "start")
EPOCHS = (1, 2, 4, 8, 16, 32, 64)
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        spec
        for width in WIDTHS
        for spec in grids.repeats(recipe.TEXT, width, UNIQUE_TOKENS, EPOCHS, SEEDS, origins=ORIGINS)
    ]
