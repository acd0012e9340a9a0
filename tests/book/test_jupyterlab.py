"""The views in a real JupyterLab: one notebook, a kernel, and Chromium at the other end of the wire."""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
import pytest
from browsing import CHROMIUM, QUIET, needs_chromium
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), needs_chromium]

PATIENCE = 90_000  # ms: the kernel imports torch, maybe on a busy core
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # the browser finds no other host
# A cell that is run before, opens a dialog.
READY = """() => {
    const session = window.jupyterapp.shell.currentWidget?.sessionContext;
    return session?.isReady && session.session?.kernel?.status === "idle";
}"""
RUN = """index => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    void window.jupyterapp.commands.execute("notebook:run-cell");
}"""
TOKEN = "of-this-test-only"
POINTS = [[1e3, 2.5], [1e4, 2.2]]


class Turned(NamedTuple):
    """The trait of a view's first slider, what its positions stand for, and a value for Python to set."""

    trait: str
    scale: Callable[[float], float]
    target: float


LINEAR, LOG = float, lambda position: 10**position
TURNED = {
    "PowerLaw": Turned("E", LINEAR, 0.5),
    "Plane": Turned("C", LOG, 1e22),
    "BatchTradeoff": Turned("B", LOG, 4096.0),
    "Valleys": Turned("octave", LINEAR, -8.0),
    "Parabola": Turned("alpha", LINEAR, 0.9),
    "Inference": Turned("C", LOG, 1e20),
    "Repeats": Turned("U", LOG, 1e12),
    "Lines": Turned("gap", LINEAR, 5.0),
    "Memory": Turned("V", LINEAR, 5.0),
    "Planner": Turned("C", LOG, 1e25),
    "Replay": Turned("share", LINEAR, 0.02),
    "Schedule": Turned("share", LINEAR, 0.5),
    "Study": Turned("warmup", LOG, 1e8),
    "Window": Turned("t", LINEAR, 3.0),
    "Coupled": Turned("k", LOG, 0.5),
    "Exact": Turned("C", LOG, 1e12),
}
TRAITS = {name: turned.trait for name, turned in TURNED.items()}
TARGETS = {name: turned.target for name, turned in TURNED.items()}
SETUP = f"""
import json, sys

sys.path[:0] = {[str(Path(__file__).parents[2] / folder) for folder in ("tests/book", "tests", "_ext")]}
from test_views import views
import scalinglaws as sl
from scalinglaws import counting, recipe
from scalinglaws.book import views as widgets
from scalinglaws.lab import corpus
from scalinglaws.lab.runtime import CPU

views = {{type(view).__name__: view for view in views()}}
symbols = corpus.markov(n_tokens=20_000)

def smallest():
    run = sl.train(recipe.SYNTHETIC.spec(8, 1), symbols, CPU)
    return counting.count(run.spec.model).n_params_nonemb, run.loss

power = widgets.PowerLaw({POINTS}, label="N")
"""
SHOW = [*(f"views[{name!r}]" for name in TURNED), "widgets.trainable(power, smallest)"]
READ = f"""
read = {{name: getattr(views[name], trait) for name, trait in {TRAITS}.items()}}
print(json.dumps(read | {{"points": power.data["points"]}}))
"""
SET = f"""
for name, value in {TARGETS}.items():
    setattr(views[name], {TRAITS}[name], value)
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """Return the notebook: the views, what reads their traits, and what sets them."""
    path = tmp_path_factory.mktemp("lab") / "views.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (SETUP, *SHOW, READ, SET)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


@pytest.fixture(scope="module")
def server(notebook):
    """Return the address of a JupyterLab that knows nothing of this user's; it and its kernels end with the tests."""
    home = notebook.parent / "home"
    runtime = home / "runtime"
    folders = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "data", "runtime")}
    environment = os.environ | folders | {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",  # any that is free
        f"--ServerApp.root_dir={notebook.parent}",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        # Should the tests be killed, it ends by itself.
        "--MappingKernelManager.cull_connected=True",
        "--MappingKernelManager.cull_idle_timeout=300",
        "--ServerApp.shutdown_no_activity_timeout=300",
    ]
    with (notebook.parent / "server.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        process = psutil.Popen(command, cwd=notebook.parent, env=environment, stdout=log, stderr=log)
    try:
        yield address(process, runtime, log=notebook.parent / "server.log")
    finally:
        if process.poll() is None:
            started = [process, *process.children(recursive=True)]
            process.terminate()  # the server ends its kernels first
            _, left = psutil.wait_procs(started, timeout=30)
            for each in left:
                each.kill()
            assert left == []


def address(process, runtime, log):
    """Return where the server listens, once it answers."""
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        told = [path.read_text() for path in runtime.glob("jpserver-*.json")]
        if told and told[0].endswith("}"):  # written to the end
            return json.loads(told[0])["url"]
        time.sleep(0.1)
    pytest.fail(f"no JupyterLab within a minute:\n{log.read_text()}")


class Lab:
    """A notebook in JupyterLab whose cells are run one after the other."""

    def __init__(self, page, server, name):
        self.page, self.server, self.trouble = page, server, []
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.goto(f"{server}lab/tree/{name}?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
        page.wait_for_function(READY, timeout=PATIENCE)
        self.done = 0

    def run(self, cells=1):
        """Run the next cells; return the output of the last one."""
        for _ in range(cells):
            self.page.evaluate(RUN, self.done)
            self.done += 1
        last = self.page.locator(".jp-Cell").nth(self.done - 1)
        expect(last.locator(".jp-InputArea-prompt")).to_have_text(f"[{self.done}]:", timeout=PATIENCE)
        assert self.page.locator(".jp-OutputArea-output[data-mime-type*=error]").all_inner_texts() == []
        return last.locator(".jp-OutputArea")

    def view(self, name):
        return self.page.locator(".jp-Cell").nth(1 + list(TURNED).index(name)).locator(".view")

    def drawn(self, name):
        """Return the picture of a view and its words."""
        return self.view(name).locator("svg[role=img]").inner_html(), self.view(name).locator(".says").inner_text()


@pytest.fixture(scope="module")
def lab(server, notebook):
    """Return the notebook after its views are shown."""
    assert CHROMIUM, "no Chromium, and REQUIRE_BROWSER is set"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, ONLY_HERE])
        # So tall that no cell is left out of the page for being far away.
        page = chromium.new_page(viewport={"width": 1280, "height": 9000})
        lab = Lab(page, server, notebook.name)
        lab.run(1 + len(SHOW))
        yield lab
        chromium.close()


@pytest.fixture(scope="module")
def turned(lab):
    """Return how each view's slider stood before and after a key, what was trained, and what Python read after it."""
    keys, trained = {}, lab.page.locator(".jp-Cell").nth(len(SHOW))
    for name in TURNED:
        slider = lab.view(name).locator("input[type=range]").first
        before = slider.input_value()
        slider.press("ArrowLeft" if before == slider.get_attribute("max") else "ArrowRight")
        keys[name] = float(before), float(slider.input_value())
    trained.locator("button", has_text="Train it").click()
    points = trained.locator("g[clip-path] circle.kind-0")
    expect(points).to_have_count(len(POINTS) + 1, timeout=PATIENCE)
    return keys, trained.locator(".jupyter-widgets.widget-label").inner_text(), json.loads(lab.run().inner_text())


@pytest.fixture(scope="module")
def told(lab, turned):
    """Return picture and words of each view before and after Python set its traits."""
    before = {name: lab.drawn(name) for name in TURNED}
    lab.run()
    for name in TURNED:
        expect(lab.view(name).locator(".says")).not_to_have_text(before[name][1], timeout=PATIENCE)
    return before, {name: lab.drawn(name) for name in TURNED}


@pytest.mark.parametrize("name", TURNED)
def test_a_view_shows(lab, name):
    expect(lab.view(name).locator("svg .axis")).to_have_count(2, timeout=PATIENCE)
    assert lab.view(name).locator("g[clip-path] > *").count() >= 2
    assert len(lab.view(name).locator(".says").inner_text()) > 20
    assert "view-place" not in lab.view(name).get_attribute("class")  # the one for pages without a kernel


@pytest.mark.parametrize("name", TURNED)
def test_turning_a_control_changes_the_trait(turned, name):
    (before, after), value = turned[0][name], turned[2][name]
    assert before != after
    assert value == pytest.approx(TURNED[name].scale(after), rel=1e-12)


@pytest.mark.parametrize("name", TURNED)
def test_setting_the_trait_changes_the_picture(told, name):
    before, after = told[0][name], told[1][name]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_button_trains_and_adds_a_point(turned):
    _, said, read = turned
    *old, (x, loss) = read["points"]
    assert old == POINTS
    assert said == f"x = {x:,.4g}: loss {loss:.4f}"
    assert 0 < loss < math.log(128)  # better than a guess among the source's symbols


def test_nothing_went_wrong_in_the_browser(lab, told):
    assert lab.trouble == []
