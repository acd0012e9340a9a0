"""The synthetic source: the cell of `synthetic` with the highest mean loss, twelve seeds (chapter 7).

scalinglaws sweep synthetic_weak --device cpu --precision fp32 --no-compile --csv data/runs/synthetic_weak.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTH, TOKENS = 24, 2**18
SEEDS = tuple(range(100, 112))


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return grids.grid(recipe.SYNTHETIC, [WIDTH], [TOKENS], SEEDS)
