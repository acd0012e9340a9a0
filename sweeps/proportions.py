"""Text: feed-forward, depth and heads of a small model, each at four rates, 24 seeds (chapter 4).

scalinglaws sweep proportions --workers 2 --device cpu --precision bf16 --csv data/runs/proportions.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

TOKENS = 2**18
LRS = (0.005, 0.01, 0.02, 0.04)
SEEDS = tuple(range(100, 124))  # two seeds scatter by .8%: 24 tell a difference of half a percent
SHAPES = (  # d_model, n_layer, what else differs from the recipe's shape
    (32, 1, {}),
    (48, 1, {"ff_ratio": 1}),
    (16, 1, {"ff_ratio": 20}),
    (16, 4, {}),
    (32, 1, {"d_head": 32}),
)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        grids.vary(mine.spec(d_model, TOKENS, n_layer=n_layer, seed=seed), lr=lr, eval_tokens=2**15)
        for d_model, n_layer, other in SHAPES
        for mine in [replace(recipe.NARROW_HEADS, **other)]
        for lr in LRS
        for seed in SEEDS
    ]
