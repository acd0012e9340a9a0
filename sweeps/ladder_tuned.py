"""Text in 4096 subwords: the ladder's last step, rate and batch for each size, over two decades (chapter 12).

scalinglaws sweep ladder_tuned --workers 2 --device cpu --precision bf16 --csv data/runs/ladder_tuned.csv
"""

import runpy

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab.sweep import SWEEPS

SEED = 10
TUNED = ((0.5, 512), (2.0, 512), (1.0, 256), (1.0, 1024))  # learning rate over the recipe's, and batch_tokens
END = 1e13  # FLOPs; the sweep `ladder` follows these to 1e12, one decade above its least budget


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    ladder = runpy.run_path(str(SWEEPS / "ladder.py"))
    return [
        ladder["followed"](width, min(end, END), batch_tokens=batch, lr=factor * recipe.SUBWORDS.lr, seed=SEED)
        for width, end in ladder["ENDS"].items()
        for factor, batch in TUNED
    ]
