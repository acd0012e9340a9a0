"""Runs pytest again and again, each time in a fork of a process that has the slow imports behind it.

python forking.py        # reads arguments, a line a run, and answers each with an exit status; prints to stderr
"""

import gc
import os
import sys

import anyio.pytest_plugin  # noqa: F401
import hypothesis.strategies  # noqa: F401
import jupyter_cache.cache.db  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import nbmake.pytest_items  # noqa: F401
import pandas  # noqa: F401
import playwright.sync_api  # noqa: F401
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
import sphinx.application  # noqa: F401
import torch._dynamo  # noqa: F401  # torch's optimizers import it at their first step

sys.dont_write_bytecode = True  # of two versions of a file within one second the second would be taken for the first
gc.freeze()  # a fork need not look through these modules for garbage
for line in sys.stdin:
    assert not [name for name in sys.modules if name.startswith("scalinglaws")], "the forks would not read their own"
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        status = pytest.main([*line.split(), "-W", "ignore::pytest.PytestAssertRewriteWarning"])  # of what is imported
        sys.stdout.flush()  # _exit does not: what was printed last would be lost
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
