"""Text: seven widths at every budget of C over three decades, three seeds; budgets of one width share a trunk.

scalinglaws sweep isoflop --workers 2 --device cpu --precision fp32 --csv data/runs/isoflop.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

TEXT = recipe.NARROW_HEADS  # more widths to choose from
WIDTHS = {  # by FLOPs as executed, around where the least loss is expected
    1e10: (8, 16, 24, 32, 40, 48, 64),
    4e10: (8, 16, 24, 32, 40, 48, 64),
    1.6e11: (8, 16, 24, 32, 48, 64, 96),
    6.4e11: (16, 24, 32, 48, 64, 96, 128),
    2.56e12: (24, 32, 48, 64, 96, 128, 192),
    1.024e13: (48, 64, 96, 128, 192, 256, 384),
}
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [spec for budget, widths in WIDTHS.items() for spec in grids.isoflop(TEXT, [budget], widths, SEEDS)]
