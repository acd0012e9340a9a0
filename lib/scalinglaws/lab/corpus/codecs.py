"""Text to token ids and back: bytes, subwords, symbols without text."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from scalinglaws.files import DATA, digest_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEPARATOR = "\0"  # ends every file of a byte corpus; no source file contains it
END_OF_FILE = "<|endoftext|>"  # its counterpart in subword vocabularies, GPT-2's name for it


class Codec(Protocol):
    """Text to token ids, shape (n,), and back."""

    def encode(self, text: str) -> np.ndarray: ...  # noqa: D102
    def decode(self, ids: np.ndarray) -> str: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """Symbols without text, written as numbers."""

    def encode(self, text: str) -> np.ndarray:  # noqa: D102
        return np.array(text.split(), np.int64)

    def decode(self, ids: np.ndarray) -> str:  # noqa: D102
        return " ".join(map(str, ids))


def codec_of(vocab: str) -> "Bytes | Subwords":
    """Vocabulary by name or by the path of a tokenizer file, from here or from the library's own."""
    if vocab in ("ascii", "bytes"):
        return Bytes(vocab_size=128 if vocab == "ascii" else 256)
    path = Path(vocab) if Path(vocab).is_file() else DATA.parent / vocab
    if not path.is_file():
        raise ValueError(f"vocab={vocab!r}: no such file; choose 'ascii', 'bytes' or the path of a tokenizer.json")
    from tokenizers import Tokenizer

    try:
        codec = Subwords(tokenizer=Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"vocab={vocab!r}: not a tokenizer.json ({error}); save one with Tokenizer.save") from error
    if codec.vocab_size > 2**16:
        raise ValueError(f"vocab={vocab!r}: {codec.vocab_size} tokens, at most 65536 can be stored; see train_bpe")
    return codec


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """One token a byte; with 128 tokens, all bytes from 128 up are token 127."""

    vocab_size: int
    digest = ""

    def encode(self, text: str) -> np.ndarray:  # noqa: D102
        return self._tokens((text.replace("\N{REPLACEMENT CHARACTER}", "\x7f") if self.ascii else text).encode())

    def encode_files(self, documents: list[bytes]) -> np.ndarray:  # noqa: D102
        end = SEPARATOR.encode()
        return self._tokens(end.join(documents) + end)

    def decode(self, ids: np.ndarray) -> str:  # noqa: D102
        text = ids.astype(np.uint8).tobytes().decode(errors="replace")
        return text.replace("\x7f", "\N{REPLACEMENT CHARACTER}") if self.ascii else text

    @property
    def ascii(self) -> bool:  # noqa: D102
        return self.vocab_size == 128

    def _tokens(self, raw: bytes) -> np.ndarray:
        tokens = np.frombuffer(raw, np.uint8)
        return np.minimum(tokens, 127) if self.ascii else tokens


@dataclass(frozen=True, kw_only=True)
class Subwords:
    """Tokens of a Hugging Face tokenizer."""

    tokenizer: "Tokenizer"

    @functools.cached_property
    def vocab_size(self) -> int:  # noqa: D102
        return 1 + max(self.tokenizer.get_vocab().values())  # ids may have gaps

    @functools.cached_property
    def digest(self) -> str:  # noqa: D102
        return digest_of([self.tokenizer.to_str()])

    def encode(self, text: str) -> np.ndarray:  # noqa: D102
        return self._array(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_files(self, documents: list[bytes]) -> np.ndarray:  # noqa: D102
        separator = self.tokenizer.token_to_id(END_OF_FILE)
        end = [] if separator is None else [separator]
        encoded = []
        for start in tqdm(range(0, len(documents), 64), desc="encoding", unit=" x 64 files", disable=None, leave=False):
            texts = [document.decode(errors="replace") for document in documents[start : start + 64]]
            batch = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            encoded.extend(self._array(encoding.ids + end) for encoding in batch)
        return np.concatenate(encoded)

    def decode(self, ids: np.ndarray) -> str:  # noqa: D102
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=False)

    def _array(self, ids: list[int]) -> np.ndarray:
        return np.array(ids, np.uint8 if self.vocab_size <= 256 else np.uint16)
