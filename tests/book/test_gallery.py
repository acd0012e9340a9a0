"""Other people's runs: what is stored of them, what was published, and the figure."""

import os

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from scalinglaws import datasets, published
from scalinglaws.book import figures, gallery, public
from scalinglaws.laws.catalogue import coupled
from scalinglaws.laws.fit import FitError
from scalinglaws.laws.frontier import approach2


@pytest.fixture(scope="module")
def table():
    """The stored gallery, as every reader has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "raw", lambda name: None)
        return gallery.table()


@pytest.mark.parametrize("results", ["table", "forecasts"])
def test_the_runs_give_the_stored_gallery(monkeypatch, results):
    if not os.environ.get("SCALINGLAWS_DATASETS"):
        pytest.skip("SCALINGLAWS_DATASETS is not set: no public data to compute the results from")
    monkeypatch.setattr(datasets.pooch, "retrieve", lambda *args, **options: pytest.fail("the folder lacks a file"))
    getattr(gallery, results)()  # `derived` compares


def test_every_set_has_its_laws_and_each_interval_its_exponent(table):
    sets = {each.name: each for each in gallery.SETS}
    assert table["set"].unique().tolist() == list(sets)
    for name, rows in table.groupby("set"):
        assert rows["approach"].tolist() == (["2", "3"] if sets[name].isoflop else ["3"])
    for letter in "ab":
        assert (table[f"{letter}_low"] < table[letter]).all()
        assert (table[letter] < table[f"{letter}_high"]).all()
    by_surface = table[table["approach"] == "3"]
    assert (by_surface["a"] + by_surface["b"]).to_numpy() == pytest.approx(np.ones(len(by_surface)), abs=1e-8)


def test_what_was_published_is_that_of_its_row(table):
    rows = table.set_index(["set", "approach"])
    assert rows.loc[("Llama 3, one reading", "2"), "published_a"] == 1 - published.value("T09", "exponent")
    assert rows.loc[("Chinchilla, Epoch", "2"), "published_a"] == published.value("C02", "a")
    assert rows.loc[("Chinchilla, Epoch", "3"), "published_a"] == published.value("E06", "a")
    assert (rows["row"] == "").equals(rows["published_a"].isna())


def test_C_drifts_against_N_D_where_it_is_known_to(table):
    drifts = table.drop_duplicates("set").set_index("set")["drift"]
    marin = drifts.index.str.startswith("Marin")
    assert (drifts[marin] > 0.02).all()
    assert (drifts[~marin].abs() < 0.02).all()
    optima = table[(table["approach"] == "2") & table["set"].str.startswith("Marin")]
    assert (optima["a"] + optima["b"]).max() < 0.99  # no b = 1 - a


def test_exponents_of_a_set_are_those_of_the_approaches():
    N, C = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 9), [1e18, 3e18, 1e19]))
    runs = pd.DataFrame({"N": N, "D": C / 6 / N, "C": C, "L": 1.8 + 480 / N**0.35 + 2100 / (C / 6 / N) ** 0.37})
    found = gallery.exponents(runs, isoflop=True)
    assert found["2"]["a"] == approach2(**runs).a
    assert found["3"]["a"] == pytest.approx(0.37 / 0.72, rel=1e-9)
    assert "2" not in gallery.exponents(runs, isoflop=False)
    assert "refused" in gallery.exponents(runs[:4], isoflop=False)["3"]


def test_the_figure_has_every_exponent_and_what_was_published(table):
    ax = Figure(figsize=(7, 5)).add_subplot()
    figures.exponents(ax, table)
    points = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() in ("o", "s")])
    assert np.sort(points) == pytest.approx(np.sort(table["a"]))
    hollow = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "D"])
    assert np.sort(hollow[np.isfinite(hollow)]) == pytest.approx(np.sort(table["published_a"].dropna()))
    assert [label.get_text() for label in ax.get_yticklabels()] == [each.name for each in gallery.SETS]


def test_every_set_has_both_laws_with_a_hold_out_of_its_own_runs(monkeypatch, table):
    monkeypatch.setattr(public, "raw", lambda name: None)
    found, n_runs = gallery.forecasts(), table.drop_duplicates("set").set_index("set")["n_runs"]
    assert found["set"].tolist() == [each.name for each in gallery.SETS for _ in range(2)]
    assert found["law"].tolist() == ["chinchilla", "coupled"] * len(gallery.SETS)
    assert (found["n_seen"] + found["n_hidden"]).tolist() == n_runs[found["set"]].tolist()
    assert (found["mean_error"].abs() <= found["rms"]).all()
    by_surface = table[table["approach"] == "3"].set_index("set")
    sums = found[found["law"] == "chinchilla"].set_index("set")
    assert sums["status"].equals(by_surface["status"].loc[sums.index])
    assert sums["rms_beyond_noise"].to_numpy() == pytest.approx(by_surface["rms_beyond_noise"].loc[sums.index])


def test_forecasts_of_runs_that_follow_the_coupled_law_tell_the_laws_apart():
    N, C = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 9), np.geomspace(1e18, 1e20, 5)))
    theta = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37, "k": 0.5}
    noise = 0.001 * np.random.default_rng(0).normal(size=45)
    runs = pd.DataFrame({"N": N, "D": C / 6 / N, "C": C, "L": coupled.value(theta, N, C / 6 / N) * np.exp(noise)})
    found = gallery.tested(runs)
    assert [found[law]["status"] for law in ("chinchilla", "coupled")] == ["misfit", "ok"]
    assert {of["factor"] for of in found.values()} == {16.0}
    assert found["coupled"]["n_hidden"] == (C > 1e20 / 16 * (1 + 1e-9)).sum()
    assert found["coupled"]["rms"] < 0.5 * found["chinchilla"]["rms"]
    with pytest.raises(FitError, match="chinchilla: "):
        gallery.tested(runs[:6])
