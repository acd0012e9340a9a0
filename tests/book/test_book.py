"""What every chapter must obey, and the library module that chapters stand on."""

import ast
import json
import math
import re
import sys
import tomllib
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from wcag import contrast, luminance

from scalinglaws import book
from scalinglaws.book import claims, registry

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

ASKED = re.compile(r"^(\w+) = book\.(exercise|forecast)\(", re.MULTILINE)


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
    hidden = [k for k, (_, source, tags, _) in code if "remove-cell" in tags and not ASKED.search(source)]
    assert hidden in ([], [0])
    calls = [source for _, source, _, _ in cells(chapter, "code") if "book.setup()" in source]
    assert len(calls) <= 1


def test_exercises_can_be_checked_and_the_solution_is(chapter):
    """At least two exercises of a chapter know their answer; each has a place for the reader's, and accepts ours.

    So has a forecast, which the solution scores and does not check: that would keep it as the reader's.
    """
    kinds, calls, asserted = {}, set(), ""
    for _, source, tags, _ in cells(chapter, "code"):
        if ASKED.search(source):
            assert "remove-cell" in tags, "the answer is in sight"
            kinds |= dict(ASKED.findall(source))
        calls |= set(re.findall(r"^(\w+)\.check\(\w+\)$", source, re.MULTILINE))
        tree = ast.parse(TransformerManager().transform_cell(source))
        asserted += "\n".join(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert))
    verbs = {name: "check" if kind == "exercise" else "score" for name, kind in kinds.items()}
    untested = {name for name, verb in verbs.items() if f"{name}.{verb}(" not in asserted}
    kept = {name for name, kind in kinds.items() if kind == "forecast" and f"{name}.check(" in asserted}
    assert list(kinds.values()).count("exercise") >= 2
    assert (set(kinds) - calls, untested, kept) == (set(), set(), set())


def test_exercises_and_their_words_are_held_to_each_other():
    """Each table of data/exercises.toml belongs to one exercise of its chapter, and each of its slips has a value."""
    words = tomllib.loads((ROOT / "data/exercises.toml").read_text(encoding="utf-8"))
    fields = {"minutes", "unit", "rel", "absolute", "choices", "slips"}
    assert {field for table in words.values() for field in table} <= fields
    assert [key for key, table in words.items() if not 1 <= table.get("minutes", 0) <= 60] == []
    told, slips = [], {}
    for path in CHAPTERS:
        told += [f"{path.name[:2]}-{n}" for n in re.findall(r"^:+\{admonition\} Exercise (\d+)", markdown(path), re.M)]
        code = "\n\n".join(source for _, source, _, _ in cells(json.loads(path.read_text()), "code"))
        assert "book.Exercise(" not in code, f"{path.stem}: words in a cell"
        assert "book.Forecast(" not in code, f"{path.stem}: words in a cell"
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(code))):
            if isinstance(node, ast.Assign) and ASKED.match(ast.unparse(node)):
                key = ast.literal_eval(node.value.args[0])
                given = {keyword.arg: keyword.value for keyword in node.value.keywords}
                assert (f"{path.name[:2]}-", ast.unparse(node.targets[0])) == (key[:3], f"exercise_{key[3:]}")
                assert key in told, "no exercise of that number on the page"
                if "slips" in given:
                    slips[key] = sorted(ast.literal_eval(short) for short in given["slips"].keys)
    assert sorted(told) == sorted(words)
    assert slips == {key: sorted(table["slips"]) for key, table in words.items() if "slips" in table}


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
    assert "book.claim(" in code, "no claim is held to its verdict"


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
        (-0.002, "{:.0%}", "0%"),
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
        "book.claim('compute-size-theory', ours=0.68403909)",
        "book.show(book.number)",
        "sys.modules['myst_nb'] = None; assert book.quote('y', 1) == 1  # as on Colab",
        "del sys.modules['myst_nb']; book.quotes('{:.1f}', a_low=0.25, a_high=2)",
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


def test_several_numbers_are_quoted_in_one_format(executed):
    glued = [(o.metadata["scrapbook"]["name"], *o.data.values()) for o in executed[6]]
    assert glued == [("a-low", "'0.2'"), ("a-high", "'2.0'")]


def test_quote_without_the_books_tools_stays_silent(executed):
    assert executed[5] == []


def test_setup_makes_vector_figures(executed):
    (figure,) = executed[2]
    assert "image/svg+xml" in figure.data
    assert "image/png" not in figure.data


def test_claim_is_a_box_with_text_beside_it(executed):
    (output,) = executed[3]
    assert 'class="verdict verdict-inconsistent"' in output.data["text/html"]
    assert "≠ inconsistent" in output.data["text/plain"]


def test_show_gives_highlighted_source(executed):
    (output,) = executed[4]
    assert output.data["text/markdown"].startswith("````python\ndef number(")


def test_show_leaves_out_decorators():
    assert "@" not in book.show(claims.Claim).data.split("class Claim")[0]
    assert book.show(claims.Claim).data.endswith("````")


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
    "statement": "Loss falls & falls.",
    "published": 0.076,
    "published_id": "K01",
    "kind": "trained",
    "how": "stored",
    "quantity": "the slope",
    "interval": "95%, bootstrap",
    "reproduced": ((0.04, 0.15),),
    "opposite": ((-math.inf, 0.0),),
    "criterion": "between 0.04 and 0.15",
    "verdict": "reproduced",
}
NUMBERS = {"ours": 0.081, "low": 0.07, "high": 0.09}


def registered(path, **entries):
    """Write a registry of claims like the one above."""
    names = {-math.inf: "-inf", math.inf: "inf"}

    def text(value):
        if isinstance(value, tuple | list):
            return f"[{', '.join(map(text, value))}]"
        if isinstance(value, bool):
            return str(value).lower()
        return json.dumps(value) if isinstance(value, str) else names.get(value, repr(value))

    tables = [[f"[{id}]", *(f"{k} = {text(v)}" for k, v in (CLAIM | change).items())] for id, change in entries.items()]
    path.write_text("\n".join(line for table in tables for line in table) + "\n")
    return path


@pytest.mark.parametrize(
    ("numbers", "also", "verdict"),
    [
        ((0.081, 0.07, 0.09), True, "reproduced"),
        ((0.081, 0.07, 0.09), False, "undecided"),
        ((0.081, 0.03, 0.09), True, "reproduced in direction"),  # part of it outside, none of it the other way
        ((0.02, 0.01, 0.03), True, "reproduced in direction"),
        ((0.081, -0.01, 0.17), True, "undecided"),
        ((-0.081, -0.1, -0.07), True, "opposite here"),
        ((-0.081, -0.1, -0.07), False, "opposite here"),
        ((math.nan, math.nan, math.nan), True, "undecided"),
    ],
)
def test_claim_holds_the_registry_to_the_interval(tmp_path, numbers, also, verdict):
    """Each of these numbers earns one verdict, and a registry that says another fails."""
    given = dict(zip(("ours", "low", "high"), numbers, strict=True)) | {"also": also}
    if math.isnan(numbers[0]):
        assert registry.decide(registry.Entry(id="a", **CLAIM), *numbers) == verdict
        return
    for said in registry.VERDICTS["trained"]:
        path = registered(tmp_path / "claims.toml", mine={"verdict": said})
        if said == verdict:
            assert book.claim("mine", **given, registry=path).verdict == said
        else:
            with pytest.raises(
                AssertionError, match=rf"^claim mine: the slope is .*'{verdict}', but the registry says"
            ):
                book.claim("mine", **given, registry=path)


@pytest.mark.parametrize(
    ("change", "numbers", "verdict"),
    [
        ({"own_scope": True}, (-0.081, -0.1, -0.07), "contradicted"),
        ({"interval": "none"}, (0.081, 0.07, 0.09), "undecided"),
        ({"interval": "none", "kind": "public data"}, (0.081, None, None), "reproduced"),
        ({"interval": "none", "kind": "public data"}, (-0.081, None, None), "opposite here"),
        ({"kind": "arithmetic", "verdict": "consistent"}, (0.081, None, None), "consistent"),
        ({"kind": "arithmetic", "verdict": "consistent"}, (0.2, None, None), "inconsistent"),
        ({"opposite": ()}, (0.081, 0.03, 0.09), "undecided"),
        ({"reproduced": ()}, (0.081, 0.07, 0.09), "reproduced in direction"),
        ({"opposite": ((-math.inf, 0.0), (0.1, 1.0))}, (0.081, 0.07, 0.2), "undecided"),
    ],
)
def test_the_kind_of_a_claim_says_what_decides(change, numbers, verdict):
    assert registry.decide(registry.Entry(id="a", **CLAIM | change), *numbers) == verdict


def test_a_claim_that_an_interval_decides_needs_one():
    with pytest.raises(ValueError, match=r"claim a is decided by its interval \(95%, bootstrap\): give low= and high="):
        registry.decide(registry.Entry(id="a", **CLAIM), 0.081)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "almost"}, "verdict is 'almost', use one of .*'undecided'"),
        ({"verdict": "consistent"}, "verdict is 'consistent', use one of .*'undecided'"),
        ({"kind": "arithmetic"}, "verdict is 'reproduced', use one of .*'inconsistent'"),
        ({"how": "guessed"}, "how is 'guessed'"),
        ({"kind": "dreamt"}, "kind is 'dreamt'"),
        ({"reproduced": ((0.2, 0.1),)}, "no range from 0.2 to 0.1"),
        ({"low": None}, "give both or neither"),
        ({"low": 0.1}, "low 0.1 is not below high 0.09"),
    ],
)
def test_claim_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        claims.Claim(**CLAIM | NUMBERS | {"id": "slope"} | change)


def test_a_claim_that_is_not_registered_says_where_to_register_it(tmp_path):
    path = registered(tmp_path / "claims.toml", mine={})
    with pytest.raises(ValueError, match=r"no claim 'other' in .*claims.toml: register it there"):
        book.claim("other", **NUMBERS, registry=path)
    with pytest.raises(FileNotFoundError, match=r"no registry .*none\.toml: write one like"):
        book.claim("other", **NUMBERS, registry=tmp_path / "none.toml")
    path.write_text(path.read_text() + 'mood = "good"\n')
    with pytest.raises(ValueError, match=r"claims.toml: .*mood"):
        book.claim("mine", **NUMBERS, registry=path)


def test_a_registry_of_ones_own_is_asked_before_the_books(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.REGISTRY, str(registered(tmp_path / "claims.toml", mine={})))
    assert registry.entry("mine").statement == CLAIM["statement"]
    assert registry.entry("powers-doubling").published_id == "K77"


def test_claim_says_everything_in_text_and_in_html():
    claim = claims.Claim(**CLAIM | NUMBERS | {"id": "slope"})
    for part in ("0.081 [0.07, 0.09]", "0.076", "K01", "between 0.04 and 0.15", "stored", "✓ reproduced"):
        assert part in str(claim)
        assert part in claim._repr_html_()
    assert "Loss falls &amp; falls." in claim._repr_html_()


def test_an_undecided_claim_says_what_its_runs_could_have_seen():
    """By definition: an effect of (z_0.975 + z_0.8) standard errors is found in 80% of repetitions."""
    claim = claims.Claim(
        **CLAIM | {"id": "a", "verdict": "undecided", "ours": 0.0, "low": -1.96, "high": 1.96, "fmt": "{:+.2f}"}
    )
    assert "Could have seen: an effect of 2.80, in four of five" in str(claim)
    draws = np.random.default_rng(0).normal(2.8, 1.0, 100_000)
    assert abs((draws > 1.96).mean() - 0.8) < 0.005
    bare = claims.Claim(**CLAIM | {"id": "a", "verdict": "undecided", "ours": 0.0})
    assert "these runs have no interval" in str(bare)


def test_what_could_have_been_seen_of_a_ratio_is_a_factor_and_no_share_is_above_one():
    ends = {"id": "a", "verdict": "undecided", "ours": 1.0, "fmt": "{:.2f}"}
    logs = {"interval": "95%, Student's t of the logarithm over three seeds"}
    ratio = claims.Claim(**CLAIM | ends | logs | {"low": np.exp(-1.96), "high": np.exp(1.96)})
    assert f"a factor of {np.exp(2.8):.2f}, in four of five" in str(ratio)  # 2.8 standard errors of the logarithm
    share = claims.Claim(**CLAIM | ends | {"fmt": "{:.0%}", "low": -1.0, "high": 1.0})
    assert "wider than any share" in str(share)
    assert "an effect of 71%, in" in str(claims.Claim(**CLAIM | ends | {"fmt": "{:.0%}", "low": 0.5, "high": 1.5}))


def test_chapter_shows_no_number_by_accident(chapter):
    """A cell that ends on a quoted number shows it bare, and as a second figure where the cell has a caption."""
    for _, source, _, _ in cells(chapter, "code"):
        last = ast.parse(TransformerManager().transform_cell(source)).body[-1]
        quotes = isinstance(last, ast.Expr) and ast.unparse(last).startswith("book.quote(")
        assert not quotes or source.rstrip().endswith(";"), source


OPTIONS = re.compile(r"^```\{code-cell\}.*\n---\n(.*?)\n---$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [path.name for path in sorted(ROOT.glob("*.md"))])
def test_options_of_cells_in_text_can_be_read(page):
    """A colon in an alt text stops the build of all pages."""
    for options in OPTIONS.findall((ROOT / page).read_text(encoding="utf-8")):
        assert {*yaml.safe_load(options)} <= {"tags", "mystnb"}
