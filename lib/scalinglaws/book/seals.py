"""Seals: losses of expensive runs, foretold from cheap ones and written down before they were trained.

`foretold` makes the rows of ``data/seals.csv``; the runs are those of ``sweeps/seals.py``. One rule for all, fixed
before any of them was trained: of each series all stored runs at the seals' learning rate, of at most `CHEAP` FLOPs as
executed, that have left the plateau; a law by `choose`; and its 95% interval of a new run. `opened` sets what came
beside what was foretold.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalinglaws import recipe, runs
from scalinglaws.config import RunSpec
from scalinglaws.files import DATA, now
from scalinglaws.laws.bootstrap import bootstrap
from scalinglaws.laws.choice import choose
from scalinglaws.laws.fit import fit
from scalinglaws.laws.forecast import predict

__all__ = ["CHEAP", "STORED", "foretold", "interval_score", "opened"]

CHEAP = 1e12  # FLOPs as executed
LEVEL = 0.95
STORED = DATA / "seals.csv"


def _of_text() -> tuple[float, float | None]:
    from scalinglaws.lab import corpus

    text = corpus.load(recipe.TEXT.data)
    return corpus.ngram_entropy(text.train[: 2**24], 2, text.vocab_size), None


def _of_source() -> tuple[float, float | None]:
    from scalinglaws.lab import corpus

    source = corpus.MarkovSource()
    return source.bigram_entropy, source.floor(recipe.SYNTHETIC.seq_len)


# The loss of a guess from the last token, and the floor where it is known; of subwords no such guess can be counted.
PLATEAUS = {"isoflop": _of_text, "synthetic": _of_source, "subword_grid": lambda: (np.inf, None)}


def foretold(series: str, specs: list[RunSpec]) -> pd.DataFrame:
    """Return what the cheap runs of a stored sweep say of the specs, a row each.

    Parameters
    ----------
    series : str
        Name of a stored sweep, a key of `PLATEAUS`.
    specs : list of RunSpec
        Of the same recipe, seeds and sizes of their own.

    Returns
    -------
    DataFrame
        ``hash`` of the spec; ``series``, ``n_runs`` and ``flops_seen`` (the largest) of what was read; ``law``; ``N``
        without embeddings, ``D`` in tokens, ``flops`` as executed; ``loss``, ``low``, ``high`` in nats per token at
        ``level``; ``commit`` and ``time`` of the forecast.
    """
    from scalinglaws.lab import runtime

    table = runs.stored(series)
    cheap = table[(table["flops"] <= CHEAP) & (table["status"] == "ok")]
    cheap = cheap[cheap["lr"].isin({spec.train.lr for spec in specs})]  # `subword_grid` tries others
    cheap = runs.past_plateau(cheap, *PLATEAUS[series]())
    points, cells = runs.points(cheap), runs.cells(cheap)
    choice = choose(N=points["N"], D=points["D"], L=points["L"], clusters=cells)
    found = fit(choice.chosen, N=points["N"], D=points["D"], L=points["L"])
    sizes = pd.DataFrame([runs.sizes(spec) for spec in specs])
    N, D = sizes["n_params_nonemb"].to_numpy(float), np.array([spec.train.tokens for spec in specs], float)
    told = predict(bootstrap(found, seed=0, clusters=cells), level=LEVEL, N=N, D=D, back=choice.candidate.back)
    low, high = told.new_run
    return pd.DataFrame(
        {
            "hash": [spec.hash for spec in specs], "series": series, "n_runs": len(cheap),
            "flops_seen": cheap["flops"].max(), "law": told.law, "N": N, "D": D, "flops": sizes["flops"],
            "loss": told.loss, "low": low, "high": high, "level": LEVEL, "commit": runtime.commit(), "time": now(),
        }
    )  # fmt: skip


def interval_score(low: ArrayLike, high: ArrayLike, value: ArrayLike, level: float = LEVEL) -> np.ndarray:
    """Return the interval score of Gneiting & Raftery 2007, eq. 43: the width, and 2 / (1 - level) times the miss.

    The lower the better, in the unit of the value; of all intervals the true quantiles have the least expected score.

    >>> interval_score([1.0, 1.0], [2.0, 2.0], [1.5, 2.1])
    array([1., 5.])

    Parameters
    ----------
    low, high, value : array_like
        Ends of the intervals, and what came; shapes that go together.
    level : float
        Probability that the intervals are meant to hold, between 0 and 1.

    Returns
    -------
    ndarray
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: give a probability between 0 and 1, such as 0.95")
    low, high, value = (np.asarray(each, float) for each in (low, high, value))
    if (low > high).any():
        raise ValueError("low is above high somewhere: give the lower ends first")
    miss = np.maximum(low - value, 0) + np.maximum(value - high, 0)
    return high - low + 2 / (1 - level) * miss


def opened() -> pd.DataFrame:
    """Return the stored forecasts with what came, where the runs are stored.

    Returns
    -------
    DataFrame
        The columns of `foretold`, and ``found`` (the loss), ``error`` (found over foretold, minus one), ``inside`` and
        ``score``, the interval score of ln loss; NaN where a run is not stored.
    """
    told = pd.read_csv(STORED)
    try:
        came = runs.stored("seals").set_index("hash")["loss"]
    except ValueError:  # not stored
        came = pd.Series(dtype=float)
    found = told["hash"].map(came).astype(float)
    inside = found.between(told["low"], told["high"]).where(found.notna())
    score = interval_score(np.log(told["low"]), np.log(told["high"]), np.log(found))
    return told.assign(found=found, error=found / told["loss"] - 1, inside=inside, score=score)
