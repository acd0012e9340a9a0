"""``scalinglaws sweep``: train what a sweep lacks, or say what it would take."""

import argparse
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglaws.config import RunSpec

if TYPE_CHECKING:
    import pandas as pd


from scalinglaws.cli.words import add_runtime, runtime_of, say


def add(commands) -> None:
    """Declare ``scalinglaws sweep``."""
    what = "train the runs of a sweep that are not stored yet; stop it and call it again as you like"
    parser = commands.add_parser("sweep", help=what, description=what)
    parser.add_argument("name", metavar="NAME|FILE.py", help="a file of sweeps/, or one with specs() -> list[RunSpec]")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="run store (default: runs/NAME)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the run table, and the curves beside it (.npz)")
    parser.add_argument("--json", action="store_true", help="print the run table as one JSON list, a row for each run")
    parser.add_argument("--dry-run", action="store_true", help="print N, D, C and estimated seconds; train nothing")
    parser.add_argument("--workers", type=_workers, default=1, metavar="N", help="processes of one thread (default: 1)")
    parser.add_argument("--dask", metavar="ADDRESS", help="train on the workers of a Dask scheduler: tcp://HOST:8786")
    parser.add_argument("--part", type=_part, metavar="I/K", help="only share I of K, from 0: for arrays of jobs")
    add_runtime(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Train what is missing of a sweep and print what there is."""
    from scalinglaws.lab import sweep

    specs = sweep.load(args.name)
    if args.part:
        specs = sweep.part(specs, *args.part)
    out = args.out or Path("runs", Path(args.name).stem)
    if args.dry_run:
        plan = sweep.plan(specs, out)
        print(plan.to_json(orient="records") if args.json else _plan_in_words(plan, args.workers))
        return 0
    table = _run_sweep(specs, out, args)
    try:
        if args.csv:
            from scalinglaws import runs

            runs.write_csv(table, args.csv)
            found = map(runs.RunStore(out).read, table["hash"])
            runs.write_curves(runs.curves(found), args.csv.with_suffix(".npz"))
    finally:  # a disk that has filled up costs the file, not the numbers
        print(table.to_json(orient="records", double_precision=15) if args.json else _table_in_words(table, out))
    return 1 if (table["status"] == "failed").any() else 0


def _run_sweep(specs: list[RunSpec], out: Path, args: argparse.Namespace) -> "pd.DataFrame":
    """Train the missing runs on the engine that the arguments name."""
    from scalinglaws.lab import sweep

    runtime = runtime_of(args)
    if sys.stderr.isatty():  # with the progress that is shown there
        say("\n".join(_reasons(specs, args)))
    try:
        with warnings.catch_warnings(), _engine(args) as engine:
            warnings.showwarning = lambda message, *_, **__: say(message)
            return sweep.run(specs, out, engine=engine, runtime=runtime, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; what was finished is in {out}, the same command trains the rest") from None


def _engine(args: argparse.Namespace) -> AbstractContextManager:
    """Where the jobs of a sweep run."""
    from scalinglaws.lab import engines

    if args.dask is None:
        return engines.Processes(args.workers) if args.workers != 1 else nullcontext()
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ValueError(f"--dask needs {error.name}: pip install -e '.[distributed]' in the checkout") from error
    return Client(args.dask, set_as_default=False)


def _workers(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give a whole number, at least 1")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    """Index and number of shares."""
    index, _, of = text.partition("/")
    if not (index.isdecimal() and of.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give one such as 0/16, the first of sixteen")
    return int(index), int(of)


def _plan_in_words(plan: "pd.DataFrame", workers: int) -> str:
    """The plan of a sweep as a table with its sums."""
    formats = {"n_params_nonemb": "{:,}", "tokens": "{:,}", "flops": "{:.3g}", "seconds": "{:.1f}"}
    words = plan.assign(**{column: plan[column].map(form.format) for column, form in formats.items()})
    shown = words.to_string(index=False)
    total = (plan["flops"] * plan["runs"]).sum()
    seconds = plan["seconds"].sum() / workers
    return (
        f"{shown}\n{plan['runs'].sum()} runs, {plan['missing'].sum()} of them missing; C {total:.3g} FLOPs in all; "
        f"about {seconds:,.0f} s on {workers} worker{'s' * (workers > 1)}"
    )


def _reasons(specs: list[RunSpec], args: argparse.Namespace) -> list[str]:
    """How each shape of a sweep is trained, and why; nothing where torch is absent."""
    try:
        from scalinglaws.lab import ensemble
    except ModuleNotFoundError:
        return []
    runtime = runtime_of(args)
    groups = {(group[0].model.n_layer, group[0].model.d_model): group for group in ensemble.groups(specs, runtime)}
    return [f"n_layer={layers} d_model={d}: {ensemble.reason(group, runtime)}" for (layers, d), group in groups.items()]


def _table_in_words(table: "pd.DataFrame", out: Path) -> str:
    """A finished sweep in words."""
    counts = ", ".join(f"{(table['status'] == status).sum()} {status}" for status in ("ok", "diverged", "failed"))
    failed = table[table["status"] == "failed"]
    lines = [f"failed {row.hash}: {row.message}" for row in failed.itertuples()]
    ok = table[table["status"] == "ok"]
    best = f"{ok['loss'].min():.4f} to {ok['loss'].max():.4f} nats/token" if len(ok) else "none"
    lines += [f"runs   {len(table)}: {counts}", f"loss   {best}", f"time   {table['seconds'].sum():,.1f} s of training"]
    return "\n".join([*lines, f"files  {out}"])
