"""The run table: the only bridge from training to fitting.

A `Run` is one finished training with all that was measured. `RunStore` keeps each in a file of its own, written in one
piece or not at all; `table` reads them as a DataFrame with the columns of `COLUMNS`. A diverged or failed run is a row
with a status: never a zero, never absent.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from scalinglaws import counting
from scalinglaws.config import RunSpec, from_json, to_json

Status = Literal["ok", "diverged", "failed"]

# Column -> unit or meaning. Config fields follow these, under their own names.
COLUMNS = {
    "hash": "name of the spec",
    "status": "ok | diverged | failed",
    "n_params": "parameters, all",
    "n_params_nonemb": "parameters without embeddings and head (Kaplan)",
    "n_params_matmul": "parameters that multiply an activation (head included)",
    "tokens": "tokens processed (D)",
    "flops": "FLOPs, counted as executed (C)",
    "flops_6nd": "FLOPs, 6 x n_params_nonemb x tokens",
    "tokens_per_param": "tokens / n_params_nonemb",
    "loss": "validation loss at the end, nats/token",
    "loss_se": "its standard error over validation sequences, nats/token",
    "train_loss": "mean training loss over the last tenth, nats/token",
    "seconds": "wall time of training, evaluation left out",
    "tokens_per_second": "tokens / seconds",
    "commit": "version of the code",
    "versions": "python, numpy, torch",
    "device": "processor",
    "runtime": "precision, compiled or not, threads",
    "fingerprint": "corpus",
    "time": "when it ended, UTC",
    "message": "what went wrong, if anything",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its measurements."""

    spec: RunSpec
    status: Status
    loss: float  # nats/token; nan unless status is "ok"
    loss_se: float
    train_loss: float
    seconds: float
    message: str = ""
    curve: dict[str, np.ndarray] = field(default_factory=dict)  # see `train.train`
    provenance: dict[str, str] = field(default_factory=dict)  # commit, versions, device, runtime, fingerprint, time

    def __post_init__(self):
        if self.status not in get_args(Status):
            raise ValueError(f"status={self.status!r}: choose one of {get_args(Status)}")
        if self.status == "ok" and not np.isfinite(self.loss):
            raise ValueError(f"loss={self.loss} with status 'ok': a run without a finite loss has diverged or failed")

    def row(self) -> dict:
        """The run as one row of the table."""
        spec, n = self.spec, counting.count(self.spec.model)
        tokens = spec.train.tokens
        row = {
            "hash": spec.hash,
            "status": self.status,
            "n_params": n.n_params,
            "n_params_nonemb": n.n_params_nonemb,
            "n_params_matmul": n.n_params_matmul,
            "tokens": tokens,
            "flops": counting.flops(spec.model, tokens),
            "flops_6nd": counting.flops_6nd(n.n_params_nonemb, tokens),
            "tokens_per_param": tokens / n.n_params_nonemb,
            "loss": self.loss,
            "loss_se": self.loss_se,
            "train_loss": self.train_loss,
            "seconds": self.seconds,
            "tokens_per_second": tokens / self.seconds if self.seconds else np.nan,
            **{key: self.provenance.get(key, "") for key in ("commit", "versions", "device", "runtime", "fingerprint")},
            "time": self.provenance.get("time", ""),
            "message": self.message,
        }
        for part in (spec.model, spec.train, spec.data):
            for key, value in dataclasses.asdict(part).items():
                row.setdefault(key, json.dumps(value) if isinstance(value, tuple) else value)
        return row


def table(runs: Iterable[Run]) -> pd.DataFrame:
    """Run table of ``runs``, one row each, in their order."""
    return pd.DataFrame([run.row() for run in runs])


def check(df: pd.DataFrame) -> pd.DataFrame:
    """``df`` itself when it is a run table: every column of `COLUMNS`, known statuses, positive N, D, C and loss.

    Raises
    ------
    ValueError
        Naming the column, the first row at fault and what to do.
    """
    missing = [column for column in COLUMNS if column not in df]
    if missing:
        raise ValueError(f"run table without column {missing[0]!r}: read it with runs.read_csv, or add the column")
    _refuse(df, ~df["status"].isin(get_args(Status)), "status", f"is none of {', '.join(get_args(Status))}")
    for column in ("n_params", "n_params_nonemb", "n_params_matmul", "tokens", "flops", "loss"):
        rows = df["status"] == "ok" if column == "loss" else np.full(len(df), True)
        good = pd.to_numeric(df[column], errors="coerce") > 0
        _refuse(
            df, rows & ~(good & np.isfinite(df[column].where(good, 1.0).astype(float))), column, "is not above zero"
        )
    _refuse(df, df["hash"].duplicated(), "hash", "stands twice: drop one of the rows")
    return df


def read_csv(path: str | Path) -> pd.DataFrame:
    """Checked run table from a file of `write_csv`."""
    return check(pd.read_csv(path, dtype={"hash": str, "commit": str, "message": str}, keep_default_na=True))


def write_csv(df: pd.DataFrame, path: str | Path) -> None:
    """Write a run table, in one piece or not at all."""
    atomically(Path(path), lambda tmp: check(df).to_csv(tmp, index=False, float_format="%.8g"))


class RunStore:
    """A folder with one ``<hash>.json`` (and ``<hash>.npz`` for the curve) per run; safe for several processes."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def write(self, run: Run) -> Path:
        """Store a run and return its file. The curve goes first, so that a run that is listed is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{run.spec.hash}.json"
        if run.curve:
            atomically(path.with_suffix(".npz"), lambda tmp: savez(tmp, run.curve))
        body = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name not in ("spec", "curve")}
        text = json.dumps({"spec": json.loads(to_json(run.spec)), **body}, indent=1)
        atomically(path, lambda tmp: tmp.write_text(text))
        return path

    def read(self, name: RunSpec | str) -> Run:
        """The stored run of a spec or a hash."""
        path = self.folder / f"{name.hash if isinstance(name, RunSpec) else name}.json"
        try:
            body = json.loads(path.read_text())
            spec = from_json(json.dumps(body.pop("spec")), RunSpec)
        except FileNotFoundError:
            raise ValueError(f"no run {path.stem} in {self.folder}: train it first") from None
        except (json.JSONDecodeError, KeyError) as error:
            raise ValueError(f"{path} is damaged ({error}): delete it and train that run again") from None
        curve_path = path.with_suffix(".npz")
        curve = dict(np.load(curve_path)) if curve_path.exists() else {}
        return Run(spec=spec, curve=curve, **body)

    def all(self) -> list[Run]:
        """Every stored run, by hash."""
        return [self.read(path.stem) for path in sorted(self.folder.glob("*.json"))]

    def missing(self, specs: Iterable[RunSpec]) -> list[RunSpec]:
        """The specs that have no stored run yet, each once, in their order."""
        return [spec for spec in dict.fromkeys(specs) if not (self.folder / f"{spec.hash}.json").exists()]


def now() -> str:
    """The time as it is stored: UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def atomically(path: Path, write) -> None:
    """Let ``write(tmp)`` fill a file beside ``path``, then rename it: whole or absent, even after a kill."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}; free space or choose another folder") from error
    os.close(handle)
    tmp = Path(name)
    try:
        write(tmp)
        with tmp.open("rb") as file:
            os.fsync(file.fileno())
        tmp.chmod(0o644)
        tmp.replace(path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}; free space or choose another folder") from error
    finally:
        tmp.unlink(missing_ok=True)


def savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz, compressed, under exactly this name."""
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _refuse(df: pd.DataFrame, bad, column: str, why: str) -> None:
    """Raise for the first row where ``bad`` holds."""
    if np.any(bad):
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"row {row}: {column}={df[column].iloc[row]!r} {why}")
