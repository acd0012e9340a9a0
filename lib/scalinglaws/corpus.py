"""Text to tokens: bytes that every reader already has, a synthetic source of known entropy, your own files.

`load` turns a `config.DataConfig` into a `Corpus`: two memory-mapped arrays of token ids and a fingerprint of what is
in them. Arrays are kept in a cache folder (``$SCALINGLAWS_CACHE``, else the user's), under a name that holds the
fingerprint; a file there is either whole or absent.

pystack
    The Python sources of the packages that the book itself is built with, at the versions that requirements.txt and
    constraints.txt pin: nothing to download. ``data/pystack.json`` lists what to expect.
markov
    An order-2 Markov source whose entropy rate is computed exactly: the floor that a fitted law should find.
files
    UTF-8 text of your own.
"""

import contextlib
import dataclasses
import functools
import glob
import gzip
import hashlib
import importlib.metadata
import json
import lzma
import math
import os
import sys
import tokenize
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pooch
from scipy.special import entr
from tqdm import tqdm

from scalinglaws import DATA
from scalinglaws.config import DataConfig
from scalinglaws.runs import atomically

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MANIFEST = DATA / "pystack.json"
SEPARATOR = "\0"  # ends every file of a byte corpus; no source file contains it
END_OF_FILE = "<|endoftext|>"  # its counterpart in subword vocabularies, GPT-2's name for it

_FORMAT = "corpus-1"  # raise when a rule below changes what is cached
_VAL_FRACTION = 0.025
_MARKOV_TOKENS, _MARKOV_VAL_TOKENS = 2**24, 2**20
_STEPS, _PIECES = 2048, 1024  # a block of the sampler: pieces of one chain that are walked at once, steps of each
_FEW_FILES = 20


class CorpusMismatch(UserWarning):
    """The corpus at hand is not the one that was expected: losses on it are not comparable with stored ones."""


class Codec(Protocol):
    """Text to token ids, shape (n,), and back."""

    def encode(self, text: str) -> np.ndarray: ...  # noqa: D102
    def decode(self, ids: np.ndarray) -> str: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class _Symbols:
    """Symbols without text, written as numbers."""

    def encode(self, text: str) -> np.ndarray:
        return np.array(text.split(), np.int64)

    def decode(self, ids: np.ndarray) -> str:
        return " ".join(map(str, ids))


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Token ids to train and to validate on."""

    name: str
    vocab_size: int
    train: np.ndarray = dataclasses.field(repr=False)  # (n,) uint8 or uint16, read-only
    val: np.ndarray = dataclasses.field(repr=False)  # (m,) same type; none of it is in train
    fingerprint: str  # 16 hex digits of the SHA-256 of the content; the same for every unique_tokens
    entropy: float | None = None  # exact entropy rate in nats per token, where it is known
    bytes_per_token: float | None = None  # ends of files count as tokens of no bytes; None where tokens are not text
    differences: tuple[str, ...] = ()  # what is not as expected, one line each
    codec: Codec = dataclasses.field(default=_Symbols(), repr=False)

    @property
    def matches_manifest(self) -> bool:
        """Whether this is the corpus that stored runs were trained on: compare losses with theirs only then."""
        return not self.differences

    def encode(self, text: str) -> np.ndarray:
        """Token ids of a text, shape (n,), of the type of ``train``."""
        return self._known(self.codec.encode(text)).astype(self.train.dtype)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Text of token ids; one that is not below vocab_size is a ValueError."""
        return self.codec.decode(self._known(np.asarray(ids)))

    def _known(self, ids: np.ndarray) -> np.ndarray:
        """The ids, checked."""
        if ids.size and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            wrong = ids[(ids < 0) | (ids >= self.vocab_size)][0]
            raise ValueError(f"ids: {wrong} is no token of {self.name}; give ids from 0 to {self.vocab_size - 1}")
        return ids


def load(data: DataConfig) -> Corpus:
    """Corpus that a config asks for, its train part cut to ``data.unique_tokens`` if these are its start.

    Tokens from everywhere are drawn as sequences, whose length is the model's: `train.Batches` does that.

    A fingerprint other than ``data.fingerprint``, or for pystack other than the manifest's, is reported by a
    `CorpusMismatch` warning and in ``Corpus.differences``.

    Raises
    ------
    ValueError
        When the files or the vocabulary cannot be used, or hold fewer than ``data.unique_tokens`` training tokens.
    """
    if data.corpus == "markov":
        if data.vocab != "ascii":
            raise ValueError(f"vocab={data.vocab!r}: the markov source has its own symbols; leave vocab out")
        corpus = markov(n_tokens=max(data.unique_tokens or 0, _MARKOV_TOKENS))
    elif data.corpus == "pystack":
        corpus = pystack(data.vocab)
    else:
        corpus = files(data.path or "", data.vocab)
    if data.fingerprint not in (None, corpus.fingerprint):
        difference = f"fingerprint {corpus.fingerprint} instead of {data.fingerprint}"
        corpus = _reported(dataclasses.replace(corpus, differences=(*corpus.differences, difference)))
    n_tokens = data.unique_tokens or len(corpus.train)
    if n_tokens > len(corpus.train):
        raise ValueError(
            f"unique_tokens={n_tokens}: {corpus.name} has {len(corpus.train)} training tokens; "
            "ask for at most that many, or None for all"
        )
    return corpus if data.unique_from == "everywhere" else dataclasses.replace(corpus, train=corpus.train[:n_tokens])


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
    note = cache_folder() / f"pystack-{_installation(names)}.json"
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):  # absent or damaged
        found = inventory(names)
        _write(note, lambda file: file.write(json.dumps(found).encode()))
    if not found["files"]:
        raise ValueError(f"corpus='pystack': none of {', '.join(names)} is installed; pip install -r requirements.txt")
    return _reported(
        _text_corpus(
            name="pystack",
            codec=_codec(vocab),
            content=found["fingerprint"],
            n_bytes=found["bytes"],
            split=lambda: _split_by_hash(_sources(names)[1], _VAL_FRACTION),
            differences=_differences(expected, found),
        )
    )


def inventory(packages: Sequence[str]) -> dict:
    """Fingerprint, files and bytes of the installed sources of some packages, in total and for each package.

    This is the content of the manifest: ``json.dumps(inventory(names), indent=1)`` rewrites it when pins change.
    """
    by_package, documents = _sources(packages)
    return {
        "fingerprint": _digest(sorted(documents))[:16],
        "files": len(documents),
        "bytes": sum(map(len, documents.values())),
        "packages": {
            name: {
                "version": _public_version(name),
                "files": len(hashes),
                "bytes": sum(len(documents[digest]) for digest in hashes),
                "sha256": _digest(sorted(hashes)),
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


def _public_version(name: str) -> str:
    """Version less the local part: 2.13.0+cpu and 2.13.0 hold the same sources."""
    return importlib.metadata.version(name).split("+")[0]


def _installation(packages: Sequence[str]) -> str:
    """Hash of what the installer recorded: a key that needs no source file to be read."""
    found = [(name, _distribution(name)) for name in packages]
    return _digest(f"{name} {dist and dist.version} {dist and dist.read_text('RECORD')}" for name, dist in found)[:16]


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


@dataclass(frozen=True, kw_only=True)
class MarkovSource:
    """Order-2 Markov chain: each symbol depends on the two before it, and the entropy rate is known exactly.

    After the symbols a, b the next one is y with probability ::

        p(y | a, b) = w0 u(y) + w1 q1(y | b) + w2 q2(y | a, b)

    where u is Zipf's law, and q1 and q2 give their mass to a few distinct candidates, drawn from u for every context.
    A model that knows nothing scores H0, one that has learned the bigrams H1, a perfect one the entropy (all nats).
    """

    vocab_size: int = 128  # symbols; at most 256
    zipf_exponent: float = 1.4  # u(y) is proportional to (y + 1)^-s
    weights: tuple[float, float, float] = (0.10, 0.20, 0.70)  # of u, q1, q2; the first at least 0.01
    candidate_weights: tuple[float, ...] = (0.6, 0.25, 0.1, 0.05)  # of the candidates of q1, and of those of q2
    seed: int = 0  # of the candidates

    def __post_init__(self):
        if not 2 <= self.vocab_size <= 256:
            raise ValueError(f"vocab_size={self.vocab_size}: choose from 2 to 256 (the law has vocab_size^3 entries)")
        for name in ("weights", "candidate_weights"):
            parts = getattr(self, name)
            if min(parts) < 0 or not math.isclose(sum(parts), 1):
                raise ValueError(f"{name}={parts}: give probabilities that add up to 1")
        if self.weights[0] < 0.01:
            raise ValueError(f"weights={self.weights}: give the first at least 0.01: it makes the chain mix")
        if len(self.candidate_weights) > self.vocab_size:
            raise ValueError(f"candidate_weights={self.candidate_weights}: give at most vocab_size={self.vocab_size}")

    @functools.cached_property
    def unigram(self) -> np.ndarray:
        """Zipf's law u, shape (V,). The stationary frequencies of symbols are `stationary` summed over one axis."""
        u = np.arange(1, self.vocab_size + 1) ** -float(self.zipf_exponent)
        return u / u.sum()

    @functools.cached_property
    def _moves(self) -> np.ndarray:
        """Probability of each way to choose a symbol, (2k + V,): a candidate of q1, one of q2, or a symbol by u."""
        by_u, by_last, by_both = self.weights
        candidates = np.array(self.candidate_weights)
        return np.concatenate([by_last * candidates, by_both * candidates, by_u * self.unigram])

    @functools.cached_property
    def _successors(self) -> np.ndarray:
        """Symbol that each move leads to from each context a V + b, shape (V^2, 2k + V), uint8."""
        v, k = self.vocab_size, len(self.candidate_weights)
        rng = np.random.default_rng(self.seed)
        # The first k of v clocks that ring at rates u: k distinct draws from u (Efraimidis and Spirakis 2006).
        rings = rng.standard_exponential((v + 1, v, v)) / self.unigram
        candidates = np.argsort(rings, axis=-1)[..., :k]  # (v + 1, v, k)
        parts = (candidates[:1], candidates[1:], np.arange(v))
        parts = [np.broadcast_to(part, (v, v, part.shape[-1])) for part in parts]
        return np.concatenate(parts, axis=-1).reshape(v * v, -1).astype(np.uint8)

    @functools.cached_property
    def transition(self) -> np.ndarray:
        """The law p(y | a, b) as an array indexed [a, b, y], shape (V, V, V)."""
        law = np.zeros((self.vocab_size**2, self.vocab_size))
        contexts = np.arange(len(law))
        for successor, probability in zip(self._successors.T, self._moves, strict=True):
            law[contexts, successor] += probability
        return law.reshape((self.vocab_size,) * 3)

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """Long-run frequency of the pair a, b, indexed [a, b], shape (V, V), by power iteration.

        One step changes the result by less than 1e-14 in total.
        """
        v = self.vocab_size
        by_candidate = self._successors[:, :-v]
        probability = self._moves[:-v]
        pair = (np.arange(v * v)[:, None] % v * v + by_candidate).ravel()  # the pair b, y after a, b and a move
        law = np.outer(self.unigram, self.unigram)
        change = 1.0
        while change >= 1e-14:  # shrinks by 1 - w0^2 in two steps or faster: two choices by u forget the past
            step = np.bincount(pair, np.outer(law, probability).ravel(), v * v).reshape(v, v)
            step += self.weights[0] * np.outer(law.sum(0), self.unigram)
            change = np.abs(step - law).sum()
            law = step / step.sum()
        return law

    @functools.cached_property
    def entropy(self) -> float:
        """Entropy rate in nats per symbol: the loss of a model that knows the law (Shannon 1948, theorem 5)."""
        return float((self.stationary * entr(self.transition).sum(-1)).sum())

    @functools.cached_property
    def bigram_entropy(self) -> float:
        """H1: loss in nats of the best model that sees one symbol."""
        return float(entr(self.stationary).sum()) - self.unigram_entropy

    @functools.cached_property
    def unigram_entropy(self) -> float:
        """H0: loss in nats of the best model that sees no symbol."""
        return float(entr(self.stationary.sum(0)).sum())

    def floor(self, seq_len: int) -> float:
        """Lowest mean loss, in nats per token, of any model that sees windows of ``seq_len`` tokens.

        The first prediction of a window has one token of context where the source uses two, so it costs the bigram
        entropy; all others can cost the entropy rate.
        """
        return self.entropy + (self.bigram_entropy - self.entropy) / seq_len

    def nll(self, tokens: np.ndarray) -> np.ndarray:
        """Negative log-likelihood in nats under the true law, shape (n - 2,): the first two symbols are context."""
        return -np.log(self.transition[tokens[:-2], tokens[1:-1], tokens[2:]])

    def sample(self, n_tokens: int, *, seed: int) -> np.ndarray:
        """First ``n_tokens`` symbols of one unbroken, stationary chain, shape (n_tokens,), uint8.

        A longer sample of the same seed starts with the shorter one.
        """
        out = np.empty(n_tokens, np.uint8)
        thresholds = np.cumsum(self._moves)
        thresholds[-1] = 1.0  # rounding leaves it a hair off
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(seed,)))
        context = rng.choice(self.stationary.size, p=self.stationary.ravel())
        starts = range(0, n_tokens, _STEPS * _PIECES)
        for start in tqdm(starts, desc="markov: sampling", unit=" blocks", disable=None, leave=False):
            moves = np.searchsorted(thresholds, rng.random((_STEPS, _PIECES)), side="right")
            tokens, context = self._chain(moves, context)
            out[start : start + tokens.size] = tokens[: n_tokens - start]
        return out

    def _chain(self, moves: np.ndarray, context: int) -> tuple[np.ndarray, int]:
        """Symbols of the chain that starts at a context and takes the moves, column after column; its last context.

        All columns are walked at once from guessed contexts, and again from where their left neighbors ended, until
        nothing changes: then they join. Two choices by u in a row forget the guess, so two walks are enough as a rule;
        as n walks settle the first n columns, it always ends.
        """
        v, n_moves = self.vocab_size, len(self._moves)
        successors = self._successors.ravel()
        tokens = np.empty(moves.shape, np.uint8)
        first = np.full(moves.shape[1], context)
        while True:
            last = first
            for row, move in zip(tokens, moves, strict=True):
                row[:] = successors.take(last * n_moves + move)  # (pieces,)
                last = last % v * v + row
            joined = np.concatenate([[context], last[:-1]])
            if np.array_equal(joined, first):
                return tokens.T.ravel(), int(last[-1])
            first = joined


def markov(source: MarkovSource | None = None, *, n_tokens: int = _MARKOV_TOKENS) -> Corpus:
    """Corpus of ``n_tokens`` symbols of a synthetic source, validated on 2^20 symbols of another sample of it.

    The same train part, longer, comes with a larger ``n_tokens``.
    """
    source = source or MarkovSource()
    fingerprint = _digest([repr(source), source.sample(4096, seed=0).tobytes().hex()])[:16]
    train, val = _cached(
        f"markov-{n_tokens}-{fingerprint}",
        lambda: (source.sample(n_tokens, seed=0), source.sample(_MARKOV_VAL_TOKENS, seed=1)),
    )
    return Corpus(
        name="markov",
        vocab_size=source.vocab_size,
        train=train,
        val=val,
        fingerprint=fingerprint,
        entropy=source.entropy,
    )


def files(path: str, vocab: str = "bytes", *, val_fraction: float = 0.05) -> Corpus:
    """Corpus of UTF-8 text files.

    More than 20 files are put in the order of the hash of their content, equal ones once, and the first of them
    validate; of 20 or fewer, the end of each validates.

    Parameters
    ----------
    path
        A file, a folder (with all that is below it, hidden files excepted) or a pattern such as "books/**/*.txt".
    vocab
        As for `pystack`.
    val_fraction
        Share of the text to validate on, above 0 and at most 0.5.

    Raises
    ------
    ValueError
        When there is no such file, the text is not UTF-8, or too short to split.
    """
    if not 0 < val_fraction <= 0.5:
        raise ValueError(f"val_fraction={val_fraction:.4g}: give a share above 0 and at most 0.5")
    documents = _read_text(path)
    by_hash = len(documents) > _FEW_FILES
    parts = (_split_by_hash if by_hash else _split_ends)(documents, val_fraction)
    if not all(map(any, parts)):
        n_bytes = sum(map(len, documents.values()))
        raise ValueError(f"path={path!r}: {n_bytes} bytes are too few to train on and to validate; give more text")
    return _text_corpus(
        name="files",
        codec=_codec(vocab),
        content=_digest([*sorted(documents), f"{val_fraction} {by_hash}"])[:16],
        n_bytes=sum(map(len, documents.values())),
        split=lambda: parts,
    )


def _read_text(path: str) -> dict[str, bytes]:
    """Content by hash of the files that a path names."""
    root = Path(path).expanduser()
    if root.is_dir():
        below = [file for file in root.rglob("*") if not any(p.startswith(".") for p in file.relative_to(root).parts)]
    else:
        below = [root] if root.is_file() else [Path(name) for name in glob.glob(str(root), recursive=True)]
    paths = [file for file in below if file.is_file()]
    if not paths:
        raise ValueError(f"path={path!r}: no such file; give a text file, a folder of them or a pattern like '*.txt'")
    documents = {}
    for file in paths:
        content = file.read_bytes()
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"path={path!r}: {file} is not UTF-8 at byte {error.start}; convert it, or leave it out by a pattern"
            ) from None
        if content:
            documents[hashlib.sha256(content).hexdigest()] = content
    if not documents:
        raise ValueError(f"path={path!r}: nothing but empty files; give files with text")
    return documents


def _split_by_hash(documents: dict[str, bytes], fraction: float) -> tuple[list[bytes], list[bytes]]:
    """Train and validation files: in the order of their hash, the first that hold a fraction of the bytes validate."""
    ordered = [documents[digest] for digest in sorted(documents)]
    ends = np.cumsum([len(document) for document in ordered])
    held_out = int(np.searchsorted(ends, fraction * ends[-1])) + 1
    return ordered[held_out:], ordered[:held_out]


def _split_ends(documents: dict[str, bytes], fraction: float) -> tuple[list[bytes], list[bytes]]:
    """Train and validation text: the last part of each file validates."""
    texts = [documents[digest].decode() for digest in sorted(documents)]
    cuts = [len(text) - math.ceil(fraction * len(text)) for text in texts]
    halves = [(text[:cut].encode(), text[cut:].encode()) for text, cut in zip(texts, cuts, strict=True)]
    return [train for train, _ in halves], [val for _, val in halves]


def _text_corpus(
    *,
    name: str,
    codec: "_Bytes | _Subwords",
    content: str,
    n_bytes: int,
    split: Callable[[], tuple[list[bytes], list[bytes]]],
    differences: tuple[str, ...] = (),
) -> Corpus:
    """Corpus of files, from the cache where it has been encoded before."""
    fingerprint = _digest([content, codec.digest])[:16] if codec.digest else content
    train, val = _cached(
        f"{name}-{codec.vocab_size}-{fingerprint}", lambda: tuple(codec.encode_files(part) for part in split())
    )
    return Corpus(
        name=name,
        vocab_size=codec.vocab_size,
        train=train,
        val=val,
        fingerprint=fingerprint,
        bytes_per_token=n_bytes / (len(train) + len(val)),
        differences=differences,
        codec=codec,
    )


def _reported(corpus: Corpus) -> Corpus:
    """Give the corpus back, with a warning where it differs from the expected one."""
    if corpus.differences:
        text = f"{corpus.name} is not the expected corpus, so losses do not compare with stored runs: "
        warnings.warn(text + "; ".join(corpus.differences), CorpusMismatch, stacklevel=3)
    return corpus


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cache_folder() -> Path:
    """Folder of encoded corpora: ``$SCALINGLAWS_CACHE``, else the operating system's cache for this user."""
    return Path(os.environ.get("SCALINGLAWS_CACHE") or pooch.os_cache("scalinglaws")) / _FORMAT


def _cached(stem: str, build: Callable[[], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Train and validation arrays, mapped from the cache; built first if they are absent or damaged."""
    train, val = (cache_folder() / f"{stem}-{part}.npy" for part in ("train", "val"))
    with contextlib.suppress(OSError, EOFError, SyntaxError, ValueError, tokenize.TokenError):
        return np.load(train, mmap_mode="r"), np.load(val, mmap_mode="r")
    for path, tokens in zip((train, val), build(), strict=True):
        _write(path, functools.partial(np.save, arr=tokens))
    return np.load(train, mmap_mode="r"), np.load(val, mmap_mode="r")


def _write(path: Path, save: Callable) -> None:
    """Let ``save`` fill a file, in one piece or not at all."""

    def fill(draft: Path) -> None:
        with draft.open("wb") as file:
            save(file)

    atomically(path, fill)


def _codec(vocab: str) -> "_Bytes | _Subwords":
    """Vocabulary by name or by the path of a tokenizer file, from here or from the library's own."""
    if vocab in ("ascii", "bytes"):
        return _Bytes(vocab_size=128 if vocab == "ascii" else 256)
    path = Path(vocab) if Path(vocab).is_file() else DATA.parent / vocab
    if not path.is_file():
        raise ValueError(f"vocab={vocab!r}: no such file; choose 'ascii', 'bytes' or the path of a tokenizer.json")
    from tokenizers import Tokenizer

    try:
        codec = _Subwords(tokenizer=Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"vocab={vocab!r}: not a tokenizer.json ({error}); save one with Tokenizer.save") from error
    if codec.vocab_size > 2**16:
        raise ValueError(f"vocab={vocab!r}: {codec.vocab_size} tokens, at most 65536 can be stored; see train_bpe")
    return codec


@dataclass(frozen=True, kw_only=True)
class _Bytes:
    """One token a byte; with 128 tokens, all bytes from 128 up are token 127."""

    vocab_size: int
    digest = ""

    def encode(self, text: str) -> np.ndarray:
        return self._tokens((text.replace("\N{REPLACEMENT CHARACTER}", "\x7f") if self.ascii else text).encode())

    def encode_files(self, documents: list[bytes]) -> np.ndarray:
        end = SEPARATOR.encode()
        return self._tokens(end.join(documents) + end)

    def decode(self, ids: np.ndarray) -> str:
        text = ids.astype(np.uint8).tobytes().decode(errors="replace")
        return text.replace("\x7f", "\N{REPLACEMENT CHARACTER}") if self.ascii else text

    @property
    def ascii(self) -> bool:
        return self.vocab_size == 128

    def _tokens(self, raw: bytes) -> np.ndarray:
        tokens = np.frombuffer(raw, np.uint8)
        return np.minimum(tokens, 127) if self.ascii else tokens


@dataclass(frozen=True, kw_only=True)
class _Subwords:
    """Tokens of a Hugging Face tokenizer."""

    tokenizer: "Tokenizer"

    @functools.cached_property
    def vocab_size(self) -> int:
        return 1 + max(self.tokenizer.get_vocab().values())  # ids may have gaps

    @functools.cached_property
    def digest(self) -> str:
        return _digest([self.tokenizer.to_str()])

    def encode(self, text: str) -> np.ndarray:
        return self._array(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_files(self, documents: list[bytes]) -> np.ndarray:
        separator = self.tokenizer.token_to_id(END_OF_FILE)
        end = [] if separator is None else [separator]
        encoded = []
        for start in tqdm(range(0, len(documents), 64), desc="encoding", unit=" x 64 files", disable=None, leave=False):
            texts = [document.decode(errors="replace") for document in documents[start : start + 64]]
            batch = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            encoded.extend(self._array(encoding.ids + end) for encoding in batch)
        return np.concatenate(encoded)

    def decode(self, ids: np.ndarray) -> str:
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=False)

    def _array(self, ids: list[int]) -> np.ndarray:
        return np.array(ids, np.uint8 if self.vocab_size <= 256 else np.uint16)


def train_bpe(corpus: Corpus, vocab_size: int, path: Path, *, n_tokens: int = 2**25) -> None:
    """Learn a byte-level BPE vocabulary from the first ``n_tokens`` training tokens and save it as a tokenizer.json.

    Parameters
    ----------
    corpus
        One with vocab="bytes", so that no character is lost.
    vocab_size
        From 257 (all bytes and the end of a file) to 65536.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if not isinstance(corpus.codec, _Bytes) or corpus.codec.ascii:
        raise ValueError(f"corpus: {corpus.name} with vocab_size={corpus.vocab_size} is not bytes; use vocab='bytes'")
    if not 257 <= vocab_size <= 2**16:
        raise ValueError(f"vocab_size={vocab_size}: choose from 257 (bytes and the end of a file) to 65536")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_FILE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=sys.stderr.isatty(),
    )
    documents = corpus.decode(corpus.train[:n_tokens]).split(SEPARATOR)
    tokenizer.train_from_iterator(documents, trainer)
    _write(path, lambda file: file.write(tokenizer.to_str().encode()))


def ngram_entropy(tokens: np.ndarray, order: int, vocab_size: int) -> float:
    """Entropy in nats of a token given the ``order - 1`` before it, by counting: 1 unigram, 2 bigram, 3 trigram.

    This is the plug-in estimate, the training loss of a table of counts. It is too low by about (number of free
    probabilities) / (2 len(tokens)) nats (Miller 1955), little for bigrams and much once most n-grams are rare.

    Raises
    ------
    ValueError
        When a table of vocab_size^order counts is too large, or tokens are too few or outside the vocabulary.
    """
    n_grams = len(tokens) - order + 1
    if order < 1 or n_grams < 1:
        raise ValueError(f"order={order}: give a whole number from 1 to len(tokens)={len(tokens)}")
    if vocab_size**order > 2**26:
        raise ValueError(f"order={order}: vocab_size^order = {vocab_size**order:.4g} counts, at most 6.7e7; lower it")
    if int(np.max(tokens)) >= vocab_size:
        raise ValueError(f"vocab_size={vocab_size}: tokens reach {int(np.max(tokens))}; give a larger vocab_size")
    counts = np.zeros(vocab_size**order, np.int64)
    for start in range(0, n_grams, 2**22):
        stop = min(start + 2**22, n_grams)
        code = np.zeros(stop - start, np.int64)
        for shift in range(order):
            code = code * vocab_size + tokens[start + shift : stop + shift]
        counts += np.bincount(code, minlength=counts.size)
    joint = counts / n_grams
    return float(entr(joint).sum() - entr(joint.reshape(-1, vocab_size).sum(1)).sum())


def compressed_nats_per_byte(data: bytes, method: Literal["xz", "gzip"] = "xz") -> float:
    """Size of the data compressed, in nats per byte of the data: an upper bound on its entropy that needs no model."""
    if method not in ("xz", "gzip") or not data:
        raise ValueError(f"method={method!r}, {len(data)} bytes: choose 'xz' or 'gzip' and give at least one byte")
    compressed = lzma.compress(data, preset=6) if method == "xz" else gzip.compress(data, compresslevel=9)
    return 8 * math.log(2) * len(compressed) / len(data)
