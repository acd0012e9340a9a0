"""The multi-power law by a second route and on curves of known constants; collapse where it is known."""

import numpy as np
import pandas as pd
import pytest

from scalinglaws.laws.curves import Curve, collapse, fit_curves, multi_power
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
    rng = np.random.default_rng(1)
    loss = multi_power(THETA, WSD, AT, warmup=WARMUP) * np.exp(1e-3 * rng.normal(size=len(AT)))
    found = fit_curves([Curve(rates=WSD, warmup=WARMUP, at=AT, loss=loss)])
    assert found.rms == pytest.approx(1e-3, rel=0.2)
    truth = multi_power(THETA, other, AT, warmup=WARMUP)
    assert found.predict(other, AT, warmup=WARMUP) == pytest.approx(
        truth, abs=0.05
    )  # .01 to .04 with three noises: beta is poorly told
    plain = fit_curves([Curve(rates=WSD, warmup=WARMUP, at=AT, loss=loss)], decay=False)
    assert plain.theta["B"] == 0
    assert plain.rms > 5 * found.rms


def test_what_is_held_is_kept_and_helps():
    rng = np.random.default_rng(1)
    loss = multi_power(THETA, WSD, AT, warmup=WARMUP) * np.exp(1e-3 * rng.normal(size=len(AT)))
    found = fit_curves([Curve(rates=WSD, warmup=WARMUP, at=AT, loss=loss)], beta=0.6, gamma=0.5)
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
