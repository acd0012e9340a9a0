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
        ``"open-athena-isoflops"``: isoFLOP runs of eight ``experiment`` s, collected by Czech 2026: the figure of
        Llama 3 read off twice, Marin of March 2026 on Comma, DCLM and Nemotron, misfitting, and the points of
        Hoffmann et al. 2022 in the readings of ml-scalefit and of Epoch. C is the budget, which is not 6 N D
        everywhere; ``outlier`` and ``reason`` say which points the collector leaves out.
        ``"misfitting"``: 222 runs of Li et al. 2025 on 64 pairs of N and D at up to seven ``lr``; L is on C4, C as they
        count it.
        ``"kyo-takano"``: 234 of the runs of Hoffmann et al. 2022, in another reading.
        ``"step-law"``: 1911 runs of Li et al. 2025 over ``lr`` and ``batch_tokens`` at 17 pairs of N, without the
        vocabulary, and D; L is their smoothed training loss, C = 6 N D.
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


def _read_open_athena(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The isoFLOP runs of Open-Athena/scaling-law-analysis, with all of its columns."""
    (text,) = content.values()
    own = pd.read_csv(io.BytesIO(text))
    letters = {"N": "params", "D": "tokens", "C": "budget", "L": "loss"}
    return pd.concat([pd.DataFrame({letter: own[name] for letter, name in letters.items()}), own], axis=1)


def _read_misfitting(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The finished runs in the sheet of hadasah/scaling_laws, whose other rows are plans and group headings."""
    (text,) = content.values()
    own = pd.read_csv(io.BytesIO(text))
    names = {"N": "N", "D": "D", "C": "C", "L": "C4 Eval Loss", "lr": "lr", "n_params_nonemb": "N_no_emb"}
    return pd.DataFrame({name: own[column] for name, column in names.items()}).dropna(ignore_index=True)


def _read_kyo_takano(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The runs of kyo-takano/chinchilla."""
    (text,) = content.values()
    return pd.read_csv(io.BytesIO(text)).rename(columns={"loss": "L"})[["N", "D", "C", "L"]]


_STEP_LAW_SEQUENCE = 2048  # tokens; batches are counted in sequences: ti * bs of these are D


def _read_step_law(content: Mapping[str, bytes]) -> pd.DataFrame:
    """The dense models of step-law/steplaw."""
    (text,) = content.values()
    own = pd.read_csv(io.BytesIO(text))
    N, D = own["N"].astype(float), own["D"].astype(float)
    found = {"N": N, "D": D, "C": counting.flops_6nd(N, D), "L": own["smooth loss"], "lr": own["lr"]}
    return pd.DataFrame(found | {"batch_tokens": _STEP_LAW_SEQUENCE * own["bs"]})


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
    Dataset(
        name="open-athena-isoflops",
        address=f"{_GITHUB}/Open-Athena/scaling-law-analysis/3e0656ee3dce1a2c89aa67691920f5eb9d30f0fc/data/isoflops/transform",
        files={"open-athena-isoflops.csv": "isoflops.csv"},
        hashes={"open-athena-isoflops.csv": "b04d611253611490c5cc339fb95cb28d4f38f279a97438cb804a80f03171caa0"},
        license="none stated: points read off published plots and logs",
        paper="czech2026problems",
        read=_read_open_athena,
    ),
    Dataset(
        name="misfitting",
        address=f"{_GITHUB}/hadasah/scaling_laws/1f3708c0a12df0effb0ee906b1da5f9f0ff4f4f1/data",
        files={"misfitting.csv": "data.csv"},
        hashes={"misfitting.csv": "daaefaa689363b1bbdaefd69133aaf2e1887bc15bf18414990987d6a5b609395"},
        license="none stated",
        paper="li2025misfitting",
        read=_read_misfitting,
    ),
    Dataset(
        name="kyo-takano",
        address=f"{_GITHUB}/kyo-takano/chinchilla/75e5858f6e7c5b60d1fab69f66258132347b060c/examples/llm",
        files={"kyo-takano.csv": "df.csv"},
        hashes={"kyo-takano.csv": "2ed2c412c6b408cb26896b92c0721fe9afa6515726b0db78c33db37cbf2816f9"},
        license="Apache-2.0",
        paper="takano2024chinchilla",
        read=_read_kyo_takano,
    ),
    Dataset(
        name="step-law",
        address=f"{_GITHUB}/step-law/steplaw/32a8f4cc50247695fb56cc6c9117abdf67c97763/data",
        files={"steplaw-dense.csv": "dense_lr_bs_loss.csv"},
        hashes={"steplaw-dense.csv": "9e46181076c04d450294d75dfe6f72adc416e231e154a07b337e378f9410002c"},
        license="none stated",
        paper="li2025steplaw",
        read=_read_step_law,
    ),
)
DATASETS: Mapping[str, Dataset] = MappingProxyType({found.name: found for found in _ALL})
