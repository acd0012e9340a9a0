"""Activations keep their size with the width under muP, and do not under the standard parametrization."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from truths import CORPUS, SPEC, changed, filled, some_tokens

from scalinglaws.lab import coordinates, model
from scalinglaws.lab.corpus import Corpus, MarkovSource

WIDTHS = (32, 64, 128, 256)


ZIPF = changed(lr=1e-2, batch_tokens=256, tokens=25_600, d_ff=128, vocab_size=128)


@pytest.fixture(scope="module")
def zipf() -> Corpus:
    """Symbols by Zipf's law. On equally frequent ones first logits had a slope of -0.2, muP's too: measured."""
    symbols = MarkovSource().sample(2**14, seed=0)
    return Corpus(name="markov", vocab_size=128, train=symbols, val=symbols, fingerprint="markov")


@pytest.fixture(scope="module")
def table(zipf) -> pd.DataFrame:
    return coordinates.coordinate_check(ZIPF, WIDTHS, steps=4, seeds=(0, 1, 2), corpus=zipf)


@pytest.fixture(scope="module")
def deep(zipf) -> pd.DataFrame:
    return coordinates.depth_check(ZIPF, (2, 4, 8), steps=3, seeds=(0, 1), corpus=zipf)


@pytest.mark.parametrize("position", ["rope", "learned"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("parametrization", ["mup", "completep"])
def test_activations_are_those_of_the_model(position, tied, parametrization):
    fields = {"position": position, "tied": tied, "parametrization": parametrization}
    config = replace(SPEC.model, n_layer=2, d_model=64, n_head=4, **fields)
    theta, tokens = filled(config), some_tokens(config)
    found = coordinates.activations(theta, tokens, config)
    assert torch.equal(found["logits"], model.forward(theta, tokens, config, model.tables(config)))
    parts = [name for name in found if name == "embedding" or name.endswith(("attention", "down"))]
    assert len(parts) == 5
    assert torch.allclose(sum(found[name] for name in parts), found["stream"], atol=1e-5)


def test_the_table_is_whole(table):
    assert len(table) == 2 * 4 * 3 * 5 * 6  # parametrizations, widths, seeds, steps, activations
    assert (table["size"] >= 0).all()
    assert table.loc[(table["step"] == 0) & (table["activation"] == "logits"), "size"].eq(0).all()
    assert table.loc[table["activation"] != "logits", "size"].gt(0).all()


def test_base_width_is_one_model(table):
    base = table[table["d_model"] == 32].set_index(["seed", "step", "activation"])
    both = [base.loc[base["parametrization"] == p, "size"] for p in ("standard", "mup")]
    pd.testing.assert_series_equal(*both)


def test_mup_keeps_every_activation_in_size(table):
    slopes = coordinates.slopes(table)
    of_mup = slopes[slopes["parametrization"] == "mup"]
    assert len(of_mup) == 5 * 6 - 1  # logits have no slope before the first step
    assert of_mup["slope"].abs().max() < 0.1


def test_standard_does_not(table):
    slopes = coordinates.slopes(table).set_index(["parametrization", "activation", "step"])["slope"]["standard"]
    assert slopes["logits"][1] == pytest.approx(1, abs=0.1)  # a step of the head, times the width
    assert slopes["0.attention"].max() > 0.3
    assert slopes["0.down"].max() > 0.3
    assert abs(slopes["0.down"][0]) < 0.1  # nothing is wrong before the first step
    assert slopes["embedding"].abs().max() < 0.1  # a vector-like weight, right in both


def test_depth_rules_keep_the_stream_in_size(deep):
    """Measured: -0.1 at first, since branches of random sign cancel, 0.0 after three steps; without, 0.5 and 0.9."""
    slopes = coordinates.slopes(deep).set_index(["parametrization", "activation", "step"])["slope"].sort_index()
    assert slopes["completep", "stream"].abs().max() < 0.2
    assert slopes["completep", "stream"][3] == pytest.approx(0, abs=0.1)
    assert slopes["completep", "logits"].abs().max() < 0.1
    assert slopes["mup", "stream"][0] == pytest.approx(0.5, abs=0.1)  # a sum of independent branches
    assert slopes["mup", "stream"][3] > 0.7  # of branches that an update moves together
    assert slopes["completep", "last.down"][0] == pytest.approx(-1, abs=0.1)


def test_the_table_of_depths_is_whole(deep):
    assert len(deep) == 2 * 3 * 2 * 4 * 6  # parametrizations, depths, seeds, steps, activations
    assert deep["activation"].unique().tolist() == [
        "embedding", "last.attention", "last.up", "last.down", "stream", "logits",
    ]  # fmt: skip


def test_slopes_are_those_of_power_laws():
    sizes = [
        {"parametrization": "mup", "d_model": d, "seed": s, "step": 1, "activation": "logits", "size": (2 + s) * d**0.7}
        for d in WIDTHS
        for s in (0, 1)
    ]
    assert coordinates.slopes(pd.DataFrame(sizes))["slope"].tolist() == pytest.approx([0.7])


def test_other_widths_keep_head_size_and_ratio():
    wide = coordinates.at_width(SPEC, 96, "standard").model
    assert (wide.d_head, wide.n_head, wide.d_ff, wide.parametrization) == (16, 6, 192, "standard")
    with pytest.raises(ValueError, match="d_model=40: give a multiple of the head size 16"):
        coordinates.at_width(SPEC, 40, "mup")


def test_nothing_is_claimed_for_the_lstm():
    lstm = changed(family="lstm", n_head=1, d_ff=128, position="none", parametrization="standard")
    with pytest.raises(ValueError, match="family='lstm': width rules are claimed for family='transformer' only"):
        coordinates.coordinate_check(lstm, WIDTHS, corpus=CORPUS)
