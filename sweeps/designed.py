"""Text in 4096 subwords: the twelve runs that `sl.design` asks for in chapter 16, seeds that no other run had.

scalinglaws sweep designed --workers 2 --device cpu --precision bf16 --csv data/runs/designed.csv

The design is made from the runs of `subword_grid` up to half a million tokens (chapter 16 makes it again and compares).
It expects the 95% interval of N_opt at 1e14 FLOPs to be 0.324 wide in logarithms, from 1.56. Written before the runs:
of 200 simulated sets of these twelve (the law true, Gaussian noise of the fit's size) that interval was 0.79 to 3.42
times as wide as expected in 95%, 1.43 times in the median. What comes is read as: within that range, the design keeps
what it says; beyond it, it does not; and N_opt is inside the interval of before, or not.
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec

N_LAYER = 2
CELLS = ((32, 2**22, 4), (48, 2**22, 3), (64, 2**22, 1), (96, 2**20, 2), (128, 2**20, 2))  # width, tokens, seeds
FIRST = 20  # seed


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        recipe.SUBWORDS.spec(width, tokens, n_layer=N_LAYER, seed=FIRST + k)
        for width, tokens, seeds in CELLS
        for k in range(seeds)
    ]
