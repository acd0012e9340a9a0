"""Text: the validation curves of `curves` with twelve seeds of their own (chapter 16).

scalinglaws sweep curves_seeds --workers 2 --device cpu --precision bf16 --csv data/runs/curves_seeds.csv
"""

from scalinglaws import recipe
from scalinglaws.config import RunSpec, Schedule
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
RUNS: tuple[tuple[Schedule, int], ...] = (("wsd", 2**20), ("cosine", 2**20), ("cosine", 2**21))
EVERY = 2**15  # tokens between scores, from 2^17 on
SEEDS = tuple(range(100, 112))


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        grids.vary(
            recipe.TEXT.spec(width, tokens, seed=seed),
            schedule=schedule,
            final_lr_frac=0.0 if schedule == "wsd" else 0.1,
            eval_at=tuple(range(2**17, tokens + 1, EVERY)),
            eval_tokens=32_768,
        )
        for width in WIDTHS
        for seed in SEEDS
        for schedule, tokens in RUNS
    ]
