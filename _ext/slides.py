"""Slides of the book's figures, in one page that needs no other file: what ``make slides`` makes of built pages."""

import base64
import re
import sys
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup, Tag

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scaling Laws by Experiment: slides</title>
<style>
html {{ scroll-snap-type: y mandatory; }}
body {{ background: #fff; color: #1c1c1c; font-family: "Source Sans 3", system-ui, sans-serif; margin: 0; }}
section {{ box-sizing: border-box; display: grid; gap: 2vh; grid-template-rows: auto minmax(0, 1fr) auto; height: 100vh;
  padding: 4vh 5vw; scroll-snap-align: start; }}
section.title {{ align-content: center; grid-template-rows: auto auto; }}
h1 {{ font-size: clamp(2rem, 6vw, 4rem); margin: 0; }}
h2 {{ font-size: clamp(1.3rem, 3vw, 2.2rem); margin: 0; }}
p {{ font-size: clamp(1rem, 1.8vw, 1.4rem); line-height: 1.4; margin: 0; }}
img {{ height: 100%; object-fit: contain; width: 100%; }}
@media print {{ section {{ break-after: page; }} }}
</style>
{slides}
<script>
addEventListener("keydown", ({{ key }}) => {{
  const step = {{ ArrowRight: 1, ArrowLeft: -1 }}[key];
  if (step) scrollTo(0, (Math.round(scrollY / innerHeight) + step) * innerHeight);
}});
</script>
</html>
"""


def words(tag: Tag | None) -> str:
    """The text of an element, without the sign that links to a heading; of TeX, what can be read as it is."""
    text = "" if tag is None else tag.get_text().replace("#", " ")
    return " ".join(re.sub(r"\\[()]|\\(mathrm|text)|[{}]", "", text).split())


def figure(img: Tag, page: Path) -> str:
    """A slide: the heading over a figure, the figure itself, and its caption, a paragraph in italics after it."""
    source = page.parent / str(img["src"])
    kind = "svg+xml" if source.suffix == ".svg" else source.suffix[1:]
    data = base64.b64encode(source.read_bytes()).decode()
    around = img.find_parent("figure")
    caption = words(around and around.select_one(".caption-text"))
    return (
        f"<section><h2>{escape(words(img.find_previous(['h1', 'h2', 'h3'])))}</h2>"
        f'<img alt="{escape(str(img["alt"]), quote=True)}" src="data:image/{kind};base64,{data}">'
        f"<p>{escape(caption)}</p></section>"
    )


def slides(pages: list[Path]) -> str:
    """One page with a title for each of ``pages``, which were built, and a slide for each of its figures."""
    found = []
    for page in pages:
        article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").article
        if article is None:
            raise ValueError(f"{page}: no page of the book")
        title, lead = words(article.h1), words(article.select_one(".lead"))
        found.append(f'<section class="title"><h1>{escape(title)}</h1><p>{escape(lead)}</p></section>')
        found += [figure(img, page) for img in article.select(".cell_output img")]
    return PAGE.format(slides="\n".join(found))


if __name__ == "__main__":
    built = sorted(Path("_build/html/chapters").glob(f"{sys.argv[1]}*.html"))
    if not built:
        sys.exit(f"no pages of chapters {sys.argv[1]!r}* in _build/html: run make book first")
    Path("_build/slides.html").write_text(slides(built), encoding="utf-8")
    print("Slides are in _build/slides.html: the arrow keys turn them")
