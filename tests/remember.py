"""What nbmake has executed, the book's build need not execute again."""

import runpy
import time
from pathlib import Path

from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbmake.nb_run import NotebookRun

ROOT = Path(__file__).parents[1]
digest = runpy.run_path(str(ROOT / "_ext/scalinglaws_book.py"))["digest"]


def remember(notebook, path, seconds, root=ROOT):
    """Put an executed notebook where the book's build looks for it: the cache of this state of lib/ and data/.

    Timestamps of cells are left out; the build has none.
    """
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    folder = root / "_build/cache"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "remember.lock"):  # two workers may make the cache at once
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
        get_cache(folder / digest(root)).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


class RememberedRun(NotebookRun):
    """The run of a notebook by nbmake; a chapter that passes is remembered."""

    def execute(self):
        """Return nbmake's own result."""
        began = time.perf_counter()
        result = super().execute()
        if result.error is None and self.filename.parent == ROOT / "chapters":
            remember(result.nb, self.filename, time.perf_counter() - began)
        return result
