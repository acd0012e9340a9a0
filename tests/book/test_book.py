"""What every chapter must obey, and the library module that chapters stand on."""

import ast
import json
import re
import sys
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from wcag import contrast, luminance

from scalinglaws import book

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))

# ---- Rules for the code of a chapter ----

NETWORK = {"aiohttp", "ftplib", "http", "httpx", "pooch", "requests", "socket", "urllib"}
GLOBAL_STATE = {"rcParams", "rc", "rc_context", "filterwarnings", "simplefilter", "catch_warnings"}
SEEDED_BY_ARGUMENT = {"default_rng", "Generator", "SeedSequence", "PCG64"}
TORCH_RANDOM = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}


def broken_rules(code, setup=False):
    """Return what a code cell does that no chapter may do; only the set-up cell may use IPython's own syntax."""
    tree = ast.parse(TransformerManager().transform_cell(code))
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imported = {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=module, names=names):
                imported = {str(module).split(".")[0]}
                if module == "sys" and any(alias.name == "path" for alias in names):
                    found.append("sys.path")
            case _:
                imported = set()
        found += [f"network: {name}" for name in imported & NETWORK]
        found += ["unseeded: random"] * ("random" in imported)
        if isinstance(node, ast.Attribute | ast.Name):
            name = ast.unparse(node)
            last = name.split(".")[-1]
            if name == "sys.path" or (last in GLOBAL_STATE and "." in name):
                found.append(name)
            if re.fullmatch(r"(np|numpy)\.random\.\w+", name) and last not in SEEDED_BY_ARGUMENT:
                found.append(f"unseeded: {name}")
        if isinstance(node, ast.Constant) and re.match(r"\.\.?/|data/", str(node.value)):
            found.append("path from the notebook's folder")  # Colab has only the notebook
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.endswith("default_rng") and not (node.args or node.keywords):
                found.append(f"unseeded: {name}()")
            is_random = name.startswith("torch.") and name.removeprefix("torch.") in TORCH_RANDOM
            if is_random and all(keyword.arg != "generator" for keyword in node.keywords):
                found.append(f"unseeded: {name}")
            if name.startswith("get_ipython()") and not setup:
                found.append("IPython magic or shell")
    return sorted(set(found))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import sys\nsys.path.append('..')", "sys.path"),
        ("from sys import path", "sys.path"),
        ("plt.rcParams['font.size'] = 3", "plt.rcParams"),
        ("warnings.filterwarnings('ignore')", "warnings.filterwarnings"),
        ("from urllib.request import urlopen", "network: urllib"),
        ("import random", "unseeded: random"),
        ("np.random.default_rng()", "unseeded: np.random.default_rng()"),
        ("np.random.normal(size=3)", "unseeded: np.random.normal"),
        ("torch.randn(3)", "unseeded: torch.randn"),
        ("!ls", "IPython magic or shell"),
        ("%matplotlib inline", "IPython magic or shell"),
        ("pd.read_csv('../data/runs/a.csv')", "path from the notebook's folder"),
    ],
)
def test_rules_see_what_they_forbid(code, rule):
    assert broken_rules(code) == [rule]


@pytest.mark.parametrize(
    "code",
    ["rng = np.random.default_rng(0)", "torch.randn(3, generator=g)", "ax.set(title='sys.path')", "path = 1", "rc = 2"],
)
def test_rules_leave_honest_code_alone(code):
    assert broken_rules(code) == []


def test_only_the_setup_cell_may_install():
    code = "try:\n    import scalinglaws\nexcept ModuleNotFoundError:\n    %pip install -q scalinglaws"
    assert broken_rules(code, setup=True) == []
    assert broken_rules(code) == ["IPython magic or shell"]


# ---- Rules for the text of a chapter ----

NOT_PROSE = re.compile(r"```.*?```|~~~.*?~~~|\{[\w:-]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)|https?://\S+|<!--.*?-->", re.DOTALL)
PUBLISHED_ID = re.compile(r"\b[A-Z]\d\d\b")


def typed_numbers(markdown):
    """Return the decimals (two places or more) of paragraphs that name no row of the published table."""
    paragraphs = re.split(r"\n\s*\n", NOT_PROSE.sub(" ", markdown))
    unsourced = (text for text in paragraphs if not PUBLISHED_ID.search(text))
    return [number for text in unsourced for number in re.findall(r"\d+\.\d\d+", text)]


def test_typed_numbers_are_seen_and_sourced_ones_are_not():
    assert typed_numbers("We find 0.342.\n\nKaplan has $0.076$ (K01).") == ["0.342"]
    assert typed_numbers("We find {glue:text}`alpha`, see `0.123` and [that](a/0.567.md), in section 7.3.") == []


# ---- The chapters ----


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return json.loads(request.param.read_text())


def cells(chapter, kind):
    """Return the cells of one kind, each as (number from 1 among all cells, source, tags, metadata)."""
    return [
        (number, "".join(cell["source"]), cell["metadata"].get("tags", []), cell["metadata"])
        for number, cell in enumerate(chapter["cells"], 1)
        if cell["cell_type"] == kind
    ]


def test_chapter_code_obeys(chapter):
    broken = {number: broken_rules(source, "remove-cell" in tags) for number, source, tags, _ in cells(chapter, "code")}
    broken = {number: rules for number, rules in broken.items() if rules}
    assert broken == {}, "by cell"


def test_chapter_hides_only_its_setup_and_right_answers(chapter):
    code = enumerate(cells(chapter, "code"))
    hidden = [k for k, (_, source, tags, _) in code if "remove-cell" in tags and "book.Exercise(" not in source]
    assert hidden in ([], [0])
    calls = [source for _, source, _, _ in cells(chapter, "code") if "book.setup()" in source]
    assert len(calls) <= 1


def test_exercises_can_be_checked_and_the_solution_is(chapter):
    """At least two exercises of a chapter know their answer; each has a place for the reader's, and accepts ours."""
    names, calls, asserted = set(), set(), ""
    for _, source, tags, _ in cells(chapter, "code"):
        if "book.Exercise(" in source:
            assert "remove-cell" in tags, "the answer is in sight"
            names |= set(re.findall(r"^(\w+) = book\.Exercise\(", source, re.MULTILINE))
        calls |= set(re.findall(r"^(\w+)\.check\(\w+\)$", source, re.MULTILINE))
        tree = ast.parse(TransformerManager().transform_cell(source))
        asserted += "\n".join(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert))
    untested = {name for name in names if f"{name}.check(" not in asserted}
    assert len(names) >= 2
    assert (names - calls, untested) == (set(), set())


def test_the_hidden_cell_brings_the_library_where_there_is_none(chapter):
    """On Colab the button opens the notebook alone; the same lines in all chapters."""
    _, source, tags, _ = cells(chapter, "code")[0]
    first = json.loads(CHAPTERS[0].read_text())
    lines = "".join(first["cells"][0]["source"]).split("\n\nimport ")[0]
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    assert "remove-cell" in tags
    assert source.startswith(lines)
    assert lines.startswith("try:\n    import scalinglaws")
    assert f'BOOK = "{url}"' in lines
    assert "pip install -qr requirements.txt" in lines  # with the pins: the text that models train on is made of them


def test_chapter_is_stripped(chapter):
    code = [cell for cell in chapter["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_chapter_has_the_common_metadata(chapter):
    first = json.loads(CHAPTERS[0].read_text())
    assert chapter["metadata"]["kernelspec"]["name"] == "python3"
    assert chapter["metadata"] == first["metadata"]
    assert (chapter["nbformat"], chapter["nbformat_minor"]) == (4, 5)


def test_chapter_asserts_its_numbers(chapter):
    code = "\n".join(source for _, source, _, _ in cells(chapter, "code"))
    assert re.search(r"^\s*assert ", code, re.MULTILINE), "nbmake passes a notebook that merely runs"
    assert ".check(" in code, "no claim is held to its verdict"


def draws(source):
    """Return whether a cell itself makes a figure, as opposed to defining a function that would."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    calls = [ast.unparse(node.func) for part in top for node in ast.walk(part) if isinstance(node, ast.Call)]
    return any(name in {"plt.subplots", "plt.figure", "plt.subplot_mosaic"} for name in calls)


def test_chapter_figures_have_alt_text(chapter):
    drawing = [(number, metadata) for number, source, _, metadata in cells(chapter, "code") if draws(source)]
    silent = [n for n, metadata in drawing if not metadata.get("mystnb", {}).get("image", {}).get("alt", "").strip()]
    assert not silent, f"cells {silent} draw a figure and have no mystnb.image.alt"


def test_drawing_is_recognized():
    assert draws("fig, ax = plt.subplots()")
    assert not draws("def draw():\n    return plt.subplots()")


def test_chapter_types_no_result(chapter):
    markdown = [(number, source) for number, source, tags, _ in cells(chapter, "markdown") if "given" not in tags]
    typed = {number: found for number, source in markdown if (found := typed_numbers(source))}
    assert not typed, (
        f"typed numbers, by cell: {typed}; quote them from code with book.quote, name the published row (K01) "
        "in the paragraph, or tag the cell 'given' where the number is a premise"
    )


def test_toc_lists_every_chapter_and_every_listed_page_exists():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]
    assert {f"chapters/{path.stem}" for path in CHAPTERS} <= set(files)
    missing = [name for name in files if not any((ROOT / f"{name}{suffix}").exists() for suffix in (".md", ".ipynb"))]
    assert missing == []
    assert len(files) == len(set(files))


def test_errata_link_to_where_a_chapter_takes_them_up():
    """Labels ``(erratum-NAME)=`` of chapters and links ``[chapter 5](#erratum-NAME)`` of the errata, both ways."""
    label = re.compile(r"^\((erratum-[a-z0-9-]+)\)=$", re.MULTILINE)
    places = [(f"chapter {int(path.stem[:2])}", name) for path in CHAPTERS for name in label.findall(markdown(path))]
    names = [name for _, name in places]
    assert len(names) == len(set(names)), "a label twice"
    links = re.findall(r"\[(chapter \d+)\]\(#(erratum-[a-z0-9-]+)\)", (ROOT / "errata.md").read_text())
    assert set(links) == set(places)


def markdown(path):
    return "\n\n".join(source for _, source, _, _ in cells(json.loads(path.read_text()), "markdown"))


# ---- scalinglaws.book ----


@pytest.mark.parametrize(
    ("value", "fmt", "text"),
    [
        (0.34159, "{:.3g}", "0.342"),
        (-0.5, "{:.2f}", "−0.50"),
        (1.234e-5, "{:.3g}", "1.23 × 10⁻⁵"),
        (8.8e13, "{:.2g}", "8.8 × 10¹³"),
        (1234567, "{:,}", "1,234,567"),
        (2.5, "{:.1f} nats", "2.5 nats"),
        ("well-known", "{}", "well-known"),
    ],
)
def test_number(value, fmt, text):
    assert book.number(value, fmt) == text


def test_quote_outside_a_notebook_returns_the_value(capsys):
    assert book.quote("x", 1.5) == 1.5
    assert capsys.readouterr().out == ""


@pytest.fixture(scope="module")
def executed():
    """Return the outputs of one short notebook, cell by cell, run by the kernel that runs the chapters."""
    sources = [
        "import sys; print(sys.prefix)",
        "from scalinglaws import book; book.setup(); assert book.quote('x', -0.25) == -0.25",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]);",
        "book.Claim(id='a', statement=r'\\(x < 1\\)', published=1, published_id='K01', ours=2, criterion='c',\n"
        "           verdict='contradicted', how='arithmetic').check(False)",
        "book.show(book.number)",
        "sys.modules['myst_nb'] = None; assert book.quote('y', 1) == 1  # as on Colab",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


def test_kernel_is_the_one_of_this_environment(executed):
    assert executed[0][0].text.strip() == sys.prefix


def test_quote_glues_the_printed_number(executed):
    (output,) = executed[1]
    assert output.metadata["scrapbook"]["name"] == "x"
    assert output.data["application/papermill.record/text/plain"] == "'−0.25'"


def test_quote_without_the_books_tools_stays_silent(executed):
    assert executed[5] == []


def test_setup_makes_vector_figures(executed):
    (figure,) = executed[2]
    assert "image/svg+xml" in figure.data
    assert "image/png" not in figure.data


def test_claim_is_a_box_with_text_beside_it(executed):
    (output,) = executed[3]
    assert 'class="verdict verdict-contradicted"' in output.data["text/html"]
    assert "✕ contradicted" in output.data["text/plain"]


def test_show_gives_highlighted_source(executed):
    (output,) = executed[4]
    assert output.data["text/markdown"].startswith("````python\ndef number(")


def test_show_leaves_out_decorators():
    assert "@" not in book.show(book.Claim).data.split("class Claim")[0]
    assert book.show(book.Claim).data.endswith("````")


def test_style_is_the_same_whatever_the_reader_set_and_leaves_no_trace():
    with mpl.rc_context({"lines.linewidth": 9.0, "figure.facecolor": "red"}):
        before = dict(mpl.rcParams)
        with book.style():
            assert mpl.rcParams["lines.linewidth"] == 1.8
            assert mpl.rcParams["figure.facecolor"] == "white"
        assert dict(mpl.rcParams) == before


def test_figures_have_contrast():
    white = luminance(mpl.colors.to_rgb("white"))
    with book.style():
        text = [mpl.rcParams[key] for key in ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")]
        lines = [entry["color"] for entry in mpl.rcParams["axes.prop_cycle"]]
    ratios = {color: contrast(white, luminance(mpl.colors.to_rgb(color))) for color in [*text, *lines]}
    assert min(ratios[color] for color in text) >= 4.5
    assert min(ratios[color] for color in lines[:4]) >= 2.9  # Okabe and Ito's purple has 2.99, all later ones less


CLAIM = {
    "id": "slope",
    "statement": "Loss falls & falls.",
    "published": 0.076,
    "published_id": "K01",
    "ours": 0.081,
    "low": 0.07,
    "high": 0.09,
    "criterion": "between 0.04 and 0.15",
    "verdict": "reproduced",
    "how": "live",
}


@pytest.mark.parametrize(
    ("verdict", "met"),
    [("reproduced", True), ("reproduced in direction", True), ("not at this scale", False), ("contradicted", False)],
)
def test_claim_holds_the_verdict_to_the_criterion(verdict, met):
    claim = book.Claim(**CLAIM | {"verdict": verdict})
    assert claim.check(met) is claim
    with pytest.raises(AssertionError, match=r"^claim slope: criterion 'between 0\.04 and 0\.15' is "):
        claim.check(not met)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "almost"}, "verdict is 'almost'"),
        ({"how": "guessed"}, "how is 'guessed'"),
        ({"low": None}, "give both or neither"),
        ({"low": 0.1}, "low 0.1 is not below high 0.09"),
    ],
)
def test_claim_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        book.Claim(**CLAIM | change)


def test_claim_says_everything_in_text_and_in_html():
    claim = book.Claim(**CLAIM)
    for part in ("0.081 [0.07, 0.09]", "0.076", "K01", "between 0.04 and 0.15", "live", "✓ reproduced"):
        assert part in str(claim)
        assert part in claim._repr_html_()
    assert "Loss falls &amp; falls." in claim._repr_html_()


def test_chapter_shows_no_number_by_accident(chapter):
    """A cell that ends on a quoted number shows it bare, and as a second figure where the cell has a caption."""
    for _, source, _, _ in cells(chapter, "code"):
        last = ast.parse(TransformerManager().transform_cell(source)).body[-1]
        quotes = isinstance(last, ast.Expr) and ast.unparse(last).startswith("book.quote(")
        assert not quotes or source.rstrip().endswith(";"), source
