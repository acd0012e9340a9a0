"""``scalinglaws fit``: fit a law to a table of runs."""

import argparse
import math
from pathlib import Path
from typing import Any

from scalinglaws.cli.plan import FITTED
from scalinglaws.cli.words import amount, count, say

LARGE = 1e7  # bytes of a table that takes seconds


def add(commands) -> None:
    """Declare ``scalinglaws fit``."""
    what = "fit a scaling law to a table of runs; no starting values are asked for"
    parser = commands.add_parser("fit", help=what, description=what)
    what = "table of N, D (or C and one of them) and loss: CSV, TSV, JSON, Parquet, Markdown ...; or a folder of curves"
    parser.add_argument("runs", type=Path, metavar="RUNS.csv", help=what)
    what = "default: chinchilla; auto: chosen by hold-out over compute, with the table of the choice; of laws that "
    what += "have every parameter that is pinned, tied or bounded"
    parser.add_argument("--law", choices=sorted([*FITTED, "auto"]), default="chinchilla", help=what)
    what = "1: envelope, 2: isoFLOP curves, 3: the law itself (default), vp: the surface by variable projection"
    parser.add_argument("--approach", choices=("1", "2", "3", "vp"), default="3", help=what)
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("C", "FLOPs"), ("L", "the loss")):
        what = f"column of {meaning} (default: by its name, and said)" + ", unit after a colon: size:M" * (
            letter == "N"
        )
        parser.add_argument(f"--{letter}", metavar="COLUMN", help=what)
    parser.add_argument("--U", metavar="COLUMN", help="column of unique tokens, for muennighoff")
    parser.add_argument("--x", metavar="COLUMN", help="column of the variable of power, power_floor and broken")
    parser.add_argument("--cluster", metavar="COLUMN", help="runs with the same label share their noise, or a curve")
    what = "of the losses: nats, bits, perplexity, bpb, bpc ... (default: by the column's name, else nats per token)"
    parser.add_argument("--unit", metavar="UNIT", help=what)
    what = "rows to read, such as \"status == 'finished' and lr < 1e-2\"; a name with spaces or slashes in backticks"
    parser.add_argument("--where", metavar="CONDITION", help=what)
    what = "leave out rows without a value that is needed (default: an error that names them)"
    parser.add_argument("--drop-missing", action="store_true", help=what)
    what = (
        "keep runs that a column of statuses calls failed, crashed, killed, running ... (default: left out, and named)"
    )
    parser.add_argument("--keep-failed", action="store_true", help=what)
    what = "of rows that are readings of runs take the last of each (default), keep all by run, or take all as runs"
    parser.add_argument("--readings", choices=("last", "cluster", "all"), help=what)
    what = "columns of recipes, such as lr,batch, to take the best of at each (N, D), with its seeds; "
    what += "all: the lowest loss; none: every row (default: the rates, batches ... that vary)"
    parser.add_argument("--best-of", nargs="?", const="all", metavar="COLUMNS", help=what)
    parser.add_argument("--drop-highest", type=count, default=0, metavar="K", help="leave out the K highest losses")
    parser.add_argument("--residual", choices=("log", "raw"), default="log", help="fit ln L (default), or L itself")
    what = "pin a parameter, such as E=1.6; may be given several times"
    parser.add_argument("--fix", type=_value, action="append", default=[], metavar="NAME=VALUE", help=what)
    parser.add_argument("--tie", action="append", default=[], metavar="ONE=OTHER", help="hold parameters equal")
    what = "keep a parameter between two values, such as alpha=0.2:0.5"
    parser.add_argument("--bound", type=_limits, action="append", default=[], metavar="NAME=LOW:HIGH", help=what)
    parser.add_argument("--se", metavar="COLUMN", help="column of standard errors of the losses: weights of 1 / se²")
    parser.add_argument("--weights", metavar="COLUMN", help="column of how much the square of each residual counts")
    parser.add_argument("--delta", type=_threshold, help="Huber's threshold; inf: least squares (default: by noise)")
    what = "how far apart, as a share, C of runs on one budget may be, for approaches 1 and 2 (default: 0.1)"
    parser.add_argument("--tolerance", type=amount, metavar="SHARE", help=what)
    parser.add_argument("--bootstrap", type=count, metavar="B", help="refits for 95%% intervals (default: 999)")
    parser.add_argument("--seed", type=count, help="of the refits (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, in full precision")
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="also write a page with figures")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Fit a law to a table and print the result; 1 when the points do not determine it inside all bounds.

    A misfit is 0: its numbers are the best that the law can do, and the first word says what is wrong with them.
    """
    _refuse_idle_options(args)
    from scalinglaws.cli import report
    from scalinglaws.files import dumps, write_text
    from scalinglaws.laws import LAWS
    from scalinglaws.tables import read_runs

    law = FITTED.get(args.law, args.law)
    weighed = [name for name in ("se", "weights") if getattr(args, name)]
    if large := args.runs.is_file() and args.runs.stat().st_size > LARGE:
        say(f"reading {args.runs}, {args.runs.stat().st_size / 1e6:.0f} MB")
    given = read_runs(
        args.runs,
        needs=("C", "N", "D")
        if args.approach in "12"
        else (*(("N", "D") if law == "auto" else LAWS[law].variables), *weighed),
        named={name: getattr(args, name) for name in (*"NDCLUx", *weighed) if getattr(args, name)},
        label=args.cluster,
        drop_highest=args.drop_highest,
        **_reading(args),
    )
    account, *others = given.notes
    if large:  # what takes long is said before it begins
        say(account)
        say(f"fitting {len(given):,} points")
    try:
        made = report.make(
            given, law=law, approach=args.approach, delta=args.delta, residual=args.residual, n=args.bootstrap,
            seed=args.seed or 0, tolerance=args.tolerance, fix=dict(args.fix), bounds=dict(args.bound),
            tie=[tuple(group.split("=")) for group in args.tie],
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{args.runs}: {error}") from error
    for note in (*[account] * (not large), *others, *made.notes):  # said once there is a result: an error is one line
        say(note)
    try:
        if args.report:
            from scalinglaws.cli.page import html

            write_text(args.report, html(made))
            say(f"wrote {args.report}")
    finally:  # also where the page cannot be written
        print(dumps(made.record()) if args.json else made.text())
    return 0 if made.usable else 1


def _reading(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `read_runs` that say which rows are points."""
    own = {
        name: getattr(args, name) for name in ("unit", "where", "drop_missing", "keep_failed", "readings", "best_of")
    }
    if args.best_of not in (None, "all", "none"):
        own["best_of"] = args.best_of.split(",")
    return own | {"curves": args.approach == "1"}


def _refuse_idle_options(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if args.approach != "3":
        if args.law != "chinchilla":
            raise ValueError(f"--approach {args.approach} is of the law chinchilla; leave --law {args.law} out")
        if args.delta is not None or args.residual != "log":
            raise ValueError(f"--delta and --residual belong to --approach 3; {args.approach} has its own objective")
        if args.fix or args.tie or args.bound or args.se or args.weights:
            raise ValueError("--fix, --tie, --bound, --se and --weights belong to --approach 3")
    if args.se and args.weights:
        raise ValueError("give --se or --weights: a standard error is a weight of 1 / se²")
    if args.tolerance is not None and (args.approach not in "12" or (args.approach == "1" and args.cluster)):
        raise ValueError("--tolerance belongs to --approach 2, and to 1 without --cluster: it puts runs on one budget")
    if args.approach == "2" and args.cluster:
        raise ValueError("--cluster belongs to --approach 1, 3 and vp: approach 2 has no curves, and resamples runs")
    if args.bootstrap == 0 and (args.seed is not None or (args.cluster and args.approach != "1")):
        raise ValueError("--seed and --cluster shape the refits of the intervals, and --bootstrap 0 asks for none")


def _value(text: str) -> tuple[str, float]:
    """A parameter and its value."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE, such as E=1.6") from None


def _limits(text: str) -> tuple[str, tuple[float, float]]:
    """A parameter and its lowest and highest value."""
    name, _, ends = text.partition("=")
    try:
        low, high = map(float, ends.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=LOW:HIGH, such as alpha=0.2:0.5") from None
    return name, (low, high)


def _threshold(text: str) -> float:
    """A number above zero, or infinity."""
    return math.inf if text in ("inf", "infinity") else amount(text)
