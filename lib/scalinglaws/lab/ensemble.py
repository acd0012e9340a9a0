"""Many runs of one shape trained together: weights stacked along a leading axis, products in batches.

Runs may differ in seed, learning rate, parametrization, initial scale, weight decay, amount of unique data, and, under
"wsd", in length. Each result is what `train.train` gives for its spec, up to rounding, since no model's weights enter
another's loss. Tiny models gain most, because one step of theirs is mostly the cost of starting operations; all gain
by compiling once.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from scalinglaws import counting
from scalinglaws.config import DataConfig, RunSpec, TrainConfig, by_trunk
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import model, mup
from scalinglaws.lab import train as single
from scalinglaws.lab.corpus import Corpus
from scalinglaws.lab.grids import vary
from scalinglaws.lab.optimizers import make_update
from scalinglaws.lab.runtime import AUTO, Runtime, compile_pays_from, compute_dtype
from scalinglaws.lab.train import Batches, Loop, State
from scalinglaws.runs import Run

TOGETHER_CPU = 8  # more spill the second-level cache: 32 are a fifth slower than 8 (measured; see LOG.md)
TOGETHER_CUDA = 64  # assumed, not measured
BATCH_TOKENS_CPU = 8192  # of all models; with more, one model alone keeps the core busy


def groups(specs: Iterable[RunSpec], runtime: Runtime = AUTO, *, most: int | None = None) -> list[list[RunSpec]]:
    """The specs in groups for `train`, the costliest group first.

    ``most`` models at a time; by default as many as pay off on the runtime's device. Runs with dropout stay alone,
    since their masks come from one stream of random numbers, and so do LSTMs, since torch's layer takes one model.
    """
    shapes: dict[tuple, list[list[RunSpec]]] = {}
    for trunk in by_trunk(specs):
        lengths = tuple(spec.train.tokens for spec in trunk)
        shapes.setdefault((_shape(trunk[-1]), lengths), []).append(trunk)
    out = []
    for (shape, _), trunks in shapes.items():
        k = most or pays_off(shape, runtime)
        out += [[spec for trunk in trunks[i : i + k] for spec in trunk] for i in range(0, len(trunks), k)]
    return sorted(out, key=lambda group: -sum(counting.flops(spec.model, spec.train.tokens) for spec in group))


def pays_off(spec: RunSpec, runtime: Runtime = AUTO) -> int:
    """How many models like this one to train together."""
    if _alone(spec):
        return 1
    if runtime.device == "cuda" or (runtime.device == "auto" and torch.cuda.is_available()):
        return TOGETHER_CUDA
    return max(1, min(TOGETHER_CPU, BATCH_TOKENS_CPU // spec.train.batch_tokens))


def reason(specs: Sequence[RunSpec], runtime: Runtime = AUTO) -> str:
    """How `train` would run a group, and why, in one line."""
    longest, k = max(specs, key=lambda spec: spec.train.tokens), len(by_trunk(specs))
    chosen = dataclasses.replace(runtime, together=k).resolve(longest)
    seconds, worth = chosen.eager_seconds(longest), compile_pays_from(longest)
    if _alone(longest):
        why = "dropout draws from one stream" if longest.model.dropout else "torch's LSTM layer takes one model"
    else:
        why = f"up to {pays_off(longest, runtime)} gain at {longest.train.batch_tokens} tokens a step"
    return (
        f"{k} together ({why}), {'compiled' if chosen.compile else 'eager'} (about {seconds:,.0f} s on one core; "
        f"compilation pays from {worth:.0f} s on)"
    )


def train(
    specs: Sequence[RunSpec], corpus: Corpus | None = None, runtime: Runtime = AUTO, *, progress: bool = False
) -> list[Run]:
    """Train the specs of one group of `groups` together, or any that would be in one; others are a ValueError.

    The corpus is loaded from the specs' data when not given. Runs come in the order of ``specs``; ``seconds`` is each
    one's share of the time that all took.
    """
    trunks = by_trunk(specs)
    lengths = {tuple(spec.train.tokens for spec in trunk) for trunk in trunks}
    if len({_shape(trunk[-1]) for trunk in trunks}) != 1 or len(lengths) != 1:
        raise ValueError(f"{len(specs)} specs of different shapes or lengths: group them with ensemble.groups")
    if len(trunks) == 1:
        if len(trunks[0]) > 1:
            return single.train_branches(specs, corpus, runtime, progress=progress)
        return [single.train(specs[0], corpus, runtime, progress=progress)]
    longest = [trunk[-1] for trunk in trunks]
    stack = Stack(longest, corpora.load(_whole(longest)) if corpus is None else corpus, runtime)
    state, done = stack.start(), {}
    total = sum(spec.train.tokens for spec in specs)
    with tqdm(total=total, unit="tok", unit_scale=True, disable=not progress, leave=False) as bar:
        for rung in zip(*trunks, strict=True):
            if len(trunks[0]) > 1:
                stack.run(state, single.cooldown_start(rung[0].train), [spec.train for spec in longest])
            branch = Stacked.of(state.lanes, state.trouble)
            stack.run(branch, rung[0].train.steps, [spec.train for spec in rung])
            for lane, loop, spec, trouble in zip(branch.lanes, stack.loops, rung, branch.trouble, strict=True):
                done[spec] = loop.finish(lane, spec, trouble)
            bar.update(sum(spec.train.tokens for spec in rung))
    return [done[spec] for spec in specs]


@dataclass(kw_only=True)
class Stacked:
    """The states of K models. Weights and moments lie in three tensors; each lane's are views of them."""

    theta: Tensor  # (K, P), float32
    m: Tensor  # (K, P)
    v: Tensor  # (K, P)
    lanes: list[State]
    trouble: list[str]  # what went wrong, or ''; a lane in trouble is still computed, and its losses are not recorded

    @classmethod
    def of(cls, states: Sequence[State], trouble: Sequence[str]) -> "Stacked":
        """Copies of single states, stacked."""
        theta, m, v = (torch.stack([getattr(state, name) for state in states]) for name in ("theta", "m", "v"))
        lanes = [
            dataclasses.replace(s, theta=theta[k], m=m[k], v=v[k], losses=s.losses.copy(), evals=s.evals.copy())
            for k, s in enumerate(states)
        ]
        return cls(theta=theta, m=m, v=v, lanes=lanes, trouble=list(trouble))

    @property
    def step(self) -> int:
        """Steps made, equal in all lanes."""
        return self.lanes[0].step


class Stack:
    """The trainer of K specs of one shape: `train.Loop` with a leading axis."""

    def __init__(self, specs: Sequence[RunSpec], corpus: Corpus, runtime: Runtime):
        self.runtime = dataclasses.replace(runtime, together=len(specs)).resolve(specs[0])
        self.loops = [Loop(spec, corpus, self.runtime) for spec in specs]
        self.of_text = [loop.batches for loop in self.loops if isinstance(loop.batches, Batches)]
        self.text = max(self.of_text, key=lambda batches: len(batches.array)).text if self.of_text else None
        self.step = make_step(specs, self.runtime)

    def start(self) -> Stacked:
        """States before the first step."""
        return Stacked.of([loop.start() for loop in self.loops], [""] * len(self.loops))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, each (K, sequences, seq_len): every model has its own order."""
        if self.text is None:
            x, y = zip(*(loop.batches[step] for loop in self.loops), strict=True)
            return torch.stack(x), torch.stack(y)
        starts = np.concatenate([batches.starts(step) for batches in self.of_text])
        shape = (len(self.loops), -1, self.loops[0].batches.seq_len)
        x, y = single.cut(self.text, starts, shape[-1])
        return x.reshape(shape), y.reshape(shape)

    def run(self, state: Stacked, until: int, configs: Sequence[TrainConfig]) -> None:
        """Advance all to step ``until``, each under the schedule of its config."""
        config, pending, began = configs[0], [], time.perf_counter()
        while state.step < until and not all(state.trouble):
            x, y = self.batch(state.step)
            number = state.step + 1
            rates = torch.tensor([[single.learning_rate(c, state.step)] for c in configs], device=state.theta.device)
            corrections = (torch.tensor(1 / (1 - beta**number)) for beta in config.betas)
            pending.append(self.step(state.theta, state.m, state.v, x, y, rates, *corrections))
            for lane in state.lanes:
                lane.step = number
            scored = number * config.batch_tokens in config.eval_at
            if number % single.CHECK_EVERY == 0 or number == until or scored:  # as `train.Loop` does
                losses = torch.stack(pending, dim=1).tolist()
                pending.clear()
                self._look(state, losses, (time.perf_counter() - began) / len(state.lanes), scored)
                began = time.perf_counter()

    def _look(self, state: Stacked, losses: list[list[float]], seconds: float, scored: bool) -> None:
        """Record the losses of the last steps, mark lanes that diverged, score where asked."""
        for k, (lane, loop) in enumerate(zip(state.lanes, self.loops, strict=True)):
            lane.seconds += seconds
            if state.trouble[k]:
                continue
            lane.losses += losses[k]
            state.trouble[k] = single.diverged(lane.losses, loop.spec)
            if scored and not state.trouble[k]:
                loop.score(lane)


def make_step(specs: Sequence[RunSpec], runtime: Runtime) -> Callable[..., Tensor]:
    """`train.make_step` for K models: changes theta, m and v (K, P) and returns the training losses (K,)."""
    shape, config, k = specs[0].model, specs[0].train, len(specs)
    dtype = compute_dtype(runtime)
    at = _tables(specs, runtime.device, dtype)

    def losses_summed(theta, x, y):
        each = model.loss(theta.to(dtype), x, y, shape, at, train=True).view(k, -1).mean(-1)  # K
        return each.sum(), each  # no loss depends on another model's weights, so the sum has every model's gradient

    gradient = (torch.func.grad_and_value if runtime.compile else single.plain_gradient)(losses_summed, has_aux=True)
    lr_factor, decay, eps = (_factors(specs, name, runtime.device) for name in single.FACTORS)
    update = make_update(config, lr_factor, decay, eps=eps, model=shape, dtype=dtype)
    if runtime.compile:  # in two parts: the norms of several gradients stop the compiler of torch 2.13
        gradient = single.compiled(gradient)
        update = update if config.optimizer == "muon" else single.compiled(update)

    def step(theta, m, v, x, y, lr, correct1, correct2):
        g, (_, losses) = gradient(theta, x, y)
        update(theta, m, v, g, single.clip_factor(g, config), lr, correct1, correct2)
        return losses

    return step


def _tables(specs: Sequence[RunSpec], device: str, dtype: torch.dtype) -> model.Tables:
    """The tables of K models; scales that differ between models become float32 tensors."""
    scales = {name: getattr(mup, name) for name in ("attention_scale", "output_scale", "branch_scale")}
    each = {name: [scale(spec.model) for spec in specs] for name, scale in scales.items()}
    many = {
        name: torch.tensor(values, device=device).view(-1, *(1,) * (4 if "attention" in name else 2))
        for name, values in each.items()
        if len(set(values)) > 1
    }
    return dataclasses.replace(model.tables(specs[0].model, device=device, dtype=dtype), **many)


def _factors(specs: Sequence[RunSpec], name, device: str) -> Tensor:
    """`train.spread` of K models: (K, P), or (P,) where all agree."""
    rows = torch.stack([single.spread(spec, name) for spec in specs]).to(device)
    return rows[0] if (rows == rows[0]).all() else rows


def _whole(specs: Sequence[RunSpec]) -> DataConfig:
    """The data of specs that differ in their unique tokens only: the largest, from which `Batches` cuts each one's."""
    unique = [spec.data.unique_tokens if spec.data.unique_from == "start" else None for spec in specs]
    most = None if None in unique else max(n for n in unique if n is not None)
    return dataclasses.replace(specs[0].data, unique_tokens=most, unique_from="start")


def _alone(spec: RunSpec) -> bool:
    """Whether a run cannot be trained with others."""
    return spec.model.dropout > 0 or spec.model.family == "lstm"


def _shape(spec: RunSpec) -> RunSpec:
    """The spec without what may differ between models that are trained together."""
    if _alone(spec):
        return spec
    model_fields = {"parametrization": "standard", "base_d_model": 32, "base_d_head": None, "init_scale": 1.0}
    model_fields |= {"base_n_layer": 1, "hidden_lr_ratio": 1.0, "embedding_lr_ratio": 1.0}
    data_fields = {"unique_tokens": None, "unique_from": "start"}
    return vary(spec, lr=1.0, seed=0, weight_decay=0.0, **model_fields, **data_fields)
