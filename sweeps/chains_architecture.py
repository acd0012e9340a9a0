"""Chains in context: two-layer transformers and LSTMs of three sizes, four learning rates, three seeds (chapter 3).

scalinglaws sweep chains_architecture --workers 2 --device cpu --precision fp32 --csv data/runs/chains_architecture.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import DataConfig, ModelConfig, RunSpec
from scalinglaws.lab import grids

# Sixteen symbols of which few follow each: a table of 256 transitions to hold, which is what tells the two apart.
SIXTEEN = replace(recipe.CHAINS, data=DataConfig(corpus="chains", chain_symbols=16, chain_alpha=0.1), vocab_size=16)
LONG = replace(recipe.CHAINS, seq_len=256)  # eight symbols, and room to see who still gains late in a window
TRANSFORMERS = (64, 32, 16)  # d_model of two layers: 24 d^2 = 98,304, 24,576, 6,144 parameters
LSTMS = {64: 111, 32: 55, 16: 28}  # 8 d^2 = 98,568, 24,200, 6,272
LENGTHS = tuple(2**k for k in range(19, 23))  # branches of one trunk
LRS = {
    "transformer": (2.0**-8.5, 2.0**-8, 2.0**-7.5, 2.0**-7),  # at the base width
    "lstm": (2.0**-9, 2.0**-8, 2.0**-7, 2.0**-6),  # no width rule is claimed: each size has its best
}
SEEDS = (10, 11, 12)


def lstm(reader: recipe.Recipe, d_model: int) -> ModelConfig:
    """An LSTM of one layer that reads what a recipe's transformers read."""
    return ModelConfig(
        family="lstm",
        n_layer=1,
        d_model=d_model,
        n_head=1,
        d_ff=4 * d_model,
        vocab_size=reader.vocab_size,
        seq_len=reader.seq_len,
        position="none",
        parametrization="standard",
    )


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    cells = [(SIXTEEN, width) for width in TRANSFORMERS] + [(LONG, 32)]
    pairs = [(reader, (reader.model(width, 2), lstm(reader, LSTMS[width]))) for reader, width in cells]
    return [
        RunSpec(model=model, train=one.train, data=one.data)
        for reader, both in pairs
        for model in both
        for lr in LRS[model.family]
        for one in grids.grid(replace(reader, lr=lr), [32], LENGTHS, SEEDS)
    ]
