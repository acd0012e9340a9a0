"""What several commands share: options, amounts, specs, words on stderr."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglaws.config import RunSpec, from_json

if TYPE_CHECKING:
    from scalinglaws.lab.runtime import Runtime


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Declare how runs are executed."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a CUDA GPU if any")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on a GPU, fp32 on a CPU"
    )
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="compile the step (default: if the run is long)"
    )


def runtime_of(args: argparse.Namespace) -> "Runtime":
    """How training is executed, as `add_runtime` was answered."""
    try:
        from scalinglaws.lab.runtime import Runtime
    except ModuleNotFoundError as error:
        raise ValueError(f"training needs {error.name}: pip install -e '.[train]' in the checkout") from error
    return Runtime(device=args.device, precision=args.precision, compile=args.compile)


def count(text: str) -> int:
    """A whole number, zero or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def amount(text: str) -> float:
    """A finite number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero; give one such as 2e6")
    return value


def read_spec(path: Path) -> RunSpec:
    """The spec in a file; every error names the file."""
    try:
        return from_json(path.read_text(encoding="utf-8"), RunSpec)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; make a spec with 'scalinglaws spec'") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def sizes_line(spec: RunSpec) -> str:
    """Hash, N, D and C of a spec in words, a line each."""
    from scalinglaws.runs import sizes

    text = """{hash}
N      {n_params_nonemb:,} n_params_nonemb; {n_params_matmul:,} n_params_matmul; {n_params:,} n_params
D      {tokens:,} tokens in {steps:,} steps, {tokens_per_param:.3g} per n_params_nonemb
C      {flops:.4g} FLOPs as executed; {flops_6nd:.4g} by 6 n_params_nonemb D"""
    return text.format(**sizes(spec), steps=spec.train.steps)


def say(message: object) -> None:
    """One line on stderr."""
    print("scalinglaws:", " ".join(str(message).splitlines()), file=sys.stderr)
