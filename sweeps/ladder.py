"""Text in 4096 subwords: from Kaplan's exponent to Chinchilla's, one correction at a time (chapter 12).

scalinglaws sweep ladder --workers 2 --device cpu --precision fp32 --csv data/runs/ladder.csv
"""

import itertools
from dataclasses import replace

from scalinglaws import counting, recipe
from scalinglaws.config import RunSpec
from scalinglaws.lab import grids

LONG_WARMUP = 2**18  # tokens, for every size: all of the best run at the least budget, a twelfth of the largest's
EVAL_TOKENS = 2**15  # of the same sample everywhere, so that its luck is common to all
ROOT10 = 10**0.5
BUDGETS = {  # FLOPs as executed, head and all; widths around where the least loss is expected
    1e11: (8, 16, 24, 32, 48),
    1e11 * ROOT10: (8, 16, 24, 32, 48, 64),
    1e12: (16, 24, 32, 48, 64, 96),
    1e12 * ROOT10: (24, 32, 48, 64, 96, 128),
    1e13: (48, 64, 96, 128, 192),
}
# Counted as Kaplan et al. did, small models are cheap: they have to be followed for longer than the budgets ask.
ENDS = {8: 5e11, 16: 2.3e12, 24: 5.5e12, 32: 1.2e13, 48: 1e13, 64: 1e13, 96: 1e13, 128: 1e13, 192: 1e13}
TUNED = ((0.5, 512), (2.0, 512), (1.0, 256), (1.0, 1024))  # learning rate over the recipe's, and batch_tokens
TUNED_END, TUNED_WIDEST = 1e12, 96


def spec(width: int, budget: float, **changes) -> RunSpec:
    """The run of a width that costs so many FLOPs; its warm-up is an eighth of a token for each parameter."""
    count = counting.count(recipe.SUBWORDS.model(width))
    batch = changes.get("batch_tokens", recipe.SUBWORDS.batch_tokens)
    warmup = max(1, round(count.n_params_matmul / 8 / batch)) * batch
    one = replace(recipe.SUBWORDS, batch_tokens=batch, warmup_tokens=warmup)
    one = one.spec(width, budget / counting.flops_per_token(recipe.SUBWORDS.model(width)))
    return grids.vary(one, eval_tokens=EVAL_TOKENS, **changes)


def followed(width: int, budget: float, **changes) -> RunSpec:
    """The same at a constant rate, scored at every square root of two of its length."""
    one = spec(width, budget, schedule="constant", **changes)
    step, end = one.train.batch_tokens, one.train.tokens
    marks = (round(2 ** (12 + k / 2) / step) * step for k in itertools.count())
    at = tuple(itertools.takewhile(lambda tokens: tokens < end, marks))
    return grids.vary(one, eval_at=at)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    long = [followed(width, end, warmup_tokens=LONG_WARMUP) for width, end in ENDS.items()]
    short = [followed(width, end) for width, end in ENDS.items()]
    ended = [spec(width, budget) for budget, widths in BUDGETS.items() for width in widths]
    tuned = [
        followed(width, min(end, TUNED_END), batch_tokens=batch, lr=factor * recipe.SUBWORDS.lr)
        for width, end in ENDS.items()
        for factor, batch in TUNED
        if width <= TUNED_WIDEST
    ]
    return [*long, *short, *ended, *tuned]
