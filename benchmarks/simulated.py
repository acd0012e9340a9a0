"""What the simulations share: one thread each, rows that are written as they come, and what made a table.

Import it before numpy: processes are the parallelism, and numpy reads the number of threads when it is loaded.
"""

import argparse
import os
import platform
from collections.abc import Iterable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import scipy  # noqa: E402

from scalinglaws.files import now  # noqa: E402


def arguments(doc: str, rows: str, sets: int, table: bool = True) -> argparse.ArgumentParser:
    """A command whose help is the doc of its file, with where its rows are and how many sets it makes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path(rows), help="a row for each set, made now or before")
    parser.add_argument("--sets", type=int, default=sets)
    if table:
        parser.add_argument("--table", type=Path, help="write the summary with its provenance to this file")
    return parser


def there(path: Path, keys: Iterable[str]) -> set[tuple]:
    """Values of the keys in the rows that are there already; None for a missing one."""
    if not path.is_file():
        return set()
    done = pd.read_csv(path, usecols=[*keys])[[*keys]]
    return {tuple(None if pd.isna(v) else v for v in row) for row in done.itertuples(index=False)}


def append(rows: pd.DataFrame, path: Path, **how) -> None:
    """Write rows below those that are there."""
    rows.to_csv(path, mode="a", header=not path.exists(), index=False, **how)


def provenance(seconds: float, **what) -> dict:
    """What a table was made by: resamples or the like, commit, versions, seconds of processor time, time."""
    from scalinglaws.lab.runtime import commit  # loads torch

    versions = f"python {platform.python_version()}; numpy {np.__version__}; scipy {scipy.__version__}"
    return what | {"commit": commit(), "versions": versions, "seconds": round(seconds), "time": now()}
