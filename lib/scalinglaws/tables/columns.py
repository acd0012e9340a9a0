"""Which column is which, by the words of its name: `params_M`, "Non-embedding parameters", `eval/loss`, "GFLOPs"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scalinglaws.tables.units import FLOP_WORD, PF_DAYS, SCALES, loss_unit, loss_unit_of, scale, words

# Parts of a name that say where a tracker keeps a column, and nothing of what it is.
_HOMES = words("""
    config summary metrics metric params args hparams hyperparameters history data tags results result attributes
    model training optim logs log parameters sys
""")

_N_HEADS = words("param params parameter parameters nparam nparams numparams paramcount")
_N_FREE = words("n num nr no number of count counts the model trainable size lm net")
_TOTAL, _ACTIVE = {"total", "all", "full", "tot"}, {"active", "activated", "act"}
_BODY = words("body backbone matmul nonvocab nonvocabulary transformer")
_NOT, _EMBEDDING = (
    {"non", "no", "without", "excl", "excluding", "exclude", "minus", "ex", "w", "o", "wo"},
    {"emb", "embs"},
)
_EMBEDDING |= {"embed", "embedding", "embeddings", "embd"}
_NONEMB = words("nonemb nonembed nonembedding nonembeddings noemb nonembd")
_WITH = words("incl including include with")

_D_HEADS = words("token tokens ntokens numtokens toks tok ntok")
_D_FREE = words("""
    n num nr no number of count the total tot all train training trained pretrain pretraining seen processed
    consumed used input budget cumulative size d so far lm on for text observed
""")
ALL_READ = words("seen processed consumed used total")  # of tokens: those of every epoch
_D_STOCK = words("dataset data corpus")  # how much there is, which need not be how much was read

_C_FREE = words("""
    total tot train training pretraining budget model n num of the est estimated estimate approx approximate
    theoretical used spent cost c compute isoflop count number amount all
""")

_L_HEADS = words("loss losses nll ce xent crossentropy ppl perplexity bpb bpc bpw bpt lmloss")
_VALIDATION = words("val valid validation eval evaluation dev heldout held holdout vali")
_TEST, _TRAIN = {"test", "testing"}, {"train", "training", "tr", "trn"}
_L_FREE = words("""
    final last end lm mean avg average cross entropy causal language modeling model out per the at of in token
    tokens tok byte bytes char chars character characters word words bit bits nat nats l value set split total
""")
_L_ODD = words("min best minimum lowest smooth smoothed ema running")
_NO_LOSS = words("""
    se sem std stddev stderr sd err error errors ci var variance max maximum lo hi low high lower upper aux
    auxiliary z zloss router balance balancing load kl scale ratio delta diff reg regularization l1 l2 grad rel
    relative predicted pred prediction fit fitted residual log ln log10 log2 spike spikes weight floor irreducible
    distill distillation mtp count steps step target goal improvement slope gap unit units name type fn function
    initial init first accuracy acc stop
""")

ROLES: dict[str, set[str]] = {  # by the joined words of a name
    "run": words("run runid runname runs runno runnumber runindex runpath wandbrun curve"),
    "name": words("""
        name id uid uuid hash experiment exp expname experimentname experimentid expid trial trialid job jobid model
        modelname jobname trialname displayname key config
"""),
    "step": words("""
        step globalstep iter iteration trainstep trainingstep trainerglobalstep update epoch iterations
        trainglobalstep currentstep checkpointstep checkpoint ckpt itr optimizerstep
"""),
    "status": words("status state runstate runstatus jobstate jobstatus outcome resultstatus"),
    "failed": words("""
        diverged crashed failed isdiverged hasdiverged iscrashed isfailed isnan oom crash hascrashed hasfailed isoom
        nanloss hasnan lossisnan killed aborted preempted
"""),
    "exit": words("exitcode exitstatus returncode rc"),
    "finished": words("finished completed isfinished done converged iscomplete complete success ok isok"),
    "seed": words("""
        seed seeds randomseed rng rngseed replicate replica rep repeat modelseed dataseed initseed trainseed
"""),
    "tokens_per_step": words("""
        tokensperstep batchtokens tokensperbatch tokensperupdate tokensperiteration tokbatch tokstep
        globalbatchtokens tokensbatch batchsizetokens tokensstep
"""),
    "recipe": words("""
        lr learningrate peaklr maxlr baselr lrmax lrpeak eta bs bsz batch batchsize globalbatchsize trainbatchsize
        gbs wd weightdecay optimizer optim opt optimizername warmup warmupsteps
        warmuptokens warmupratio schedule lrschedule scheduler lrscheduler momentum beta1 beta2 betas dropout
        gradclip clip initscale initstd minlr finallr lrmin lrdecay decay eps epsilon adambeta1 adambeta2
        peaklearningrate maxlearningrate logtwolr log2lr loglr cooldown cooldownfrac
"""),
    "steps": words("steps nsteps numsteps trainsteps totalsteps trainingsteps maxsteps numtrainsteps"),
    "epochs": words("epochs nepochs numepochs trainepochs numtrainepochs totalepochs"),
    "text": words("""
        dataset datasets datasetname traindataset corpus mix mixture datamix datamixture domain language tokenizer
        evalset evaldataset valset testset task arch architecture
"""),
    "group": words("source condition group sweep series family"),
}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a column is by its name."""

    letter: str  # N, D, C, L, U, S or x
    rank: tuple[int, ...]  # the lowest fits best; names of equal rank fit equally well
    kind: str = ""  # which N, or of which text a loss is
    factor: float | None = None  # to the unit that is fitted in; None: the name has no word on it
    unit: str | None = None  # key of a loss's unit


def words_of(name: str) -> tuple[list[str], str]:
    """The words of a name in small letters, and the text of a unit at its end: in brackets, or as in "N / 1e6"."""
    text, unit = _without_home(name.strip().strip("*`\"'")), ""
    if bracket := re.fullmatch(r"(.*?)\s*[(\[{]\s*([^()\[\]{}]*?)\s*[)\]}]\s*", text):
        known = scale(bracket[2]) is not None or loss_unit_of(bracket[2]) is not None
        text, unit = (bracket[1], bracket[2]) if known else (f"{bracket[1]} {bracket[2]}", "")
    elif over := re.fullmatch(r"(.*\S)\s*/\s*(1(?:\.0*)?e\+?\d+|10\s*(?:\^|\*\*)\s*\d+)", text, re.IGNORECASE):
        text, unit = over[1], over[2]
    elif listed := re.fullmatch(r"(.*\S)\s*,\s*(\S.*)", text):
        known = scale(listed[2]) is not None or loss_unit_of(listed[2]) is not None
        text, unit = (listed[1], listed[2]) if known else (text, "")
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", " ", text)  # numParams, valLoss
    return re.findall(r"[a-z]+[0-9]*|[0-9]+[a-z]*|#", text.casefold()), unit


def meaning(name: str) -> Meaning | None:
    """What a column is; None where its name has a word that changes what the others say.

    >>> meaning("Non-embedding parameters (M)")
    Meaning(letter='N', rank=(1,), kind='non-embedding', factor=1000000.0, unit=None)
    >>> meaning("eval/loss").kind, meaning("tokens_per_param"), meaning("loss_se")
    ('validation', None, None)
    """
    own, unit = words_of(name)
    if not own or name.casefold().endswith(("__min", "__max")):  # a tracker's band around a smoothed curve
        return None
    if len(own) == 1 and own[0] in ("n", "d", "c", "l", "u", "s", "x", "f"):
        letter = {"x": "x", "f": ""}.get(own[0], own[0].upper())
        return _of_letter(letter, name, unit) if letter else None
    own = ["n" if word == "#" else word for word in own]
    if _is_ratio(name):
        return None
    return _of_flops(own, unit, name) or _of_counts(own, unit) or _of_loss(own, unit)


def _is_ratio(name: str) -> bool:
    """Whether a name is that of one count over another, such as D/N."""
    parts = [part for part in _without_home(name).split("/") if part.strip()]
    known = [meaning(part) for part in parts] if len(parts) == 2 else []
    return (
        len(known) == 2
        and all(each is not None and each.letter in "NDC" for each in known)
        and not POWER_AFTER.search(name)
    )


def role(name: str) -> str:
    """What else a column is by its name: run, step, status, seed, recipe, ...; empty: nothing that is known."""
    joined = "".join(words_of(name)[0])
    return next((key for key, names in ROLES.items() if joined in names), "")


def roles(names: Sequence[str], wanted: str) -> list[str]:
    """The columns of a role."""
    return [name for name in names if role(name) == wanted]


def is_standard_error(name: str) -> bool:
    """Whether a column has standard errors of a loss."""
    own = {*words_of(name)[0]}
    return bool(own & _L_HEADS and own & {"se", "sem", "stderr"})


def step_of(names: Sequence[str]) -> str | None:
    """The column of steps; one of epochs only where there is no other."""
    return min(roles(names, "step"), key=lambda name: "epoch" in name.casefold(), default=None)


def is_name(cell: str) -> bool:
    """Whether a text is the name of something that is known here."""
    return meaning(cell) is not None or bool(role(cell))


def is_unit(cell: str) -> bool:
    """Whether a text is a unit of N, D, C or L, or stands for none."""
    return not cell.strip("- –—()[]") or scale(cell) is not None or loss_unit_of(cell) is not None


def _without_home(name: str) -> str:
    """A name such as "config/N" or "summary.eval/loss" without the part that says where it is kept."""
    while (parts := re.fullmatch(r"([A-Za-z_]+)[/.](\S.*)", name)) and parts[1].casefold() in _HOMES:
        if POWER_AFTER.fullmatch(parts[2]):
            break
        name = parts[2]
    return name


POWER_AFTER = re.compile(r"1(?:\.0*)?e\+?\d+|10\s*(?:\^|\*\*)\s*\d+", re.IGNORECASE)  # "params/1e6" is a unit


def _of_letter(letter: str, name: str, unit: str) -> Meaning:
    """A column that is called by its letter; a capital fits better."""
    capital = name.strip()[:1].isupper() or letter == "x"
    if letter == "L":
        return Meaning(letter="L", rank=(2, 0 if capital else 1, 0), unit=loss_unit_of(unit) if unit else None)
    return Meaning(letter=letter, rank=(0 if capital else 2,), factor=scale(unit) if unit else None)


def _of_flops(own: list[str], unit: str, name: str) -> Meaning | None:
    """A column of compute, in FLOPs or in a unit that its name has."""
    joined, factor = "".join(own), scale(unit) if unit else None
    if days := re.search(PF_DAYS.pattern + "$", joined):
        rest = {*re.findall("|".join(sorted(_C_FREE, key=len, reverse=True)), joined[: days.start()])}
        return Meaning(letter="C", rank=(0,), factor=scale(days[0])) if "".join(rest) or not days.start() else None
    flops = [word for word in own if FLOP_WORD.fullmatch(word)]
    others = {*own} - {*flops}
    if re.search(r"flops?\s*(/|\bper\b)", name, re.IGNORECASE) and not POWER_AFTER.search(name):
        return None  # a speed, or compute per something
    by_rule = others & {"6nd", "nd", "6"}
    if not flops and not others & {"compute", "budget"} and not (others & {"c"} and (by_rule or others & {"approx"})):
        return None
    if others - _C_FREE - by_rule - SCALES.keys():
        return None
    for word in flops:
        found = scale(word)
        factor = found if factor is None and found != 1.0 else factor
    for word in others & SCALES.keys() - {"c"}:
        factor = SCALES[word]
    return Meaning(letter="C", rank=(1 if by_rule or not (flops or "compute" in others) else 0,), factor=factor)


def _of_counts(own: list[str], unit: str) -> Meaning | None:
    """A column of parameters or tokens, with which parameters."""
    factor, rest = scale(unit) if unit else None, {*own}
    if len(own) > 1 and own[-1] in SCALES and not unit:  # params_M, tokens_billions
        factor, rest = SCALES[own[-1]], {*own[:-1]}
    known = {"mean", "in", "x"}
    rest -= {"in"}
    tokens = (
        rest & _D_HEADS or (rest == {"d"} and factor is not None) or ("d" in rest and rest - {"d"} <= _D_FREE - {"n"})
    )
    if tokens and not rest & _N_HEADS:
        if "unique" in rest and rest - {"unique"} <= _D_HEADS | _D_FREE | _D_STOCK:
            return Meaning(letter="U", rank=(0,), factor=factor)
        if rest <= _D_HEADS | _D_FREE | _D_STOCK | known:
            return Meaning(letter="D", rank=(1 if rest & _D_STOCK else 0,), factor=factor)
        return None
    if rest in ({"dataset", "size"}, {"data", "size"}):
        return Meaning(letter="D", rank=(1,), factor=factor)
    embedding, kind = rest & _EMBEDDING, ""
    if rest & _NONEMB or (embedding and rest & _NOT):
        kind = "non-embedding"
    elif embedding and not rest & _WITH:
        return None  # those of the embeddings alone
    elif rest & _ACTIVE:
        kind = "active"
    elif rest & _BODY:
        kind = "body"
    elif rest & _TOTAL or embedding:
        kind = "total"
    left = (
        rest
        - _N_HEADS
        - _N_FREE
        - _TOTAL
        - _ACTIVE
        - _BODY
        - _NONEMB
        - _EMBEDDING
        - (_NOT | _WITH if embedding else set())
    )
    if left or not (rest & _N_HEADS or rest in ({"model", "size"}, {"size"}) or ("n" in rest and (kind or factor))):
        return None
    if rest & _N_FREE == {"no"} and kind == "":
        return None
    rank = {"": 0, "total": 0, "non-embedding": 1, "active": 2, "body": 3}[kind] + 4 * (rest == {"size"})
    return Meaning(letter="N", rank=(rank,), kind=kind, factor=factor)


def _of_loss(own: list[str], unit: str) -> Meaning | None:
    """A column of losses: of validation, test, an unnamed text or training; and its unit."""
    rest = {*own}
    is_loss = rest & _L_HEADS or {"cross", "entropy"} <= rest or loss_unit(rest) not in (None, "bits", "nats")
    if not is_loss or rest & _NO_LOSS or ("steps" in rest):
        return None
    if "per" in rest and loss_unit(rest) is None:
        return None
    split, kind = (3, "") if not rest & (_VALIDATION | _TEST | _TRAIN) else (0, "validation")
    if rest & _TRAIN and not rest & _VALIDATION:
        split, kind = 4, "training"
    elif rest & _TEST and not rest & _VALIDATION:
        split, kind = 1, "test"
    elif kind == "":
        split, kind = 2, ""
    unknown = rest - _L_HEADS - _L_FREE - _VALIDATION - _TEST - _TRAIN - _L_ODD
    key = loss_unit_of(unit) if unit else loss_unit(rest)
    return Meaning(
        letter="L",
        rank=(split, 1 if unknown or rest & _L_ODD else 0, int(key not in (None, "nats", "nats per token"))),
        kind=kind,
        unit=key,
    )
