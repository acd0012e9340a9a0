"""The run store keeps what it was given or says why not; the table is checked and survives a CSV file."""

import dataclasses
import errno
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from truths import strict_json

from scalinglaws import counting, files, runs
from scalinglaws.config import DataConfig, ModelConfig, RunSpec, TrainConfig
from scalinglaws.runs import PROVENANCE, Run, RunStore

SPEC = RunSpec(
    model=ModelConfig(n_layer=2, d_model=32, n_head=2, d_ff=128, vocab_size=128, seq_len=64),
    train=TrainConfig(tokens=51_200, batch_tokens=512, lr=0.1 / 3, eval_at=(512, 1024)),
)
CURVE = {"tokens": np.arange(3) * 512, "train_loss": np.array([4.9, 3.0, 1 / 3]), "eval_loss": np.empty(0)}
RUN = Run(
    spec=SPEC,
    status="ok",
    loss=2.0 / 3,
    loss_se=0.01,
    train_loss=0.625,
    seconds=2.0,
    curve=CURVE,
    provenance=dict.fromkeys(PROVENANCE, 'x, "y" ± é') | {"commit": "000e070", "fingerprint": "1234567890123456"},
)
NAN = {"loss": math.nan, "loss_se": math.nan, "train_loss": math.inf}
DIVERGED = replace(RUN, status="diverged", message="training loss not finite by step 50", **NAN)


def other(seed: int, run: Run = RUN) -> Run:
    """The run of another seed, thus of another hash."""
    return replace(run, spec=replace(SPEC, train=replace(SPEC.train, seed=seed)))


def same(a: Run, b: Run) -> bool:
    """Whether two runs are equal to the last bit; nan equals nan."""
    curves = a.curve.keys() == b.curve.keys() and all(np.array_equal(a.curve[k], b.curve[k]) for k in a.curve)
    a, b = (dataclasses.asdict(replace(run, curve={})) for run in (a, b))
    return curves and str(a) == str(b)  # repr of a float is exact


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "new" / "folder")


# The store.


@pytest.mark.parametrize("run", [RUN, replace(RUN, curve={}), other(1)])
def test_a_stored_run_comes_back_whole(store, run):
    path = store.write(run)
    assert path == store.folder / f"{run.spec.hash}.json"
    assert same(store.read(run.spec), run)
    assert same(store.read(run.spec.hash), run)
    assert [same(r, run) for r in store.all()] == [True]


def test_a_run_that_is_written_again_replaces_the_first(store):
    store.write(RUN)
    store.write(replace(RUN, seconds=5.0))
    assert [run.seconds for run in store.all()] == [5.0]


def test_what_is_not_finite_is_null_in_the_file(store):
    text = store.write(DIVERGED).read_text()
    body = strict_json(text)
    assert [body[key] for key in NAN] == [None] * 3
    assert same(store.read(SPEC), replace(DIVERGED, train_loss=math.nan))  # all that is left of infinity


def test_missing_is_exact_and_keeps_the_order(store):
    specs = [other(seed).spec for seed in (5, 3, 9, 3, 1)]
    assert store.missing(specs) == [specs[0], specs[1], specs[2], specs[4]]
    store.write(other(3))
    store.write(other(1))
    assert store.missing(specs) == [specs[0], specs[2]]
    store.write(replace(other(5), status="failed", **NAN))
    assert store.missing(specs) == [specs[2]]  # a failed run is a row too


def test_all_is_in_the_order_of_hashes_and_leaves_other_files_alone(store):
    assert store.all() == []
    for seed in range(4):
        store.write(other(seed))
    (store.folder / "spec.json").write_text("{}")
    (store.folder / f"{SPEC.hash}.ckpt.npz").write_bytes(b"a checkpoint")
    hashes = [run.spec.hash for run in store.all()]
    assert hashes == sorted(other(seed).spec.hash for seed in range(4))


def test_a_run_that_is_not_there_is_named(store):
    with pytest.raises(ValueError, match=rf"no run {SPEC.hash} in .*: train it first"):
        store.read(SPEC)


def edited(**changes):
    """Function from a stored file's text to the same with keys changed, or removed where None."""

    def edit(text: str) -> str:
        body = json.loads(text) | changes
        return json.dumps({key: value for key, value in body.items() if value is not None})

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edited(colour="red"), "colour: no such field"),
        (edited(seconds=None), "seconds: missing"),
        (edited(spec={"model": {"n_heads": 2}}), "n_heads: no such field"),
        (edited(status="fine"), "status='fine'"),
        (edited(loss="low"), "'low'"),
        (edited(loss=[1]), "list"),
        (lambda text: text[:100], "Expecting|Unterminated"),
        (lambda text: "", "Expecting"),
        (edited(schema=0), "schema=0: give a whole number"),
        (edited(schema="new"), "schema='new': give a whole number"),
        (lambda text: "[1, 2]", "list where the fields of a run"),
        (lambda text: "7", "int where the fields of a run"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault_in_one_line(store, edit, words):
    path = store.write(RUN)
    path.write_text(edit(path.read_text()))
    with pytest.raises(ValueError, match=words) as caught:
        store.all()
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert message.endswith("delete it and train that run again")


def test_a_file_of_a_newer_version_is_not_to_be_deleted(store):
    path = store.write(RUN)
    path.write_text(edited(schema=runs.SCHEMA + 1)(path.read_text()))
    with pytest.raises(files.NewerSchema, match=r"schema=2, .* reads up to 1: install a newer") as caught:
        store.all()
    assert str(caught.value).startswith(f"{path}: ")
    assert "delete" not in str(caught.value)


def test_files_of_before_the_schema_had_a_number_are_read(store):
    path = store.write(RUN)
    body = json.loads(path.read_text())
    assert body.pop("schema") == runs.SCHEMA
    assert "schema" not in body["spec"]  # the run's own number stands for all of it
    path.write_text(json.dumps(body))
    assert same(store.read(SPEC), RUN)


def damaged(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A file cut short, with one bit turned, or with 50 bytes overwritten, at a place of the generator's choice."""
    place = int(rng.integers(len(data)))
    if kind == "cut":
        return data[:place]
    if kind == "bit":
        return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
    return (data[:place] + rng.bytes(50) + data[place + 50 :])[: len(data)]


@pytest.mark.parametrize("kind", ["cut", "bit", "bytes"])
def test_a_damaged_curve_is_named_or_harmless(store, kind):
    """Not every bit of a zip matters; those that do are found by one of five parsers, each with its own errors."""
    path = store.write(RUN)
    curve, rng = path.with_suffix(".npz"), np.random.default_rng(0)
    whole, faults = curve.read_bytes(), []
    for _ in range(200):
        curve.write_bytes(damaged(whole, kind, rng))
        try:
            found = store.read(SPEC).curve
        except ValueError as error:
            faults.append(str(error))
        else:  # a zip whose directory is cut short can lack an array, but no array is wrong
            assert all(np.array_equal(found[key], CURVE[key]) for key in found)
    assert len(faults) > 100
    assert all(fault.startswith(f"cannot read {path} (") for fault in faults)
    assert all(fault.endswith("): delete it and train that run again") for fault in faults)


def test_an_array_with_half_a_header_is_named(store):
    curve = store.write(RUN).with_suffix(".npz")
    with zipfile.ZipFile(curve, "w") as file:
        file.writestr("loss.npy", b"\x93NUMPY\x01\x00\x0a\x00{'descr': (")
    with pytest.raises(ValueError, match=rf"cannot read .*\({curve.name}: .*\): delete it and train that run again"):
        store.read(SPEC)


def test_a_run_under_another_runs_name_is_refused(store):
    path = store.write(other(1))
    path.rename(store.folder / f"{SPEC.hash}.json")
    with pytest.raises(ValueError, match=rf"{SPEC.hash}\.json holds run {other(1).spec.hash}"):
        store.all()


# Nothing of what can happen while a run is written loses or invents one.


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(
    "step",
    [(Path, "mkdir"), (files.tempfile, "mkstemp"), (np, "savez_compressed"), (Path, "write_text"), (os, "fsync"),
     (Path, "replace")],
    ids=lambda step: step[1],
)  # fmt: skip
def test_a_write_that_fails_keeps_the_earlier_runs_and_says_what_to_do(store, monkeypatch, step, code):
    store.write(RUN)
    before = sorted(store.folder.iterdir())

    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(*step, fail)
        with pytest.raises(OSError, match=f"cannot write .*: {os.strerror(code)}; free space or choose") as caught:
            store.write(other(1))
    assert "\n" not in str(caught.value)
    assert store.missing([SPEC, other(1).spec]) == [other(1).spec]
    assert same(store.read(SPEC), RUN)
    left = set(store.folder.iterdir()) - set(before)
    assert left <= {store.folder / f"{other(1).spec.hash}.npz"}  # a curve without its run is no run
    store.write(other(1))
    assert len(store.all()) == 2


def test_a_disk_that_fills_up_in_the_middle_of_a_rewrite_keeps_the_old_run(store):
    """A limit on the size of files stands for the end of the disk: the write stops for real, half way."""
    resource = pytest.importorskip("resource")
    store.write(replace(RUN, curve={}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*File too large; free space"):
            store.write(replace(RUN, curve={}, seconds=5.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [run.seconds for run in store.all()] == [2.0]
    assert [path.name for path in store.folder.iterdir()] == [f"{SPEC.hash}.json"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot write .*; free space or choose another folder"):
        RunStore(tmp_path / "file").write(RUN)


def test_a_folder_that_is_a_file_is_called_that(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for path in ("file/a.json", "file/below/a.json"):
        with pytest.raises(OSError, match=rf"cannot write .*{path}: .*{Path(path).parent} is no folder"):
            files.atomically(tmp_path / path, Path.touch)


def test_drafts_of_the_dead_are_deleted_after_a_day(store):
    """Those of a process that may still be writing are kept, and so are files that are no drafts."""
    store.write(RUN)
    (store.folder / ".notes").touch()
    before = set(store.folder.iterdir())
    for draft, days in (("old.npz", 1.1), ("young.npz", 0.9)):
        path = store.folder / (files.DRAFT + draft)
        path.touch()
        os.utime(path, (time.time() - 86_400 * days,) * 2)
    os.utime(store.folder / ".notes", (0, 0))
    store.write(RUN)
    assert set(store.folder.iterdir()) - before == {store.folder / (files.DRAFT + "young.npz")}
    assert before <= set(store.folder.iterdir())


def test_a_kill_leaves_a_draft_that_is_found(store, monkeypatch):
    seen = []
    monkeypatch.setattr(Path, "replace", lambda draft, path: seen.append(draft.name))
    store.write(RUN)
    assert all(name.startswith(files.DRAFT) for name in seen)
    assert len(seen) == 2


def test_files_are_flushed_through_a_handle_that_may_write(store, monkeypatch):
    """Windows refuses to flush any other."""
    fcntl = pytest.importorskip("fcntl")
    modes = []
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE))
    store.write(RUN)
    assert modes == [os.O_RDWR, os.O_RDWR]


def test_an_npy_is_no_npz(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(ValueError, match=r"a\.npy: one array, an \.npy, where an \.npz is needed"):
        files.loadz(tmp_path / "a.npy")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_runs as t
Path.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
t.RunStore({folder!r}).write(t.replace(t.RUN, curve={{}}))
"""


@pytest.mark.posix
def test_a_kill_between_writing_and_renaming_leaves_no_run(store):
    store.write(other(1))
    code = KILLED.format(tests=os.path.dirname(__file__), folder=str(store.folder))
    child = subprocess.run([sys.executable, "-c", code], check=False)
    assert child.returncode == -signal.SIGKILL
    assert len(list(store.folder.iterdir())) == 3  # the other run with its curve, and a draft that is nobody's
    assert [same(run, other(1)) for run in store.all()] == [True]
    assert store.missing([SPEC]) == [SPEC]
    store.write(RUN)
    assert len(store.all()) == 2


def write_many_times(folder: Path, seconds: float, stop) -> None:
    store = RunStore(folder)
    while not stop.is_set():
        store.write(replace(RUN, seconds=seconds))


def test_processes_that_write_the_same_run_leave_one_whole_run(store):
    """Two writers and a reader: at every moment there is one run, and it is one of the two."""
    store.write(RUN)
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    stop = context.Event()
    writers = [context.Process(target=write_many_times, args=(store.folder, s, stop)) for s in (2.0, 3.0)]
    for writer in writers:
        writer.start()
    end, seen = time.monotonic() + 30, set()
    while len(seen) < 2 and time.monotonic() < end:
        [run] = store.all()
        assert same(replace(run, seconds=2.0), RUN)
        seen.add(run.seconds)
    stop.set()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen == {2.0, 3.0}
    assert sorted(path.suffix for path in store.folder.iterdir()) == [".json", ".npz"]


# The table.


def table() -> pd.DataFrame:
    return runs.table([RUN, other(1, DIVERGED), replace(other(2), loss=1e-5), other(3)])


def test_a_row_has_every_column_and_its_own_numbers():
    row = RUN.row()
    assert list(row) == list(runs.dtypes())
    assert list(row)[: len(runs.COLUMNS)] == list(runs.COLUMNS)
    n = counting.count(SPEC.model)
    assert row["hash"] == SPEC.hash
    assert (row["n_params"], row["n_params_nonemb"]) == (n.n_params, n.n_params_nonemb)
    assert row["flops"] == counting.flops(SPEC.model, 51_200)
    assert row["flops_6nd"] == 6 * n.n_params_nonemb * 51_200
    assert row["tokens_per_param"] == 51_200 / n.n_params_nonemb
    assert row["tokens_per_second"] == 25_600
    assert row["fingerprint"] == "1234567890123456"  # of the corpus that was read, not the one that the spec expects
    assert row["eval_at"] == "[512, 1024]"
    assert math.isnan(replace(RUN, seconds=0.0).row()["tokens_per_second"])


def test_the_table_has_the_declared_types_whatever_is_in_it():
    spec = replace(SPEC, data=DataConfig(corpus="files", path="a.txt", unique_tokens=1000))
    huge = replace(SPEC.model, n_layer=96, d_model=12_288, n_head=96, d_ff=4 * 12_288, vocab_size=50_257)
    gpt3 = RunSpec(model=huge, train=replace(SPEC.train, tokens=512 * 10**9))
    for some in ([], [RUN], [RUN, replace(RUN, spec=spec)], [replace(RUN, spec=gpt3)]):
        df = runs.check(runs.table(some))
        assert df.dtypes.astype(str).to_dict() == runs.dtypes()
        assert len(df) == len(some)


def test_a_diverged_run_is_a_row():
    df = runs.check(table())
    assert df["status"].tolist() == ["ok", "diverged", "ok", "ok"]
    assert df["loss"].isna().tolist() == [False, True, False, False]
    assert df["message"].tolist() == ["", DIVERGED.message, "", ""]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_file_keeps_types_and_values(tmp_path, suffix):
    path, df = tmp_path / f"runs{suffix}", table()
    runs.write_csv(df, path)
    # "%.8g" keeps 8 digits: half a unit of the last is at most 5e-8 of the value.
    pd.testing.assert_frame_equal(runs.read_csv(path), df, check_exact=False, rtol=5e-8, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    whole = [column for column, kind in runs.dtypes().items() if kind == "int64"]
    pd.testing.assert_frame_equal(runs.read_csv(path)[whole], df[whole])


def test_curves_come_back_from_their_file(tmp_path):
    steps = np.arange(1, 301)
    curve = {"tokens": 512 * steps, "train_loss": 1 / steps, "eval_tokens": np.array([512 * 300])}
    long = replace(RUN, curve=curve | {"eval_loss": np.array([0.5]), "eval_se": np.array([0.01])})
    df = runs.curves([long, other(1, long), replace(other(2), curve={})], points=100)
    train = df[(df["hash"] == long.spec.hash) & (df["kind"] == "train")]
    assert train["tokens"].tolist() == (512 * 3 * np.arange(1, 101)).tolist()
    assert train["loss"].to_numpy() == pytest.approx((1 / steps).reshape(100, 3).mean(axis=1))
    assert df[df["kind"] == "eval"].iloc[0][["tokens", "loss", "loss_se"]].tolist() == [512 * 300, 0.5, 0.01]
    assert set(df["hash"]) == {long.spec.hash, other(1).spec.hash}
    runs.write_curves(df, tmp_path / "curves.npz")
    pd.testing.assert_frame_equal(runs.read_curves(tmp_path / "curves.npz"), df, rtol=1e-7, check_dtype=False)


TEXTS = ["1234e5678901", "000000000001", "123456789012", "True"]


@pytest.mark.parametrize("column", [column for column, kind in runs.dtypes().items() if kind == "str"])
def test_text_that_looks_like_a_number_stays_text(tmp_path, column):
    df = table()
    if column != "status":
        df[column] = pd.Series(TEXTS, dtype="str")
    runs.write_csv(df, tmp_path / "runs.csv")
    assert runs.read_csv(tmp_path / "runs.csv")[column].tolist() == df[column].tolist()


def test_columns_of_the_users_own_are_kept(tmp_path):
    runs.write_csv(table().assign(note="mine", score=0.5), tmp_path / "runs.csv")
    back = runs.read_csv(tmp_path / "runs.csv")
    assert back[["note", "score"]].iloc[2].tolist() == ["mine", 0.5]


@pytest.mark.parametrize("column", runs.COLUMNS)
def test_a_missing_column_is_named(column):
    with pytest.raises(ValueError, match=rf"without column '{column}': .* add the column"):
        runs.check(table().drop(columns=column))


BAD_NUMBERS = [
    (column, value, f"{column}={shown} is no finite number above zero; mend it or drop the row")
    for column in ("n_params", "n_params_nonemb", "n_params_matmul", "tokens", "flops", "loss")
    for value, shown in [(0, "0"), (-2.0, "-2"), (math.nan, "nan"), (math.inf, "inf"), ("many", "'many'")]
]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("status", "fine", r"status='fine' is none of ok, diverged, failed; mend it or drop the row"),
        ("status", None, r"status=(None|nan) is none of"),
        ("hash", SPEC.hash, rf"hash='{SPEC.hash}' stands twice; drop one of the rows"),
        *BAD_NUMBERS,
    ],
)
def test_a_bad_value_is_refused_with_its_row_and_column(tmp_path, column, value, message):
    df = table().astype({column: object})
    df.loc[2, column] = value
    with pytest.raises(ValueError, match=rf"^row 2: {message}") as caught:
        runs.check(df)
    assert "\n" not in str(caught.value)
    path = tmp_path / "runs.csv"
    with pytest.raises(ValueError, match="row 2"):
        runs.write_csv(df, path)
    assert list(tmp_path.iterdir()) == []
    df.to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"^row 2: {column}="):
        runs.read_csv(path)


def test_a_number_that_cannot_be_one_is_named_by_its_column(tmp_path):
    df = table().astype({"lr": object})
    df.loc[1, "lr"] = "fast"
    df.to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(ValueError, match=r"'fast'.*column 'lr'"):
        runs.read_csv(tmp_path / "runs.csv")


def test_a_run_without_a_finite_loss_is_not_ok():
    for loss in (math.nan, math.inf):
        with pytest.raises(ValueError, match="has diverged or failed"):
            replace(RUN, loss=loss)
    with pytest.raises(ValueError, match="status='fine'"):
        replace(RUN, status="fine")


# Verbs.


def test_points_are_the_columns_that_a_fit_takes():
    df = runs.table([RUN, other(1)])
    found = runs.points(df, N="n_params", C="flops_6nd")
    assert list(found) == ["N", "D", "L", "C"]
    row, want = found.iloc[0], RUN.row()
    assert row.tolist() == [want["n_params"], want["tokens"], want["loss"], want["flops_6nd"]]
    assert runs.points(df)["N"].tolist() == [want["n_params_nonemb"]] * 2
    with pytest.raises(ValueError, match=r"^N='params': no such column; the table has hash, "):
        runs.points(df, N="params")


def test_past_the_plateau_is_below_it_and_half_way_down_where_the_floor_is_known():
    losses = [math.nan, 1.0, 1.4, 1.6, 1.9, 2.0, 3.0]
    df = pd.DataFrame({"loss": losses})
    assert runs.past_plateau(df, 2.0).index.tolist() == [1, 2, 3, 4]
    assert runs.past_plateau(df, 2.0, floor=1.0).index.tolist() == [1, 2]


def of(**changes) -> Run:
    """The run of a changed spec: of another width, length, seed, rate or text."""
    model = replace(SPEC.model, **{k: v for k, v in changes.items() if k in ("d_model", "d_ff")})
    train = replace(SPEC.train, **{k: v for k, v in changes.items() if k in ("tokens", "seed", "lr")})
    return replace(RUN, spec=RunSpec(model=model, train=train, data=DataConfig(unique_tokens=changes.get("unique"))))


def test_labels_of_trunks_and_cells_tell_apart_all_but_length_and_seed():
    """A trunk is all lengths of one model, a cell all seeds of one length; another rate or text is another of both."""
    df = runs.table(
        [
            of(),
            of(tokens=102_400),
            of(seed=1),
            of(seed=1, tokens=102_400),
            of(d_model=64),
            of(d_model=64, lr=0.5),
            of(d_model=64, unique=1000),
            of(d_model=64, unique=1000, seed=1),
        ]
    )
    assert pd.factorize(runs.trunks(df))[0].tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    assert pd.factorize(runs.cells(df))[0].tolist() == [0, 1, 0, 1, 2, 3, 4, 4]
    assert runs.trunks(df[4:]).index.tolist() == [4, 5, 6, 7]
    assert runs.trunks(df[:2]).nunique() == runs.cells(df[:1]).nunique() == 1


def of_rates(**losses):
    """A table of two seeds a rate, from the losses of "WIDTH_RATE"; a loss of nan diverged."""
    made = []
    for name, pair in losses.items():
        width, octave = map(int, name.strip("_").split("_"))
        for seed, loss in enumerate(pair):
            model = replace(SPEC.model, d_model=width)
            spec = replace(SPEC, model=model, train=replace(SPEC.train, lr=2.0**-octave, seed=seed))
            made.append(replace(RUN, spec=spec, loss=loss, status="ok" if loss == loss else "diverged"))
    return runs.table(made)


def test_each_cell_has_its_best_rate_by_the_mean_over_seeds():
    table = of_rates(_32_8=(3.0, 1.0), _32_7=(1.8, 1.9), _32_6=(2.5, 2.5), _64_8=(1.0, 1.0), _64_7=(2.0, 2.0))
    best = runs.at_best_rate(table[::-1])
    assert best[["d_model", "lr", "seed", "rate_is_inside"]].to_numpy().tolist() == [
        [64, 2.0**-8, 1, False], [64, 2.0**-8, 0, False], [32, 2.0**-7, 1, True], [32, 2.0**-7, 0, True],
    ]  # fmt: skip


def test_a_rate_that_diverged_bounds_a_grid_and_is_not_the_best():
    table = of_rates(_32_8=(3.0, 3.0), _32_7=(2.0, 2.0), _32_6=(1.0, math.nan))
    best = runs.at_best_rate(table)
    assert best["lr"].tolist() == [2.0**-7] * 2
    assert best["rate_is_inside"].all()
    with pytest.raises(ValueError, match="no learning rate at which all runs finished; try lower ones"):
        runs.at_best_rate(table[4:])


@pytest.mark.parametrize("name", ["synthetic", "isoflop", "overtraining"])
def test_trunks_of_stored_runs_are_width_and_seed(name):
    """In the order in which chapters counted them before, so that resamples stay what they are."""
    df = runs.stored(name)
    labels = df["d_model"].astype(str) + " " + df["seed"].astype(str)
    np.testing.assert_array_equal(*(pd.factorize(column, sort=True)[0] for column in (labels, runs.trunks(df))))
