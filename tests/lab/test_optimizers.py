"""Optimizers against torch's own, singular values, and the runs that they make; AdamW and SGD also in test_truth."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from truths import CORPUS, LSTM, changed

from scalinglaws.config import RunSpec
from scalinglaws.lab import ensemble, model, optimizers, runtime, train
from scalinglaws.lab.runtime import CPU

WIDE = {"d_model": 64, "n_head": 4, "n_layer": 2, "d_ff": 96, "parametrization": "standard"}
MUON = changed(**WIDE, optimizer="muon", lr=0.01, hidden_lr_ratio=2.0, weight_decay=0.25, eps=1e-4, grad_clip=0.0)


# ---- Orthogonal matrices ----


@pytest.mark.parametrize("shape", [(12, 12), (8, 20), (20, 8)])
def test_every_singular_value_goes_through_the_quintic(shape):
    """By numpy's singular value decomposition: directions stay, values take five steps of the polynomial."""
    matrices = np.random.default_rng(0).normal(size=(3, *shape))
    found = optimizers.orthogonal(torch.from_numpy(matrices), torch.float64).numpy()
    for matrix, orthogonal in zip(matrices, found, strict=True):
        u, x, v = np.linalg.svd(matrix, full_matrices=False)
        start = x = x / np.linalg.norm(matrix)
        for _ in range(5):
            x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
        assert orthogonal == pytest.approx(u * x @ v, abs=1e-12)
        assert ((x > 0.68) & (x < 1.14))[start > 0.01].all()


def test_a_gradient_of_nothing_changes_nothing():
    assert (optimizers.orthogonal(torch.zeros(4, 6)) == 0).all()


# ---- Muon ----


class Torchs:
    """torch.optim.Muon on matrices (outputs, inputs), queries, keys and values apart, and AdamW on the rest."""

    def __init__(self, theta: torch.Tensor, spec: RunSpec):
        self.w = {name: w.clone().double() for name, w in model.weights(theta, spec.model).items()}
        config, self.matrices, self.rest = spec.train, {}, {}
        for name, w in self.w.items():
            if name in ("embedding", "head"):
                self.rest[name] = torch.nn.Parameter(w)
                continue
            parts = w.chunk(3, -1) if name.endswith("qkv") else (w,)
            self.matrices[name] = [torch.nn.Parameter(part.T.contiguous()) for part in parts]
        every = [part for parts in self.matrices.values() for part in parts]
        self.muon = torch.optim.Muon(every, momentum=0.95, weight_decay=config.weight_decay)
        groups = [
            {"params": [p], "weight_decay": 0.0 if name == "embedding" else config.weight_decay}
            for name, p in self.rest.items()
        ]
        self.adamw = torch.optim.AdamW(groups, betas=config.betas, eps=config.eps)

    def step(self, g: torch.Tensor, spec: RunSpec, lr: float) -> torch.Tensor:
        for name, gradient in model.weights(g.double(), spec.model).items():
            if name in self.rest:
                self.rest[name].grad = gradient.clone()
            else:
                parts = gradient.chunk(len(self.matrices[name]), -1)
                for p, part in zip(self.matrices[name], parts, strict=True):
                    p.grad = part.T.contiguous()
        for optimizer, ratio in ((self.muon, spec.train.hidden_lr_ratio), (self.adamw, 1.0)):
            for group in optimizer.param_groups:
                group["lr"] = lr * ratio
            optimizer.step()
        return self.theta

    @property
    def theta(self) -> torch.Tensor:
        every = self.rest | {name: torch.cat([p.T for p in parts], -1) for name, parts in self.matrices.items()}
        return torch.cat([every[name].detach().flatten() for name in self.w])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.bfloat16, 0.02)])
def test_muon_is_torchs(dtype, tolerance, monkeypatch):
    """Two models, 30 steps in float64, with gradients of all sizes. Torch makes matrices orthogonal in bfloat16, whose
    rounding the two round differently: 0.4% an operation; with that step taken in float64 by both, to rounding.
    """
    if dtype == torch.float64:
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    specs = [MUON, replace(MUON, train=replace(MUON.train, seed=4, hidden_lr_ratio=0.5))]
    theta = torch.stack([model.init(spec.model, spec.train.seed).double() for spec in specs])
    references = [Torchs(each, spec) for each, spec in zip(theta, specs, strict=True)]
    factors = [torch.stack([train.spread(spec, name).double() for spec in specs]) for name in ("lr", "decay")]
    update = optimizers.make_update(MUON.train, *factors, model=MUON.model, dtype=dtype)
    first, m, v = theta.clone(), torch.zeros_like(theta), torch.zeros_like(theta)
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 31):
        g = torch.randn(theta.shape, generator=rng, dtype=torch.float64) * 10 ** (step % 3 - 2)
        lr = 0.01 * (1 + math.sin(step))
        update(theta, m, v, g, None, lr, *(1 / (1 - beta**step) for beta in MUON.train.betas))
        expected = torch.stack([each.step(g[k], specs[k], lr) for k, each in enumerate(references)])
    moved = (expected - first).norm(dim=-1)
    assert ((theta - expected).norm(dim=-1) < tolerance * moved).all()


def test_the_trainer_takes_muons_steps(monkeypatch):
    """Six steps of the trainer in float32, warm-up and clipping included, against torch's in float64."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    spec = replace(MUON, train=replace(MUON.train, grad_clip=0.5, tokens=2560, warmup_tokens=512))
    loop = train.Loop(spec, CORPUS, CPU)
    state = loop.start()
    theta = state.theta.clone()
    reference = Torchs(theta, spec)
    for step in range(6):
        w = reference.theta.float().requires_grad_()
        at = model.tables(spec.model)
        (g,) = torch.autograd.grad(model.loss(w, *loop.batches[step], spec.model, at).mean(), w)
        g = g * min(1.0, 0.5 / g.norm().item())
        reference.step(g, spec, spec.train.lr * min(1.0, (step + 1) / 4))
        loop.run(state, step + 1, spec.train)
    moved = (reference.theta - theta).norm()
    assert (state.theta - reference.theta).norm() < 1e-4 * moved


def test_many_muons_train_as_one():
    fields = ({"seed": 1}, {"lr": 0.02}, {"hidden_lr_ratio": 0.5}, {"embedding_lr_ratio": 4.0, "weight_decay": 0.0})
    specs = [changed(optimizer="muon", **each) for each in fields]
    assert ensemble.groups(specs) == [specs]
    losses = [train.train(spec, CORPUS, CPU).loss for spec in specs]
    assert [run.loss for run in ensemble.train(specs, CORPUS, CPU)] == pytest.approx(losses, abs=1e-4)
    assert len({round(loss, 4) for loss in losses}) == len(losses)


@pytest.mark.parametrize("n", [1, 2])
def test_of_muon_the_gradient_alone_is_compiled(n, monkeypatch):
    specs = [changed(optimizer="muon", tokens=2560, seed=seed) for seed in range(n)]
    plain = [run.loss for run in ensemble.train(specs, CORPUS, CPU)]
    names = []
    monkeypatch.setattr(train, "compiled", lambda f: names.append(f.__name__) or f)
    monkeypatch.setattr(runtime, "has_compiler", lambda *_: True)
    fast = [run.loss for run in ensemble.train(specs, CORPUS, replace(CPU, compile=True))]
    assert names
    assert not {"step", "update"} & {*names}
    assert fast == pytest.approx(plain, abs=1e-4)


def test_muon_needs_no_width_rule():
    """One step at a rate of 1 changes each matrix by the same largest singular value at every width."""
    sizes = []
    for width in (32, 128):
        spec = changed(optimizer="muon", d_model=width, n_head=width // 16, d_ff=4 * width, weight_decay=0.0)
        theta = model.init(spec.model, 0)
        before, rng = theta.clone(), torch.Generator().manual_seed(1)
        update = optimizers.make_update(
            replace(spec.train, grad_clip=0.0), train.spread(spec, "lr"), train.spread(spec, "decay"), model=spec.model
        )
        g, one = torch.randn(theta.shape, generator=rng), torch.tensor(1.0)
        update(theta, torch.zeros_like(theta), torch.zeros_like(theta), g, one, one, one, one)
        change = model.weights(theta - before, spec.model)
        parts = [*change["0.qkv"].chunk(3, -1), change["0.out"], change["0.up"] / 2, change["0.down"]]
        sizes.append([torch.linalg.matrix_norm(part, 2).item() for part in parts])
    assert np.array(sizes) == pytest.approx(1.0, abs=0.2)


def test_muon_is_for_transformers():
    with pytest.raises(ValueError, match="optimizer='muon' with family='lstm': choose 'adamw' or 'sgd'"):
        changed(**LSTM, optimizer="muon")


# ---- Rates apart ----


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_each_kind_of_weight_has_its_rate(optimizer):
    spec = changed(**WIDE | {"position": "learned"}, optimizer=optimizer, hidden_lr_ratio=0.5, embedding_lr_ratio=3.0)
    rates = {name: w.unique().tolist() for name, w in model.weights(train.spread(spec, "lr"), spec.model).items()}
    assert rates.pop("embedding") == rates.pop("position") == [3.0]
    assert rates.pop("head") == [1.0]
    assert set(map(tuple, rates.values())) == {(0.5,)}


def test_under_mup_the_ratio_stands_beside_the_width_rule():
    spec = changed(d_model=64, n_head=4, hidden_lr_ratio=3.0)
    assert model.weights(train.spread(spec, "lr"), spec.model)["0.up"].unique().item() == 1.5
    muons = changed(d_model=64, n_head=4, hidden_lr_ratio=3.0, optimizer="muon")
    assert model.weights(train.spread(muons, "lr"), spec.model)["0.up"].unique().item() == 3.0
