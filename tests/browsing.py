"""The pages of the book in Chromium, opened from disk with the network cut off."""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from wcag import contrast, luminance

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build/html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it finds no other host
]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"),
    reason=f"no Chromium: install one of {', '.join(NAMES)}, or name it in CHROMIUM",
)
on_pages = [
    pytest.mark.browser,
    pytest.mark.timeout(3600),  # the first of these tests waits for the build
    needs_chromium,
]


class Visit:
    """One page in a window of its own: what went wrong, what it asked for, and what `look` makes of it."""

    def __init__(self, browser, path, look, **window):
        self.name = path.relative_to(SITE).as_posix()
        self.trouble = []
        self.loaded = set()
        context = browser.new_context(**window)
        page = context.new_page()
        page.on("request", lambda request: self.loaded.add(request.url))  # to route them all costs seconds a page
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        page.goto(path.as_uri())  # until "load": before, the promise that follows may be another
        page.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        page.evaluate("document.fonts.ready.then(() => true)")
        self.seen = look(page)
        asked = [f"outside: {url}" for url in self.loaded if not url.startswith(("file:", "data:", "blob:"))]
        self.trouble = self.trouble + asked  # and not what follows, the closing of the window
        context.close()

    def hear(self, message):
        if message.type == "error":
            self.trouble.append(f"console: {message.text}")

    @property
    def weight(self):
        """Size of all files that the page loaded, in bytes."""
        files = {unquote(urlparse(url).path) for url in self.loaded if url.startswith("file:")}
        return sum(Path(name).stat().st_size for name in files if Path(name).is_file())


# Text and the first solid background behind it, for one element of each kind.
COLORS = """selectors => selectors.map(selector => [selector, document.querySelector(selector)])
    .filter(([, element]) => element)
    .map(([selector, element]) => {
        let behind = element;
        const color = e => getComputedStyle(e).backgroundColor;
        while (behind.parentElement && /rgba\\(.*, 0\\)|transparent/.test(color(behind))) behind = behind.parentElement;
        return [selector, getComputedStyle(element).color, color(behind)];
    })"""
READ = ["p", "h1", "a", "code", "th", "td", "figcaption", "summary", "pre span"]
READ += [".admonition-title", ".verdict", ".claim dt"]
READ = [f"article {selector}" for selector in READ] + [".bd-sidebar-primary a", ".bd-sidebar-primary .caption"]


def weak_text(page):
    """Return the kinds of text whose contrast is below WCAG's 4.5."""
    found = {}
    for selector, *colors in page.evaluate(COLORS, READ):
        rgb = [np.array(re.findall(r"[\d.]+", color)[:3], dtype=float) / 255 for color in colors]
        found[selector] = round(contrast(*map(luminance, rgb)), 2)
    return {selector: ratio for selector, ratio in found.items() if ratio < 4.5}


# One of each kind of text is marked: its color, size and weight, the first solid background, what it is seen through.
KINDS = """() => {
    const seen = new Set();
    for (const element of document.querySelectorAll("body *")) {
        element.removeAttribute("data-kind");
        if (![...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim())) continue;
        if (!element.checkVisibility()) continue;
        const { color, fontSize, fontWeight } = getComputedStyle(element);
        let solid = "", opacity = 1;
        for (let behind = element; behind; behind = behind.parentElement) {
            const style = getComputedStyle(behind);
            opacity *= style.opacity;
            if (!solid && !/rgba\\(.*, 0\\)|transparent/.test(style.backgroundColor)) solid = style.backgroundColor;
        }
        const kind = [color, fontSize, fontWeight, solid, opacity].join();
        if (!seen.has(kind)) element.setAttribute("data-kind", "");
        seen.add(kind);
    }
}"""
# Formulas have the color of the text around them, and code has few kinds of words: thousands of elements, one verdict.
THIN = """() => {
    const seen = new Set();
    window.formulas = [...document.querySelectorAll("mjx-container")].map(formula => {
        const place = document.createComment("");
        formula.replaceWith(place);
        return [place, formula];
    });
    for (const span of document.querySelectorAll(".highlight pre span")) {
        if (seen.has(span.className)) span.replaceWith(...span.childNodes);
        seen.add(span.className);
    }
}"""
WHOLE = "window.formulas.forEach(([place, formula]) => place.replaceWith(formula))"


@contextmanager
def thin(page):
    """Leave out of a page, for a while, what tells axe-core nothing new."""
    page.evaluate(THIN)
    yield
    page.evaluate(WHOLE)


def barriers(page, **rules):
    """Return what axe-core calls serious or critical, contrast apart; rules that it leaves out can be asked for."""
    asked = {rule.replace("_", "-"): {"enabled": enabled} for rule, enabled in rules.items()}
    return _violations(page, rules={"color-contrast": {"enabled": False}} | asked)


def faint_text(page):
    """Return where axe-core finds too little contrast, on one of each kind of text."""
    page.evaluate(KINDS)
    return _violations(page, "[data-kind]", runOnly=["color-contrast"])


def _violations(page, selector="html", **options):
    options = {"resultTypes": ["violations"], "preload": False} | options
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['html'][:120]}"
        for violation in page.evaluate("([part, options]) => axe.run(part, options)", [selector, options])["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
