"""The built pages, opened in Chromium from disk with the network cut off: what `make book -W` cannot see."""

import io
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from making import OURS, make
from playwright.sync_api import sync_playwright
from wcag import contrast, luminance

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build/html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
GENERATED = ("genindex", "search")
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(3600),  # the first of these tests waits for the build
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"),
        reason=f"no Chromium: install one of {', '.join(NAMES)}, or name it in CHROMIUM",
    ),
]


@pytest.fixture(scope="module")
def site():
    """Return the folder of the book, built as `make book` builds it; takes seconds where it is up to date."""
    done = make("book", *OURS, folder=ROOT)
    if done.returncode:
        pytest.fail(f"make book failed:\n{done.stdout}{done.stderr}", pytrace=False)
    return SITE


@pytest.fixture(scope="module")
def pages(site):
    """Return every page of the book, without the one that only redirects to the first."""
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    return [path for path in found if 'http-equiv="Refresh"' not in path.read_text()]


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "no Chromium, and REQUIRE_BROWSER is set"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


class Visit:
    """One page in a window of its own without a network: what went wrong, and what `look` makes of the page."""

    def __init__(self, browser, path, look, until="load", **window):
        self.name = path.relative_to(SITE).as_posix()
        self.trouble = []
        context = browser.new_context(**window)
        context.route("**/*", self.only_from_disk)
        page = context.new_page()
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        page.goto(path.as_uri(), wait_until=until)
        page.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        page.evaluate("document.fonts.ready.then(() => true)")
        self.seen = look(page)
        self.trouble = list(self.trouble)  # what follows is the closing of the window
        context.close()

    def hear(self, message):
        if message.type == "error":
            self.trouble.append(f"console: {message.text}")

    def only_from_disk(self, route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.trouble.append(f"outside: {route.request.url}")
            route.abort()


# Each finds elements or text that should not be there.
FAULTS = {
    # What MathJax cannot read it shows in red or in an error box; what it never saw it leaves as it is.
    "untypeset": """[
        ...[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')),
        ...document.querySelectorAll('mjx-merror, [data-mjx-error], mjx-mtext[style*="red"]'),
    ].map(e => (e.closest('.math, mjx-container') ?? e).textContent)""",
    "images without words": r"""[...document.images]
        .filter(e => !e.alt.trim() || e.alt.includes('/') || /\.(svg|png|jpe?g|gif|webp)$/i.test(e.alt))
        .map(e => e.src)""",
    "images without a picture": "[...document.images].filter(e => e.complete && !e.naturalWidth).map(e => e.src)",
    "raw TeX": r"""(() => {
        const text = document.querySelector('article')?.cloneNode(true);
        text?.querySelectorAll('pre, code, script, mjx-container').forEach(e => e.remove());
        return text?.textContent.match(/\$[^$\n]+\$|\\[(\[]|\\(begin|frac|alpha|beta|times|text|mathrm|left)\b/g) ?? [];
    })()""",
}
# Code, tables and long equations scroll in boxes of their own; the page itself never moves sideways.
TOO_WIDE = """document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
    .map(e => e.outerHTML.slice(0, 80)).concat('the page')"""
# Text and the first solid background behind it, for one element of each kind.
COLORS = """selectors => selectors.map(selector => [selector, document.querySelector(selector)])
    .filter(([, element]) => element)
    .map(([selector, element]) => {
        let behind = element;
        const color = e => getComputedStyle(e).backgroundColor;
        while (behind.parentElement && /rgba\\(.*, 0\\)|transparent/.test(color(behind))) behind = behind.parentElement;
        return [selector, getComputedStyle(element).color, color(behind)];
    })"""
READ = ["p", "h1", "a", "code", "th", "figcaption", ".admonition-title", ".verdict", ".claim dt", "summary", "pre span"]
READ = [f"article {selector}" for selector in READ] + [".bd-sidebar-primary a", ".bd-sidebar-primary .caption"]


def weak_text(page):
    """Return the kinds of text whose contrast is below WCAG's 4.5."""
    found = {}
    for selector, *colors in page.evaluate(COLORS, READ):
        rgb = [np.array(re.findall(r"[\d.]+", color)[:3], dtype=float) / 255 for color in colors]
        found[selector] = round(contrast(*map(luminance, rgb)), 2)
    return {selector: ratio for selector, ratio in found.items() if ratio < 4.5}


def glaring_figures(page):
    """Return the figures that are not light on dark."""
    found = {}
    for figure in page.locator("article .cell_output img").all():
        light = luminance(plt.imread(io.BytesIO(figure.screenshot()), format="png")[..., :3])
        paper = np.median(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]))  # the rim is background
        if paper > 0.03 or contrast(paper, light.max()) < 4.5:
            found[figure.get_attribute("src")] = f"background {paper:.2f}, lightest {light.max():.2f}"
    return found


@pytest.fixture(scope="module")
def desktop(pages, browser):
    def look(page):
        faults = {what: page.evaluate(script) for what, script in FAULTS.items()}
        return faults | {"title": page.title(), "weak text": weak_text(page)}

    return [Visit(browser, path, look, until="networkidle", color_scheme="light") for path in pages]


@pytest.fixture(scope="module")
def dark(pages, browser):
    def look(page):
        return {"weak text": weak_text(page), "glaring figures": glaring_figures(page)}

    return [Visit(browser, path, look, color_scheme="dark") for path in pages]


@pytest.fixture(scope="module")
def phone(pages, browser):
    window = {"width": 390, "height": 844}
    return [Visit(browser, path, lambda page: page.evaluate(TOO_WIDE), viewport=window) for path in pages]


def faults(visits, what):
    """Return one kind of fault, by page."""
    return {visit.name: visit.seen[what] for visit in visits if visit.seen[what]}


def test_every_page_of_the_contents_is_there(pages):
    names = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert names == {toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"]), *GENERATED}


def test_pages_open_without_an_error_and_ask_nothing_of_the_network(desktop):
    assert {visit.name: visit.trouble for visit in desktop if visit.trouble} == {}


@pytest.mark.parametrize("what", FAULTS)
def test_pages_have_no(desktop, what):
    assert faults(desktop, what) == {}


def test_every_page_has_a_title_of_its_own(desktop):
    titles = Counter(visit.seen["title"] for visit in desktop)
    assert [title for title, count in titles.items() if count > 1 or not title.strip()] == []


def test_pages_fit_a_phone(phone):
    assert {visit.name: visit.seen for visit in phone if visit.seen} == {}


def test_text_has_contrast(desktop):
    assert faults(desktop, "weak text") == {}


def test_text_has_contrast_in_the_dark(dark):
    assert faults(dark, "weak text") == {}


def test_figures_are_light_on_dark_in_the_dark(dark):
    assert faults(dark, "glaring figures") == {}
