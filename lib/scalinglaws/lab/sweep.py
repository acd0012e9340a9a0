"""Sweeps: load the specs of one, plan its cost, and train the runs that a store does not hold yet.

`run` may be killed and called again at any time, and several calls may work on one store at once.
"""

import contextlib
import itertools
import math
import queue
import runpy
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglaws import counting
from scalinglaws.config import RunSpec, by_trunk
from scalinglaws.files import CHECKOUT, DRAFT, atomically
from scalinglaws.lab.engines import Here, Processes, failed_run, in_words, train_job, wait_for
from scalinglaws.lab.locks import RunLocks

if TYPE_CHECKING:
    import pandas as pd

    from scalinglaws.lab.runtime import Runtime
    from scalinglaws.runs import Run, RunStore

SWEEPS = CHECKOUT / "sweeps"
FLOPS_PER_SECOND = 5e10  # of one core on small models, eager: what `plan` assumes where no run is stored
AT_ONCE = 64  # jobs that an executor is given at a time when it does not say how many workers it has
POLL_SECONDS = 1.0  # between looks at the runs that another process is training


def load(name: str) -> list[RunSpec]:
    """The specs of a sweep: a file of the checkout's ``sweeps``, or any Python file with ``specs() -> list[RunSpec]``.

    A spec that several designs of the file have in common counts once. A file that is not there, has no ``specs``, or
    whose ``specs`` return something else, is a ValueError.
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
    """Cost of a sweep: a row for each N and D.

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
    from scalinglaws.lab import ensemble

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
        Device, precision and compilation; None for `runtime.AUTO`.
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
    engine = engine or Here()
    _unpack_all(store)
    todo = _unfinished(store, specs)
    if not todo:
        return runs.table(store.read(spec) for spec in specs)  # of a store that may be read-only
    probe = store.folder / ".writable"  # raises before training where nothing can be stored
    atomically(probe, Path.touch)
    probe.unlink(missing_ok=True)
    if isinstance(engine, Here | Processes):
        _check_this_machine(todo, runtime)
    at_once = at_once or getattr(engine, "workers", AT_ONCE)
    cost = work(todo)
    with (
        RunLocks(store.folder) as locks,
        tqdm(total=sum(cost.values()), unit="FLOP", unit_scale=True, smoothing=0, disable=not progress) as bar,
    ):
        loop = _Loop(store, engine, locks, at_once, (runtime, threads))
        try:
            for spec in loop.finish(todo):
                bar.set_postfix_str(f"{len(specs) - loop.left} of {len(specs)} runs", refresh=False)
                bar.update(cost[spec])
        except OSError as error:
            kept = len(specs) - len(store.missing(specs))
            raise OSError(f"{error}; {kept} of {len(specs)} runs are stored, the same call trains the rest") from error
    return runs.table(store.read(spec) for spec in specs)


class _Loop:
    """Submits jobs to an engine and stores their runs."""

    def __init__(self, store, engine, locks, at_once: int, options: tuple):
        self.store, self.engine, self.locks, self.at_once, self.options = store, engine, locks, at_once, options
        self.under_way: dict[int, tuple[list[RunSpec], list[RunSpec], Any]] = {}
        self.done: queue.SimpleQueue = queue.SimpleQueue()
        self.numbers = itertools.count()
        self.left = 0

    def finish(self, specs: list[RunSpec]):
        """Yield each spec once its run is stored, by this process or by another."""
        from scalinglaws.lab import ensemble

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
        """Go through the jobs once; those of which another process has a run are passed over."""
        for job in jobs:
            if not self.locks.take(job):
                continue
            _unpack_all(self.store)
            todo = _unfinished(self.store, job)
            yield from (spec for spec in job if spec not in todo)
            if not todo:
                self.locks.free(job)
                continue
            self._submit(job, todo)
            while len(self.under_way) >= self.at_once:
                yield from self._collect()
        while self.under_way:
            yield from self._collect()

    def _submit(self, job: list[RunSpec], todo: list[RunSpec]) -> None:
        """Start a job, and a thread that waits for it: ``result()`` is all that every engine has."""
        number, future = next(self.numbers), self.engine.submit(train_job, todo, *self.options)
        self.under_way[number] = job, todo, future
        threading.Thread(target=wait_for, args=(number, future, self.done), daemon=True).start()

    def _collect(self) -> list[RunSpec]:
        """Store the runs of the next job that is done; its specs."""
        number, result, error = self.done.get()
        job, todo, _ = self.under_way.pop(number)
        if isinstance(error, CancelledError) or (error is not None and not isinstance(error, Exception)):
            raise ConnectionError(f"the engine gave up a job ({in_words(error)}): are its workers there?")
        _write_all(self.store, [failed_run(spec, in_words(error)) for spec in todo] if error else result)
        self.locks.free(job)
        return todo


def _write_all(store: "RunStore", finished: "Sequence[Run]") -> None:
    """Store the runs of a job, all or none of them even after a kill."""
    # Half a group would be completed by a smaller one, whose losses differ in the last digits from undisturbed ones.
    from scalinglaws.runs import RunStore

    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=store.folder) as tmp:
        whole = Path(tmp, "job")
        for run in finished:
            RunStore(whole).write(run)
        whole.rename(store.folder / f".job-{finished[0].spec.hash}")
    _unpack_all(store)


def _unpack_all(store: "RunStore") -> None:
    """Move the runs of finished jobs to their places; several processes may do so at once."""
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
    """The specs without a run, or with one that failed, which the machine causes more often than the spec."""
    missing = set(store.missing(specs))
    return [spec for spec in specs if spec in missing or store.read(spec).status == "failed"]


def _check_this_machine(specs: Sequence[RunSpec], runtime: "Runtime | None") -> None:
    """Raise for what would fail every job; builds the cached corpora once, before several processes ask for them."""
    from scalinglaws.lab import corpus
    from scalinglaws.lab.runtime import AUTO

    (runtime or AUTO).resolve(specs[0])
    for data in dict.fromkeys(spec.data for spec in specs):
        corpus.load(data)
