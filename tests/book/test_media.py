"""The built pages on a phone and on paper, opened from disk with the network cut off."""

import re

import pytest
from browsing import Visit, barriers, on_pages, weak_text

pytestmark = on_pages

# ---- On a phone ----

# Code, tables and long equations scroll in boxes of their own; the page itself never moves sideways.
TOO_WIDE = """document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
    .map(e => e.outerHTML.slice(0, 80)).concat('the page')"""


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


@pytest.fixture(scope="module")
def phone(pages, browser):
    def look(page):
        found = {"too wide": page.evaluate(TOO_WIDE), "moving": page.evaluate(MOVING)}
        found["first Tab stop that fails"] = no_way_past_the_frame(page)  # before anything is clicked
        found["small figure"] = figures_that_stay_small(page)
        return found | {"barriers": barriers(page) + barriers(page, "target-size")}  # a rule that axe leaves out

    window = {"viewport": {"width": 390, "height": 844}, "reduced_motion": "reduce"}
    return [Visit(browser, path, look, **window) for path in pages]


@pytest.mark.parametrize("what", ["barriers", "too wide", "first Tab stop that fails", "moving", "small figure"])
def test_pages_on_a_phone_have_no(what, phone):
    assert {visit.name: visit.seen[what] for visit in phone if visit.seen[what]} == {}


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
