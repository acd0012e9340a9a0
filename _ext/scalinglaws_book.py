"""Sphinx extension of the book: fresh numbers, no dead script, no picture without words, light pages, white paper."""

import re
import tomllib
from pathlib import Path
from typing import Any

import sphinx_thebe
from docutils import nodes
from execution import digest, execute_first
from pages import hold_together, link_codes, tell_panels
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def watch_inputs(app: Sphinx, config: Config) -> None:
    """Make old pages impossible.

    Each state of the inputs gets a cache of its own: Jupyter's looks at the code cells only, and serves old numbers.
    A changed style sheet writes all pages again: Sphinx copies it only when it has a page to write.
    """
    root = Path(app.srcdir)
    config.nb_execution_cache_path = str(Path(app.outdir).parent / "cache" / digest(root))
    config.book_assets = digest(root, ("assets",))


def silence_thebe(app: Sphinx, config: Config) -> None:
    """Keep thebe's scripts off the pages: unused here, and declared twice by Sphinx 7.4, an error in every console."""
    scripts = (sphinx_thebe.init_thebe_core, sphinx_thebe.update_thebe_context)
    listeners = [listener for event in app.events.listeners.values() for listener in event]
    for listener in listeners:
        if listener.handler in scripts:
            app.disconnect(listener.id)


def require_alt_text(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Warn, and so fail the build, about an image that a screen reader would read out as a file name."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            LOGGER.warning(
                "image %s has no alt text; a code cell takes it from its metadata, mystnb.image.alt",
                Path(image["uri"]).name,
                location=image.parent if image.line is None else image,
                type="scalinglaws",
                subtype="alt",
            )


def tell_minutes(app: Sphinx, doctree: nodes.document) -> None:
    """Write how long an exercise takes beside its title, from data/exercises.toml."""
    path, chapter = Path(app.srcdir) / "data/exercises.toml", Path(app.env.docname).name[:2]
    for box in doctree.findall(nodes.admonition):
        number = re.match(r"Exercise (\d+)", box.astext())
        if "exercise" in box["classes"] and number:
            app.env.note_dependency(path)
            words = tomllib.loads(path.read_text(encoding="utf-8"))[f"{chapter}-{number[1]}"]
            box[0] += nodes.inline("", f" ({words['minutes']} minutes)", classes=["minutes"])


def lighter(svg: str) -> str:
    """A figure of matplotlib's with less to load: hundredths of a point, short names, one style for equal marks."""
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(r'(<use [^>]*?x="[^"]*?\.\d\d)\d*(" y="[^"]*?\.\d\d)\d*"', r'\1\2"', svg)
    marks = re.compile(r'(<use [^>]*? (style="[^"]*")/>)(\s*<use [^>]*? \2/>)+')
    svg = marks.sub(lambda run: f"<g {run[2]}>{run[0].replace(' ' + run[2], '')}</g>", svg)
    for k, name in enumerate(dict.fromkeys(re.findall(r' id="([mp][0-9a-f]{10})"', svg))):
        svg = svg.replace(name, f"{name[0]}{k}")  # marks and frames by short names: each is named at every use
    return re.sub(r"\n\s+", "\n", svg)


def lighten_figures(app: Sphinx, exception: Exception | None) -> None:
    """Make the pages' figures smaller; a second time changes nothing."""
    for path in (Path(app.outdir) / "_images").glob("*.svg"):
        path.write_text(lighter(path.read_text(encoding="utf-8")), encoding="utf-8")


def leave_search_to_its_page(app: Sphinx, exception: Exception | None) -> None:
    """Load the index of words on the search page alone: the theme loads it everywhere, for a search as one types."""
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        lighter_text = re.sub(r'\s*<script src="[^"]*searchindex\.js"></script>', "", text)
        if path.name != "search.html" and lighter_text != text:
            path.write_text(lighter_text, encoding="utf-8")


def name_list_items(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give entries of the bibliography the role that their list needs; docutils' own is none of a list."""
    if 'role="doc-biblioentry"' in context.get("body", ""):
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect them to Sphinx, and put our scripts on every page."""
    app.add_config_value("book_assets", "", "html")
    app.add_js_file("print.js")
    app.add_js_file("figures.js")
    app.add_js_file("formulas.js")
    app.add_js_file("tables.js")
    app.add_js_file("claims.js")
    app.connect("config-inited", watch_inputs)
    app.connect("config-inited", silence_thebe)
    app.connect("env-before-read-docs", execute_first)
    app.connect("doctree-read", tell_minutes)
    app.connect("doctree-resolved", require_alt_text)
    app.connect("html-page-context", name_list_items)
    app.connect("html-page-context", link_codes)
    app.connect("html-page-context", hold_together)
    app.connect("html-page-context", tell_panels)
    app.connect("build-finished", lighten_figures)
    app.connect("build-finished", leave_search_to_its_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
