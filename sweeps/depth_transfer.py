"""Text: one to sixteen layers with and without depth rules, six learning rates, five seeds (chapter 6).

scalinglaws sweep depth_transfer --workers 2 --device cpu --precision bf16 --csv data/runs/depth_transfer.csv
"""

from scalinglaws import recipe
from scalinglaws.config import Parametrization, RunSpec
from scalinglaws.lab import grids

WIDTH = 32
TOKENS = 2**20
DEPTHS: dict[Parametrization, tuple[int, ...]] = {  # with one layer the rules say nothing
    "completep": (16, 8, 4, 2),
    "mup": (16, 8, 4, 2, 1),
}
LRS = tuple(2.0 ** (k / 2) for k in range(-16, -10))
SEEDS = (10, 11, 12, 13, 14)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    runs = [
        spec
        for parametrization, depths in DEPTHS.items()
        for n_layer in depths
        for spec in grids.lr_width(recipe.TEXT, [WIDTH], LRS, [parametrization], SEEDS, tokens=TOKENS, n_layer=n_layer)
    ]
    return [grids.vary(spec, eval_tokens=32_768) for spec in runs]
