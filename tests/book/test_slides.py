"""Slides: one for each figure, in one file that asks nothing of any other."""

import re

import pytest
from browsing import needs_chromium
from slides import slides

PAGE = """<html><body><nav><h1>Not this</h1></nav><article>
<h1>Critical batch<a class="headerlink" href="#x">#</a></h1>
<div class="lead"><p>How large a batch is worth it.</p></div>
<section><h2>Steps &amp; examples<a class="headerlink" href="#y">#</a></h2>
<div class="cell"><div class="cell_output"><figure><img alt="Two &quot;lines&quot;" src="../_images/one.svg">
<figcaption><p><span class="caption-number">Fig. 5.1 </span><span class="caption-text">To
<span class="math">\\(2E_\\mathrm{min}\\)</span>.</span><a class="headerlink" href="#z">#</a></p>
</figcaption></figure></div></div>
<p>Prose goes on.</p>
<div class="cell"><div class="cell_output"><img alt="A dot" src="../_images/two.png"></div></div>
<p>No caption.</p><img alt="logo" src="../_images/absent.svg"></section>
</article></body></html>"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><path d="M0 0h4v3z"/></svg>'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fccf50"
    "0f0004850180c4b3a3dd0000000049454e44ae426082"
)


@pytest.fixture
def made(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images/one.svg").write_text(SVG)
    (tmp_path / "_images/two.png").write_bytes(PNG)
    page = tmp_path / "chapters/05.html"
    page.write_text(PAGE)
    (tmp_path / "slides.html").write_text(slides([page]), encoding="utf-8")
    return tmp_path / "slides.html"


def test_a_title_and_a_slide_for_each_figure(made):
    text = made.read_text(encoding="utf-8")
    title, first, second = re.findall(r"<section.*?</section>", text, re.DOTALL)
    assert re.sub("<[^>]+>", "|", title).strip("|") == "Critical batch||How large a batch is worth it."
    assert '<h2>Steps &amp; examples</h2><img alt="Two &quot;lines&quot;" src="data:image/svg+xml;base64,' in first
    assert first.endswith("<p>To 2E_min.</p></section>")
    assert 'src="data:image/png;base64,' in second
    assert second.endswith("<p></p></section>")
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []


@pytest.mark.browser
@needs_chromium
def test_arrow_keys_turn_them(made, browser):
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(made.as_uri())
    places = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        places.append(page.evaluate("scrollY / innerHeight"))
    assert places == [1, 2, 2, 1]
    assert page.evaluate("[...document.images].map(e => e.naturalWidth > 0)") == [True, True]
    page.close()
