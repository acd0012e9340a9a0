"""Text: weight decay and dropout where data are scarce, each at the best of three rates, three seeds (chapter 14).

scalinglaws sweep scarce --workers 2 --device cpu --precision bf16 --csv data/runs/scarce.csv
"""

import itertools

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTH = 128  # ten times the parameters of `regularization`: enough to learn a sample by heart
SAMPLES = (65_536, 16_384)  # distinct tokens, drawn from everywhere
EPOCHS = 16
WEIGHT_DECAYS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
DROPOUTS = (0.1, 0.3)  # without weight decay
LRS = (2.0**-8, 2.0**-7, 2.0**-6)
SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    one_pass = grids.grid(recipe.TEXT, [WIDTH], [SAMPLES[0] * EPOCHS], SEEDS)
    scarce = [grids.repeats(recipe.TEXT, WIDTH, unique, [EPOCHS], SEEDS, fresh=False) for unique in SAMPLES]
    plain = [*one_pass, *itertools.chain(*scarce)]
    changes = [{"weight_decay": decay} for decay in WEIGHT_DECAYS] + [{"dropout": share} for share in DROPOUTS]
    return [grids.vary(spec, lr=lr, **change) for lr in LRS for change in changes for spec in plain]
