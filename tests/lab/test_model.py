"""The transformer does what a causal language model must, one model or many at a time."""

import math
from dataclasses import replace

import pytest
import torch
from truths import filled, some_tokens

from scalinglaws.config import ModelConfig
from scalinglaws.lab import model

SMALL = ModelConfig(n_layer=2, d_model=32, n_head=2, d_ff=64, vocab_size=50, seq_len=16)
VARIANTS = {
    "rope": SMALL,
    "learned": replace(SMALL, position="learned"),
    "tied": replace(SMALL, tied=True),
    "wide mup": replace(SMALL, d_model=64, n_head=4, parametrization="mup"),
    "lstm": replace(SMALL, family="lstm", n_head=1, d_ff=128, position="none", parametrization="standard"),
    "no positions": replace(SMALL, position="none"),
    "wide standard": replace(SMALL, d_model=64, n_head=4, parametrization="standard"),
}
each_variant = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())


def logits_of(theta: torch.Tensor, tokens: torch.Tensor, config: ModelConfig, **how) -> torch.Tensor:
    """Logits with the axes of tokens, then V."""
    flat = model.forward(theta, tokens, config, model.tables(config), **how)
    return flat.view(*tokens.shape, config.vocab_size)


def loss_of(theta: torch.Tensor, tokens: torch.Tensor, targets: torch.Tensor, config: ModelConfig) -> torch.Tensor:
    return model.loss(theta, tokens, targets, config, model.tables(config))


@each_variant
def test_the_future_is_not_seen(config):
    theta, tokens = filled(config), some_tokens(config)
    changed = tokens.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % config.vocab_size
    a, b = (logits_of(theta, t, config) for t in (tokens, changed))
    assert torch.equal(a[:, :10], b[:, :10])
    assert not torch.allclose(a[:, 10], b[:, 10])


@each_variant
def test_the_past_is_seen(config):
    theta, tokens = filled(config), some_tokens(config)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % config.vocab_size
    a, b = (logits_of(theta, t, config) for t in (tokens, changed))
    assert not torch.allclose(a[:, -1], b[:, -1])


def test_rotary_scores_depend_on_distances_alone():
    config = replace(SMALL, n_head=1)
    at = model.tables(config)
    q, k = torch.randn(2, config.d_head, generator=torch.Generator().manual_seed(0))
    everywhere = lambda x: model._rotate(x.expand(config.seq_len, -1), at)  # noqa: E731
    scores = everywhere(q) @ everywhere(k).T  # T T
    for distance in range(-15, 16):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)
    assert scores.std() > 1


@each_variant
def test_loss_at_the_start_is_that_of_a_uniform_guess(config):
    theta, tokens = model.init(config, 0), some_tokens(config)
    loss = loss_of(theta, tokens, tokens, config).mean().item()
    # Exactly ln V when the head is zero; a tied head of 0.02 sqrt(d) per logit adds about half its variance.
    assert loss == pytest.approx(math.log(config.vocab_size), abs=0.05 if config.tied else 1e-5)


@each_variant
def test_one_batch_can_be_learned_by_heart(config):
    theta, tokens = model.init(config, 0).requires_grad_(), some_tokens(config)
    optimizer = torch.optim.Adam([theta], lr=0.01)
    for _ in range(120):
        optimizer.zero_grad()
        loss = loss_of(theta, tokens, tokens.roll(-1, -1), config).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@each_variant
def test_many_models_at_once_equal_each_alone(config):
    thetas = torch.stack([filled(config, seed) for seed in range(3)])
    tokens = torch.stack([some_tokens(config, seed=seed) for seed in range(3)])
    together = loss_of(thetas, tokens, tokens.flip(-1), config)
    alone = torch.stack([loss_of(t, x, x.flip(-1), config) for t, x in zip(thetas, tokens, strict=True)])
    assert together.shape == alone.shape
    assert torch.allclose(together, alone, atol=1e-5)  # an LSTM: torch's fused layer against ours, step by step


def test_an_lstm_is_torchs_lstm():
    """Gates in torch's order, a constant 1 on the forget gate, no other bias."""
    config, d = VARIANTS["lstm"], SMALL.d_model
    theta, tokens = filled(config), some_tokens(config)
    w = model.weights(theta, config)
    layers = torch.nn.LSTM(d, d, config.n_layer, batch_first=True)
    with torch.no_grad():
        for name, value in layers.named_parameters():
            i = name[-1]
            value.copy_({"weight_ih": w[f"{i}.input"].T, "weight_hh": w[f"{i}.recurrent"].T}.get(name[:9], 0 * value))
            if name.startswith("bias_ih"):
                value[d : 2 * d] = 1
        x, _ = layers(w["embedding"][tokens])
        expected = model._norm(x) @ w["head"]
    assert torch.allclose(logits_of(theta, tokens, config), expected, atol=1e-5)


def test_torchs_lstm_is_told_to_train(monkeypatch):
    """On CUDA it has no gradient otherwise; here it makes no difference."""
    config, said, real = VARIANTS["lstm"], [], torch.lstm
    monkeypatch.setattr(torch, "lstm", lambda *args: said.append(args[6]) or real(*args))
    logits_of(filled(config), some_tokens(config), config)
    assert said == [True] * config.n_layer


def test_fused_attention_equals_its_parts():
    config = replace(SMALL, seq_len=300)
    theta, tokens, fused = filled(config), some_tokens(config), model.tables(config)
    assert fused.mask is None
    in_parts = replace(fused, mask=torch.full((300, 300), -torch.inf).triu(1))
    a, b = (model.forward(theta, tokens, config, at) for at in (fused, in_parts))
    assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("config", [c for c in VARIANTS.values() if c.family == "transformer"])
def test_attention_is_what_the_layers_weigh_their_values_with(config):
    """The model written out, with these weights in place of its queries and keys, has the same logits."""
    theta, tokens = filled(config), some_tokens(config)
    w, H = model.weights(theta, config), config.n_head
    x = w["embedding"][tokens] + (w["position"] if config.position == "learned" else 0)  # B T d
    unit = lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()  # noqa: E731
    for i, seen in enumerate(model.attention(theta, tokens, config)):
        assert torch.equal(seen.triu(1), torch.zeros_like(seen))
        v = (unit(x) @ w[f"{i}.qkv"])[..., 2 * config.d_model :].unflatten(-1, (H, -1))  # B T H h
        x = x + torch.einsum("bnts,bsnh->btnh", seen, v).flatten(-2) @ w[f"{i}.out"]
        x = x + (unit(x) @ w[f"{i}.up"]).relu().square() @ w[f"{i}.down"]
    head = w["embedding"].T if config.tied else w["head"]
    by_hand = model.tables(config).output_scale * unit(x) @ head
    assert torch.allclose(by_hand, logits_of(theta, tokens, config), atol=1e-4)


def test_attention_of_many_models_is_that_of_each():
    thetas, tokens = torch.stack([filled(SMALL, seed) for seed in (0, 1)]), some_tokens(SMALL)
    both = model.attention(thetas, tokens.expand(2, *tokens.shape), SMALL)  # layers K B H T T
    for k, theta in enumerate(thetas):
        assert torch.allclose(both[:, k], model.attention(theta, tokens, SMALL), atol=1e-6)


def test_an_lstm_has_no_attention():
    config = VARIANTS["lstm"]
    with pytest.raises(ValueError, match="family='lstm' has no attention: give a transformer"):
        model.attention(filled(config), some_tokens(config), config)


def test_many_models_at_once_use_fused_attention_too():
    config = replace(SMALL, seq_len=300)
    thetas = torch.stack([filled(config, seed) for seed in range(2)])
    tokens = torch.stack([some_tokens(config, seed=seed) for seed in range(2)])
    together = loss_of(thetas, tokens, tokens, config)
    for one, theta, x in zip(together, thetas, tokens, strict=True):
        assert torch.equal(one, loss_of(theta, x, x, config))  # the slow path rounds otherwise


def test_both_forms_of_the_loss_agree():
    logits = 30 * torch.randn(64, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.arange(64) % 50
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(model._written_out_cross_entropy(logits, targets), expected, rtol=1e-12)


def test_base_width_is_the_same_model_under_both_parametrizations():
    mup, standard = (replace(SMALL, parametrization=p, base_d_model=32) for p in ("mup", "standard"))
    assert torch.equal(model.init(mup, 0), model.init(standard, 0))
    theta, tokens = filled(mup), some_tokens(mup)
    assert torch.equal(logits_of(theta, tokens, mup), logits_of(theta, tokens, standard))


def test_dropout_acts_in_training_only():
    config = replace(SMALL, dropout=0.5)
    theta, tokens = filled(config), some_tokens(config)
    clean = logits_of(theta, tokens, SMALL)
    assert torch.equal(logits_of(theta, tokens, config), clean)
    assert not torch.allclose(logits_of(theta, tokens, config, train=True), clean)
