"""Simulated data sets: noise as asked for, intervals that hold as often as they say, and one kind that does not."""

import numpy as np
import pandas as pd
import pytest
from truths import TRUTH

from scalinglaws.laws import calibration, chinchilla
from scalinglaws.laws.calibration import Design, coverage, simulate
from scalinglaws.laws.fit import fit


@pytest.fixture(scope="module")
def design():
    """48 points whose noise grows eightfold from the smallest budget to the largest."""
    rng = np.random.default_rng(0)
    C, N = np.repeat(np.geomspace(1e18, 1e21, 6), 8), np.tile(np.geomspace(0.2, 5, 8), 6)
    N *= chinchilla.optimum(TRUTH, C)[0]
    D = C / (6 * N)
    spread = 0.002 * (C / C.min()) ** 0.3
    L = chinchilla.value(TRUTH, N, D) * np.exp(spread * rng.normal(size=N.size))
    return Design.of(fit(chinchilla, N=N, D=D, L=L))


def test_each_kind_of_noise_has_the_spread_that_it_claims(design):
    """Over 4000 draws the error of a spread is 1/sqrt(8000) of it, 1.1%; four of those are allowed."""
    rng = np.random.default_rng(1)
    drawn = {kind: np.stack([design.noise(kind, rng) for _ in range(4000)]) for kind in calibration.NOISES}
    by_point = {kind: values.std(axis=0) for kind, values in drawn.items()}
    assert by_point["resampled"].mean() == pytest.approx(design.residuals.std(), rel=0.045)
    assert set(np.unique(drawn["resampled"])) <= set(design.residuals)
    robust = 1.4826 * np.median(np.abs(design.residuals))
    assert by_point["Gaussian"] == pytest.approx(robust, rel=0.045)
    budgets = by_point["unequal"].reshape(6, 8)
    assert budgets.std(axis=1) == pytest.approx(0, abs=0.02 * budgets.max())  # the same at one budget
    assert budgets[-1].mean() > 3 * budgets[0].mean()
    with pytest.raises(ValueError, match="noise is 'loud'; choose one of resampled, Gaussian, unequal"):
        design.noise("loud", rng)
    with pytest.raises(ValueError, match="noise is 'gaussian'; choose one of resampled, Gaussian, unequal"):
        simulate(design, "gaussian", 0)


def test_the_bootstrap_holds_and_the_curvature_does_not(design):
    """60 simulations of unequal noise: 95% plus or minus 2.8. Below 86% is a wrong method, not bad luck (p < 0.004).

    The curvature takes noise to be the same at all points. Five quantities at once, so the mean is looked at as well.
    """
    rows = [
        row
        for k in range(60)
        for row in simulate(design, "unequal", k, resamples=199, methods=("percentile", "curvature"))
    ]
    share = coverage(pd.DataFrame(rows)).pivot_table(index="method", columns="quantity", values="share")
    assert share.loc["percentile"].min() >= 86
    assert 90 <= share.loc["percentile"].mean() <= 99
    assert share.loc["curvature"].mean() < share.loc["percentile"].mean() - 3


def test_intervals_are_those_of_the_bootstrap_and_seeds_repeat(design):
    first = simulate(design, "Gaussian", 3, resamples=99)
    assert first == simulate(design, "Gaussian", 3, resamples=99)
    assert first != simulate(design, "Gaussian", 4, resamples=99)
    assert [row["method"] for row in first[::5]] == ["percentile", "bca", "studentized", "curvature"]
    assert all(row["low"] < row["high"] for row in first)


def test_what_cannot_be_fitted_does_not_hold(design):
    at_one_ratio = Design(N=design.N, D=20 * design.N, truth=design.truth, residuals=design.residuals)
    rows = simulate(at_one_ratio, "Gaussian", 0, resamples=99, methods=("percentile",))
    assert [row["held"] for row in rows] == [False] * len(calibration.QUANTITIES)


def test_the_stored_count_is_whole_and_the_default_holds_everywhere():
    """1000 simulations leave 0.7 points on a share of 95%; the band is 3.6 of those to either side."""
    stored = pd.read_csv(calibration.STORED)
    keys = stored.groupby(["noise", "method", "quantity"]).size()
    assert (len(keys), keys.max(), set(stored["simulations"]), set(stored["resamples"])) == (60, 1, {1000}, {999})
    assert stored["share"].to_numpy() == pytest.approx(stored["held"] / 10)
    assert stored.loc[stored["method"] == "percentile", "share"].between(92.5, 97.5).all()
    assert stored["commit"].str.fullmatch("[0-9a-f]{40}").all()


def test_coverage_counts():
    rows = pd.DataFrame({"noise": "Gaussian", "method": "bca", "quantity": ["a", "a", "a", "E"], "low": 0.0,
                         "high": [1.0, 2.0, 9.0, 1.0], "held": [True, True, False, True]})  # fmt: skip
    table = coverage(rows).set_index("quantity")
    assert table.loc["a", ["simulations", "held", "width"]].tolist() == [3, 2, 2.0]
    assert table.loc["a", "share"] == pytest.approx(200 / 3)
    assert table.loc["a", "error"] == pytest.approx(100 * np.sqrt(2 / 27))
