"""Numbers that can be points: positive, in a unit that is known, and such as language models have."""

import math
from collections.abc import Collection, Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalinglaws import counting
from scalinglaws.tables import columns
from scalinglaws.tables.choice import ONE_SIZE, Choice, compute_column
from scalinglaws.tables.numbers import NO_RESULT, is_missing
from scalinglaws.tables.sheet import Sheet, shown
from scalinglaws.tables.units import LETTERS, NATS, loss_conversion, scale_words

SWAPPED = 0.5  # tokens per parameter, median: below it the two columns look exchanged
MOST_RATIO = 1e6  # tokens per parameter, median: above it one of the two is counted in another unit
# Counts outside of these are no plain parameters, tokens or FLOPs; the book's least model has 768 parameters.
LIKELY = {"N": (100.0, 1e13), "D": (1000.0, 1e15), "C": (1e8, 1e30)}
LARGEST_LOSS = 12.5  # nats per token: that of a guess among 268 thousand tokens
OVERFLOW = 1e8  # a count below minus this is an integer that overflowed
SAME_COMPUTE = 30.0  # C and 6 N D further apart are counted in different units
OFF = 0.1  # share by which C and 6 N D of one run differ where one of them overflowed

Values = Mapping[str, NDArray[np.float64]]
Choices = Mapping[str, Choice]


def is_no_result(cell: Any) -> bool:
    """Whether a cell of losses says that the run diverged, rather than that nothing was measured."""
    if isinstance(cell, str):
        return cell.strip().casefold() in NO_RESULT | {"nan", "-nan"}
    return isinstance(cell, float) and not math.isfinite(cell)


def positive(sheet: Sheet, choice: Choice) -> NDArray[np.float64]:
    """A column of positive, finite numbers."""
    values = choice.values(sheet)
    bad = ~(np.isfinite(values) & (values > 0))
    if not bad.any():
        return values
    cell, value = sheet.cells(choice.name)[int(np.flatnonzero(bad)[0])], float(values[bad][0])
    said = "empty or nan" if is_missing(cell) else shown(cell)
    if isinstance(cell, str) and columns.is_name(cell):
        said += " (does another table begin there?)"
    advice = "mend or drop them"
    if is_missing(cell) or (choice.letter == "L" and is_no_result(cell)):
        advice += ", or --drop-missing leaves them out"
    if choice.letter in "NDC" and value < -OVERFLOW:
        said += f": the overflow of an int{32 if value >= -(2**31) else 64}"
        advice = f"compute {choice.letter} in floating point"
    raise ValueError(
        f"{sheet.rows(bad)}: {choice.letter} ({shown(choice.name)}) is {said}, no finite number above zero "
        f"({bad.sum()} such rows); {advice}"
    )


def in_known_unit(L: NDArray[np.float64], choice: Choice, needs: Collection[str]) -> tuple[str, NDArray[np.float64]]:
    """The unit that the losses are kept in, and the losses in it."""
    known = columns.meaning(choice.name)
    if choice.unit is None and "x" in needs and (known is None or known.letter != "L"):
        return f"the unit of {choice.name}", L
    unit, factor = loss_conversion(choice.unit or "nats")
    if factor is not None and math.isnan(factor):
        if not (L > 1).all():
            raise ValueError(
                f"L ({shown(choice.name)}) is perplexity by its name and {L.min():.4g} at its lowest, where "
                f"perplexity is above "
                "1; --unit names another"
            )
        return unit, np.log(L)
    L = L if factor is None else L * factor
    if unit == NATS and not choice.said and {*needs} & {*"NDC"} and np.median(L) > LARGEST_LOSS:
        raise ValueError(
            f"L ({shown(choice.name)}) is {np.median(L):.4g} in the middle, too much for nats per token; is it "
            f"perplexity? Then "
            "give --unit perplexity; --unit nats takes it as it is"
        )
    return unit, L


def refuse_implausible(values: Values, chosen: Choices, needs: Collection[str]) -> None:
    """Refuse counts that no table of language models holds: they are in a unit that nobody said."""
    if "x" in needs:
        return
    _refuse_sizes([(chosen[letter], values[letter]) for letter in "NDC" if letter in values])
    if {*"NDC"} <= values.keys():
        _refuse_other_compute(values, chosen["C"])
    if "N" in needs and "N" in values:
        _refuse_one_size(chosen["N"], values["N"])
    if {*"ND"} <= values.keys() and not (chosen["N"].said and chosen["D"].said):
        ratio = float(np.median(values["D"] / values["N"]))
        if ratio > MOST_RATIO:
            N, D = (chosen[letter].name for letter in "ND")
            raise ValueError(
                f"half of the runs have more than {ratio:.3g} tokens per parameter: N ({shown(N)}) and D "
                f"({shown(D)}) stand in "
                f"different units; say them, as in --N {quote(N + ':M')} --D {quote(D + ':1')}"
            )


def _refuse_sizes(given: Sequence[tuple[Choice, NDArray[np.float64]]]) -> None:
    """Refuse columns whose numbers are far from what they count."""
    wrong, answers = [], []
    for choice, values in given:
        (least, most), low, high = LIKELY[choice.letter], float(values.min()), float(values.max())
        if choice.said or (least <= low and high <= most):
            continue
        what = {"N": "parameters", "D": "tokens", "C": "FLOPs"}[choice.letter]
        what += (
            f" (by its name in {scale_words(choice.factor, flops=choice.letter == 'C')})" if choice.factor != 1 else ""
        )
        wrong.append(f"{choice.letter} ({shown(choice.name)}) is {low:.4g} to {high:.4g} {what}")
        answers.append(f"--{choice.letter} {quote(f'{choice.name}:{_unit_that_fits(choice.letter, high)}')}")
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}, which is implausible: in which unit does it stand? Say it behind the name, as in "
            f"{' '.join(answers)} (K, M, B, T, 1e9, GFLOPs, PF-days, ...; 1: as it is)"
        )


def _unit_that_fits(letter: str, high: float) -> str:
    """A unit in which the highest of a column would be likely, as an example for the user."""
    if letter == "C":
        return "1" if high > LIKELY["C"][1] else "GFLOPs" if high > 1e4 else "PF-days"
    largest = {"N": 1e12, "D": 5e13}[letter]
    return next((unit for unit in "BMK" if high * LETTERS[unit.casefold()] <= largest), "1")


def _refuse_one_size(choice: Choice, N: NDArray[np.float64]) -> None:
    """Refuse sizes that hardly differ: those of mixtures of experts in total parameters."""
    spread = float(N.max() / N.min())
    if 1 < spread < ONE_SIZE:
        raise ValueError(
            f"N ({shown(choice.name)}) differs by {100 * (spread - 1):.2g}% between the runs, which is no sweep of "
            f"sizes; of "
            "mixtures of experts name the active parameters with --N COLUMN"
        )


def _refuse_other_compute(values: Values, choice: Choice) -> None:
    """Refuse C that is not counted in the unit of 6 N D, or that is an integer which overflowed."""
    product = counting.flops_6nd(values["N"], values["D"])
    ratio = values["C"] / product
    off = np.abs(np.log(ratio)) > OFF
    if off.any() and not off.all() and product[off].min() > 2**62 and values["C"].max() < 2**64:
        raise ValueError(
            f"C ({shown(choice.name)}) is 6 N D up to 9.2e18 and something else above: the overflow of an int64; "
            f"compute C in "
            "floating point"
        )
    middle = float(np.median(ratio))
    if not choice.said and not 1 / SAME_COMPUTE < middle < SAME_COMPUTE:
        raise ValueError(
            f"C ({shown(choice.name)}) is {middle:.3g} times 6 N D: it stands in another unit than FLOPs, or N and "
            f"D do; say it, "
            f"as in --C {quote(choice.name + ':GFLOPs')} (PF-days, ZFLOPs, ...; 1: as it is)"
        )


def another_counting(sheet: Sheet, values: Values) -> list[str]:
    """A note where a table has C, which is not read, and it is not 6 N D."""
    choice = compute_column(sheet)
    if choice is None:
        return []
    with np.errstate(all="ignore"):
        ratio = choice.values(sheet) / (values["N"] * values["D"])
    if not (ratio > 0).all() or not 1 / SAME_COMPUTE < np.median(ratio) / counting.FLOPS_PER_PARAM_TOKEN < SAME_COMPUTE:
        return []
    low, high = np.quantile(ratio, [0.05, 0.95])
    if np.abs(np.log(np.array([low, high]) / counting.FLOPS_PER_PARAM_TOKEN)).max() < OFF:
        return []
    hint = "optima by this law are by 6 N D, and --approach 2 counts as the runs did"
    return [f"C in {shown(choice.name)} is {low:.3g} to {high:.3g} times N D and is not read: {hint}"]


def completed(values: Values, chosen: Choices) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """N, D and C from two of them, and the rule in words."""
    have = {*values} & {*"NDC"}
    if len(have) != 2:
        return dict(values), []
    (missing,) = {*"NDC"} - have
    if missing == "C":
        return {**values, "C": counting.flops_6nd(values["N"], values["D"])}, ["C = 6 N D"]
    rule, other = {"N": (counting.params_6nd, "D"), "D": (counting.tokens_6nd, "N")}[missing]
    found, (low, high) = rule(values["C"], values[other]), LIKELY[missing]
    if not ((low <= found.min() and found.max() <= high) or chosen["C"].said or chosen[other].said):
        C, name = chosen["C"].name, chosen[other].name
        raise ValueError(
            f"{missing} = C / (6 {other}) would be {found.min():.3g} to {found.max():.3g}, which is implausible: in "
            f"which units do "
            f"C and {other} stand? Say them behind the names, as in --C {quote(C + ':PF-days')} --{other} "
            f"{quote(name + ':M')}"
        )
    return {**values, missing: found}, [f"{missing} = C / (6 {other})"]


def what_is_doubtful(
    values: Values, chosen: Choices, needs: Sequence[str], *, asked: Collection[str], all_differ: bool
) -> list[str]:
    """What makes points doubtful that are all numbers; N and D that look exchanged and were not named are an error."""
    out, size = [], values["L"].size
    if not all_differ and (repeated := int(pd.DataFrame(dict(values)).duplicated().sum())):
        out.append(f"{repeated} of {size} rows repeat another one: copies are no new evidence")
    if chosen["L"].kind == "training":
        out.append(
            f"{shown(chosen['L'].name)} is the loss of training: on repeated data it is below the loss on new text"
        )
    if {*"ND"} <= {*values} and {*needs} & {*"ND"}:
        ratio = float(np.median(values["D"] / values["N"]))
        if ratio < SWAPPED:
            text = f"half of the runs have fewer than {ratio:.3g} tokens per parameter: are N and D swapped?"
            if not {*asked} >= {*"ND"}:
                raise ValueError(f"{text} Name both columns with --N and --D to go on")
            out.append(text)
    return out
