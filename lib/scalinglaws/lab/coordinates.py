"""Coordinate check: the sizes of activations at several widths, or depths, in the first steps of training.

Under muP they do not depend on the width; under the standard parametrization what an update changes grows with it
(Yang et al. 2022, section F, and the README of their package). A few steps of a few widths show it, so this is a cheap
test of an implementation.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from scalinglaws.config import ModelConfig, Parametrization, RunSpec
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import model as models
from scalinglaws.lab import train
from scalinglaws.lab.corpus import Corpus
from scalinglaws.lab.grids import vary
from scalinglaws.lab.runtime import CPU


def at_width(spec: RunSpec, d_model: int, parametrization: Parametrization) -> RunSpec:
    """The run of another width: heads grow in number, the feed-forward in proportion."""
    model = spec.model
    if d_model % model.d_head or d_model * model.d_ff % model.d_model:
        raise ValueError(f"d_model={d_model}: give a multiple of the head size {model.d_head} that keeps d_ff whole")
    n_head, d_ff = d_model // model.d_head, d_model * model.d_ff // model.d_model
    return vary(spec, d_model=d_model, n_head=n_head, d_ff=d_ff, parametrization=parametrization)


@torch.no_grad()
def activations(theta: Tensor, tokens: Tensor, model: ModelConfig) -> dict[str, Tensor]:
    """What `model.forward` computes on the way, for one transformer and tokens (B, T).

    Returns
    -------
    dict
        ``embedding``; of each layer ``i.attention``, ``i.up`` (the feed-forward before its square) and ``i.down``;
        ``stream`` after the last layer; ``logits``. Each (B T, width of it).
    """
    w, at = models.weights(theta, model), models.tables(model, device=theta.device)
    x = F.embedding(tokens.flatten(), w["embedding"])
    if model.position == "learned":
        x = x + w["position"].repeat(len(tokens), 1)
    found = {"embedding": x}
    for i in range(model.n_layer):
        a = models._attention(models._norm(x) @ w[f"{i}.qkv"], model, at) @ w[f"{i}.out"]
        found[f"{i}.attention"] = a = models._of_branch(a, at)
        x = x + a
        found[f"{i}.up"] = u = models._norm(x) @ w[f"{i}.up"]
        found[f"{i}.down"] = b = models._of_branch(F.relu(u).square() @ w[f"{i}.down"], at)
        x = x + b
    head = w["embedding"].T if model.tied else w["head"]
    return found | {"stream": x, "logits": (at.output_scale * models._norm(x)) @ head}


def coordinate_check(
    spec: RunSpec,
    widths: Sequence[int],
    *,
    steps: int = 5,
    seeds: Sequence[int] = (0, 1, 2, 3),
    parametrizations: Sequence[Parametrization] = ("standard", "mup"),
    corpus: Corpus | None = None,
) -> pd.DataFrame:
    """Sizes of the activations of several widths in the first steps, under both parametrizations.

    All see the same batches of ``spec``, at its learning rate, which belongs to its base width. The rate is constant
    and gradients are not clipped: warm-up and clipping would hide a growth with the width.

    Returns
    -------
    pandas.DataFrame
        ``parametrization``, ``d_model``, ``seed``, ``step`` (updates made so far), ``activation`` (see `activations`)
        and ``size``: its mean absolute value over the first batch.
    """
    _refuse_lstm(spec)
    wide = [
        (
            {"parametrization": parametrization, "d_model": d_model, "seed": seed},
            at_width(spec, d_model, parametrization),
        )
        for parametrization, d_model, seed in itertools.product(parametrizations, widths, seeds)
    ]
    return pd.DataFrame(_sizes(wide, steps, corpus))


def depth_check(
    spec: RunSpec,
    depths: Sequence[int],
    *,
    steps: int = 5,
    seeds: Sequence[int] = (0, 1, 2, 3),
    parametrizations: Sequence[Parametrization] = ("mup", "completep"),
    corpus: Corpus | None = None,
) -> pd.DataFrame:
    """The same over numbers of layers, with and without depth rules (Dey et al. 2025, figure 7).

    Returns
    -------
    pandas.DataFrame
        As of `coordinate_check`, with ``n_layer`` in place of ``d_model``; of the layers the last one's activations
        alone, under ``last.attention``, ``last.up`` and ``last.down``.

    Examples
    --------
    >>> from scalinglaws.recipe import TEXT
    >>> ids = np.arange(20_000, dtype=np.uint8) % 128
    >>> counting = Corpus(name="counting", vocab_size=128, train=ids, val=ids, fingerprint="none")
    >>> spec = vary(TEXT.spec(16, 10_240), eval_tokens=1024)
    >>> table = depth_check(spec, (1, 2), steps=1, seeds=(0,), corpus=counting)
    >>> table["activation"].unique().tolist()
    ['embedding', 'last.attention', 'last.up', 'last.down', 'stream', 'logits']
    """
    _refuse_lstm(spec)
    deep = [
        ({"seed": seed} | fields, vary(spec, **fields))
        for parametrization, n_layer, seed in itertools.product(parametrizations, depths, seeds)
        for fields in [{"parametrization": parametrization, "n_layer": n_layer}]
    ]
    table = pd.DataFrame(_sizes(deep, steps, corpus))
    layer, what = table["activation"].str.extract(r"^(?:(\d+)\.)?(.*)$").T.to_numpy()
    is_last = layer.astype(float) == table["n_layer"] - 1
    table["activation"] = np.where(is_last, "last." + what, table["activation"])
    return table[is_last | pd.isna(layer)].reset_index(drop=True)


def _refuse_lstm(spec: RunSpec) -> None:
    """Raise for a family of models without rules."""
    if spec.model.family != "transformer":
        raise ValueError(f"family={spec.model.family!r}: width rules are claimed for family='transformer' only")


def _sizes(specs: Sequence[tuple[dict, RunSpec]], steps: int, corpus: Corpus | None) -> list[dict]:
    """Rows of a check: the labels of each spec, step, activation and size."""
    rows = []
    for labels, spec in specs:
        corpus = corpora.load(spec.data) if corpus is None else corpus
        plain = {"schedule": "constant", "warmup_tokens": 0, "grad_clip": 0.0, "eval_at": ()}
        run = vary(spec, tokens=steps * spec.train.batch_tokens, seed=labels["seed"], **plain)
        loop = train.Loop(run, corpus, CPU)
        state, (x, _) = loop.start(), loop.batches[0]
        for step in range(steps + 1):
            loop.run(state, step, run.train)
            for name, a in activations(state.theta, x, run.model).items():
                rows.append(labels | {"step": step, "activation": name, "size": a.abs().mean().item()})
    return rows


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Slope of log size over log width or depth for each parametrization, step and activation, averaged over seeds.

    ``table`` is one of `coordinate_check` or `depth_check`. Under rules that hold, each slope is near zero. An
    activation that starts at zero, such as the logits of a head of zeros, has none yet.
    """
    keys, over = ["parametrization", "step", "activation"], "n_layer" if "n_layer" in table else "d_model"
    mean = table.groupby([*keys, over], sort=False)["size"].mean().reset_index()
    mean = mean[mean["size"] > 0]
    rows = [
        dict(zip(keys, key, strict=True)) | {"slope": np.polyfit(np.log(g[over]), np.log(g["size"]), 1)[0]}
        for key, g in mean.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "slope"])
