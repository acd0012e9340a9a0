"""Text: weight decay at three widths and four lengths, three seeds: where its time scale is best (chapter 16).

scalinglaws sweep decay_timescale --workers 2 --device cpu --precision bf16 --csv data/runs/decay_timescale.csv

About 40 minutes of one core.
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
LENGTHS = tuple(2**k for k in range(18, 22))  # branches of one trunk
WEIGHT_DECAYS = (*(2.0**k for k in range(-7, 0)), 0.0)  # and none: what decay gains at all
SEEDS = (20, 21, 22)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = grids.grid(recipe.TEXT, WIDTHS, LENGTHS, SEEDS)
    return [grids.vary(spec, weight_decay=decay, eval_tokens=32_768) for decay in WEIGHT_DECAYS for spec in runs]
