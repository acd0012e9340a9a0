"""Text: steps to a target loss by batch, at two sizes, the learning rate chosen for each batch (chapter 5).

scalinglaws sweep batch --workers 2 --device cpu --precision fp32 --csv data/runs/batch.csv
"""

from dataclasses import replace

from scalinglaws import recipe, sweep
from scalinglaws.config import RunSpec

CONSTANT = replace(recipe.TEXT, schedule="constant")  # a loss on the way is comparable at every step
TOKENS = {128: 6e5, 256: 6e5, 512: 7e5, 1024: 8e5, 2048: 10e5, 4096: 14e5, 8192: 22e5}  # by batch_tokens
LRS = tuple(2.0**k for k in (-9, -8, -7, -6, -5))
WIDTHS = (64, 32)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = [spec for width in WIDTHS for spec in sweep.batch(CONSTANT, width, TOKENS, LRS, TOKENS, evals=48)]
    return [sweep.vary(spec, eval_tokens=32_768) for spec in runs]
