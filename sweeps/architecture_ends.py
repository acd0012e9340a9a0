"""Text: the cells of `architecture` with wider grids of rates, since half were best at an end; three seeds (chapter 3).

scalinglaws sweep architecture_ends --workers 2 --device cpu --precision fp32 --csv data/runs/architecture_ends.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import ModelConfig, RunSpec
from scalinglaws.lab import grids

# In 25 of the 42 cells of `architecture` the best of its rates, 2^-8 to 2^-6, was an end. Each cell is here, since the
# two families are to be compared at equal seeds.
SHORT = tuple(2**k for k in range(18, 21))  # branches of one trunk
LONG = tuple(2**k for k in range(21, 24))
TRANSFORMERS = {SHORT: (96, 64, 48, 32, 16), LONG: (64, 32)}  # d_model of one layer: 12 d^2 parameters
LSTMS = {SHORT: (118, 78, 59, 39, 20), LONG: (78, 39)}  # 8 d^2: the same number, within 1% but for the smallest
LRS = {  # log2; the transformer's at the base width
    ("transformer", SHORT): (-8, -7, -6, -5, -4),
    ("lstm", SHORT): (-9, -8, -7, -6, -5),
    ("transformer", LONG): (-9, -8, -7),
    ("lstm", LONG): (-9, -8, -7),
}
SEEDS = (10, 11, 12)


def lstm(d_model: int) -> ModelConfig:
    """An LSTM of one layer that reads what the recipe's transformers read."""
    return ModelConfig(
        family="lstm",
        n_layer=1,
        d_model=d_model,
        n_head=1,
        d_ff=4 * d_model,
        vocab_size=recipe.TEXT.vocab_size,
        seq_len=recipe.TEXT.seq_len,
        position="none",
        parametrization="standard",
    )


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    cells = [(recipe.TEXT.model(d), lengths) for lengths in (SHORT, LONG) for d in TRANSFORMERS[lengths]]
    cells += [(lstm(d), lengths) for lengths in (SHORT, LONG) for d in LSTMS[lengths]]
    return [
        RunSpec(model=model, train=one.train, data=one.data)
        for model, lengths in cells
        for power in LRS[model.family, lengths]
        for one in grids.grid(replace(recipe.TEXT, lr=2.0**power), [32], lengths, SEEDS)
    ]
