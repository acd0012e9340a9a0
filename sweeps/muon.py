"""Text: Muon and AdamW at five lengths, each with the best rate of its hidden matrices, ten seeds (chapter 8).

scalinglaws sweep muon --workers 2 --device cpu --precision bf16 --csv data/runs/muon.csv
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import Optimizer, RunSpec
from scalinglaws.lab import grids

TEXT = replace(recipe.TEXT, batch_tokens=1024)
WIDTH, N_LAYER = 64, 2
LENGTHS = tuple(round(2 ** (k / 2) / 1024) * 1024 for k in range(36, 41))  # 2^18 to 2^20, branches of one trunk
HIDDEN: dict[Optimizer, tuple[float, ...]] = {  # log2 of the rate of the matrices inside the layers
    "muon": (-7.5, -7, -6.5, -6, -5.5, -5),
    "adamw": (-8.5, -8, -7.5, -7, -6.5, -6, -5.5),
}
REST = -6.5  # log2 of the rate of embedding and head, AdamW's with both
OTHER_RESTS = (-7.5, -5.5)  # whether that is the best, with some seeds and hidden rates
SEEDS = tuple(range(10, 20))


def tuned(optimizer: Optimizer, rest: float, hidden: Sequence[float], seeds: Sequence[int]) -> list[RunSpec]:
    """The runs of an optimizer at one rate of embedding and head."""
    runs = grids.grid(TEXT, [WIDTH], LENGTHS, seeds, n_layer=N_LAYER)
    fields = {"optimizer": optimizer, "lr": 2.0**rest, "parametrization": "standard", "eval_tokens": 32_768}
    return [grids.vary(spec, hidden_lr_ratio=2.0 ** (rate - rest), **fields) for rate in hidden for spec in runs]


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    main = [tuned(optimizer, REST, hidden, SEEDS) for optimizer, hidden in HIDDEN.items()]
    checks = [
        tuned(optimizer, rest, hidden[1:-1:2], SEEDS[:3])
        for rest in OTHER_RESTS
        for optimizer, hidden in HIDDEN.items()
    ]
    return list(itertools.chain(*main, *checks))
