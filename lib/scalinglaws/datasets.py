"""Other people's runs, downloaded by address and SHA-256 and never part of this project: see `DATASETS`."""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pooch

from scalinglaws import counting
from scalinglaws.files import DATA, cache_folder


class DatasetUnavailable(OSError):
    """A public data set is neither on this machine nor to be had; the message says what to run or to set."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Where a public data set comes from. Its address is pinned to a commit, its bytes to their SHA-256."""

    name: str
    address: str  # of the folder that holds the files
    license: str
    paper: str  # citation key in references.bib
    read: Callable[[Mapping[str, bytes]], pd.DataFrame]
    files: Mapping[str, str] = field(default_factory=dict)  # name in our cache, or a mirror -> name at the address
    hashes: Mapping[str, str] | None = None  # SHA-256 by name in our cache; None: in data/published/NAME.sha256

    def checksums(self) -> Mapping[str, str]:
        """Return the SHA-256 of every file."""
        if self.hashes is not None:
            return self.hashes
        path = DATA / "published" / f"{self.name}.sha256"
        return {name: digest for digest, name in (line.split("  ") for line in path.read_text().splitlines())}


def dataset(name: str) -> pd.DataFrame:
    """Return other people's runs, one row each; ``.attrs`` holds their ``name``, ``address``, ``license``, ``paper``.

    A file is read from the folder that the environment variable SCALINGLAWS_DATASETS names, where it lies there; from
    the cache if it was downloaded before; and is else downloaded. Its SHA-256 is checked each time.

    Parameters
    ----------
    name
        ``"epoch-chinchilla"``: 245 runs of Hoffmann et al. 2022, read off a figure by Besiroglu et al. 2024, in the
        order of the file (they drop the five of highest L). Columns N, D, C, L and the file's own.
        ``"gadre-2024"``: 104 over-trained models of Gadre et al. 2024: ``model``, ``dataset_name``, N (all parameters),
        ``n_params_nonemb``, D, C, ``tokens_per_param``, L (on C4) and ``loss_NAME`` on each of the eight texts.
        ``"gadre-2024-tasks"``: their top-1 errors: ``model`` as above, ``error_TASK`` on each of 46 tasks, the averages
        ``error_46`` and ``error_17``, over their subset of 17.
        ``"nanochat-isoflop"``: the optima of nanochat's isoFLOP sweep of January 27, 2026, each under three ways of
        ``counting`` parameters: C, N, D, ``tokens_per_param`` and ``bits_per_byte``. The log has no single runs.
        Counts are in parameters and tokens, C in FLOPs, losses in nats per token.

    Raises
    ------
    ValueError
        If there is no such data set, or a file is not the one that was pinned.
    DatasetUnavailable
        If a file is not on this machine and cannot be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"no data set {name!r}; choose one of {', '.join(DATASETS)}")
    found = DATASETS[name]
    frame = found.read({file: _content(found, file, digest) for file, digest in found.checksums().items()})
    frame.attrs = {key: getattr(found, key) for key in ("name", "address", "license", "paper")}
    return frame


def _content(found: Dataset, file: str, digest: str) -> bytes:
    """The bytes of a file, from the mirror, the cache or the network."""
    mirror = os.environ.get("SCALINGLAWS_DATASETS")
    path = Path(mirror or "") / file
    if not mirror or not path.is_file():
        path = _download(found, file, digest)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} is not the file that {found.name} was pinned to (its SHA-256 differs): replace it")
    return content


def _download(found: Dataset, file: str, digest: str) -> Path:
    """A file in the cache, after downloading it if need be."""
    log = pooch.get_logger()
    level = log.level
    log.setLevel("ERROR")  # a book's build takes any word on stderr for an error
    try:
        url = f"{found.address}/{found.files.get(file, Path(file).name)}"
        return Path(pooch.retrieve(url, known_hash=f"sha256:{digest}", fname=file, path=cache_folder("datasets")))
    except OSError as error:
        raise DatasetUnavailable(
            f"{found.name}: {file} is not on this machine and was not downloaded ({type(error).__name__}): with"
            f" a network, run python -c \"from scalinglaws.published import dataset; dataset('{found.name}')\"; without"
            " one, set SCALINGLAWS_DATASETS to a folder that holds it"
        ) from error
    finally:
        log.setLevel(level)


def _read_epoch(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The points of epoch-research/analyzing-chinchilla."""
    (text,) = content.values()
    own = pd.read_csv(io.BytesIO(text))
    N, C = own["Model Size"], own["Training FLOP"]
    return pd.concat([pd.DataFrame({"N": N, "D": counting.tokens_6nd(C, N), "C": C, "L": own["loss"]}), own], axis=1)


def _read_gadre(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The models of mlfoundations/scaling, smallest budget first."""
    rows = []
    for file, text in content.items():
        run = json.loads(text)
        N, D = run["hyperparameters"]["params"], run["hyperparameters"]["tokens"]
        losses = {f"loss_{Path(result['val_data'][0]).parent.name}": result["loss"] for result in run["results"]}
        row = {"model": Path(file).stem, "dataset_name": run["dataset_name"], "N": N, "D": D}
        row |= {"C": counting.flops_6nd(float(N), D), "L": losses["loss_c4_val"]}
        row |= {"n_params_nonemb": run["hyperparameters"]["params_no_embed"], "tokens_per_param": D / N}
        rows.append(row | losses)
    return pd.DataFrame(rows).sort_values(["C", "model"], ignore_index=True)


# The subset of the authors' repository, scaling/constants.py.
_TASKS_17 = (  # noqa: SIM905
    "arc_easy bigbench_cs_algorithms bigbench_dyck_languages bigbench_novel_concepts bigbench_operators "
    "bigbench_qa_wikidata boolq commonsense_qa copa coqa hellaswag hellaswag_zeroshot lambada_openai piqa "
    "pubmed_qa_labeled squad winograd"
).split()


def _read_gadre_tasks(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The evaluations of the same models."""
    rows = []
    for file, text in content.items():
        accuracies = json.loads(text)["eval_metrics"]["icl"]
        errors = pd.Series({task: 1 - accuracy for task, accuracy in accuracies.items()})
        averages = {"error_46": errors.mean(), "error_17": errors[_TASKS_17].mean()}
        model = Path(file).stem.removeprefix("evaluation_").removesuffix("_heavy")
        rows.append({"model": model, **averages, **errors.add_prefix("error_")})
    return pd.DataFrame(rows)


def _read_nanochat(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The three tables of optima in karpathy/nanochat's log."""
    (text,) = content.values()
    countings = {"Kaplan-style": "matrices and head", "Chinchilla-style": "all", "Transformer-only-style": "matrices"}
    rows, counting = [], None
    for line in text.decode().splitlines():
        counting = countings.get(line.split(" ")[0], counting)
        if counting and re.match(r"\de\+\d+ ", line):
            rows.append((counting, *(float(cell.replace(",", "")) for cell in line.split())))
    return pd.DataFrame(rows, columns=["counting", "C", "N", "D", "tokens_per_param", "bits_per_byte"])


_GITHUB = "https://raw.githubusercontent.com"
_GADRE = f"{_GITHUB}/mlfoundations/scaling/a003c4913793ac2ae7ef87b28ecb562955d026d5/exp_data"
_ALL = (
    Dataset(
        name="epoch-chinchilla",
        address=f"{_GITHUB}/epoch-research/analyzing-chinchilla/92258837425e1b5f2851d624287f0120583a3d0e/data",
        files={"epoch-chinchilla.csv": "svg_extracted_data.csv"},
        hashes={"epoch-chinchilla.csv": "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30"},
        license="none stated: figures read off a published plot",
        paper="besiroglu2024chinchilla",
        read=_read_epoch,
    ),
    Dataset(name="gadre-2024", address=f"{_GADRE}/models", license="MIT", paper="gadre2024language", read=_read_gadre),
    Dataset(
        name="gadre-2024-tasks",
        address=f"{_GADRE}/evals",
        license="MIT",
        paper="gadre2024language",
        read=_read_gadre_tasks,
    ),
    Dataset(
        name="nanochat-isoflop",
        address=f"{_GITHUB}/karpathy/nanochat/dc54a1a3077cab11d68fac4c5d1cd5c51f5d8c7a/dev",
        files={"nanochat-log.md": "LOG.md"},
        hashes={"nanochat-log.md": "a21cad0c01d21eded600f94cec307a1c5a8ee28d4ff069036f887dc918cc83d6"},
        license="MIT",
        paper="karpathy2025nanochat",
        read=_read_nanochat,
    ),
)
DATASETS: Mapping[str, Dataset] = MappingProxyType({found.name: found for found in _ALL})
