"""Text: depths at nearly the same N, two sizes, three seeds (chapter 4).

scalinglaws sweep shapes --workers 2 --device cpu --precision fp32 --csv data/runs/shapes.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

DEPTHS = {200_000: (1, 2, 4, 7), 50_000: (1, 2, 4)}  # by n_params_nonemb
SEEDS = (0, 1, 2)
TOKENS = 2**19


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [spec for n, depths in DEPTHS.items() for spec in grids.shapes(recipe.TEXT, n, depths, TOKENS, SEEDS)]
