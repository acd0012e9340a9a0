"""Configs: checked at birth, JSON both ways, equality as identity."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglaws.config import DataConfig, ModelConfig, RunSpec, TrainConfig, from_json, to_json
from scalinglaws.files import NewerSchema

MODEL = {"n_layer": 2, "d_model": 32, "n_head": 2, "d_ff": 128, "vocab_size": 128, "seq_len": 64}
LSTM = {"family": "lstm", "n_head": 1, "position": "none", "parametrization": "standard"}
TRAIN = {"tokens": 51_200, "batch_tokens": 512, "lr": 1e-2}


def spec(**changes) -> RunSpec:
    """A small spec with some fields changed, whichever part they belong to."""
    parts = {cls: {f.name for f in dataclasses.fields(cls)} for cls in (ModelConfig, TrainConfig, DataConfig)}
    pick = lambda cls, base: cls(**base | {k: v for k, v in changes.items() if k in parts[cls]})  # noqa: E731
    return RunSpec(model=pick(ModelConfig, MODEL), train=pick(TrainConfig, TRAIN), data=pick(DataConfig, {}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_model": 30, "n_head": 4}, ["d_model=30", "n_head=4", "multiple"]),
        ({"d_model": 33, "n_head": 3}, ["odd", "even head size"]),
        ({"n_layer": 0}, ["n_layer=0", "at least 1"]),
        ({"vocab_size": 12.5}, ["vocab_size=12.5", "whole number"]),
        ({"dropout": 1.0}, ["dropout=1", "from 0 to 1"]),
        ({"position": "sine"}, ["position='sine'", "'rope'", "'learned'"]),
        ({"family": "rnn"}, ["family='rnn'", "'transformer'", "'lstm'"]),
        (LSTM | {"n_head": 2}, ["n_head=2", "family='lstm'", "n_head=1"]),
        (LSTM | {"d_ff": 64}, ["d_ff=64", "family='lstm'", "d_ff=128"]),
        (LSTM | {"parametrization": "mup"}, ["parametrization='mup'", "family='lstm'", "parametrization='standard'"]),
        ({"init_scale": -1.0}, ["init_scale=-1"]),
        ({"init_scale": float("inf")}, ["init_scale=inf", "top excluded"]),
        ({"base_d_head": "8"}, ["base_d_head='8'", "a whole number, or None"]),
        ({"tied": "no"}, ["tied='no'", "True or False"]),
        ({"tokens": -512}, ["tokens=-512", "at least 1"]),
        ({"tokens": 1000}, ["tokens=1000", "batch_tokens=512", "tokens=1024"]),
        ({"batch_tokens": 100, "tokens": 1000}, ["batch_tokens=100", "seq_len=64"]),
        ({"lr": 0.0}, ["lr=0", "above zero"]),
        ({"lr": float("nan")}, ["lr=nan", "above zero"]),
        ({"lr": float("inf")}, ["lr=inf", "finite"]),
        ({"eps": 0.0}, ["eps=0", "above zero"]),
        ({"weight_decay": float("inf")}, ["weight_decay=inf", "top excluded"]),
        ({"grad_clip": float("inf")}, ["grad_clip=inf", "0 switches clipping off"]),
        ({"grad_clip": float("nan")}, ["grad_clip=nan", "0 switches clipping off"]),
        ({"seed": 2**63}, ["seed=9223372036854775808", "below 2**63"]),
        ({"lr": "0.01"}, ["lr='0.01'", "a number"]),
        ({"weight_decay": None}, ["weight_decay=None", "a number"]),
        ({"seed": True}, ["seed=True", "a whole number"]),
        ({"betas": (0.9,)}, ["betas=(0.9,)", "two numbers"]),
        ({"betas": "09"}, ["betas='09'", "two numbers"]),
        ({"eval_at": 512}, ["eval_at=512", "whole numbers"]),
        ({"eval_at": (512.0,)}, ["eval_at=(512.0,)", "whole numbers"]),
        ({"warmup_tokens": 60_000}, ["warmup_tokens=60000", "tokens=51200"]),
        ({"eval_at": (100,)}, ["eval_at=100", "multiples of batch_tokens=512"]),
        ({"betas": (0.9, 1.0)}, ["betas=1", "top excluded"]),
        ({"corpus": "wikipedia"}, ["corpus='wikipedia'", "'pystack'"]),
        ({"corpus": "files"}, ["corpus='files'", "path"]),
        ({"corpus": "files", "path": ""}, ["corpus='files'", "path=''", "give a path"]),
        ({"unique_tokens": 0}, ["unique_tokens=0", "at least 1"]),
        ({"unique_from": "everywhere"}, ["unique_from='everywhere' without unique_tokens", "say how many"]),
        ({"unique_from": "end", "unique_tokens": 1000}, ["unique_from='end'", "'everywhere'"]),
    ],
)
def test_bad_values_are_named_in_one_line(changes, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        spec(**changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_unknown_and_missing_keys_are_named():
    body = json.loads(to_json(spec()))
    body["model"]["n_heads"] = body["model"].pop("n_head")
    with pytest.raises(ValueError, match=r"n_heads: no such field") as caught:
        from_json(json.dumps(body), RunSpec)
    assert "n_head: missing" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="tokens=-1"):
        from_json(json.dumps(TRAIN | {"tokens": -1}), TrainConfig)


def test_a_spec_says_its_schema_and_needs_not_to():
    body = json.loads(to_json(spec()))
    assert body.pop("schema") == 1
    assert from_json(json.dumps(body), RunSpec) == from_json(json.dumps(body | {"schema": 1}), RunSpec) == spec()
    with pytest.raises(NewerSchema, match=r"RunSpec: schema=2, .* install a newer one"):
        from_json(json.dumps(body | {"schema": 2}), RunSpec)
    with pytest.raises(ValueError, match=r"RunSpec: schema=True: give a whole number"):
        from_json(json.dumps(body | {"schema": True}), RunSpec)


@settings(derandomize=True, max_examples=50)
@given(
    layers=st.integers(1, 12),
    heads=st.integers(1, 8),
    lr=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**31),
    unique=st.none() | st.integers(1, 10**9),
)
def test_json_round_trip_keeps_identity(layers, heads, lr, seed, unique):
    one = spec(n_layer=layers, n_head=heads, d_model=16 * heads, lr=lr, seed=seed, unique_tokens=unique, eval_at=(512,))
    two = from_json(to_json(one), RunSpec)
    assert two == one
    assert two.hash == one.hash


def test_every_field_changes_the_hash():
    other = {
        "n_layer": 3, "d_model": 64, "n_head": 4, "d_ff": 64, "vocab_size": 256, "seq_len": 32, "position": "learned",
        "tied": True, "parametrization": "standard", "base_d_model": 64, "base_d_head": 8, "init_scale": 0.5,
        "dropout": 0.1, "base_n_layer": 2,
        "tokens": 1024, "batch_tokens": 1024, "lr": 2e-2, "optimizer": "sgd", "schedule": "cosine",
        "warmup_tokens": 512, "cooldown_frac": 0.5, "final_lr_frac": 0.1, "weight_decay": 0.1, "betas": (0.9, 0.99),
        "eps": 1e-6, "grad_clip": 0.0, "seed": 1, "eval_tokens": 1024, "eval_at": (512,), "corpus": "markov",
        "vocab": "bytes", "unique_tokens": 1000, "fingerprint": "abc",
        "hidden_lr_ratio": 2.0, "embedding_lr_ratio": 2.0, "eval_texts": True,
    }  # fmt: skip
    fields = {f.name for cls in (ModelConfig, TrainConfig, DataConfig) for f in dataclasses.fields(cls)}
    chains = {"chain_symbols": 16, "chain_alpha": 0.1}
    assert {*other, *chains} == fields - {"path", "family", "unique_from"}, "a new field belongs in this table"
    hashes = {spec(**{name: value}).hash for name, value in other.items()} | {spec().hash}
    hashes |= {spec(corpus="files", path="a.txt").hash, spec(**LSTM).hash}
    hashes |= {spec(unique_tokens=1000, unique_from="everywhere").hash}
    hashes |= {
        spec(**{"corpus": "chains", name: value}).hash for name, value in [*chains.items(), ("corpus", "chains")]
    }
    assert len(hashes) == len(other) + 7


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("weight_decay", 1, 1.0),
        ("lr", np.float64(0.5), 0.5),
        ("lr", 1, 1.0),
        ("grad_clip", np.int32(2), 2.0),
        ("tied", 1, True),
        ("tied", np.True_, True),
        ("betas", (0, 0), (0.0, 0.0)),
        ("betas", [0.5, 0.75], (0.5, 0.75)),
        ("eval_at", [np.int64(512)], (512,)),
        ("n_layer", np.int64(3), 3),
        ("base_d_head", np.int64(4), 4),
        ("unique_tokens", np.int64(2000), 2000),
    ],
)
def test_equal_values_of_another_type_are_the_same_run(name, given, meant):
    one, two = spec(**{name: given}), spec(**{name: meant})
    assert one == two
    assert one.hash == two.hash == from_json(to_json(one), RunSpec).hash


def test_the_hash_is_pinned():
    """Stored runs are found by this name: a change of the scheme would orphan them."""
    assert spec().hash == "97a8299cee06"
