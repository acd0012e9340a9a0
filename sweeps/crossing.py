"""Text in 4096 subwords, windows of 128: a transformer of two layers and an LSTM of its size, to 4 million (chapter 3).

scalinglaws sweep crossing --workers 2 --device cpu --precision fp32 --csv data/runs/crossing.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import DataConfig, ModelConfig, RunSpec
from scalinglaws.lab import grids

# A subword is two to three characters, and a window holds 128 of them: there is more to look back for than in
# the 64 characters of the sweep `architecture`.
SUBWORDS = replace(
    recipe.TEXT,
    data=DataConfig(vocab="data/tokenizers/pystack-4096.json"),
    vocab_size=4096,
    seq_len=128,
    batch_tokens=1024,
    warmup_tokens=2**16,
)
LENGTHS = tuple(2**k for k in range(19, 23))
LRS = {  # four around each family's best; the transformer's at the base width
    "transformer": (2.0**-8, 2.0**-7, 2.0**-6, 2.0**-5),
    "lstm": (2.0**-9, 2.0**-8, 2.0**-7, 2.0**-6),
}
BEST = {"transformer": 2.0**-7, "lstm": 2.0**-8}  # of these, after four million tokens
SHORT_WINDOWS = replace(SUBWORDS, seq_len=64)
CHARACTERS = replace(SUBWORDS, data=recipe.TEXT.data, vocab_size=recipe.TEXT.vocab_size)


def lstm(reader: recipe.Recipe) -> ModelConfig:
    """An LSTM that reads what a recipe's transformers read: 8 d^2 = 96,800 parameters in its layer."""
    return ModelConfig(
        family="lstm",
        n_layer=1,
        d_model=110,
        n_head=1,
        d_ff=4 * 110,
        vocab_size=reader.vocab_size,
        seq_len=reader.seq_len,
        position="none",
        parametrization="standard",
    )


def transformer(reader: recipe.Recipe) -> ModelConfig:
    """A transformer of two layers: 2 x 12 d^2 = 98,304 parameters in them."""
    return reader.model(64, n_layer=2)


def all_lengths(reader: recipe.Recipe, model: ModelConfig, lr: float, seed: int = 0) -> list[RunSpec]:
    """The runs of a model at one rate: they share a trunk."""
    one_size = grids.grid(replace(reader, lr=lr), [32], LENGTHS, [seed])
    return [RunSpec(model=model, train=one.train, data=one.data) for one in one_size]


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    both = transformer(SUBWORDS), lstm(SUBWORDS)
    race = [(SUBWORDS, model, lr) for model in both for lr in LRS[model.family]]
    race += [(SUBWORDS, model, BEST[model.family], seed) for seed in (1, 2) for model in both]
    # One thing undone at a time, at the best rates above: a layer less (110,592), short windows, characters.
    others = [(SUBWORDS, SUBWORDS.model(96))]
    others += [(reader, model(reader)) for reader in (SHORT_WINDOWS, CHARACTERS) for model in (transformer, lstm)]
    undone = [(reader, model, BEST[model.family]) for reader, model in others]
    return [spec for one in race + undone for spec in all_lengths(*one)]
