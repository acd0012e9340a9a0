"""``scalinglaws compare``: which of two recipes is better, and by how much compute."""

import argparse
from pathlib import Path
from typing import Any

from scalinglaws.cli.words import amount, say

LAWS = ("auto", "chinchilla", "coupled", "coupled_no_floor", "power_floor")


def add(commands) -> None:
    """Declare ``scalinglaws compare``."""
    what = "print the compute that recipe B saves at equal loss, and whether by an offset or by slope"
    parser = commands.add_parser("compare", help=what, description=what)
    for name in "AB":
        what = f"runs of {name}: N, D (or C and one of them), loss, and seed where there is one; a run a line"
        parser.add_argument(name.lower(), type=Path, metavar=f"{name}.csv", help=what)
    what = "of both recipes; default: auto, chosen by hold-out over the compute of A; of one size: power_floor"
    parser.add_argument("--law", choices=LAWS, default="auto", help=what)
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("C", "FLOPs"), ("L", "the loss")):
        parser.add_argument(f"--{letter}", metavar="COLUMN", help=f"column of {meaning} in both (default: guessed)")
    what = "FLOPs, 6 N D, of B to compare at (default: least, middle and largest that both have)"
    parser.add_argument("--flops", type=amount, nargs="+", metavar="C", help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object, in full precision")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the comparison of two tables."""
    from scalinglaws.laws import LAWS
    from scalinglaws.laws.choice import choose
    from scalinglaws.laws.compare import BASES, compare
    from scalinglaws.tables import read_runs

    named = {letter: getattr(args, letter) for letter in "NDCL" if getattr(args, letter)}
    tables = [read_runs(path, needs=("N", "D"), named=named) for path in (args.a, args.b)]
    units = [table.unit for table in tables]
    if units[0] != units[1]:
        raise ValueError(f"{args.a} is in {units[0]} and {args.b} in {units[1]}: give losses in one unit")
    notes = [
        f"{name}: {note}" for name, table in zip("AB", tables, strict=True) for note in table.notes + table.warnings
    ]
    try:
        if args.law == "auto" and len({*tables[0].columns["N"], *tables[1].columns["N"]}) == 1:
            law, notes = LAWS["power_floor"], [*notes, "all runs have one size: a law of D alone"]
        elif args.law == "auto":
            columns: Any = {letter: tables[0].columns[letter] for letter in "NDL"}
            choice = choose(laws=BASES, **columns)
            law, notes = choice.chosen, [*notes, f"A: {choice.rule}"]
        else:
            law = LAWS[args.law]
        found = compare(*tables, law=law, C=args.flops)
    except ValueError as error:
        raise ValueError(f"{args.a}, {args.b}: {error}") from error
    for note in notes:
        say(note)
    print(found.to_json() if args.json else found.summary())
    return 0
