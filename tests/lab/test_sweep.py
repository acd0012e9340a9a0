"""A sweep trains what is missing, whatever is killed, full or at work on it at the same time."""

import errno
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from truths import letters

from scalinglaws import counting, files, runs
from scalinglaws.cli import main
from scalinglaws.cli.main import _parser
from scalinglaws.config import DataConfig
from scalinglaws.lab import engines, ensemble, grids, locks, sweep, train
from scalinglaws.lab.runtime import Runtime
from scalinglaws.recipe import SYNTHETIC, TEXT, Recipe
from scalinglaws.runs import RunStore

TINY = Recipe(data=DataConfig(corpus="files", path="text.txt"), seq_len=16, d_head=8, batch_tokens=64, warmup_tokens=64)
SCRIPT = Path(sys.executable).with_name("scalinglaws")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
SWEEP = """
from scalinglaws.lab import grids
from scalinglaws.config import DataConfig
from scalinglaws.recipe import Recipe

def specs():
    data = DataConfig(corpus="files", path="text.txt")
    tiny = Recipe(data=data, seq_len=16, d_head=8, batch_tokens=64, warmup_tokens=64)
    grid, schedules = grids.grid(tiny, (8, 16), (3200, 6400), (0, 1)), grids.schedules(tiny, (8,), (1600, 3200))
    constant = [grids.vary(s, schedule="constant") for s in grids.grid(tiny, (8,), range(640, 3840, 320))]
    return [grids.vary(spec, eval_tokens=512) for spec in grid + schedules + constant]
"""
N_RUNS = 21  # one belongs to two designs
# What may differ between two trainings of the same spec on the same machine: times, and the tree they were made from.
CLOCK = ["seconds", "tokens_per_second", "time", "commit"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a text, a sweep on it, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path / "cache"))
    ENVIRONMENT["SCALINGLAWS_CACHE"] = str(tmp_path / "cache")
    (tmp_path / "text.txt").write_text(letters())
    (tmp_path / "mine.py").write_text(SWEEP)
    return tmp_path


def short(seeds=(0,), widths=(8,), lengths=(640,), **fields):
    """Specs that train in some hundredths of a second."""
    return [grids.vary(spec, **{"eval_tokens": 512} | fields) for spec in grids.grid(TINY, widths, lengths, seeds)]


def alike(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether two tables are equal to the last bit but for what a clock says."""
    return a.drop(columns=CLOCK).equals(b.drop(columns=CLOCK))


def quiet(specs, store="store", **options) -> pd.DataFrame:
    return sweep.run(specs, store, progress=False, **options)


# Designs.


def test_a_grid_keeps_the_lengths_of_a_model_together():
    specs = grids.grid(SYNTHETIC, (16, 32), (2e5, 4e5), (0, 1), n_layer=2)
    assert specs[:3] == [
        SYNTHETIC.spec(16, 2e5, n_layer=2),
        SYNTHETIC.spec(16, 4e5, n_layer=2),
        SYNTHETIC.spec(16, 2e5, n_layer=2, seed=1),
    ]
    assert len(set(specs)) == 8


def test_isoflop_meets_its_budgets_as_executed():
    specs = grids.isoflop(TEXT, (1e11, 4e11), (16, 32, 64), (0, 1))
    assert len(set(specs)) == 12
    for spec, budget in zip(specs, np.repeat([1e11, 4e11], 6), strict=True):
        assert counting.flops(spec.model, spec.train.tokens) == pytest.approx(budget, rel=0.02)
        assert 6 * counting.count(spec.model).n_params_nonemb * spec.train.tokens < 0.8 * budget  # 6 N D is another C
    with pytest.raises(ValueError, match=r"budget=1e\+09 is .* tokens for d_model=64, .* has 10240: leave that width"):
        grids.isoflop(TEXT, (1e9,), (64,))


def test_lr_width_crosses_rates_and_parametrizations():
    specs = grids.lr_width(TEXT, (32, 64), (1e-3, 1e-2), seeds=(0, 1), tokens=2e4)
    assert len(set(specs)) == 16
    assert {(s.model.d_model, s.model.parametrization, s.train.lr, s.train.seed) for s in specs} == {
        (d, p, lr, seed) for d in (32, 64) for p in ("standard", "mup") for lr in (1e-3, 1e-2) for seed in (0, 1)
    }


def test_batch_scores_on_the_way_and_takes_a_length_for_each():
    specs = grids.batch(TEXT, 32, (128, 1024), (1e-3, 1e-2), {128: 51_200, 1024: 102_400}, evals=8)
    assert [(s.train.batch_tokens, s.train.tokens, s.train.lr) for s in specs] == [
        (128, 51_200, 1e-3), (128, 51_200, 1e-2), (1024, 102_400, 1e-3), (1024, 102_400, 1e-2),
    ]  # fmt: skip
    for spec in specs:
        assert len(spec.train.eval_at) == 8
        assert spec.train.eval_at[-1] == spec.train.tokens
        assert np.ptp(np.diff(spec.train.eval_at)) <= spec.train.batch_tokens


def test_shapes_hold_the_size():
    specs = grids.shapes(TEXT, 12 * 192**2, (1, 2, 3, 6), 1e5, ff_ratios=(1, 4))
    sizes = [counting.count(spec.model).n_params_nonemb for spec in specs]
    assert [spec.model.n_layer for spec in specs] == [1, 1, 2, 2, 3, 3, 6, 6]
    assert {spec.model.d_ff / spec.model.d_model for spec in specs} == {1, 4}
    assert 0.85 <= min(sizes) / (12 * 192**2) <= max(sizes) / (12 * 192**2) <= 1.15
    assert specs[1].model.d_model == 192
    with pytest.raises(ValueError, match=r"n_layer=8 and ff_ratio=4: the nearest is d_model=16 with 24576"):
        grids.shapes(TEXT, 12_288, (1, 8), 1e5)


def test_a_table_of_runs_becomes_specs_of_the_nearest_widths():
    table = pd.DataFrame({"N": [3000.0, 12_000.0, 12_000.0], "D": [1e5, 2e5, 2e5], "seed": [0, 0, 1]})
    specs = grids.listed(TEXT, table)
    assert [spec.model.d_model for spec in specs] == [16, 32, 32]
    assert specs == [
        TEXT.spec(width, D, seed=seed) for width, D, seed in zip((16, 32, 32), table["D"], (0, 0, 1), strict=True)
    ]
    assert grids.listed(TEXT, table.drop(columns="seed"))[2].train.seed == 0
    with pytest.raises(ValueError, match=r"N=6000 with n_layer=1: the nearest is d_model=16 with 3072"):
        grids.listed(TEXT, pd.DataFrame({"N": [6000], "D": [1e5]}))


def test_schedules_share_lengths_and_the_longest_cosine_is_scored_at_the_others():
    specs = grids.schedules(TEXT, (32,), (40_960, 20_480, 81_920))
    assert len(set(specs)) == 6
    wsd, cosine = specs[:3], specs[3:]
    assert len({sweep.work(wsd)[spec] for spec in wsd}) == 3
    assert [s.train.tokens for s in wsd] == [s.train.tokens for s in cosine] == [20_480, 40_960, 81_920]
    assert {s.train.schedule for s in wsd} == {"wsd"}
    assert {(s.train.schedule, s.train.final_lr_frac) for s in cosine} == {("cosine", 0.1)}
    assert [s.train.eval_at for s in cosine] == [(), (), (20_480, 40_960)]


def test_repeats_are_of_the_same_text_and_fresh_ones_are_not():
    specs = grids.repeats(TEXT, 32, 51_200, (1, 4))
    assert [(s.data.unique_tokens, s.data.unique_from, s.train.tokens) for s in specs] == [
        (51_200, "everywhere", 51_200), (51_200, "everywhere", 204_800),
        (None, "start", 51_200), (None, "start", 204_800),
    ]  # fmt: skip
    both = grids.repeats(TEXT, 32, 51_200, (1, 4), origins=("everywhere", "start"))
    assert [s.data.unique_from for s in both[:4]] == ["everywhere"] * 2 + ["start"] * 2
    assert grids.repeats(TEXT, 32, 51_200, (1, 4), fresh=False) == specs[:2]


def test_vary_finds_the_part_and_refuses_what_no_part_has():
    spec = grids.vary(TEXT.spec(32, 1e5), dropout=0.1, weight_decay=0.2, unique_tokens=1000)
    assert (spec.model.dropout, spec.train.weight_decay, spec.data.unique_tokens) == (0.1, 0.2, 1000)
    with pytest.raises(ValueError, match="learning_rate: no field of model, train or data"):
        grids.vary(spec, learning_rate=0.1)


# What it will cost.


def test_the_work_of_a_trunk_is_counted_once():
    specs = grids.grid(TEXT, (32,), (102_400, 204_800, 409_600))
    each = [counting.flops(s.model, s.train.tokens) for s in specs]
    cost = sweep.work(specs)
    assert [cost[s] for s in specs] == pytest.approx([each[0], each[1] - 0.8 * each[0], each[2] - 0.8 * each[1]])
    assert list(sweep.work(specs[2:]).values()) == [each[2]]
    cosine = [grids.vary(s, schedule="cosine") for s in specs]
    assert list(sweep.work(cosine).values()) == each


def test_a_plan_sums_up_and_reckons_with_measured_rates():
    specs = short(seeds=(0, 1, 2), widths=(8, 16), schedule="constant")
    plan = sweep.plan(specs, "store")
    assert plan[["d_model", "runs", "missing"]].to_numpy().tolist() == [[8, 3, 3], [16, 3, 3]]
    assert plan["flops"].tolist() == [counting.flops(s.model, 640) for s in specs[::3]]
    assert plan["seconds"].tolist() == pytest.approx((3 * plan["flops"] / 5e10).tolist())
    assert not Path("store").exists()
    rows = quiet(specs[:1])
    after = sweep.plan(specs, "store")
    rate = rows["flops"][0] / rows["seconds"][0]
    assert after["missing"].tolist() == [2, 3]
    assert after["seconds"].tolist() == pytest.approx((plan["flops"] * [2, 3] / rate).tolist())


def test_parts_are_disjoint_and_balanced():
    specs = short(seeds=range(20), widths=(8, 16, 24))
    parts = [sweep.part(specs, i, 3) for i in range(3)]
    assert sorted(s.hash for part in parts for s in part) == sorted(s.hash for s in specs)
    costs = [sum(sweep.work(part).values()) for part in parts]
    assert max(costs) < 2 * min(costs)
    for index, of, words in ((3, 3, "part 3/3: count the parts from 0 to 2"), (0, 0, "part 0/0: make at least one")):
        with pytest.raises(ValueError, match=words):
            sweep.part(specs, index, of)


@pytest.mark.parametrize("of", [2, 7, 40])
def test_parts_are_the_same_with_a_gpu_and_without(of, monkeypatch):
    specs = short(seeds=range(20), widths=(8, 16), lengths=(640, 1280))
    parts = []
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        parts.append([sweep.part(specs, i, of) for i in range(of)])
    assert parts[0] == parts[1]
    assert all(parts[0]), "as many trunks as shares: none is empty"
    assert sorted(s.hash for part in parts[0] for s in part) == sorted(s.hash for s in specs)


def test_a_sweep_groups_for_its_runtime(monkeypatch):
    seen, real = [], ensemble.groups
    monkeypatch.setattr(ensemble, "groups", lambda specs, runtime: seen.append(runtime.device) or real(specs, runtime))
    sweep.run(short(), "store", runtime=Runtime(device="cpu"), progress=False)
    assert seen == ["cpu"]


# The loop.


def test_runs_are_those_of_the_trainer_and_in_order():
    specs = short(seeds=(1, 0), widths=(16, 8), lengths=(640, 1280))
    table = quiet(specs)
    assert list(table["hash"]) == [s.hash for s in specs]
    alone = [train.train(spec).loss for spec in specs]
    assert table["loss"].tolist() == pytest.approx(alone, abs=1e-5)  # stacked sums are rounded otherwise: 1e-7 measured
    assert (table["status"] == "ok").all()
    assert not [p.name for p in Path("store").iterdir() if p.name.startswith(".") and p.name != ".lock"]


def test_what_is_stored_is_not_trained_again(monkeypatch):
    specs = short(seeds=(0, 1, 2))
    first = quiet(specs[:2])
    trained = []
    real = ensemble.train
    monkeypatch.setattr(ensemble, "train", lambda specs, **options: trained.extend(specs) or real(specs, **options))
    table = quiet([*specs, specs[0]])
    assert trained == [specs[2]]
    assert len(table) == 3
    pd.testing.assert_frame_equal(table[:2], first)


def test_a_complete_store_is_read_without_writing():
    specs = short()
    first = quiet(specs)
    (Path("store") / ".lock").unlink()
    files = {path: path.stat().st_mtime_ns for path in (Path("store"), *Path("store").iterdir())}
    assert alike(quiet(specs), first)
    assert {path: path.stat().st_mtime_ns for path in (Path("store"), *Path("store").iterdir())} == files


def test_the_callers_threads_are_left_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        table = quiet(short())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert table["runtime"][0].endswith("1 threads")


def test_a_job_that_raises_is_a_row_and_is_tried_again(monkeypatch):
    specs = short(seeds=(0, 1, 2))
    real = ensemble.train

    def unlucky(group, **options):
        if specs[1] in group:
            raise MemoryError("not enough\nfor this")
        return real(group, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "train", unlucky)
        table = quiet(specs)
    assert table["status"].tolist() == ["ok", "failed", "ok"]  # those of its group were trained alone
    assert table["message"][1] == "MemoryError: not enough for this"
    assert np.isnan(table["loss"][1])
    runs.check(table)
    runs.write_csv(table, "table.csv")
    assert runs.read_csv("table.csv")["status"].tolist() == table["status"].tolist()
    assert sweep.plan(specs, "store")["missing"].tolist() == [1]
    assert quiet(specs)["status"].tolist() == ["ok"] * 3


def test_a_run_that_diverges_is_a_result():
    table = quiet(short(lr=1e4, optimizer="sgd", grad_clip=0.0, lengths=(6400,)))
    assert table["status"].tolist() == ["diverged"]
    assert not sweep.plan(short(lr=1e4, optimizer="sgd", grad_clip=0.0, lengths=(6400,)), "store")["missing"].any()


def test_a_corpus_that_is_missing_is_said_before_any_job():
    with pytest.raises(ValueError, match="no such file"):
        quiet([grids.vary(spec, path="absent.txt") for spec in short()])
    assert not list(Path("store").glob("*.json"))


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_every_finished_row(monkeypatch):
    specs = short(schedule="constant", widths=(8, 16, 24))
    real, count = files.savez, iter(range(10))

    def fills_up(path, arrays):
        path.write_bytes(b"half")
        return no_space() if next(count) == 2 else real(path, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "savez", fills_up)
        with pytest.raises(OSError, match=r"No space left on device.*; 2 of 3 runs are stored, the same call trains"):
            quiet(specs)
    assert len(RunStore("store").all()) == 2
    assert {p.suffix for p in Path("store").iterdir() if not p.name.startswith(".")} == {".json", ".npz"}
    assert not list(Path("store").glob(".draft-*"))
    assert alike(quiet(specs), quiet(specs, "undisturbed"))


LIMITED = """
import resource, signal, sys
from scalinglaws import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk: the write fails, nobody is killed
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(cli.main(["sweep", "mine.py", "--out", "store"]))
"""


@pytest.mark.posix
def test_a_file_that_cannot_grow_is_one_line_and_code_2():
    """The kernel itself refuses the bytes; nothing half-written gets a run's name."""
    quiet(sweep.load("mine.py")[:1])
    done = subprocess.run([sys.executable, "-c", LIMITED], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("scalinglaws: cannot write")
    assert "File too large" in done.stderr
    assert "1 of 21 runs are stored, the same call trains the rest" in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(RunStore("store").all()) == 1


def test_a_folder_that_cannot_be_written_is_said_before_training(monkeypatch):
    monkeypatch.setattr(ensemble, "train", None)
    Path("file").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot write file.*choose another folder"):
        quiet(short(), "file")
    monkeypatch.setattr(files.tempfile, "mkstemp", lambda **_: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only")))
    with pytest.raises(OSError, match=r"cannot write store/\.writable: Read-only; free space or choose another folder"):
        quiet(short())


# Two at once, and kills.


@contextmanager
def started(*arguments, command="sweep"):
    """A process of the command, killed at the end at the latest."""
    process = subprocess.Popen(
        [SCRIPT, command, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(condition, seconds=60):
    """Wait for a condition that must come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def stored(folder="store") -> int:
    return len(list(Path(folder).glob("[0-9a-f]*.json")))


HOLD = """
import sys
from pathlib import Path
from scalinglaws.lab import locks, sweep
claims = locks.RunLocks(Path("store"))
assert claims.take(sweep.load("mine.py")[:2])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.posix
def test_a_run_that_another_process_has_is_left_to_it_until_it_dies(monkeypatch):
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.05)
    Path("store").mkdir()
    specs = sweep.load("mine.py")[:2]
    other = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    more = short(widths=(24,))
    with ThreadPoolExecutor(1) as background:
        table = background.submit(quiet, specs + more)
        wait_until(lambda: stored() == 1)  # the free one first
        time.sleep(0.3)
        assert not table.done()
        assert stored() == 1
        other.kill()
        assert (table.result(timeout=60)["status"] == "ok").all()
    other.communicate()


@pytest.mark.posix
def test_locks_of_thousands_of_runs_take_one_open_file_and_leave_one_behind(folder):
    """64 jobs of 8 trunks of 8 lengths are under way on a cluster; macOS lets a process open 256 files."""
    from resource import RLIMIT_NOFILE, getrlimit, setrlimit

    specs, limits = short(seeds=range(4096)), getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (256, limits[1]))
    try:
        with locks.RunLocks(folder) as held:
            assert held.take(specs)
            held.free(specs)
    finally:
        setrlimit(RLIMIT_NOFILE, limits)
    assert [path.name for path in folder.glob(".*")] == [".lock"]


@pytest.mark.posix
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_once_and_used(code, monkeypatch):
    def refuse(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr("fcntl.lockf", refuse)
    with pytest.warns(UserWarning, match=r"\.lock: no locks on this file system \(no locks\); give each") as said:
        table = quiet(short(widths=(8, 16)))
    assert len(said) == 1
    assert (table["status"] == "ok").all()


@pytest.mark.posix
def test_another_fault_of_locks_is_raised(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("fcntl.lockf", refuse)
    with pytest.raises(OSError, match="broken; 0 of 1 runs are stored"):
        quiet(short())


def test_a_system_without_such_locks_trains_what_is_missing(monkeypatch):
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    specs = short(widths=(8, 16))
    assert (quiet(specs)["status"] == "ok").all()
    assert stored() == len(specs)


def test_drafts_of_the_killed_go_and_those_of_the_living_stay():
    old, new = Path("store", ".draft-old"), Path("store", ".draft-new")
    for draft in (old, new):
        (draft / "job").mkdir(parents=True)
        (draft / "job" / "half.json").touch()
    day_before = time.time() - files.DRAFT_SECONDS - 60
    os.utime(old, (day_before, day_before))
    quiet(short())
    assert [path.name for path in Path("store").glob(".draft-*")] == [new.name]


@pytest.mark.posix
def test_two_commands_at_once_share_the_work():
    with started("mine.py", "--out", "store", "--json") as one, started("mine.py", "--out", "store", "--json") as two:
        tables = [json.loads(p.communicate()[0]) for p in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0)
    assert tables[0] == tables[1]  # times of day too: each run was trained by one of them
    assert len(tables[0]) == stored() == N_RUNS


KILLED = """
import os, random, signal, time
from pathlib import Path
import torch
from scalinglaws import cli
from scalinglaws.lab import ensemble, sweep, train  # once; each child has them when it is forked

torch.set_num_threads(1)

def start(*arguments):
    child = os.fork()
    if not child:
        os._exit(cli.main(["sweep", "mine.py", *arguments]))
    return child

def finish(*arguments):
    assert os.waitpid(start(*arguments), 0)[1] == 0

def stored():
    return sum(path.suffix == ".json" for path in Path("store").glob("*"))

finish("--out", "undisturbed", "--csv", "undisturbed.csv")
moments = random.Random(0)
for _ in range(10):
    goal = min(16, stored() + moments.choice((0, 1, 1, 2)))  # so that ten kills come before the end
    child = start("--out", "store")
    while stored() < goal:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    print("stored", stored(), flush=True)
finish("--out", "store", "--csv", "table.csv")
"""


@pytest.mark.posix
def test_ten_kills_change_nothing():
    """The command is killed at ten random moments, and finished then: not a digit is another."""
    done = subprocess.run([sys.executable, "-c", KILLED], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    progress = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("stored ")]
    assert len(progress) == 10
    assert progress == sorted(progress)
    assert len(set(progress)) >= 3, progress  # they came in the middle of the work
    assert alike(runs.read_csv("table.csv"), runs.read_csv("undisturbed.csv"))
    assert len(RunStore("store").all()) == N_RUNS


class Killed(BaseException):
    """Stands for SIGKILL at a place that chance would rarely hit."""


@pytest.mark.posix
@pytest.mark.parametrize("moves", range(5))
def test_a_kill_while_a_group_is_stored_stores_all_of_it_or_nothing(moves, monkeypatch):
    specs = short(seeds=(0, 1))
    assert len(ensemble.groups(specs)) == 1
    real, left = Path.replace, iter(range(moves))

    def replace_until_killed(path, target):
        if ".job-" in str(path.parent) and next(left, None) is None:
            raise Killed
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_until_killed)
        if moves < 4:  # two curves, then two runs
            with pytest.raises(Killed):
                quiet(specs)
        else:
            quiet(specs)
    assert stored() == max(0, moves - 2)
    RunStore("store").all()
    monkeypatch.setattr(ensemble, "train", None)  # nothing is left to train
    assert quiet(specs)["status"].tolist() == ["ok", "ok"]
    assert not list(Path("store").glob(".job-*"))


# Engines.


def die_once(specs, runtime, threads):
    """A job that kills its process the first time."""
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return REAL_JOB(specs, runtime, threads)


REAL_JOB = engines.train_job


@pytest.mark.posix
def test_processes_train_the_same_and_survive_the_death_of_one(monkeypatch):
    specs = short(widths=(8, 16, 24), schedule="constant")
    with monkeypatch.context() as patch, engines.Processes(1) as pool:
        patch.setattr(sweep, "train_job", die_once)
        table = quiet(specs, engine=pool)
        again = quiet(specs, engine=pool)
    assert sorted(table["status"]) == ["failed", "ok", "ok"]
    assert table.loc[table["status"] == "failed", "message"].item() == (
        "ProcessExpired: Abnormal termination, exit code -9"
    )
    assert alike(again, quiet(specs, "here"))


def test_leaving_the_pool_ends_its_workers():
    with engines.Processes(2) as pool:
        busy, *_ = [pool.submit(time.sleep, 600) for _ in range(3)]
        wait_until(busy.running)
        workers = multiprocessing.active_children()
        assert len(workers) == 2
        began = time.monotonic()
    assert not any(p.is_alive() for p in workers)
    assert time.monotonic() - began < 10
    with pytest.raises(ValueError, match="workers=0: give a whole number, at least 1"):
        engines.Processes(0)


@pytest.mark.posix
def test_a_worker_that_dies_without_a_job_is_replaced():
    with engines.Processes(1) as pool:
        first = pool.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: all(p.pid != first for p in multiprocessing.active_children()))
        time.sleep(0.3)  # pebble looks every 0.1 s
        assert pool.submit(os.getpid).result(timeout=60) != first


@pytest.mark.posix
def test_the_end_of_a_pool_says_nothing(folder):
    """Python complains of locks and memory that killed workers leave behind."""
    (folder / "pool.py").write_text(MASTER.replace("600).result()", "600)"))
    done = subprocess.run([sys.executable, "pool.py"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


MASTER = """
import os, time
from scalinglaws.lab import engines
if __name__ == "__main__":
    with engines.Processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_workers_end_with_a_master_that_is_killed(folder):
    (folder / "master.py").write_text(MASTER)
    master = subprocess.Popen([sys.executable, "master.py"], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    worker = int(master.stdout.readline())
    assert psutil.pid_exists(worker)
    master.kill()
    master.communicate()

    def gone():
        try:
            return psutil.Process(worker).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(gone)


class Queue:
    """The least that an engine has: ``submit`` and ``result``; here every third job is lost."""

    def __init__(self):
        self.jobs = []

    def submit(self, f, *args):
        self.jobs.append(args[0])
        job, lost = Future(), len(self.jobs) % 3 == 0
        job.set_exception(OSError("node lost")) if lost else job.set_result(f(*args))
        return type("Job", (), {"result": lambda _: job.result()})()


def test_any_executor_will_do():
    specs = short(widths=(8, 16, 24, 32), schedule="constant")
    with ThreadPoolExecutor(2) as threads:
        table = quiet(specs, engine=threads, at_once=2)
    assert alike(table, quiet(specs, "here"))
    lossy = quiet(specs, "lossy", engine=Queue())
    assert sorted(lossy["message"]) == ["", "", "", "OSError: node lost"]
    assert alike(quiet(specs, "lossy", engine=Queue()), table)


def test_an_engine_that_gives_up_is_said():
    class Gone:
        def submit(self, f, *args):
            job = Future()
            job.cancel()
            return job

    with pytest.raises(OSError, match=r"the engine gave up a job .*0 of 1 runs are stored, the same call trains"):
        quiet(short(), engine=Gone())


# The command.


def test_the_command_trains_and_sums_up(capsys):
    assert main(["sweep", "mine.py", "--csv", "deep/table.csv"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    table = runs.read_csv("deep/table.csv")
    assert list(table["hash"]) == [s.hash for s in sweep.load("mine.py")]
    low, high = table["loss"].min(), table["loss"].max()
    assert out.splitlines() == [
        "runs   21: 21 ok, 0 diverged, 0 failed",
        f"loss   {low:.4f} to {high:.4f} nats/token",
        f"time   {table['seconds'].sum():.1f} s of training",
        f"files  {Path('runs', 'mine')}",
    ]
    assert main(["sweep", "mine.py", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["loss"] for row in rows] == pytest.approx(table["loss"].tolist(), rel=1e-7)  # 8 digits in the file


def test_a_failed_run_is_named_and_ends_with_1(capsys, monkeypatch):
    def fail(specs, **options):
        raise MemoryError("too large")

    monkeypatch.setattr(ensemble, "train", fail)
    assert main(["sweep", "mine.py", "--part", "0/14"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("failed ")
    assert out[0].endswith(": MemoryError: too large")
    assert "loss   none" in out


def test_dry_run_prints_the_plan_and_trains_nothing(capsys, monkeypatch):
    monkeypatch.setattr(train, "train", None)
    assert main(["sweep", "synthetic", "--dry-run", "--workers", "2"]) == 0
    *rows, total = capsys.readouterr().out.splitlines()
    plan = sweep.plan(sweep.load("synthetic"), "runs/synthetic")
    assert len(rows) == 1 + 7 * 6
    assert rows[0].split() == list(plan.columns)
    assert rows[1].split()[:5] == [
        "1",
        "16",
        "3,072",
        "262,144",
        "8.86e+09",
    ]  # 3 (2 (3072 + 2048) + 4 16 16) FLOPs a token
    flops = (plan["flops"] * plan["runs"]).sum()
    seconds = plan["seconds"].sum() / 2
    assert total == f"126 runs, 126 of them missing; C {flops:.3g} FLOPs in all; about {seconds:,.0f} s on 2 workers"
    assert main(["sweep", "synthetic", "--dry-run", "--json"]) == 0
    assert [row["tokens"] for row in json.loads(capsys.readouterr().out)] == plan["tokens"].tolist()
    assert not Path("runs").exists()


def test_the_lines_of_the_guide_are_understood(folder):
    """Each call of the command, whatever stands around it."""
    guide = (Path(__file__).parents[2] / "guides/sweep.md").read_text()
    calls = re.findall(r"scalinglaws (sweep [^\n'\"#`|]*)", guide)
    assert len(calls) == 8
    for call in calls:
        words = re.sub(r"\$\w+", "2", call.replace("/sweep/mine.py", "mine.py")).split()
        args = _parser().parse_args(words)
        assert sweep.load(args.name)
        assert args.part in (None, (2, 3))


def test_dry_run_does_not_import_torch():
    code = "import sys; from scalinglaws.cli import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "sweep", "synthetic", "--dry-run"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nothing"], "no sweep 'nothing': give a Python file with a function specs(), or one of "),
        (["absent.py"], "no sweep 'absent.py'"),
        (["empty.py"], "empty.py: define a function specs() that returns a list of RunSpec"),
        (["mine.py", "--part", "13"], "'13' is no share; give one such as 0/16"),
        (["mine.py", "--part", "16/16"], "part 16/16: count the parts from 0 to 15"),
        (["mine.py", "--workers", "0"], "'0' is no number of processes; give a whole number, at least 1"),
        (["mine.py", "--out", "text.txt"], "cannot write text.txt"),
    ],
)
def test_what_a_user_can_mend_is_one_line(folder, capsys, argv, words):
    (folder / "empty.py").write_text("specs = []")
    assert main(["sweep", *argv]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err


def test_ctrl_c_says_how_to_go_on(capsys, monkeypatch):
    def interrupt(specs, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "train", interrupt)
    assert main(["sweep", "mine.py"]) == 130
    assert "what was finished is in runs/mine, the same command trains the rest" in capsys.readouterr().err


# Dask.


@pytest.fixture
def cluster(folder):
    """A scheduler and two workers, each a process of its own, as on a cluster."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.posix
def test_a_killed_dask_worker_costs_no_row(cluster, capsys):
    """One of two workers is killed in the middle of a job: the scheduler gives its job to another."""
    specs = short(widths=(8, 16, 24), lengths=(3200, 12_800), schedule="constant")
    pids = cluster.run(os.getpid)
    with ThreadPoolExecutor(1) as background:
        table = background.submit(quiet, specs, engine=cluster)
        wait_until(lambda: any(cluster.processing().values()))
        victim = next(worker for worker, running in cluster.processing().items() if running)
        os.kill(pids[victim], signal.SIGKILL)
        table = table.result(timeout=120)
    assert victim not in cluster.scheduler_info()["workers"]
    assert table["status"].tolist() == ["ok"] * 6
    assert alike(table, quiet(specs, "here"))
    assert stored() == 6
    # The command finds the same scheduler by its address.
    assert main(["sweep", "mine.py", "--dask", cluster.scheduler.address]) == 0
    assert "21 ok" in capsys.readouterr().out
