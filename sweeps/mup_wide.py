"""Text: both parametrizations to width 1024, two layers, rates around each width's best, three seeds (chapter 6).

scalinglaws sweep mup_wide --workers 2 --device cpu --precision bf16 --csv data/runs/mup_wide.csv
"""

from scalinglaws import recipe
from scalinglaws.config import Parametrization, RunSpec
from scalinglaws.lab import grids

TOKENS = 65_536  # as in the sweep `lr_width`, which ends at width 256
LRS: dict[Parametrization, dict[int, range]] = {  # log2 of the rate at the base width
    "mup": dict.fromkeys((1024, 512, 256, 128, 64, 32), range(-7, -3)),
    # The best rate falls by about half for each doubling of the width. The base's own, -5 to -6, is what a transfer
    # without rules would carry along.
    "standard": {
        1024: (-11, -10, -9, -8, -6, -5),
        512: (-10, -9, -8, -7, -6, -5),
        256: (-10, -9, -8, -7, -6, -5),
        128: (-9, -8, -7, -6, -5),
        64: (-8, -7, -6, -5, -4),
    },
}
SEEDS = (10, 11, 12)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = [
        spec
        for parametrization, widths in LRS.items()
        for width, powers in widths.items()
        for spec in grids.lr_width(
            recipe.TEXT, [width], [2.0**k for k in powers], [parametrization], SEEDS, tokens=TOKENS, n_layer=2
        )
    ]
    return [grids.vary(spec, eval_tokens=32_768) for spec in runs]
