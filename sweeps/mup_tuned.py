"""Text: muP and the standard parametrization at width 256, each at its best rates, the embedding's apart (chapter 6).

scalinglaws sweep mup_tuned --workers 2 --device cpu --precision bf16 --csv data/runs/mup_tuned.csv
"""

import itertools

from scalinglaws import recipe
from scalinglaws.config import Parametrization, RunSpec
from scalinglaws.lab import grids

WIDTH = 256
TOKENS = 2**18
LRS: dict[Parametrization, range] = {"mup": range(-8, -4), "standard": range(-11, -6)}  # log2
# One rate for all, tuned for the matrices, is too low for the embedding of a wide standard model.
EMBEDDING = {"mup": (-4, -2, 0, 2), "standard": (0, 2, 4)}  # log2 of the embedding's rate over that
SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = []
    for parametrization, powers in LRS.items():
        rates = [2.0**k for k in powers]
        plain = grids.lr_width(recipe.TEXT, [WIDTH], rates, [parametrization], SEEDS, tokens=TOKENS, n_layer=2)
        ratios = [2.0**k for k in EMBEDDING[parametrization]]
        runs += [grids.vary(s, embedding_lr_ratio=ratio) for ratio, s in itertools.product(ratios, plain)]
    return [grids.vary(spec, eval_tokens=32_768) for spec in runs]
