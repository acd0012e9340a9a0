"""Other people's runs, each set with its laws: our exponents and theirs.

`table` is what a chapter shows. It is read from ``data/derived/gallery.json``, since the runs are no part of this
project; where they are at hand, it is computed again and compared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from scalinglaws import published
from scalinglaws.book.public import derived
from scalinglaws.counting import per_param_token
from scalinglaws.laws.backtest import backtest
from scalinglaws.laws.bootstrap import bootstrap
from scalinglaws.laws.catalogue import chinchilla, coupled
from scalinglaws.laws.fit import FitError, fit
from scalinglaws.laws.frontier import approach2, approach3

__all__ = ["SETS", "SOURCES", "Set", "best_of_each", "exponents", "forecasts", "table", "tested"]

RESAMPLES = 399
HELD_BACK = (4, 16)  # hold-outs: a fit sees the runs below the largest compute over each of these
REFITS = 9  # of a hold-out, whose intervals are not used
LEVEL = 0.95
SOURCES = ("open-athena-isoflops", "misfitting", "kyo-takano", "step-law")
Runs = pd.DataFrame  # columns N, D, C, L


@dataclass(frozen=True, kw_only=True)
class Set:
    """Runs of one source, and what was published of them."""

    name: str
    source: str  # data set, see `published.dataset`
    chosen: Callable[[Runs], Runs]  # the runs that the laws are fitted to
    isoflop: bool  # whether they stand on budgets, so that approach 2 can be taken
    theirs: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # approach -> published row, and name of a or b


def best_of_each(runs: Runs) -> Runs:
    """Return the run of least loss at each pair of N and D, in order of both.

    >>> runs = pd.DataFrame({"N": [1, 1, 2], "D": [8, 8, 8], "lr": [1e-3, 1e-2, 1e-2], "L": [4.0, 3.9, 3.5]})
    >>> best_of_each(runs)["L"].tolist()
    [3.9, 3.5]
    """
    return runs.loc[runs.groupby(["N", "D"])["L"].idxmin()].sort_values(["N", "D"], ignore_index=True)


def _isoflops(name: str, experiment: str, theirs: Mapping[str, tuple[str, str]] = MappingProxyType({})) -> Set:
    """A set of isoFLOP runs, without the points that its collector marks as outliers."""

    def chosen(runs: Runs) -> Runs:
        return runs[(runs["experiment"] == experiment) & ~runs["outlier"]]

    return Set(name=name, source=SOURCES[0], chosen=chosen, isoflop=True, theirs=theirs)


_LLAMA, _HOFFMANN = {"2": ("T09", "b")}, {"2": ("C02", "a"), "3": ("C03", "a")}
SETS = (
    _isoflops("Llama 3, one reading", "llama_3__raw_loss", _LLAMA),
    _isoflops("Llama 3, another", "llama_3__exp_loss", _LLAMA),
    _isoflops("Marin, Comma", "marin_202603__comma__llama_2"),
    _isoflops("Marin, DCLM", "marin_202603__dclm__llama_2"),
    _isoflops("Marin, Nemotron", "marin_202603__nemotron__llama_2"),
    _isoflops("Chinchilla, Epoch", "epochai_chinchilla__massivetext__chinchilla", _HOFFMANN | {"3": ("E06", "a")}),
    _isoflops("Chinchilla, ml-scalefit", "ml_scalefit__massivetext__chinchilla", _HOFFMANN),
    Set(name="Chinchilla, kyo-takano", source=SOURCES[2], chosen=pd.DataFrame.copy, isoflop=False, theirs=_HOFFMANN),
    _isoflops("(Mis)fitting, isoFLOPs", "misfitting__fineweb_c4__transformer"),
    Set(name="(Mis)fitting, best rates", source=SOURCES[1], chosen=best_of_each, isoflop=False),
    Set(name="Step Law, best rates", source=SOURCES[3], chosen=best_of_each, isoflop=False),
)


def exponents(runs: Runs, *, isoflop: bool) -> dict[str, Any]:
    """Return the exponents of one set of runs by approach, with their intervals, and how C counts.

    >>> N, C = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 9), [1e18, 3e18, 1e19, 3e19]))
    >>> runs = pd.DataFrame({"N": N, "D": C / 6 / N, "C": C, "L": 1.8 + 480 / N**0.35 + 2100 / (C / 6 / N) ** 0.37})
    >>> found = exponents(runs, isoflop=True)
    >>> round(found["3"]["a"], 4), round(found["2"]["a"], 2), found["C/ND"]["median"]
    (0.5139, 0.49, 6.0)

    Parameters
    ----------
    runs : DataFrame
        Columns N, D, C and L.
    isoflop : bool
        Whether to take approach 2 besides the surface.

    Returns
    -------
    dict
        ``n_runs``, ``C/ND``, and for each approach a dict of ``a``, ``b``, their ``intervals`` and what else it found;
        or of ``refused``, the reason.
    """
    columns = {letter: runs[letter].to_numpy(float) for letter in "NDCL"}
    out: dict[str, Any] = {"n_runs": len(runs), "C/ND": per_param_token(*(columns[letter] for letter in "CND"))}
    if isoflop:
        out["2"] = _by_optima(columns)
    out["3"] = _by_surface({letter: columns[letter] for letter in "NDL"})
    return out


def _by_optima(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Approach 2."""
    try:
        found = approach2(**columns).bootstrap(n=RESAMPLES, seed=0).attach(level=LEVEL)
    except FitError as error:
        return {"refused": str(error)}
    return {"a": found.a, "b": found.b, "intervals": found.intervals, "n_optima": len(found.C)}


def _by_surface(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Approach 3."""
    try:
        found = approach3(**columns).checked()
        cloud = bootstrap(found, n=RESAMPLES, seed=0)
    except FitError as error:
        return {"refused": str(error)}
    ends = cloud.interval(lambda theta: np.stack(found.law.optimum_exponents(theta), axis=-1), level=LEVEL)
    a, b = map(float, found.law.optimum_exponents(found.theta))
    intervals = dict(zip("ab", np.transpose(ends).tolist(), strict=True))
    test = found.lack_of_fit
    return {
        "a": a, "b": b, "intervals": intervals, "status": str(found.status), "theta": dict(found.theta),
        "lack_of_fit": None if test is None else {"p": test.p, "rms_beyond_noise": test.rms_beyond_noise},
    }  # fmt: skip


def _all(*sources: Runs) -> dict[str, Any]:
    """Laws of every set, by its name."""
    given = dict(zip(SOURCES, sources, strict=True))
    return {each.name: exponents(each.chosen(given[each.source]), isoflop=each.isoflop) for each in SETS}


def table() -> pd.DataFrame:
    """Return a row for each set and approach.

    Returns
    -------
    DataFrame
        ``set``, ``approach``, ``n_runs``; ``a``, ``a_low``, ``a_high``, ``b``, ``b_low``, ``b_high`` (95%);
        ``published_a`` (nan where there is none) and its published ``row``; ``per_param_token`` and ``drift`` of
        C/(N D); of approach 3 the ``status`` of the fit, ``misfit_p``, the probability of residuals that follow the
        variables so far by chance, and ``rms_beyond_noise`` of ln L.

    >>> found = table()
    >>> found.loc[found["set"].str.startswith("Marin") & (found["approach"] == "2"), "a"].round(3).tolist()
    [0.426, 0.432, 0.444]
    """
    rows, found = [], derived("gallery", _all, *SOURCES)
    for each in SETS:
        of = found[each.name]
        for approach in sorted(of.keys() & {"2", "3"}):
            own, test = of[approach], of[approach].get("lack_of_fit") or {}
            row = {"set": each.name, "approach": approach, "n_runs": of["n_runs"]}
            for letter in "ab":
                low, high = own["intervals"][letter]
                row |= {letter: own[letter], f"{letter}_low": low, f"{letter}_high": high}
            row |= _published(each, approach)
            row |= {"per_param_token": of["C/ND"]["median"], "drift": of["C/ND"]["drift"]}
            row |= {"status": own.get("status", "ok"), "misfit_p": test.get("p", np.nan)}
            rows.append(row | {"rms_beyond_noise": test.get("rms_beyond_noise", np.nan)})
    return pd.DataFrame(rows)


def _published(of: Set, approach: str) -> dict[str, Any]:
    """The exponent a that was published, and where."""
    if approach not in of.theirs:
        return {"published_a": np.nan, "row": ""}
    id, letter = of.theirs[approach]
    value = published.value(id, "exponent" if id == "T09" else letter)
    return {"published_a": 1 - value if letter == "b" else value, "row": id}


def tested(runs: Runs) -> dict[str, dict[str, Any]]:
    """Return whether the sum and the coupled law fit one set of runs, and by how much their forecasts miss.

    >>> N, C = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 9), np.geomspace(1e18, 1e20, 5)))
    >>> D = C / 6 / N
    >>> L = coupled.value({"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37, "k": 0.5}, N, D)
    >>> runs = pd.DataFrame({"N": N, "D": D, "C": C, "L": L * np.exp(0.001 * np.random.default_rng(0).normal(size=45))})
    >>> {law: of["status"] for law, of in tested(runs).items()}
    {'chinchilla': 'misfit', 'coupled': 'ok'}

    Parameters
    ----------
    runs : DataFrame
        Columns N, D, C and L.

    Returns
    -------
    dict
        By the name of the law: ``status`` of the fit, ``rms_beyond_noise`` of its lack of fit (nan where that is not
        tested), and of the farthest hold-out by compute that the runs allow ``factor``, ``n_seen``, ``n_hidden``,
        ``mean_error`` and ``rms``, see `backtest.Cut`.

    Raises
    ------
    FitError
        If there are too few runs, or no hold-out could be made.
    """
    columns: dict[str, Any] = {letter: runs[letter].to_numpy(float) for letter in "NDL"}
    out = {}
    for law in (chinchilla, coupled):
        found = fit(law, **columns)
        held = backtest(law, C=runs["C"].to_numpy(float), factors=HELD_BACK, n=REFITS, **columns)
        if not held.cuts:
            raise FitError(f"{law.name}: {held.line()}")
        beyond = np.nan if found.lack_of_fit is None else found.lack_of_fit.rms_beyond_noise
        errors = {name: value for name, value in held.cuts[-1].record().items() if name != "inside"}
        out[law.name] = {"status": str(found.status), "rms_beyond_noise": beyond} | errors
    return out


def _all_tested(*sources: Runs) -> dict[str, Any]:
    """`tested` of every set, by its name."""
    given = dict(zip(SOURCES, sources, strict=True))
    return {each.name: tested(each.chosen(given[each.source])) for each in SETS}


def forecasts() -> pd.DataFrame:
    """Return a row for each set and law, the sum and the coupled law: does it fit, and do its forecasts hold?

    Returns
    -------
    DataFrame
        ``set``, ``law``, and what `tested` has, errors as shares and not in percent.

    >>> found = forecasts()
    >>> found.loc[found["law"] == "chinchilla", "status"].unique().tolist()
    ['misfit']
    """
    found = derived("gallery-forecasts", _all_tested, *SOURCES)
    return pd.DataFrame([{"set": name, "law": law} | row for name, of in found.items() for law, row in of.items()])
