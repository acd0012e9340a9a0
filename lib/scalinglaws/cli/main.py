"""The ``scalinglaws`` command.

A subcommand is a module with two functions: ``add`` declares its arguments, ``run`` does the work and returns the exit
code. What a user can mend ends as one line on stderr and code 2, never as a traceback. Only commands that train import
torch, and only when they do.
"""

import argparse
from typing import NoReturn

from scalinglaws.cli import backtest, claims, compare, design, fit, plan, predict, spec, sweep, train
from scalinglaws.cli.words import say
from scalinglaws.version import VERSION

EXAMPLES = """
examples:
  scalinglaws spec --d-model 64 --tokens 2e6 > spec.json
  scalinglaws train spec.json --dry-run
  scalinglaws train spec.json
  scalinglaws sweep synthetic --workers 2
  scalinglaws fit runs.csv --report fit.html --json > fit.json
  scalinglaws backtest runs.csv
  scalinglaws predict fit.json --N 1e9 --D 2e10
  scalinglaws plan --flops 1e21 --law fit.json
  scalinglaws design runs.csv --target 1e22 --budget 1e20
  scalinglaws compare adam.csv muon.csv
  scalinglaws claims --verdict contradicted
"""


def main(argv: list[str] | None = None) -> int:
    """Exit code of a command line: 0 done, 1 a run came to nothing, 2 something to mend, 130 stopped by Ctrl-C."""
    try:
        args = _parser().parse_args(argv)
        return args.command(args)
    except (ValueError, OSError) as error:
        say(error)
        return 2
    except KeyboardInterrupt as stop:
        say(stop if stop.args else "stopped")
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
    parser.add_argument("--version", action="version", version=f"scalinglaws {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, sweep, spec, fit, backtest, predict, plan, design, compare, claims):
        command.add(commands)
    return parser
