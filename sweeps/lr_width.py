"""Text: learning rates x widths under both parametrizations, two layers, three seeds (chapter 6).

scalinglaws sweep lr_width --workers 2 --device cpu --precision fp32 --csv data/runs/lr_width.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (256, 128, 64, 32)
LRS = tuple(2.0**k for k in range(-11, -3))
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = grids.lr_width(recipe.TEXT, WIDTHS, LRS, seeds=SEEDS, tokens=65_536, n_layer=2)
    return [grids.vary(spec, eval_tokens=32_768) for spec in runs]
