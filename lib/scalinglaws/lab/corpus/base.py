"""A corpus: token ids to train and to validate on, made of documents and kept in the cache."""

import contextlib
import dataclasses
import functools
import tokenize
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scalinglaws.files import cache_folder, digest_of, write_whole
from scalinglaws.lab.corpus.codecs import Bytes, Codec, Subwords, Symbols

CORPUS_FORMAT = "corpus-1"  # raise when a rule that turns text into tokens changes


class CorpusMismatch(UserWarning):
    """The corpus differs from the one that was expected, so losses on it do not compare with stored ones."""


class Windows(Protocol):
    """A source that draws windows in place of a text; see `chains.ChainSource`."""

    def windows(self, first: int, n: int, seq_len: int, *, seed: int | None = None) -> np.ndarray:
        """Windows of the stream of a training seed, or of validation, (n, seq_len + 1)."""
        ...


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
    codec: Codec = dataclasses.field(default=Symbols(), repr=False)
    source: Windows | None = None  # where windows are drawn in place of a text; train and val are empty then

    @property
    def matches_manifest(self) -> bool:
        """Whether this is the corpus that stored runs were trained on: compare losses with theirs only then."""
        return not self.differences

    def validation(self, seq_len: int, n_tokens: int) -> np.ndarray:
        """What a model is validated on: the validation text (m,), or ``n_tokens`` in windows (n, seq_len + 1)."""
        return self.val if self.source is None else self.source.windows(0, n_tokens // seq_len, seq_len)

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


@dataclass(frozen=True)
class CacheKey:
    """A corpus as the key of a cache, equal where name, vocabulary and fingerprint are."""

    corpus: Corpus = dataclasses.field(compare=False)
    content: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "content", (self.corpus.name, self.corpus.vocab_size, self.corpus.fingerprint))


def split_by_hash(documents: dict[str, bytes], fraction: float) -> tuple[list[bytes], list[bytes]]:
    """Train and validation files: in the order of their hash, the first that hold a fraction of the bytes validate."""
    ordered = [documents[digest] for digest in sorted(documents)]
    ends = np.cumsum([len(document) for document in ordered])
    held_out = int(np.searchsorted(ends, fraction * ends[-1])) + 1
    return ordered[held_out:], ordered[:held_out]


def text_corpus(
    *,
    name: str,
    codec: "Bytes | Subwords",
    content: str,
    n_bytes: int,
    split: Callable[[], tuple[list[bytes], list[bytes]]],
    differences: tuple[str, ...] = (),
) -> Corpus:
    """Corpus of files, from the cache where it has been encoded before."""
    fingerprint = digest_of([content, codec.digest])[:16] if codec.digest else content
    train, val = cached(
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


def cached(stem: str, build: Callable[[], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Train and validation arrays, mapped from the cache; built first if they are absent or damaged."""
    train, val = (cache_folder(CORPUS_FORMAT) / f"{stem}-{part}.npy" for part in ("train", "val"))
    with contextlib.suppress(OSError, EOFError, SyntaxError, ValueError, tokenize.TokenError):
        return np.load(train, mmap_mode="r"), np.load(val, mmap_mode="r")
    for path, tokens in zip((train, val), build(), strict=True):
        write_whole(path, functools.partial(np.save, arr=tokens))
    return np.load(train, mmap_mode="r"), np.load(val, mmap_mode="r")


def reported(corpus: Corpus) -> Corpus:
    """Give the corpus back, with a warning where it differs from the expected one."""
    if corpus.differences:
        text = f"{corpus.name} is not the expected corpus, so losses do not compare with stored runs: "
        warnings.warn(text + "; ".join(corpus.differences), CorpusMismatch, stacklevel=3)
    return corpus
