"""Coordinate check: the sizes of activations at several widths in the first steps of training.

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
        found[f"{i}.attention"] = a = models._attention(models._norm(x) @ w[f"{i}.qkv"], model, at) @ w[f"{i}.out"]
        x = x + a
        found[f"{i}.up"] = u = models._norm(x) @ w[f"{i}.up"]
        found[f"{i}.down"] = b = F.relu(u).square() @ w[f"{i}.down"]
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
    if spec.model.family != "transformer":
        raise ValueError(f"family={spec.model.family!r}: width rules are claimed for family='transformer' only")
    corpus = corpora.load(spec.data) if corpus is None else corpus
    first = vary(
        spec, tokens=steps * spec.train.batch_tokens, schedule="constant", warmup_tokens=0, grad_clip=0.0, eval_at=()
    )
    rows = []
    for parametrization, d_model, seed in itertools.product(parametrizations, widths, seeds):
        wide = vary(at_width(first, d_model, parametrization), seed=seed)
        loop = train.Loop(wide, corpus, CPU)
        state, (x, _) = loop.start(), loop.batches[0]
        for step in range(steps + 1):
            loop.run(state, step, wide.train)
            at = {"parametrization": parametrization, "d_model": d_model, "seed": seed, "step": step}
            for name, a in activations(state.theta, x, wide.model).items():
                rows.append(at | {"activation": name, "size": a.abs().mean().item()})
    return pd.DataFrame(rows)


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Slope of log size over log width for each parametrization, step and activation; sizes are averaged over seeds.

    Under muP each is near zero. An activation that starts at zero, such as the logits of a head of zeros, has none yet.
    """
    keys = ["parametrization", "step", "activation"]
    mean = table.groupby([*keys, "d_model"], sort=False)["size"].mean().reset_index()
    mean = mean[mean["size"] > 0]
    rows = [
        dict(zip(keys, key, strict=True)) | {"slope": np.polyfit(np.log(g["d_model"]), np.log(g["size"]), 1)[0]}
        for key, g in mean.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "slope"])
