"""Text: the cells of `overfitting` that compare two sizes after 16 epochs, twelve seeds (chapter 16).

scalinglaws sweep overfitting_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/overfitting_seeds.csv
"""

import itertools

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (24, 48)
UNIQUE_TOKENS = (32_768, 131_072)
EPOCHS = (16,)
SEEDS = tuple(range(100, 112))


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    cells = itertools.product(WIDTHS, UNIQUE_TOKENS)
    plain = [grids.repeats(recipe.NARROW_HEADS, width, unique, EPOCHS, SEEDS) for width, unique in cells]
    return [grids.vary(spec, eval_tokens=32_768) for spec in itertools.chain(*plain)]
