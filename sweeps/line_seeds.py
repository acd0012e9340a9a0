"""Text: the three sizes of `loss_to_loss`, scored on four more texts, nine seeds (chapter 16).

scalinglaws sweep line_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/line_seeds.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
LENGTHS = tuple(2**k for k in range(16, 22))  # branches of one trunk
SEEDS = tuple(range(100, 109))


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    main = grids.grid(recipe.TEXT, WIDTHS, LENGTHS, SEEDS)
    return [grids.vary(spec, eval_texts=True, eval_tokens=32_768) for spec in main]
