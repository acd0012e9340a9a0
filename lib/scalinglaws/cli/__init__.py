"""The command line."""

from scalinglaws.cli.main import main

__all__ = ["main"]
