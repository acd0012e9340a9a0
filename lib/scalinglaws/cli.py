"""The ``scalinglaws`` command.

A subcommand is two functions: ``_add_NAME`` declares its arguments, ``_NAME`` does the work and returns the exit code.
What a user can mend ends as one line on stderr and code 2, never as a traceback. Only commands that train import torch,
and only when they do.
"""

import argparse
import math
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scalinglaws.config import RunSpec, from_json, to_json

if TYPE_CHECKING:
    import pandas as pd

    from scalinglaws.runs import Run

CHECKPOINT_SECONDS = 5.0  # what a kill may cost
# Laws of a loss that `fit` offers, with the name in `laws.LAWS`; here so that --help need not load them.
FITTED = {"kaplan": "kaplan_joint"} | {
    name: name for name in ("chinchilla", "power", "power_floor", "rosenfeld", "gadre", "muennighoff", "broken")
}
PUBLISHED = "besiroglu2024"

EXAMPLES = """
examples:
  scalinglaws spec --d-model 64 --tokens 2e6 > spec.json
  scalinglaws train spec.json --dry-run
  scalinglaws train spec.json
  scalinglaws sweep synthetic --workers 2
  scalinglaws fit runs.csv --report fit.html --json > fit.json
  scalinglaws plan --flops 1e21 --law fit.json
  scalinglaws claims --verdict contradicted
"""


def main(argv: list[str] | None = None) -> int:
    """Exit code of a command line: 0 done, 1 a run came to nothing, 2 something to mend, 130 stopped by Ctrl-C."""
    try:
        args = _parser().parse_args(argv)
        return args.command(args)
    except (ValueError, OSError) as error:
        _say(error)
        return 2
    except KeyboardInterrupt as stop:
        _say(stop if stop.args else "stopped")
        return 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of `main`: one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see '{self.prog} --help'")


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(
        prog="scalinglaws",
        description="Train tiny language models and fit scaling laws to them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_train, _add_sweep, _add_spec, _add_fit, _add_plan, _add_claims):
        add(commands)
    return parser


def _add_train(commands) -> None:
    """Declare ``scalinglaws train``."""
    what = "train one model; its run is stored, and a run that was cut off goes on from its last checkpoint"
    parser = commands.add_parser("train", help=what, description=what)
    parser.add_argument("spec", type=Path, metavar="SPEC.json", help="what to train; 'scalinglaws spec' makes one")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="FOLDER", help="run store (default: runs)")
    _add_runtime(parser)
    parser.add_argument("--json", action="store_true", help="print the row of the run table as one JSON object")
    parser.add_argument("--dry-run", action="store_true", help="print N, D and C; train and store nothing")
    parser.set_defaults(command=_train)


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    """Declare how runs are executed."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a CUDA GPU if any")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on a GPU, fp32 on a CPU"
    )
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="compile the step (default: if the run is long)"
    )


def _train(args: argparse.Namespace) -> int:
    """Train a spec, unless its run is stored, and print the run."""
    from scalinglaws.runs import RunStore, dumps, sizes

    spec = _read_spec(args.spec)
    if args.dry_run:
        print(dumps(sizes(spec) | {"steps": spec.train.steps}) if args.json else f"run    {_sizes(spec)}")
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
        _say(f"run {spec.hash} was not trained again: it is in {args.out}; delete {path} to repeat it")
    try:
        if is_new:
            store.write(run)
            _checkpoint(spec, args).unlink(missing_ok=True)
    finally:  # a disk that has filled up costs the file, not the numbers
        print(dumps(run.row()) if args.json else f"{_summary(run)}\nfile   {path}")
    return 0 if run.status == "ok" else 1


def _new_run(spec: RunSpec, args: argparse.Namespace) -> "tuple[Run, int]":
    """Train a spec, from its checkpoint where there is one; also the number of this process under torchrun, or 0."""
    try:
        from scalinglaws import train
    except ModuleNotFoundError as error:
        raise ValueError(f"training needs {error.name}: pip install -e '.[train]' in the checkout") from error
    from scalinglaws.corpus import CorpusMismatch, load
    from scalinglaws.runs import atomically

    probe = args.out / ".writable"  # what cannot be stored is better known before training than after
    atomically(probe, Path.touch)
    probe.unlink(missing_ok=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CorpusMismatch)
        corpus = load(spec.data)
    for warning in caught:
        _say(warning.message)
    checkpoint = _checkpoint(spec, args)
    try:
        with train.process_group(args.device) as (rank, _):
            run = train.train(
                spec,
                corpus,
                train.Runtime(device=args.device, precision=args.precision, compile=args.compile),
                checkpoint=checkpoint,
                checkpoint_seconds=CHECKPOINT_SECONDS,
                progress=sys.stderr.isatty() and rank == 0,
            )
        return run, rank
    except KeyboardInterrupt:
        if checkpoint.exists():
            raise KeyboardInterrupt(f"stopped; the same command goes on from {checkpoint}") from None
        raise KeyboardInterrupt("stopped before the first checkpoint; the same command starts again") from None


def _checkpoint(spec: RunSpec, args: argparse.Namespace) -> Path:
    """Where the state of an unfinished run is kept."""
    return args.out / f"{spec.hash}.ckpt.npz"


def _add_sweep(commands) -> None:
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
    _add_runtime(parser)
    parser.set_defaults(command=_sweep)


def _sweep(args: argparse.Namespace) -> int:
    """Train what is missing of a sweep and print what there is."""
    from scalinglaws import sweep

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
            runs.write_curves(
                runs.curves(runs.RunStore(out).read(name) for name in table["hash"]), args.csv.with_suffix(".npz")
            )
    finally:  # a disk that has filled up costs the file, not the numbers
        print(table.to_json(orient="records", double_precision=15) if args.json else _table_in_words(table, out))
    return 1 if (table["status"] == "failed").any() else 0


def _run_sweep(specs: list[RunSpec], out: Path, args: argparse.Namespace) -> "pd.DataFrame":
    """Train the missing runs on the engine that the arguments name."""
    from scalinglaws import sweep

    try:
        from scalinglaws import train
    except ModuleNotFoundError as error:
        raise ValueError(f"training needs {error.name}: pip install -e '.[train]' in the checkout") from error
    runtime = train.Runtime(device=args.device, precision=args.precision, compile=args.compile)
    if sys.stderr.isatty():  # with the progress that is shown there
        _say("\n".join(_reasons(specs, args)))
    try:
        with warnings.catch_warnings(), _engine(args) as engine:
            warnings.showwarning = lambda message, *_, **__: _say(message)
            return sweep.run(specs, out, engine=engine, runtime=runtime, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; what was finished is in {out}, the same command trains the rest") from None


def _engine(args: argparse.Namespace) -> AbstractContextManager:
    """Where the jobs of a sweep run."""
    from scalinglaws import sweep

    if args.dask is None:
        return sweep.Processes(args.workers) if args.workers != 1 else nullcontext()
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
        from scalinglaws import ensemble, train
    except ModuleNotFoundError:
        return []
    runtime = train.Runtime(device=args.device, precision=args.precision, compile=args.compile)
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


def _add_spec(commands) -> None:
    """Declare ``scalinglaws spec``."""
    what = "print a spec made by one of the book's recipes"
    parser = commands.add_parser("spec", help=what, description=f"{what}; send it to a file for 'scalinglaws train'")
    parser.add_argument(
        "--recipe",
        choices=("text", "synthetic"),
        default="text",
        help="text: Python sources that are installed with the book; synthetic: a source of known entropy",
    )
    parser.add_argument("--d-model", type=int, required=True, metavar="WIDTH", help="width of the model")
    parser.add_argument("--tokens", type=_amount, required=True, metavar="D", help="training tokens, such as 2e6")
    parser.add_argument("--n-layer", type=int, default=1, metavar="LAYERS", help="depth of the model (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and data order (default: 0)")
    parser.set_defaults(command=_spec)


def _spec(args: argparse.Namespace) -> int:
    """Print the spec of a recipe."""
    from scalinglaws import recipe

    made_by = {"text": recipe.TEXT, "synthetic": recipe.SYNTHETIC}[args.recipe]
    print(to_json(made_by.spec(args.d_model, args.tokens, n_layer=args.n_layer, seed=args.seed), indent=1))
    return 0


def _add_fit(commands) -> None:
    """Declare ``scalinglaws fit``."""
    what = "fit a scaling law to a table of runs; no starting values are asked for"
    parser = commands.add_parser("fit", help=what, description=what)
    parser.add_argument(
        "runs", type=Path, metavar="RUNS.csv", help="N, D (or C and one of them) and loss, a run a line"
    )
    parser.add_argument("--law", choices=sorted(FITTED), default="chinchilla", help="default: chinchilla")
    parser.add_argument(
        "--approach",
        choices=("1", "2", "3", "vp"),
        default="3",
        help="1: envelope, 2: isoFLOP curves, 3: the law itself (default), vp: the surface by variable projection",
    )
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("C", "FLOPs"), ("L", "the loss in nats per token")):
        parser.add_argument(f"--{letter}", metavar="COLUMN", help=f"column of {meaning} (default: guessed, and said)")
    parser.add_argument("--U", metavar="COLUMN", help="column of unique tokens, for muennighoff")
    parser.add_argument("--x", metavar="COLUMN", help="column of the variable of power, power_floor and broken")
    parser.add_argument("--cluster", metavar="COLUMN", help="runs with the same label share their noise, or a curve")
    parser.add_argument("--drop-highest", type=_count, default=0, metavar="K", help="leave out the K highest losses")
    parser.add_argument("--residual", choices=("log", "raw"), default="log", help="fit ln L (default), or L itself")
    parser.add_argument(
        "--delta", type=_threshold, help="Huber's threshold; inf: least squares (default: by the noise)"
    )
    what = "how far apart, as a share, C of runs on one budget may be, for approaches 1 and 2 (default: 0.1)"
    parser.add_argument("--tolerance", type=_amount, metavar="SHARE", help=what)
    parser.add_argument("--bootstrap", type=_count, metavar="B", help="refits for 95%% intervals (default: 999)")
    parser.add_argument("--seed", type=_count, help="of the refits (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, in full precision")
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="also write a page with figures")
    parser.set_defaults(command=_fit)


def _fit(args: argparse.Namespace) -> int:
    """Fit a law to a table and print the result; 1 when the points do not determine it."""
    _refuse_idle_options(args)
    from scalinglaws import points, report
    from scalinglaws.laws import LAWS
    from scalinglaws.runs import atomically

    law = FITTED[args.law]
    given = points.read(
        args.runs,
        needs=("C", "N", "D") if args.approach in "12" else LAWS[law].variables,
        named={letter: getattr(args, letter) for letter in "NDCLUx" if getattr(args, letter)},
        label=args.cluster,
        drop_highest=args.drop_highest,
    )
    try:
        made = report.make(
            given, law=law, approach=args.approach, delta=args.delta, residual=args.residual, n=args.bootstrap,
            seed=args.seed or 0, tolerance=args.tolerance,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{args.runs}: {error}") from error
    for note in (*given.notes, *made.notes):  # said once there is a result: an error is one line
        _say(note)
    try:
        if args.report:
            from scalinglaws.page import html

            atomically(args.report, lambda tmp: tmp.write_text(html(made), encoding="utf-8"))
            _say(f"wrote {args.report}")
    finally:  # a disk that is full costs the page, not the numbers
        print(_json(made.record()) if args.json else made.text())
    return 0 if made.usable else 1


def _refuse_idle_options(args: argparse.Namespace) -> None:
    """No option without effect."""
    if args.approach != "3":
        if args.law != "chinchilla":
            raise ValueError(f"--approach {args.approach} is of the law chinchilla; leave --law {args.law} out")
        if args.delta is not None or args.residual != "log":
            raise ValueError(f"--delta and --residual belong to --approach 3; {args.approach} has its own objective")
    if args.tolerance is not None and (args.approach not in "12" or (args.approach == "1" and args.cluster)):
        raise ValueError("--tolerance belongs to --approach 2, and to 1 without --cluster: it puts runs on one budget")
    if args.approach in "12" and (args.bootstrap or args.seed is not None):
        raise ValueError(
            "--bootstrap and --seed belong to --approach 3 and vp: approaches 1 and 2 come without intervals"
        )
    if args.approach == "2" and args.cluster:
        raise ValueError("--cluster belongs to --approach 1, 3 and vp: approach 2 has neither curves nor intervals")
    if args.bootstrap == 0 and (args.seed is not None or (args.cluster and args.approach != "1")):
        raise ValueError("--seed and --cluster shape the refits of the intervals, and --bootstrap 0 asks for none")


def _add_plan(commands) -> None:
    """Declare ``scalinglaws plan``."""
    what = "print the parameters and tokens that a law finds best for a compute budget"
    parser = commands.add_parser("plan", help=what, description=what)
    parser.add_argument("--flops", type=_amount, required=True, metavar="C", help="training FLOPs, such as 1e21")
    parser.add_argument(
        "--law",
        default=PUBLISHED,
        metavar="NAME|FIT.json",
        help="what 'scalinglaws fit --json' printed, or kaplan2020, hoffmann2022 (unrounded constants), "
        f"hoffmann2022-rounded, besiroglu2024, ... (default: {PUBLISHED})",
    )
    parser.add_argument(
        "--inference-tokens",
        type=_amount,
        metavar="D",
        help="tokens to be served: the cheapest model, training and serving, of the loss that C would buy",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, in full precision")
    parser.set_defaults(command=_plan)


def _plan(args: argparse.Namespace) -> int:
    """Print the optimum of a law for a budget."""
    from scalinglaws import chinchilla

    source, record = _law(args.law)
    C_range = record.get("C_range")
    if record.get("status") == "at_bound":
        _say(f"{args.law}: at_bound: {record.get('message')}")
    if C_range and args.flops > 1.001 * C_range[1]:
        _say(f"{args.flops:.4g} FLOPs are {args.flops / C_range[1]:.4g} times the largest fitted budget")
    if args.inference_tokens is None:
        best = chinchilla.allocate(source, args.flops)
        more = {}
    else:
        best = chinchilla.allocate_for_inference(source, inference_tokens=args.inference_tokens, C=args.flops)
        more = {name: float(getattr(best, name)) for name in ("C_train", "C_inference", "saved")}
        more |= {"inference_tokens": args.inference_tokens}
    record = {name: float(getattr(best, name)) for name in ("N", "D", "loss", "tokens_per_param")}
    record |= {"law": args.law, "flops": args.flops} | more
    print(_json(record) if args.json else _plan_text(record))
    return 0


def _law(name: str):
    """The law that a name or a file of `fit` stands for, and what else is in the file."""
    from scalinglaws import chinchilla

    if Path(name).suffix != ".json":
        if name not in chinchilla.NAMED:
            raise ValueError(
                f"no law {name!r}: give one of {', '.join(chinchilla.NAMED)}, or a .json file of 'fit --json'"
            )
        return name, {}
    import json

    try:
        record = json.loads(Path(name).read_text(encoding="utf-8"))
        return _from_record(record), record
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}; make it with 'scalinglaws fit RUNS.csv --json'") from error
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is no result of 'scalinglaws fit --json' ({type(error).__name__})") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _from_record(record: dict):
    """The law in the JSON of a fit, with its parameters."""
    import numpy as np

    from scalinglaws.chinchilla import Frontier
    from scalinglaws.laws import LAWS

    if record["theta"] is None:
        a, b, N, D = (float(record[name]) for name in ("a", "b", "N_scale", "D_scale"))
        no = np.empty(0)
        return Frontier(
            source=record["law"],
            a=a,
            b=b,
            N_scale=N,
            D_scale=D,
            C=no,
            N=no,
            D=no,
            L=no,
            budgets=(),
            bias=None,
            warnings=(),
        )
    if record["law"] not in LAWS:
        raise ValueError(f"law {record['law']!r} is unknown here; choose one of {', '.join(LAWS)}")
    if record["status"] not in ("ok", "at_bound"):
        raise ValueError(f"this fit is not to be used: {record['status']}: {record['message']}")
    theta = {name: float(value) for name, value in record["theta"].items()}
    if not all(map(math.isfinite, theta.values())):
        raise ValueError("theta is not all finite numbers")
    return LAWS[record["law"]], theta


def _plan_text(record: dict) -> str:
    """A plan in words."""
    loss, counting = f"{record['loss']:.5g} nats/token", " = 6 N D"
    if not math.isfinite(record["loss"]):
        loss, counting = "not known from these optima", ", as the runs counted"
    text = f"""law    {record["law"]}
C      {record["flops"]:.5g} FLOPs{counting}
N      {record["N"]:.5g} parameters
D      {record["D"]:.5g} tokens, {record["tokens_per_param"]:.5g} per parameter
loss   {loss}"""
    if "saved" in record:
        text = text.replace(counting, " buy the loss below when training alone counts")
        text += f"""
total  {record["C_train"] + record["C_inference"]:.5g} FLOPs: training {record["C_train"]:.5g}, serving {
            record["inference_tokens"]:.5g} tokens {record["C_inference"]:.5g}; {record["saved"]:.2%} saved"""
    return text


def _add_claims(commands) -> None:
    """Declare ``scalinglaws claims``."""
    what = "print the ledger: every claim of the book with what was published, what was found and the verdict"
    parser = commands.add_parser("claims", help="print the ledger of the book's claims", description=what)
    parser.add_argument("--chapter", metavar="NAME", help="only claims of chapters with this in their name, such as 05")
    parser.add_argument("--verdict", metavar="WORDS", help="only claims whose verdict starts with these words")
    parser.add_argument("--csv", action="store_true", help="print the table as CSV")
    records = parser.add_mutually_exclusive_group()
    folder = {"type": Path, "metavar": "FOLDER"}
    what = "hold what notebooks left in FOLDER (SCALINGLAWS_CLAIMS=FOLDER) to the ledger; code 1 if they differ"
    records.add_argument("--check", help=what, **folder)
    records.add_argument("--write", help="write the ledger from the records in FOLDER", **folder)
    what = "your notebooks, with --check or --write; of the ledger only their claims count (default: the book's)"
    parser.add_argument("--notebooks", help=what, **folder)
    what = "a ledger of your own (default: data/claims.csv of the checkout)"
    parser.add_argument("--ledger", type=Path, metavar="FILE.csv", help=what)
    parser.set_defaults(command=_claims)


def _claims(args: argparse.Namespace) -> int:
    """Print a ledger, write it, or check a run of notebooks against it."""
    from scalinglaws import claims

    if args.notebooks and not (args.check or args.write):
        raise ValueError("--notebooks belongs to --check or --write; to print a ledger leave it out")
    if args.check:
        return _check_claims(args)
    if args.write:
        if args.notebooks and not args.ledger:
            raise ValueError("--write with --notebooks needs --ledger FILE.csv: data/claims.csv is the book's own")
        claims.write(claims.collect(args.write, args.notebooks), args.ledger)
    table = claims.ledger(args.ledger)
    if args.chapter:
        table = table[table["notebook"].str.contains(args.chapter, regex=False)]
    if args.verdict:
        table = table[table["verdict"].str.startswith(args.verdict)]
    print(table.to_csv(index=False) if args.csv else claims.in_words(table))
    return 0


def _check_claims(args: argparse.Namespace) -> int:
    """Hold what notebooks left to a ledger: 1 if they differ, with a line for each difference."""
    from scalinglaws import claims

    found, kept = claims.records(args.check, args.notebooks), claims.ledger(args.ledger)
    if args.notebooks:
        kept = claims.concerning(kept, found, args.notebooks)
    lines = claims.differences(found, kept)
    print("\n".join(lines) if lines else f"all {len(found)} claims are as in the ledger")
    return 1 if lines else 0


def _json(record: dict) -> str:
    """JSON text in full precision; null for what is not finite."""
    import json

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [finite(inner) for inner in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(record), allow_nan=False)


def _count(text: str) -> int:
    """A whole number, zero or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _threshold(text: str) -> float:
    """A number above zero, or infinity."""
    return math.inf if text in ("inf", "infinity") else _amount(text)


def _amount(text: str) -> float:
    """A finite number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero; give one such as 2e6")
    return value


def _read_spec(path: Path) -> RunSpec:
    """The spec in a file; every error names the file."""
    try:
        return from_json(path.read_text(encoding="utf-8"), RunSpec)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; make a spec with 'scalinglaws spec'") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _sizes(spec: RunSpec) -> str:
    """Hash, N, D and C of a spec in words, a line each."""
    from scalinglaws.runs import sizes

    text = """{hash}
N      {n_params_nonemb:,} n_params_nonemb; {n_params_matmul:,} n_params_matmul; {n_params:,} n_params
D      {tokens:,} tokens in {steps:,} steps, {tokens_per_param:.3g} per n_params_nonemb
C      {flops:.4g} FLOPs as executed; {flops_6nd:.4g} by 6 n_params_nonemb D"""
    return text.format(**sizes(spec), steps=spec.train.steps)


def _summary(run: "Run") -> str:
    """A finished run in words."""
    row = run.row()
    row |= {"message": f" ({run.message})" if run.message else "", "sizes": _sizes(run.spec)}
    text = """run    {sizes}
status {status}{message}
loss   {loss:.4f} ± {loss_se:.4f} nats/token on the validation sample
time   {seconds:.1f} s, {tokens_per_second:,.0f} tokens/s; {device}, {runtime}"""
    return text.format(**row)


def _say(message: object) -> None:
    """One line on stderr."""
    print("scalinglaws:", " ".join(str(message).splitlines()), file=sys.stderr)
