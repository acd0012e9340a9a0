"""The trainer against torch's own optimizers, clipping, layers and loss, against complex rotation, and against chance.

Nothing of the library decides here what is right: formulas are written anew from their sources, numbers are typed.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from truths import CORPUS, SPEC, assert_is_the_scatter, changed, filled, some_tokens

from scalinglaws.config import ModelConfig, RunSpec, TrainConfig
from scalinglaws.lab import model, train
from scalinglaws.lab.runtime import CPU

WIDE = {"d_model": 64, "n_head": 2, "n_layer": 2, "d_ff": 96, "base_d_model": 32, "base_d_head": 16}
STANDARD = {"parametrization": "standard"}


# ---- A trainer of its own ----


def ratio(config: ModelConfig) -> float:
    """r of Yang et al. 2022, table 8: how much wider than the base."""
    return 1.0 if config.parametrization == "standard" else config.d_model / config.base_d_model


def depth(config: ModelConfig) -> float:
    """m_L of Dey et al. 2025, table 1: how much deeper than the base; what a branch adds is divided by it."""
    return config.n_layer / config.base_n_layer if config.parametrization == "completep" else 1.0


def rotated(x: Tensor) -> Tensor:
    """Rotary positions for x (..., T, h) as Su et al. 2021 define them: a product with exp(i t theta_j).

    theta_j = 10000^(-2j/h); entry j of the first half of a head is the real part, of the second the imaginary.
    """
    h = x.shape[-1]
    theta = torch.tensor([10_000.0 ** (-2 * j / h) for j in range(h // 2)], dtype=torch.float64)
    turn = torch.exp(1j * torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * theta)
    z = torch.complex(x[..., : h // 2].double(), x[..., h // 2 :].double()) * turn
    return torch.cat([z.real, z.imag], -1).to(x.dtype)


def logits_of(w: dict[str, Tensor], tokens: Tensor, config: ModelConfig) -> Tensor:
    """Logits (B, T, V) by torch's layers."""
    d, h, r = config.d_model, config.d_model // config.n_head, ratio(config)
    base_h = config.base_d_head if config.parametrization != "standard" and config.base_d_head else h
    norm = lambda x: F.rms_norm(x, (d,), eps=1e-6)  # noqa: E731
    heads = lambda x: x.unflatten(-1, (config.n_head, h)).transpose(1, 2)  # noqa: E731
    x = F.embedding(tokens, w["embedding"])
    if config.position == "learned":
        x = x + w["position"]
    for i in range(config.n_layer):
        q, k, v = map(heads, (norm(x) @ w[f"{i}.qkv"]).chunk(3, -1))
        if config.position == "rope":
            q, k = rotated(q), rotated(k)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=math.sqrt(base_h) / h)
        x = x + F.linear(a.transpose(1, 2).flatten(2), w[f"{i}.out"].T) / depth(config)
        x = x + F.linear(F.relu(F.linear(norm(x), w[f"{i}.up"].T)) ** 2, w[f"{i}.down"].T) / depth(config)
    return F.linear(norm(x), w["embedding"] if config.tied else w["head"].T) / r


def torchs(config: TrainConfig, groups: list[tuple[Tensor, float]]) -> torch.optim.Optimizer:
    """Torch's optimizer of weights in groups, each with its weight decay."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            [{"params": [w], "weight_decay": decay} for w, decay in groups], betas=config.betas, eps=config.eps
        )
    return torch.optim.SGD([{"params": [w], "decoupled": decay} for w, decay in groups], momentum=config.betas[0])


def steps(optimizer: torch.optim.Optimizer, rates: list[float]) -> None:
    """One step, each group at its rate.

    Torch's SGD adds the decay to the gradient, so that momentum repeats it; the trainer's is decoupled with both
    optimizers (Loshchilov and Hutter 2019), and is done by hand for SGD: theta (1 - lr decay) before the step.
    """
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        if "decoupled" in group:
            with torch.no_grad():
                group["params"][0].mul_(1 - rate * group["decoupled"])
    optimizer.step()


class Reference:
    """Torch's modules and optimizer for a spec, from the weights that the trainer starts with."""

    def __init__(self, spec: RunSpec, theta: Tensor):
        self.spec, config, r = spec, spec.train, ratio(spec.model)
        self.w = {name: w.clone().requires_grad_() for name, w in model.weights(theta, spec.model).items()}
        # Tables never decay and keep the rate. Hidden matrices: rate over r, and decay times r, so that their product
        # is that of the base width. The head keeps both.
        self.factor = {n: 1 if n in ("embedding", "position", "head") else 1 / r for n in self.w}
        decay = {n: 0 if n in ("embedding", "position") else 1 / self.factor[n] for n in self.w}
        self.optimizer = torchs(config, [(w, config.weight_decay * decay[n]) for n, w in self.w.items()])
        if spec.model.parametrization == "completep":  # eps m_N^-1, in the layers m_N^-1 m_L^-1
            for group, name in zip(self.optimizer.param_groups, self.w, strict=True):
                group["eps"] /= r * (1 if name in ("embedding", "position", "head") else depth(spec.model))
        self.norms = []

    @property
    def theta(self) -> Tensor:
        return torch.cat([w.detach().flatten() for w in self.w.values()])

    def step(self, x: Tensor, y: Tensor, lr: float) -> float:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(logits_of(self.w, x, self.spec.model).flatten(0, 1), y.flatten())
        loss.backward()
        if self.spec.train.grad_clip:
            self.norms.append(torch.nn.utils.clip_grad_norm_(self.w.values(), self.spec.train.grad_clip).item())
        steps(self.optimizer, [lr * factor for factor in self.factor.values()])
        return loss.item()


# Rates of 20 steps of 128 tokens, over the full one: a warm-up over four steps, then the shape over what is left.
RATES = {
    "wsd": [0.25, 0.5, 0.75] + [1] * 13 + [1, 0.75, 0.5, 0.25],  # the last fifth of the run falls
    "cosine": [0.25, 0.5, 0.75] + [(1 + math.cos(math.pi * (i - 4) / 16)) / 2 if i > 4 else 1 for i in range(3, 20)],
    "constant": [0.25, 0.5, 0.75] + [1] * 17,
}
SHORT = {"tokens": 2560, "warmup_tokens": 512, "eval_tokens": 256}
RUNS = {
    "adamw": {"eps": 1e-4, "betas": (0.8, 0.97), "weight_decay": 0.3, "grad_clip": 0.7, "cooldown_frac": 0.2},
    "depth rules": {
        "eps": 1e-3,
        "grad_clip": 0.7,
        "parametrization": "completep",
        "weight_decay": 0.3,
        "schedule": "constant",
    },
    "adamw, cosine": {"eps": 1e-4, "schedule": "cosine", **STANDARD, "position": "learned"},
    "sgd": {"optimizer": "sgd", "lr": 0.3, "betas": (0.7, 0.9), "schedule": "constant", "grad_clip": 0.9, **STANDARD},
    "sgd, no clipping": {"optimizer": "sgd", "lr": 0.02, "grad_clip": 0.0, "cooldown_frac": 0.2, **STANDARD},
}


@pytest.mark.parametrize("name", RUNS)
def test_twenty_steps_are_those_of_torch(name):
    """Float32 on both sides, whose last bits differ: up to 1e-6 in the losses and 2e-6 in the weights, measured."""
    spec = changed(**WIDE, **SHORT, **RUNS[name])
    loop = train.Loop(spec, CORPUS, CPU)
    state = loop.start()
    reference = Reference(spec, state.theta)
    losses = []
    for step, rate in enumerate(RATES[spec.train.schedule]):
        x, y = loop.batches[step]
        losses.append(reference.step(x, y, rate * spec.train.lr))
        loop.run(state, step + 1, spec.train)
    assert state.losses == pytest.approx(losses, abs=1e-5)
    assert torch.allclose(state.theta, reference.theta, atol=2e-5)
    if spec.train.grad_clip:  # at some steps it acts, at others not
        assert min(reference.norms) < spec.train.grad_clip < max(reference.norms)


# ---- The parts, to the last digits ----


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_update_is_that_of_torchs_optimizer(optimizer):
    """Two models of 40 weights, 300 steps, in float64, with gradients of all sizes; rates and decays differ by weight,
    which torch knows by group. Sums of 300 terms agree to 300 roundings.
    """
    rng = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.rand(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    config = replace(SPEC.train, optimizer=optimizer, betas=(0.9, 0.99), eps=1e-6, grad_clip=0.0)
    theta, rates, decays = draw(2, 40) - 0.5, [1.0, 0.25, 0.5, 2.0], [0.0, 0.4, 1.0, 0.1]
    weights = [torch.nn.Parameter(w.clone()) for w in theta.chunk(4, -1)]
    reference = torchs(config, list(zip(weights, decays, strict=True)))
    update = train.make_update(
        config, *(torch.tensor(z, dtype=torch.float64).repeat_interleave(10) for z in (rates, decays))
    )
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(1, 301):
        g, lr = (draw(2, 40) - 0.3) * 10 ** (4 * draw(2, 40) - 4), 0.02 * (1 + math.sin(step / 10))
        for w, gradient in zip(weights, g.chunk(4, -1), strict=True):
            w.grad = gradient.clone()
        steps(reference, [lr * rate for rate in rates])
        update(theta, m, v, g, torch.ones(2, 1), lr, *(1 / (1 - beta**step) for beta in config.betas))
        if step in (1, 2, 300):
            assert torch.allclose(theta, torch.cat(weights, -1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1e-3, 0.9, 1.1, 30.0])
def test_clipping_is_torchs(size):
    """Of two models at once each by its own norm; one below the limit stays as it is."""
    rng = torch.Generator().manual_seed(0)
    g = torch.randn(2, 50, generator=rng, dtype=torch.float64)
    g *= torch.tensor([[size], [0.5]]) / g.norm(dim=-1, keepdim=True)
    clipped = g * train.clip_factor(g, replace(SPEC.train, grad_clip=1.0))
    for found, one in zip(clipped, g, strict=True):
        weight = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
        weight.grad = one.clone()
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        assert torch.allclose(found, weight.grad, rtol=1e-12)
        assert found.norm() == pytest.approx(min(one.norm().item(), 1.0), rel=2e-6)


@pytest.mark.parametrize("limit", [0.0, 0.01, 100.0])
def test_a_step_moves_the_weights_by_the_clipped_gradient(limit):
    """Plain descent at a rate of 1: what the step takes away is the gradient, at most of the norm that is allowed."""
    plain = {"optimizer": "sgd", "betas": (0.0, 0.0), "lr": 1.0, "weight_decay": 0.0, "warmup_tokens": 0}
    spec = changed(**plain, grad_clip=limit, schedule="constant", **STANDARD)
    loop = train.Loop(spec, CORPUS, CPU)
    state = loop.start()
    before = state.theta.clone().requires_grad_()
    x, y = loop.batches[0]
    F.cross_entropy(logits_of(model.weights(before, spec.model), x, spec.model).flatten(0, 1), y.flatten()).backward()
    loop.run(state, 1, spec.train)
    norm = before.grad.norm().item()
    assert 0.05 < norm < 50
    assert (before.detach() - state.theta).norm() == pytest.approx(min(norm, limit) if limit else norm, rel=1e-3)


@pytest.mark.parametrize("d_head", [4, 16])
def test_rotary_positions_are_a_complex_rotation(d_head):
    config = replace(SPEC.model, d_model=2 * d_head, n_head=2, seq_len=300)
    x = torch.randn(3, 300, d_head, generator=torch.Generator().manual_seed(0))
    # Angles up to 300 have 2e-5 of rounding in float32.
    assert torch.allclose(model._rotate(x, model.tables(config)), rotated(x), atol=1e-4)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e3])
def test_the_norm_is_torchs(size):
    x = size * torch.randn(7, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model._norm(x), F.rms_norm(x, (32,), eps=1e-6), rtol=1e-6)


FORMS = {
    "rope": {},
    "learned": {"position": "learned"},
    "no positions": {"position": "none"},
    "tied": {"tied": True},
    "mup": WIDE,
    "standard": {**WIDE, **STANDARD},
    "fused attention": {"seq_len": 300},
}


@pytest.mark.parametrize("name", FORMS)
def test_logits_are_those_of_torchs_layers(name):
    config = replace(SPEC.model, **FORMS[name])
    theta, tokens = filled(config), some_tokens(config)
    found = model.forward(theta, tokens, config, model.tables(config))
    expected = logits_of(model.weights(theta, config), tokens, config).flatten(0, 1)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("compiling", [False, True])
def test_the_loss_is_torchs_cross_entropy(compiling, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    config, at = SPEC.model, model.tables(SPEC.model)
    theta, tokens, targets = 3 * filled(config), some_tokens(config), some_tokens(config, seed=2)
    logits = logits_of(model.weights(theta, config), tokens, config)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    assert torch.allclose(model.loss(theta, tokens, targets, config, at), expected, atol=1e-4)


def test_weights_begin_with_the_variance_of_their_inputs():
    """One over the number of inputs for hidden matrices; 1 for a table, 0.02 squared for one that is a head too."""
    wide = changed(d_model=128, n_head=2, n_layer=1, d_ff=512, vocab_size=500, base_d_model=32).model
    expected = {"embedding": 1, "0.qkv": 1 / 128, "0.out": 1 / 128, "0.up": 1 / 128, "0.down": 1 / 512, "head": 0}
    drawn = model.weights(model.init(wide, 0), wide)
    assert drawn.keys() == expected.keys()
    for name, w in drawn.items():  # a variance of n draws is known to sqrt(2/n); four of those
        assert w.var().item() == pytest.approx(expected[name], rel=4 * math.sqrt(2 / w.numel())), name
    tied = replace(wide, tied=True)
    assert model.weights(model.init(tied, 0), tied)["embedding"].std().item() == pytest.approx(0.02, rel=0.02)


# ---- The validation sample, and the errors that are stated ----


def test_the_validation_sample_is_spread_over_the_text():
    text = np.zeros(16 * 1000 + 1, np.uint8)
    for wanted in (1000, 128, 50):
        starts = train._eval_starts(changed(eval_tokens=16 * wanted), text)
        assert (starts % 16 == 0).all()
        assert len(np.unique(starts)) == wanted
        assert np.ptp(np.histogram(starts, 10, (0, 16_000))[0]) <= 1 + wanted % 10  # as many of each tenth of the text
        assert starts[-1] == 16 * 999


def test_the_validation_loss_is_that_of_the_whole_text():
    """The first half of a text is one symbol, the second all of them; one sequence in four is scored."""
    letters = np.random.default_rng(0).integers(16, size=16 * 512)
    text = np.concatenate([0 * letters, letters, [0]]).astype(np.uint8)
    spec = changed(eval_tokens=16 * 256)
    theta = filled(spec.model)
    x, y = (torch.from_numpy(np.lib.stride_tricks.sliding_window_view(z, 16)[::16].astype(np.int64))
            for z in (text[:-1], text[1:]))  # fmt: skip
    logits = logits_of(model.weights(theta, spec.model), x, spec.model)
    each = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(x.shape)
    found = train.evaluate(theta, spec, text)
    assert found.shape == (256, 16)
    halves = [each[:512].mean().item(), each[512:].mean().item()]
    whole = each.mean().item()
    assert abs(halves[0] - halves[1]) > 0.1
    # 256 of 1024 sequences: the error of their mean is sd/16, less the quarter that is known.
    assert found.mean().item() == pytest.approx(whole, abs=4 * each.mean(1).std().item() / 16)


def test_the_standard_error_of_a_validation_loss_is_the_scatter_of_losses(monkeypatch):
    """Four sequences, whose 16 tokens have most of their loss in common: tokens taken for sequences would be seen."""
    rng = np.random.default_rng(0)
    drawn = lambda *_: torch.from_numpy(3 + rng.normal(size=(4, 1)) + 0.3 * rng.normal(size=(4, 16)))  # noqa: E731
    monkeypatch.setattr(train, "evaluate", drawn)
    loop, found = train.Loop(SPEC, CORPUS, CPU), []
    for _ in range(5000):
        found.append(loop.score(train.State(theta=None, m=None, v=None))[1:])
    assert_is_the_scatter(*np.transpose(found))
