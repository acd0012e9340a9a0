"""Chains in context: one to four layers at two widths, four learning rates or more, three seeds (chapter 4).

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
# The best rate of these cells was an end of its grid: more rates, at the length that is read. Layers, width, tokens.
WIDER = {
    (1, 48, 2**22): (2.0**-9, 2.0**-10),
    (1, 64, 2**21): (2.0**-9, 2.0**-10),
    (4, 64, 2**21): (2.0**-8.5,),
}


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = [
        grids.vary(spec, lr=lr)
        for depth in DEPTHS
        for lr in (LRS if depth > 1 else LRS_OF_ONE)
        for spec in grids.grid(recipe.CHAINS, WIDTHS, LENGTHS, SEEDS, n_layer=depth)
    ]
    equal = grids.grid(recipe.CHAINS, [EQUAL_SIZE["width"]], [EQUAL_SIZE["tokens"]], SEEDS)
    runs += [grids.vary(spec, lr=lr) for lr in LRS_OF_ONE for spec in equal]
    return runs + [
        grids.vary(spec, lr=lr)
        for (depth, width, tokens), rates in WIDER.items()
        for lr in rates
        for spec in grids.grid(recipe.CHAINS, [width], [tokens], SEEDS, n_layer=depth)
    ]
