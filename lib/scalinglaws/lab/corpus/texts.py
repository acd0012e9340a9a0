"""Other texts to score on: what a model that was trained on one corpus makes of another."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import re
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scalinglaws.files import DATA
from scalinglaws.lab.corpus.base import CacheKey, Corpus, reported
from scalinglaws.lab.corpus.codecs import END_OF_FILE, SEPARATOR

EXPECTED = DATA / "texts.json"  # fingerprints, by text and number of symbols
_MOST = 2**21  # characters of each text
_FUNCTION_WORDS = frozenset({"the", "of", "and", "to", "in", "is", "or", "for"})


def other_texts(corpus: Corpus) -> Mapping[str, Corpus]:
    """Return a corpus with each of `TEXTS` in place of its validation text, by name, at most two million characters.

    A model that was trained on the corpus can be validated on each: the vocabulary is the same. A text that differs
    from the one that stored runs were scored on (another version of Python or of a package) is reported.

    Parameters
    ----------
    corpus
        A text of Python sources. "comments" and "shuffled" are made of its validation text, the others of what is
        installed: "stdlib" of Python's own library without tests, "english" of the licences and descriptions of the
        packages of ``pystack``, paragraph by paragraph.

    Raises
    ------
    ValueError
        When the corpus is no text.
    """
    if corpus.bytes_per_token is None:
        raise ValueError(f"{corpus.name} is no text: other texts cannot be written in its symbols")
    return _other_texts(CacheKey(corpus))


@functools.lru_cache(maxsize=2)
def _other_texts(key: CacheKey) -> Mapping[str, Corpus]:
    """The texts of a corpus, made once."""
    corpus = key.corpus
    expected = json.loads(EXPECTED.read_text()) if corpus.name == "pystack" else {}
    found = {}
    for name, make in TEXTS.items():
        tokens = make(corpus)
        fingerprint = hashlib.sha256(tokens.tobytes()).hexdigest()[:16]
        wanted = expected.get(f"{name}-{corpus.vocab_size}", fingerprint)
        differences = () if wanted == fingerprint else (f"fingerprint {fingerprint} instead of {wanted}",)
        own = {"fingerprint": fingerprint, "differences": differences}
        length = len(corpus.decode(tokens).encode()) / len(tokens)
        found[name] = reported(
            dataclasses.replace(corpus, name=name, val=tokens, entropy=None, bytes_per_token=length, **own)
        )
    return MappingProxyType(found)


def _stdlib(corpus: Corpus) -> np.ndarray:
    """Sources of Python's own library, in the order of their hash."""
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"site-packages", "test", "tests", "idle_test", "encodings", "pydoc_data"}  # the last two are tables
    files = [file for file in root.rglob("*.py") if not left_out & {*file.parts} and "_sysconfigdata" not in file.name]
    contents = [file.read_bytes().replace(b"\r\n", b"\n") for file in files]
    ordered = sorted(contents, key=lambda content: hashlib.sha256(content).hexdigest())
    return _encoded(corpus, (content.decode(errors="replace") for content in ordered if content))


def _comments(corpus: Corpus) -> np.ndarray:
    """Lines of the validation text that are comments, without what is before and their mark."""
    lines = re.findall(r"^[ \t]*#[ \t]*(\S.*\n)", _text(corpus), flags=re.MULTILINE)
    return _encoded(corpus, ["".join(lines)])


def _english(corpus: Corpus) -> np.ndarray:
    """Paragraphs of prose in the licences and descriptions of the packages, each once."""
    paragraphs = (part for text in _documents() for part in re.split(r"\n\s*\n", text))
    prose = dict.fromkeys(" ".join(part.split()) for part in paragraphs if _is_prose(part))
    return _encoded(corpus, ["\n".join(sorted(prose))])


def _shuffled(corpus: Corpus) -> np.ndarray:
    """The validation text with its tokens in an order by lot: only how often each occurs is left to know."""
    return np.random.default_rng(0).permutation(corpus.val[:_MOST])


TEXTS: Mapping[str, Callable[[Corpus], np.ndarray]] = MappingProxyType({
    "stdlib": _stdlib, "comments": _comments, "english": _english, "shuffled": _shuffled,
})  # fmt: skip


def _documents() -> Iterator[str]:
    """Licences and descriptions of the packages of pystack that are installed."""
    for name in json.loads((DATA / "pystack.json").read_text())["packages"]:
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        yield package.read_text("METADATA") or ""
        for path in package.files or ():
            if re.search("LICEN|COPYING|NOTICE", path.name.upper()) and path.suffix not in (".py", ".pyc"):
                file = Path(str(package.locate_file(path)))
                yield file.read_bytes().decode(errors="replace") if file.is_file() else ""


def _is_prose(paragraph: str) -> bool:
    """Whether a paragraph is English: long, and a seventh of its words are among the most frequent ones."""
    words = re.findall(r"[A-Za-z]{2,}", paragraph.lower())
    return len(paragraph) > 80 and sum(word in _FUNCTION_WORDS for word in words) > len(words) / 7


def _text(corpus: Corpus) -> str:
    """The validation text as one string."""
    return corpus.decode(corpus.val[:_MOST]).replace(END_OF_FILE, SEPARATOR)


def _encoded(corpus: Corpus, documents: Iterator[str] | list[str]) -> np.ndarray:
    """Token ids of the first `_MOST` characters of some documents."""
    text, n = [], 0
    for document in documents:
        text.append(document)
        n += len(document) + 1
        if n > _MOST:
            break
    return corpus.encode(SEPARATOR.join(text)[:_MOST])
