"""What nbmake has executed, the book's build need not execute again."""

import time
from pathlib import Path

from execution import digest, remember
from nbmake.nb_run import NotebookRun

ROOT = Path(__file__).parents[1]


class RememberedRun(NotebookRun):
    """The run of a notebook by nbmake; a chapter that passes is remembered."""

    def execute(self):
        """Return nbmake's own result."""
        began = time.perf_counter()
        result = super().execute()
        if result.error is None and self.filename.parent == ROOT / "chapters":
            remember(result.nb, self.filename, time.perf_counter() - began, ROOT / "_build/cache" / digest(ROOT))
        return result
