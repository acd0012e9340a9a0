"""Corpora: Python sources that are installed with the book, a synthetic source of known entropy, your own files.

`load` turns a `config.DataConfig` into a `Corpus`: two memory-mapped arrays of token ids and a fingerprint of what is
in them. Arrays are kept in a cache folder (``$SCALINGLAWS_CACHE``, else the user's), under a name that holds the
fingerprint; a file there is either whole or absent.

pystack
    The Python sources of the packages that the book itself is built with, at the versions that requirements.txt and
    constraints.txt pin: nothing to download. ``data/pystack.json`` lists what to expect.
markov
    An order-2 Markov source whose entropy rate is computed exactly.
chains
    Windows that each draw a Markov chain of their own; the best prediction is known at every position.
files
    UTF-8 text of your own.

`other_texts` are texts that a model was not trained on, to score it there.
"""

import dataclasses

from scalinglaws.config import DataConfig
from scalinglaws.lab.corpus.base import Corpus, CorpusMismatch, reported
from scalinglaws.lab.corpus.chains import ChainSource, chains
from scalinglaws.lab.corpus.codecs import END_OF_FILE, SEPARATOR, Codec
from scalinglaws.lab.corpus.markov import MARKOV_TOKENS, MarkovSource, markov
from scalinglaws.lab.corpus.pystack import MANIFEST, inventory, pystack
from scalinglaws.lab.corpus.text import compressed_nats_per_byte, files, ngram_entropy, train_bpe
from scalinglaws.lab.corpus.texts import TEXTS, other_texts

__all__ = [
    "END_OF_FILE", "MANIFEST", "SEPARATOR", "TEXTS",
    "ChainSource", "Codec", "Corpus", "CorpusMismatch", "MarkovSource",
    "chains",
    "compressed_nats_per_byte", "files", "inventory", "load", "markov", "ngram_entropy", "other_texts", "pystack",
    "train_bpe",
]  # fmt: skip


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
    if data.corpus in ("markov", "chains") and data.vocab != "ascii":
        raise ValueError(f"vocab={data.vocab!r}: the {data.corpus} source has its own symbols; leave vocab out")
    if data.corpus == "chains":
        corpus = chains(ChainSource(vocab_size=data.chain_symbols, alpha=data.chain_alpha))
    elif data.corpus == "markov":
        corpus = markov(n_tokens=max(data.unique_tokens or 0, MARKOV_TOKENS))
    elif data.corpus == "pystack":
        corpus = pystack(data.vocab)
    else:
        corpus = files(data.path or "", data.vocab)
    if data.fingerprint not in (None, corpus.fingerprint):
        difference = f"fingerprint {corpus.fingerprint} instead of {data.fingerprint}"
        corpus = reported(dataclasses.replace(corpus, differences=(*corpus.differences, difference)))
    n_tokens = data.unique_tokens or len(corpus.train)
    if n_tokens > len(corpus.train):
        raise ValueError(
            f"unique_tokens={n_tokens}: {corpus.name} has {len(corpus.train)} training tokens; "
            "ask for at most that many, or None for all"
        )
    return corpus if data.unique_from == "everywhere" else dataclasses.replace(corpus, train=corpus.train[:n_tokens])
