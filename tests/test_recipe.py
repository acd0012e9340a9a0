"""A recipe turns a size and an amount of data into one spec; these are the choices that stored runs were made with."""

from dataclasses import replace

import pytest

from scalinglaws.config import DataConfig, RunSpec, from_json, to_json
from scalinglaws.counting import count
from scalinglaws.recipe import SYNTHETIC, TEXT, Recipe

BOTH = pytest.mark.parametrize("recipe", [TEXT, SYNTHETIC], ids=["text", "synthetic"])


@BOTH
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (51_200, 51_200),
        (51_200 + 255, 51_200),  # 512 tokens a step: to the nearest step, down
        (51_200 + 257, 51_712),  # and up
        (1e6, 999_936),
        (1, 10_240),  # no shorter than the warm-up
    ],
)
def test_tokens_are_rounded_to_whole_steps(recipe, asked, given):
    spec = recipe.spec(32, asked)
    assert spec.train.tokens == given
    assert spec.train.tokens == spec.train.steps * spec.train.batch_tokens


def test_a_warm_up_of_a_part_of_a_step_still_fits():
    spec = replace(TEXT, batch_tokens=1024, warmup_tokens=1500).spec(32, 1)
    assert spec.train.tokens == 2048


@pytest.mark.parametrize(("recipe", "width", "d_head"), [(TEXT, 40, 16), (SYNTHETIC, 12, 8)])
def test_a_width_that_is_no_whole_number_of_heads_is_refused(recipe, width, d_head):
    with pytest.raises(ValueError, match=rf"^d_model={width}: .* heads of {d_head}, choose a multiple of that$"):
        recipe.spec(width, 1e5)


def test_a_width_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"d_model=0: give a whole number, at least 1"):
        TEXT.spec(0, 1e5)


@BOTH
@pytest.mark.parametrize("width", [16, 32, 64, 256])
@pytest.mark.parametrize("n_layer", [1, 3])
def test_models_of_all_sizes_are_alike(recipe, width, n_layer):
    model = recipe.model(width, n_layer)
    assert model.d_head == recipe.d_head  # heads grow in number, not in size
    assert model.d_ff == 4 * width
    assert (model.parametrization, model.base_d_model, model.base_d_head) == ("mup", 32, None)
    assert count(model).n_params_nonemb == 12 * n_layer * width**2  # Kaplan et al. 2020, eq. 2.1
    assert recipe.spec(width, 1e5, n_layer=n_layer).model == model


@BOTH
def test_lengths_of_one_model_share_a_trunk(recipe):
    """Specs of several lengths differ in nothing else, which `train.train_branches` needs."""
    short, long = recipe.spec(32, 2e4), recipe.spec(32, 2e5)
    assert short != long
    assert replace(short, train=replace(short.train, tokens=long.train.tokens)) == long
    assert long.train.schedule == "wsd"


@BOTH
def test_only_the_seed_tells_repeats_apart(recipe):
    first, second = recipe.spec(32, 1e5), recipe.spec(32, 1e5, seed=1)
    assert first.hash != second.hash
    assert replace(second, train=replace(second.train, seed=0)) == first


def test_what_the_recipes_choose():
    assert (TEXT.data, SYNTHETIC.data) == (DataConfig(), DataConfig(corpus="markov"))
    for recipe, seq_len, position, d_head in ((TEXT, 64, "rope", 16), (SYNTHETIC, 16, "learned", 8)):
        spec = recipe.spec(64, 1e5)
        model, train = spec.model, spec.train
        assert (model.seq_len, model.position, model.d_head) == (seq_len, position, d_head)
        assert (model.vocab_size, model.tied, model.dropout, model.n_layer) == (128, False, 0.0, 1)
        assert (train.batch_tokens, train.warmup_tokens, train.lr) == (512, 10_240, 1e-2)
        assert (train.optimizer, train.weight_decay, train.seed) == ("adamw", 0.0, 0)
        assert from_json(to_json(spec), RunSpec) == spec


def test_a_field_of_a_recipe_reaches_the_spec():
    changes = {
        "data": DataConfig(corpus="markov"), "vocab_size": 256, "seq_len": 32, "position": "learned", "d_head": 8,
        "ff_ratio": 2, "lr": 3e-3, "batch_tokens": 1024, "warmup_tokens": 0, "schedule": "cosine",
    }  # fmt: skip
    assert changes.keys() == Recipe.__dataclass_fields__.keys(), "a new field belongs in this table"
    hashes = {replace(TEXT, **{name: value}).spec(64, 1e5).hash for name, value in changes.items()}
    assert len(hashes | {TEXT.spec(64, 1e5).hash}) == len(changes) + 1
