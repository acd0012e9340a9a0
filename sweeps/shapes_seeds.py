"""Text: the depths of `shapes` with twelve seeds of their own; three left most of it in the noise (chapter 4).

scalinglaws sweep shapes_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/shapes_seeds.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

DEPTHS = {200_000: (1, 2, 4, 7), 50_000: (1, 2, 4)}  # by n_params_nonemb
SEEDS = tuple(range(100, 112))
TOKENS = 2**19


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [spec for n, depths in DEPTHS.items() for spec in grids.shapes(recipe.TEXT, n, depths, TOKENS, SEEDS)]
