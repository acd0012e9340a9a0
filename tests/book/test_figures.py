import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from wcag import contrast, luminance

from scalinglaws.book import figures
from scalinglaws.laws import chinchilla, critical_batch_time, muennighoff, power, power_floor
from scalinglaws.laws.bootstrap import bootstrap
from scalinglaws.laws.fit import fit
from scalinglaws.laws.frontier import approach1, approach2

x = np.geomspace(1e4, 1e8, 10)
L = (2 + 50 * x**-0.4) * np.exp(0.01 * np.random.default_rng(0).normal(size=10))
N, D = (column.ravel() for column in np.meshgrid(np.geomspace(1e6, 1e9, 4), np.geomspace(1e8, 1e11, 4)))
surface = 1.8 + 480 / N**0.35 + 2100 / D**0.37
readings = pd.DataFrame(
    {
        "n_params_nonemb": np.repeat([20_000, 3_000, 100_000], 30),
        "tokens": np.tile(np.geomspace(1e7, 1e4, 30), 3),
        "train_loss": np.tile(np.geomspace(3, 6, 30), 3),
    }
)


budgets = np.array([1e18, 1e19, 1e20])
isoflops = {
    letter: column.ravel()
    for letter, column in zip(
        "CN",
        np.broadcast_arrays(budgets[:, None], np.geomspace(3e7, 3e9, 9) * (budgets[:, None] / 1e19) ** 0.5),
        strict=True,
    )
}
isoflops["D"] = isoflops["C"] / 6 / isoflops["N"]
isoflops["L"] = 1.8 + 480 / isoflops["N"] ** 0.35 + 2100 / isoflops["D"] ** 0.37


def axes():
    return Figure().subplots()


def draw_power_law(ax):
    figures.power_law(ax, x, L, fit(power_floor, x=x, L=L), xlabel="n_params_nonemb")


def draw_residuals(ax):
    figures.residuals(ax, fit(chinchilla, N=N, D=D, L=surface, delta=1e-3), against="N", xlabel="n_params_nonemb")


def draw_curves(ax):
    figures.curves(ax, readings, by="n_params_nonemb")


def draw_plot(ax):
    figures.plot(fit(chinchilla, N=N, D=D, L=surface), ax=ax)


def draw_valleys(ax):
    figures.valleys(ax, approach2(**isoflops), **{letter: isoflops[letter] for letter in "CNL"})


DRAW = {
    "valleys": draw_valleys,
    "power_law": draw_power_law,
    "residuals": draw_residuals,
    "curves": draw_curves,
    "plot": draw_plot,
}


@pytest.mark.parametrize("name", sorted(set(figures.__all__) - {"LABELS", "exponents", "shades", "ticks"}))
def test_every_figure_labels_its_axes_and_changes_no_setting(name):
    before, ax = dict(mpl.rcParams), axes()
    DRAW[name](ax)
    ax.figure.canvas.draw()
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel()
    assert ax.get_ylabel().endswith(("(nats per token)", "(%)", "parameters N"))
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def lines(ax):
    """What is drawn, by the name in the legend."""
    return {line.get_label(): line for line in ax.lines}


@pytest.mark.parametrize("law", [power, power_floor])
def test_power_law_shows_the_runs_and_the_fit(law):
    found, ax = fit(law, x=x, L=L), axes()
    figures.power_law(ax, x, L, found, xlabel="tokens", symbol="D")
    drawn = lines(ax)
    assert np.array_equal(drawn["runs"].get_xydata(), np.stack([x, L], axis=1))
    formula = next(label for label in drawn if "D^" in label)
    assert f"{found.theta['alpha']:.3g}" in formula
    sizes, losses = drawn[formula].get_data()
    assert (sizes[0], sizes[-1]) == pytest.approx((x[0], x[-1]))
    assert losses == pytest.approx(found.predict(x=sizes))
    floors = [line for label, line in drawn.items() if label.startswith("floor")]
    assert [line.get_ydata()[0] for line in floors] == ([found.theta["E"]] if law is power_floor else [])
    assert ax.get_xlabel() == "tokens D"
    assert ax.get_yscale() == "log"


def test_power_law_sets_apart_what_was_not_fitted():
    found, ax = fit(power_floor, x=x[:-2], L=L[:-2]), axes()
    figures.power_law(ax, x, L, found, xlabel="size (things)")
    drawn = lines(ax)
    assert drawn["runs"].get_xdata().size == 8
    held_back = drawn["runs not in the fit"]
    assert np.array_equal(held_back.get_xdata(), x[-2:])
    assert held_back.get_markerfacecolor() == "none"
    dashed = next(line for line in ax.lines if line.get_linestyle() == "--")
    assert dashed.get_xdata()[-1] == pytest.approx(x[-1])
    assert ax.get_xlabel() == "size (things)"


def test_power_law_shows_the_interval():
    found, ax = fit(power_floor, x=x, L=L), axes()
    cloud = bootstrap(found, n=50, seed=0)
    figures.power_law(ax, x, L, found, xlabel="tokens", cloud=cloud, level=0.5)
    (band,) = ax.collections
    assert band.get_label() == "50% interval"
    low, high = cloud.interval(lambda theta: power_floor.value(theta, x[0]), level=0.5)
    left = band.get_paths()[0].vertices
    left = left[np.isclose(left[:, 0], x[0]), 1]
    assert (left.min(), left.max()) == pytest.approx((low, high))


def test_power_law_without_a_floor_found_draws_none():
    ax = axes()
    figures.power_law(ax, x, 10 * x**-0.1, fit(power_floor, x=x, L=10 * x**-0.1 - 0.1), xlabel="tokens")
    assert not any(label.startswith("floor") for label in lines(ax))


def test_power_law_takes_one_variable():
    with pytest.raises(ValueError, match="law of N, D; this figure takes one"):
        figures.power_law(axes(), N, surface, fit(chinchilla, N=N, D=D, L=surface), xlabel="tokens")


def test_residuals_are_percent_of_the_fit():
    found, ax = fit(power_floor, x=x, L=L, delta=5e-3), axes()
    figures.residuals(ax, found, against="x", xlabel="tokens")
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert points.get_ydata() == pytest.approx(100 * np.log(L / found.predict(x=x)))
    assert sorted(line.get_ydata()[0] for line in ax.lines if line is not points) == pytest.approx([-0.5, 0, 0.5])
    ax = axes()
    figures.residuals(ax, fit(power_floor, x=x, L=L, delta=math.inf), against="x", xlabel="tokens")
    assert len(ax.lines) == 2
    with pytest.raises(ValueError, match="law of x; got 'N'"):
        figures.residuals(axes(), found, against="N", xlabel="tokens")


def test_curves_run_left_to_right_from_small_to_large():
    ax = axes()
    figures.curves(ax, readings, by="n_params_nonemb")
    assert [line.get_label() for line in ax.lines] == ["3,000", "20,000", "100,000"]
    assert all((np.diff(line.get_xdata()) > 0).all() for line in ax.lines)
    lightness = [np.dot(to_rgba(line.get_color())[:3], [0.2126, 0.7152, 0.0722]) for line in ax.lines]
    assert lightness == sorted(lightness)
    assert ax.get_legend().get_title().get_text() == "parameters N, without embeddings"
    with pytest.raises(ValueError, match="no column loss; the table has n_params_nonemb, tokens"):
        figures.curves(axes(), readings, by="n_params_nonemb", y="loss")


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_ordered_lines_show_on_white_and_inverted_on_black(n):
    colors = figures.shades(n)[:, :3]
    white, black = luminance(np.ones(3)), luminance(np.array([0x14, 0x17, 0x1B]) / 255)
    assert min(contrast(white, luminance(color)) for color in colors) >= 3
    assert min(contrast(black, luminance(1 - color)) for color in colors) >= 3


def test_ticks_are_plain_numbers_where_they_were_asked_for():
    ax = Figure().add_subplot(xscale="log", yscale="log")
    ax.plot([1, 1000], [1, 20_000])
    figures.ticks(ax, x={1: "one", 500: 5}, y=(0.03, 1, 20_000))
    ax.figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["one", "5"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0.03", "1", "20,000"]
    assert list(ax.get_xticks()) == [1, 500]
    assert not len(ax.get_xticks(minor=True)) + len(ax.get_yticks(minor=True))
    figures.ticks(ax, y=[1.8, 2.0, 2.25])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1.80", "2.00", "2.25"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["one", "5"]


@pytest.mark.parametrize("how", ["parabola", "surface"])
def test_valleys_show_runs_curves_and_minima(how):
    columns, ax = {letter: isoflops[letter] for letter in "CNL"}, axes()
    found = approach2(**isoflops) if how == "parabola" else fit(chinchilla, **{x: isoflops[x] for x in "NDL"})
    figures.valleys(ax, found, **columns, **({"budgets": budgets} if how == "surface" else {}))
    for k, C in enumerate(budgets):
        points, curve, minimum = ax.lines[3 * k : 3 * k + 3]
        own = isoflops["C"] == C
        assert np.array_equal(points.get_xydata(), np.stack([isoflops["N"][own], isoflops["L"][own]], axis=1))
        sizes, losses = curve.get_data()
        best = found.budgets[k].N_opt if how == "parabola" else found.allocate(C)[0]
        assert minimum.get_xdata()[0] == pytest.approx(best)
        assert sizes[losses.argmin()] == pytest.approx(best, rel=0.1)  # a step of the curve is 12%
        assert minimum.get_ydata()[0] == pytest.approx(losses.min(), rel=5e-4)  # half a step off
        assert np.interp(isoflops["N"][own], sizes, losses) == pytest.approx(isoflops["L"][own], rel=0.02)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1 × 10¹⁸", "1 × 10¹⁹", "1 × 10²⁰"]


def test_valleys_show_what_was_refused_as_such():
    """The smallest budget has large sizes only: its curve is dotted and has no minimum."""
    take = (isoflops["C"] > 1e18) | (isoflops["N"] > 3e8)
    some = {letter: column[take] for letter, column in isoflops.items()}
    ax = axes()
    figures.valleys(ax, approach2(**some), C=some["C"], N=some["N"], L=some["L"])
    assert [line.get_linestyle() for line in ax.lines[1::3]] == [":", "-", "-"]
    assert np.isnan(ax.lines[2].get_xdata()).all()
    assert np.isfinite(ax.lines[5].get_xdata()).all()


def test_valleys_of_an_envelope_join_the_best_runs_of_each_size():
    twice = {letter: np.tile(column, 2) for letter, column in isoflops.items()}
    twice["L"][: isoflops["L"].size] += 0.1  # a worse seed
    ax = axes()
    figures.valleys(ax, approach1(C=twice["C"], N=twice["N"], L=twice["L"]), C=twice["C"], N=twice["N"], L=twice["L"])
    assert ax.lines[1].get_ydata() == pytest.approx(isoflops["L"][:9])
    assert ax.lines[2].get_xdata()[0] in isoflops["N"][:9]


def test_valleys_of_a_fit_need_budgets_and_a_surface():
    columns = {letter: isoflops[letter] for letter in "CNL"}
    with pytest.raises(ValueError, match="power is cut at budgets=, and has to be of a law of N and D"):
        figures.valleys(axes(), fit(power, x=x, L=10 * x**-0.1), **columns, budgets=budgets)
    with pytest.raises(ValueError, match="budgets="):
        figures.valleys(axes(), fit(chinchilla, **{x: isoflops[x] for x in "NDL"}), **columns)
    with pytest.raises(ValueError, match="approach 2 has budgets of its own"):
        figures.valleys(axes(), approach2(**isoflops), **columns, budgets=budgets)


def test_plot_draws_a_law_of_one_variable_by_its_own_letter():
    found = fit(critical_batch_time, B=x, L=300 * (1 + 2e5 / x))
    ax = figures.plot(found, ax=axes())
    sizes, steps = lines(ax)["critical_batch_time"].get_data()
    assert steps == pytest.approx(300 * (1 + 2e5 / sizes))
    assert np.array_equal(lines(ax)["runs"].get_xydata(), np.stack([x, found.L], axis=1))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("batch size B", "$S$")


def test_plot_maps_a_surface_and_its_optimum():
    found = fit(chinchilla, N=N, D=D, L=surface)
    ax = figures.plot(found, ax=axes())
    contours, runs = ax.collections
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        at = path.vertices
        assert len(at) == 0 or found.predict(D=at[:, 0], N=at[:, 1]) == pytest.approx(
            level, rel=2e-3
        )  # between 100 steps
    assert sum(len(path.vertices) for path in contours.get_paths()) > 300
    assert np.array_equal(runs.get_offsets(), np.stack([D, N], axis=1))
    assert np.array_equal(runs.get_array(), surface)
    assert (runs.norm.vmin, runs.norm.vmax) == (contours.norm.vmin, contours.norm.vmax)
    data, best = lines(ax)["compute-optimal"].get_data()
    assert np.stack(found.allocate(6 * best * data)) == pytest.approx(np.stack([best, data]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tokens D", "parameters N")
    places = ax.transData.transform([label.get_position() for label in contours.labelTexts])
    drawn = np.concatenate([ax.transData.transform(xy) for xy in (runs.get_offsets(), np.stack([data, best], axis=1))])
    assert len(places) == len(contours.levels) - 2
    assert np.linalg.norm(places[:, None] - drawn, axis=-1).min() > 8  # pixels: a label hides no run


def test_plot_draws_no_optimum_where_there_is_none():
    flat = fit(chinchilla, N=N, D=D, L=1.8 + 2100 / D**0.37)
    assert "compute-optimal" not in lines(figures.plot(flat, ax=axes()))


def test_plot_draws_the_optima_of_a_frontier_and_their_power_law():
    C, offsets = np.repeat(np.geomspace(1e18, 1e21, 4), 7), np.tile(np.geomspace(1 / 8, 8, 7), 4)
    sizes = 8e7 * (C / 1e18) ** 0.51 * offsets
    table = {"C": C, "N": sizes, "L": 1.8 + 480 / sizes**0.35 + 2100 / (C / 6 / sizes) ** 0.37}
    for found in (approach2(**table), approach1(**table)):
        ax = figures.plot(found, ax=axes())
        budgets, best = next(line.get_data() for label, line in lines(ax).items() if "C^" in label)
        assert best == pytest.approx(found.optimum(budgets)[0])
        optima = lines(ax)[f"optima of {found.source}"]
        assert np.array_equal(optima.get_xydata(), np.stack([found.C, found.N], axis=1))
        assert np.array_equal(lines(ax)["runs"].get_xydata(), np.stack([C, sizes], axis=1))
        (band,) = (each for each in ax.collections if each.get_label() == "95% interval")
        corners = band.get_paths()[0].vertices
        at_end = np.sort(corners[corners[:, 0] == corners[:, 0].max(), 1])[[0, -1]]
        assert corners[:, 0].max() == pytest.approx(10 * C.max())
        cloud = found.bootstrap(n=399, seed=0)
        assert at_end == pytest.approx(cloud.interval(lambda each: each.optimum(10 * C.max())[0]), rel=1e-9)
        assert ax.get_xlabel() == "training compute C (FLOPs)"
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_plot_shows_the_errors_of_vertices():
    C, offsets = np.repeat(np.geomspace(1e18, 1e21, 4), 7), np.tile(np.geomspace(1 / 8, 8, 7), 4)
    sizes = 8e7 * (C / 1e18) ** 0.51 * offsets
    found = approach2(C=C, N=sizes, L=1.8 + 480 / sizes**0.35 + 2100 / (C / 6 / sizes) ** 0.37)
    (bars,) = (each for each in figures.plot(found, ax=axes()).collections if hasattr(each, "get_segments"))
    errors = [np.ptp(np.log(ends[:, 1])) / 2 for ends in bars.get_segments()]
    assert errors == pytest.approx([budget.N_error for budget in found.budgets])


def test_plot_opens_a_figure_only_where_no_axes_are_given():
    ax = figures.plot(fit(power, x=x, L=L))
    assert plt.get_fignums() == [ax.figure.number]
    plt.close(ax.figure)


def test_plot_takes_one_or_two_variables():
    three = fit(muennighoff, N=N, D=D, U=D / (1 + np.arange(N.size) % 3), L=surface)
    with pytest.raises(ValueError, match="muennighoff is a law of N, D, U; plot takes one or two"):
        figures.plot(three, ax=axes())
