"""Calls `make` from a test: with the tools of the environment that the test runs in, whoever called that test."""

import os
import subprocess
import sys
from pathlib import Path

# No stamp: the environment is there, and a test must not install into it.
OURS = ["STAMP=", f"BIN={Path(sys.executable).parent}"]


def make(*arguments, folder):
    """Return the finished process, its output as text."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
