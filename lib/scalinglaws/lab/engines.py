"""Where the jobs of a sweep run: in this process, in processes of this machine, or in any executor.

An engine is anything with ``submit(f, *args)`` that returns an object with ``result()``.
"""

import math
import multiprocessing
import os
import queue
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from scalinglaws.config import RunSpec

if TYPE_CHECKING:
    from scalinglaws.lab.runtime import Runtime
    from scalinglaws.runs import Run


class Processes:
    """A pool of worker processes (pebble's). When a worker dies only its job fails, and all end with their master.

    Use it as a context: leaving it stops the workers, in the middle of a job too. Scripts that use it need the usual
    ``if __name__ == "__main__":``, since workers are spawned: a fork would copy torch's threads in an unknown state.
    """

    def __init__(self, workers: int):
        if workers < 1:
            raise ValueError(f"workers={workers}: give a whole number, at least 1")
        self.workers = workers
        self._pool = self._new()

    def _new(self):
        from pebble import ProcessPool

        return ProcessPool(self.workers, initializer=_set_up_worker, context=multiprocessing.get_context("spawn"))

    def submit(self, f, *args) -> Future:
        """Call ``f(*args)`` in one of the processes; both must be picklable, and so must the result."""
        if not self._pool.active:  # pebble gives a pool up when a worker dies that has no job
            self._stop()
            self._pool = self._new()
        return self._pool.schedule(f, args=args)

    def _stop(self) -> None:
        self._pool.stop()
        self._pool.join()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_):
        self._stop()


def _set_up_worker() -> None:
    """What a worker process does before its first job."""
    from tqdm import tqdm

    warnings.simplefilter("ignore")  # the master has loaded the same corpus and printed its warnings
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, left behind by a worker that is stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its master is gone. Pebble's workers would finish their job first."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Here:
    """The engine that runs each job in this process, when it is submitted."""

    workers = 1

    def submit(self, f, *args) -> Future:
        """Run the job; a future with its result."""
        import torch

        threads, future = torch.get_num_threads(), Future()
        try:
            future.set_result(f(*args))
        finally:
            torch.set_num_threads(threads)
        return future


def train_job(specs: Sequence[RunSpec], runtime: "Runtime | None" = None, threads: int = 1) -> "list[Run]":
    """One job, as it runs on a worker: a group of specs to their runs, those of what raised with status "failed"."""
    import torch

    from scalinglaws.lab import ensemble
    from scalinglaws.lab.runtime import AUTO

    torch.set_num_threads(threads)
    try:
        return ensemble.train(specs, runtime=runtime or AUTO)
    except Exception as error:  # noqa: BLE001 - whatever it was, the row has it and the other jobs go on
        if len(specs) == 1:
            return [failed_run(specs[0], in_words(error))]
    return [run for spec in specs for run in train_job([spec], runtime, threads)]  # only those that raise again fail


def wait_for(number: int, future, done: queue.SimpleQueue) -> None:
    """Put the outcome of a job into a queue."""
    try:
        done.put((number, future.result(), None))
    except BaseException as error:  # noqa: BLE001 - some engines cancel with one that is no Exception
        done.put((number, None, error))


def failed_run(spec: RunSpec, message: str) -> "Run":
    """A run with status "failed", no loss and a message."""
    from scalinglaws.files import now
    from scalinglaws.runs import Run

    nan, when = math.nan, {"time": now()}
    return Run(
        spec=spec, status="failed", loss=nan, loss_se=nan, train_loss=nan, seconds=0.0, message=message, provenance=when
    )


def in_words(error: BaseException) -> str:
    """An error in one line; of a worker process that died with its exit code, which is below 0 if it was killed."""
    code = getattr(error, "exitcode", None)
    return " ".join(f"{type(error).__name__}: {error}{'' if code is None else f', exit code {code}'}".split())
