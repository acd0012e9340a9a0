"""``scalinglaws design``: which runs to make next, for a narrow interval at a target compute."""

import argparse
from pathlib import Path
from typing import Any

from scalinglaws.cli.plan import FITTED
from scalinglaws.cli.words import amount, count, say

SURFACES = ("chinchilla", "coupled", "coupled_no_floor", "interaction", "kaplan_joint", "rosenfeld", "gadre")


def add(commands) -> None:
    """Declare ``scalinglaws design``."""
    what = "print which runs to make next so that the best size at a target compute is known best for their FLOPs"
    parser = commands.add_parser("design", help=what, description=what)
    parser.add_argument("runs", type=Path, metavar="RUNS.csv", help="N, D (or C and one of them), loss; a run a line")
    parser.add_argument("--target", type=amount, required=True, metavar="C", help="FLOPs, 6 N D, to be planned for")
    parser.add_argument("--budget", type=amount, required=True, metavar="C", help="FLOPs, 6 N D, of all new runs")
    laws = sorted(["auto", *(name for name, law in FITTED.items() if law in SURFACES)])
    what = "default: auto, chosen by hold-out over compute as by 'fit --law auto'"
    parser.add_argument("--law", choices=laws, default="auto", help=what)
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("C", "FLOPs"), ("L", "the loss in nats per token")):
        parser.add_argument(f"--{letter}", metavar="COLUMN", help=f"column of {meaning} (default: guessed, and said)")
    parser.add_argument("--cluster", metavar="COLUMN", help="runs with the same label share their noise")
    for name, of in (("sizes", "parameters"), ("lengths", "tokens")):
        what = (
            f"{of} of new runs: two ends as 1e6:1e9, or all there are as 1e6,3e6,1e7 (default: from the least of the "
        )
        what += "runs to their largest, or to the best of the budget)"
        parser.add_argument(f"--{name}", type=_axis, metavar="LOW:HIGH", help=what)
    parser.add_argument("--largest", type=amount, metavar="C", help="FLOPs of one run at most (default: the budget)")
    what = "runs of one size and length at most, those at hand included (default: 1)"
    parser.add_argument("--seeds", type=count, default=1, metavar="S", help=what)
    parser.add_argument("--most", type=count, default=35, metavar="RUNS", help="new runs at most (default: 35)")
    what = "narrow the interval of the best size (default), or of the loss, at the target"
    parser.add_argument("--of", choices=("N", "loss"), default="N", help=what)
    parser.add_argument("--csv", type=Path, metavar="NEXT.csv", help="also write N, D and seed, a line for each run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, in full precision")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the runs to make next."""
    from scalinglaws.files import write_text
    from scalinglaws.laws import LAWS
    from scalinglaws.laws.choice import choose
    from scalinglaws.laws.design import design
    from scalinglaws.laws.fit import fit
    from scalinglaws.tables import read_runs

    named = {letter: getattr(args, letter) for letter in "NDCL" if getattr(args, letter)}
    given = read_runs(args.runs, needs=("N", "D"), named=named, label=args.cluster)
    columns: Any = {letter: given.columns[letter] for letter in "NDL"}
    try:
        if args.law == "auto":
            choice = choose(**columns, clusters=given.labels)
            law, why = choice.chosen, choice.rule
        else:
            law, why = LAWS[FITTED[args.law]], ""
        made = design(
            fit(law, **columns), C=args.target, budget=args.budget, N=args.sizes, D=args.lengths, largest=args.largest,
            seeds=args.seeds, runs=args.most, quantity=args.of, clusters=given.labels,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{args.runs}: {error}") from error
    for note in (*given.notes, *given.warnings, *filter(None, [why])):
        say(note)
    try:
        if args.csv:
            write_text(args.csv, made.each().to_csv(index=False))
            say(f"wrote {args.csv}")
    finally:  # also where the table cannot be written
        print(made.to_json() if args.json else made.summary())
    return 0


def _axis(text: str) -> list[float]:
    """Two ends, or all values."""
    values = [amount(part) for part in text.replace(":", ",").split(",")]
    if len(values) < 2 or (":" in text and len(values) > 2) or sorted(set(values)) != values:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: give LOW:HIGH, such as 1e6:1e9, or 1e6,3e6,1e7")
    return values
