"""``scalinglaws spec``: print the spec of one model."""

import argparse

from scalinglaws.cli.words import amount
from scalinglaws.config import to_json


def add(commands) -> None:
    """Declare ``scalinglaws spec``."""
    what = "print a spec made by one of the book's recipes"
    parser = commands.add_parser("spec", help=what, description=f"{what}; send it to a file for 'scalinglaws train'")
    what = "text: Python sources that are installed with the book; synthetic: a source of known entropy; "
    what += "chains: windows that each draw a Markov chain of their own"
    parser.add_argument("--recipe", choices=("text", "synthetic", "chains"), default="text", help=what)
    parser.add_argument("--d-model", type=int, required=True, metavar="WIDTH", help="width of the model")
    parser.add_argument("--tokens", type=amount, required=True, metavar="D", help="training tokens, such as 2e6")
    parser.add_argument("--n-layer", type=int, default=1, metavar="LAYERS", help="depth of the model (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and data order (default: 0)")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the spec of a recipe."""
    from scalinglaws import recipe

    made_by = {"text": recipe.TEXT, "synthetic": recipe.SYNTHETIC, "chains": recipe.CHAINS}[args.recipe]
    print(to_json(made_by.spec(args.d_model, args.tokens, n_layer=args.n_layer, seed=args.seed), indent=1))
    return 0
