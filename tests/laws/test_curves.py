"""The multi-power law by a second route and on curves of known constants; collapse where it is known."""

import numpy as np
import pandas as pd
import pytest

from scalinglaws.laws import curves, newton
from scalinglaws.laws.curves import Curve, collapse, fit_curves, multi_power
from scalinglaws.laws.fit import FitError, Status
from scalinglaws.published import row

THETA = {"L_0": 1.6, "A": 0.9, "alpha": 0.45, "B": 60.0, "C": 1.1, "beta": 0.6, "gamma": 0.5}
T, WARMUP, PEAK = 1200, 20, 0.01


def warmed(after):
    """Rates of a run: a warm-up, then ``after`` of the share done, times the peak."""
    done = np.arange(1, T - WARMUP + 1) / (T - WARMUP)
    return PEAK * np.concatenate([np.arange(1, WARMUP + 1) / WARMUP, after(done)])


WSD = warmed(lambda x: np.minimum(1, (1 - x) / 0.2))
COSINE = warmed(lambda x: 0.1 + 0.45 * (1 + np.cos(np.pi * x)))
CONSTANT = warmed(np.ones_like)
AT = np.arange(150, T + 1, 10)


def noisy(rates, seed=1, noise=1e-3, along=0.0, at=AT):
    """A curve of the law with noise, of which a part goes on from point to point."""
    draws = np.random.default_rng(seed).normal(size=len(at))
    for k in range(1, len(at)):
        draws[k] = along * draws[k - 1] + np.sqrt(1 - along**2) * draws[k]
    return Curve(
        rates=rates, warmup=WARMUP, at=at, loss=multi_power(THETA, rates, at, warmup=WARMUP) * np.exp(noise * draws)
    )


def by_loops(theta, rates, at):
    """The formula, one step after the other."""
    out = []
    for t in at:
        lost = 0.0
        for k in range(WARMUP, t):  # from 0; the rate falls from step k - 1 to k
            since = max(rates[k], 1e-6 * PEAK) ** -theta["gamma"] * rates[k:t].sum()
            lost += (rates[k - 1] - rates[k]) * (1 - (theta["C"] * since + 1) ** -theta["beta"])
        out.append(theta["L_0"] + theta["A"] * rates[:t].sum() ** -theta["alpha"] - theta["B"] * lost)
    return np.array(out)


@pytest.mark.parametrize("rates", [WSD, COSINE, CONSTANT], ids=["wsd", "cosine", "constant"])
def test_the_law_is_the_printed_one(rates):
    at = np.array([200, 600, 1000, 1100, 1199])
    assert multi_power(THETA, rates, at, warmup=WARMUP) == pytest.approx(
        by_loops(THETA, rates, at), abs=1.5e-3
    )  # blocks of up to 5 steps


def test_short_schedules_are_not_cut_into_blocks():
    rates = np.concatenate([WSD[:WARMUP], WSD[WARMUP::10]])
    at = np.array([50, 100, len(rates)])
    assert multi_power(THETA, rates, at, warmup=WARMUP) == pytest.approx(by_loops(THETA, rates, at), rel=1e-12)


def test_a_fall_of_the_rate_lowers_the_loss_in_the_end():
    ends = [multi_power(THETA, rates, [T], warmup=WARMUP)[0] for rates in (WSD, CONSTANT)]
    assert ends[0] < ends[1] - 0.1


@pytest.mark.parametrize("other", [COSINE, CONSTANT], ids=["cosine", "constant"])
def test_one_wsd_run_foretells_other_schedules(other):
    found = fit_curves([noisy(WSD)])
    assert found.rms == pytest.approx(1e-3, rel=0.2)
    truth = multi_power(THETA, other, AT, warmup=WARMUP)
    assert found.predict(other, AT, warmup=WARMUP) == pytest.approx(
        truth, abs=0.05
    )  # .01 to .04 with three noises: beta is poorly told
    plain = fit_curves([noisy(WSD)], decay=False)
    assert plain.theta["B"] == 0
    assert "the law does not fit" in plain.message
    assert plain.rms > 5 * found.rms


def test_what_is_held_is_kept_and_helps():
    found = fit_curves([noisy(WSD)], beta=0.6, gamma=0.5)
    assert (found.theta["beta"], found.theta["gamma"]) == (0.6, 0.5)
    truth = multi_power(THETA, COSINE, AT, warmup=WARMUP)
    assert found.predict(COSINE, AT, warmup=WARMUP) == pytest.approx(truth, abs=0.01)  # .04 with both free


def test_the_unit_of_the_rates_is_free():
    loss = multi_power(THETA, COSINE, AT, warmup=WARMUP)
    one, other = (
        fit_curves([Curve(rates=unit * COSINE, warmup=WARMUP, at=AT, loss=loss)]).predict(unit * WSD, AT, warmup=WARMUP)
        for unit in (1.0, 1e4)
    )
    assert one == pytest.approx(other, rel=1e-4)


def test_the_published_constants_give_a_loss_of_their_size():
    names = ("L_0", "A", "alpha", "B", "C", "beta", "gamma")
    theta = {name: row("L05").figures[f"{name}_400M"] for name in names}
    rates = 3e-4 * np.concatenate([np.arange(1, 2161) / 2160, np.ones(20_000 - 2160), np.linspace(1, 0.1, 4000)])
    before, after = multi_power(theta, rates, [20_000, 24_000], warmup=2160)
    assert 2.5 < after < before - 0.05 < 2.7


def test_what_cannot_be_fitted_says_so():
    with pytest.raises(ValueError, match="3 points in all are too few"):
        fit_curves([Curve(rates=WSD, warmup=WARMUP, at=AT[:3], loss=np.ones(3))])
    with pytest.raises(ValueError, match="steps from 0 to 1201; give some from 1 to 1200"):
        multi_power(THETA, WSD, np.array([0, 1201]))


# ---- The certificate ----


def test_planted_constants_are_found_from_bad_starts(monkeypatch):
    monkeypatch.setattr(curves, "_STARTS", [(2.0, -3.0, 1.5, 1.0), (0.05, 12.0, 0.2, 0.2), (1.0, 10.0, 0.3, 0.9)])
    found = fit_curves([noisy(WSD, noise=0), noisy(COSINE, noise=0)])
    assert (found.status, found.fit.n_starts, found.fit.n_starts_agree) == (Status.OK, 3, 3)
    assert found.checked().theta == pytest.approx(THETA, rel=1e-6)


def test_the_slopes_that_certify_are_those_of_the_law():
    found = fit_curves([noisy(WSD), noisy(COSINE)]).fit.problem
    u = found.center(THETA)[None] + 0.1 * np.random.default_rng(4).normal(size=7)
    w, nudge = np.ones((1, len(found.L))), 1e-5 * np.eye(7)
    _, gradient, hessian = found.evaluate(u, w, np.inf)

    def off(u):
        theta = {name: value[0] for name, value in found.theta(u).items()}
        f = np.concatenate([multi_power(theta, rates, AT, warmup=WARMUP) for rates in (WSD, COSINE)])
        return ((f / found.L - 1) ** 2).sum() / 2 / np.mean(found.L**-2.0) / found.units["L"] ** 2

    slopes = [(off(u + step) - off(u - step)) / 2e-5 for step in nudge]
    assert gradient[0] == pytest.approx(slopes, rel=1e-6, abs=1e-9)
    ends = [[found.evaluate(u + sign * step, w, np.inf)[1][0] for step in nudge] for sign in (1, -1)]
    assert hessian[0] == pytest.approx(np.subtract(*ends) / 2e-5, rel=1e-5, abs=1e-6)


def test_a_constant_rate_does_not_tell_what_falls_do():
    found = fit_curves([noisy(CONSTANT), noisy(CONSTANT, seed=2)])
    assert found.status is Status.ILL_CONDITIONED
    assert "B and C and beta and gamma can change without a change of any loss" in found.message
    assert (found.errors, found.fit.condition > 1e8) == ({}, True)
    with pytest.raises(FitError, match="multi_power: the points do not determine"):
        found.checked()
    told = fit_curves([noisy(CONSTANT), noisy(COSINE)], beta=0.6, gamma=0.5)
    assert told.status is Status.OK


def test_an_optimizer_that_is_stopped_is_not_certified(monkeypatch):
    least_squares = curves.optimize.least_squares
    monkeypatch.setattr(curves.optimize, "least_squares", lambda *a, **k: least_squares(*a, **k, max_nfev=2))
    monkeypatch.setattr(newton, "MAX_STEPS", 2)
    found = fit_curves([noisy(COSINE)])
    assert found.status is Status.NOT_CERTIFIED
    assert found.fit.newton_decrement > 1e-6
    assert found.no_errors == "the fit is not_certified"


def test_optima_apart_that_fit_alike_are_not_certified():
    found = fit_curves([noisy(COSINE, seed=0, at=AT[::3])])
    assert found.fit.n_starts_agree < found.fit.n_starts
    assert found.status is Status.ILL_CONDITIONED
    assert "optima apart fit alike but for the noise, with C" in found.message
    assert found.summary().startswith("multi_power: ill_conditioned: the points do not determine")


def test_bounds_and_what_is_hardly_told_are_named():
    found = fit_curves([noisy(WSD, seed=2)])
    assert found.status is Status.AT_BOUND
    assert found.message == "certified, with " + "; ".join(
        f"{name} at {found.theta[name]:.4g}: the end of its range" for name in found.fit.at_bound
    )
    assert found.fit.at_bound
    assert f"{found.fit.at_bound[0]} is at its bound" in str(found)


def test_standard_errors_are_the_scatter_of_estimates():
    fits = [fit_curves([noisy(WSD, seed), noisy(COSINE, 100 + seed)], beta=0.6, gamma=0.5) for seed in range(20)]
    for name in ("alpha", "B", "C"):
        scatter = np.std([found.theta[name] for found in fits], ddof=1)
        assert np.mean([found.errors[name] for found in fits]) == pytest.approx(scatter, rel=0.45), name  # 3 x 16%


def test_points_that_go_together_have_no_standard_errors():
    found = fit_curves([noisy(WSD, along=0.8)], beta=0.6, gamma=0.5)
    assert found.errors == {}
    assert found.no_errors.startswith("residuals of neighboring points go together (correlation 0.")
    assert "errors        none: residuals of neighboring" in found.summary()


def test_a_curve_given_twice_counts_once_where_the_law_is_tested():
    curve = noisy(WSD)
    once, twice = fit_curves([curve], decay=False), fit_curves([curve, curve], decay=False)
    assert twice.theta == pytest.approx(once.theta, rel=1e-6)
    assert twice.fit.lack_of_fit.df == once.fit.lack_of_fit.df


# ---- Collapse ----


def made(ends, *, noise, floor=2.0):
    """Power-law curves that end at ``ends`` tokens, of which each seed lies a constant factor higher or lower."""
    rng = np.random.default_rng(0)
    tokens = np.geomspace(0.02, 1, 50)
    parts = [
        pd.DataFrame({"size": size, "seed": seed, "tokens": end * tokens,
                      "loss": floor + rng.lognormal(0, noise) * (end * tokens) ** -0.3})
        for size, end in enumerate(ends) for seed in range(4)
    ]  # fmt: skip
    return pd.concat(parts)


def test_power_laws_collapse_below_the_noise_of_seeds():
    found = collapse(made([1e5, 3e5, 1e6], noise=0.05), floor=2.0, shares=[0.1, 0.75])
    assert (found["between_sizes"] < 1e-3).all()  # interpolation; each seed's factor cancels
    assert found["between_seeds"].to_numpy() == pytest.approx([0.05, 0.05], rel=0.5)


def test_each_seed_alone_has_a_spread_between_sizes():
    """Of all seeds it is their root mean square; between seeds one tells nothing."""
    table = made([1e5, 1e6, 1e7], noise=0.001)
    alone = [collapse(own, floor=1.95, shares=[0.1, 0.75]) for _, own in table.groupby("seed")]
    assert all(each["between_seeds"].isna().all() for each in alone)
    spreads = np.sqrt(np.mean([each["between_sizes"] ** 2 for each in alone], axis=0))
    assert spreads == pytest.approx(collapse(table, floor=1.95, shares=[0.1, 0.75])["between_sizes"], rel=1e-12)


def test_a_wrong_floor_spoils_the_collapse():
    found = collapse(made([1e5, 1e6, 1e7], noise=0.001), floor=1.95, shares=[0.1, 0.75])
    assert (found["between_sizes"] > 3 * found["between_seeds"]).iloc[0]
    assert found["between_sizes"].iloc[0] > found["between_sizes"].iloc[1]  # at the end all are one


def test_curves_that_cannot_be_compared_are_refused():
    table = made([1e5, 1e6], noise=0.01)
    with pytest.raises(ValueError, match="floor=3 is not below the least loss"):
        collapse(table, floor=3.0, shares=[0.5])
    with pytest.raises(ValueError, match="of 1 sizes and 4 seeds"):
        collapse(table[table["size"] == 0], floor=2.0, shares=[0.5])
    with pytest.raises(ValueError, match="7 curves of 2 sizes and 4 seeds"):
        collapse(table[(table["size"] == 0) | (table["seed"] > 0)], floor=2.0, shares=[0.5])
