"""What chapters compute from other people's runs, stored in ``data/derived``: the runs are not part of this project."""

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglaws import files
from scalinglaws.datasets import DATASETS, DatasetUnavailable, dataset
from scalinglaws.version import VERSION

__all__ = ["derived", "raw"]


def raw(name: str) -> pd.DataFrame | None:
    """Return a public data set, see `published.dataset`, or None where it is neither here nor to be downloaded."""
    try:
        return dataset(name)
    except DatasetUnavailable:
        return None


def derived(name: str, compute: Callable[..., dict[str, Any]], *sources: str) -> dict[str, Any]:
    """Return the stored results ``name``; where the data are at hand, compute them again first and compare.

    Numbers may differ by a millionth, or 1e-9 near zero: results that follow from certified optima have been the same
    to the 9 digits that are stored with the kernels of several processors.

    Parameters
    ----------
    name : str
        The results are in ``data/derived/NAME.json``.
    compute : callable
        Takes the data sets ``sources``, see `published.dataset`, a frame each, and returns numbers, texts, arrays, and
        lists and dicts of them, by name.

    Raises
    ------
    AssertionError, ValueError
        If the results computed now are not those that are stored; if these were made from other data.
    """
    storing = os.environ.get("SCALINGLAWS_DERIVED")  # the folder in which to store results, in place of comparing them
    path = Path(storing or files.DATA / "derived") / f"{name}.json"
    frames = [dataset(source) if storing else raw(source) for source in sources]
    found = _plain(compute(*frames)) if all(frame is not None for frame in frames) else None
    head = {"schema": 1, "sha256": {source: _fingerprint(source) for source in sources}}
    if storing:
        head |= {"scalinglaws": VERSION, "results": found}
        text = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
        files.atomically(path, lambda file: file.write_text(f"{{\n{text}\n}}\n"))
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["sha256"] != head["sha256"]:
        raise ValueError(f"results {name!r} were made from other data than are pinned; run `make derived`")
    for difference in _differences(found, stored["results"]) if found is not None else ():
        raise AssertionError(f"results {name!r}: {difference}; find what changed, or store again with `make derived`")
    return stored["results"]


def _fingerprint(source: str) -> str:
    """SHA-256 of the file of a data set; of several files, that of their list, ``data/published/NAME.sha256``."""
    lines = [f"{digest}  {file}" for file, digest in DATASETS[source].checksums().items()]
    return lines[0].split()[0] if len(lines) == 1 else files.digest_of([*lines, ""])


def _plain(value: Any) -> Any:
    """What JSON gives back of a value, numbers to 9 significant digits."""
    text = json.dumps(value, default=lambda array: array.tolist(), allow_nan=False)
    return json.loads(text, parse_float=lambda digits: float(f"{float(digits):.9g}"))


def _differences(now: Any, then: Any, place: str = "results") -> Iterator[str]:
    """Where results differ by more than is allowed, each place with both values."""
    if isinstance(now, list) and isinstance(then, list):
        now, then = dict(enumerate(now)), dict(enumerate(then))
    if isinstance(now, dict) and isinstance(then, dict):
        for key in {**now, **then}:
            yield from _differences(now.get(key), then.get(key), f"{place}[{key!r}]")
    elif now != then and not (type(now) is type(then) is float and math.isclose(now, then, rel_tol=1e-6, abs_tol=1e-9)):
        yield f"{place} is stored as {then!r} and computed as {now!r}"
