"""Counts equal the built model; FLOPs equal torch's counter; the papers' worked examples come out."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from scalinglaws import counting
from scalinglaws.config import ModelConfig
from scalinglaws.lab import model
from scalinglaws.lab.mup import rules

SHAPES = [
    ModelConfig(
        n_layer=layers, d_model=d, n_head=heads, d_ff=ff * d, vocab_size=vocab, seq_len=16, position=position, tied=tied
    )
    for layers, d, heads, ff in [(1, 16, 1, 4), (2, 32, 4, 1), (3, 48, 3, 2), (5, 24, 2, 8)]
    for vocab in (64, 250)
    for position in ("rope", "learned")
    for tied in (False, True)
]


@pytest.mark.parametrize(
    "config", SHAPES, ids=lambda c: f"{c.n_layer}x{c.d_model}-{c.vocab_size}-{c.position}-{c.tied}"
)
def test_groups_equal_the_built_model(config):
    n, built = counting.count(config), {name: math.prod(rule.shape) for name, rule in rules(config).items()}
    assert n.n_params == model.init(config, seed=0).numel() == sum(built.values())
    assert n.embedding == built["embedding"]
    assert n.position == built.get("position", 0)
    assert n.head == built.get("head", 0)
    assert n.attention == sum(v for k, v in built.items() if k.endswith((".qkv", ".out")))
    assert n.feed_forward == sum(v for k, v in built.items() if k.endswith((".up", ".down")))


@pytest.mark.parametrize("config", SHAPES[::3], ids=lambda c: f"{c.n_layer}x{c.d_model}-{c.vocab_size}")
def test_flops_equal_torchs_counter(config):
    theta = model.init(config, seed=0).requires_grad_()
    tokens = torch.zeros(3, config.seq_len, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model.loss(theta, tokens, tokens, config, model.tables(config)).mean().backward()
    assert counter.get_total_flops() == counting.flops(config, tokens.numel())


LSTM = ModelConfig(
    family="lstm", n_layer=2, d_model=24, n_head=1, d_ff=96, vocab_size=64, seq_len=16, position="none",
    parametrization="standard",
)  # fmt: skip


def test_an_lstm_by_the_same_counts():
    n, built = counting.count(LSTM), {name: math.prod(rule.shape) for name, rule in rules(LSTM).items()}
    assert n.n_params == model.init(LSTM, seed=0).numel() == sum(built.values())
    assert n.recurrent == n.n_params_nonemb == 2 * 8 * 24**2  # four gates, each from input and state
    with pytest.raises(ValueError, match=r"family='lstm'.*use flops_per_token"):
        counting.flops_per_token_hoffmann(LSTM)


def test_flops_of_an_lstm_equal_torchs_counter():
    """Written out, that is with an axis of models. The first state is zero, and gets no gradient."""
    theta = model.init(LSTM, seed=0)[None].requires_grad_()
    tokens = torch.zeros(1, 3, LSTM.seq_len, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model.loss(theta, tokens, tokens, LSTM, model.tables(LSTM)).mean().backward()
    no_gradient = 2 * LSTM.n_layer * 3 * LSTM.d_model * LSTM.d_ff  # of three sequences
    assert counter.get_total_flops() + no_gradient == counting.flops(LSTM, tokens.numel())


def test_gpt2_124m():
    """nanoGPT's GPT-2: 124.4M with biases and gains, which we do not have; 85M without embeddings (Kaplan's N)."""
    gpt2 = ModelConfig(
        n_layer=12, d_model=768, n_head=12, d_ff=3072, vocab_size=50_257, seq_len=1024, position="learned", tied=True
    )
    n = counting.count(gpt2)
    assert n.n_params_nonemb == 12 * 12 * 768**2 == 84_934_656
    assert n.n_params == pytest.approx(124.4e6, rel=2e-3)  # biases and gains are 0.1%
    assert n.embedding + n.position == 50_257 * 768 + 1024 * 768


def test_hoffmann_appendix_f_line_by_line():
    """The forward list of appendix F for the 73M model of their table A9; the backward pass counts twice.

    With it the ratio to 6 N D is 1.58, where their table A4 prints 1.03 (published row C34): see LOG.md.
    """
    layers, d, ff, heads, vocab, seq = 10, 640, 2560, 10, 32_000, 2048
    forward = 2 * vocab * d  # embeddings
    forward += layers * 2 * 3 * d * d  # queries, keys, values
    forward += layers * 2 * seq * d  # logits of the attention
    forward += layers * 3 * heads * seq  # softmax
    forward += layers * 2 * seq * d  # values
    forward += layers * 2 * d * d  # output
    forward += layers * 2 * (d * ff + d * ff)  # dense
    forward += 2 * d * vocab  # logits
    config = ModelConfig(n_layer=layers, d_model=d, n_head=heads, d_ff=ff, vocab_size=vocab, seq_len=seq, tied=True)
    assert counting.flops_per_token_hoffmann(config) == 3 * forward
    relative_positions = layers * d * d  # theirs, which our models lack
    n = counting.count(config).n_params + relative_positions
    assert n == pytest.approx(73e6, rel=0.01)
    assert 3 * forward / (6 * n) == pytest.approx(1.582, abs=0.001)


def test_kaplan_leaves_out_head_and_half_of_the_attention():
    config = SHAPES[0]
    n = counting.count(config)
    full, kaplan = counting.flops_per_token(config), counting.flops_per_token_kaplan(config)
    head, half = 6 * n.head_matmul, 6 * config.n_layer * config.seq_len * config.d_model
    assert full - kaplan == head + half
    assert counting.flops_6nd(n.n_params_nonemb, 10) == 60 * n.n_params_nonemb


def test_units():
    assert counting.PF_DAY == 8.64e19
    assert counting.pf_days(8.64e19) == 1
    assert counting.bits(math.log(2)) == pytest.approx(1)
    assert counting.nats(counting.bits(1.234)) == pytest.approx(1.234)
