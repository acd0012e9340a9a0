"""Ten runs of 1e14 FLOPs that laws fitted to a hundredth of that predicted before they were trained (chapter 8).

scalinglaws sweep seals --workers 2 --device cpu --precision bf16 --csv data/runs/seals.csv

What was foretold is in data/seals.csv, see `scalinglaws.book.seals`.
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

BUDGET = 1.001e14  # FLOPs as executed; a run has a whole number of steps
# What a law was fitted to -> recipe, layers, widths. None of the widths was trained in that sweep beyond 1e12 FLOPs by
# less than a hundredth of the budget; texts are longer than the runs, so nothing is read twice.
SERIES = {
    "isoflop": (recipe.NARROW_HEADS, 1, (192, 256, 320, 384)),
    "synthetic": (recipe.SYNTHETIC, 1, (320, 384)),
    "subword_grid": (recipe.SUBWORDS, 2, (128, 160, 192, 256)),
}
SEED = 10


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        spec
        for made, layers, widths in SERIES.values()
        for spec in grids.isoflop(made, [BUDGET], widths, [SEED], n_layer=layers)
    ]
