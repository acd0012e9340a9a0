"""Locks on the runs of a store, so that processes that share one do not train the same run.

By hand and not with filelock, which takes one file and one open descriptor for each run: see LOG.md, 2026-11-30.
"""

import errno
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalinglaws.config import RunSpec

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # what file systems without locks answer


class RunLocks:
    """The runs that this process is training: one locked byte for each, of the file ``.lock`` in the store.

    The kernel frees the locks of a process that ends, however it ends. Without ``fcntl`` (Windows), or where the file
    system has no locks, every lock is granted, and two processes at once train some runs twice.
    """

    def __init__(self, folder: Path):
        try:
            import fcntl
        except ImportError:
            fcntl = None
        self.fcntl: Any = fcntl
        self.file = (folder / ".lock").open("ab")

    def take(self, specs: Sequence[RunSpec]) -> bool:
        """Lock all of the runs, or none when another process has one. A file system without locks is a warning."""
        for i, spec in enumerate(specs if self.fcntl else ()):
            try:
                self.fcntl.lockf(self.file, self.fcntl.LOCK_EX | self.fcntl.LOCK_NB, 1, int(spec.hash, 16))
            except (BlockingIOError, PermissionError):
                self.free(specs[:i])
                return False
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                warnings.warn(
                    f"{self.file.name}: no locks on this file system ({error.strerror}); give each process a share "
                    "of its own, or they train some runs twice",
                    stacklevel=2,
                )
                self.fcntl = None
                break
        return True

    def free(self, specs: Sequence[RunSpec]) -> None:
        """Unlock the runs."""
        for spec in specs if self.fcntl else ():
            self.fcntl.lockf(self.file, self.fcntl.LOCK_UN, 1, int(spec.hash, 16))

    def __enter__(self) -> "RunLocks":
        return self

    def __exit__(self, *_):
        self.file.close()
