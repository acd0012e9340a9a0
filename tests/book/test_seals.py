"""What was foretold of the seals is what the cheap runs say, and was written before the seals were trained."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from scalinglaws import runs
from scalinglaws.book import seals
from scalinglaws.lab import runtime, sweep

SWEEP = {spec.hash: spec for spec in sweep.load("seals")}
TOLD = pd.read_csv(seals.STORED)


def test_every_seal_is_a_run_of_a_hundred_times_the_compute():
    assert set(TOLD["hash"]) <= set(SWEEP)
    assert (TOLD["flops"] >= 1e14).all()
    assert (TOLD["flops_seen"] <= seals.CHEAP).all()
    for row in TOLD.itertuples():
        sizes = runs.sizes(SWEEP[row.hash])
        assert (row.N, row.D, row.flops) == (sizes["n_params_nonemb"], SWEEP[row.hash].train.tokens, sizes["flops"])


@pytest.mark.parametrize("series", TOLD["series"].unique())
def test_the_cheap_runs_still_say_what_was_foretold(series, monkeypatch):
    """To a thousandth: refits of another processor differ by less, another rule or other runs by more."""
    monkeypatch.setattr(runtime, "commit", lambda: "")
    stored = TOLD[TOLD["series"] == series]
    again = seals.foretold(series, [SWEEP[hash] for hash in stored["hash"]])
    assert list(again["law"]) == list(stored["law"])
    assert list(again["n_runs"]) == list(stored["n_runs"])
    for column in ("loss", "low", "high"):
        np.testing.assert_allclose(again[column], stored[column], rtol=1e-3)


def test_what_was_foretold_is_older_than_what_came():
    assert TOLD["commit"].str.fullmatch(r"[0-9a-f]{12}").all(), "written from a tree with changes"
    if (seals.DATA / "runs/seals.csv").exists():
        came = runs.stored("seals").set_index("hash")["time"]
        assert (TOLD["time"] < TOLD["hash"].map(came)).all()


def test_seals_are_opened_by_their_runs(monkeypatch):
    came = pd.DataFrame({"hash": TOLD["hash"], "loss": TOLD["high"] * 1.01})
    monkeypatch.setattr(runs, "stored", lambda name: came.drop(index=0))
    opened = seals.opened()
    assert opened.loc[0, ["found", "error", "inside", "score"]].isna().all()
    rest = opened.loc[1:]
    assert not rest["inside"].astype(bool).any()
    width = np.log(rest["high"] / rest["low"])
    np.testing.assert_allclose(rest["score"].astype(float), width + 40 * np.log(1.01))
    np.testing.assert_allclose(rest["error"].astype(float), 1.01 * rest["high"] / rest["loss"] - 1)


def test_the_interval_score_is_least_for_the_true_quantiles():
    values = np.random.default_rng(0).normal(size=20_000)
    half = norm.ppf(0.975)
    score = {factor: seals.interval_score(-factor * half, factor * half, values).mean() for factor in (0.8, 1.0, 1.25)}
    assert min(score, key=score.get) == 1.0


@pytest.mark.parametrize(("level", "high", "words"), [(95, 2.0, "level=95"), (0.95, 0.0, "low is above high")])
def test_what_is_no_interval_is_refused(level, high, words):
    with pytest.raises(ValueError, match=words):
        seals.interval_score(1.0, high, 1.0, level)
