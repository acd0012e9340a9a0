"""``scalinglaws claims``: the ledger, and runs of notebooks held to it."""

import argparse
from pathlib import Path


def add(commands) -> None:
    """Declare ``scalinglaws claims``."""
    what = "print the ledger: every claim of the book with what was published, what was found and the verdict"
    parser = commands.add_parser("claims", help="print the ledger of the book's claims", description=what)
    parser.add_argument("--chapter", metavar="NAME", help="only claims of chapters with this in their name, such as 05")
    parser.add_argument("--verdict", metavar="WORDS", help="only claims whose verdict starts with these words")
    parser.add_argument("--kind", metavar="WORDS", help="only claims of a kind: trained, public data or arithmetic")
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
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print a ledger, write it, or check a run of notebooks against it."""
    from scalinglaws.book import claims, ledger

    if args.notebooks and not (args.check or args.write):
        raise ValueError("--notebooks belongs to --check or --write; to print a ledger leave it out")
    if args.check:
        return _check_claims(args)
    if args.write:
        if args.notebooks and not args.ledger:
            raise ValueError("--write with --notebooks needs --ledger FILE.csv: data/claims.csv is the book's own")
        ledger.write(claims.collect(args.write, args.notebooks), args.ledger)
    table = ledger.read(args.ledger)
    if args.chapter:
        table = table[table["notebook"].str.contains(args.chapter, regex=False)]
    if args.verdict:
        table = table[table["verdict"].str.startswith(args.verdict)]
    if args.kind:
        table = table[table["kind"].str.startswith(args.kind)]
    print(table.to_csv(index=False) if args.csv else claims.in_words(table))
    return 0


def _check_claims(args: argparse.Namespace) -> int:
    """Hold what notebooks left to a ledger: 1 if they differ, with a line for each difference."""
    from scalinglaws.book import ledger

    found, kept = ledger.records(args.check, args.notebooks), ledger.read(args.ledger)
    if args.notebooks:
        kept = ledger.concerning(kept, found, args.notebooks)
    lines = ledger.differences(found, kept)
    print("\n".join(lines) if lines else f"all {len(found)} claims are as in the ledger")
    return 1 if lines else 0
