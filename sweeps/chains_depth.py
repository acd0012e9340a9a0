"""Chains in context: one to four layers at two widths, four learning rates, three seeds (chapter 4).

scalinglaws sweep chains_depth --workers 2 --device cpu --precision bf16 --csv data/runs/chains_depth.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (64, 32)
DEPTHS = (4, 3, 2, 1)
LENGTHS = (2**19, 2**20, 2**21)  # branches of one trunk
LRS = (2.0**-8, 2.0**-7.5, 2.0**-7, 2.0**-6.5)  # at 2^-6 two layers did not leave the plateau of one
LRS_OF_ONE = (2.0**-8, 2.0**-7, 2.0**-6, 2.0**-5)
EQUAL_SIZE = {"width": 48, "tokens": 2**22}  # one layer: 27,648 parameters; two layers of width 32 have 24,576
SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = [
        grids.vary(spec, lr=lr)
        for depth in DEPTHS
        for lr in (LRS if depth > 1 else LRS_OF_ONE)
        for spec in grids.grid(recipe.CHAINS, WIDTHS, LENGTHS, SEEDS, n_layer=depth)
    ]
    equal = grids.grid(recipe.CHAINS, [EQUAL_SIZE["width"]], [EQUAL_SIZE["tokens"]], SEEDS)
    return runs + [grids.vary(spec, lr=lr) for lr in LRS_OF_ONE for spec in equal]
