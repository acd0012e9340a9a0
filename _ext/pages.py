"""What is done to the pages when their words stand: codes lead to their rows, and a phone learns where figures part."""

import csv
import html
import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PUBLISHED = "published"  # the page of published figures
CODE = re.compile(r"\b[A-Z]\d\d\b")
# TeX, scripts (where `i<a` begins no link) and tags
UNTOUCHED = re.compile(r'(?s)(<(?:div|span) class="math.*?</(?:div|span)>|<script\b.*?</script>|<[^>]*>)')
WORD_OF_CODE = '<span class="pre">'  # in the text
NOT_PROSE = re.compile(r"(?s)(<pre\b.*?</pre>|<script\b.*?</script>|<[^>]*>)")
SIGN = re.compile(" × |± ")  # a line may end before ±
FORMULA = re.compile(r'(?s)([(\[“]*)(<span class="math[^>]*>\\\(.*?\\\)</span>)([.,;:!?)\]”’]*)')


@cache
def rows(root: Path) -> dict[str, str]:
    """What each published row is about, by its code."""
    path = root / "data" / "published" / "published.csv"
    if not path.is_file():  # another book than ours
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["quantity"] for row in csv.DictReader(file)}


def link_codes(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Let each code of a published row, such as K41, lead to its row: in the text, in claims and in tables.

    Left alone are code (unless it is nothing else), formulas, headings, links, attributes, and the page of published
    figures itself.
    """
    if page == PUBLISHED or "body" not in context:
        return
    known, address = rows(Path(app.srcdir)), context["pathto"](PUBLISHED)

    def linked(match: re.Match[str]) -> str:
        code = match[0]
        about = html.escape(known.get(code, ""), quote=True)
        return f'<a class="published" href="{address}#{code}" title="{about}">{code}</a>' if code in known else code

    parts, closed = UNTOUCHED.split(context["body"]), []
    for i, part in enumerate(parts):
        tag = re.match(r"<(/?)(a|pre|h\d|style|svg|button|option)\b", part)
        if tag and tag[1]:
            closed = closed[:-1]
        elif tag and not part.endswith("/>"):
            closed.append(tag[2])
        elif closed or part.startswith("<"):
            continue
        elif CODE.fullmatch(part) or parts[max(i - 1, 0)] != WORD_OF_CODE:
            parts[i] = CODE.sub(linked, part)
    context["body"] = "".join(parts)


def hold_together(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Keep the period after a formula, and the bracket before it, on its line: MathJax sets it as a box of its own.

    And keep a number on one line, such as 8 × 10¹³ or ± 0.09.
    """
    if "body" in context:
        held = r'<span class="held">\1\2\3</span>'
        parts = NOT_PROSE.split(FORMULA.sub(lambda m: m.expand(held) if m[1] or m[3] else m[0], context["body"]))
        parts[::2] = [SIGN.sub(lambda m: m[0].replace(" ", "\u00a0"), words) for words in parts[::2]]
        context["body"] = "".join(parts)


def between_panels(svg: str) -> list[float]:
    """Where a figure of matplotlib's can be cut into panels, as shares of its width; none if they do not lie in a row.

    A cut is just left of what labels the next panel's axis.
    """
    width = re.search(r'viewBox="0 0 ([\d.]+) ', svg)
    frame = r'\s*<g id="patch_\d+">\s*<path d="M ([\d.]+) ([\d.]+)\s+L ([\d.]+) [\d.]+'
    text = r'"translate\(([\d.]+) [\d.]+\)( rotate\(-90\))? scale\(([\d.]+) '  # upright ones by their foot
    panels = []
    for panel in re.split(r'<g id="axes_\d+">', svg)[1:]:
        if found := re.match(frame, panel):
            left, top, right = (float(x) for x in found.groups())
            texts = (float(x) - (80 * float(size) if upright else 0) for x, upright, size in re.findall(text, panel))
            panels.append((left, right, top, min([left - 4, *texts])))  # ticks stand out by 3.5
    panels.sort()
    in_a_row = all(a[1] < b[0] and abs(a[2] - b[2]) < 1 for a, b in itertools.pairwise(panels))
    if not width or len(panels) not in (2, 3) or not in_a_row:
        return []
    return [max(a[1] + 2, b[3] - 2) / float(width[1]) for a, b in itertools.pairwise(panels)]


def tell_panels(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Write the places where figures part into their images, for figures.js."""
    sources = {name: path for path, (_, name) in app.env.images.items()}

    def told(match: re.Match[str]) -> str:
        path = Path(app.srcdir) / sources.get(match[1], "")
        cuts = between_panels(path.read_text(encoding="utf-8")) if path.suffix == ".svg" and path.is_file() else []
        return f'{match[0]} data-cuts="{" ".join(f"{cut:.4f}" for cut in cuts)}"' if cuts else match[0]

    if "body" in context:
        context["body"] = re.sub(r'<img (?=[^>]*?src="[^"]*_images/([^"]+)")', told, context["body"])
