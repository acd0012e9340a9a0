"""The Python sources of the packages that the book is built with, as text that needs no download."""

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path, PurePath

from tqdm import tqdm

from scalinglaws.files import DATA, cache_folder, digest_of, dumps, write_text
from scalinglaws.lab.corpus.base import CORPUS_FORMAT, Corpus, reported, split_by_hash, text_corpus
from scalinglaws.lab.corpus.codecs import codec_of

MANIFEST = DATA / "pystack.json"
_VAL_FRACTION = 0.025


def pystack(vocab: str = "ascii", *, manifest: Path = MANIFEST) -> Corpus:
    """Corpus of the ``.py`` files of the packages listed in the manifest, 168 MB.

    Files are put in the order of the SHA-256 of their content, which is random but the same everywhere; the first
    2.5% of the bytes validate. Each file ends with `SEPARATOR`. The first call reads and encodes the files (seconds);
    later ones map the cached arrays and trust the packages' RECORD that no file was edited since.

    Parameters
    ----------
    vocab
        "ascii" (128 symbols, every byte from 128 up becomes 127), "bytes" (256) or the path of a tokenizer.json.
    manifest
        JSON file of packages with version, number of files, bytes and SHA-256.

    Raises
    ------
    ValueError
        When none of the packages is installed. One that is missing or has another version is reported, not raised.
    """
    if not manifest.is_file():
        raise ValueError(f"manifest={str(manifest)!r}: no such file; install with 'pip install -e .' from a checkout")
    expected = json.loads(manifest.read_text())
    names = list(expected["packages"])
    note = cache_folder(CORPUS_FORMAT) / f"pystack-{_installation(names)}.json"
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):  # absent or damaged
        found = inventory(names)
        write_text(note, dumps(found))
    if not found["files"]:
        raise ValueError(f"corpus='pystack': none of {', '.join(names)} is installed; pip install -r requirements.txt")
    return reported(
        text_corpus(
            name="pystack",
            codec=codec_of(vocab),
            content=found["fingerprint"],
            n_bytes=found["bytes"],
            split=lambda: split_by_hash(_sources(names)[1], _VAL_FRACTION),
            differences=_differences(expected, found),
        )
    )


def inventory(packages: Sequence[str]) -> dict:
    """Fingerprint, files and bytes of the installed sources of some packages, in total and for each package.

    This is the content of the manifest: ``json.dumps(inventory(names), indent=1)`` rewrites it when pins change.
    """
    by_package, documents = _sources(packages)
    return {
        "fingerprint": digest_of(sorted(documents))[:16],
        "files": len(documents),
        "bytes": sum(map(len, documents.values())),
        "packages": {
            name: {
                "version": importlib.metadata.version(name).split("+")[0],  # 2.13.0+cpu has the sources of 2.13.0
                "files": len(hashes),
                "bytes": sum(len(documents[digest]) for digest in hashes),
                "sha256": digest_of(sorted(hashes)),
            }
            for name, hashes in by_package.items()
        },
    }


def _sources(packages: Sequence[str]) -> tuple[dict[str, set[str]], dict[str, bytes]]:
    """Hashes of the files of each installed package, and the content by hash: equal files are one."""
    by_package: dict[str, set[str]] = {}
    documents: dict[str, bytes] = {}
    for name in tqdm(packages, desc="pystack: reading", unit=" packages", disable=None, leave=False):
        distribution = _distribution(name)
        if distribution is None:
            continue
        by_package[name] = set()
        for path in filter(_is_source, distribution.files or ()):
            file = Path(str(distribution.locate_file(path)))
            # Wheels for Windows hold the same files with CRLF ends of line (numpy, scipy, torch, sqlalchemy).
            content = file.read_bytes().replace(b"\r\n", b"\n") if file.is_file() else b""
            if content:
                digest = hashlib.sha256(content).hexdigest()
                by_package[name].add(digest)
                documents[digest] = content
    return by_package, documents


def _is_source(path: PurePath) -> bool:
    """Whether a file in RECORD is Python source that all wheels of a version share.

    Compared were the wheels of torch 2.13.0 (CPU, CUDA, macOS, Windows) and of numpy, scipy, pandas, matplotlib,
    sqlalchemy and fonttools (Linux on two processors, macOS, Windows; Python 3.11 and 3.13). They differ in
    ``version.py`` and ``__config__.py``, written by the build; in a package's own ``__init__.py``, to which Windows
    wheels add a search path for DLLs; and in ``numpy/distutils``, absent from Python 3.12 on.
    """
    return (
        path.suffix == ".py"
        and path.name not in ("version.py", "__config__.py")
        and (len(path.parts) > 2 or path.name != "__init__.py")
        and path.parts[0] != ".."  # scripts outside the packages' folder
        and path.parts[:2] != ("numpy", "distutils")
    )


def _distribution(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _installation(packages: Sequence[str]) -> str:
    """Hash of what the installer recorded: a key that needs no source file to be read."""
    found = [(name, _distribution(name)) for name in packages]
    return digest_of(f"{name} {dist and dist.version} {dist and dist.read_text('RECORD')}" for name, dist in found)[:16]


def _differences(expected: dict, found: dict) -> tuple[str, ...]:
    """One line for each package that is not as the manifest says."""
    lines = []
    for name, want in expected["packages"].items():
        have = found["packages"].get(name)
        if have is None:
            lines.append(f"{name} is not installed")
        elif have["version"] != want["version"]:
            lines.append(f"{name} {have['version']} instead of {want['version']}")
        elif have["sha256"] != want["sha256"]:
            lines.append(f"{name} {have['version']} has other files than expected")
    return tuple(lines)
