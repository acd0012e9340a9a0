"""Text in 4096 subwords: two layers, seven widths by six lengths, three seeds (chapters 1 and 8 to 12).

scalinglaws sweep subword_grid --workers 2 --device cpu --precision bf16 --csv data/runs/subword_grid.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

N_LAYER = 2
WIDTHS = (128, 96, 64, 48, 32, 24, 16)
LENGTHS = tuple(2**k for k in range(17, 23))  # branches of one trunk
SEEDS = (10, 11, 12)
# Whether the recipe's rate is the best one: half and twice of it, at two widths, one seed, up to a million tokens.
OTHER_RATES = {"factors": (0.5, 2.0), "widths": (128, 32), "lengths": LENGTHS[:4]}


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = grids.grid(recipe.SUBWORDS, WIDTHS, LENGTHS, SEEDS, n_layer=N_LAYER)
    for factor in OTHER_RATES["factors"]:
        other = replace(recipe.SUBWORDS, lr=factor * recipe.SUBWORDS.lr)
        runs += grids.grid(other, OTHER_RATES["widths"], OTHER_RATES["lengths"], SEEDS[:1], n_layer=N_LAYER)
    return runs
