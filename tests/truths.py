"""What several test files take for true: published numbers, runs with a known answer, tiny models to train.

Constants are typed from their sources and not read from the library or its data, so that a mistake there is one here
too only if it is made twice.
"""

import dataclasses
import importlib.util
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglaws.config import ModelConfig, RunSpec, TrainConfig
from scalinglaws.lab.corpus import Corpus
from scalinglaws.laws import chinchilla

# ---- The law of Hoffmann et al. 2022 by several hands ----

TEX = {"E": np.exp(0.5267228), "A": np.exp(6.0073404), "B": np.exp(6.0179186), "alpha": 0.33917084, "beta": 0.2849083}
ROUNDED = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}  # as printed; TEX is what it was before
REFIT = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}  # as Besiroglu et al. 2024 print it
REPLICATED = {"E": 1.8172181, "A": 477.8259, "B": 2143.417, "alpha": 0.3473105, "beta": 0.3671724}  # the minimum itself
REPLICATED_OBJECTIVE = 1.0182740178e-3  # at 240 points, delta = 1e-3
TRUTH = {"E": 1.8172, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}  # that, rounded, to simulate from

GOPHER_FLOPS = 5.76e23
# N and D at that budget, three digits. The 40 billion of figure 4 in Hoffmann et al. 2022 need the constants of the TeX
# source; published rows C23, C24 and E13.
GOPHER_OPTIMUM = {
    "hoffmann2022": (TEX, 40.4e9, 2.38e12),
    "hoffmann2022-rounded": (ROUNDED, 32.2e9, 2.98e12),
    "besiroglu2024": (REFIT, 72.2e9, 1.33e12),
}
at_gophers_budget = pytest.mark.parametrize(
    ("name", "theta", "N", "D"), [(name, *row) for name, row in GOPHER_OPTIMUM.items()], ids=GOPHER_OPTIMUM
)


def recovered() -> dict[str, np.ndarray]:
    """The 245 points of Hoffmann et al. 2022 that Besiroglu et al. 2024 read off a figure, highest loss last.

    Besiroglu et al. leave out the last five.
    """
    folder = os.environ.get("SCALINGLAWS_DATASETS")
    if folder is None:
        pytest.skip("SCALINGLAWS_DATASETS is not set: point it to a folder with epoch-chinchilla.csv")
    table = pd.read_csv(Path(folder) / "epoch-chinchilla.csv").sort_values("loss")
    N, C = table["Model Size"].to_numpy(), table["Training FLOP"].to_numpy()
    return {"N": N, "D": C / (6 * N), "L": table["loss"].to_numpy()}


def grid(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """An n x n grid of N and D."""
    N, D = np.meshgrid(np.geomspace(1e6, 1e9, n), np.geomspace(1e8, 1e11, n))
    return N.ravel(), D.ravel()


def noisy(seed: int, n: int = 6, sigma: float = 0.005) -> dict[str, np.ndarray]:
    """Runs on a grid that follow TRUTH up to Gaussian noise in ln L."""
    N, D = grid(n)
    noise = sigma * np.random.default_rng(seed).normal(size=N.size)
    return {"N": N, "D": D, "L": chinchilla.value(TRUTH, N, D) * np.exp(noise)}


# ---- A run of a hundred steps, some tenths of a second ----

MODEL = ModelConfig(n_layer=1, d_model=32, n_head=2, d_ff=64, vocab_size=16, seq_len=16)
TRAIN = TrainConfig(
    tokens=12_800, batch_tokens=128, lr=1e-2, warmup_tokens=1280, eval_tokens=2048, weight_decay=0.1, seed=3
)
SPEC = RunSpec(model=MODEL, train=TRAIN)
LSTM = {"family": "lstm", "n_head": 1, "d_ff": 128, "position": "none", "parametrization": "standard"}


def changed(**fields) -> RunSpec:
    """SPEC with fields of any of its parts replaced."""
    out = SPEC
    for part in ("model", "train", "data"):
        names = {f.name for f in dataclasses.fields(getattr(SPEC, part))}
        mine = {k: v for k, v in fields.items() if k in names}
        out = replace(out, **{part: replace(getattr(out, part), **mine)})
    return out


def text(seed: int = 0, n: int = 20_000) -> np.ndarray:
    """Tokens in which each is the last one plus 1, 2 or 3: something to learn."""
    steps = np.random.default_rng(seed).choice([1, 2, 3], size=n, p=[0.7, 0.2, 0.1])
    return (steps.cumsum() % 16).astype(np.uint8)


CORPUS = Corpus(name="steps", vocab_size=16, train=text(0), val=text(1), fingerprint="steps")


def letters() -> str:
    """Text of 40,000 letters, each drawn by itself: 1.69 nats a letter, and no model knows more."""
    drawn = np.random.default_rng(0).choice(list("abcde \n"), size=40_000, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    return "".join(drawn)


def filled(config: ModelConfig, seed: int = 0):
    """Weights (P,) with every entry away from zero, the head's too."""
    import torch  # not above: the tests of laws and commands do without

    from scalinglaws.lab import model

    theta = model.init(config, seed)
    return theta + 0.1 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(seed))


def some_tokens(config: ModelConfig, sequences: int = 3, seed: int = 1):
    """Random tokens (sequences, T)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (sequences, config.seq_len), generator=generator)


# ---- Stated errors ----


def assert_is_the_scatter(values: np.ndarray, errors: np.ndarray) -> None:
    """The stated errors (n,) of values (n,) are their scatter, as closely as n of them can tell: four times the error
    of the mean of (value - mean)^2 - error^2. Squares are compared, since roots of unbiased variances are biased.
    """
    n = len(values)
    off = (values - values.mean()) ** 2 * n / (n - 1) - errors**2
    error_of_mean = off.std(ddof=1) / math.sqrt(n)
    assert error_of_mean < 0.12 * values.var()
    assert abs(off.mean()) < 4 * error_of_mean


# ---- JSON as the standard has it ----


def strict_json(content: str):
    """The value of a text that must not have NaN or Infinity in it, which Python alone would read."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(content, parse_constant=refuse)


def script(name):
    """Return a file of benchmarks/ as a module."""
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    if str(path.parent) not in sys.path:  # where the scripts find what they share
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
