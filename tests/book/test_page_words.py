"""What is done to finished pages: codes lead to their rows, and a phone learns where figures part."""

import io
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from browsing import ROOT
from pages import between_panels, hold_together, link_codes

from scalinglaws.book.chapter import published_rows


def linked(body, page="chapters/01_power_laws"):
    context = {"body": body, "pathto": lambda page: f"../{page}.html"}
    link_codes(SimpleNamespace(srcdir=str(ROOT)), page, "", context, None)
    return context["body"]


def test_a_code_in_the_text_leads_to_its_row():
    found = linked('<p>See <code><span class="pre">K01</span></code> and (C14 to C16).</p>')
    assert found.count("<a ") == 3
    assert 'href="../published.html#K01" title="L(N) exponent (converged, ample data)"' in found


@pytest.mark.parametrize(
    "body",
    [
        "<pre>value('K01')</pre>",
        '<code class="docutils literal"><span class="pre">value("K01",</span> <span class="pre">"alpha")</span></code>',
        '<a href="#x">K01</a>',
        "<h2><span>K01</span></h2>",
        '<img alt="the law K01"/>',
        "<p>Z99, K1 and K011</p>",
        "<script>K01</script>",
        '<div class="math notranslate">\n\\[x \\quad (\\text{K01})\\]</div>',
        '<span class="math notranslate">\\(K01\\)</span>',
    ],
)
def test_elsewhere_a_code_is_left_alone(body):
    assert linked(body) == body


def test_after_what_is_left_alone_codes_are_linked_again():
    assert linked("<pre><span>K01</span></pre><p>K01<br/>K02</p>").count("<a ") == 2
    assert linked("<script>for (i=0;i<a.length;i++) if (b>c) d()</script><p>K01</p>").count("<a ") == 1


def test_the_page_of_published_figures_does_not_lead_to_itself():
    assert linked("<p>K01</p>", "published") == "<p>K01</p>"


def test_a_formula_keeps_the_signs_that_touch_it_and_a_number_its_parts():
    formula = '<span class="math notranslate nohighlight">\\(x\\)</span>'
    for body, held in {
        f"<p>({formula}), then {formula}</p>": f'<p><span class="held">({formula}),</span> then {formula}</p>',
        f"<p>{formula} and {formula}.</p>": f'<p>{formula} and <span class="held">{formula}.</span></p>',
        "<p>8 × 10¹³, <b>0.82</b> ± <b>0.09</b></p>": "<p>8\u00a0×\u00a010¹³, <b>0.82</b> ±\u00a0<b>0.09</b></p>",
        '<pre>1 ± 2</pre><img alt="1 ± 2"/>': '<pre>1 ± 2</pre><img alt="1 ± 2"/>',
    }.items():
        context = {"body": body}
        hold_together(None, "intro", "", context, None)
        assert context["body"] == held


def svg(rows, columns, draw=lambda figure: None, **options):
    figure, _ = plt.subplots(rows, columns, layout="constrained", **options)
    draw(figure)
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def test_two_panels_part_between_their_frames():
    (cut,) = between_panels(svg(1, 2, width_ratios=(3, 1)))
    assert 0.6 < cut < 0.8
    first, second = between_panels(svg(1, 3))
    assert first < 0.5 < second


def test_a_cut_leaves_each_panel_its_own_words():
    ends = []

    def draw(figure):
        left, right = figure.axes
        left.set(xlim=(0, 10**6), xticks=(0, 10**6))  # a number that hangs over the frame
        right.set_ylabel("loss (nats)")
        figure.draw_without_rendering()
        width = figure.bbox.width
        ends.extend((left.get_tightbbox().x1 / width, right.get_tightbbox().x0 / width))

    (cut,) = between_panels(svg(1, 2, draw))
    assert ends[0] < cut < ends[1]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (2, 2), (1, 4)])
def test_other_figures_stay_whole(rows, columns):
    assert between_panels(svg(rows, columns)) == []


def test_published_formulas_are_typeset():
    page = published_rows("K").data
    for written in (
        "[(N<sub>c</sub>/N)<sup>α<sub>N</sub>/α<sub>D</sub></sup> + D<sub>c</sub>/D]<sup>α<sub>D</sub></sup>",
        "5 × 10<sup>3</sup> · N<sup>0.74</sup>",
        "10<sup>9</sup> non-embedding parameters",
        "at fixed batch_tokens",
    ):
        assert written in page
    assert not re.search(r"\^|alpha|\d e", page)
