"""Files, whole or absent: where the project's are, JSON without NaN, writing in one piece, arrays, the cache."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pooch

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]  # of an editable install; of any other its `data`, `sweeps` and `chapters` are not there
_INSTALLED = PACKAGE / "data"  # an ordinary install brings the small files along
DATA = _INSTALLED if _INSTALLED.is_dir() else CHECKOUT / "data"
DRAFT, DRAFT_SECONDS = ".draft-", 86_400.0  # how names of unfinished work begin, and how long it may be somebody's


def plain(value: Any) -> Any:
    """A nested value in JSON's own types: numpy's become Python's, what is not finite becomes None."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """JSON text of a nested value, numbers in full precision; null for what is not finite, which JSON does not have."""
    return json.dumps(plain(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


class NewerSchema(ValueError):
    """A file was written by a newer version than this one."""


def unversioned(record: dict, known: int = 1) -> dict:
    """A record that was read from JSON, without its ``schema`` number; where there is none it is 1.

    A number above ``known``, the last that this version reads, raises `NewerSchema`; no whole number a ValueError.
    """
    schema = record.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema={schema!r}: give a whole number from 1 to {known}, or leave it out")
    if schema > known:
        raise NewerSchema(f"schema={schema}, and this version of scalinglaws reads up to {known}: install a newer one")
    return {key: value for key, value in record.items() if key != "schema"}


def now() -> str:
    """The time as it is stored: UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write(tmp)`` fill a file beside ``path``, then rename it: whole or absent, even after a kill.

    After an OSError (the folder cannot be made or written, or is full) what stood at ``path`` is still there.
    """
    tmp = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_drafts(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{DRAFT}{path.stem}.", suffix=path.suffix)
        os.close(handle)
        tmp = Path(name)
        write(tmp)
        with tmp.open("r+b") as file:  # Windows flushes what may be written only
            os.fsync(file.fileno())
        tmp.chmod(0o644)
        tmp.replace(path)
    except OSError as error:
        reason = error.strerror or f"{error}; the disk may be full"  # numpy gives the number of bytes alone
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{path.parent} is no folder"
        raise OSError(f"cannot write {path}: {reason}; free space or choose another folder") from error
    finally:
        if tmp is not None:
            tmp.unlink(missing_ok=True)


def write_whole(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Let ``save(file)`` fill a file opened for bytes, in one piece or not at all; errors as in `atomically`."""

    def fill(draft: Path) -> None:
        with draft.open("wb") as file:
            save(file)

    atomically(path, fill)


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, in one piece or not at all; errors as in `atomically`."""
    atomically(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def _clear_drafts(folder: Path) -> None:
    """Delete the files and folders of processes that were killed while they wrote; those that write now are younger."""
    for draft in folder.glob(f"{DRAFT}*"):
        with contextlib.suppress(OSError):  # another process may be at it too
            if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz, compressed, under exactly this name."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def loadz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz; a ValueError where the zip, its compression or the arrays' headers are damaged."""
    broken = (OSError, EOFError, KeyError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)
    with path.open("rb") as file:
        try:
            arrays = np.load(file)
            if isinstance(arrays, np.ndarray):
                raise ValueError(f"{path.name}: one array, an .npy, where an .npz is needed")
            with arrays:
                return dict(arrays)
        except broken as error:
            raise ValueError(f"{path.name}: {error}") from error


def digest_of(parts: Iterable[str]) -> str:
    """SHA-256 of some lines, as hex digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cache_folder(part: str) -> Path:
    """A part of the cache, in ``$SCALINGLAWS_CACHE`` or else in the operating system's cache for this user."""
    return Path(os.environ.get("SCALINGLAWS_CACHE") or pooch.os_cache("scalinglaws")) / part
