"""Training of one spec: batches, the optimizer's step, the learning rate, validation, checkpoints.

The order of the batches is fixed by the seed, and the learning rate is a function of the tokens seen. The same spec on
the same machine gives the same bits, also when training is killed and goes on from a checkpoint.
"""

import copy
import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

from scalinglaws.config import RunSpec, TrainConfig, by_trunk
from scalinglaws.files import atomically, loadz, savez
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import model, tasks
from scalinglaws.lab.corpus import Corpus, other_texts
from scalinglaws.lab.corpus.base import Windows
from scalinglaws.lab.mup import kind, rules
from scalinglaws.lab.optimizers import make_update
from scalinglaws.lab.runtime import AUTO, Runtime, compute_dtype, keep_memory, provenance, ranks
from scalinglaws.runs import Run

Factor = Literal["lr", "decay", "eps"]
FACTORS: tuple[Factor, ...] = ("lr", "decay", "eps")
CHECK_EVERY = 50  # steps between checks of the loss, each of which waits for the device
EVAL_CHUNK = 8192  # tokens scored at a time


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of step 0, 1, ..., ``config.steps`` - 1.

    Warm-up is linear over ``warmup_tokens``. Then "constant" stays; "wsd" stays and falls linearly over the last
    ``cooldown_frac`` of the run (Hu et al. 2024), also where that begins before the warm-up ends; "cosine" falls over
    the whole rest of the run.
    """
    before, after = step * config.batch_tokens, (step + 1) * config.batch_tokens
    warm = config.lr * after / config.warmup_tokens if after < config.warmup_tokens else config.lr
    if config.schedule == "wsd":
        shape = min(1.0, (config.tokens - before) / max(1.0, config.cooldown_frac * config.tokens))
    elif config.schedule == "cosine":
        done = (before - config.warmup_tokens) / max(1, config.tokens - config.warmup_tokens)
        shape = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done))))
    else:
        return warm
    return min(warm, config.lr * (config.final_lr_frac + (1 - config.final_lr_frac) * shape))


class Batches:
    """Training sequences in the order of a seed.

    The text is cut into sequences of ``seq_len`` + 1 tokens that overlap in one token, so that each token is a target
    once per epoch; each epoch is a new shuffle. Batch ``i`` can be asked for at any time, which is what makes resuming
    exact. Unique tokens from everywhere are some of the whole corpus' sequences, the same ones for every seed.
    """

    def __init__(self, corpus: Corpus, spec: RunSpec, device: str):
        unique = spec.data.unique_tokens or len(corpus.train)
        if unique > len(corpus.train):
            raise ValueError(
                f"unique_tokens={unique} but {corpus.name} has {len(corpus.train)} training tokens: ask for fewer"
            )
        self.seq_len, self.seed = spec.model.seq_len, spec.train.seed
        self.per_step, self.rank, self.ranks = _shares(spec)
        self.n = (unique - 1) // self.seq_len
        if self.n < 1:
            mend = "raise unique_tokens or " * bool(spec.data.unique_tokens) + "take a longer text"
            raise ValueError(f"{unique} training tokens hold no sequence of {self.seq_len + 1}: {mend}")
        self.device = device
        if spec.data.unique_from == "everywhere":  # the first of one shuffle: more unique tokens include fewer
            self.array = corpus.train
            self.sequences = np.random.default_rng(0).permutation((len(corpus.train) - 1) // self.seq_len)[: self.n]
        else:
            self.array, self.sequences = corpus.train[:unique], np.arange(self.n)
        self.order = lru_cache(maxsize=2)(lambda epoch: np.random.default_rng([self.seed, epoch]).permutation(self.n))

    @cached_property
    def text(self) -> np.ndarray | Tensor:
        """The text on the device, put there when first asked for: models of one stack need one copy."""
        if self.device == "cpu":
            return self.array
        dtype = np.uint8 if self.array.dtype == np.uint8 else np.int32  # torch can index few tensors of uint16
        return torch.as_tensor(self.array.astype(dtype), device=self.device)

    def starts(self, step: int) -> np.ndarray:
        """Where the sequences of a step begin in the text."""
        epoch, place = np.divmod(np.arange(step * self.per_step, (step + 1) * self.per_step), self.n)
        parts = [self.order(e)[place[epoch == e]] for e in range(epoch[0], epoch[-1] + 1)]
        return self.sequences[np.concatenate(parts)] * self.seq_len

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, each (sequences, seq_len), int64; of several `ranks`, the share of this one."""
        return cut(self.text, self.starts(step)[self.rank :: self.ranks], self.seq_len)


class Drawn:
    """Training windows that a source draws: those of the seed's own stream, one after the other, none twice."""

    def __init__(self, source: Windows, spec: RunSpec, device: str):
        self.source, self.seq_len, self.seed, self.device = source, spec.model.seq_len, spec.train.seed, device
        self.per_step, self.rank, self.ranks = _shares(spec)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, as of `Batches`."""
        windows = self.source.windows(step * self.per_step, self.per_step, self.seq_len, seed=self.seed)
        return _pair(torch.from_numpy(windows[self.rank :: self.ranks].astype(np.int64)).to(self.device))


def _shares(spec: RunSpec) -> tuple[int, int, int]:
    """Sequences of a step, and which of how many shares of them is this process' own."""
    per_step, (rank, of) = spec.train.batch_tokens // spec.model.seq_len, ranks()
    if per_step % of:
        raise ValueError(
            f"batch_tokens={spec.train.batch_tokens} are {per_step} sequences, no multiple of {of} "
            f"processes: start a number of processes that divides {per_step}"
        )
    return per_step, rank, of


def _pair(block: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and targets of sequences (n, seq_len + 1)."""
    return block[:, :-1], block[:, 1:]


def cut(text, starts: np.ndarray, seq_len: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets (len(starts), seq_len) of the sequences at ``starts``; ``text`` an array or a tensor."""
    index = starts[:, None] + np.arange(seq_len + 1)
    if isinstance(text, Tensor):
        block = text[torch.as_tensor(index, device=text.device)].long()
    else:
        block = torch.from_numpy(text[index].astype(np.int64))
    return _pair(block)


@dataclass(kw_only=True)
class State:
    """Everything that changes during training, and that a checkpoint therefore holds."""

    theta: Tensor  # (P,), float32
    m: Tensor  # (P,), first moment or momentum
    v: Tensor  # (P,), second moment
    step: int = 0
    losses: list[float] = field(default_factory=list)  # training loss of every step, nats/token
    evals: list[tuple[int, float, float]] = field(default_factory=list)  # tokens, validation loss, standard error
    seconds: float = 0.0


def make_step(spec: RunSpec, runtime: Runtime) -> Callable[..., Tensor]:
    """The function that makes one step: changes theta, m and v, and returns the training loss (nats/token)."""
    config, dtype = spec.train, compute_dtype(runtime)
    at = model.tables(spec.model, device=runtime.device, dtype=dtype)

    def mean_loss(theta, x, y):
        return model.loss(theta.to(dtype), x, y, spec.model, at, train=True).mean()

    # torch.func's gradient compiles with the update into one graph; the plain one is faster without compilation.
    gradient = torch.func.grad_and_value(mean_loss) if runtime.compile else plain_gradient(mean_loss)
    lr, decay, eps = (spread(spec, name).to(runtime.device) for name in FACTORS)
    update = make_update(config, lr, decay, eps=eps, model=spec.model, dtype=dtype)
    if runtime.compile and config.optimizer == "muon":  # its matrix products gain nothing, and take minutes to compile
        gradient = compiled(gradient)

    def step(theta, m, v, x, y, lr, correct1, correct2):
        g, loss = average(*gradient(theta, x, y))
        update(theta, m, v, g, clip_factor(g, config), lr, correct1, correct2)
        return loss

    return compiled(step) if runtime.compile and config.optimizer != "muon" else step


def compiled(f: Callable) -> Callable:
    """``f``, compiled for the shapes of its first call.

    torch stores what it compiled by code object, and runs the ninth shape of one eagerly without saying so. So each
    call gets a code object of its own, and what cannot be compiled raises.
    """

    def own(*args):
        return f(*args)

    own.__code__ = own.__code__.replace()
    return torch.compile(own, dynamic=False, fullgraph=True)


def average(g: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (P,) and loss, averaged over `ranks` in one exchange."""
    if ranks()[1] == 1:
        return g, loss
    both = torch.cat([g, loss.view(1)])
    dist.all_reduce(both)
    both /= ranks()[1]
    return both[:-1], both[-1]


def clip_factor(g: Tensor, config: TrainConfig) -> Tensor:
    """Factor (K..., 1), at most 1, that brings gradients (K..., P) down to the norm ``grad_clip``."""
    return (config.grad_clip / (g.norm(dim=-1, keepdim=True) + 1e-6)).clamp(max=1.0)


def spread(spec: RunSpec, name: Factor) -> Tensor:
    """Factor on the learning rate of each weight or on Adam's eps, or its weight decay: (P,)."""
    config, parts = spec.train, []
    ratios = {"input": config.embedding_lr_ratio, "hidden": config.hidden_lr_ratio, "output": 1.0}
    for weight, rule in rules(spec.model).items():
        if config.optimizer == "muon" and kind(weight) == "hidden":
            # Its change has the same largest singular value at every width, so no width rule is left to apply.
            rule = dataclasses.replace(rule, lr=1.0, decay=1.0)
        scale = {"lr": ratios[kind(weight)], "decay": config.weight_decay, "eps": 1.0}[name]
        parts.append(torch.full((math.prod(rule.shape),), scale * getattr(rule, name)))
    return torch.cat(parts)


def plain_gradient(f: Callable, *, has_aux: bool = False) -> Callable[..., tuple[Tensor, Any]]:
    """`torch.func.grad_and_value` without torch.func: ``(theta, ...) -> (gradient, value)``, ``has_aux`` as there."""

    def gradient(theta, *rest):
        leaf = theta.detach().requires_grad_()
        value, *more = f(leaf, *rest) if has_aux else (f(leaf, *rest),)
        g = torch.autograd.grad(value, leaf)[0]
        return g, tuple(z.detach() for z in (value, *more)) if has_aux else value.detach()

    return gradient


@torch.no_grad()
def evaluate(theta: Tensor, spec: RunSpec, text: np.ndarray) -> Tensor:
    """Loss (sequences, seq_len) in nats of each token of the fixed validation sample, in float32.

    The sample is ``eval_tokens`` long and spread evenly over the validation text; or it is all of a ``text`` of windows
    (n, seq_len + 1), see `Corpus.validation`.
    """
    seq_len, is_drawn = spec.model.seq_len, text.ndim == 2
    starts = np.arange(len(text)) if is_drawn else _eval_starts(spec, text)
    out, at = [], model.tables(spec.model, device=theta.device)
    for part in np.array_split(starts, max(1, len(starts) * seq_len // EVAL_CHUNK)):
        pair = _pair(torch.from_numpy(text[part].astype(np.int64))) if is_drawn else cut(text, part, seq_len)
        x, y = (z.to(theta.device) for z in pair)
        out.append(model.loss(theta, x, y, spec.model, at).view(x.shape))
    return torch.cat(out)


def _eval_starts(spec: RunSpec, text: np.ndarray) -> np.ndarray:
    """Where the sequences of the validation sample begin."""
    seq_len, wanted = spec.model.seq_len, spec.train.eval_tokens // spec.model.seq_len
    room = (len(text) - 1) // seq_len
    if not room:
        raise ValueError(f"{len(text)} validation tokens hold no sequence of {seq_len + 1}: take a longer text")
    if not 0 < wanted <= room:
        raise ValueError(
            f"eval_tokens={spec.train.eval_tokens} with a validation text of {len(text)} tokens: "
            f"choose eval_tokens from {seq_len} to {room * seq_len}, or take a longer text"
        )
    return np.linspace(0, room - 1, wanted).astype(np.int64) * seq_len


class Loop:
    """The trainer of one spec: run to any step, score, finish. What does not fit each other is a ValueError."""

    def __init__(self, spec: RunSpec, corpus: Corpus, runtime: Runtime):
        if corpus.vocab_size > spec.model.vocab_size:
            raise ValueError(
                f"vocab_size={spec.model.vocab_size} but {corpus.name} has {corpus.vocab_size} symbols: "
                f"set vocab_size={corpus.vocab_size}"
            )
        self.val = corpus.validation(spec.model.seq_len, spec.train.eval_tokens)
        if self.val.ndim == 1:
            _eval_starts(spec, self.val)  # raises here, before training, where the sample is too large
        self.spec, self.corpus, self.runtime = spec, corpus, runtime.resolve(spec)
        keep_memory()
        if self.runtime.compile and ranks()[1] > 1:
            raise ValueError("compile=True with several processes for one model: leave it out, they train eagerly")
        device = self.runtime.device
        self.batches = Drawn(corpus.source, spec, device) if corpus.source else Batches(corpus, spec, device)
        self.step = make_step(spec, self.runtime)

    def start(self) -> State:
        """State before the first step."""
        theta = model.init(self.spec.model, self.spec.train.seed).to(self.runtime.device)
        return State(theta=theta, m=torch.zeros_like(theta), v=torch.zeros_like(theta))

    def run(self, state: State, until: int, config: TrainConfig, *, save=None, bar=None) -> str:
        """Advance ``state`` to step ``until`` under the schedule of ``config``; returns what went wrong, or ''."""
        pending: list[Tensor] = []
        began = time.perf_counter()
        while state.step < until:
            if self.spec.model.dropout:
                masks = config.seed * 1_000_003 + state.step + ranks()[0] * 2**40  # each process has its own
                torch.manual_seed(masks % 2**63)
            x, y = self.batches[state.step]
            number = state.step + 1
            scalars = (learning_rate(config, state.step), *(1 / (1 - beta**number) for beta in config.betas))
            pending.append(self.step(state.theta, state.m, state.v, x, y, *map(torch.tensor, scalars)))
            state.step = number
            scored = number * config.batch_tokens in config.eval_at
            # Where the losses are judged depends on the step alone, where the state is saved on the clock too.
            judged = number % CHECK_EVERY == 0 or number == until or scored
            due = save is not None and number < until and save.due()
            if judged or due:
                state.losses += torch.stack(pending).tolist()
                pending.clear()
                state.seconds += time.perf_counter() - began
                if judged and (trouble := diverged(state.losses, self.spec)):
                    return trouble
                if scored:
                    self.score(state)
                if bar is not None:
                    bar.update(number * config.batch_tokens - bar.n)
                    bar.set_postfix_str(f"loss {state.losses[-1]:.3f}", refresh=False)
                if save is not None and due:
                    save(state)
                began = time.perf_counter()
        return ""

    def score(self, state: State) -> tuple[int, float, float]:
        """Validate, once per number of tokens: tokens, loss and its standard error."""
        tokens = state.step * self.spec.train.batch_tokens
        if not state.evals or state.evals[-1][0] != tokens:
            per_sequence = evaluate(state.theta, self.spec, self.val).mean(-1)
            se = per_sequence.std() / math.sqrt(len(per_sequence)) if len(per_sequence) > 1 else per_sequence * math.nan
            state.evals.append((tokens, per_sequence.mean().item(), se.item()))
        return state.evals[-1]

    def lost(self, state: State, loss: float) -> str:
        """What is wrong with the last weights, whose validation loss is ``loss``, or ''.

        A high loss on new text is a result where the text that was trained on has a low one: it is over-fitted. So the
        last batch decides, which `diverged` has seen before the last update only.
        """
        uniform = math.log(self.spec.model.vocab_size)
        if loss <= uniform + 1:
            return ""
        x, y = self.batches[state.step - 1]
        with torch.no_grad():
            at = model.tables(self.spec.model, device=state.theta.device)
            seen = model.loss(state.theta, x, y, self.spec.model, at).mean().item()
        if seen <= uniform + 1 and math.isfinite(loss):
            return ""
        return f"training loss {seen:.4g}, validation loss {loss:.4g} at the end, a uniform guess has {uniform:.4g}"

    def finish(self, state: State, spec: RunSpec, trouble: str) -> Run:
        """The finished run of ``spec`` from its last state."""
        loss, se, scores = math.nan, math.nan, {}
        if not trouble:
            _, loss, se = self.score(state)
            if trouble := self.lost(state, loss):
                loss = se = math.nan
        if not trouble:
            scores = tasks.score(state.theta, spec, self.corpus)
            for name, text in other_texts(self.corpus).items() if spec.train.eval_texts else ():
                scores[f"{name}_loss"] = evaluate(state.theta, spec, text.val).mean().item()
        tail = state.losses[-max(1, len(state.losses) // 10) :]
        tokens, losses = _thin(np.array(state.losses), spec.train.batch_tokens)
        evals = dict(zip(("eval_tokens", "eval_loss", "eval_se"), np.array(state.evals).reshape(-1, 3).T, strict=True))
        return Run(
            spec=spec,
            status="diverged" if trouble else "ok",
            message=trouble,
            loss=loss,
            loss_se=se,
            train_loss=float(np.mean(tail)) if tail else math.nan,
            seconds=state.seconds,
            curve={"tokens": tokens, "train_loss": losses} | evals,
            provenance=provenance(self.runtime, self.corpus),
            scores=scores,
        )


def train(
    spec: RunSpec,
    corpus: Corpus | None = None,
    runtime: Runtime = AUTO,
    *,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = False,
) -> Run:
    """Train one model.

    Parameters
    ----------
    corpus
        Loaded from ``spec.data`` when not given.
    checkpoint
        A file to which the state is saved every ``checkpoint_seconds`` and from which, when it exists, training goes
        on: after a kill the same call ends with the same bits. At the end it holds the last state; delete it once the
        run is stored.

    Returns
    -------
    Run
        With ``curve``: ``tokens`` and ``train_loss`` (means over up to 256 equal stretches), ``eval_tokens``,
        ``eval_loss`` and ``eval_se``. A run whose training loss explodes comes back with status
        "diverged"; one that is over-fitted, however high its validation loss, is "ok".

    Examples
    --------
    >>> from scalinglaws.lab.grids import vary
    >>> from scalinglaws.recipe import TEXT
    >>> ids = np.arange(20_000, dtype=np.uint8) % 128
    >>> corpus = Corpus(name="counting", vocab_size=128, train=ids, val=ids[:2000], fingerprint="none")
    >>> run = train(vary(TEXT.spec(16, 10_240), eval_tokens=1024), corpus, Runtime(device="cpu"))
    >>> run.status, bool(run.loss < run.curve["train_loss"][0])
    ('ok', True)
    """
    loop = Loop(spec, corpora.load(spec.data) if corpus is None else corpus, runtime)
    path = Path(checkpoint) if checkpoint else None
    state = load_state(path, spec, loop.runtime.device) if path and path.exists() else loop.start()
    saver = _Saver(path, spec, checkpoint_seconds) if path and ranks()[0] == 0 else None
    with tqdm(total=spec.train.tokens, unit="tok", unit_scale=True, disable=not progress, leave=False) as bar:
        trouble = loop.run(state, spec.train.steps, spec.train, save=saver, bar=bar)
    if saver and not trouble:  # not a diverged state, from which the next call would go on
        saver(state)
    return loop.finish(state, spec, trouble)


def train_branches(
    specs: Sequence[RunSpec], corpus: Corpus | None = None, runtime: Runtime = AUTO, *, progress: bool = False
) -> list[Run]:
    """Train several lengths of one WSD run for little more than the longest.

    The learning rate is constant until the cooldown, so all lengths share one trunk and each is a short branch. Every
    run is the one that `train` gives for its spec, bit for bit; its ``seconds`` count the trunk up to the branch too.
    Specs that differ in anything but ``tokens``, are not "wsd", or ask for scores on the way are a ValueError.
    """
    specs = list(specs)
    longest = max(specs, key=lambda s: s.train.tokens)
    if len(by_trunk(specs)) != 1 or not longest.train.branches:
        raise ValueError("branches of one trunk differ in train.tokens alone, with schedule='wsd' and no eval_at")
    loop = Loop(longest, corpora.load(longest.data) if corpus is None else corpus, runtime)
    trunk, trouble, done = loop.start(), "", {}
    total = sum(s.train.tokens for s in specs)
    with tqdm(total=total, unit="tok", unit_scale=True, disable=not progress, leave=False) as bar:
        for spec in sorted(specs, key=lambda s: s.train.tokens):
            if not trouble:
                trouble = loop.run(trunk, cooldown_start(spec.train), longest.train)
            branch, end = copy.deepcopy(trunk), trouble
            if not end:
                end = loop.run(branch, spec.train.steps, spec.train)
            done[spec] = loop.finish(branch, spec, end)
            bar.update(spec.train.tokens)
    return [done[spec] for spec in specs]


def cooldown_start(config: TrainConfig) -> int:
    """The first step of a WSD run whose learning rate depends on the run's length."""
    endless = dataclasses.replace(config, cooldown_frac=0.0)
    rates = ((learning_rate(config, step), learning_rate(endless, step)) for step in range(config.steps))
    return next((step for step, (rate, before) in enumerate(rates) if rate < before), config.steps)


def save_state(path: Path, state: State, spec: RunSpec) -> None:
    """Write a checkpoint, whole or not at all."""
    arrays = {name: getattr(state, name).cpu().numpy() for name in ("theta", "m", "v")}
    arrays |= {"losses": np.array(state.losses), "evals": np.array(state.evals).reshape(-1, 3)}
    scalars = {"step": np.array(state.step), "seconds": np.array(state.seconds), "spec": np.array(spec.hash)}
    atomically(path, lambda tmp: savez(tmp, arrays | scalars))


def load_state(path: Path, spec: RunSpec, device: str) -> State:
    """Read the checkpoint of ``spec``; one that is damaged or belongs to another spec is a ValueError."""
    try:
        saved = loadz(path)
        theirs = str(saved["spec"])
    except (ValueError, KeyError) as error:
        raise ValueError(f"checkpoint {path} is damaged ({error}): delete it to start the run again") from error
    if theirs != spec.hash:
        raise ValueError(f"checkpoint {path} belongs to run {theirs}, not to {spec.hash}: choose another file")
    return State(
        **{name: torch.from_numpy(saved[name]).to(device) for name in ("theta", "m", "v")},
        step=int(saved["step"]),
        losses=saved["losses"].tolist(),
        evals=[(int(t), loss, se) for t, loss, se in saved["evals"].tolist()],
        seconds=float(saved["seconds"]),
    )


class _Saver:
    """Saves the state every so many seconds; where that fails it warns once, and training goes on."""

    def __init__(self, path: Path, spec: RunSpec, seconds: float):
        self.path, self.spec, self.seconds, self.last, self.failed = path, spec, seconds, time.monotonic(), False

    def due(self) -> bool:
        return time.monotonic() - self.last >= self.seconds

    def __call__(self, state: State) -> None:
        try:
            save_state(self.path, state, self.spec)
        except OSError as error:
            if not self.failed:
                warnings.warn(f"{error}; training goes on without a checkpoint", stacklevel=2)
            self.failed = True
        self.last = time.monotonic()


def diverged(losses: list[float], spec: RunSpec) -> str:
    """What is wrong with the latest losses, or ''. More than 1 nat above a uniform guess counts as diverged."""
    recent, uniform = losses[-CHECK_EVERY:], math.log(spec.model.vocab_size)
    if not all(map(math.isfinite, recent)):
        return f"training loss not finite by step {len(losses)}"
    warm = len(losses) * spec.train.batch_tokens > spec.train.warmup_tokens
    if warm and len(recent) == CHECK_EVERY and np.mean(recent) > uniform + 1:
        return f"training loss {np.mean(recent):.4g} at step {len(losses)}, a uniform guess has {uniform:.4g}"
    return ""


def _thin(losses: np.ndarray, batch_tokens: int, points: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and mean loss over at most ``points`` equal stretches."""
    if not len(losses):
        return np.empty(0), np.empty(0)
    parts = np.array_split(losses, min(points, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return ends * batch_tokens, np.array([part.mean() for part in parts])
