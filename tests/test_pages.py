"""The built pages, opened in Chromium from disk with the network cut off: what `make book -W` cannot see."""

import io
import itertools
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlparse

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from making import OURS, make
from playwright.sync_api import sync_playwright
from scalinglaws_book import lighter
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

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"),
    reason=f"no Chromium: install one of {', '.join(NAMES)}, or name it in CHROMIUM",
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(3600),  # the first of these tests waits for the build
    needs_chromium,
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
        self.loaded = set()
        context = browser.new_context(**window)
        context.route("**/*", self.only_from_disk)
        page = context.new_page()
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        page.goto(path.as_uri())  # until "load": before, the promise that follows may be another
        page.wait_for_load_state(until)
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
            self.loaded.add(route.request.url)
            route.continue_()
        else:
            self.trouble.append(f"outside: {route.request.url}")
            route.abort()

    @property
    def weight(self):
        """Size of all files that the page loaded, in bytes."""
        files = {unquote(urlparse(url).path) for url in self.loaded if url.startswith("file:")}
        return sum(Path(name).stat().st_size for name in files)


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


AXE = Axe()
ONLY_CONTRAST = {"runOnly": ["color-contrast"]}
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
# Formulas have the color of the text around them, and code has few kinds of words: thousands of elements, one verdict.
THIN = """() => {
    const seen = new Set();
    document.querySelectorAll("mjx-container").forEach(e => e.remove());
    for (const span of document.querySelectorAll(".highlight pre span")) {
        if (seen.has(span.className)) span.replaceWith(...span.childNodes);
        seen.add(span.className);
    }
}"""


# The second look at colors, in the dark, is at one of each kind; what is many of a kind was looked at in the light.
ONE_OF_A_KIND = """() => {
    const seen = new Set();
    for (const claim of document.querySelectorAll(".claim")) {
        const kind = claim.className + claim.querySelector(".verdict")?.className;
        if (seen.has(kind)) claim.remove();
        seen.add(kind);
    }
    document.querySelectorAll("tr:nth-child(n+4), .highlight ~ button svg").forEach(e => e.remove());
}"""


def barriers(page, **rules):
    """Return what axe-core calls serious or critical; the page has lost its formulas afterwards."""
    page.evaluate(THIN)
    options = {"resultTypes": ["violations"], "preload": False} | rules
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['html'][:120]}"
        for violation in AXE.run(page, options=options).response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


LEVELS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(e => !e.closest(".onlyprint"))
    .map(e => Number(e.tagName[1]))"""


def broken_headings(page):
    """Return the levels of the headings where there is not one title, or a level is skipped."""
    levels = page.evaluate(LEVELS)
    steps = itertools.pairwise(levels)
    return [] if levels.count(1) == 1 and levels[0] == 1 and all(b <= a + 1 for a, b in steps) else levels


def no_way_past_the_frame(page):
    """Return what the first Tab stop is, where it is not a link to be seen that leads into the text."""
    page.keyboard.press("Tab")
    link = page.evaluate("document.activeElement.textContent.trim()")
    shown = page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.querySelector('main').contains(document.activeElement)")
    return [] if link == "Skip to main content" and shown and inside else [link, shown, inside]


def figures_that_stay_small(page):
    """Return the widths of the first figure before, between and after two taps, where they do not show it in full."""
    figure, widths = page.locator(".enlarge").first, []
    if page.locator("article .cell_output img").count() == 0:
        return []
    for _ in range(3):
        widths.append(figure.locator("img").bounding_box()["width"])
        sideways = page.evaluate(TOO_WIDE)
        figure.click()
    return [] if widths[0] == widths[2] < 390 < widths[1] and not sideways else widths


# What still moves though the reader asked for less of it.
MOVING = """[...document.querySelectorAll("*")].filter(e => {
    const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(e);
    return /[1-9]/.test(transitionDuration) || animationName !== "none" || scrollBehavior === "smooth";
}).slice(0, 5).map(e => e.outerHTML.slice(0, 80))"""
DOWNLOADS = """[...document.querySelectorAll(".dropdown-download-buttons :is(a, button)[class*=btn-download]")]
    .map(e => e.href?.split(".").pop() ?? e.getAttribute("onclick"))"""


@pytest.fixture(scope="module")
def desktop(pages, browser):
    def look(page):
        found = {what: page.evaluate(script) for what, script in FAULTS.items()}
        found |= {"title": page.title(), "weak text": weak_text(page), "downloads": page.evaluate(DOWNLOADS)}
        return found | {"level of heading skipped": broken_headings(page), "barriers": barriers(page)}

    return [Visit(browser, path, look, until="networkidle", color_scheme="light") for path in pages]


@pytest.fixture(scope="module")
def dark(pages, browser):
    def look(page):
        found = {"weak text": weak_text(page), "glaring figures": glaring_figures(page)}
        page.evaluate(ONE_OF_A_KIND)
        return found | {"barriers": barriers(page, **ONLY_CONTRAST)}

    return [Visit(browser, path, look, color_scheme="dark") for path in pages]


@pytest.fixture(scope="module")
def phone(pages, browser):
    def look(page):
        found = {"too wide": page.evaluate(TOO_WIDE), "moving": page.evaluate(MOVING)}
        found["first Tab stop that fails"] = no_way_past_the_frame(page)  # before anything is clicked
        found["small figure"] = figures_that_stay_small(page)
        return found | {"barriers": barriers(page, **ALL_BUT_CONTRAST)}

    window = {"viewport": {"width": 390, "height": 844}, "reduced_motion": "reduce"}
    return [Visit(browser, path, look, **window) for path in pages]


def faults(visits, what):
    """Return one kind of fault, by page."""
    return {visit.name: visit.seen[what] for visit in visits if visit.seen[what]}


def test_every_page_of_the_contents_is_there(pages):
    names = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert names == {toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"]), *GENERATED}


def test_pages_open_without_an_error_and_ask_nothing_of_the_network(desktop):
    assert {visit.name: visit.trouble for visit in desktop if visit.trouble} == {}


@pytest.mark.parametrize(
    ("look", "what"),
    [
        *(("desktop", what) for what in (*FAULTS, "level of heading skipped", "barriers", "weak text")),
        *(("dark", what) for what in ("barriers", "weak text", "glaring figures")),
        *(("phone", what) for what in ("barriers", "too wide", "first Tab stop that fails", "moving", "small figure")),
    ],
)
def test_pages_have_no(look, what, request):
    assert faults(request.getfixturevalue(look), what) == {}


def test_every_page_has_a_title_of_its_own(desktop):
    titles = Counter(visit.seen["title"] for visit in desktop)
    assert [title for title, count in titles.items() if count > 1 or not title.strip()] == []


def test_no_page_is_heavier_than_three_megabytes(desktop):
    assert {visit.name: visit.weight for visit in desktop if not 1e5 < visit.weight <= 3e6} == {}


def test_every_page_can_be_downloaded_and_printed(desktop):
    for visit in desktop:
        if visit.name.startswith("chapters/"):
            assert visit.seen["downloads"] == ["ipynb", "window.print()"], visit.name
        elif Path(visit.name).stem not in GENERATED:
            assert visit.seen["downloads"][-1] == "window.print()", visit.name


def test_figures_look_the_same_after_they_were_made_lighter(browser):
    figure, ax = plt.subplots()
    x = np.linspace(0, 7, 300)
    ax.plot(x, np.sin(x), "o-", color="tab:green", alpha=0.5)
    ax.scatter(x, np.cos(x), s=9, c=np.where(x < 3, "tab:blue", "tab:red"))
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    plt.close(figure)
    svg, page, pictures = drawn.getvalue(), browser.new_page(), []
    for each in (svg, lighter(svg)):
        page.set_content(each[each.index("<svg") :])
        pictures.append(plt.imread(io.BytesIO(page.locator("svg").screenshot()), format="png"))
    page.close()
    # A hundredth of a point is a shade at an edge (0.18 at most, measured); a mark lost or of another color is 0.4.
    assert np.abs(pictures[0] - pictures[1]).max() < 0.25
    assert len(lighter(svg)) < 0.7 * len(svg)
    assert lighter(lighter(svg)) == lighter(svg)


# ---- On paper ----

PRINTED = "chapters/11_chinchilla.html"  # it has figures, tables, a view and folded solutions
PAPER = {"width": 664, "height": 980}  # A4 less the margins of the style sheet, in pixels of 1/96 inch
ON_PAPER = """() => {
    const all = selector => [...document.querySelectorAll(selector)];
    const shown = selector => all(selector).filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80));
    return {
        text: document.body.innerText,
        frame: shown("nav, button, header, select, input, .bd-sidebar, .headerlink, .toggle-button"),
        views: shown("article .view svg[role=img]"),
        folded: all(".tag_hide-cell details:not([open]), .toggle-hidden").length,
        breaking: all("article :is(figure, .view, .cell_output img)").filter(e => e.checkVisibility())
            .filter(e => getComputedStyle(e).breakInside !== "avoid").map(e => e.outerHTML.slice(0, 80)),
        appearing: all("article *").filter(e => getComputedStyle(e).animationName !== "none").length,
        paper: getComputedStyle(document.body).backgroundColor,
        height: document.documentElement.scrollHeight,
    };
}"""
HEADINGS = """[...document.querySelectorAll("article :is(h1, h2, h3)")].map(e => {
    const words = e.cloneNode(true);
    words.querySelector(".headerlink")?.remove();
    return words.textContent.trim();
})"""


@pytest.fixture(scope="module")
def paper(site, browser):
    """Return one chapter, opened in the dark: what is on its sheets, and their PDF."""

    def look(page):
        before = page.evaluate(STATE)
        seen = {"headings": page.evaluate(HEADINGS)}
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        seen |= page.evaluate(ON_PAPER) | {"weak text": weak_text(page)}
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="null")  # what a page has by itself; "screen" would be printed
        seen["pdf"] = page.pdf(format="A4", prefer_css_page_size=True, tagged=True, outline=True)
        return seen | {"before": before, "after": page.evaluate(STATE)}

    return Visit(browser, site / PRINTED, look, color_scheme="dark", viewport=PAPER).seen


STATE = "[document.documentElement.dataset.theme, document.querySelectorAll('details[open], .toggle-hidden').length]"


def test_paper_has_the_text_and_none_of_the_frame(paper):
    title = paper["headings"][0]
    assert paper["text"].split("\n")[0].replace(" ", "") == title.replace(" ", "")
    assert paper["frame"] == []
    assert "Show the code" not in paper["text"]
    assert [
        word for word in ("Errata", "Search", "Previous", "next", "Skip to") if f"\n{word}\n" in paper["text"]
    ] == []


def test_paper_is_white_in_the_dark_too(paper):
    assert paper["paper"] == "rgb(255, 255, 255)"
    assert paper["weak text"] == {}
    assert paper["before"] == paper["after"]
    assert paper["before"][0] == "dark"


def test_paper_has_open_solutions_whole_figures_and_still_views(paper):
    assert (paper["folded"], paper["appearing"]) == (0, 0)
    assert paper["breaking"] == []
    assert len(paper["views"]) == 1


def test_a_printed_chapter_is_a_pdf_of_its_sections(paper):
    titles = re.findall(rb"/Title ?[(<]", paper["pdf"])
    assert len(titles) == 1 + len(paper["headings"])  # the document's own, and the outline
    sheets = len(re.findall(rb"/Type\s*/Page\b", paper["pdf"]))
    least = -(-paper["height"] // PAPER["height"])
    assert least <= sheets <= 1.5 * least  # what may not break leaves room on a sheet
