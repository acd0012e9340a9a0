"""Text: weight decay and dropout, a million new tokens, and a sample of 65,536 read 16 times; three seeds (chapter 14).

scalinglaws sweep regularization --workers 2 --device cpu --precision fp32 --csv data/runs/regularization.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTH = 32
UNIQUE_TOKENS = 65_536
EPOCHS = 16
WEIGHT_DECAYS = (0.0, 0.1, 1.0, 3.0)
DROPOUTS = (0.1, 0.3)  # without weight decay
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    plain = grids.repeats(recipe.TEXT, WIDTH, UNIQUE_TOKENS, [EPOCHS], SEEDS)
    decayed = [grids.vary(spec, weight_decay=decay) for decay in WEIGHT_DECAYS for spec in plain]
    return decayed + [grids.vary(spec, dropout=share) for share in DROPOUTS for spec in plain]
