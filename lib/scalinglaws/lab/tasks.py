"""Downstream tasks: scores of a trained model on prompts from the held-out text.

Every task has a continuous score, the loss of the answer in nats per token, and discrete ones: how often the most
probable token is right, and how often k of them in a row are ("exact_k"). With a chance p that a token is right the
last is about p^k, which makes a steady gain look sudden (Schaeffer et al. 2023). All scores are teacher-forced: each
token of an answer is predicted from the true ones before it.

Text (any vocabulary; prompts of `WINDOW` tokens, the same ones for every model):
    bracket   which of ) ] } closes, with at least one other pair closed since it was opened; each a third of the items
    copy      a line that is repeated at once: its second half, once the first half is given again
    name      an identifier that occurred in the window before, such as a parameter that is now used

Subwords: the loss of tokens by how often they occur in the training text, in six bands of equally many tokens.

The source of chains: how far predictions lie above the best possible ones, which count the transitions of the window.

The synthetic source: the next symbols, against the actual ones and against the best possible predictions, whose
scores `best_exact` computes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import entr
from torch import Tensor

from scalinglaws.config import ModelConfig, RunSpec
from scalinglaws.lab import model as models
from scalinglaws.lab.corpus import END_OF_FILE, SEPARATOR, ChainSource, Corpus, MarkovSource
from scalinglaws.lab.corpus.base import CacheKey

WINDOW = 64  # tokens of a text prompt, the answer but for its last token included
ITEMS = 288  # prompts of a text task, a multiple of three
FEWEST = 96  # with fewer a task is left out
LENGTHS = (8, 4, 2, 1)  # tokens of an answer: the most that FEWEST items can have
TEXT_TOKENS = 2**21  # of the validation text are searched for prompts
SYMBOLS = 16  # window of the synthetic source
SYMBOL_WINDOWS = 2048
CHAIN_WINDOWS = 512
BANDS, BAND_TOKENS, SUBWORDS_FROM = 6, 2**15, 257  # bands of frequency, tokens scored, least vocabulary that has them
CHUNK = 8192  # tokens scored at a time

# Score -> unit or meaning. TASK_exact_k exists for k = 1, 2, 4, 8 up to the length of the task's answers.
SCORES = {
    "bracket_loss": "nats per token",
    "bracket_accuracy": "share of items whose bracket is the most probable of all tokens",
    "bracket_choice": "share of items whose kind of bracket is the most probable of the three; a guess has 1/3",
    "copy_loss": "nats per token",
    "copy_first_loss": "nats per token of the same tokens where they stood first: what copying saves is the difference",
    "copy_accuracy": "share of tokens that are the most probable",
    "copy_exact_k": "share of items whose first k tokens all are",
    "name_loss": "nats per token",
    "name_accuracy": "share of tokens that are the most probable",
    "name_exact_k": "share of items whose first k tokens all are",
    "frequency_loss_k": "nats per token of the k-th sixth of the tokens, from the most frequent (1) to the rarest (6)",
    "chains_floor": "nats per symbol: entropy of the best possible predictions",
    "chains_excess": "nats per symbol above that, computed from these predictions: zero is perfect",
    "chains_excess_k": "the same of those symbols that have k to 2 k - 1 before them, for k = 1, 2, 4, ...",
    "stdlib_loss": "nats per token of Python's own library; this and the next three with `eval_texts`",
    "comments_loss": "nats per token of the comments in the validation text",
    "english_loss": "nats per token of prose from licences and descriptions of packages",
    "shuffled_loss": "nats per token of the validation text in an order by lot",
    "markov_loss": "nats per symbol, from the second of a window on",
    "markov_excess": "nats per symbol above the true law's entropy, computed from the law: zero is perfect",
    "markov_accuracy": "share of symbols that are the most probable; see best_exact for the best",
    "markov_exact_k": "share of k symbols in a row that all are",
    "markov_agreement": "share of most probable symbols that are the true law's; one is perfect",
    "markov_agreement_k": "share of k in a row that all are",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """Items of one text task, answers at the end."""

    tokens: np.ndarray  # (items, WINDOW + 1), int64
    n_answer: int  # tokens of an answer
    first: np.ndarray | None = None  # (items,), where the answer begins that it repeats
    kinds: tuple[np.ndarray, ...] = ()  # tokens of each kind of answer, for tasks that score the choice between them


def score(theta: Tensor, spec: RunSpec, corpus: Corpus) -> dict[str, float]:
    """Scores of one model, with weights theta (P,) on any device, by the names of `SCORES`, in float32.

    Prompts come from the corpus' validation text. Tasks that it does not have, or that do not fit into the model's
    ``seq_len``, are left out. Costs a forward pass over 55 thousand tokens of text, at a window of 64, or 33 thousand
    of the synthetic source. The first call for a corpus also looks for its prompts, which takes about a second.
    """
    scores = {}
    if corpus.bytes_per_token is not None and spec.model.seq_len >= WINDOW:
        for name, prompts in text_prompts(CacheKey(corpus)).items():
            found = _score_text(theta, spec.model, prompts)
            scores |= {f"{name}_{key}": value for key, value in found.items()}
        if corpus.vocab_size >= SUBWORDS_FROM:
            each = frequency_losses(theta, spec.model, corpus)
            scores |= {
                f"frequency_loss_{k}": value for k, value in enumerate(each.tolist(), 1) if not math.isnan(value)
            }
    elif corpus.name == "markov" and spec.model.seq_len >= SYMBOLS and corpus.entropy == _source().entropy:
        scores = {f"markov_{key}": value for key, value in _score_markov(theta, spec.model, corpus).items()}
    elif isinstance(corpus.source, ChainSource):
        floor, excess = chain_excess(theta, spec.model, corpus)
        scores = {"chains_floor": floor.mean().item(), "chains_excess": excess.mean().item()}
        for k in 2 ** np.arange((spec.model.seq_len + 1).bit_length() - 1):
            scores[f"chains_excess_{k}"] = excess[k - 1 : 2 * k - 1].mean().item()
    return scores


def best_exact(source: MarkovSource, k: int) -> float:
    """Chance that the k most probable next symbols all come, each predicted from the true symbols before it.

    This is the highest "markov_exact_k" that any model can expect; k = 1 is the highest accuracy.
    """
    v = source.vocab_size
    best = source.transition.argmax(-1)  # (V, V)
    chance = np.ones((v, v))
    for _ in range(k):
        chance = source.transition.max(-1) * chance[np.arange(v), best]  # of b, best after a, b
    return float((source.stationary * chance).sum())


@torch.no_grad()
def _answers(theta: Tensor, model: ModelConfig, tokens: np.ndarray, places: np.ndarray) -> Tensor:
    """Logits (n, m, V) for the tokens at ``places`` (n, m) of sequences (n, length), each from all before it.

    A sequence shorter than the model's window is padded at its end, which no prediction sees.
    """
    at = models.tables(model, device=theta.device)
    padded = np.zeros((len(tokens), model.seq_len), np.int64)
    padded[:, : tokens.shape[1] - 1] = tokens[:, :-1]
    out = []
    for part in np.array_split(np.arange(len(tokens)), max(1, padded.size // CHUNK)):
        x = torch.from_numpy(padded[part]).to(theta.device)
        logits = models.forward(theta, x, model, at).view(*x.shape, -1).float()
        rows = torch.arange(len(part), device=theta.device)[:, None]
        out.append(logits[rows, torch.from_numpy(places[part] - 1).to(theta.device)])
    return torch.cat(out)


def _score_text(theta: Tensor, model: ModelConfig, prompts: Prompts) -> dict[str, float]:
    """Scores of one text task."""
    m = prompts.n_answer
    places = np.broadcast_to(np.arange(WINDOW + 1 - m, WINDOW + 1), (len(prompts.tokens), m))
    if prompts.first is not None:
        places = np.concatenate([places, prompts.first[:, None] + np.arange(m)], axis=1)
    logits = _answers(theta, model, prompts.tokens, places)
    answers = torch.from_numpy(np.take_along_axis(prompts.tokens, places, 1)).to(theta.device)
    loss = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none").view(answers.shape)  # n m, nats
    right = logits.argmax(-1) == answers
    scores = {"loss": loss[:, :m].mean(), "accuracy": right[:, :m].float().mean()}
    if prompts.first is not None:
        scores["first_loss"] = loss[:, m:].mean()
    if m > 1:
        scores |= {f"exact_{k}": right[:, :k].all(1).float().mean() for k in sorted(LENGTHS) if k <= m}
    if prompts.kinds:
        kinds = [torch.from_numpy(kind).to(theta.device) for kind in prompts.kinds]
        chosen = torch.stack([logits[:, 0, kind].logsumexp(-1) for kind in kinds]).argmax(0)
        actual = torch.stack([torch.isin(answers[:, 0], kind) for kind in kinds]).int().argmax(0)
        scores["choice"] = (chosen == actual).float().mean()
    return {key: value.item() for key, value in scores.items()}


def _score_markov(theta: Tensor, model: ModelConfig, corpus: Corpus) -> dict[str, float]:
    """Scores on the synthetic source: of every symbol with two before it."""
    tokens, law, entropy = markov_prompts(CacheKey(corpus))
    places = np.broadcast_to(np.arange(2, SYMBOLS + 1), (len(tokens), SYMBOLS - 1))
    log_p = _answers(theta, model, tokens, places).log_softmax(-1)  # n m V
    law, actual = (torch.from_numpy(z).to(theta.device) for z in (law, tokens[:, 2:]))
    guess = log_p.argmax(-1)
    scores = {
        "loss": -log_p.gather(-1, actual[..., None]).mean(),
        "excess": -torch.einsum("nmv,nmv->nm", law, log_p[..., : law.shape[-1]]).mean() - entropy,
    }
    hits = (("accuracy", "exact", guess == actual), ("agreement", "agreement", guess == law.argmax(-1)))
    for name, short, right in hits:
        scores[name] = right.float().mean()
        for k in (2, 4, 8):
            scores[f"{short}_{k}"] = right.unfold(1, k, 1).all(-1).float().mean()
    return {key: value.item() for key, value in scores.items()}


@torch.no_grad()
def frequency_losses(theta: Tensor, model: ModelConfig, corpus: Corpus) -> Tensor:
    """Mean loss of the tokens of each band of frequency, (BANDS,), in nats per token; nan where a band has none."""
    windows, band = frequency_bands(CacheKey(corpus), model.seq_len)
    at, losses = models.tables(model, device=theta.device), []
    for part in np.array_split(windows, max(1, windows.size // CHUNK)):
        block = torch.from_numpy(part).to(theta.device)
        logits = models.forward(theta, block[:, :-1], model, at).float()
        losses.append(F.cross_entropy(logits, block[:, 1:].flatten(), reduction="none"))
    of_band = torch.from_numpy(band).to(theta.device)
    sums = torch.bincount(of_band, torch.cat(losses), minlength=BANDS)
    return sums / torch.bincount(of_band, minlength=BANDS)


def chain_excess(theta: Tensor, model: ModelConfig, corpus: Corpus) -> tuple[Tensor, Tensor]:
    """Floor at each position of a window and how far a model lies above it, each (seq_len,), in nats, for chains.

    The model's cross-entropy is taken under the best possible prediction, so that the luck of the symbols is out.
    """
    windows, law = chain_prompts(CacheKey(corpus), model.seq_len)
    places = np.broadcast_to(np.arange(1, model.seq_len + 1), (len(windows), model.seq_len))
    log_p = _answers(theta, model, windows, places).log_softmax(-1)  # n T V
    best = torch.from_numpy(law).to(theta.device)
    floor = torch.special.entr(best).sum(-1).mean(0)  # T
    return floor, -(best * log_p[..., : law.shape[-1]]).sum(-1).mean(0) - floor


_source = lru_cache(maxsize=1)(MarkovSource)


@lru_cache(maxsize=1)
def markov_prompts(key: CacheKey) -> tuple[np.ndarray, np.ndarray, float]:
    """Windows (n, SYMBOLS + 1) of the validation sample, int64; the law (n, SYMBOLS - 1, V) of each symbol that has two
    before it; the mean entropy of these laws in nats.
    """
    val = key.corpus.val
    n = min(SYMBOL_WINDOWS, (len(val) - 1) // SYMBOLS)
    starts = np.linspace(0, len(val) - 1 - SYMBOLS, n).astype(np.int64)
    tokens = val[starts[:, None] + np.arange(SYMBOLS + 1)].astype(np.int64)
    law = _source().transition[tokens[:, :-2], tokens[:, 1:-1]]
    return tokens, law.astype(np.float32), float(entr(law).sum(-1).mean())


@lru_cache(maxsize=2)
def frequency_bands(key: CacheKey, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of the validation text (n, seq_len + 1), int64, and the band (n seq_len,), from 0, of each target.

    Symbols are sorted by how often they occur in the training text and cut where each band has a sixth of the targets.
    """
    val, n = key.corpus.val, BAND_TOKENS // seq_len
    starts = _even((len(val) - 1) // seq_len, n) * seq_len
    windows = val[starts[:, None] + np.arange(seq_len + 1)].astype(np.int64)
    targets = windows[:, 1:].ravel()
    often = np.argsort(-np.bincount(key.corpus.train, minlength=key.corpus.vocab_size), kind="stable")
    share = np.bincount(targets, minlength=key.corpus.vocab_size)[often] / len(targets)
    before = share.cumsum() - share / 2  # of a symbol's own tokens half count as before it
    band = np.empty(len(often), np.int64)
    band[often] = np.minimum(BANDS * before, BANDS - 1).astype(np.int64)
    return windows, band[targets]


@lru_cache(maxsize=4)
def chain_prompts(key: CacheKey, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Validation windows (n, seq_len + 1), int64, and the best possible predictions (n, seq_len, V), float32."""
    source = key.corpus.source
    assert isinstance(source, ChainSource)
    windows = source.windows(0, CHAIN_WINDOWS, seq_len)
    return windows.astype(np.int64), source.predictive(windows).astype(np.float32)


@lru_cache(maxsize=2)
def text_prompts(key: CacheKey) -> dict[str, Prompts]:
    """Prompts of every text task for which the validation text has enough."""
    text = _Text(key.corpus)
    tasks = {"bracket": _brackets(text), "copy": _copies(text), "name": _names(text)}
    return {name: prompts for name, prompts in tasks.items() if prompts is not None}


class _Text:
    """Validation text, its string, and the index of the token that holds each character."""

    def __init__(self, corpus: Corpus):
        self.tokens = np.asarray(corpus.val[:TEXT_TOKENS], np.int64)
        self.pieces = pieces = [corpus.decode([i]).replace(END_OF_FILE, SEPARATOR) for i in range(corpus.vocab_size)]
        self.string = "".join(map(pieces.__getitem__, self.tokens.tolist()))
        self.ends = np.cumsum(np.array(list(map(len, pieces)))[self.tokens])

    def token(self, places) -> np.ndarray:
        """Index of the token that holds each character."""
        return np.searchsorted(self.ends, places, side="right")


def _even(n: int, wanted: int) -> np.ndarray:
    """``wanted`` of n places, or all, evenly."""
    return np.linspace(0, n - 1, min(n, wanted)).astype(np.int64)


def _brackets(text: _Text) -> Prompts | None:
    """Equally many items of each kind of bracket; a subword counts as the bracket with which it begins."""
    first = np.array([piece.lstrip()[:1] for piece in text.pieces])
    kinds = tuple(np.flatnonzero(first == bracket) for bracket in ")]}")
    opened, closed = np.array(list(_pairs(text.string)), np.int64).reshape(-1, 2).T
    begin, end = text.token(opened), text.token(closed) + 1
    start = end - WINDOW - 1
    fits = (start >= 0) & (begin >= start)
    closer = np.array([text.string[place] for place in closed.tolist()], "<U1")
    fits &= first[text.tokens[end - 1]] == closer
    picked = [start[fits & (closer == bracket)] for bracket in ")]}"]
    fewest = min(map(len, picked))
    if fewest < FEWEST // 3:
        return None
    chosen = np.concatenate([of_kind[_even(len(of_kind), min(fewest, ITEMS // 3))] for of_kind in picked])
    return Prompts(tokens=text.tokens[chosen[:, None] + np.arange(WINDOW + 1)], n_answer=1, kinds=kinds)


def _pairs(string: str) -> Iterator[tuple[int, int]]:
    """Places of each bracket and of the one that closes it, where another pair was closed in between.

    So the latest bracket is never the answer. Brackets that do not match, as in some literals, empty the stack.
    """
    opening = {")": "(", "]": "[", "}": "{"}
    stack: list[tuple[str, int]] = []
    latest = -1  # place of the latest bracket that closed one
    for found in re.finditer(rf"[()\[\]{{}}{SEPARATOR}]", string):
        bracket, place = found.group(), found.start()
        if bracket in "([{":
            stack.append((bracket, place))
        elif stack and stack[-1][0] == opening.get(bracket):
            _, opened = stack.pop()
            if latest > opened:
                yield opened, place
            latest = place
        else:
            stack.clear()


def _copies(text: _Text) -> Prompts | None:
    """Lines followed by their own first half; the answer begins there."""
    newlines = text.token([found.start() for found in re.finditer("\n", text.string)])
    begin, n = newlines[:-1] + 1, np.diff(newlines)  # a line's tokens, its end included
    for m in LENGTHS:
        lines = {}  # each once
        for a, size in zip(begin[fit := (n >= 2 * m) & (n <= WINDOW // 2)].tolist(), n[fit].tolist(), strict=True):
            line = "".join(text.pieces[i] for i in text.tokens[a : a + size])
            room = a + size // 2 + m - WINDOW - 1 + size  # of what comes before the line
            if room >= 0 and len(line) >= 16 and len(line) - len(line.lstrip()) <= len(line) // 4:
                lines.setdefault(line, (a, size))
        if len(lines) >= FEWEST:
            break
    else:
        return None
    begin, n = np.array(list(lines.values()))[_even(len(lines), ITEMS)].T
    again = n // 2 + m  # tokens of the second occurrence
    place = np.arange(WINDOW + 1) - (WINDOW + 1 - again[:, None])  # zero where the line begins again
    source = begin[:, None] + np.where(place < 0, place + n[:, None], place)
    return Prompts(tokens=text.tokens[source], n_answer=m, first=WINDOW + 1 - m - n)


def _names(text: _Text) -> Prompts | None:
    """The first use of each identifier whose last one is in the window; words of prose are none."""
    found = [(m.group(), m.start()) for m in re.finditer(r"\b[A-Za-z_]\w{7,}", text.string)]
    code = re.compile(r"[A-Za-z]_|[a-z][A-Z]").search
    names = [(name, place) for name, place in found if code(name)]
    if not names:
        return None
    places = np.array([place for _, place in names])
    begin, end = text.token(places), text.token(places + np.array([len(name) for name, _ in names]) - 1) + 1
    for m in LENGTHS:
        last: dict[str, int] = {}
        starts: dict[str, int] = {}
        for (name, _), a, b in zip(names, begin.tolist(), end.tolist(), strict=True):
            start = a + m - WINDOW - 1
            if b - a >= m and start >= 0 and last.get(name, -1) >= start:
                starts.setdefault(name, start)
            last[name] = a
        if len(starts) >= FEWEST:
            chosen = np.array(list(starts.values()))[_even(len(starts), ITEMS)]
            return Prompts(tokens=text.tokens[chosen[:, None] + np.arange(WINDOW + 1)], n_answer=m)
    return None
