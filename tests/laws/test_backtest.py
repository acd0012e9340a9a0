"""Hold-out by compute, against loops over the runs."""

import json

import numpy as np
import pytest
from truths import TRUTH, noisy

from scalinglaws import runs
from scalinglaws.laws import chinchilla, coupled, muennighoff, power_floor
from scalinglaws.laws.backtest import FACTORS, backtest, compute_of
from scalinglaws.laws.fit import Status, fit


def test_a_cut_is_a_fit_to_the_cheaper_runs_and_its_misses():
    points = noisy(0, n=8, sigma=0.01)
    C = 6 * points["N"] * points["D"]
    found = backtest(chinchilla, **points)
    assert tuple(cut.factor for cut in found.cuts) == FACTORS
    for cut in found.cuts:
        cheap = C.max() / cut.factor * (1 + 1e-9) >= C
        alone = fit(chinchilla, **{name: column[cheap] for name, column in points.items()})
        error = np.log(points["L"][~cheap] / alone.predict(N=points["N"][~cheap], D=points["D"][~cheap]))
        assert (cut.n_seen, cut.n_hidden) == (cheap.sum(), (~cheap).sum())
        assert cut.mean_error == pytest.approx(error.mean(), abs=1e-12)
        assert cut.rms == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
        assert cut.reach == pytest.approx(C[~cheap] / C[cheap].max())
        assert (cut.reach > 1).all()
    assert {*found.record()[0]} == {"factor", "n_seen", "n_hidden", "mean_error", "rms", "inside"}
    assert json.loads(found.to_json()) == found.record()
    assert "1/64" in found.summary()
    assert [found.at(cut.factor) for cut in found.cuts] == [*found.cuts]
    with pytest.raises(ValueError, match="no cut at a factor of 17: there are cuts at 4, 16, 64"):
        found.at(17)


def test_hidden_runs_of_the_true_law_lie_inside_as_often_as_said():
    inside, n = 0.0, 0
    for seed in range(30):
        cut = backtest(chinchilla, **noisy(seed, n=8, sigma=0.01), factors=[16]).cuts[0]
        inside, n = inside + cut.inside * cut.n_hidden, n + cut.n_hidden
    assert 0.85 < inside / n < 0.99  # 0.92 of 150 sets, 0.04 give or take for these 30


def test_a_wrong_law_misses_what_it_did_not_see_and_the_right_one_does_not():
    points = noisy(0, n=8, sigma=0.003)
    points["L"] = points["L"] / chinchilla.value(TRUTH, points["N"], points["D"])
    points["L"] = points["L"] * coupled.value(TRUTH | {"k": 0.4}, points["N"], points["D"])
    wrong, right = (backtest(law, **points) for law in (chinchilla, coupled))
    assert wrong.cuts[-1].rms > 5 * right.cuts[-1].rms
    assert wrong.cuts[-1].found.status is Status.MISFIT
    assert wrong.slope > 0.005
    assert right.slope < 0.001


def test_the_measured_error_is_over_its_forecast():
    """A law that bends upwards beyond what is seen is under-forecast: the error is positive."""
    x = np.geomspace(1, 1e6, 40)
    L = np.where(x < 1e4, x**-0.2, 1e4**-0.2)
    assert backtest(power_floor, x=x, L=L, factors=[100]).cuts[0].mean_error > 0.05


def test_stored_sweeps_miss_by_what_is_known_of_them():
    """On the synthetic source, over sixteen times the compute: 2.6% by the sum, .7% by the bracket."""
    points = runs.points(runs.stored("synthetic"))
    by_law = {law: backtest(law, **points, factors=[16]).cuts[0].mean_error for law in (chinchilla, coupled)}
    assert by_law[chinchilla] == pytest.approx(0.026, abs=0.003)
    assert by_law[coupled] == pytest.approx(0.0067, abs=0.003)


def test_cuts_that_cannot_be_made_are_said():
    points = {name: column[:8] for name, column in noisy(0, n=3).items()}
    found = backtest(chinchilla, **points)
    assert not found.cuts
    assert {*found.skipped} == {*FACTORS}
    assert "not made" in found.line()
    assert "not made" in found.summary()
    assert np.isnan(found.rms)
    assert np.isnan(found.slope)


def test_compute_is_named_or_follows():
    points = noisy(0)
    assert compute_of({name: points[name] for name in "ND"}, None) == pytest.approx(6 * points["N"] * points["D"])
    assert compute_of({"x": points["N"]}, None).tolist() == points["N"].tolist()
    by_size = backtest(chinchilla, **points, C=points["N"], factors=[10])
    assert by_size.cuts[0].n_hidden == 12
    with pytest.raises(ValueError, match="compute of S, B is not known: pass C="):
        compute_of({"S": points["N"], "B": points["N"]}, None)
    with pytest.raises(ValueError, match="give numbers above 1"):
        backtest(chinchilla, **points, factors=[0.5])
    with pytest.raises(ValueError, match="law of N, D, U"):
        backtest(muennighoff, **points)
