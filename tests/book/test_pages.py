"""The built pages on a desktop by day and by night, on a phone and on paper, opened from disk without a network.

Each page is opened once: what all tests look at is gathered on that visit. `make book -W` sees none of this.
"""

import io
import itertools
import re
from collections import Counter
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from browsing import ROOT, SITE, Visit, barriers, faint_text, on_pages, thin, weak_text
from scalinglaws_book import lighter
from wcag import contrast, luminance

from scalinglaws.book import ledger

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


UNFOLD = """window.unfolded = [...document.querySelectorAll("article details:not([open])")]
    .filter(e => e.querySelector("img"));
window.unfolded.forEach(e => e.open = true)"""
FOLD = "window.unfolded.forEach(e => e.open = false)"


def glaring_figures(page):
    """Return the figures, folded ones too, that are not light on dark."""
    found = {}
    page.evaluate(UNFOLD)
    for figure in page.locator("article .cell_output img").all():
        light = luminance(plt.imread(io.BytesIO(figure.screenshot()), format="png")[..., :3])
        paper = np.median(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]))  # the rim is background
        if paper > 0.03 or contrast(paper, light.max()) < 4.5:
            found[figure.get_attribute("src")] = f"background {paper:.2f}, lightest {light.max():.2f}"
    page.evaluate(FOLD)
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


# How long a chapter is before its exercises, in screens and pixels, and what of it is folded away does not count.
MEASURES = """() => {
    const last = [...document.querySelectorAll("article h2")].find(e => /Exercises/.test(e.textContent));
    if (!last) return null;
    const top = e => e.getBoundingClientRect().top + scrollY, end = top(last);
    const before = selector => [...document.querySelectorAll(`article ${selector}`)]
        .filter(e => e.checkVisibility() && top(e) < end);
    const height = selector => before(selector).reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
    const prose = height("section > :is(p, ul, ol, dl, div.math, div.lead, .admonition)"), code = height(".cell_input");
    return {
        screens: end / innerHeight, prose, code, cards: before(".claim").length,
        views: document.querySelectorAll("article .view").length,
    };
}"""


# ---- On a phone ----

# Code and wide tables scroll in boxes of their own; formulas and the page itself never move sideways.
TOO_WIDE = """document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
    .map(e => e.outerHTML.slice(0, 80)).concat('the page')"""
SIDEWAYS = """[...document.querySelectorAll('article div.math mjx-container')]
    .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80))"""


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
    """Return the figures that neither stack their panels nor become larger at a tap.

    Of the first that should become larger, the widths before, between and after two taps that do not show it whole.
    """
    if left := page.locator("article .cell_output img:not(.enlarge img, .panel img)").all():
        return [figure.get_attribute("src") for figure in left]
    figure, widths = page.locator(".enlarge").first, []
    if page.locator(".enlarge").count() == 0:
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
STATE = "[document.documentElement.dataset.theme, document.querySelectorAll('details[open], .toggle-hidden').length]"


# ---- What is there ----

DESKTOP = {"width": 1300, "height": 900}

# A phone's page has the same text, and all of axe-core's rules are put to it there; a desktop adds the frame around it,
# which is the same on all pages of a kind.
WIDE = ("/intro.html", "/claims.html", "/api/laws.html", "/chapters/11_chinchilla.html")


def on_a_desktop(page):
    """Return what is seen by day, and by night."""
    day = {what: page.evaluate(script) for what, script in FAULTS.items()}
    day |= {"title": page.title(), "weak text": weak_text(page), "downloads": page.evaluate(DOWNLOADS)}
    day |= {"level of heading skipped": broken_headings(page), "measures": page.evaluate(MEASURES)}
    with thin(page):
        day |= {"barriers": barriers(page) if page.url.endswith(WIDE) else [], "faint text": faint_text(page)}
        dress(page, color_scheme="dark", reduced_motion="reduce")  # at once, without a transition
        night = {"weak text": weak_text(page), "faint text": faint_text(page), "glaring figures": glaring_figures(page)}
    return {"day": day, "night": night}


def dress(page, **media):
    """Give a page another color scheme or less motion, and wait until it has its theme."""
    page.emulate_media(**media)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=media["color_scheme"])


def on_a_phone(page):
    """Return what is seen on a narrow screen."""
    dress(page, color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    seen = {"too wide": page.evaluate(TOO_WIDE), "sideways": page.evaluate(SIDEWAYS), "moving": page.evaluate(MOVING)}
    seen["first Tab stop that fails"] = no_way_past_the_frame(page)  # before anything is clicked
    seen["small figure"] = figures_that_stay_small(page)
    page.wait_for_timeout(400)  # the theme gives boxes that scroll a Tab stop 300 ms after a window has a new size
    with thin(page):
        return seen | {"barriers": barriers(page, target_size=True)}


def on_paper(page):
    """Return what is on the sheets of a page that was opened in the dark, and their PDF."""
    dress(page, color_scheme="dark", reduced_motion="no-preference")
    page.set_viewport_size(PAPER)
    seen = {"headings": page.evaluate(HEADINGS), "before": page.evaluate(STATE)}
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen |= page.evaluate(ON_PAPER) | {"weak text": weak_text(page)}
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="null")  # what a page has by itself; "screen" would be printed
    seen["pdf"] = page.pdf(format="A4", prefer_css_page_size=True, tagged=True, outline=True)
    return seen | {"after": page.evaluate(STATE)}


def look(page):
    seen = on_a_desktop(page)
    if page.url.endswith(PRINTED):
        seen["paper"] = on_paper(page)
    return seen | {"phone": on_a_phone(page)}


@pytest.fixture(scope="module")
def visits(pages, browser):
    """Return a visit to every page."""
    return [Visit(browser, path, look, color_scheme="light", viewport=DESKTOP) for path in pages]


# ---- What must be ----


def test_every_page_of_the_contents_is_there(pages):
    names = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert names == {toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"]), *GENERATED}


def test_pages_open_without_an_error_and_ask_nothing_of_the_network(visits):
    assert {visit.name: visit.trouble for visit in visits if visit.trouble} == {}


@pytest.mark.parametrize(
    ("when", "what"),
    [
        *(("day", what) for what in (*FAULTS, "level of heading skipped", "barriers", "weak text", "faint text")),
        *(("night", what) for what in ("weak text", "faint text", "glaring figures")),
        *(
            ("phone", what)
            for what in ("barriers", "too wide", "sideways", "first Tab stop that fails", "moving", "small figure")
        ),
    ],
)
def test_pages_have_no(when, what, visits):
    assert {visit.name: visit.seen[when][what] for visit in visits if visit.seen[when][what]} == {}


def dead_links(pages):
    """Return the links of pages to a place that their file, or another of these, does not have, by page."""
    texts = {path.resolve(): path.read_text(encoding="utf-8") for path in pages}
    places = {path: {unescape(id) for id in re.findall(r'\bid="([^"]+)"', text)} for path, text in texts.items()}
    dead = {}
    for path, text in texts.items():
        for file, place in re.findall(r'<a\b[^>]*\bhref="([^"#:]*)#([^"]+)"', text):
            target = (path.parent / unquote(file)).resolve() if file else path
            if target.suffix == ".html" and unescape(unquote(place)) not in places.get(target, ()):
                dead.setdefault(path.name, []).append(f"{file}#{place}")
    return dead


def test_links_lead_to_a_place(pages):
    assert dead_links(pages) == {}


def test_dead_links_are_seen(tmp_path):
    here, there = tmp_path / "a.html", tmp_path / "b.html"
    here.write_text('<p id="x"><a href="#x"></a><a class="c" href="b.html#y%C3%A9"></a><a href="b.html#z"></a></p>')
    there.write_text('<p id="yé"><a href="a.html#y"></a><a href="c.html#x"></a></p>', encoding="utf-8")
    assert dead_links([here, there]) == {"a.html": ["b.html#z"], "b.html": ["a.html#y", "c.html#x"]}


def test_every_claim_of_the_ledger_is_on_its_page_and_no_other(pages):
    """Whether other people's runs are on the machine that builds the book, or not."""
    shown = {
        (path.stem, claim)
        for path in pages
        for claim in re.findall(r'\bid="claim-([^"]+)"', path.read_text(encoding="utf-8"))
    }
    rows = ledger.read()
    assert shown == set(zip(rows["notebook"], rows["id"], strict=True))


def test_every_page_has_a_title_of_its_own(visits):
    titles = Counter(visit.seen["day"]["title"] for visit in visits)
    assert [title for title, count in titles.items() if count > 1 or not title.strip()] == []


def test_the_search_page_alone_has_the_index_of_words_and_finds(browser, visits):
    assert [visit.name for visit in visits if any("searchindex" in url for url in visit.loaded)] == ["search.html"]
    page = browser.new_page()
    page.goto((SITE / "search.html").as_uri() + "?q=isoflop")
    page.wait_for_selector("#search-results li a[href*='chapters/']", timeout=10_000)
    page.close()


def test_no_page_is_heavier_than_three_megabytes(visits):
    assert {visit.name: visit.weight for visit in visits if not 1e5 < visit.weight <= 3e6} == {}


SCREENS = 12


def test_chapters_are_short_and_teach_more_than_they_compute(visits):
    """What a reader scrolls through up to the exercises, and that each chapter has a view to turn."""
    chapters = {Path(visit.name).stem: visit.seen["day"]["measures"] for visit in visits if "chapters/" in visit.name}
    chapters = {name: of for name, of in chapters.items() if of}
    assert len(chapters) >= 15
    assert {name: of["screens"] for name, of in chapters.items() if of["screens"] > SCREENS} == {}
    assert [name for name, of in chapters.items() if of["prose"] <= of["code"]] == []
    assert {name: of["cards"] for name, of in chapters.items() if of["cards"] > 6} == {}
    assert [name for name, of in chapters.items() if not of["views"]] == []


def test_every_page_can_be_downloaded_and_printed(visits):
    for visit in visits:
        if visit.name.startswith("chapters/"):
            assert visit.seen["day"]["downloads"] == ["ipynb", "window.print()"], visit.name
        elif Path(visit.name).stem not in GENERATED:
            assert visit.seen["day"]["downloads"][-1] == "window.print()", visit.name


@pytest.fixture(scope="module")
def paper(visits):
    """Return what one chapter is on paper."""
    (seen,) = [visit.seen["paper"] for visit in visits if visit.name == PRINTED]
    return seen


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


def test_the_cheat_sheet_is_one_printed_page(browser, site):
    page = browser.new_page(viewport=PAPER)
    page.goto((site / "chapters/15_summary.html").as_uri())
    page.wait_for_selector(".cheat-sheet tr:last-child mjx-container")
    page.emulate_media(media="print")
    sheet = page.locator(".cheat-sheet")
    breaks = sheet.evaluate("e => [getComputedStyle(e).breakBefore, getComputedStyle(e).breakAfter]")
    wide = sheet.locator("table").evaluate("e => e.scrollWidth - e.clientWidth")
    height = sheet.bounding_box()["height"]
    page.close()
    assert (breaks, wide) == (["page", "page"], 0)
    assert 0.4 * PAPER["height"] < height < PAPER["height"]


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
