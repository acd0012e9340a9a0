"""The ``scalinglaws`` command.

A subcommand is two functions: ``_add_NAME`` declares its arguments, ``_NAME`` does the work and returns the exit code.
What a user can mend ends as one line on stderr and code 2, never as a traceback. Only commands that train import torch,
and only when they do.
"""

import argparse
import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scalinglaws.config import RunSpec, from_json, to_json

if TYPE_CHECKING:
    from scalinglaws.runs import Run

CHECKPOINT_SECONDS = 5.0  # what a kill may cost

EXAMPLES = """
examples:
  scalinglaws spec --d-model 64 --tokens 2e6 > spec.json
  scalinglaws train spec.json --dry-run
  scalinglaws train spec.json
"""


def main(argv: list[str] | None = None) -> int:
    """Exit code of a command line: 0 done, 1 the run diverged, 2 something to mend, 130 stopped by Ctrl-C."""
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
    for add in (_add_train, _add_spec):
        add(commands)
    return parser


def _add_train(commands) -> None:
    """Declare ``scalinglaws train``."""
    what = "train one model; its run is stored, and a run that was cut off goes on from its last checkpoint"
    parser = commands.add_parser("train", help=what, description=what)
    parser.add_argument("spec", type=Path, metavar="SPEC.json", help="what to train; 'scalinglaws spec' makes one")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="FOLDER", help="run store (default: runs)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a CUDA GPU if any")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on a GPU, fp32 on a CPU"
    )
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="compile the step (default: if the run is long)"
    )
    parser.add_argument("--json", action="store_true", help="print the row of the run table as one JSON object")
    parser.add_argument("--dry-run", action="store_true", help="print N, D and C; train and store nothing")
    parser.set_defaults(command=_train)


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
        run = _new_run(spec, args)
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


def _new_run(spec: RunSpec, args: argparse.Namespace) -> "Run":
    """Train a spec, from its checkpoint where there is one."""
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
        return train.train(
            spec,
            corpus,
            train.Runtime(device=args.device, precision=args.precision, compile=args.compile),
            checkpoint=checkpoint,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=sys.stderr.isatty(),
        )
    except KeyboardInterrupt:
        if checkpoint.exists():
            raise KeyboardInterrupt(f"stopped; the same command goes on from {checkpoint}") from None
        raise KeyboardInterrupt("stopped before the first checkpoint; the same command starts again") from None


def _checkpoint(spec: RunSpec, args: argparse.Namespace) -> Path:
    """Where the state of an unfinished run is kept."""
    return args.out / f"{spec.hash}.ckpt.npz"


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
