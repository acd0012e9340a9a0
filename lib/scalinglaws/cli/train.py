"""``scalinglaws train``: train one model."""

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglaws.config import RunSpec

if TYPE_CHECKING:
    from scalinglaws.runs import Run

from scalinglaws.cli.words import add_runtime, read_spec, runtime_of, say, sizes_line

CHECKPOINT_SECONDS = 5.0  # what a kill may cost


def add(commands) -> None:
    """Declare ``scalinglaws train``."""
    what = "train one model; its run is stored, and a run that was cut off goes on from its last checkpoint"
    parser = commands.add_parser("train", help=what, description=what)
    parser.add_argument("spec", type=Path, metavar="SPEC.json", help="what to train; 'scalinglaws spec' makes one")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="FOLDER", help="run store (default: runs)")
    add_runtime(parser)
    parser.add_argument("--json", action="store_true", help="print the row of the run table as one JSON object")
    parser.add_argument("--dry-run", action="store_true", help="print N, D and C; train and store nothing")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Train a spec, unless its run is stored, and print the run."""
    from scalinglaws.files import dumps
    from scalinglaws.runs import RunStore, sizes

    spec = read_spec(args.spec)
    if args.dry_run:
        print(dumps(sizes(spec) | {"steps": spec.train.steps}) if args.json else f"run    {sizes_line(spec)}")
        return 0
    store = RunStore(args.out)
    path = args.out / f"{spec.hash}.json"
    is_new = bool(store.missing([spec]))
    if is_new:
        run, rank = _new_run(spec, args)
        if rank > 0:
            return 0  # one of several processes that trained one model: the first one stores it and speaks
    else:
        run = store.read(spec)
        say(f"run {spec.hash} was not trained again: it is in {args.out}; delete {path} to repeat it")
    try:
        if is_new:
            store.write(run)
            _checkpoint(spec, args).unlink(missing_ok=True)
    finally:  # a disk that has filled up costs the file, not the numbers
        print(dumps(run.row()) if args.json else f"{_summary(run)}\nfile   {path}")
    return 0 if run.status == "ok" else 1


def _new_run(spec: RunSpec, args: argparse.Namespace) -> "tuple[Run, int]":
    """Train a spec, from its checkpoint where there is one; also the number of this process under torchrun, or 0."""
    how = runtime_of(args)
    from scalinglaws.files import atomically
    from scalinglaws.lab import runtime, train
    from scalinglaws.lab.corpus import CorpusMismatch, load

    probe = args.out / ".writable"  # what cannot be stored is better known before training than after
    atomically(probe, Path.touch)
    probe.unlink(missing_ok=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CorpusMismatch)
        corpus = load(spec.data)
    for warning in caught:
        say(warning.message)
    checkpoint = _checkpoint(spec, args)
    try:
        with runtime.process_group(args.device) as (rank, _):
            run = train.train(
                spec, corpus, how, checkpoint=checkpoint, checkpoint_seconds=CHECKPOINT_SECONDS,
                progress=sys.stderr.isatty() and rank == 0,
            )  # fmt: skip
        return run, rank
    except KeyboardInterrupt:
        if checkpoint.exists():
            raise KeyboardInterrupt(f"stopped; the same command goes on from {checkpoint}") from None
        raise KeyboardInterrupt("stopped before the first checkpoint; the same command starts again") from None


def _checkpoint(spec: RunSpec, args: argparse.Namespace) -> Path:
    """Where the state of an unfinished run is kept."""
    return args.out / f"{spec.hash}.ckpt.npz"


def _summary(run: "Run") -> str:
    """A finished run in words."""
    row = run.row()
    row |= {"message": f" ({run.message})" if run.message else "", "sizes": sizes_line(run.spec)}
    text = """run    {sizes}
status {status}{message}
loss   {loss:.4f} ± {loss_se:.4f} nats/token on the validation sample
time   {seconds:.1f} s, {tokens_per_second:,.0f} tokens/s; {device}, {runtime}"""
    return text.format(**row)
