"""The width rules: both columns of the table, and what they must have in common."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scalinglaws.config import ModelConfig, RunSpec, TrainConfig
from scalinglaws.lab import model, mup, train
from scalinglaws.lab.corpus import Corpus
from scalinglaws.lab.runtime import CPU

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


# ---- Depth ----


def test_depth_rules_are_those_of_the_table():
    """Dey et al. 2025, table 1, alpha = 1: three layers where the base has two, r = 4."""
    deep = replace(WIDE, n_layer=3, base_n_layer=2, parametrization="completep")
    assert mup.branch_scale(deep) == 2 / 3
    assert mup.branch_scale(replace(deep, parametrization="mup")) == 1
    assert (mup.attention_scale(deep), mup.output_scale(deep)) == (mup.attention_scale(WIDE), 1 / 4)
    shallow = mup.rules(WIDE)
    for name, rule in mup.rules(deep).items():
        like = shallow[name.replace("1.", "0.").replace("2.", "0.")]
        eps = 1 / 4 if mup.kind(name) != "hidden" else pytest.approx(1 / 4 * 2 / 3)
        assert (rule.shape, rule.init_std, rule.lr, rule.decay) == (like.shape, like.init_std, like.lr, like.decay)
        assert rule.eps == eps
        assert like.eps == 1


def test_depth_rules_say_nothing_at_the_base():
    base = replace(BASE, n_layer=2, base_n_layer=2)
    assert mup.rules(replace(base, parametrization="completep")) == mup.rules(base)
    assert mup.branch_scale(replace(base, parametrization="completep")) == 1


# ---- The ways to write the rules ----

MUP_FORMS = ("lecture", "table 3", "table 8")


def test_forms_of_mup_act_alike_and_standard_does_not():
    effective = {name: {kind: p.effective for kind, p in form.items()} for name, form in mup.FORMS.items()}
    assert effective["lecture"] == effective["table 3"] == effective["table 8"]
    assert effective["standard"]["hidden"] != effective["lecture"]["hidden"]
    assert effective["standard"]["output"] != effective["lecture"]["output"]


def test_the_rules_are_the_lectures_form():
    wide, base = mup.rules(WIDE), mup.rules(BASE)
    for name, rule in wide.items():
        powers = mup.FORMS["lecture"][mup.kind(name)]
        assert rule.lr == base[name].lr * 4**powers.lr
        assert rule.init_std == pytest.approx(base[name].init_std * 4**powers.init_std)
    assert mup.output_scale(WIDE) == 4 ** mup.FORMS["lecture"]["output"].multiplier


def spread(config: ModelConfig, form: dict[mup.Kind, mup.Powers], factor: str) -> torch.Tensor:
    """The width's effect on one factor, for each element of theta: (P,)."""
    parts = [
        torch.full((math.prod(rule.shape),), config.width_ratio ** getattr(form[mup.kind(name)], factor))
        for name, rule in mup.rules(config).items()
    ]
    return torch.cat(parts)


class Adam:
    """Adam with a learning rate for every weight, and an eps of nothing: a multiplier would have to scale that too."""

    def __init__(self, lr: torch.Tensor):
        self.lr, self.m, self.v, self.step = lr, torch.zeros_like(lr), torch.zeros_like(lr), 0

    def update(self, theta: torch.Tensor, g: torch.Tensor) -> None:
        self.step += 1
        correct1, correct2 = (torch.tensor(1 / (1 - beta**self.step)) for beta in (0.9, 0.95))
        self.m.lerp_(g, 1 - 0.9)
        self.v.lerp_(g * g, 1 - 0.95)
        theta.sub_(self.lr * (self.m * correct1 / ((self.v * correct2).sqrt() + 1e-30)))


def logits_along(config: ModelConfig, form: dict[mup.Kind, mup.Powers], steps: int = 5) -> torch.Tensor:
    """Logits (steps + 1, B T, V) of a model whose width rules are those of a form, while Adam trains it.

    What all forms share is taken from the base width: initial sizes (the head's not zero) and learning rates.
    """
    base = mup.rules(replace(config, d_model=32, n_head=2, d_ff=128))
    sizes = [base[name].init_std or 0.5 for name in base]
    noise = torch.Generator().manual_seed(0)
    shapes = [math.prod(rule.shape) for rule in mup.rules(config).values()]
    theta = torch.cat([std * torch.randn(n, generator=noise) for std, n in zip(sizes, shapes, strict=True)])
    theta *= spread(config, form, "init_std")
    multiplier = spread(config, form, "multiplier")
    at = replace(model.tables(config), output_scale=1.0)
    x, y = torch.randint(config.vocab_size, (2, 4, config.seq_len), generator=noise)
    adam, out = Adam(torch.tensor(0.01) * spread(config, form, "lr")), []
    gradient = train.plain_gradient(lambda theta: model.loss(theta * multiplier, x, y, config, at).mean())
    for _ in range(steps + 1):
        out.append(model.forward(theta * multiplier, x, config, at))
        adam.update(theta, gradient(theta)[0])
    return torch.stack(out)


@pytest.mark.parametrize("name", MUP_FORMS)
@pytest.mark.parametrize("big_heads", [False, True])
def test_forms_of_mup_compute_the_same_function_during_training(name, big_heads):
    """Bit for bit at r = 4: all factors are powers of two, and products with those are exact."""
    config = replace(WIDE, n_head=2, base_d_head=16) if big_heads else WIDE
    expected, found = logits_along(config, mup.FORMS["lecture"]), logits_along(config, mup.FORMS[name])
    assert torch.equal(found, expected)
    assert (expected[-1] - expected[0]).abs().max() > 0.5  # training has changed the function


def test_forms_of_mup_agree_to_rounding_at_other_widths():
    """r = 3. Measured: 3e-6 after three steps, on logits up to 9; Adam amplifies it where a gradient is nearly zero."""
    config = replace(WIDE, d_model=96, n_head=6, d_ff=384)
    expected, found = (logits_along(config, mup.FORMS[name], steps=3) for name in ("lecture", "table 3"))
    assert (found - expected).abs().max() < 1e-4
    assert (expected[-1] - expected[0]).abs().max() > 0.5


def test_other_rules_compute_another_function():
    expected = logits_along(WIDE, mup.FORMS["lecture"])
    for kind in ("hidden", "output"):
        for factor in ("multiplier", "init_std", "lr"):
            powers = mup.FORMS["table 3"][kind]
            wrong = replace(powers, **{factor: getattr(powers, factor) - 0.5})
            found = logits_along(WIDE, mup.FORMS["table 3"] | {kind: wrong})
            assert (found[-1] - expected[-1]).abs().max() > 0.05
    assert not torch.allclose(logits_along(WIDE, mup.FORMS["standard"])[0], expected[0], atol=0.05)


def test_the_trainer_computes_that_function_too():
    """From a head of zeros, as the model has it, the first steps of `train.Loop` are those of the form."""
    config = replace(WIDE, vocab_size=16)
    spec = RunSpec(
        model=config,
        train=TrainConfig(tokens=320, batch_tokens=64, lr=0.01, schedule="constant", grad_clip=0.0, eps=1e-30,
                          eval_tokens=64),
    )  # fmt: skip
    text = np.random.default_rng(0).integers(16, size=2000).astype(np.uint8)
    loop = train.Loop(spec, Corpus(name="noise", vocab_size=16, train=text, val=text, fingerprint="noise"), CPU)
    state, form = loop.start(), mup.FORMS["table 3"]
    theta = model.init(config, spec.train.seed)  # of the hidden matrices by fan_in, as in every form
    at = replace(model.tables(config), output_scale=1.0)
    adam = Adam(torch.tensor(0.01) * spread(config, form, "lr"))
    for step in range(1, 6):
        x, y = loop.batches[step - 1]
        g, _ = train.plain_gradient(lambda t, x=x, y=y: model.loss(t, x, y, config, at).mean())(theta)
        adam.update(theta, g)
        loop.run(state, step, spec.train)
        ours = model.forward(state.theta, x, config, model.tables(config))
        assert torch.equal(model.forward(theta, x, config, at), ours)
    assert ours.abs().max() > 0.1
