"""Corpora of text files, subword vocabularies, and losses of simpler predictors: n-grams and compressors."""

import glob
import gzip
import hashlib
import lzma
import math
import sys
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import entr

from scalinglaws.files import digest_of, write_text
from scalinglaws.lab.corpus.base import Corpus, split_by_hash, text_corpus
from scalinglaws.lab.corpus.codecs import END_OF_FILE, SEPARATOR, Bytes, codec_of

_FEW_FILES = 20


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
    parts = (split_by_hash if by_hash else _split_ends)(documents, val_fraction)
    if not all(map(any, parts)):
        n_bytes = sum(map(len, documents.values()))
        raise ValueError(f"path={path!r}: {n_bytes} bytes are too few to train on and to validate; give more text")
    return text_corpus(
        name="files",
        codec=codec_of(vocab),
        content=digest_of([*sorted(documents), f"{val_fraction} {by_hash}"])[:16],
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
        raise ValueError(f"path={path!r}: all files are empty; give files with text")
    return documents


def _split_ends(documents: dict[str, bytes], fraction: float) -> tuple[list[bytes], list[bytes]]:
    """Train and validation text: the last part of each file validates."""
    texts = [documents[digest].decode() for digest in sorted(documents)]
    cuts = [len(text) - math.ceil(fraction * len(text)) for text in texts]
    halves = [(text[:cut].encode(), text[cut:].encode()) for text, cut in zip(texts, cuts, strict=True)]
    return [train for train, _ in halves], [val for _, val in halves]


def train_bpe(corpus: Corpus, vocab_size: int, path: Path, *, n_tokens: int = 2**25) -> None:
    """Learn a byte-level BPE vocabulary from the first ``n_tokens`` training tokens and save it as a tokenizer.json.

    The corpus has vocab="bytes", so that no character is lost; ``vocab_size`` is from 257 (all bytes and the end of a
    file) to 65536.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if not isinstance(corpus.codec, Bytes) or corpus.codec.ascii:
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
    tokenizer.train_from_iterator(corpus.decode(corpus.train[:n_tokens]).split(SEPARATOR), trainer)
    write_text(path, tokenizer.to_str())


def ngram_entropy(tokens: np.ndarray, order: int, vocab_size: int) -> float:
    """Entropy in nats of a token given the ``order - 1`` before it, by counting: 1 unigram, 2 bigram, 3 trigram.

    This is the plug-in estimate, the training loss of a table of counts. It is too low by about (number of free
    probabilities) / (2 len(tokens)) nats (Miller 1955), little for bigrams and much once most n-grams are rare. More
    than 2^26 counts, too few tokens and tokens outside the vocabulary are a ValueError.
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
