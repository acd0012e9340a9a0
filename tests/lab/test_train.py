"""One spec gives one run, bit for bit, whatever happens on the way."""

import dataclasses
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import truths
from truths import CORPUS, LSTM, MODEL, SPEC, TRAIN, changed, filled, text

from scalinglaws.config import DataConfig, ModelConfig, TrainConfig, to_json
from scalinglaws.lab import ensemble, runtime, train
from scalinglaws.lab.corpus import Corpus
from scalinglaws.lab.runtime import AUTO, CPU, Runtime


@pytest.fixture(scope="module")
def reference():
    return train.train(SPEC, CORPUS)


def same_bits(a, b) -> bool:
    return (
        a.loss == b.loss
        and a.train_loss == b.train_loss
        and np.array_equal(a.curve["train_loss"], b.curve["train_loss"])
    )


def test_it_learns_what_there_is_to_learn(reference):
    entropy = -sum(p * math.log(p) for p in (0.7, 0.2, 0.1))  # 0.802 nats: no model can be better on average
    assert reference.status == "ok"
    assert reference.loss == pytest.approx(entropy, abs=0.08)
    assert reference.loss > entropy - 4 * reference.loss_se
    assert 0.005 < reference.loss_se < 0.05  # 128 sequences of 16 tokens; one token has a deviation of about 0.7


def test_the_training_loss_is_that_of_the_last_tenth_and_the_curve_is_by_tokens_seen(reference):
    curve = reference.curve
    assert curve["tokens"].tolist() == [128 * step for step in range(1, 101)]
    assert reference.train_loss == pytest.approx(curve["train_loss"][-10:].mean(), rel=1e-12)
    tokens, means = train._thin(np.arange(1024.0), 128)  # four steps a point
    assert tokens.tolist() == [512 * point for point in range(1, 257)]
    assert means.tolist() == [4 * point + 1.5 for point in range(256)]


def test_the_same_spec_gives_the_same_bits(reference):
    assert same_bits(train.train(SPEC, CORPUS), reference)


def test_the_largest_seed_trains_with_dropout():
    assert train.train(changed(seed=2**63 - 1, dropout=0.1, tokens=1280), CORPUS).status == "ok"


def test_dropout_drops_others_at_every_step_and_the_same_again():
    """The same batch at a rate of nothing: only the masks differ."""
    losses = []
    for _ in range(2):
        spec = changed(dropout=0.5, lr=1e-30)
        loop = train.Loop(spec, CORPUS, CPU)
        loop.batches = [loop.batches[0]] * 4
        state = loop.start()
        state.theta = filled(spec.model)
        loop.run(state, 4, spec.train)
        losses.append(state.losses)
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 4


def test_unique_sequences_are_the_first_ones_or_drawn_from_everywhere():
    """Sixteen tokens a sequence, eight of them a step; 20,000 tokens in all: 1249 sequences."""
    batches = {
        origin: train.Batches(CORPUS, changed(unique_tokens=3000, unique_from=origin), "cpu")
        for origin in ("start", "everywhere")
    }
    read = {o: np.concatenate([b.starts(i) for i in range(24)]) for o, b in batches.items()}  # one epoch and more
    starts = {origin: np.unique(some) for origin, some in read.items()}
    assert {origin: len(some) for origin, some in starts.items()} == {"start": 187, "everywhere": 187}
    assert starts["start"].max() == 186 * 16
    np.testing.assert_array_less(np.histogram(starts["everywhere"], 4, (0, 20_000))[0] / 187, 0.4)
    other_seed = train.Batches(CORPUS, changed(unique_tokens=3000, unique_from="everywhere", seed=1), "cpu")
    assert set(np.concatenate([other_seed.starts(i) for i in range(24)])) == set(starts["everywhere"])
    assert list(other_seed.starts(0)) != list(batches["everywhere"].starts(0))
    more = train.Batches(CORPUS, changed(unique_tokens=6000, unique_from="everywhere"), "cpu")
    assert set(starts["everywhere"]) < set(more.sequences * 16)


def test_a_long_corpus_prefix_does_not_change_the_validation(reference):
    """unique_tokens cuts the training text only."""
    run = train.train(changed(unique_tokens=5000), CORPUS)
    assert run.status == "ok"
    assert run.loss != reference.loss
    assert run.loss == pytest.approx(reference.loss, abs=0.1)


EFFECTS = {
    "n_layer": 2, "d_model": 64, "n_head": 4, "d_ff": 128, "seq_len": 32, "position": "learned", "tied": True,
    "base_d_model": 16, "base_d_head": 8, "init_scale": 0.5, "dropout": 0.3, "tokens": 6400, "batch_tokens": 256,
    "lr": 5e-3, "optimizer": "sgd", "schedule": "cosine", "warmup_tokens": 0, "cooldown_frac": 0.5,
    "final_lr_frac": 0.3, "weight_decay": 0.0, "betas": (0.8, 0.95), "eps": 1e-3,
    "grad_clip": 0.01, "seed": 4, "eval_tokens": 1024, "unique_tokens": 3000,
    "unique_from": "everywhere", "hidden_lr_ratio": 2.0, "embedding_lr_ratio": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("name", EFFECTS)
def test_every_field_has_an_effect(name, reference):
    if name == "unique_from":  # says nothing without unique_tokens
        reference = train.train(changed(unique_tokens=3000), CORPUS)
        assert train.train(changed(unique_tokens=3000, unique_from="everywhere"), CORPUS).loss != reference.loss
    else:
        assert train.train(changed(**{name: EFFECTS[name]}), CORPUS).loss != reference.loss


def test_the_table_of_effects_is_complete():
    fields = {f.name for cls in (ModelConfig, TrainConfig, DataConfig) for f in dataclasses.fields(cls)}
    elsewhere = {
        "base_n_layer",
        "chain_symbols",
        "chain_alpha",
        "family",
        "vocab_size",
        "parametrization",
        "eval_at",
        "eval_texts",  # adds scores: test_texts
        "corpus",
        "path",
        "vocab",
        "fingerprint",
    }
    assert set(EFFECTS) == fields - elsewhere


def test_parametrization_acts_away_from_the_base_width():
    wide = {"d_model": 64, "n_head": 4, "n_layer": 2}
    every = [{"parametrization": p} for p in ("mup", "standard", "completep")]
    every.append({"parametrization": "completep", "base_n_layer": 4})
    losses = [train.train(changed(**wide, **fields), CORPUS).loss for fields in every]
    assert len({*losses}) == len(losses)


def test_an_lstm_learns_the_same_text_by_the_same_trainer(reference):
    """Each token gives the next one's law: nothing that a recurrent model of this size should miss."""
    run = train.train(changed(**LSTM), CORPUS)
    assert run.loss == pytest.approx(reference.loss, abs=4 * math.hypot(run.loss_se, reference.loss_se))
    assert run.loss != reference.loss


@pytest.mark.parametrize(
    ("lengths", "fields"),
    [
        ((2560, 6400, 12_800), {}),
        ((1280, 1408, 2560), {}),  # the warm-up of ten steps reaches into the cooldown
        ((1280, 1408, 2560), {"cooldown_frac": 1.0}),
        ((256, 384, 1280), {"warmup_tokens": 129, "cooldown_frac": 0.9, "final_lr_frac": 0.3}),
    ],
)
def test_branches_are_the_runs_they_replace(lengths, fields):
    specs = [changed(tokens=n, **fields) for n in lengths]
    together = train.train_branches(specs, CORPUS)
    for run, spec in zip(together, specs, strict=True):
        assert run.spec == spec
        assert same_bits(run, train.train(spec, CORPUS))


def test_branches_refuse_other_differences():
    with pytest.raises(ValueError, match=r"differ in train\.tokens alone"):
        train.train_branches([SPEC, changed(seed=9)], CORPUS)
    with pytest.raises(ValueError, match="schedule='wsd'"):
        train.train_branches([changed(schedule="cosine")], CORPUS)


def test_scores_on_the_way_are_taken_where_asked_and_change_nothing(reference):
    run = train.train(changed(eval_at=(2560, 6400)), CORPUS)
    assert run.curve["eval_tokens"].tolist() == [2560, 6400, 12_800]
    assert run.curve["eval_loss"][-1] == run.loss == reference.loss
    assert run.curve["eval_loss"][0] > run.curve["eval_loss"][-1]


def test_schedules():
    rates = {
        s: [train.learning_rate(replace(TRAIN, schedule=s), i) for i in range(TRAIN.steps)]
        for s in ("wsd", "cosine", "constant")
    }
    for s, r in rates.items():
        assert r[:10] == pytest.approx([TRAIN.lr * (i + 1) / 10 for i in range(10)]), s  # warm-up of 10 steps
        assert max(r) == TRAIN.lr
    assert rates["constant"][10:] == [TRAIN.lr] * 90
    assert rates["wsd"][10:80] == [TRAIN.lr] * 70
    assert rates["wsd"][80:] == pytest.approx([TRAIN.lr * (20 - i) / 20 for i in range(20)])
    # Areas: warm-up 5.5 steps; then half of 90 for a cosine that ends at zero (+ 1/2, sampled at the left), and
    # 70 + 10.5 for the plateau with its cooldown.
    assert sum(rates["cosine"]) / TRAIN.lr == pytest.approx(5.5 + 45.5, abs=1e-9)
    assert sum(rates["wsd"]) / TRAIN.lr == pytest.approx(5.5 + 70 + 10.5, abs=1e-9)
    high = replace(TRAIN, schedule="cosine", final_lr_frac=0.1)
    assert train.learning_rate(high, TRAIN.steps - 1) == pytest.approx(0.1 * TRAIN.lr, rel=0.01)
    assert train.cooldown_start(TRAIN) == 81  # step 80 still has the full rate


def test_a_cooldown_that_meets_the_warm_up_ends_it():
    """Twenty steps, warm-up over all of them, cooldown over the last five."""
    config = replace(TRAIN, tokens=2560, warmup_tokens=2560, cooldown_frac=0.25)
    rates = [train.learning_rate(config, step) / TRAIN.lr for step in range(20)]
    assert rates == pytest.approx([(step + 1) / 20 for step in range(16)] + [0.8, 0.6, 0.4, 0.2])
    assert train.cooldown_start(config) == 16


def test_every_token_is_a_target_once_per_epoch():
    text = np.arange(1 + 16 * 25, dtype=np.uint16)
    corpus = Corpus(name="count", vocab_size=500, train=text, val=text, fingerprint="count")
    spec = replace(SPEC, model=replace(MODEL, vocab_size=500))
    batches = train.Batches(corpus, spec, "cpu")  # 8 sequences a step, 25 in an epoch
    seen = [batches[i] for i in range(25)]  # 8 epochs
    targets = np.concatenate([y.numpy().ravel() for _, y in seen])
    assert all((y == x + 1).all() for x, y in seen)
    assert np.array_equal(np.bincount(targets)[1:], np.full(400, 8))
    first, second = targets[:400], targets[400:800]
    assert sorted(first) == sorted(second) == list(range(1, 401))
    assert not np.array_equal(first, second)
    assert torch.equal(batches[7][0], train.Batches(corpus, spec, "cpu")[7][0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"eval_tokens": 10**6}, ["eval_tokens=1000000", "20000 tokens"]),
        ({"unique_tokens": 10**6}, ["unique_tokens=1000000", "20000 training tokens"]),
        ({"unique_tokens": 10}, ["10 training tokens", "sequence of 17: raise unique_tokens or take"]),
        ({"vocab_size": 8}, ["vocab_size=8", "16 symbols", "set vocab_size=16"]),
    ],
)
def test_what_the_corpus_cannot_give_is_said_in_one_line(fields, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train.train(changed(**fields), CORPUS)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("device", "gpu", "device='gpu': choose one of 'auto', 'cpu', 'cuda'"),
        ("device", "cuda:0", "device='cuda:0'"),
        ("precision", "fp16", "precision='fp16': choose one of 'auto', 'fp32', 'bf16'"),
        ("precision", "bfloat16", "precision='bfloat16'"),
        ("compile", "no", "compile='no': choose one of None, False, True"),
    ],
)
def test_a_runtime_that_there_is_not_is_refused(name, value, words):
    with pytest.raises(ValueError, match=words):
        Runtime(**{name: value})


def test_texts_without_a_sequence_are_too_short():
    for part in ("train", "val"):
        with pytest.raises(ValueError, match=r"16 .* tokens hold no sequence of 17: take a longer text"):
            train.train(SPEC, replace(CORPUS, **{part: text(n=16)}))


def test_cuda_is_refused_in_words_where_there_is_none():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    with pytest.raises(ValueError, match="torch sees no CUDA GPU"):
        train.train(SPEC, CORPUS, Runtime(device="cuda"))


@pytest.mark.parametrize(
    ("there", "capability", "compiled"), [(True, (9, 0), True), (True, (6, 1), False), (None, (9, 0), False)]
)
def test_long_runs_are_compiled_on_cuda_where_triton_is(monkeypatch, there, capability, compiled):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: there if name == "triton" else None)
    monkeypatch.setattr(runtime.shutil, "which", lambda name: name)
    long, short = changed(tokens=128 * 10**6), changed()
    assert AUTO.resolve(long) == Runtime(device="cuda", precision="bf16", compile=compiled)
    assert not AUTO.resolve(short).compile
    assert not AUTO.resolve(changed(tokens=128 * 10**6, **LSTM)).compile


EXPLODING = {"optimizer": "sgd", "lr": 1e3, "grad_clip": 0.0}
LOST = {"lr": 1e3, "weight_decay": 0.0}  # AdamW: losses of hundreds, all finite


def test_divergence_is_a_status():
    run = train.train(changed(**EXPLODING), CORPUS)
    assert run.status == "diverged"
    assert "loss" in run.message
    assert math.isnan(run.loss)
    assert len(run.curve["train_loss"])
    branches = train.train_branches([changed(**EXPLODING, tokens=n) for n in (6400, 12_800)], CORPUS)
    assert [b.status for b in branches] == ["diverged", "diverged"]


@pytest.mark.parametrize("steps", [1, 40])
def test_a_short_run_that_explodes_has_diverged(steps):
    run = train.train(changed(**LOST, warmup_tokens=0, tokens=128 * steps), CORPUS)
    assert run.status == "diverged"
    assert "a uniform guess has 2.773" in run.message
    assert math.isnan(run.loss)
    assert not run.scores


def test_an_over_fitted_run_is_a_result():
    """Eighty letters learned by heart: sure of itself on new text and wrong, far above a uniform guess."""
    noise = np.random.default_rng(0).integers(16, size=20_000).astype(np.uint8)
    by_heart = Corpus(name="noise", vocab_size=16, train=noise, val=noise[10_000:], fingerprint="noise")
    fields = {"unique_tokens": 81, "tokens": 25_600, "weight_decay": 0.0, "lr": 0.03, "d_model": 64, "n_head": 4}
    specs = [changed(**fields, seed=seed) for seed in (0, 1)]
    for run in (train.train(specs[0], by_heart, CPU), *ensemble.train(specs, by_heart, CPU)):
        assert run.status == "ok"
        assert run.loss > math.log(16) + 1
        assert run.train_loss < math.log(16) / 2


@pytest.mark.parametrize("fields", [EXPLODING, LOST])
def test_a_run_that_has_diverged_does_so_again_from_its_checkpoint(tmp_path, fields):
    def once():
        return train.train(changed(**fields), CORPUS, checkpoint=tmp_path / "run.npz", checkpoint_seconds=0)

    first = once()
    assert first.status == "diverged"
    for _ in range(3):
        again = once()
        assert (again.status, again.message) == (first.status, first.message)


def test_bf16_is_close_to_fp32(reference):
    """bf16 keeps 8 bits: on these losses it differs by about 1e-3 nats, seeds by 5e-3 (measured)."""
    run = train.train(SPEC, CORPUS, Runtime(device="cpu", precision="bf16"))
    assert run.loss != reference.loss
    assert run.loss == pytest.approx(reference.loss, abs=0.02)


def test_compiled_steps_equal_plain_ones(reference):
    if not runtime.has_compiler():
        pytest.skip("no C++ compiler for torch.compile")
    run = train.train(SPEC, CORPUS, Runtime(device="cpu", precision="fp32", compile=True))
    # One step differs in the last bit of a float32; 100 steps of training amplify that to some 1e-5.
    assert run.loss == pytest.approx(reference.loss, abs=1e-4)


def test_provenance_is_complete(reference):
    assert reference.provenance.keys() == {"commit", "versions", "device", "runtime", "fingerprint", "time"}
    assert "torch" in reference.provenance["versions"]
    assert reference.provenance["fingerprint"] == "steps"
    assert reference.seconds > 0


@pytest.mark.parametrize("folder", ["lib/scalinglaws", ".venv/lib/python3.11/site-packages/scalinglaws"])
def test_the_commit_is_that_of_a_checkout_of_this_project(tmp_path, monkeypatch, folder):
    """Not that of another project which has it installed in a folder of its own."""
    (tmp_path / folder).mkdir(parents=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(runtime, "PACKAGE", tmp_path / folder)
    assert len(runtime.commit.__wrapped__()) == (12 if folder == "lib/scalinglaws" else 0)


def test_a_checkpoint_resumes_to_the_same_bits(tmp_path, reference, monkeypatch):
    path = tmp_path / "run.npz"
    calls = []
    save = train.save_state

    def save_then_stop(*args):
        save(*args)
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_state", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(SPEC, CORPUS, checkpoint=path, checkpoint_seconds=0)
    assert calls
    assert path.exists()
    monkeypatch.setattr(train, "save_state", save)
    assert same_bits(train.train(SPEC, CORPUS, checkpoint=path), reference)
    assert same_bits(train.train(SPEC, CORPUS, checkpoint=path), reference), (
        "from the last state, nothing is left to do"
    )


def test_a_checkpoint_that_cannot_be_written_costs_no_run(tmp_path, reference):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="cannot write .*; training goes on without a checkpoint") as caught:
        run = train.train(SPEC, CORPUS, checkpoint=tmp_path / "file" / "run.npz", checkpoint_seconds=0)
    assert same_bits(run, reference)
    assert len(caught) == 1


def test_the_state_is_saved_when_it_is_due_and_once_at_the_end(tmp_path, monkeypatch):
    """A clock that goes 1 s at each look; the losses are judged at steps 50 and 100 all the same."""
    saved, judged, clock = [], [], itertools.count()
    monkeypatch.setattr(train.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(train, "save_state", lambda path, state, spec: saved.append((state.step, len(state.losses))))
    monkeypatch.setattr(train, "diverged", lambda losses, spec: judged.append(len(losses)))
    train.train(SPEC, CORPUS, checkpoint=tmp_path / "run.npz", checkpoint_seconds=30)
    assert saved == [(30, 30), (60, 60), (90, 90), (100, 100)]
    assert judged == [50, 100]


CHILD = """
import sys
sys.path.insert(0, {tests!r})
import truths as t
from scalinglaws.lab import train
spec = t.changed(tokens=128_000)
train.train(spec, t.CORPUS, checkpoint={path!r}, checkpoint_seconds=0)
"""


@pytest.mark.posix
def test_kill_9_in_the_middle_loses_nothing(tmp_path):
    """Three kills at different moments; the run ends with the bits of an undisturbed one."""
    path = tmp_path / "run.npz"
    code = CHILD.format(tests=os.path.dirname(truths.__file__), path=str(path))
    reached = 0
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", code])
        while child.poll() is None:
            if path.exists() and (step := train.load_state(path, changed(tokens=128_000), "cpu").step) > reached:
                child.send_signal(signal.SIGKILL)
                reached = step
                break
            time.sleep(0.01)
        child.wait()
        assert child.returncode == -signal.SIGKILL
    assert 0 < reached < 1000
    spec = changed(tokens=128_000)
    assert same_bits(train.train(spec, CORPUS, checkpoint=path), train.train(spec, CORPUS))


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    loop = train.Loop(SPEC, CORPUS, AUTO)
    train.save_state(path, loop.start(), SPEC)
    with pytest.raises(ValueError, match=rf"belongs to run {SPEC.hash}"):
        train.load_state(path, changed(seed=9), "cpu")
    np.save(tmp_path / "run.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"damaged \(run\.npy: one array"):
        train.load_state(tmp_path / "run.npy", SPEC, "cpu")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"damaged.*delete it"):
        train.load_state(path, SPEC, "cpu")
    assert to_json(SPEC)  # the spec itself is untouched


@pytest.mark.parametrize(("stored", "uploaded"), [(np.uint8, torch.uint8), (np.uint16, torch.int32)])
def test_the_text_takes_little_room_on_a_device(stored, uploaded):
    corpus = replace(CORPUS, train=CORPUS.train.astype(stored))
    assert train.Batches(corpus, SPEC, "meta").text.dtype == uploaded
    text = torch.as_tensor(train.Batches(corpus, SPEC, "cpu").text.astype(np.dtype(str(uploaded).split(".")[1])))
    starts = np.arange(5) * 16
    assert torch.equal(train.cut(text, starts, 16)[1], train.cut(CORPUS.train, starts, 16)[1])


def test_the_ninth_compilation_of_a_process_is_one(monkeypatch):
    graphs, real = [], torch.compile
    count = lambda graph, _: graphs.append(graph) or graph.forward  # noqa: E731
    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, backend=count, **options))
    lengths = range(2, 12)
    for n in lengths:
        assert len(train.compiled(lambda x: 2 * x)(torch.ones(n))) == n
    assert len(graphs) == len(lengths)


def test_steps_take_no_new_memory_from_the_system():
    if not runtime.keep_memory():
        pytest.skip("this C library keeps memory in its own way")
    from resource import RUSAGE_SELF, getrusage

    spec = changed(tokens=1_024_000, batch_tokens=4096, d_model=64, vocab_size=256)
    loop = train.Loop(spec, CORPUS, CPU)
    state = loop.start()
    loop.run(state, 10, spec.train)
    before = getrusage(RUSAGE_SELF).ru_minflt
    loop.run(state, 30, spec.train)
    # The logits alone, 4 MB, are a thousand pages a step.
    assert (getrusage(RUSAGE_SELF).ru_minflt - before) / 20 < 100


@pytest.mark.gpu
@pytest.mark.parametrize("spec", [SPEC, changed(**LSTM)], ids=["transformer", "lstm"])
def test_cuda_agrees_with_the_cpu(spec):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    runs = (train.train(spec, CORPUS, Runtime(device=device, precision="fp32")) for device in ("cuda", "cpu"))
    assert next(runs).loss == pytest.approx(next(runs).loss, abs=2e-3)
