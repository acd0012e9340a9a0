"""The width rules: both columns of the table, and what they must have in common."""

from dataclasses import replace

import pytest

from scalinglaws import mup
from scalinglaws.config import ModelConfig

BASE = ModelConfig(n_layer=1, d_model=32, n_head=2, d_ff=128, vocab_size=64, seq_len=16)
WIDE = replace(BASE, d_model=128, n_head=8, d_ff=512)  # r = 4, heads of 16


def test_hidden_matrices_lose_learning_rate_with_width():
    for name in ("0.qkv", "0.out", "0.up", "0.down"):
        wide, base = mup.rules(WIDE)[name], mup.rules(BASE)[name]
        assert wide.lr == base.lr / 4
        assert wide.lr * wide.decay == base.lr * base.decay  # what AdamW shrinks by does not depend on width
        assert wide.init_std**2 == pytest.approx(base.init_std**2 / 4)  # VARIANCE falls as 1/r, published row M05
        assert mup.rules(replace(WIDE, parametrization="standard"))[name].lr == 1


def test_vector_like_weights_keep_theirs():
    for name in ("embedding", "head"):
        wide, base = mup.rules(WIDE)[name], mup.rules(BASE)[name]
        assert (wide.lr, wide.init_std, wide.decay) == (base.lr, base.init_std, base.decay)


def test_multipliers():
    standard = replace(WIDE, parametrization="standard")
    assert mup.output_scale(WIDE) == 1 / 4
    assert mup.output_scale(standard) == 1
    assert mup.attention_scale(WIDE) == mup.attention_scale(standard) == 1 / 4  # heads of 16: no difference
    big_heads = replace(WIDE, n_head=2, base_d_head=16)  # heads of 64 that were 16 at the base width
    assert mup.attention_scale(big_heads) == 4 / 64  # falls as 1/d_head
    assert mup.attention_scale(replace(big_heads, parametrization="standard")) == 1 / 8


def test_base_width_makes_them_one():
    assert mup.rules(BASE) == mup.rules(replace(BASE, parametrization="standard"))
    assert mup.output_scale(BASE) == 1


def test_an_untied_head_starts_at_zero_and_a_tied_one_does_not_exist():
    assert mup.rules(BASE)["head"].init_std == 0
    assert "head" not in mup.rules(replace(BASE, tied=True))
