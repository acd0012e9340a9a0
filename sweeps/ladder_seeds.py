"""Text in 4096 subwords: every run of the sweep `ladder` with three seeds of its own (chapter 12).

scalinglaws sweep ladder_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/ladder_seeds.csv
"""

from scalinglaws.config import RunSpec
from scalinglaws.lab import grids, sweep

SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [grids.vary(spec, seed=seed) for seed in SEEDS for spec in sweep.load("ladder")]
