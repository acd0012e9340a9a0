"""The views: the same numbers in JavaScript and in Python, alive without a kernel, and quiet where there is one."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from browsing import needs_chromium

from scalinglaws import counting, laws
from scalinglaws.book import views as widgets
from scalinglaws.config import ModelConfig
from scalinglaws.lab.corpus.chains import ChainSource, predictive_by_hand
from scalinglaws.laws import plan
from scalinglaws.laws.curves import multi_power

in_browser = [pytest.mark.browser, needs_chromium]
TABLE = pd.DataFrame(
    {
        "parametrization": ["standard"] * 6 + ["mup"] * 6,
        "d_model": [32, 32, 32, 64, 64, 64] * 2,
        "lr": [2**-8, 2**-7, 2**-6] * 4,
        "loss": [2.6, 2.5, 2.55, 2.4, 2.45, 2.6, 2.6, 2.5, 2.55, 2.5, 2.4, 2.45],
        "hash": list("abcdefghijkl"),
        "tokens": [1000] * 12,
        "flops": [1e9] * 12,
    }
)
N, D = (axis.ravel() for axis in np.meshgrid([1e4, 3e4, 1e5], [1e6, 1e7, 1e8]))
SUM = {"E": 1.7, "A": 40.0, "B": 300.0, "alpha": 0.5, "beta": 0.4}
COUPLED = [SUM | {"k": k} for k in (0.1, 0.5, 1.0, 2.0)]
GRID = pd.DataFrame({"N": N, "D": D, "L": 1.01 * laws.chinchilla.value(SUM, N, D)})
CHAIN = ChainSource(vocab_size=4)
CHAINS = CHAIN.windows(0, 2, 16)  # windows T+1
GUESS = {"a guess": np.full((16, 4), 0.25), "sure": np.eye(4)[CHAINS[0, 1:]]}
CURVES = pd.DataFrame({"hash": ["a"] * 3, "kind": ["train"] * 3, "tokens": [10, 100, 1000], "loss": [4.0, 3.0, 2.6]})


MULTI = {"L_0": 2.5, "A": 0.6, "alpha": 0.5, "B": 400.0, "C": 2.0, "beta": 0.6, "gamma": 0.6}


def views():
    """One of each."""
    return [
        widgets.PowerLaw([(1e3, 2.5), (1e4, 2.2)], label="N"),
        widgets.Plane(),
        widgets.BatchTradeoff({"one": ("2.2 nats", 300.0, 4e5)}, measured={"one": [[512, 1100], [2048, 500]]}),
        widgets.Valleys(TABLE),
        widgets.Parabola(),
        widgets.Inference(),
        widgets.Repeats(),
        widgets.Planner(),
        widgets.Memory(),
        widgets.Replay(TABLE, CURVES, lambda row: f"width {row['d_model']}"),
        widgets.Lines(5.25, 0.095),
        widgets.Schedule(MULTI),
        widgets.Study({"Gopher": (5.76e23, 2.8e11)}),
        widgets.Exact(1e9, 0.4, {1: [[1e10, 0.7]], 8: [[1e10, 0.1]]}),
        widgets.Window({str(k): (f"window {k}", window, GUESS) for k, window in enumerate(CHAINS)}),
        widgets.Coupled({"made": ("made runs", GRID, {cut: COUPLED for cut in (1, 4, 16)})}),
    ]


def test_every_module_has_its_class():
    own = {view.name for view in views()} | {widgets.YourRuns.name}  # which has a file of tests to itself
    assert own == {path.stem for path in widgets.JS.glob("*.js")} - {"kit"}


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_a_view_is_a_widget_and_a_page(view):
    bundle, _ = view._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(bundle)
    assert bundle["text/html"] == view.html()  # the same bytes every time: a build changes nothing
    assert bundle["text/html"].count("</script") == 1
    assert "data" in view.state
    assert len(view.state) > 1
    assert len(bundle["text/html"]) < 30_000


def test_text_in_the_data_cannot_end_the_script():
    view = widgets.BatchTradeoff({"x": ("</script><b>", 300.0, 4e5)})
    assert view.html().count("</script") == 1


def test_traits_are_observable():
    view, heard = widgets.Plane(), []
    view.observe(heard.append, "C")
    view.C = 1e22
    assert heard[0]["new"] == 1e22


def test_the_button_trains_and_adds_a_point():
    view = widgets.PowerLaw([(1e3, 2.5)])
    box = widgets.trainable(view, lambda: (1e4, 2.25))
    button, said = box.children[1].children
    button.click()
    assert view.data["points"] == [[1e3, 2.5], [1e4, 2.25]]
    assert "loss 2.2500" in said.value
    assert not button.disabled
    assert box._repr_mimebundle_()["text/html"] == view.html()


def test_the_button_says_what_went_wrong():
    def broken():
        raise ValueError("no corpus")

    box = widgets.trainable(widgets.PowerLaw(), broken)
    button, said = box.children[1].children
    button.click()
    assert said.value == "no corpus"


@pytest.fixture(scope="module")
def page(browser):
    return browser.new_page()


def compute(page, name, states, function="compute"):
    """What a view's module computes for each state."""
    return page.evaluate(
        """async ([code, states, name]) => {
            const module = await import(URL.createObjectURL(new Blob([code], {type: "text/javascript"})));
            return states.map((state) => module[name](state));
        }""",
        [widgets.module(name), json.loads(json.dumps(states)), function],
    )


def grid(view, **values):
    """States of a view over a grid of its traits."""
    names = list(values)
    return [
        view.state | dict(zip(names, map(float, at), strict=True))
        for at in np.stack(np.meshgrid(*values.values()), -1).reshape(-1, len(names))
    ]


close = {"rel": 1e-12, "abs": 0}


class TestNumbers:
    """JavaScript against Python on a grid, to 1e-12: both round the same powers, in another order."""

    pytestmark = in_browser

    def test_power_law(self, page):
        states = grid(widgets.PowerLaw(), E=[0, 1.7], A=[1, 30], alpha=[0.1, 0.5], x=[1e3, 1e8])
        for state, found in zip(states, compute(page, "power", states), strict=True):
            theta = {name: state[name] for name in ("E", "A", "alpha")}
            assert found["loss"] == pytest.approx(laws.power_floor.value(theta, state["x"]), **close)
            assert found["tenfold"] == pytest.approx(laws.power_floor.value(theta, 10 * state["x"]), **close)
            assert found["slope"] == pytest.approx(state["alpha"] * (1 - state["E"] / found["loss"]), rel=1e-9)

    @pytest.mark.parametrize("law", widgets.LAWS)
    def test_plane_and_planner(self, page, law):
        states = [state | {"law": law} for state in grid(widgets.Plane(), C=[1e18, 5.76e23, 1e26], ratio=[0.3, 1, 4])]
        for state, found in zip(states, compute(page, "plane", states), strict=True):
            best = plan.allocate(law, state["C"])
            assert found["N"] == pytest.approx(float(best.N), **close)
            assert found["D"] == pytest.approx(float(best.D), **close)
            assert found["loss"] == pytest.approx(float(best.loss), **close)
        alone = [state | {"served": 0} for state in states]
        for state, found in zip(alone, compute(page, "planner", alone), strict=True):
            assert found[law]["N"] == pytest.approx(float(plan.allocate(law, state["C"]).N), **close)

    @pytest.mark.parametrize("law", widgets.LAWS)
    def test_planner_serves_as_the_view_of_use_does(self, page, law):
        states = grid(widgets.Planner(), C=[1e18, 5.76e23], served=[1e9, 1e14])
        used = compute(page, "inference", [state | {"law": law} for state in states])
        assert [found[law] for found in compute(page, "planner", states)] == used

    def test_wasted_compute_buys_the_same_loss(self, page):
        states = grid(widgets.Plane(), C=[1e20, 1e24], ratio=[0.2, 0.9, 5])
        off = compute(page, "plane", states)
        for state, lost, share in zip(states, off, compute(page, "plane", states, "wasted"), strict=True):
            less = plan.allocate(state["law"], state["C"] * (1 - share))
            assert float(less.loss) == pytest.approx(lost["loss"] + lost["off"], rel=1e-12)

    def test_batch(self, page):
        states = grid(widgets.BatchTradeoff({"one": ("a", 300.0, 4e5)}), B=[128, 1333, 16_384])
        for state, found in zip(states, compute(page, "batch", states), strict=True):
            assert found["critical"] == pytest.approx(4e5 / 300, **close)
            assert found["tokens"] == pytest.approx(found["steps"] * state["B"], **close)
            assert (found["steps"] / 300 - 1) * (found["tokens"] / 4e5 - 1) == pytest.approx(1, rel=1e-9)
        at_critical = widgets.BatchTradeoff({"one": ("a", 300.0, 4e5)}, B=4e5 / 300).state
        (found,) = compute(page, "batch", [at_critical], "doubled")
        assert found == {"fewer": pytest.approx(1 / 4, rel=1e-9), "more": pytest.approx(1 / 2, rel=1e-9)}

    def test_exact(self, page):
        states = grid(widgets.Exact(1e9, 0.4), k=[1, 8, 64], C=[1e8, 3e11, 1e14])
        for state, found in zip(states, compute(page, "exact", states), strict=True):
            p, twice = np.exp(-((np.array([1, 2]) * state["C"] / 1e9) ** -0.4))
            power = state["k"]
            assert found["one"] == pytest.approx(p, **close)
            assert found["all"] == pytest.approx(p**power, rel=1e-9, abs=0)
            assert found["allMore"] == pytest.approx(twice**power - p**power, rel=1e-9, abs=1e-15)
            assert np.exp(-power * (found["half"] / 1e9) ** -0.4) == pytest.approx(0.5, **close)

    def test_valleys(self, page):
        standard, mup = (widgets.Valleys(TABLE, parametrization=name).state for name in ("standard", "mup"))
        first, second = compute(page, "valleys", [standard, mup])
        assert first == {"32": 0, "64": pytest.approx(0.05)}
        assert second == {"32": 0, "64": 0}

    def test_parabola(self, page):
        values = {"alpha": [0.2, 0.34], "beta": [0.28, 0.6], "halfwidth": [2, 30], "offset": [0.5, 1, 3]}
        states = grid(widgets.Parabola(), **values)
        for state, found in zip(states, compute(page, "parabola", states), strict=True):
            x = np.linspace(-1, 1, state["data"]["n"])
            c, b, _ = np.polyfit(x, found["losses"], 2)
            vertex = -b / (2 * c) * math.log(state["halfwidth"]) + math.log(state["offset"])
            assert found["bias"] == pytest.approx(vertex, rel=1e-9, abs=1e-11)  # a difference of nearly equal losses

    def test_parabola_is_the_published_bias(self, page):
        symmetric = widgets.Parabola(alpha=0.31, beta=0.31, halfwidth=16.0)
        (found,) = compute(page, "parabola", [symmetric.state])
        assert found["bias"] == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("law", widgets.LAWS)
    def test_inference(self, page, law):
        states = [state | {"law": law} for state in grid(widgets.Inference(), C=[1e20, 5.76e23], served=[1e10, 1e14])]
        for state, found in zip(states, compute(page, "inference", states), strict=True):
            best = plan.allocate_for_inference(law, inference_tokens=state["served"], C=state["C"])
            # The least cost is flat in N: two solvers agree in N to the square root of what they agree to in cost.
            assert found["cost"] == pytest.approx(6 * float(best.N) * float(best.D) + 2 * float(best.N) * state["served"], rel=1e-12)  # fmt: skip  # noqa: E501
            assert found["N"] == pytest.approx(float(best.N), rel=1e-7)

    def test_repeats(self, page):
        states = grid(widgets.Repeats(), U=[1e5, 1e12], epochs=[1, 4, 64], R_star=[5.3, 15.4])
        for state, found in zip(states, compute(page, "repeats", states), strict=True):
            U, R = state["U"], state["R_star"]
            assert found["worth"] == pytest.approx(U + U * R * -math.expm1(-(state["epochs"] - 1) / R), rel=1e-12)

    @pytest.mark.parametrize("cut", [1.0, 4.0, 16.0])
    def test_coupled(self, page, cut):
        states = [state | {"cut": cut} for state in grid(views()[-1], k=[0.1, 0.12, 1.0, 1.9])]
        compute_of_all = N * D
        seen = (compute_of_all <= compute_of_all.max() / cut).tolist()
        for state, found, theta in zip(
            states, compute(page, "coupled", states), [COUPLED[0], *COUPLED[::2], COUPLED[3]], strict=True
        ):
            assert found["law"] == theta, state["k"]  # the fit whose k is nearest
            _, _, L = np.array(state["data"]["runs"]["made"]["points"]).T
            error = np.log(L / laws.coupled.value(theta, N, D))
            assert [len(found["seen"]), len(found["hidden"])] == [sum(seen), 9 - sum(seen)]
            assert found["fit"] == pytest.approx(np.sqrt(np.mean(error[seen] ** 2)), rel=1e-9)
            if cut > 1:
                rest = error[~np.array(seen)]
                assert found["mean"] == pytest.approx(rest.mean(), rel=1e-9)
                assert found["rms"] == pytest.approx(np.sqrt(np.mean(rest**2)), rel=1e-9)

    def study(self, page, **turned):
        """The view's answer for one state, with the arrays of its points."""
        (found,) = compute(page, "study", [widgets.Study({}, **turned).state])
        return found, *np.array(found["points"], float).T

    @pytest.mark.parametrize(("counted", "largest"), [("nonemb", 1e7), ("nonemb", 1e12), ("all", 1e10)])
    def test_a_study_without_a_warmup_finds_the_closed_form(self, page, counted, largest):
        found, C, sizes = self.study(page, counted=counted, warmup=0.0, largest=largest)
        exact = plan.counted("besiroglu2024", sizes, gamma=0.0 if counted == "all" else None)
        assert exact.C_nonemb == pytest.approx(C, rel=1e-9)  # its balance is solved by bisection
        a, b = np.polyfit(np.log(C), np.log(sizes), 1)
        assert found["a"] == pytest.approx(a, rel=1e-9)
        assert found["reached"] == pytest.approx(np.exp(a * np.log(5.76e23) + b), rel=1e-8)
        assert found["best"] == pytest.approx(float(plan.allocate("besiroglu2024", 5.76e23).N), **close)

    def test_a_study_reads_the_least_loss_of_what_the_warmup_leaves(self, page):
        """By search: along its budget no other size has a lower loss, half of the warmup's tokens lost."""
        _, theta = plan.named("besiroglu2024")
        _, C, sizes = self.study(page)
        w, gamma = 3000 * 2**18, 47491
        for budget, size in list(zip(C, sizes, strict=True))[::8]:
            near = size * np.geomspace(0.8, 1.25, 2001)
            loss = laws.chinchilla.value(theta, near + gamma * np.cbrt(near), budget / 6 / near - w)
            assert near[loss.argmin()] == pytest.approx(size, rel=3e-4)

    def test_memory(self, page):
        """An LSTM of one layer and a transformer of two, their parameters counted: what each holds."""
        shape = {"vocab_size": 16, "seq_len": 128, "n_head": 1}
        lstm = ModelConfig(
            family="lstm", n_layer=1, d_model=96, d_ff=4 * 96, position="none", parametrization="standard", **shape
        )
        transformer = ModelConfig(n_layer=2, d_model=96, d_ff=4 * 96, **shape)
        states = [
            {"task": task, "V": V, "N": counting.count(model).n_params_nonemb, "t": t}
            for model in (lstm, transformer)
            for task in ("counts", "order")
            for V in (2, 16)
            for t in (1, 7, 300)
        ]
        for state, found in zip(states, compute(page, "memory", states), strict=True):
            assert found["asked"] == min(state["t"], state["V"] ** 2 if state["task"] == "counts" else state["V"])
            if state["N"] == counting.count(lstm).n_params_nonemb:
                assert found["state"] == pytest.approx(2 * lstm.d_model)  # h and c
            else:
                assert found["kept"] == pytest.approx(2 * transformer.n_layer * transformer.d_model * state["t"])
            again = compute(page, "memory", [state | {"N": found["enough"]}])[0]
            assert again["state"] == pytest.approx(found["all"])

    def test_lines(self, page):
        """What B needs, found on its line, has A's loss, and where they meet the losses are equal."""
        low = 1e6
        states = grid(
            widgets.Lines(5.25, 0.095, low=low), gap=[-5, 0, 3], apart=[-0.02, 0.0, 0.001, 0.02], m=[1e6, 1e9]
        )
        for state, found in zip(states, compute(page, "lines", states), strict=True):
            of_A = {"A": 5.25, "alpha": 0.095}
            of_B = {"A": (1 + state["gap"] / 100) * 5.25 * low ** -state["apart"], "alpha": 0.095 - state["apart"]}
            assert found["one"] == pytest.approx(laws.power.value(of_A, state["m"]), **close)
            assert found["other"] == pytest.approx(laws.power.value(of_B, state["m"]), **close)
            assert laws.power.value(of_B, found["worth"] * state["m"]) == pytest.approx(found["one"], **close)
            if state["apart"]:
                assert laws.power.value(of_A, found["meet"]) == pytest.approx(
                    laws.power.value(of_B, found["meet"]), rel=1e-9
                )
            else:
                assert found["meet"] is None

    @pytest.mark.parametrize("kind", ["wsd", "cosine", "constant"])
    def test_schedule(self, page, kind):
        """Against the law on every step, the rate constant within each block."""
        view = widgets.Schedule(MULTI, kind=kind)
        blocks, warmup = view.data["blocks"], view.data["warmup"]
        each = view.data["steps"] // blocks
        done = np.arange(1, blocks - warmup + 1) / (blocks - warmup)
        states = grid(view, share=[0.05, 0.5], final=[0.02, 0.3], peak=[1e-4, 1e-3])
        for state, found in zip(states, compute(page, "schedule", states), strict=True):
            final = state["final"]
            shape = {
                "wsd": np.clip((1 - done) / state["share"], final, 1),
                "cosine": final + (1 - final) * (1 + np.cos(np.pi * done)) / 2,
                "constant": np.ones_like(done),
            }[kind]
            rates = state["peak"] * np.concatenate([np.arange(1, warmup + 1) / warmup, shape])
            at, losses = np.array(found["losses"]).T
            assert found["rates"] == pytest.approx(rates.tolist(), **close)
            wanted = multi_power(MULTI, np.repeat(rates, each), at.astype(int), warmup=warmup * each)
            assert losses == pytest.approx(wanted, rel=1e-11)  # sums of thousands of steps
            assert found["way"] == pytest.approx(rates.mean() / state["peak"], rel=1e-12)

    @pytest.mark.parametrize("window", [0, 1])
    def test_window(self, page, window):
        states = [state | {"window": str(window)} for state in grid(views()[-2], t=range(1, 17))]
        best = predictive_by_hand(CHAIN, CHAINS[window])
        frequencies = CHAIN.unigram_predictive(CHAINS[window : window + 1])[0]
        for t, found in enumerate(compute(page, "window", states)):
            assert found["best"] == pytest.approx(best[t], **close)
            assert found["frequencies"] == pytest.approx(frequencies[t], **close)
            assert found["models"] == {name: rows[t].tolist() for name, rows in GUESS.items()}
            assert (found["last"], found["next"]) == tuple(CHAINS[window, t : t + 2])

    def test_replay(self, page):
        view = widgets.Replay(TABLE, CURVES, lambda row: "a")
        found = compute(page, "replay", [view.state | {"share": share} for share in (0.02, 0.1, 0.99, 1.0)])
        assert [(each["tokens"], each["loss"]) for each in found] == [(10, 4), (100, 3), (100, 3), (1000, 2.6)]


class TestPage:
    """One page with all views, from disk, without a kernel."""

    pytestmark = in_browser

    @pytest.fixture
    def site(self, tmp_path_factory):
        path = tmp_path_factory.mktemp("views") / "views.html"
        body = "".join(view.html() for view in views())
        path.write_text(
            f"<!doctype html><html lang='en'><meta charset='utf-8'><title>v</title><body>{body}</body></html>"
        )
        return path.as_uri()

    @pytest.fixture
    def opened(self, page, site):
        trouble = []
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto("about:blank")
        page.goto(site)
        yield page
        assert not trouble

    @pytest.mark.parametrize("place", range(len(views())), ids=lambda place: views()[place].name)
    def test_each_control_changes_what_is_said(self, opened, place):
        root, name = opened.locator(".view").nth(place), views()[place].name
        for slider in root.locator("input[type=range]").all():
            before, value = root.locator(".says").inner_text(), slider.input_value()
            slider.press("ArrowLeft" if value == slider.get_attribute("max") else "ArrowRight")
            assert slider.input_value() != value
            slider.press("Home")
            slider.press("End" if slider.input_value() == value else "Home")
            assert root.locator(".says").inner_text() != before
            assert f"{name}." in opened.url
            root.locator("button").click()
        first = root.locator("input[type=range]").first
        value, box = first.input_value(), first.bounding_box()
        low, high = (float(first.get_attribute(end)) for end in ("min", "max"))
        share = 0.1 if float(value) > (low + high) / 2 else 0.9
        first.click(position={"x": share * box["width"], "y": box["height"] / 2})
        assert first.input_value() != value
        root.locator("button").click()
        assert f"{name}." not in opened.url

    def test_the_legend_stands_beside_the_chart_and_names_each_law(self, opened):
        planner = opened.locator(".view").nth(7)
        assert set(planner.locator(".legend li").all_inner_texts()) == set(widgets.LAWS.values())
        assert planner.locator("svg[role=img] text:not(.grid text)").count() == 0  # lines would run through it

    def test_a_link_restores_the_state(self, opened, site):
        opened.goto("about:blank")
        opened.goto(f"{site}#power.E=0.5&repeats.epochs=10&repeats.U=nonsense")
        assert opened.locator(".view").nth(0).locator("output").first.inner_text() == "0.5"
        assert "read 10 times" in opened.locator(".view").nth(6).locator(".says").inner_text()

    def test_nothing_is_wider_than_a_phone(self, opened):
        opened.set_viewport_size({"width": 390, "height": 800})
        assert opened.evaluate("document.scrollingElement.scrollWidth") <= 390
        opened.set_viewport_size({"width": 1280, "height": 800})
