"""Many specs -> many runs: designs of experiments, and the loop that trains what is missing.

A design is a function from a recipe and some numbers to a list of specs. `run` trains those that a store does not hold
yet, on this process, on several, or on any cluster that has ``.submit``; it may be killed and called again at any time,
and called twice at once.
"""

import contextlib
import dataclasses
import errno
import itertools
import math
import multiprocessing
import os
import queue
import runpy
import signal
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglaws import counting
from scalinglaws.config import Origin, Parametrization, RunSpec, by_trunk
from scalinglaws.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from scalinglaws.runs import Run, RunStore
    from scalinglaws.train import Runtime

SWEEPS = Path(__file__).parents[2] / "sweeps"  # of the checkout
FLOPS_PER_SECOND = 5e10  # of one core on small models, eager: what a plan reckons with before anything is measured
AT_ONCE = 64  # jobs that an executor is given at a time when it does not say how many workers it has
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # what file systems without locks answer
POLL_SECONDS = 1.0  # between looks at the runs that another process is training


# Designs.


def vary(spec: RunSpec, **fields) -> RunSpec:
    """``spec`` with fields replaced, in whichever of model, train and data they are."""
    parts = {part: {f.name for f in dataclasses.fields(getattr(spec, part))} for part in ("model", "train", "data")}
    unknown = set(fields).difference(*parts.values())
    if unknown:
        raise ValueError(f"{min(unknown)}: no field of model, train or data; mend its spelling")
    new = {
        part: dataclasses.replace(getattr(spec, part), **{k: v for k, v in fields.items() if k in names})
        for part, names in parts.items()
    }
    return RunSpec(**new)


def grid(
    recipe: Recipe, widths: Iterable[int], lengths: Sequence[float], seeds: Sequence[int] = (0,), *, n_layer: int = 1
) -> list[RunSpec]:
    """Widths x seeds x lengths in tokens, the lengths of a model side by side: they share a trunk."""
    return [
        recipe.spec(width, length, n_layer=n_layer, seed=seed)
        for width in widths
        for seed in seeds
        for length in lengths
    ]


def isoflop(
    recipe: Recipe, budgets: Iterable[float], widths: Sequence[int], seeds: Sequence[int] = (0,), *, n_layer: int = 1
) -> list[RunSpec]:
    """Models of several widths, each trained for the same C (Hoffmann et al. 2022, approach 2).

    ``budgets`` are FLOPs as executed: D is the budget over `counting.flops_per_token`, not over 6 N.

    Raises
    ------
    ValueError
        When the steps of a run are too coarse, or its warm-up too long, to meet a budget within 2%.
    """
    specs = []
    for budget, width in itertools.product(budgets, widths):
        tokens = budget / counting.flops_per_token(recipe.model(width, n_layer))
        for seed in seeds:
            spec = recipe.spec(width, tokens, n_layer=n_layer, seed=seed)
            if abs(spec.train.tokens / tokens - 1) > 0.02:
                raise ValueError(
                    f"budget={budget:.4g} is {tokens:.4g} tokens for d_model={width}, and the nearest run has "
                    f"{spec.train.tokens}: leave that width out, or shorten batch_tokens and warmup_tokens"
                )
            specs.append(spec)
    return specs


def lr_width(
    recipe: Recipe,
    widths: Iterable[int],
    lrs: Sequence[float],
    parametrizations: Sequence[Parametrization] = ("standard", "mup"),
    seeds: Sequence[int] = (0,),
    *,
    tokens: float,
    n_layer: int = 1,
) -> list[RunSpec]:
    """Learning rates x widths under several parametrizations; the runs of one shape side by side."""
    return [
        vary(recipe.spec(width, tokens, n_layer=n_layer, seed=seed), parametrization=parametrization, lr=lr)
        for width in widths
        for parametrization in parametrizations
        for lr in lrs
        for seed in seeds
    ]


def batch(
    recipe: Recipe,
    width: int,
    batches: Iterable[int],
    lrs: Sequence[float],
    tokens: float | Mapping[int, float],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    evals: int = 32,
) -> list[RunSpec]:
    """Batches x learning rates at one size, each scored ``evals`` times on the way: steps to a target loss.

    ``batches`` are ``batch_tokens``; ``tokens`` one length for all or a length for each, since large batches need more.
    """
    specs = []
    for batch_tokens in batches:
        length = tokens[batch_tokens] if isinstance(tokens, Mapping) else tokens
        mine = dataclasses.replace(recipe, batch_tokens=batch_tokens)
        for lr, seed in itertools.product(lrs, seeds):
            spec = mine.spec(width, length, n_layer=n_layer, seed=seed)
            steps = {max(1, round(spec.train.steps * i / evals)) for i in range(1, evals + 1)}
            specs.append(vary(spec, lr=lr, eval_at=tuple(step * batch_tokens for step in sorted(steps))))
    return specs


def shapes(
    recipe: Recipe,
    n_params_nonemb: float,
    depths: Iterable[int],
    tokens: float,
    seeds: Sequence[int] = (0,),
    *,
    ff_ratios: Sequence[int] = (4,),
    within: float = 0.15,
) -> list[RunSpec]:
    """Depths x feed-forward ratios, each with the width that comes closest to one N (Kaplan et al. 2020, figure 5).

    Raises
    ------
    ValueError
        When no width, a multiple of ``recipe.d_head``, meets ``n_params_nonemb`` within a share of ``within``.
    """
    specs = []
    for n_layer, ff_ratio in itertools.product(depths, ff_ratios):
        mine = dataclasses.replace(recipe, ff_ratio=ff_ratio)
        ideal = math.sqrt(n_params_nonemb / (n_layer * (4 + 2 * ff_ratio)))
        width = max(1, round(ideal / recipe.d_head)) * recipe.d_head
        n = counting.count(mine.model(width, n_layer)).n_params_nonemb
        if abs(n / n_params_nonemb - 1) > within:
            raise ValueError(
                f"n_params_nonemb={n_params_nonemb:.4g} with n_layer={n_layer} and ff_ratio={ff_ratio}: the nearest is "
                f"d_model={width} with {n}; leave that depth out, take a larger size, or raise within={within:g}"
            )
        specs += [mine.spec(width, tokens, n_layer=n_layer, seed=seed) for seed in seeds]
    return specs


def schedules(
    recipe: Recipe,
    widths: Iterable[int],
    lengths: Sequence[float],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    final_lr_frac: float = 0.1,
) -> list[RunSpec]:
    """Three ways to many lengths: WSD branches, a cosine matched to each, and the longest cosine scored on its way.

    The longest cosine is both the match of its own length and, through ``eval_at``, the one cut short at the others.
    """
    specs = []
    for width, seed in itertools.product(widths, seeds):
        wsd = [vary(s, schedule="wsd") for s in grid(recipe, [width], sorted(lengths), [seed], n_layer=n_layer)]
        matched = [vary(spec, schedule="cosine", final_lr_frac=final_lr_frac) for spec in wsd]
        cut_short = vary(matched[-1], eval_at=tuple(spec.train.tokens for spec in matched[:-1]))
        specs += [*wsd, *matched[:-1], cut_short]
    return specs


def repeats(
    recipe: Recipe,
    width: int,
    unique_tokens: int,
    epochs: Iterable[int],
    seeds: Sequence[int] = (0,),
    *,
    n_layer: int = 1,
    origins: Sequence[Origin] = ("everywhere",),
    fresh: bool = True,
) -> list[RunSpec]:
    """The same ``unique_tokens`` for several epochs (Muennighoff et al. 2023); ``fresh``: on new text too.

    ``origins`` are where the unique tokens come from: a sample of the whole corpus, its start, or one after the other.
    """
    lengths = [unique_tokens * n for n in epochs]
    new = grid(recipe, [width], lengths, seeds, n_layer=n_layer)
    again = [vary(s, unique_tokens=unique_tokens, unique_from=origin) for origin in origins for s in new]
    return again + new * fresh


def load(name: str) -> list[RunSpec]:
    """The specs of a sweep: a file of the checkout's ``sweeps``, or any Python file with ``specs() -> list[RunSpec]``.

    A spec that several designs of the file have in common counts once.

    Raises
    ------
    ValueError
        When there is no such file, or it has no ``specs``, or they are no specs.
    """
    path = Path(name) if name.endswith(".py") else SWEEPS / f"{name}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SWEEPS.glob("*.py"))) or "none: work from a checkout"
        raise ValueError(f"no sweep {name!r}: give a Python file with a function specs(), or one of {known}")
    make = runpy.run_path(str(path)).get("specs")
    specs = list(make()) if callable(make) else []
    if not specs or not all(isinstance(spec, RunSpec) for spec in specs):
        raise ValueError(f"{path}: define a function specs() that returns a list of RunSpec")
    return list(dict.fromkeys(specs))


# What it will cost.


def work(specs: Iterable[RunSpec]) -> dict[RunSpec, float]:
    """FLOPs to train each spec; a length of a WSD trunk costs its cooldown and what it adds to the trunk."""
    out = {}
    for trunk in by_trunk(specs):
        there = 0.0  # tokens that the trunk has seen when this run leaves it
        for spec in trunk:
            out[spec] = counting.flops_per_token(spec.model) * (spec.train.tokens - there)
            there = (1 - spec.train.cooldown_frac) * spec.train.tokens
    return out


def plan(specs: Iterable[RunSpec], store: "RunStore | str | Path") -> "pd.DataFrame":
    """What a sweep comes to: a row for each N and D.

    Returns
    -------
    DataFrame
        ``n_layer``, ``d_model``, ``n_params_nonemb``, ``tokens`` and ``flops`` of one run, ``runs``, how many are
        ``missing`` from the store, and the ``seconds`` those take one worker. The rate is that of the stored runs
        of the nearest size; where there are none, `FLOPS_PER_SECOND`.
    """
    import pandas as pd

    from scalinglaws.runs import sizes

    specs, store = list(dict.fromkeys(specs)), _store(store)
    missing = _unfinished(store, specs)
    cost, rate = work(missing), _rates(store, specs)
    rows = [
        {"n_layer": spec.model.n_layer, "d_model": spec.model.d_model}
        | {key: sizes(spec)[key] for key in ("n_params_nonemb", "tokens", "flops")}
        | {"runs": 1, "missing": int(spec in cost), "seconds": cost.get(spec, 0.0) / rate(spec)}
        for spec in specs
    ]
    keys = ["n_params_nonemb", "n_layer", "d_model", "tokens", "flops"]
    table = pd.DataFrame(rows).groupby(keys, as_index=False)[["runs", "missing", "seconds"]].sum()
    return table[["n_layer", "d_model", "n_params_nonemb", "tokens", "flops", "runs", "missing", "seconds"]]


def _rates(store: "RunStore", specs: Sequence[RunSpec]):
    """``rate(spec)`` in FLOP/s by the stored runs of the sweep."""
    seen: dict[int, list[float]] = {}
    left = set(store.missing(specs))
    for spec in specs:
        if spec not in left and (run := store.read(spec)).status == "ok" and run.seconds > 0:
            n = counting.count(spec.model).n_params_nonemb
            seen.setdefault(n, []).append(counting.flops(spec.model, spec.train.tokens) / run.seconds)

    def rate(spec: RunSpec) -> float:
        n = counting.count(spec.model).n_params_nonemb
        near = min(seen, key=lambda other: abs(math.log(other / n)), default=None)
        return statistics.median(seen[near]) if near else FLOPS_PER_SECOND

    return rate


def part(specs: Iterable[RunSpec], index: int, of: int) -> list[RunSpec]:
    """Share ``index`` (from 0) of ``of`` nearly equal shares, for workers that share nothing; trunks stay whole.

    The shares are the same on every machine, and none is empty where there are as many trunks.
    """
    from scalinglaws import ensemble

    if not 0 <= index < of:
        how = f"count the parts from 0 to {of - 1}" if of > 0 else "make at least one part, 0/1"
        raise ValueError(f"part {index}/{of}: {how}")
    specs = list(dict.fromkeys(specs))
    cost = work(specs)
    most = max(1, min(ensemble.TOGETHER_CPU, len(by_trunk(specs)) // of))
    shares: list[list[RunSpec]] = [[] for _ in range(of)]
    for group in ensemble.groups(specs, most=most):  # the costliest first
        min(shares, key=lambda share: sum(cost[s] for s in share)).extend(group)
    return shares[index]


# Engines: anything with ``submit(f, *args)`` that returns something with ``result()``.


class Processes:
    """A pool of worker processes that a job may kill, and that end with their master, however that ends.

    Use it as a context: leaving it stops the workers at once, whatever they do. A worker that dies costs its job alone.
    Scripts that use it need the usual ``if __name__ == "__main__":``.
    """

    def __init__(self, workers: int):
        if workers < 1:
            raise ValueError(f"workers={workers}: give a whole number, at least 1")
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers)  # each waits for one process
        self._all, self._idle, self._closed = [], queue.SimpleQueue(), False

    def submit(self, f, *args) -> Future:
        """Call ``f(*args)`` in one of the processes; both must be picklable, and so must the result."""
        return self._threads.submit(self._call, f, args)

    def _call(self, f, args):
        try:
            process, ours = self._idle.get_nowait()
        except queue.Empty:
            process, ours = self._start()
        try:
            ours.send((f, args))
            done, value = ours.recv()
        except (EOFError, OSError):
            process.join()
            raise RuntimeError(f"its process ended with code {process.exitcode} (below 0: killed)") from None
        self._idle.put((process, ours))
        if not done:
            raise RuntimeError(value)
        return value

    def _start(self):
        """A new process and our end of its pipe. Spawned: a fork would copy torch's threads in an unknown state."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._all.append(process)
        if self._closed:
            process.kill()
        return process, ours

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_):
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:  # those with nothing to do end by themselves, and put away what they hold of the system
                process, ours = self._idle.get_nowait()
                ours.close()
                process.join(timeout=5)
        for process in self._all:
            process.kill()
        self._threads.shutdown(cancel_futures=True)


def _serve(pipe) -> None:
    """A worker process: call what comes, send back what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the master decides
    warnings.simplefilter("ignore")  # the master has loaded the same corpus and said what there is to say
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            f, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, f(*args))
        except Exception as error:  # noqa: BLE001 - whatever it was, the master records it
            answer = (False, _in_words(error))
        pipe.send(answer)


def _end_with_parent() -> None:
    """End this process when its master is gone, in the middle of a job too: nobody would take its result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Here:
    """The engine without an engine: a job is done when it has been submitted."""

    workers = 1

    def submit(self, f, *args) -> Future:
        import torch

        threads, future = torch.get_num_threads(), Future()
        try:
            future.set_result(f(*args))
        finally:
            torch.set_num_threads(threads)
        return future


# The loop.


def run(
    specs: Iterable[RunSpec],
    store: "RunStore | str | Path",
    *,
    engine: Any = None,
    at_once: int | None = None,
    runtime: "Runtime | None" = None,
    threads: int = 1,
    progress: bool = True,
) -> "pd.DataFrame":
    """Train the specs that the store does not hold yet, and return the run table of all of them, in their order.

    Each run is stored as soon as its job is done, so a call that was stopped loses what was being trained and nothing
    else; call it again. Calls in several processes share the work: a run that another one has taken is left to it,
    and taken over should that process die. A job that raises becomes runs with status "failed"; the others go on,
    and the next call tries it again.

    Parameters
    ----------
    engine
        None for this process; `Processes`; or any executor with ``submit(f, *args)`` that returns an object with
        ``result()``: those of concurrent.futures, a Dask client, submitit. Its workers need this package and the
        corpus; they need not see the store.
    at_once
        Jobs that the engine is given at a time; as many as it has ``workers``, or `AT_ONCE`.
    runtime
        Device, precision and compilation; the default of `train.Runtime`.
    threads
        Of torch on a CPU, for each job. More than one pays for models of millions of parameters.

    Raises
    ------
    OSError
        When the store cannot be written or is full. Every finished run is kept.
    ValueError
        When a corpus or a device that is needed here does not exist.
    """
    from tqdm import tqdm

    from scalinglaws import runs

    specs, store = list(dict.fromkeys(specs)), _store(store)
    engine = engine or _Here()
    _unpack_all(store)
    todo = _unfinished(store, specs)
    if not todo:
        return runs.table(store.read(spec) for spec in specs)  # of a store that may be read-only
    probe = store.folder / ".writable"  # what cannot be stored is better known before training than after
    runs.atomically(probe, Path.touch)
    probe.unlink(missing_ok=True)
    if isinstance(engine, _Here | Processes):
        _check_this_machine(todo, runtime)
    at_once = at_once or getattr(engine, "workers", AT_ONCE)
    cost = work(todo)
    with (
        _Claims(store.folder) as claims,
        tqdm(total=sum(cost.values()), unit="FLOP", unit_scale=True, smoothing=0, disable=not progress) as bar,
    ):
        loop = _Loop(store, engine, claims, at_once, (runtime, threads))
        try:
            for spec in loop.finish(todo):
                bar.set_postfix_str(f"{len(specs) - loop.left} of {len(specs)} runs", refresh=False)
                bar.update(cost[spec])
        except OSError as error:
            kept = len(specs) - len(store.missing(specs))
            raise OSError(f"{error}; {kept} of {len(specs)} runs are stored, the same call trains the rest") from error
    return runs.table(store.read(spec) for spec in specs)


class _Loop:
    """Hands jobs to an engine and stores what comes back."""

    def __init__(self, store, engine, claims, at_once: int, options: tuple):
        self.store, self.engine, self.claims, self.at_once, self.options = store, engine, claims, at_once, options
        self.under_way: dict[int, tuple[list[RunSpec], list[RunSpec], Any]] = {}
        self.done: queue.SimpleQueue = queue.SimpleQueue()
        self.numbers = itertools.count()
        self.left = 0

    def finish(self, specs: list[RunSpec]):
        """Yield each spec once its run is stored, by this process or by another."""
        from scalinglaws import ensemble

        while specs:
            finished = set()
            try:
                for spec in self._pass(ensemble.groups(specs, self.options[0] or ensemble.AUTO)):
                    finished.add(spec)
                    self.left = len(specs) - len(finished)
                    yield spec
            finally:
                for _, _, future in self.under_way.values():
                    getattr(future, "cancel", bool)()
            if not finished:
                time.sleep(POLL_SECONDS)
            specs = [spec for spec in specs if spec not in finished]

    def _pass(self, jobs: list[list[RunSpec]]):
        """One look at each job; those that another process has taken are passed over."""
        for job in jobs:
            if not self.claims.take(job):
                continue
            _unpack_all(self.store)
            todo = _unfinished(self.store, job)
            yield from (spec for spec in job if spec not in todo)
            if not todo:
                self.claims.free(job)
                continue
            self._submit(job, todo)
            while len(self.under_way) >= self.at_once:
                yield from self._collect()
        while self.under_way:
            yield from self._collect()

    def _submit(self, job: list[RunSpec], todo: list[RunSpec]) -> None:
        """Start a job, and a thread that waits for it: all that every engine can do is to wait."""
        number, future = next(self.numbers), self.engine.submit(train_job, todo, *self.options)
        self.under_way[number] = job, todo, future
        threading.Thread(target=_await, args=(number, future, self.done), daemon=True).start()

    def _collect(self) -> list[RunSpec]:
        """Store the runs of the next job that is done; its specs."""
        number, result, error = self.done.get()
        job, todo, _ = self.under_way.pop(number)
        if isinstance(error, CancelledError) or (error is not None and not isinstance(error, Exception)):
            raise ConnectionError(f"the engine gave up a job ({_in_words(error)}): are its workers there?")
        _write_all(self.store, [_failed(spec, _in_words(error)) for spec in todo] if error else result)
        self.claims.free(job)
        return todo


def train_job(specs: Sequence[RunSpec], runtime: "Runtime | None" = None, threads: int = 1) -> "list[Run]":
    """One job, as it runs on a worker: a group of specs to their runs, those of what raised with status "failed"."""
    import torch

    from scalinglaws import ensemble, train

    torch.set_num_threads(threads)
    try:
        return ensemble.train(specs, runtime=runtime or train.Runtime())
    except Exception as error:  # noqa: BLE001 - whatever it was, the row says it and the other jobs go on
        if len(specs) == 1:
            return [_failed(specs[0], _in_words(error))]
    return [run for spec in specs for run in train_job([spec], runtime, threads)]  # the fault of one is not theirs


def _await(number: int, future, done: queue.SimpleQueue) -> None:
    """Put the outcome of a job into a queue."""
    try:
        done.put((number, future.result(), None))
    except BaseException as error:  # noqa: BLE001 - some engines cancel with one that is no Exception
        done.put((number, None, error))


def _failed(spec: RunSpec, message: str) -> "Run":
    """The row of a run that came to nothing."""
    from scalinglaws.runs import Run, now

    return Run(
        spec=spec,
        status="failed",
        loss=math.nan,
        loss_se=math.nan,
        train_loss=math.nan,
        seconds=0.0,
        message=message,
        provenance={"time": now()},
    )


def _in_words(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _write_all(store: "RunStore", finished: "Sequence[Run]") -> None:
    """Store the runs of a job, all or none of them even after a kill.

    Half a group would be completed by a smaller group, whose losses differ in the last digits from an undisturbed
    sweep's. So the runs are written into a folder, which gets its name in one piece, and moved out of it.
    """
    from scalinglaws.runs import DRAFT, RunStore

    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=store.folder) as tmp:
        whole = Path(tmp, "job")
        for run in finished:
            RunStore(whole).write(run)
        whole.rename(store.folder / f".job-{finished[0].spec.hash}")
    _unpack_all(store)


def _unpack_all(store: "RunStore") -> None:
    """Move the runs of finished jobs to their places; several processes may be at it."""
    for folder in store.folder.glob(".job-*"):
        with contextlib.suppress(FileNotFoundError):
            curves_first = sorted(folder.iterdir(), key=lambda path: path.suffix != ".npz")
            for path in curves_first:  # so that a run that is listed is whole
                with contextlib.suppress(FileNotFoundError):
                    path.replace(store.folder / path.name)
            folder.rmdir()


def _store(store: "RunStore | str | Path") -> "RunStore":
    from scalinglaws.runs import RunStore

    return store if isinstance(store, RunStore) else RunStore(store)


def _unfinished(store: "RunStore", specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The specs without a run, or with one that failed: that was the machine's fault more often than the spec's."""
    missing = set(store.missing(specs))
    return [spec for spec in specs if spec in missing or store.read(spec).status == "failed"]


def _check_this_machine(specs: Sequence[RunSpec], runtime: "Runtime | None") -> None:
    """Raise for what would fail every job; builds the cached corpora once, before several processes ask for them."""
    from scalinglaws import corpus, train

    (runtime or train.Runtime()).resolve(specs[0])
    for data in dict.fromkeys(spec.data for spec in specs):
        corpus.load(data)


class _Claims:
    """Which runs this process is training: one locked byte per run, of one file in the store.

    The kernel frees the locks of a process that ends, however it ends; nothing is left to clean up. Without
    ``fcntl`` (Windows), or where the file system has no locks, every claim is granted, and two processes at once train
    some runs twice.
    """

    def __init__(self, folder: Path):
        try:
            import fcntl
        except ImportError:
            fcntl = None
        self.fcntl: Any = fcntl
        self.file = (folder / ".lock").open("ab")

    def take(self, specs: Sequence[RunSpec]) -> bool:
        """Claim all of the runs, or none when another process has one of them."""
        if self.fcntl:
            for i, spec in enumerate(specs):
                try:
                    self.fcntl.lockf(self.file, self.fcntl.LOCK_EX | self.fcntl.LOCK_NB, 1, int(spec.hash, 16))
                except (BlockingIOError, PermissionError):
                    self.free(specs[:i])
                    return False
                except OSError as error:
                    if error.errno not in NO_LOCKS:
                        raise
                    warnings.warn(
                        f"{self.file.name}: no locks on this file system ({error.strerror}); give each process a share "
                        "of its own, or they train some runs twice",
                        stacklevel=2,
                    )
                    self.fcntl = None
                    break
        return True

    def free(self, specs: Sequence[RunSpec]) -> None:
        """Give the claims back."""
        for spec in specs if self.fcntl else ():
            self.fcntl.lockf(self.file, self.fcntl.LOCK_UN, 1, int(spec.hash, 16))

    def __enter__(self) -> "_Claims":
        return self

    def __exit__(self, *_):
        self.file.close()
