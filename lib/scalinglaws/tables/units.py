"""Units as people write them: 1.3B, "tokens (B)", "N / 1e6", PF-days, bits per byte, perplexity."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from scalinglaws.counting import PF_DAY


def words(text: str) -> set[str]:
    """The words of a text, as a set."""
    return {*text.split()}


NATS = "nats per token"
LETTERS: Mapping[str, float] = MappingProxyType({"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12})
SCALES: Mapping[str, float] = MappingProxyType(
    dict(LETTERS)
    | dict.fromkeys(("thousand", "thousands"), 1e3)
    | dict.fromkeys(("million", "millions", "mil", "mln", "mn", "mio", "mm"), 1e6)
    | dict.fromkeys(("billion", "billions", "bil", "bln", "bn", "mrd"), 1e9)
    | dict.fromkeys(("trillion", "trillions", "tn", "trn"), 1e12)
)
PREFIXES = {
    "": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24,
    "kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12, "peta": 1e15, "exa": 1e18, "zetta": 1e21, "yotta": 1e24,
}  # fmt: skip
FLOP_WORD = re.compile(rf"({'|'.join(sorted(PREFIXES, key=len, reverse=True))})(?:flops?|flos?)")
PF_DAYS = re.compile(r"(?:pfs?|pflops?s?|petaflops?s?)days?")
POWER = re.compile(r"(?:10(?:\^|\*\*)\+?(\d+)|1(?:\.0*)?e\+?(\d+))")
# Words beside a scale that say what is counted, and change nothing.
_COUNTED = words("""
    params param parameters parameter tokens token toks tok in of x n d c count # the number units unit raw
""")

# What a loss can be counted in, by the words for it; the factor converts to nats per token, None: it is carried.
LOSS_WORDS: Mapping[str, tuple[str, float | None]] = MappingProxyType({
    "bpb": ("bits per byte", None), "bpc": ("bits per character", None), "bpw": ("bits per word", None),
    "bits per byte": ("bits per byte", None), "bits per character": ("bits per character", None),
    "bits per word": ("bits per word", None), "bits per token": (NATS, math.log(2)), "bits": (NATS, math.log(2)),
    "nats per byte": ("nats per byte", None), "nats per character": ("nats per character", None),
    "nats per word": ("nats per word", None), "nats per token": (NATS, 1.0), "nats": (NATS, 1.0),
    "perplexity": (NATS, math.nan),  # its logarithm
    "perplexity per byte": ("nats per byte", math.nan), "perplexity per word": ("nats per word", math.nan),
    "perplexity per character": ("nats per character", math.nan),
})  # fmt: skip
LOSS_UNITS = tuple(dict.fromkeys(("nats", "bits", "perplexity", "bpb", "bpc", *LOSS_WORDS)))
SAME = {
    "byte": "byte", "bytes": "byte", "char": "character", "chars": "character", "character": "character",
    "characters": "character", "token": "token", "tokens": "token", "tok": "token", "word": "word", "words": "word",
    "bit": "bits", "bits": "bits", "nat": "nats", "nats": "nats", "ppl": "perplexity", "pplx": "perplexity",
    "perplexity": "perplexity", "perplexities": "perplexity", "bpb": "bpb", "bpc": "bpc", "bpw": "bpw",
    "bpt": "bits per token",
}  # fmt: skip


def scale(text: str) -> float | None:
    """The factor that a unit of N, D or C stands for, such as that of "B", "1e9 tokens" or "PF-days"; None: no unit."""
    text = text.casefold().replace("×", "x").replace("·", " ")
    joined = re.sub(r"[^a-z0-9]", "", text)
    if PF_DAYS.fullmatch(joined):
        return PF_DAY
    factor, said = 1.0, False
    for word in re.findall(r"10(?:\^|\*\*)\+?\d+|\d+(?:\.\d+)?(?:e\+?\d+)?|[a-zµ#]+|[^\sa-z0-9]", text):
        power, flop = POWER.fullmatch(word), FLOP_WORD.fullmatch(word)
        if power:
            factor *= 10.0 ** int(power[1] or power[2])
        elif word in SCALES:
            factor *= SCALES[word]
        elif flop:
            factor *= PREFIXES[flop[1]]
        elif word not in _COUNTED and word not in "-_/()[]*" and word != "1":
            return None
        said = said or bool(power or flop or word in SCALES or word in _COUNTED or word == "1")
    return factor if said else None


def scale_words(factor: float, *, flops: bool = False) -> str:
    """A factor in words."""
    known = {1.0: "", 1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions", PF_DAY: "PF-days"}
    if flops:
        known |= {10.0**power: f"{letter}FLOPs" for power, letter in zip(range(6, 25, 3), "MGTPEZY", strict=True)}
    return known.get(factor, f"units of {factor:g}")


def loss_unit(words: set[str]) -> str | None:
    """The key in the table of loss units that the words of a name stand for; None: they name none."""
    found = {SAME[word] for word in words & SAME.keys()}
    if "perplexity" in found:  # of lm-eval: byte_perplexity, word_perplexity
        return next((f"perplexity per {per}" for per in ("byte", "word", "character") if per in found), "perplexity")
    for short in ("bpb", "bpc", "bpw", "bits per token"):
        if short in found:
            return short
    of = next((each for each in ("bits", "nats") if each in found), None)
    if of is None:
        return None
    per = next((each for each in ("byte", "character", "word", "token") if each in found), "token")
    return f"{of} per {per}" if per != "token" or "token" in found else of


def loss_unit_of(text: str) -> str | None:
    """`loss_unit` of a text, such as a cell of a row of units or an answer of the user."""
    return loss_unit({*re.findall(r"[a-z]+", text.casefold())})


def loss_conversion(key: str) -> tuple[str, float | None]:
    """The unit that losses are kept in, and the factor to it: nan stands for the logarithm, None for no conversion."""
    return LOSS_WORDS[key]
