"""Many runs as one are the runs that train.py gives one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from truths import CORPUS, LSTM, SPEC, changed

from scalinglaws import recipe
from scalinglaws.config import DataConfig
from scalinglaws.lab import ensemble, runtime, train
from scalinglaws.lab.runtime import CPU, Runtime

MIXED = [
    changed(seed=1, unique_tokens=3000, unique_from="everywhere"),
    changed(lr=3e-3),
    changed(parametrization="standard", base_d_model=8),
    changed(parametrization="mup", base_d_model=128),
    changed(base_d_head=4),
    changed(init_scale=0.3),
    changed(weight_decay=0.0),
    changed(unique_tokens=3000),
]


def test_a_mixed_stack_equals_run_by_run():
    """Eager float32: the batched products round as single ones do, so the results are the same to the last bit here;
    another library may order its sums otherwise, which 100 steps do not amplify beyond 1e-4.
    """
    together = ensemble.train(MIXED, CORPUS, CPU)
    assert len({run.loss for run in together}) == len(MIXED), "no two of these runs are alike"
    for spec, run in zip(MIXED, together, strict=True):
        alone = train.train(spec, CORPUS, CPU)
        assert run.spec == spec
        assert run.loss == pytest.approx(alone.loss, abs=1e-4)
        assert run.curve["train_loss"] == pytest.approx(alone.curve["train_loss"], abs=1e-4)
        assert run.provenance["runtime"].endswith("8 together")


def test_depths_and_rates_apart_stack_too():
    fields = [{"parametrization": "completep"}, {"parametrization": "completep", "base_n_layer": 4}, {"eps": 1e-8}]
    fields += [{"hidden_lr_ratio": 0.5}, {"embedding_lr_ratio": 3.0}]
    specs = [changed(n_layer=2, **each) for each in fields]
    assert ensemble.groups(specs) == [specs]
    alone = [train.train(spec, CORPUS, CPU).loss for spec in specs]
    assert [run.loss for run in ensemble.train(specs, CORPUS, CPU)] == pytest.approx(alone, abs=1e-4)
    assert len({*alone}) == len(alone)


def test_width_rules_act_in_full_precision():
    config = replace(CPU, precision="bf16")
    wide = {"d_model": 48, "n_head": 3, "d_ff": 96}
    specs = [changed(**wide, parametrization="mup", base_d_model=10), changed(**wide, parametrization="standard")]
    together = ensemble.train(specs, CORPUS, config)
    assert [run.loss for run in together] == pytest.approx(
        [train.train(spec, CORPUS, config).loss for spec in specs], abs=2e-5
    )


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_of_a_group_does_not_say_how_much_text_there_is(order, tmp_path):
    (tmp_path / "text.txt").write_bytes(CORPUS.train.astype(np.uint8).tobytes() + CORPUS.val.astype(np.uint8).tobytes())
    data = DataConfig(corpus="files", path=str(tmp_path / "text.txt"))
    shape = changed(vocab_size=128, eval_tokens=1024)
    drawn = replace(shape, data=replace(data, unique_tokens=4000, unique_from="everywhere"))
    specs = [*(replace(shape, data=replace(data, unique_tokens=n)) for n in (3000, None)), drawn][::order]
    together = ensemble.train(specs, runtime=CPU)
    assert [run.loss for run in together] == pytest.approx([train.train(s, runtime=CPU).loss for s in specs], abs=1e-4)
    assert len({run.loss for run in together}) == 3


def test_lengths_share_their_trunks():
    specs = [changed(seed=s, tokens=n) for s in (1, 2) for n in (2560, 12_800)]
    assert ensemble.groups(specs) == [specs]
    for run, spec in zip(ensemble.train(specs, CORPUS, CPU), specs, strict=True):
        assert run.spec == spec
        assert run.loss == pytest.approx(train.train(spec, CORPUS, CPU).loss, abs=1e-4)


def test_scores_on_the_way():
    specs = [changed(seed=s, schedule="cosine", eval_at=(2560, 6400)) for s in (1, 2)]
    for run, spec in zip(ensemble.train(specs, CORPUS, CPU), specs, strict=True):
        alone = train.train(spec, CORPUS, CPU)
        assert run.curve["eval_tokens"].tolist() == [2560, 6400, 12_800]
        assert run.curve["eval_loss"] == pytest.approx(alone.curve["eval_loss"], abs=1e-4)


@pytest.mark.parametrize("eval_at", [(), (128,)])  # a score on the way does not move where a run is judged
def test_one_that_diverges_leaves_the_others_alone(eval_at):
    wild = changed(lr=1e4, grad_clip=0.0, optimizer="sgd", eval_at=eval_at)
    tame = changed(lr=1e-2, grad_clip=0.0, optimizer="sgd", eval_at=eval_at)
    bad, good = ensemble.train([wild, tame], CORPUS, CPU)
    assert bad.status == "diverged"
    assert bad.message == train.train(wild, CORPUS, CPU).message
    assert math.isnan(bad.loss)
    assert good.loss == pytest.approx(train.train(tame, CORPUS, CPU).loss, abs=1e-4)


@pytest.mark.skipif(not runtime.has_compiler(), reason="no C++ compiler")
def test_compiled_equals_eager():
    specs = [changed(seed=1), changed(parametrization="standard", base_d_model=8)]
    for config, tolerance in ((replace(CPU, compile=True), 1e-4), (replace(CPU, precision="bf16"), 0.02)):
        for a, b in zip(ensemble.train(specs, CORPUS, config), ensemble.train(specs, CORPUS, CPU), strict=True):
            assert a.loss == pytest.approx(b.loss, abs=tolerance)  # bf16 has 8 bits: each step errs by 0.4%


def test_each_stack_compiles_for_itself(monkeypatch):
    names = []
    monkeypatch.setattr(train, "compiled", lambda f: names.append(f.__name__) or f)
    ensemble.make_step([SPEC, changed(seed=1)], replace(CPU, compile=True))
    train.make_step(SPEC, replace(CPU, compile=True))
    assert len(names) == 3


def test_groups_hold_what_can_be_stacked():
    alone = [changed(dropout=0.1), changed(dropout=0.1, seed=4), changed(**LSTM), changed(**LSTM, seed=4)]
    other_shapes = [changed(d_model=64), changed(n_layer=2), changed(batch_tokens=256), changed(tokens=25_600, lr=1e-3)]
    found = ensemble.groups([*MIXED, *alone, *other_shapes])
    assert [set(g) for g in found if len(g) > 1] == [set(MIXED)]
    assert {g[0] for g in found if len(g) == 1} == {*alone, *other_shapes}
    cost = [sum(ensemble.counting.flops(s.model, s.train.tokens) for s in g) for g in found]
    assert cost == sorted(cost, reverse=True)
    assert [len(g) for g in ensemble.groups(MIXED, most=3)] == [3, 3, 2]


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(ValueError, match=r"different shapes.*ensemble\.groups"):
        ensemble.train([SPEC, changed(d_model=64)], CORPUS)
    with pytest.raises(ValueError, match="different shapes"):
        ensemble.train([changed(seed=1, tokens=2560), SPEC], CORPUS)


def test_a_stack_of_one_is_the_plain_trainer():
    (run,) = ensemble.train([SPEC], CORPUS, CPU)
    assert run.loss == train.train(SPEC, CORPUS, CPU).loss
    assert "together" not in run.provenance["runtime"]


@pytest.mark.parametrize("here", [True, False])
def test_how_many_pay_off_is_the_devices_affair(here, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here)
    cpu, cuda = ensemble.TOGETHER_CPU, ensemble.TOGETHER_CUDA
    sizes = [ensemble.pays_off(SPEC, Runtime(device=device)) for device in ("cpu", "cuda", "auto")]
    assert sizes == [cpu, cuda, cuda if here else cpu]
    assert ensemble.pays_off(changed(batch_tokens=12_800), CPU) == 1, "big batches do not need company"
    many = [changed(seed=seed) for seed in range(12)]
    assert [len(group) for group in ensemble.groups(many, CPU)] == [8, 4]


def test_each_lane_reads_its_own_order():
    stack = ensemble.Stack([changed(seed=1), changed(seed=2)], CORPUS, CPU)
    x, y = stack.batch(5)
    for lane, loop in enumerate(stack.loops):
        expected = loop.batches[5]
        assert np.array_equal(x[lane], expected[0])
        assert np.array_equal(y[lane], expected[1])


def test_the_text_is_on_the_device_once():
    stack = ensemble.Stack(MIXED, CORPUS, CPU)
    assert sum("text" in vars(loop.batches) for loop in stack.loops) == 1
    assert len(stack.text) == len(CORPUS.train)


# Models together, width, milliseconds of an eager step of 512 tokens each on one core (Xeon of 2023, quiet).
@pytest.mark.parametrize(("k", "d_model", "measured"), [(1, 32, 4.1), (4, 32, 12.4), (8, 32, 24.9), (1, 128, 12.9)])
def test_the_estimated_time_is_near_the_measured_one(k, d_model, measured):
    spec = recipe.TEXT.spec(d_model, 512 * 1000)
    assert replace(CPU, together=k).eager_seconds(spec) == pytest.approx(measured, rel=0.5)


def test_the_choice_comes_with_its_reason():
    short = ensemble.reason(MIXED)
    assert short.startswith("8 together (up to 8 gain at 128 tokens a step), eager (about 1 s on one core;")
    long = ensemble.reason([changed(seed=s, tokens=128 * 10**7) for s in (1, 2)])
    assert long.startswith("2 together")
    assert ("compiled" in long) == runtime.has_compiler()
    assert ensemble.reason([changed(dropout=0.1)]).startswith("1 together (dropout draws from one stream)")
