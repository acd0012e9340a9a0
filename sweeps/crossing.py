"""Text in 4096 subwords, windows of 128: a transformer of two layers and an LSTM of its size, to 4 million (chapter 3).

scalinglaws sweep crossing --workers 2 --device cpu --precision fp32 --csv data/runs/crossing.csv
"""

from dataclasses import replace

from scalinglaws import recipe, sweep
from scalinglaws.config import DataConfig, ModelConfig, RunSpec

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
TRANSFORMER = SUBWORDS.model(64, n_layer=2)  # 2 x 12 d^2 = 98,304
LSTM = ModelConfig(  # 8 d^2 = 96,800
    family="lstm",
    n_layer=1,
    d_model=110,
    n_head=1,
    d_ff=4 * 110,
    vocab_size=SUBWORDS.vocab_size,
    seq_len=SUBWORDS.seq_len,
    position="none",
    parametrization="standard",
)
LENGTHS = tuple(2**k for k in range(19, 23))
LRS = (2.0**-7, 2.0**-6, 2.0**-8)  # the transformer's at the base width
SEEDS = (0,)


def specs() -> list[RunSpec]:
    """Every run of the sweep, in the order of its table."""
    return [
        RunSpec(model=model, train=sweep.vary(one, lr=lr).train, data=one.data)
        for seed in SEEDS
        for lr in LRS
        for model in (TRANSFORMER, LSTM)
        for one in sweep.grid(SUBWORDS, [32], LENGTHS, [seed])
    ]
