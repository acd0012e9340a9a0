"""``scalinglaws backtest``: how well a law predicts the more expensive runs of a table from the cheaper ones."""

import argparse
from pathlib import Path
from typing import Any

from scalinglaws.cli.plan import FITTED
from scalinglaws.cli.words import amount, count, say


def add(commands) -> None:
    """Declare ``scalinglaws backtest``."""
    what = "fit the runs below a part of the largest compute, predict the others, and print by how much that misses"
    parser = commands.add_parser("backtest", help=what, description=what)
    parser.add_argument("runs", type=Path, metavar="RUNS.csv", help="N, D (or C and one of them), loss; a run a line")
    parser.add_argument("--law", choices=sorted(FITTED), default="chinchilla", help="default: chinchilla")
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("C", "FLOPs"), ("L", "the loss in nats per token")):
        parser.add_argument(f"--{letter}", metavar="COLUMN", help=f"column of {meaning} (default: guessed, and said)")
    parser.add_argument("--U", metavar="COLUMN", help="column of unique tokens, for muennighoff")
    parser.add_argument("--x", metavar="COLUMN", help="column of the variable of power, power_floor and broken")
    parser.add_argument("--cluster", metavar="COLUMN", help="runs with the same label share their noise")
    what = "a fit sees the runs below the largest compute over each of these (default: 4 16 64)"
    parser.add_argument("--factors", type=amount, nargs="+", default=[4.0, 16.0, 64.0], metavar="F", help=what)
    parser.add_argument("--bootstrap", type=count, default=199, metavar="B", help="refits of the intervals")
    parser.add_argument("--json", action="store_true", help="print a JSON list, an object for each factor")
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="also write a page with the figure")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Hold a law against the more expensive runs of a table; 1 when no fit to the cheaper ones can be made."""
    from scalinglaws.files import write_text
    from scalinglaws.laws import LAWS
    from scalinglaws.laws.backtest import backtest
    from scalinglaws.tables import read_runs

    law = LAWS[FITTED[args.law]]
    named = {letter: getattr(args, letter) for letter in "NDCLUx" if getattr(args, letter)}
    given = read_runs(args.runs, needs=law.variables, named=named, label=args.cluster)
    columns = given.columns
    variables: Any = {letter: columns[letter] for letter in law.variables}
    options: Any = {"factors": args.factors, "n": args.bootstrap, "clusters": given.labels}
    try:
        found = backtest(law, L=columns["L"], C=columns.get("C"), **options, **variables)
    except ValueError as error:
        raise ValueError(f"{args.runs}: {error}") from error
    for note in given.notes:
        say(note)
    try:
        if args.report:
            from scalinglaws.cli.page import backtest_html

            write_text(args.report, backtest_html(found, given))
            say(f"wrote {args.report}")
    finally:
        print(found.to_json() if args.json else found.summary())
    return 0 if found.cuts else 1
