"""Designs of experiments: functions from a recipe and some numbers to a list of specs."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from scalinglaws import counting
from scalinglaws.config import Origin, Parametrization, RunSpec, Schedule
from scalinglaws.recipe import Recipe


def vary(spec: RunSpec, **fields) -> RunSpec:
    """``spec`` with fields replaced, in whichever of model, train and data they are."""
    parts = {part: {f.name for f in dataclasses.fields(getattr(spec, part))} for part in ("model", "train", "data")}
    unknown = set(fields).difference(*parts.values())
    if unknown:
        raise ValueError(f"{min(unknown)}: no field of model, train or data; correct its spelling")
    new = {
        part: dataclasses.replace(getattr(spec, part), **{k: v for k, v in fields.items() if k in names})
        for part, names in parts.items()
    }
    return RunSpec(**new)


def grid(
    recipe: Recipe, widths: Iterable[int], lengths: Sequence[float], seeds: Sequence[int] = (0,), *, n_layer: int = 1
) -> list[RunSpec]:
    """Widths x seeds x lengths in tokens, the lengths of a model side by side: they share a trunk."""
    runs = itertools.product(widths, seeds, lengths)
    return [recipe.spec(width, length, n_layer=n_layer, seed=seed) for width, seed, length in runs]


def isoflop(
    recipe: Recipe, budgets: Iterable[float], widths: Sequence[int], seeds: Sequence[int] = (0,), *, n_layer: int = 1
) -> list[RunSpec]:
    """Models of several widths, each trained for the same C (Hoffmann et al. 2022, approach 2).

    ``budgets`` are FLOPs as executed: D is the budget over `counting.flops_per_token`, not over 6 N. One that a run
    misses by more than 2%, because its steps are too coarse or its warm-up too long, is a ValueError.
    """
    specs = []
    for budget, width in itertools.product(budgets, widths):
        tokens = budget / counting.flops_per_token(recipe.model(width, n_layer))
        for seed in seeds:
            spec = recipe.spec(width, tokens, n_layer=n_layer, seed=seed)
            if abs(spec.train.tokens / tokens - 1) > 0.02:
                raise ValueError(
                    f"budget={budget:.4g} is {tokens:.4g} tokens for d_model={width}, and the nearest run has "
                    f"{spec.train.tokens}: leave that width out, or shorten batch_tokens and warmup_tokens"
                )
            specs.append(spec)
    return specs


def lr_width(
    recipe: Recipe,
    widths: Iterable[int],
    lrs: Sequence[float],
    parametrizations: Sequence[Parametrization] = ("standard", "mup"),
    seeds: Sequence[int] = (0,),
    *,
    tokens: float,
    n_layer: int = 1,
) -> list[RunSpec]:
    """Learning rates x widths under several parametrizations; the runs of one shape side by side."""
    return [
        vary(recipe.spec(width, tokens, n_layer=n_layer, seed=seed), parametrization=parametrization, lr=lr)
        for width, parametrization, lr, seed in itertools.product(widths, parametrizations, lrs, seeds)
    ]


def batch(
    recipe: Recipe,
    width: int,
    batches: Iterable[int],
    lrs: Sequence[float],
    tokens: float | Mapping[int, float],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    evals: int = 32,
) -> list[RunSpec]:
    """Batches x learning rates at one size, each scored ``evals`` times on the way: steps to a target loss.

    ``batches`` are ``batch_tokens``; ``tokens`` one length for all or a length for each, since large batches need more.
    """
    specs = []
    for batch_tokens in batches:
        length = tokens[batch_tokens] if isinstance(tokens, Mapping) else tokens
        mine = dataclasses.replace(recipe, batch_tokens=batch_tokens)
        for lr, seed in itertools.product(lrs, seeds):
            spec = mine.spec(width, length, n_layer=n_layer, seed=seed)
            steps = {max(1, round(spec.train.steps * i / evals)) for i in range(1, evals + 1)}
            specs.append(vary(spec, lr=lr, eval_at=tuple(step * batch_tokens for step in sorted(steps))))
    return specs


def listed(recipe: Recipe, table: pd.DataFrame, *, n_layer: int = 1, within: float = 0.15) -> list[RunSpec]:
    """The runs of a table of N, D and, if it has one, seed: such as the file that ``scalinglaws design --csv`` writes.

    N counts ``n_params_nonemb``. It is a ValueError when no multiple of ``recipe.d_head`` meets one within a share of
    ``within``.
    """
    specs = []
    seeds = table["seed"] if "seed" in table else [0] * len(table)
    for N, D, seed in zip(table["N"].astype(float), table["D"].astype(float), seeds, strict=True):
        width, n = _nearest(recipe, N, n_layer)
        if abs(n / N - 1) > within:
            raise ValueError(
                f"N={N:.4g} with n_layer={n_layer}: the nearest is d_model={width} with {n}; design with --sizes of "
                f"this recipe, change n_layer, or raise within={within:g}"
            )
        specs.append(recipe.spec(width, D, n_layer=n_layer, seed=int(seed)))
    return specs


def _nearest(recipe: Recipe, n_params_nonemb: float, n_layer: int) -> tuple[int, int]:
    """Width of the model that comes closest to a size, and its own size."""
    ideal = math.sqrt(n_params_nonemb / (n_layer * (4 + 2 * recipe.ff_ratio)))
    width = max(1, round(ideal / recipe.d_head)) * recipe.d_head
    return width, counting.count(recipe.model(width, n_layer)).n_params_nonemb


def shapes(
    recipe: Recipe,
    n_params_nonemb: float,
    depths: Iterable[int],
    tokens: float,
    seeds: Sequence[int] = (0,),
    *,
    ff_ratios: Sequence[int] = (4,),
    within: float = 0.15,
) -> list[RunSpec]:
    """Depths x feed-forward ratios, each with the width that comes closest to one N (Kaplan et al. 2020, figure 5).

    It is a ValueError when no multiple of ``recipe.d_head`` meets ``n_params_nonemb`` within a share of ``within``.
    """
    specs = []
    for n_layer, ff_ratio in itertools.product(depths, ff_ratios):
        mine = dataclasses.replace(recipe, ff_ratio=ff_ratio)
        width, n = _nearest(mine, n_params_nonemb, n_layer)
        if abs(n / n_params_nonemb - 1) > within:
            raise ValueError(
                f"n_params_nonemb={n_params_nonemb:.4g} with n_layer={n_layer} and ff_ratio={ff_ratio}: the nearest is "
                f"d_model={width} with {n}; leave that depth out, take a larger size, or raise within={within:g}"
            )
        specs += [mine.spec(width, tokens, n_layer=n_layer, seed=seed) for seed in seeds]
    return specs


def schedules(
    recipe: Recipe,
    widths: Iterable[int],
    lengths: Sequence[float],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    final_lr_frac: float = 0.1,
) -> list[RunSpec]:
    """Three ways to many lengths: WSD branches, a cosine matched to each, and the longest cosine scored on its way.

    The longest cosine is both the match of its own length and, through ``eval_at``, the one cut short at the others.
    """
    specs = []
    for width, seed in itertools.product(widths, seeds):
        wsd = [vary(s, schedule="wsd") for s in grid(recipe, [width], sorted(lengths), [seed], n_layer=n_layer)]
        matched = [vary(spec, schedule="cosine", final_lr_frac=final_lr_frac) for spec in wsd]
        cut_short = vary(matched[-1], eval_at=tuple(spec.train.tokens for spec in matched[:-1]))
        specs += [*wsd, *matched[:-1], cut_short]
    return specs


def curves(
    recipe: Recipe,
    widths: Iterable[int],
    runs: Sequence[tuple[Schedule, int]],
    seeds: Sequence[int] = (0,),
    *,
    first: int,
    every: int,
) -> list[RunSpec]:
    """Whole validation curves: schedules with their lengths in tokens, scored from ``first`` tokens on.

    ``every`` is the number of tokens between two scores. WSD ends at a rate of zero, a cosine at a tenth of its peak.

    >>> from scalinglaws import recipe
    >>> (one,) = curves(recipe.TEXT, [16], [("cosine", 2**17)], first=2**16, every=2**15)
    >>> one.train.final_lr_frac, one.train.eval_at
    (0.1, (65536, 98304, 131072))
    """
    return [
        vary(
            recipe.spec(width, tokens, seed=seed),
            schedule=schedule,
            final_lr_frac=0.0 if schedule == "wsd" else 0.1,
            eval_at=tuple(range(first, tokens + 1, every)),
            eval_tokens=32_768,
        )
        for width, seed, (schedule, tokens) in itertools.product(widths, seeds, runs)
    ]


def repeats(
    recipe: Recipe,
    width: int,
    unique_tokens: int,
    epochs: Iterable[int],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    origins: Sequence[Origin] = ("everywhere",),
    fresh: bool = True,
) -> list[RunSpec]:
    """The same ``unique_tokens`` for several epochs (Muennighoff et al. 2023); ``fresh``: on new text too.

    ``origins`` are where the unique tokens come from: a sample of the whole corpus, its start, or one after the other.
    """
    lengths = [unique_tokens * n for n in epochs]
    new = grid(recipe, [width], lengths, seeds, n_layer=n_layer)
    again = [vary(s, unique_tokens=unique_tokens, unique_from=origin) for origin in origins for s in new]
    return again + new * fresh
