"""What a run is: model, training, data. Frozen values, checked at birth, JSON both ways.

Two specs that are equal are the same run; ``RunSpec.hash`` is its name in files. Every length of training is in
tokens, every loss in nats per token. How a run is executed (device, precision, compilation) is no part of what it is:
that is `runtime.Runtime`, recorded with the results.
"""

import dataclasses
import hashlib
import json
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeVar, get_args, get_origin

SCHEMA = 1  # of a config's JSON; raise when what it says changes
Parametrization = Literal["standard", "mup", "completep"]
Family = Literal["transformer", "lstm"]
Position = Literal["rope", "learned", "none"]
Optimizer = Literal["adamw", "sgd", "muon"]
Schedule = Literal["wsd", "cosine", "constant"]
Origin = Literal["start", "everywhere"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A decoder-only transformer (pre-norm, no biases, squared-ReLU feed-forward, causal attention), or an LSTM.

    An LSTM has neither heads nor positions, its ``d_ff`` are the four gates, and no width rules are claimed for it.
    """

    n_layer: int
    d_model: int
    n_head: int  # 1 for an LSTM
    d_ff: int  # width of the feed-forward, 4 x d_model as a rule; for an LSTM always
    vocab_size: int
    seq_len: int  # context length in tokens
    family: Family = "transformer"
    position: Position = "rope"  # "learned" is GPT-2's: an added table of seq_len vectors; "none" for an LSTM
    tied: bool = False  # one matrix as input embedding and output head
    parametrization: Parametrization = "mup"
    base_d_model: int = 32  # the width at which "mup" and "standard" are the same model
    base_n_layer: int = 1  # the depth at which "completep" and "mup" are the same model, but for eps
    base_d_head: int | None = None  # the head size at that width; None: as here, heads grow in number, not in size
    init_scale: float = 1.0  # on the initial size of the matrices inside the layers
    dropout: float = 0.0  # on the embedding and on every residual branch, as in GPT-2

    def __post_init__(self):
        _settle(self)
        if self.family == "lstm":
            needed = {"n_head": 1, "d_ff": 4 * self.d_model, "position": "none", "parametrization": "standard"}
            for name, value in needed.items():
                if getattr(self, name) != value:
                    raise ValueError(f"{name}={getattr(self, name)!r} with family='lstm': set {name}={value!r}")
        if self.d_model % self.n_head:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by n_head={self.n_head}: "
                f"choose d_model as a multiple of n_head, or n_head among the divisors of {self.d_model}"
            )
        if self.position == "rope" and self.d_head % 2:
            raise ValueError(
                f"d_model/n_head={self.d_head} is odd and rotary positions turn pairs: choose an even head size"
            )

    @property
    def d_head(self) -> int:
        """Size of one attention head."""
        return self.d_model // self.n_head

    @property
    def width_ratio(self) -> float:
        """Width over base width: the r of muP."""
        return self.d_model / self.base_d_model

    @property
    def depth_ratio(self) -> float:
        """Depth over base depth."""
        return self.n_layer / self.base_n_layer


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where tokens come from; see `corpus.load`."""

    corpus: Literal["pystack", "markov", "chains", "files"] = "pystack"
    path: str | None = None  # corpus="files": a file, a folder or a pattern
    vocab: str = "ascii"  # "ascii" (128 symbols), "bytes" (256) or the path of a tokenizer.json
    unique_tokens: int | None = None  # so many training tokens, repeated when a run needs more; None: all
    unique_from: Origin = "start"  # the first ones: few files; "everywhere": sequences drawn from the corpus
    fingerprint: str | None = None  # the corpus that is expected; another one is reported
    chain_symbols: int = 8  # corpus="chains": states of each window's chain
    chain_alpha: float = 0.3  # and of the Dirichlet law of its rows

    def __post_init__(self):
        _settle(self)
        if (self.corpus == "files") != (self.path is not None) or self.path == "":
            raise ValueError(f"corpus={self.corpus!r} with path={self.path!r}: give a path with corpus='files' only")
        if self.unique_from != "start" and self.unique_tokens is None:
            raise ValueError(f"unique_from={self.unique_from!r} without unique_tokens: say how many, or leave it out")
        if self.corpus == "chains" and self.unique_tokens is not None:
            raise ValueError(
                f"unique_tokens={self.unique_tokens} with corpus='chains': leave it out, no window is repeated"
            )
        if self.corpus != "chains" and (self.chain_symbols, self.chain_alpha) != (8, 0.3):
            raise ValueError(
                f"chain_symbols and chain_alpha with corpus={self.corpus!r}: they belong to corpus='chains'"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One pass of an optimizer over ``tokens`` tokens, in steps of ``batch_tokens``."""

    tokens: int  # D: tokens processed, repeats included
    batch_tokens: int  # tokens per optimizer step
    lr: float  # peak learning rate of the base width
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "wsd"
    warmup_tokens: int = 0  # linear warm-up from zero
    cooldown_frac: float = 0.2  # "wsd": the last part of the run, in which the rate falls linearly
    final_lr_frac: float = 0.0  # rate at the end over peak rate ("wsd", "cosine")
    weight_decay: float = 0.0  # decoupled (AdamW): each step multiplies matrices by 1 - lr * weight_decay
    hidden_lr_ratio: float = 1.0  # rate of the matrices inside the layers over lr; with "muon" they alone are Muon's
    embedding_lr_ratio: float = 1.0  # of embedding and positions
    betas: tuple[float, float] = (0.9, 0.95)  # moments of AdamW; SGD uses the first as momentum
    eps: float = 1e-8
    grad_clip: float = 1.0  # largest norm of the gradient; 0 switches clipping off
    seed: int = 0  # initial weights, order of the data, dropout
    eval_tokens: int = 131_072  # size of the fixed validation sample
    eval_at: tuple[int, ...] = ()  # tokens at which to score the model on the way
    eval_texts: bool = False  # also validate the last weights on `corpus.TEXTS`, `eval_tokens` of each

    def __post_init__(self):
        _settle(self)
        if self.tokens % self.batch_tokens:
            nearest = max(1, round(self.tokens / self.batch_tokens)) * self.batch_tokens
            raise ValueError(
                f"tokens={self.tokens} is not a whole number of steps of batch_tokens={self.batch_tokens}: "
                f"the nearest is tokens={nearest}"
            )
        if self.warmup_tokens > self.tokens:
            raise ValueError(f"warmup_tokens={self.warmup_tokens} exceeds tokens={self.tokens}: shorten the warm-up")
        for at in self.eval_at:
            if not 0 < at <= self.tokens or at % self.batch_tokens:
                raise ValueError(
                    f"eval_at={at}: give multiples of batch_tokens={self.batch_tokens} up to tokens={self.tokens}"
                )

    @property
    def branches(self) -> bool:
        """Whether runs of several lengths share a trunk: the same rate until each cools down, no score on the way."""
        return self.schedule == "wsd" and not self.eval_at

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return self.tokens // self.batch_tokens


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """All that decides a run's result."""

    model: ModelConfig
    train: TrainConfig
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self):
        if self.train.batch_tokens % self.model.seq_len:
            raise ValueError(
                f"batch_tokens={self.train.batch_tokens} is not a whole number of sequences of "
                f"seq_len={self.model.seq_len}: choose a multiple of {self.model.seq_len}"
            )
        if self.train.optimizer == "muon" and self.model.family == "lstm":
            raise ValueError("optimizer='muon' with family='lstm': choose 'adamw' or 'sgd', Muon is for transformers")

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the spec in files.

        Fields at their default are left out, so that a field added later changes no old name.
        """
        text = json.dumps(_without_defaults(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def by_trunk(specs: Iterable[RunSpec]) -> list[list[RunSpec]]:
    """Specs that share a trunk, by length; each of the others by itself."""
    found: dict[RunSpec, list[RunSpec]] = {}
    for spec in dict.fromkeys(specs):
        config = spec.train
        # A length that no run has stands for all: the warm-up must fit into it, and it is a number of whole steps.
        trunk = dataclasses.replace(config, tokens=config.batch_tokens * 2**40) if config.branches else config
        found.setdefault(dataclasses.replace(spec, train=trunk), []).append(spec)
    return [sorted(trunk, key=lambda spec: spec.train.tokens) for trunk in found.values()]


Config = TypeVar("Config", ModelConfig, DataConfig, TrainConfig, RunSpec)

for _cls in (ModelConfig, DataConfig, TrainConfig, RunSpec):
    _cls.__pydantic_config__ = {"extra": "forbid"}  # an unknown key in a file is an error, not a silence


def to_json(config: Config, *, indent: int | None = None) -> str:
    """JSON text of a config with every field written out, and the number of the schema."""
    return json.dumps({"schema": SCHEMA} | dataclasses.asdict(config), indent=indent)


def from_json(text: str, cls: type[Config]) -> Config:
    """Read a config from JSON text of `to_json`; the number of the schema may be left out.

    Raises
    ------
    ValueError
        One line that names each field at fault: unknown, missing, of the wrong type, or out of range; or a schema that
        is newer than this version.
    """
    from pydantic import ValidationError

    from scalinglaws.files import unversioned

    try:
        body = json.loads(text)
        body = unversioned(body, SCHEMA) if isinstance(body, dict) else body
        return _reader(cls).validate_json(json.dumps(body))
    except ValidationError as error:
        raise ValueError(f"{cls.__name__}: " + "; ".join(map(_in_words, error.errors()))) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{cls.__name__}: the text: Invalid JSON: {error}") from None
    except ValueError as error:
        raise type(error)(f"{cls.__name__}: {error}") from None


@cache
def _reader(cls):
    """The strict reader of a config; made once, since it takes longer than reading."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _in_words(fault) -> str:
    """One pydantic error as 'field: what is wrong, what to do'."""
    where = ".".join(str(part) for part in fault["loc"] if part != "RunSpec") or "the text"
    if fault["type"] == "unexpected_keyword_argument":
        return f"{where}: no such field; remove it or mend its spelling"
    if fault["type"] == "missing" or fault["type"] == "missing_keyword_only_argument":
        return f"{where}: missing; it has no default, so add it"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def _without_defaults(config) -> dict:
    """Nested dict of the fields that differ from their default."""
    out = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            out[f.name] = _without_defaults(value)
        elif value != f.default:
            out[f.name] = value
    return out


def _settle(config) -> None:
    """Give each field the type that it declares, since 1 and 1.0 are equal and must not make two hashes; refuse others.

    pydantic would do this too, at four times the time of import and in no fewer lines: see LOG.md.
    """
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is f.default:
            continue
        if f.type in _KINDS:
            allowed, convert = _KINDS[f.type]
            try:
                value = convert(value)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"{f.name}={value!r}: give {allowed}") from None
            object.__setattr__(config, f.name, value)
        elif get_origin(f.type) is Literal and value not in get_args(f.type):
            raise ValueError(f"{f.name}={value!r}: choose one of {', '.join(map(repr, get_args(f.type)))}")
        allowed, holds = _RANGES.get(f.name, ("", None))
        for number in value if isinstance(value, tuple) else (value,):
            if holds and not holds(number):
                shown = f"{number:.4g}" if isinstance(number, float) else number
                raise ValueError(f"{f.name}={shown}: give {allowed}")


def _integer(value) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError
    return int(value)


def _number(value) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _truth(value) -> bool:
    if value not in (False, True):
        raise TypeError
    return bool(value)


def _pair(value) -> tuple[float, float]:
    first, second = map(_number, value)
    return first, second


# Type of a field -> what to give, and what makes it of equal values; `_settle` reads both tables.
_KINDS = {
    int: ("a whole number", _integer),
    int | None: ("a whole number, or None", _integer),
    float: ("a number", _number),
    bool: ("True or False", _truth),
    tuple[float, float]: ("two numbers", _pair),
    tuple[int, ...]: ("whole numbers", lambda value: tuple(map(_integer, value))),
}
_ONE_OR_MORE = ("a whole number, at least 1", lambda value: value >= 1)
_SHARE = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
_BELOW_ONE = ("a number from 0 to 1, top excluded", lambda value: 0 <= value < 1)
_BOUNDED = ("a number from 0 to inf, top excluded", lambda value: 0 <= value < math.inf)
_POSITIVE = ("a finite number above zero", lambda value: 0 < value < math.inf)
_RANGES = {
    **dict.fromkeys(
        ("n_layer", "d_model", "n_head", "d_ff", "vocab_size", "seq_len", "base_d_model", "base_n_layer"), _ONE_OR_MORE
    ),
    **dict.fromkeys(
        ("base_d_head", "tokens", "batch_tokens", "eval_tokens", "unique_tokens", "chain_symbols"), _ONE_OR_MORE
    ),
    "warmup_tokens": ("a whole number, at least 0", lambda value: value >= 0),
    "seed": ("a whole number from 0, below 2**63", lambda value: 0 <= value < 2**63),  # int64 in a run table
    **dict.fromkeys(("lr", "eps", "hidden_lr_ratio", "embedding_lr_ratio", "chain_alpha"), _POSITIVE),
    **dict.fromkeys(("init_scale", "weight_decay"), _BOUNDED),
    **dict.fromkeys(("dropout", "betas"), _BELOW_ONE),
    **dict.fromkeys(("cooldown_frac", "final_lr_frac"), _SHARE),
    "grad_clip": ("a finite norm; 0 switches clipping off", lambda value: 0 <= value < math.inf),
}
