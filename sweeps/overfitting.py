"""Text: two samples read 1 to 64 times and as much new text, with and without strong decay; three seeds (chapter 16).

scalinglaws sweep overfitting --workers 2 --device cpu --precision bf16 --csv data/runs/overfitting.csv

About 25 minutes of one core.
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (24, 48)  # sizes and samples that no run was made of before
UNIQUE_TOKENS = (32_768, 131_072)
EPOCHS = (1, 2, 4, 8, 16, 64)  # the law is fitted to 16, and foretells the last
MOST_TOKENS = 2**22  # of one run
STRONG_DECAY = 1.0
SEEDS = (20, 21, 22)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    plain = [
        spec
        for width in WIDTHS
        for unique in UNIQUE_TOKENS
        for spec in grids.repeats(recipe.NARROW_HEADS, width, unique, EPOCHS, SEEDS)
        if spec.train.tokens <= MOST_TOKENS or (width, spec.data.unique_tokens) == (24, 131_072)
    ]
    decayed = [grids.vary(spec, weight_decay=STRONG_DECAY) for spec in plain if spec.train.tokens <= 16 * 131_072]
    return [grids.vary(spec, eval_tokens=32_768) for spec in (*plain, *decayed)]
