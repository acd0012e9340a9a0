"""Pages whose code has to run do so side by side before they are made; what has run is kept until it changes."""

import asyncio
import hashlib
import itertools
import os
import time
from pathlib import Path

import nbformat
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

# What the numbers of a chapter, and of a guide, depend on besides their own cells.
INPUTS = ("lib", "data", "tests/cases", "guides/begin.py", "requirements.txt", "constraints.txt")
AT_ONCE = 4  # notebooks, where there are cores for them; each takes up to a gigabyte


def digest(root: Path, names: tuple[str, ...] = INPUTS) -> str:
    """Hash of the paths and contents of some files and folders, without what tools generate there.

    Parameters
    ----------
    root : Path
        The book's source folder.
    names : tuple of str
        Files and folders in it.
    """
    total = hashlib.sha256()
    tops = (root / name for name in names)
    files = (path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file())
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        if "__pycache__" in name or ".egg-info/" in name:
            continue
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def remember(notebook: nbformat.NotebookNode, path: Path, seconds: float, folder: Path) -> None:
    """Put an executed notebook into a cache of the build's, in ``folder``.

    Timestamps of cells are left out; the build has none. A run that wrote to stderr is not kept: the build refuses it,
    and would do so until the notebook changes, though the reason may be gone.
    """
    if any(output.get("name") == "stderr" for cell in notebook.cells for output in cell.get("outputs", ())):
        return
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "remember.lock"):  # two processes may make the cache at once
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
        get_cache(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def stale(paths: list[Path], folder: Path) -> dict[Path, nbformat.NotebookNode]:
    """Return those of some pages, by path, that have code and that the cache in ``folder`` does not hold."""
    cache, found = get_cache(folder), {}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md" and "\n```{code-cell}" not in text:
            continue
        notebook = read_myst_markdown_notebook(text) if path.suffix == ".md" else nbformat.reads(text, as_version=4)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            found[path] = notebook
    return found


async def execute(notebooks: dict[Path, nbformat.NotebookNode], folder: Path, timeout: int, at_once: int) -> None:
    """Run notebooks, ``at_once`` of them at any time, and remember each as soon as it has finished.

    One that fails is not remembered: the build runs it again by itself, and says what was wrong.
    """
    gate, finished = asyncio.Semaphore(at_once), itertools.count(1)
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # or the kernels get into each other's way

    async def run(path: Path) -> None:
        async with gate:
            began = time.perf_counter()
            client = NotebookClient(
                notebooks[path],
                timeout=timeout,
                resources={"metadata": {"path": str(path.parent)}},
                extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns at each start that it is not encrypted
            )
            try:
                await client.async_execute(env=alone)
                remember(client.nb, path, time.perf_counter() - began, folder)
                word = "run"
            except (CellExecutionError, CellTimeoutError):
                word = "failed"
            seconds = time.perf_counter() - began
            print(
                f"  {path.stem} {word} in {seconds:.0f} s ({next(finished)} of {len(notebooks)} notebooks)", flush=True
            )

    async with asyncio.TaskGroup() as group:
        for path in notebooks:
            group.create_task(run(path))


def execute_first(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    """Run the code of the pages that are to be read, as many pages at once as there are cores."""
    paths = [Path(env.doc2path(name)) for name in sorted(names)]
    folder = Path(app.config.nb_execution_cache_path)
    notebooks = stale(paths, folder)
    at_once = min(os.cpu_count() or 1, AT_ONCE)
    if at_once > 1 and len(notebooks) > 1:
        asyncio.run(execute(notebooks, folder, app.config.nb_execution_timeout, at_once))
