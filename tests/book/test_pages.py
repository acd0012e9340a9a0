"""The built pages on a desktop, by day and by night, opened from disk with the network cut off.

`make book -W` sees none of this.
"""

import io
import itertools
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from browsing import ROOT, SITE, Visit, barriers, faint_text, on_pages, weak_text
from scalinglaws_book import lighter
from wcag import contrast, luminance

GENERATED = ("genindex", "search")
pytestmark = on_pages

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


def glaring_figures(page):
    """Return the figures that are not light on dark."""
    found = {}
    for figure in page.locator("article .cell_output img").all():
        light = luminance(plt.imread(io.BytesIO(figure.screenshot()), format="png")[..., :3])
        paper = np.median(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]))  # the rim is background
        if paper > 0.03 or contrast(paper, light.max()) < 4.5:
            found[figure.get_attribute("src")] = f"background {paper:.2f}, lightest {light.max():.2f}"
    return found


LEVELS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(e => !e.closest(".onlyprint"))
    .map(e => Number(e.tagName[1]))"""


def broken_headings(page):
    """Return the levels of the headings where there is not one title, or a level is skipped."""
    levels = page.evaluate(LEVELS)
    steps = itertools.pairwise(levels)
    return [] if levels.count(1) == 1 and levels[0] == 1 and all(b <= a + 1 for a, b in steps) else levels


DOWNLOADS = """[...document.querySelectorAll(".dropdown-download-buttons :is(a, button)[class*=btn-download]")]
    .map(e => e.href?.split(".").pop() ?? e.getAttribute("onclick"))"""


@pytest.fixture(scope="module")
def desktop(pages, browser):
    def look(page):
        day = {what: page.evaluate(script) for what, script in FAULTS.items()}
        day |= {"title": page.title(), "weak text": weak_text(page), "downloads": page.evaluate(DOWNLOADS)}
        day |= {"level of heading skipped": broken_headings(page), "barriers": barriers(page)}
        day |= {"faint text": faint_text(page)}
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # at once, without a transition
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        night = {"weak text": weak_text(page), "glaring figures": glaring_figures(page), "faint text": faint_text(page)}
        return {"day": day, "night": night}

    return [Visit(browser, path, look, color_scheme="light") for path in pages]


def test_every_page_of_the_contents_is_there(pages):
    names = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert names == {toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"]), *GENERATED}


def test_pages_open_without_an_error_and_ask_nothing_of_the_network(desktop):
    assert {visit.name: visit.trouble for visit in desktop if visit.trouble} == {}


@pytest.mark.parametrize(
    ("when", "what"),
    [
        *(("day", what) for what in (*FAULTS, "level of heading skipped", "barriers", "weak text", "faint text")),
        *(("night", what) for what in ("weak text", "faint text", "glaring figures")),
    ],
)
def test_pages_have_no(when, what, desktop):
    assert {visit.name: visit.seen[when][what] for visit in desktop if visit.seen[when][what]} == {}


def test_every_page_has_a_title_of_its_own(desktop):
    titles = Counter(visit.seen["day"]["title"] for visit in desktop)
    assert [title for title, count in titles.items() if count > 1 or not title.strip()] == []


def test_no_page_is_heavier_than_three_megabytes(desktop):
    assert {visit.name: visit.weight for visit in desktop if not 1e5 < visit.weight <= 3e6} == {}


def test_every_page_can_be_downloaded_and_printed(desktop):
    for visit in desktop:
        if visit.name.startswith("chapters/"):
            assert visit.seen["day"]["downloads"] == ["ipynb", "window.print()"], visit.name
        elif Path(visit.name).stem not in GENERATED:
            assert visit.seen["day"]["downloads"][-1] == "window.print()", visit.name


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
