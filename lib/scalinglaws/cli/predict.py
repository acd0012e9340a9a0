"""``scalinglaws predict``: the loss of a run that was not made, by a fit."""

import argparse
import json
from pathlib import Path
from typing import Any

from scalinglaws.cli.words import amount, say


def add(commands) -> None:
    """Declare ``scalinglaws predict``."""
    what = "print the loss that a fit predicts, the interval of the law, and that of a new run"
    parser = commands.add_parser("predict", help=what, description=what)
    parser.add_argument("fit", metavar="FIT.json", help="what 'scalinglaws fit --json' printed")
    for letter, meaning in (("N", "parameters"), ("D", "tokens"), ("U", "unique tokens"), ("x", "the only variable")):
        parser.add_argument(f"--{letter}", type=amount, metavar=letter, help=f"{meaning} of the run, counted as fitted")
    parser.add_argument("--level", type=amount, default=0.95, metavar="P", help="of the intervals (default: 0.95)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, in full precision")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the forecast of a fit."""
    from scalinglaws.laws.forecast import predict

    if not args.level < 1:
        raise ValueError(f"--level {args.level:g}: give a probability below 1, such as 0.95")
    record = read(args.fit)
    given = {letter: getattr(args, letter) for letter in "NDUx" if getattr(args, letter) is not None}
    try:
        found = predict(cloud_of(record, args.level), level=args.level, **given)
    except ValueError as error:
        raise ValueError(f"{args.fit}: {error}") from error
    if found.message:
        say(f"{args.fit}: {found.status}: {found.message}")
    print(found.to_json() if args.json else found.summary())
    return 0


def read(name: str) -> dict[str, Any]:
    """The JSON object in the file of a fit."""
    try:
        record = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}; make it with 'scalinglaws fit RUNS.csv --json'") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is no result of 'scalinglaws fit --json' ({type(error).__name__})") from error
    if not isinstance(record, dict) or record.get("theta") is None:
        raise ValueError(f"{name}: is no fit of a law: make it with 'scalinglaws fit RUNS.csv --json', approach 3")
    return record


def cloud_of(record: dict[str, Any], level: float = 0.95):
    """The refits of a fit, made again from its points, or those of a file of `Fit.to_json`."""
    from scalinglaws.laws.fit import Fit, FitError
    from scalinglaws.laws.intervals import refits

    if "x" in record:
        return refits(Fit.from_json(json.dumps(record)), level=level)
    how = record.get("refits")
    if how is None:
        raise FitError(f"{record.get('status')}: the file has no intervals: {record.get('message')}")
    found = Fit.from_json(json.dumps(how["fit"]))
    return refits(found, n=how["n"], seed=how["seed"], level=level, clusters=how["clusters"])
