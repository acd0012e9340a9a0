"""Which runs next: the design is what the information of the runs says, and cheaper than a grid."""

import json
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from truths import TRUTH, noisy, script, strict_json

from scalinglaws import runs as tables
from scalinglaws.files import DATA
from scalinglaws.laws import chinchilla, coupled, coupled_no_floor, interaction, power
from scalinglaws.laws import design as module
from scalinglaws.laws.design import design
from scalinglaws.laws.fit import Status, fit
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits

TARGET = 1e22
SIZES, LENGTHS = np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 5)
LIMITS = {"N": SIZES, "D": LENGTHS}


def cheap(seed=0, sigma=0.003, law=chinchilla, theta=TRUTH):
    """Runs of the cheap corner of the plane, 16 of them."""
    N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e8, 1e10, 4)))
    noise = np.random.default_rng(seed).normal(size=16)
    return {"N": N, "D": D, "L": law.value(theta, N, D) * np.exp(sigma * noise)}


def rows(found, N, D):
    """Derivatives [n, p] of ln L by ln A, ln B and the others, by differences."""
    theta = chinchilla.coordinates(found.theta)
    steps = 1e-5 * np.maximum(np.abs(theta), 1) * np.eye(theta.size)
    up, down = (np.log(chinchilla.value(chinchilla.theta(theta + sign * steps), N, D)) for sign in (1, -1))
    return ((up - down) / (2 * steps.max(axis=1)[:, None])).T


def slopes(found, C):
    """Derivatives [2, p] of ln N_opt and of the loss there."""

    def at(u):
        theta = chinchilla.theta(u)
        N, D = chinchilla.optimum(theta, C)
        return np.log([float(N), float(chinchilla.value(theta, N, D))])

    u = chinchilla.coordinates(found.theta)
    return np.stack([(at(u + 1e-5 * e) - at(u - 1e-5 * e)) / 2e-5 for e in np.eye(u.size)], axis=1)


def standard_errors(found, N, D, C=TARGET):
    """Of ln N_opt and ln L at the target, with the runs at hand and others, in units of the noise."""
    J = rows(found, np.append(found.x["N"], N), np.append(found.x["D"], D))
    return np.sqrt(np.einsum("kp,pq,kq->k", slopes(found, C), np.linalg.inv(J.T @ J), slopes(found, C)))


def test_the_expected_intervals_shrink_as_the_information_says():
    found = fit(chinchilla, **cheap())
    made = design(found, C=TARGET, budget=2e19, runs=6, n=199, **LIMITS)
    each = made.each()
    expected = standard_errors(found, each["N"], each["D"]) / standard_errors(found, [], [])
    best, loss = found.allocate(TARGET)[0], None
    loss = found.predict(N=best, D=TARGET / 6 / best)
    for name, middle, shrink in (("N", best, expected[0]), ("loss", loss, expected[1])):
        before, after = (np.log(np.array(ends[name]) / middle) for ends in (made.now, made.expected))
        assert after == pytest.approx(shrink * before, rel=1e-3)
    ends = optimum_intervals(refits(found, n=199), TARGET)
    assert made.now["N"] == pytest.approx([float(end) for end in ends["N"]], rel=1e-12)


def test_the_design_is_near_the_best_of_all_pairs():
    """Terms that the law lacks cost it something: here at most a fifth of the standard error of the best pair."""
    found, budget = fit(chinchilla, **cheap()), 2e19
    made = design(found, C=TARGET, budget=budget, runs=2, **LIMITS).each()
    N, D = (grid.ravel() for grid in np.meshgrid(SIZES, LENGTHS))
    N, D = N[budget >= 6 * N * D], D[budget >= 6 * N * D]
    pairs = [[i, j] for i, j in combinations(range(N.size), 2) if 6 * (N[i] * D[i] + N[j] * D[j]) <= budget]
    assert len(pairs) > 100
    every = [standard_errors(found, N[pair], D[pair])[0] for pair in pairs]
    own = standard_errors(found, made["N"], made["D"])[0]
    assert min(every) <= own * (1 + 1e-6)
    assert own < 1.2 * min(every)
    assert own < np.quantile(every, 0.05)


def test_without_the_missing_terms_the_design_is_the_best_pair(monkeypatch):
    monkeypatch.setattr(module, "DEGREE", 0)
    found, budget = fit(chinchilla, **cheap()), 2e19
    made = design(found, C=TARGET, budget=budget, runs=2, **LIMITS).each()
    N, D = (grid.ravel() for grid in np.meshgrid(SIZES, LENGTHS))
    pairs = [[i, j] for i, j in combinations(range(N.size), 2) if 6 * (N[i] * D[i] + N[j] * D[j]) <= budget]
    every = [standard_errors(found, N[pair], D[pair])[0] for pair in pairs]
    assert standard_errors(found, made["N"], made["D"])[0] == pytest.approx(min(every), rel=0.02)


def test_the_scatter_of_refits_is_what_was_expected():
    """100 sets: the standard deviation of ln N_opt with the new runs over that without is the shrinkage, give or take
    three times the error of a ratio of two such, 10%.
    """
    truth = fit(chinchilla, **cheap(sigma=1e-7))
    each = design(fit(chinchilla, **cheap()), C=TARGET, budget=1e20, runs=8, **LIMITS).each()
    shrink = standard_errors(truth, each["N"], each["D"])[0] / standard_errors(truth, [], [])[0]
    N, D = each["N"].to_numpy(float), each["D"].to_numpy(float)
    sizes = []
    for seed in range(100):
        runs, rng = cheap(seed), np.random.default_rng([1, seed])
        more = {"N": N, "D": D, "L": chinchilla.value(TRUTH, N, D) * np.exp(0.003 * rng.normal(size=N.size))}
        both = {name: np.append(runs[name], more[name]) for name in runs}
        sizes.append([fit(chinchilla, delta=math.inf, **points).theta for points in (runs, both)])
    spread = [np.std([np.log(chinchilla.optimum(t[k], TARGET)[0]) for t in sizes]) for k in (0, 1)]
    assert spread[1] / spread[0] == pytest.approx(shrink, rel=0.3)


def test_limits_hold():
    found = fit(chinchilla, **cheap())
    made = design(found, C=TARGET, budget=1e20, N=[2e6, 5e8], D=[2e8, 5e10], largest=3e19, seeds=2, runs=9)
    each = made.each()
    assert len(each) == made.runs["seeds"].sum() <= 9
    assert each["N"].between(2e6, 5e8).all()
    assert each["D"].between(2e8, 5e10).all()
    assert (6 * each["N"] * each["D"] <= 3e19 * (1 + 1e-6)).all()
    assert made.flops == pytest.approx((6 * each["N"] * each["D"]).sum(), rel=1e-6)
    assert made.flops <= 1e20
    assert each.groupby(["N", "D"]).size().max() <= 2
    assert each.groupby(["N", "D"])["seed"].apply(list).isin([[0], [0, 1]]).all()
    wide = design(found, C=TARGET, budget=1e20)
    assert wide.runs["N"].max() == pytest.approx(float(found.allocate(1e20)[0]), rel=1e-6) or wide.runs["N"].max() < 1e9
    assert wide.runs["D"].min() >= found.x["D"].min() * (1 - 1e-9)


def test_runs_at_hand_count_as_seeds():
    found = fit(chinchilla, **cheap())
    own = {"N": np.unique(found.x["N"]), "D": np.unique(found.x["D"])}
    with pytest.raises(ValueError, match="have all places within the limits 1 times: raise seeds, or widen"):
        design(found, C=TARGET, budget=1e19, **own)
    again = design(found, C=TARGET, budget=1e19, seeds=2, **own)
    assert set(again.runs["seeds"]) == {1}


def test_more_compute_and_the_loss():
    found = fit(chinchilla, **cheap())
    widths = []
    for budget in (1e19, 1e20, 1e21):
        made = design(found, C=TARGET, budget=budget, n=99, N=[1e6, 1e9], D=[1e8, 1e11])
        widths.append(np.log(made.expected["N"][1] / made.expected["N"][0]))
    assert widths[0] > widths[1] > widths[2]
    of_loss = design(found, C=TARGET, budget=1e20, n=99, quantity="loss", N=[1e6, 1e9], D=[1e8, 1e11])
    of_size = design(found, C=TARGET, budget=1e20, n=99, N=[1e6, 1e9], D=[1e8, 1e11])
    spans = {each: np.ptp(np.log(made.expected["loss"])) for each, made in (("loss", of_loss), ("N", of_size))}
    assert spans["loss"] < spans["N"]


def test_a_design_by_a_wrong_law_lets_it_be_seen():
    """The truth is a bracket of k = 0.5, and the sum designs: of eight sets the fits to all runs are misfits."""
    theta, seen = TRUTH | {"k": 0.5, "A": 22.0, "B": 46.0, "alpha": 0.17, "beta": 0.18}, 0
    for seed in range(8):
        runs = cheap(seed, law=coupled, theta=theta)
        found = fit(chinchilla, **runs)
        each = design(found, C=TARGET, budget=1e20, runs=12, n=99, N=[1e6, 1e9], D=[1e8, 1e11]).each()
        N, D = each["N"].to_numpy(float), each["D"].to_numpy(float)
        L = coupled.value(theta, N, D) * np.exp(0.003 * np.random.default_rng([2, seed]).normal(size=N.size))
        both = {name: np.append(runs[name], more) for name, more in (("N", N), ("D", D), ("L", L))}
        seen += fit(chinchilla, **both).status is Status.MISFIT
    assert seen >= 6


def test_weights_and_pins_are_those_of_the_fit():
    runs = cheap()
    heavy = np.where(runs["N"] > 1e7, 4.0, 1.0)
    plain, weighted = (fit(chinchilla, **runs, weights=weights) for weights in (None, heavy))
    copies = np.repeat(np.arange(16), heavy.astype(int))
    four = fit(chinchilla, **{name: column[copies] for name, column in runs.items()}, delta=weighted.delta)
    shown = [
        np.log(made.expected["N"]) - np.log(made.now["N"])
        for made in (design(each, C=TARGET, budget=1e20, runs=8, n=99, **LIMITS) for each in (plain, weighted, four))
    ]
    assert not np.allclose(shown[0], shown[1], rtol=0.01)
    pinned = fit(chinchilla, **runs, fix={"E": TRUTH["E"]})
    narrower = design(pinned, C=TARGET, budget=1e20, runs=8, n=99, **LIMITS)
    assert np.ptp(np.log(narrower.now["loss"])) < np.ptp(np.log(design(plain, C=TARGET, budget=1e20, n=99).now["loss"]))


def test_what_is_printed_and_stored():
    found = fit(chinchilla, **cheap(law=coupled, theta=TRUTH | {"k": 0.3}, sigma=1e-4))
    made = design(found, C=TARGET, budget=2e19, runs=4, n=99, **LIMITS)
    assert found.status is Status.MISFIT
    assert made.summary().startswith("misfit: the law does not fit")
    record = strict_json(made.to_json())
    assert record["runs"][0].keys() == {"N", "D", "seeds", "flops"}
    assert record["flops"] == pytest.approx(sum(run["flops"] for run in record["runs"]))
    assert made.summary().endswith(f"{len(made.each())} runs, {made.flops:.4g} of 2e+19 FLOPs")
    assert json.loads(made.to_json())["expected"]["N"] == pytest.approx(list(made.expected["N"]))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"quantity": "D"}, ValueError, "quantity is 'D'; choose one of N, loss"),
        ({"budget": -1.0}, ValueError, "budget is -1; give a number above zero"),
        ({"seeds": 0}, ValueError, "seeds is 0; give a number above zero"),
        ({"N": [1e6]}, ValueError, "give the lowest and the highest, or three or more"),
        ({"budget": 1e12}, ValueError, "the cheapest run within the limits takes"),
    ],
)
def test_what_cannot_be_designed_is_said(changes, error, words):
    found = fit(chinchilla, **cheap())
    with pytest.raises(error, match=words):
        design(found, **{"C": TARGET, "budget": 2e19, **LIMITS, **changes})


def test_laws_without_a_plan_are_refused():
    x = np.geomspace(1e4, 1e8, 9)
    with pytest.raises(ValueError, match="power is a law of x; fit one of N and D"):
        design(fit(power, x=x, L=10 * x**-0.1 * np.tile([1.01, 0.99, 1.0], 3)), C=1e20, budget=1e18)
    runs = noisy(0)
    at_bound = fit(chinchilla, **runs | {"L": runs["L"] - 1.05 * TRUTH["E"]})
    assert at_bound.at_bound
    made = design(at_bound, C=1e20, budget=1e18)
    assert (made.now, len(made.each()) > 0) == ({}, True)
    assert made.summary().startswith("no interval now: E at a bound")
    low, high = made.expected["N"]
    assert 0 < low < at_bound.law.optimum(at_bound.theta, 1e20)[0] < high
    few = fit(chinchilla, **{name: column[[0, 1, 2, 4, 6, 9, 15]] for name, column in cheap().items()})
    assert "no interval was found to hold" in design(few, C=1e20, budget=1e18).message
    assert len(design(fit(interaction, **noisy(0)), C=1e21, budget=1e20, n=99, runs=5).each()) == 5


# ---- The stored comparison with a grid ----


@pytest.fixture(scope="module")
def benchmark():
    return script("design")


def test_designs_cost_at_most_half_of_a_grid(benchmark):
    stored = pd.read_csv(DATA / "design.csv")
    assert stored.groupby("case")["number"].agg(["nunique", "size"]).to_numpy().tolist() == [[200, 200]] * 3
    table = benchmark.table(stored)
    assert table["50%"].max() <= 0.5
    assert table["half_width"].max() <= 1
    assert table[["held", "half_held"]].min(axis=None) >= 90


@pytest.mark.parametrize(("case", "number"), [("sum", 3), ("coupled", 0), ("wrong", 1)])
def test_a_stored_set_is_made_again(benchmark, case, number):
    stored = pd.read_csv(DATA / "design.csv").set_index(["case", "number"]).loc[(case, number)]
    again = benchmark.made(case, number)
    for name in ("grid_width", "width", "share", "half_width", "error"):
        assert again[name] == pytest.approx(stored[name], rel=0.02, abs=1e-3), name
    assert again["runs"] == stored["runs"]


# ---- The stored replay on a grid of real runs ----


@pytest.fixture(scope="module")
def replay():
    return script("replay")


@pytest.fixture(scope="module")
def replayed():
    return pd.read_csv(DATA / "design_replay.csv")


def test_replayed_designs_cost_at_most_half_of_a_grid_and_less_than_random_runs(replay, replayed):
    """The criterion of the benchmark; and what it says of the sum, which is no law of these runs."""
    assert replayed.groupby(["law", "choice"])["number"].agg(["nunique", "size"]).to_numpy().tolist() == [[40, 40]] * 4
    table = replay.table(replayed)
    assert table.loc[("bracket", "design"), "50%"] <= 0.5 < table.loc[("bracket", "random"), "50%"]
    assert table["held"].xs("design", level="choice").to_dict() == {"bracket": 97.5, "sum": 70.0}


@pytest.mark.parametrize("key", [("bracket", "design", 1), ("bracket", "random", 2), ("sum", "design", 2)])
def test_a_stored_replay_is_made_again(replay, replayed, key):
    stored = replayed.set_index(replay.KEYS).loc[key]
    again = replay.made(*key)
    for name in ("grid_width", "width", "share", "off", "half_width"):
        assert again[name] == pytest.approx(stored[name], rel=0.02, abs=1e-3), name
    assert again["runs"] == stored["runs"]


def test_a_replay_takes_each_run_once_and_the_seeds_of_a_cell_in_order(replay):
    every = replay.pool(0)
    assert every.groupby("cell").size().tolist() == [3] * 42
    taken, C = every["flops"].rank() <= 42, replay.BEYOND * every["flops"].max()
    taken &= every["order"] == 0
    source, budget = replay.known(every[taken], replay.LAWS["sum"], 0, C)[0], 5e12
    for take in (replay._chosen, replay._drawn):
        new = take(every, taken, source, budget, C) & ~taken
        assert 1 <= new.sum() <= replay.RUNS
        assert every.loc[new, "flops"].sum() <= budget
        both = every[taken | new]
        assert (both.groupby("cell")["order"].max() + 1).tolist() == both.groupby("cell").size().tolist()


# ---- The design that was trained ----


def test_the_stored_runs_are_those_that_the_design_asks_for_and_their_interval_is_as_wide_as_was_foretold():
    """The criterion of sweeps/designed.py, written before the runs."""
    foretold = script("designed")
    at_hand, _, asked = foretold.question()
    made = tables.stored("designed")
    counts = made.groupby(["n_params_nonemb", "tokens"]).size().reset_index()
    assert np.array_equal(counts, asked.runs[["N", "D", "seeds"]])
    every = pd.concat([at_hand, tables.points(made)])
    low, high = foretold.interval(**every)
    expected = np.log(np.divide(*asked.expected["N"][::-1]))
    assert expected == pytest.approx(0.324, abs=0.001)
    assert 0.79 < np.log(high / low) / expected < 3.42
    after = fit(coupled_no_floor, **every)
    assert asked.now["N"][0] < after.law.optimum(after.theta, foretold.TARGET)[0] < asked.now["N"][1]
