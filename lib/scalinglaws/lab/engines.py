"""Where the jobs of a sweep run: here, in processes of this machine, or in any executor."""

import contextlib
import math
import multiprocessing
import os
import queue
import signal
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from scalinglaws.config import RunSpec

if TYPE_CHECKING:
    from scalinglaws.lab.runtime import Runtime
    from scalinglaws.runs import Run


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
            answer = (False, in_words(error))
        pipe.send(answer)


def _end_with_parent() -> None:
    """End this process when its master is gone, in the middle of a job too: nobody would take its result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Here:
    """The engine without an engine: a job is done when it has been submitted."""

    workers = 1

    def submit(self, f, *args) -> Future:
        """Do the job; its outcome as a future."""
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
    except Exception as error:  # noqa: BLE001 - whatever it was, the row says it and the other jobs go on
        if len(specs) == 1:
            return [failed_run(specs[0], in_words(error))]
    return [run for spec in specs for run in train_job([spec], runtime, threads)]  # the fault of one is not theirs


def wait_for(number: int, future, done: queue.SimpleQueue) -> None:
    """Put the outcome of a job into a queue."""
    try:
        done.put((number, future.result(), None))
    except BaseException as error:  # noqa: BLE001 - some engines cancel with one that is no Exception
        done.put((number, None, error))


def failed_run(spec: RunSpec, message: str) -> "Run":
    """The row of a run that came to nothing."""
    from scalinglaws.files import now
    from scalinglaws.runs import Run

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


def in_words(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
