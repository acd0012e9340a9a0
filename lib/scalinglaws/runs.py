"""The run table: the only bridge from training to fitting.

A `Run` is one finished training with all that was measured. `RunStore` keeps each in a file of its own, written in one
piece or not at all; `table` reads them as a DataFrame with the columns of `COLUMNS`. A diverged or failed run is a row
with a status: never a zero, never absent.
"""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from scalinglaws import counting
from scalinglaws.config import DataConfig, ModelConfig, RunSpec, TrainConfig, from_json
from scalinglaws.files import CHECKOUT, NewerSchema, atomically, dumps, loadz, savez, unversioned, write_text

SCHEMA = 1  # of a stored run's JSON; raise when what it says changes
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
    "scores": "downstream scores as a JSON object, see tasks.SCORES",
}

# Keys of `Run.provenance`: where and with what a run was made.
PROVENANCE = ("commit", "versions", "device", "runtime", "fingerprint", "time")
_COUNTS = ("n_params", "n_params_nonemb", "n_params_matmul")


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
    provenance: dict[str, str] = field(default_factory=dict)  # keys: PROVENANCE
    scores: dict[str, float] = field(default_factory=dict)  # downstream, see `tasks.score`; empty unless "ok"

    def __post_init__(self):
        if self.status not in get_args(Status):
            raise ValueError(f"status={self.status!r}: choose one of {get_args(Status)}")
        if self.status == "ok" and not np.isfinite(self.loss):
            raise ValueError(f"loss={self.loss} with status 'ok': a run without a finite loss has diverged or failed")

    def row(self) -> dict:
        """The run as one row of the table."""
        own = ("status", "loss", "loss_se", "train_loss", "seconds", "message")
        row = sizes(self.spec) | {name: getattr(self, name) for name in own}
        row["tokens_per_second"] = self.spec.train.tokens / self.seconds if self.seconds else math.nan
        row |= {key: self.provenance.get(key, "") for key in PROVENANCE}
        row["scores"] = dumps({name: float(f"{value:.5g}") for name, value in self.scores.items()})
        for part in (self.spec.model, self.spec.train, self.spec.data):
            for key, value in dataclasses.asdict(part).items():
                row.setdefault(key, json.dumps(value) if isinstance(value, tuple) else value)
        return {column: row[column] for column in dtypes()}


def sizes(spec: RunSpec) -> dict:
    """The columns of a row that are known before training: hash, N, D and C in every convention."""
    n, tokens = counting.count(spec.model), spec.train.tokens
    return {
        "hash": spec.hash,
        **{name: getattr(n, name) for name in _COUNTS},
        "tokens": tokens,
        "flops": counting.flops(spec.model, tokens),
        "flops_6nd": counting.flops_6nd(n.n_params_nonemb, tokens),
        "tokens_per_param": tokens / n.n_params_nonemb,
    }


def dtypes() -> dict[str, str]:
    """Dtype of every column of a run table, in order: `COLUMNS`, then the config fields.

    Text is never missing, only empty; other fields that can be None are floats, nan for None.
    """
    kinds: dict[Any, str] = {int: "int64", float: "float64", bool: "bool", int | None: "float64"}
    out = dict.fromkeys(COLUMNS, "float64")
    out |= dict.fromkeys(_COUNTS, "int64")
    out |= dict.fromkeys(("hash", "status", *PROVENANCE, "message", "scores"), "str")
    for part in (ModelConfig, TrainConfig, DataConfig):
        out |= {f.name: kinds.get(f.type, "str") for f in dataclasses.fields(part)}
    return out


def table(runs: Iterable[Run]) -> pd.DataFrame:
    """Run table of ``runs``, one row each, in their order; columns and their types are those of `dtypes`."""
    return _typed(pd.DataFrame([run.row() for run in runs], columns=list(dtypes())))


def check(df: pd.DataFrame) -> pd.DataFrame:
    """``df`` itself when it is a run table: every column of `COLUMNS`, known statuses, positive N, D, C and loss.

    If not, a ValueError names the column, the first row at fault and what to do.
    """
    missing = [column for column in COLUMNS if column not in df]
    if missing:
        raise ValueError(f"run table without column {missing[0]!r}: read it with runs.read_csv, or add the column")
    mend = "mend it or drop the row"
    _refuse(df, ~df["status"].isin(get_args(Status)), "status", f"is none of {', '.join(get_args(Status))}; {mend}")
    for column in (*_COUNTS, "tokens", "flops", "loss"):
        rows = df["status"] == "ok" if column == "loss" else np.full(len(df), True)
        value = pd.to_numeric(df[column], errors="coerce")
        _refuse(df, rows & ~((value > 0) & (value < math.inf)), column, f"is no finite number above zero; {mend}")
    _refuse(df, df["hash"].duplicated(), "hash", "stands twice; drop one of the rows")
    return df


def points(table: pd.DataFrame, *, N: str = "n_params_nonemb", C: str | None = None) -> pd.DataFrame:
    """Columns N, D and L of a run table, for ``sl.fit(law, **runs.points(table))``; C too where its column is named.

    The table is a run table or rows of one, each with a loss (see `past_plateau`). ``N`` names the column that counts
    as N, in parameters, and ``C`` that of C, in FLOPs: "flops" or "flops_6nd". D is ``tokens`` and L is ``loss``, in
    nats per token. A column that is not there is a ValueError.
    """
    columns = {"N": N, "D": "tokens", "L": "loss"} | ({} if C is None else {"C": C})
    for letter, column in columns.items():
        if column not in table:
            raise ValueError(f"{letter}={column!r}: no such column; the table has {', '.join(table.columns)}")
    return pd.DataFrame({letter: table[column] for letter, column in columns.items()})


def past_plateau(table: pd.DataFrame, plateau: float, floor: float | None = None) -> pd.DataFrame:
    """The rows whose loss lies below the plateau: a model that has learned no more obeys no law of N and D.

    Parameters
    ----------
    plateau : float
        Loss of a guess from the last token alone, nats per token: ``MarkovSource.bigram_entropy``, or of a text
        ``corpus.ngram_entropy(tokens, 2, vocab_size)``.
    floor : float, optional
        The lowest loss that is possible, where it is known: then only rows more than half way down to it are kept.
    """
    return table[table["loss"] < (plateau if floor is None else (plateau + floor) / 2)]


def trunks(table: pd.DataFrame) -> pd.Series:
    """Label of the trunk of each run: runs are of one if they differ in their length alone.

    They share first weights and the order of the data, so they are one piece of evidence: resample them whole,
    ``sl.bootstrap(fit, seed=0, clusters=runs.trunks(table))``.
    """
    return _labels(table, without=("tokens",))


def cells(table: pd.DataFrame) -> pd.Series:
    """Label of the cell of each run: runs are of one if they differ in their seed alone."""
    return _labels(table, without=("seed",))


def at_best_rate(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of each cell at the best of its learning rates, and whether that rate lies inside its grid.

    A cell here is what runs have in common that differ in their rate and seed alone. Its best rate has the lowest mean
    loss over its seeds; one at which a run did not finish is none, though it bounds the grid. Where the best is an end
    of the grid a better one may lie beyond, so that such a cell should be marked and not compared.

    Parameters
    ----------
    table : DataFrame
        A run table, runs that diverged among them.

    Returns
    -------
    DataFrame
        Rows of ``table`` in their order, with a column ``rate_is_inside``.

    Raises
    ------
    ValueError
        If a cell has no rate at which all runs finished.
    """
    cell, finished = _labels(table, without=("lr", "seed")), table["loss"].where(table["status"] == "ok")
    losses = finished.groupby([cell, table["lr"]]).agg(lambda each: each.mean(skipna=False))
    none = losses.isna().groupby(level=0).all()
    if none.any():
        raise ValueError(f"cell {none.idxmax()!r}: no learning rate at which all runs finished; try lower ones")
    best = cell.map({label: lr for label, lr in losses.groupby(level=0).idxmin()})
    rates = table["lr"].groupby(cell)
    is_inside = (rates.transform("min") < best) & (best < rates.transform("max"))
    return table.assign(rate_is_inside=is_inside)[table["lr"] == best]


def read_csv(path: str | Path) -> pd.DataFrame:
    """Checked run table from a file of `write_csv`, with the types of `dtypes`; columns beyond those are kept."""
    # Left to itself pandas reads the hash 1234e5678901 as a number.
    text: dict[Any, str] = {column: kind for column, kind in dtypes().items() if kind == "str"}
    return _typed(check(pd.read_csv(path, dtype=text)))


def write_csv(df: pd.DataFrame, path: str | Path) -> None:
    """Write a run table, in one piece or not at all."""
    atomically(Path(path), lambda tmp: check(df).to_csv(tmp, index=False, float_format="%.8g"))


def curves(runs: Iterable[Run], points: int = 128) -> pd.DataFrame:
    """Learning curves of ``runs``, one row for each point; a run without a curve has none.

    Columns: ``hash`` of the run; ``kind``, "train" (mean loss over the stretch that ends here, at most ``points``
    stretches) or "eval" (validation); ``tokens`` seen; ``loss`` in nats/token; ``loss_se``, nan for "train".
    """
    parts = [pd.DataFrame({"hash": [], "kind": [], "tokens": [], "loss": [], "loss_se": []})]
    for run in runs:
        if not run.curve:
            continue
        tokens, loss = run.curve["tokens"], run.curve["train_loss"]
        stretches = [part for part in np.array_split(np.arange(len(tokens)), points) if len(part)]
        means, ends = [loss[part].mean() for part in stretches], tokens[[part[-1] for part in stretches]]
        evals = (run.curve["eval_tokens"], run.curve["eval_loss"], run.curve["eval_se"])
        for kind, (at, values, errors) in {"train": (ends, means, math.nan), "eval": evals}.items():
            columns = {"hash": run.spec.hash, "kind": kind, "tokens": at, "loss": values, "loss_se": errors}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).astype({"hash": "str", "kind": "str", "tokens": "int64"})


def write_curves(df: pd.DataFrame, path: str | Path) -> None:
    """Write a table of `curves` as an .npz, losses to six digits, in one piece or not at all."""
    names, index = np.unique(df["hash"].to_numpy(str), return_inverse=True)
    columns = {"hash": names, "run": index.astype("int32"), "is_eval": (df["kind"] == "eval").to_numpy()}
    columns |= {"tokens": df["tokens"].to_numpy(), "loss": df["loss"].to_numpy("float32")}
    columns |= {"loss_se": df["loss_se"].to_numpy("float32")}
    atomically(Path(path), lambda tmp: savez(tmp, columns))


def read_curves(path: str | Path) -> pd.DataFrame:
    """The table of `curves` in a file of `write_curves`."""
    file = loadz(Path(path))
    kind = np.where(file["is_eval"], "eval", "train")
    rest = {column: file[column] for column in ("tokens", "loss", "loss_se")}
    return pd.DataFrame({"hash": file["hash"][file["run"]], "kind": kind} | rest)


def stored(name: str) -> pd.DataFrame:
    """Checked run table of a sweep that comes with the project: ``data/runs/NAME.csv``, made by ``sweeps/NAME.py``."""
    return read_csv(_stored_file(name, "csv"))


def stored_curves(name: str) -> pd.DataFrame:
    """Learning curves of a sweep that comes with the project, see `curves`."""
    return read_curves(_stored_file(name, "npz"))


def _stored_file(name: str, kind: str) -> Path:
    folder = CHECKOUT / "data" / "runs"
    if not (folder / f"{name}.{kind}").exists():
        known = ", ".join(sorted(path.stem for path in folder.glob(f"*.{kind}"))) or "none: work from a checkout"
        raise ValueError(f"no stored sweep {name!r} in {folder}; there are: {known}")
    return folder / f"{name}.{kind}"


class RunStore:
    """A folder with one ``<hash>.json`` (and ``<hash>.npz`` for the curve) per run; safe for several processes."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def write(self, run: Run) -> Path:
        """Store a run and return its file. The curve goes first, so that a run that is listed is whole."""
        path = self._path(run.spec.hash)
        if run.curve:
            atomically(path.with_suffix(".npz"), lambda tmp: savez(tmp, run.curve))
        body = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name not in ("spec", "curve")}
        write_text(path, dumps({"schema": SCHEMA, "spec": dataclasses.asdict(run.spec)} | body, indent=1))
        return path

    def read(self, name: RunSpec | str) -> Run:
        """The stored run of a spec or a hash; a ValueError if there is none, or it is damaged or of a newer schema."""
        path = self._path(name.hash if isinstance(name, RunSpec) else name)
        try:
            curve = path.with_suffix(".npz")
            run = _from_body(json.loads(path.read_text()), loadz(curve) if curve.exists() else {})
        except FileNotFoundError:
            raise ValueError(f"no run {path.stem} in {self.folder}: train it first") from None
        except NewerSchema as error:
            raise NewerSchema(f"{path}: {error}") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"cannot read {path} ({error}): delete it and train that run again") from error
        if run.spec.hash != path.stem:
            raise ValueError(f"{path} holds run {run.spec.hash}: rename it to {run.spec.hash}.json")
        return run

    def all(self) -> list[Run]:
        """Every stored run, by hash. Other files in the folder are left alone."""
        return [self.read(path.stem) for path in sorted(self.folder.glob("[0-9a-f]" * 12 + ".json"))]

    def missing(self, specs: Iterable[RunSpec]) -> list[RunSpec]:
        """The specs that have no stored run yet, each once, in their order."""
        return [spec for spec in dict.fromkeys(specs) if not self._path(spec.hash).exists()]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _from_body(body: dict[str, Any], curve: dict[str, np.ndarray]) -> Run:
    """The run in the JSON of a stored file."""
    if not isinstance(body, dict):
        raise ValueError(f"{type(body).__name__} where the fields of a run are needed")
    body = unversioned(body, SCHEMA)
    known = {f.name for f in dataclasses.fields(Run)} - {"curve"}
    for what, names in (("no such field", set(body) - known), ("missing", known - set(body))):
        if names:
            raise ValueError(f"{min(names)}: {what}")
    for key in ("loss", "loss_se", "train_loss", "seconds"):
        body[key] = math.nan if body[key] is None else float(body[key])
    spec = from_json(json.dumps(body.pop("spec")), RunSpec)
    return Run(spec=spec, curve=curve, **body)


def _labels(table: pd.DataFrame, *, without: tuple[str, ...]) -> pd.Series:
    """Text of each row from the config columns that vary; rows of equal text are equal in all but some columns."""
    names = {f.name for part in (ModelConfig, TrainConfig, DataConfig) for f in dataclasses.fields(part)}.difference(
        without
    )
    varying = [column for column in table if column in names and len(table[column].unique()) > 1]
    labels = [" ".join(map(str, row)) for row in table[varying].itertuples(index=False)]
    return pd.Series(labels if varying else "", index=table.index)


def _typed(df: pd.DataFrame) -> pd.DataFrame:
    """``df`` with the types of `dtypes`."""
    kinds = {column: kind for column, kind in dtypes().items() if column in df}
    return df.fillna({column: "" for column, kind in kinds.items() if kind == "str"}).astype(kinds)


def _refuse(df: pd.DataFrame, bad, column: str, why: str) -> None:
    """Raise for the first row, counted from 0, where ``bad`` holds."""
    if np.any(bad):
        row = int(np.flatnonzero(bad)[0])
        value = df[column].iloc[row]
        shown = f"{value:.4g}" if isinstance(value, int | float | np.number) else repr(value)
        raise ValueError(f"row {row}: {column}={shown} {why}")
