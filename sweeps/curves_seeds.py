"""Text: the validation curves of `curves` with twelve seeds of their own (chapter 16).

scalinglaws sweep curves_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/curves_seeds.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec, Schedule
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
RUNS: tuple[tuple[Schedule, int], ...] = (("wsd", 2**20), ("cosine", 2**20), ("cosine", 2**21))
EVERY = 2**15  # tokens between scores, from 2^17 on
SEEDS = tuple(range(100, 112))


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return grids.curves(recipe.TEXT, WIDTHS, RUNS, SEEDS, first=2**17, every=EVERY)
