"""Text in 4096 subwords: four widths x three depths, so that the embedding weighs something; two seeds (chapter 4).

scalinglaws sweep vocabulary --workers 2 --device cpu --precision fp32 --csv data/runs/vocabulary.csv
"""

from dataclasses import replace

from scalinglaws import recipe
from scalinglaws.config import DataConfig, RunSpec
from scalinglaws.lab import grids

# Made by corpus.train_bpe from the first 2^24 bytes of the corpus.
SUBWORDS = replace(recipe.TEXT, data=DataConfig(vocab="data/tokenizers/pystack-4096.json"), vocab_size=4096)
WIDTHS = (64, 48, 32, 16)
DEPTHS = (1, 2, 4)
TOKENS = 2**18
SEEDS = (0, 1)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [spec for depth in DEPTHS for spec in grids.grid(SUBWORDS, WIDTHS, [TOKENS], SEEDS, n_layer=depth)]
