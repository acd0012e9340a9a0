"""Text: Transformer and LSTM at five sizes, three lengths, three learning rates; two sizes on to 8 million (chapter 3).

scalinglaws sweep architecture --workers 2 --device cpu --precision fp32 --csv data/runs/architecture.csv
"""

from scalinglaws import recipe
from scalinglaws.config import ModelConfig, RunSpec
from scalinglaws.lab import grids

TRANSFORMERS = (96, 64, 48, 32, 16)  # d_model of one layer: 12 d^2 parameters
LSTMS = (118, 78, 59, 39, 20)  # 8 d^2: the same number, within 1% but for the smallest
LENGTHS = tuple(2**k for k in range(18, 24))
SHORT = LENGTHS[:3]  # where a straight line puts the crossing, four to seven million tokens, only two sizes go
LONG = (64, 32, 78, 39)  # widths of these two
LRS = (2.0**-8, 2.0**-7, 2.0**-6)  # at the base width; for the LSTM no width rule is claimed, each size has its best


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
    models = [recipe.TEXT.model(d) for d in TRANSFORMERS] + [lstm(d) for d in LSTMS]
    return [
        RunSpec(model=model, train=grids.vary(one, lr=lr).train, data=one.data)
        for model in models
        for lr in LRS
        for one in grids.grid(recipe.TEXT, [32], LENGTHS if model.d_model in LONG else SHORT)
    ]
