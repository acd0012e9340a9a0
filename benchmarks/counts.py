"""What the text alone tells of the next token: entropies given what stands before, and correlations by distance.

    python benchmarks/counts.py --rows data/counts.csv

2^24 training tokens, as characters and in 4096 subwords. ``entropy``: of the next token given n before it, in nats, by
counting: too low where most contexts are rare. ``correlation``: Frobenius norm of the joint law of two tokens n apart
minus the product of their own. Three minutes on one core, quiet.
"""

import argparse

import numpy as np
import pandas as pd

from scalinglaws.config import DataConfig
from scalinglaws.lab import corpus

TOKENS = 2**24
VOCABULARIES = {"ascii": 5, "data/tokenizers/pystack-4096.json": 4}  # and the longest context


def entropies(tokens: np.ndarray, longest: int, bits: int) -> np.ndarray:
    """Entropy in nats of a token given 0, 1, ..., ``longest`` before it; a token has so many bits."""
    joint = [0.0]
    for order in range(1, longest + 2):
        last = len(tokens) - order + 1
        code = np.zeros(last, np.uint64)
        for shift in range(order):
            code = (code << np.uint64(bits)) | tokens[shift : shift + last].astype(np.uint64)
        code.sort()
        share = np.diff(np.flatnonzero(np.r_[True, code[1:] != code[:-1], True])) / last
        joint.append(float(-(share * np.log(share)).sum()))
    return np.diff(joint)


def correlation(tokens: np.ndarray, vocab_size: int, distance: int) -> float:
    """How far two tokens at a distance are from independent."""
    alone = np.bincount(tokens, minlength=vocab_size) / len(tokens)
    code = tokens[:-distance].astype(np.int64) * vocab_size + tokens[distance:]
    joint = np.bincount(code, minlength=vocab_size**2) / len(code)
    return float(np.linalg.norm(joint - np.outer(alone, alone).ravel()))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", required=True)
    rows = []
    for vocab, longest in VOCABULARIES.items():
        text = corpus.load(DataConfig(vocab=vocab))
        tokens, size = np.array(text.train[:TOKENS]), text.vocab_size
        found = entropies(tokens, longest, (size - 1).bit_length())
        rows += [(size, "entropy", n, value) for n, value in enumerate(found)]
        rows += [(size, "correlation", n, correlation(tokens, size, n)) for n in range(1, 4 * longest + 1)]
    table = pd.DataFrame(rows, columns=["vocab_size", "quantity", "n", "value"])
    table.to_csv(parser.parse_args().rows, index=False, float_format="%.7g")


if __name__ == "__main__":
    main()
