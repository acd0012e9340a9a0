"""``scalinglaws plan``: what to train for a budget."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglaws.cli.words import amount, say

if TYPE_CHECKING:
    from scalinglaws.laws.frontier import Frontier
    from scalinglaws.laws.law import Array

# Laws of a loss that `fit` offers, with the name in `laws.LAWS`; here so that --help need not load them.
FITTED = {"kaplan": "kaplan_joint"} | {
    name: name
    for name in (
        "chinchilla", "coupled", "coupled_no_floor", "interaction", "power", "power_floor", "rosenfeld", "gadre",
        "muennighoff", "broken", "monomial", "monomial_nd",
    )
}  # fmt: skip
PUBLISHED = "besiroglu2024"


def add(commands) -> None:
    """Declare ``scalinglaws plan``."""
    what = "print the parameters and tokens that a law finds best for a compute budget"
    parser = commands.add_parser("plan", help=what, description=what)
    parser.add_argument("--flops", type=amount, required=True, metavar="C", help="training FLOPs, such as 1e21")
    what = "what 'scalinglaws fit --json' printed, or kaplan2020, hoffmann2022 (unrounded constants), "
    what += f"hoffmann2022-rounded, besiroglu2024, ... (default: {PUBLISHED})"
    parser.add_argument("--law", default=PUBLISHED, metavar="NAME|FIT.json", help=what)
    what = "tokens to be served: the cheapest model, training and serving, of the loss that C would buy"
    parser.add_argument("--inference-tokens", type=amount, metavar="D", help=what)
    what = "different tokens that there are, for muennighoff2023 or a fit of muennighoff: beyond them data repeat"
    parser.add_argument("--unique-tokens", type=amount, metavar="U", help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object, in full precision")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the optimum of a law for a budget, with its intervals where the file of a fit has its points."""
    from dataclasses import replace

    from scalinglaws.files import dumps
    from scalinglaws.laws import plan
    from scalinglaws.laws.fit import SCHEMA
    from scalinglaws.laws.frontier import Frontier

    source, record = _law(args.law)
    C_range, unit = record.get("C_range"), record.get("unit", "nats per token")
    fitted = {name: record[name] for name in ("status", "message") if record.get("status") == "misfit"}
    if fitted:
        say(f"{args.law}: misfit: {record['message']}")
    if C_range and args.flops > 1.001 * C_range[1]:
        say(f"{args.flops:.4g} FLOPs are {args.flops / C_range[1]:.4g} times the largest fitted budget")
    if args.inference_tokens is not None and args.unique_tokens is not None:
        raise ValueError(
            "--unique-tokens with --inference-tokens: plans for serving have tokens to spare; leave one out"
        )
    if record.get("refits"):
        from scalinglaws.cli.predict import cloud_of

        source = cloud_of(record)
    best = plan.plan(source, args.flops, inference_tokens=args.inference_tokens, unique_tokens=args.unique_tokens)
    unserved = args.inference_tokens is None
    if unserved and isinstance(source, Frontier):
        best = replace(best, intervals=_of_optima(source, args.flops))
    record = {name: float(getattr(best, name)) for name in ("N", "D", "loss", "tokens_per_param")}
    record = {"schema": SCHEMA} | record | {"law": args.law, "flops": args.flops, "unit": unit}
    if not unserved:
        record |= {name: float(getattr(best, name)) for name in ("C_train", "C_inference", "saved")}
        record |= {"inference_tokens": args.inference_tokens}
    if best.intervals:
        ends = {name: [float(low), float(high)] for name, (low, high) in best.intervals.items()}
        record |= {"intervals": ends, "level": best.level}
    # What is wrong with the law was said above, and the law goes by the name that was asked for.
    print(dumps(record | fitted) if args.json else replace(best, source=args.law, message="", unit=unit).summary())
    return 0


def _of_optima(source: "Frontier", flops: float) -> "dict[str, tuple[Array, Array]]":
    """Intervals of N, D and loss of optima that can be resampled; empty where they cannot."""
    from scalinglaws.laws.fit import FitError

    try:
        cloud = source.bootstrap(seed=0)
    except FitError:
        return {}
    of = {"N": cloud.optimum(flops)[0], "D": cloud.optimum(flops)[1], "loss": cloud.loss(flops)}
    ends = {name: cloud.interval(lambda _, values=values: values) for name, values in of.items()}
    return {name: (low, high) for name, (low, high) in ends.items() if math.isfinite(low)}


def _law(name: str):
    """The law that a name or a file of `fit` stands for, and what else is in the file."""
    from scalinglaws.laws import plan

    if Path(name).suffix != ".json":
        if name not in plan.NAMED:
            raise ValueError(f"no law {name!r}: give one of {', '.join(plan.NAMED)}, or a .json file of 'fit --json'")
        return name, {}
    import json

    try:
        text = Path(name).read_text(encoding="utf-8")
        return plan.source_of_json(text), json.loads(text)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}; make it with 'scalinglaws fit RUNS.csv --json'") from error
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: is no result of 'scalinglaws fit --json' ({type(error).__name__})") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
