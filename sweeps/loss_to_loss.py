"""Text: sizes, an optimizer, architectures and other data, scored on four more texts; three seeds (chapter 16).

scalinglaws sweep loss_to_loss --workers 1 --device cpu --precision bf16 --csv data/runs/loss_to_loss.csv
"""

from scalinglaws import recipe
from scalinglaws.config import ModelConfig, RunSpec
from scalinglaws.lab import grids

WIDTHS = (16, 32, 64)
LENGTHS = tuple(2**k for k in range(16, 22))  # branches of one trunk
OTHER_LENGTHS = tuple(2**k for k in range(17, 21))  # of what is compared with them
SEEDS = (20, 21, 22)
SGD_LR, LSTM_LR = 0.25, 2.0**-7  # the best ones of `optimizers` and `architecture`
LAYERS = (2, 4)
UNIQUE_TOKENS = 65_536  # of the first files of the corpus: other data than a sample from everywhere


def lstm() -> ModelConfig:
    """An LSTM with as many parameters, embeddings left out, as the transformer of width 32."""
    read = {"vocab_size": recipe.TEXT.vocab_size, "seq_len": recipe.TEXT.seq_len}
    shape = {"n_layer": 1, "d_model": 39, "n_head": 1, "d_ff": 4 * 39, "position": "none"}
    return ModelConfig(family="lstm", parametrization="standard", **read, **shape)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    main = grids.grid(recipe.TEXT, WIDTHS, LENGTHS, SEEDS)
    plain = grids.grid(recipe.TEXT, [32], OTHER_LENGTHS, SEEDS)
    others = [grids.vary(spec, optimizer="sgd", lr=SGD_LR) for spec in plain]
    others += [grids.vary(spec, parametrization="standard", lr=2.0**-8) for spec in _wide()]
    others += [RunSpec(model=lstm(), train=grids.vary(s, lr=LSTM_LR).train, data=s.data) for s in plain]
    others += [spec for n in LAYERS for spec in grids.grid(recipe.TEXT, [32], OTHER_LENGTHS, SEEDS, n_layer=n)]
    data = [
        grids.vary(spec, unique_tokens=UNIQUE_TOKENS, unique_from=origin)
        for origin in ("everywhere", "start")
        for spec in plain
    ]
    return [grids.vary(spec, eval_texts=True, eval_tokens=32_768) for spec in (*main, *others, *data)]


def _wide() -> list[RunSpec]:
    """Width 64, where the standard parametrization is another than muP."""
    return grids.grid(recipe.TEXT, [64], OTHER_LENGTHS, SEEDS)
