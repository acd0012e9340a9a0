"""The command line trains, stores, resumes; what a user can mend is one line and code 2."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from truths import letters, strict_json

from scalinglaws import files, runs
from scalinglaws.cli import main
from scalinglaws.cli import train as command
from scalinglaws.config import DataConfig, ModelConfig, RunSpec, TrainConfig, from_json, to_json
from scalinglaws.lab import train
from scalinglaws.lab.runtime import Runtime
from scalinglaws.recipe import SYNTHETIC, TEXT
from scalinglaws.runs import RunStore

SCRIPT = Path(sys.executable).with_name("scalinglaws")
SPEC = RunSpec(
    model=ModelConfig(n_layer=1, d_model=16, n_head=2, d_ff=32, vocab_size=128, seq_len=16),
    train=TrainConfig(tokens=12_800, batch_tokens=64, lr=1e-2, warmup_tokens=640, eval_tokens=1024),
    data=DataConfig(corpus="files", path="text.txt"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a text, the spec of a run on it, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(letters())
    save(SPEC)
    return tmp_path


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are added in one order, here and in the processes that a test starts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(spec: RunSpec, name: str = "spec.json") -> None:
    Path(name).write_text(to_json(spec))


def changed(**fields) -> RunSpec:
    """SPEC with fields of its training replaced."""
    return replace(SPEC, train=replace(SPEC.train, **fields))


def says(capsys, code: int, *argv: str) -> str:
    """The only line on stderr of a command that ends with a code and prints nothing on stdout."""
    assert main(list(argv)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("scalinglaws: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err.removeprefix("scalinglaws: ")


# Train.


def test_train_stores_the_run_and_sums_it_up(capsys):
    assert main(["train", "spec.json"]) == 0
    out, err = capsys.readouterr()
    run = RunStore("runs").read(SPEC)
    row = run.row()
    assert err == ""  # a progress bar is for terminals
    said = {line.split()[0]: line for line in out.splitlines()}
    assert said["run"].split()[1] == SPEC.hash
    assert [number for number in ("2,048", "4,096", "6,144") if number not in said["N"]] == []
    assert [number for number in ("12,800", "200 ", f"{12_800 / 2048:.3g}") if number not in said["D"]] == []
    assert [C for C in (row["flops"], 6 * 2048 * 12_800) if f"{C:.4g}" not in said["C"]] == []
    assert said["status"].split()[1] == "ok"
    assert f"{run.loss:.4f} ± {run.loss_se:.4f} nats" in said["loss"]
    assert [part for part in (f"{run.seconds:.1f} s", row["device"], row["runtime"]) if part not in said["time"]] == []
    assert said["file"].endswith(str(Path("runs", f"{SPEC.hash}.json")))
    entropy = 1.69  # of the letters, nats: no model knows more
    assert entropy - 0.1 < run.loss < 2.0
    assert sorted(path.name for path in Path("runs").iterdir()) == [f"{SPEC.hash}.json", f"{SPEC.hash}.npz"]


def test_json_is_the_row_and_nothing_else(capsys):
    assert main(["train", "spec.json", "--json", "--out", "deep/er"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert strict_json(out) == RunStore("deep/er").read(SPEC).row()


def test_a_stored_run_is_not_trained_again(capsys, monkeypatch):
    assert main(["train", "spec.json"]) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr(train, "train", None)
    assert main(["train", "spec.json"]) == 0
    out, err = capsys.readouterr()
    assert out == first
    assert SPEC.hash in err
    assert "not trained again" in err
    assert str(Path("runs", f"{SPEC.hash}.json")) in err  # what to delete to repeat it


def test_options_reach_the_trainer(monkeypatch):
    seen = []

    def fake(spec, corpus, runtime, **options):
        seen.append((spec, corpus.name, runtime, options))
        raise ValueError("enough")

    monkeypatch.setattr(train, "train", fake)
    flags = ["--device", "cpu", "--precision", "bf16", "--compile"]
    assert main(["train", "spec.json", *flags]) == main(["train", "spec.json", "--no-compile"]) == 2
    assert main(["train", "spec.json"]) == 2
    assert [runtime for _, _, runtime, _ in seen] == [
        Runtime(device="cpu", precision="bf16", compile=True),
        Runtime(compile=False),
        Runtime(),
    ]
    checkpoint = Path("runs", f"{SPEC.hash}.ckpt.npz")
    expected = {"checkpoint": checkpoint, "checkpoint_seconds": 5.0, "progress": False}
    assert seen[0] == (SPEC, "files", seen[0][2], expected)


def test_progress_is_shown_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["train", "spec.json", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "12.8k" in err
    assert json.loads(out)["status"] == "ok"


def test_dry_run_trains_and_stores_nothing(capsys, monkeypatch):
    monkeypatch.setattr(train, "train", None)
    assert main(["train", "spec.json", "--dry-run"]) == 0
    words = capsys.readouterr().out
    assert words.splitlines()[0] == f"run    {SPEC.hash}"
    for number in ("2,048 n_params_nonemb", "4,096 n_params_matmul", "6,144 n_params", "12,800 tokens in 200 steps"):
        assert number in words
    assert main(["train", "spec.json", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == runs.sizes(SPEC) | {"steps": 200}
    assert not Path("runs").exists()


def test_a_run_that_diverges_is_stored_and_ends_with_1(capsys):
    spec = changed(optimizer="sgd", lr=1e4, grad_clip=0.0)
    save(spec)
    assert main(["train", "spec.json"]) == 1
    assert "\nstatus diverged (" in capsys.readouterr().out
    assert RunStore("runs").read(spec).status == "diverged"
    assert main(["train", "spec.json", "--json"]) == 1  # stored, and still no result
    assert json.loads(capsys.readouterr().out)["loss"] is None


def test_another_corpus_than_expected_is_said_in_one_line(capsys):
    save(replace(SPEC, data=replace(SPEC.data, fingerprint="0123456789abcdef")))
    assert main(["train", "spec.json"]) == 0
    out, err = capsys.readouterr()
    assert "status ok" in out
    assert err.startswith("scalinglaws: files is not the expected corpus")
    assert "instead of 0123456789abcdef" in err
    assert err.count("\n") == 1


# Stop and resume.

STOPPED = """
import os, signal, sys
from scalinglaws import cli
from scalinglaws.cli import train as command
from scalinglaws.lab import train
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background inherits a deaf ear
command.CHECKPOINT_SECONDS = 0.0
rate = train.learning_rate
def stop(config, step):
    if step == 130:  # the loop offers its state every 50 steps
        os.kill(os.getpid(), {send})
    return rate(config, step)
train.learning_rate = stop
sys.exit(cli.main(["train", "spec.json"]))
"""


def must_not_start(loop):
    raise AssertionError("the run starts again instead of going on")


@pytest.mark.posix
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name, monkeypatch):
    send = getattr(signal, name)
    code = STOPPED.format(send=int(send))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run([sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True)
    checkpoint = Path("runs", f"{SPEC.hash}.ckpt.npz")
    if name == "SIGKILL":
        assert child.returncode == -send
    else:
        assert child.returncode == 130
        assert re.fullmatch(rf"scalinglaws: .*{re.escape(str(checkpoint))}\n", child.stderr)
    assert 100 <= train.load_state(checkpoint, SPEC, "cpu").step < SPEC.train.steps
    assert RunStore("runs").missing([SPEC]) == [SPEC]
    with monkeypatch.context() as patch:
        patch.setattr(train.Loop, "start", must_not_start)
        assert main(["train", "spec.json"]) == 0
    assert main(["train", "spec.json", "--out", "undisturbed"]) == 0
    resumed, undisturbed = (RunStore(name).read(SPEC) for name in ("runs", "undisturbed"))
    assert resumed.loss == undisturbed.loss
    assert np.array_equal(resumed.curve["train_loss"], undisturbed.curve["train_loss"])
    assert not checkpoint.exists()


def test_ctrl_c_before_the_first_checkpoint_is_said(capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Loop, "run", interrupt)
    assert "before the first checkpoint; the same command starts again" in says(capsys, 130, "train", "spec.json")
    monkeypatch.setattr(command, "read_spec", interrupt)
    assert says(capsys, 130, "train", "spec.json") == "stopped\n"


def cut(data: bytes) -> bytes:
    return data[:1000]


def overwrite(data: bytes) -> bytes:
    return data[:3000] + bytes(1000) + data[4000:]


@pytest.mark.parametrize("damage", [cut, overwrite])
def test_a_damaged_checkpoint_is_named(capsys, damage):
    path = Path("runs", f"{SPEC.hash}.ckpt.npz")
    train.save_state(path, train.Loop(SPEC, train.corpora.load(SPEC.data), train.AUTO).start(), SPEC)
    path.write_bytes(damage(path.read_bytes()))
    said = says(capsys, 2, "train", "spec.json")
    assert said.startswith(f"checkpoint {path} is damaged")
    assert "delete it to start the run again" in said
    path.unlink()
    assert main(["train", "spec.json"]) == 0


# What a user can mend.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "spec.json: No such file or directory; make a spec with 'scalinglaws spec'"),
        ("", "spec.json: RunSpec: the text: Invalid JSON"),
        ('{"model": {', "spec.json: RunSpec: the text: Invalid JSON"),
        ("[]", "spec.json: RunSpec: the text: Input should be an object"),
        ('"caf\xe9"', "spec.json: 'utf-8' codec can't decode"),
        (to_json(SPEC).replace("n_head", "n_heads"), "model.n_heads: no such field"),
        (to_json(SPEC).replace('"lr": 0.01', '"lr": "fast"'), "train.lr"),
        (to_json(SPEC).replace("12800", "12801"), "tokens=12801 is not a whole number of steps"),
        (to_json(SPEC).replace("text.txt", "other.txt"), "path='other.txt': no such file"),
        (to_json(SPEC).replace('"vocab": "ascii"', '"vocab": "bytes"'), "set vocab_size=256"),
        (to_json(SPEC).replace('"vocab": "ascii"', '"vocab": "my.json"'), "vocab='my.json': no such file"),
        (to_json(SPEC).replace("1024", "1000000"), "choose eval_tokens from"),
    ],
)
def test_a_spec_that_cannot_be_trained_is_explained(capsys, text, words):
    Path("spec.json").unlink()
    if text is not None:
        Path("spec.json").write_bytes(text.encode("latin-1"))
    assert words in says(capsys, 2, "train", "spec.json")
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the following arguments are required: COMMAND; see 'scalinglaws --help'"),
        (["learn"], "invalid choice: 'learn'"),
        (["train"], "SPEC.json; see 'scalinglaws train --help'"),
        (["train", "spec.json", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["train", "spec.json", "--fast"], "unrecognized arguments: --fast"),
        (["train", "."], ".: Is a directory"),
        (["train", "two\nlines.json"], "two lines.json: No such file"),
        (["spec", "--d-model", "32"], "required: --tokens"),
        (["spec", "--d-model", "wide", "--tokens", "1e6"], "argument --d-model: invalid int value: 'wide'"),
        (["spec", "--d-model", "30", "--tokens", "1e6"], "d_model=30: this recipe has heads of 16"),
        (["spec", "--d-model", "32", "--tokens", "1e6", "--n-layer", "0"], "n_layer=0"),
        *[
            (["spec", "--d-model", "32", "--tokens", n], f"'{n}' is no number above zero; give one such as 2e6")
            for n in ("many", "0", "-1", "nan", "inf")
        ],
    ],
)
def test_a_wrong_command_line_is_explained(capsys, argv, words):
    assert words in says(capsys, 2, *argv)


def test_no_gpu_is_said(capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    assert "torch sees no CUDA GPU" in says(capsys, 2, "train", "spec.json", "--device", "cuda")


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_written_is_said_before_training(capsys, monkeypatch):
    monkeypatch.setattr(train, "train", None)
    Path("file").write_text("no folder")
    assert "cannot write" in says(capsys, 2, "train", "spec.json", "--out", "file")
    monkeypatch.setattr(files.tempfile, "mkstemp", no_space)
    said = says(capsys, 2, "train", "spec.json")
    assert "No space left on device; free space or choose another folder" in said


def test_a_disk_that_is_full_after_training_does_not_cost_the_numbers(capsys, monkeypatch):
    monkeypatch.setattr(runs, "savez", no_space)
    assert main(["train", "spec.json", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "ok"
    assert err.startswith("scalinglaws: cannot write")
    assert err.count("\n") == 1


def test_a_stored_run_that_is_damaged_is_said(capsys):
    Path("runs").mkdir()
    Path("runs", f"{SPEC.hash}.json").write_text("{")
    assert "delete it and train that run again" in says(capsys, 2, "train", "spec.json")


def test_training_without_torch_says_what_to_install(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "scalinglaws.lab.runtime", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "training needs torch: pip install" in says(capsys, 2, "train", "spec.json")


# Spec and help.


@pytest.mark.parametrize(
    ("argv", "spec"),
    [
        (["--d-model", "64", "--tokens", "2e6"], TEXT.spec(64, 2e6)),
        (["--recipe", "text", "--d-model", "32", "--tokens", "51200"], TEXT.spec(32, 51_200)),
        (
            ["--recipe", "synthetic", "--d-model", "24", "--tokens", "1e5", "--n-layer", "2", "--seed", "7"],
            SYNTHETIC.spec(24, 1e5, n_layer=2, seed=7),
        ),
    ],
)
def test_spec_prints_what_the_recipe_makes(capsys, argv, spec):
    assert main(["spec", *argv]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert from_json(out, RunSpec) == spec


LIGHT = """
import sys
from scalinglaws.cli import main
for argv in {commands!r}:
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    assert code == 0, (argv, code)
heavy = {heavy!r} & sys.modules.keys()
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        (
            [["--help"], ["train", "--help"], ["spec", "--help"], ["fit", "--help"], ["plan", "--help"]],
            {"torch", "pandas", "numpy", "pydantic"},
        ),
        ([["spec", "--d-model", "32", "--tokens", "1e6"]], {"torch", "pandas", "numpy"}),
        ([["train", "spec.json", "--dry-run"]], {"torch"}),
    ],
    ids=["help", "spec", "dry-run"],
)
def test_what_does_not_train_does_not_import_torch(commands, heavy):
    code = LIGHT.format(commands=commands, heavy=heavy)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_installed_script(folder):
    """One line makes a spec, the next one counts it; errors keep their code."""
    made = subprocess.run(
        [SCRIPT, "spec", "--d-model", "32", "--tokens", "1e5"], check=True, capture_output=True, text=True
    )
    (folder / "made.json").write_text(made.stdout)
    counted = subprocess.run(
        [SCRIPT, "train", "made.json", "--dry-run", "--json"], check=True, capture_output=True, text=True
    )
    assert json.loads(counted.stdout)["hash"] == TEXT.spec(32, 1e5).hash
    wrong = subprocess.run([SCRIPT, "train", "absent.json"], check=False, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("scalinglaws: absent.json: No such file")
