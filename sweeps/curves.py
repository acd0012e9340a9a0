"""Text: the validation curves of WSD and cosine runs, three widths, five seeds (chapter 16).

scalinglaws sweep curves --workers 2 --device cpu --precision bf16 --csv data/runs/curves.csv

About 15 minutes of one core.
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec, Schedule
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
RUNS: tuple[tuple[Schedule, int], ...] = (("wsd", 2**20), ("cosine", 2**20), ("cosine", 2**21))
EVERY = 2**15  # tokens between scores, from 2^17 on
SEEDS = (20, 21, 22, 23, 24)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return grids.curves(recipe.TEXT, WIDTHS, RUNS, SEEDS, first=2**17, every=EVERY)
