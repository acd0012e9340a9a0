"""Text: Transformer and LSTM at five sizes, three lengths, each at several learning rates (chapter 3).

scalinglaws sweep architecture --workers 2 --device cpu --precision fp32 --csv data/runs/architecture.csv
"""

from scalinglaws import recipe, sweep
from scalinglaws.config import ModelConfig, RunSpec

TRANSFORMERS = (96, 64, 48, 32, 16)  # d_model of one layer: 12 d^2 parameters
LSTMS = (118, 78, 59, 39, 20)  # 8 d^2: the same number, within 1% but for the smallest
LENGTHS = tuple(2**k for k in (18, 19, 20))
LSTM_LRS = (2.0**-8, 2.0**-7, 2.0**-6)  # no width rule is claimed for it, so each size has its own best
TRANSFORMER_LRS = (2.0**-7, 2.0**-6)  # at the base width


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
    text = [(recipe.TEXT.model(d), TRANSFORMER_LRS) for d in TRANSFORMERS] + [(lstm(d), LSTM_LRS) for d in LSTMS]
    trains = [recipe.TEXT.spec(32, length) for length in LENGTHS]
    return [
        RunSpec(model=model, train=sweep.vary(one, lr=lr).train, data=one.data)
        for model, lrs in text
        for lr in lrs
        for one in trains
    ]
