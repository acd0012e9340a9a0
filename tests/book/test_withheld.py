"""The copy of the book without solutions: nothing that gives an answer away, and notebooks that still run."""

import ast
import builtins
import json
import re
from pathlib import Path

import nbformat
import pytest
from making import OURS, make
from test_repo import SmallBook
from withheld import gives_away, withhold

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook):
    return "\n".join(
        re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def unknown_names(source):
    """Names that are read and nowhere given a value."""
    nodes = list(ast.walk(ast.parse(source)))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    given = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    given |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    given |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    given |= {
        (a.asname or a.name).split(".")[0] for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
    }
    given |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler | ast.MatchAs) and node.name}
    return read - given - {*dir(builtins), "display", "get_ipython"}


def test_no_answer_is_left_and_what_is_left_runs(notebook):
    asked = len(re.findall(r"book\.(?:exercise|forecast)\(", code(notebook)))
    dropped = [cell.source for cell in notebook.cells if gives_away(cell)]
    assert len(dropped) >= 2 * asked >= 4
    withhold(notebook)
    left = code(notebook)
    assert [word for word in ("book.exercise(", "book.forecast(", ".check(", ").right") if word in left] == []
    assert len(re.findall(r"^\w+ = \.\.\.", left, re.MULTILINE)) == asked
    assert unknown_names(left) == set()
    prompts = [cell.metadata.get("mystnb", {}).get("code_prompt_show", "") for cell in notebook.cells]
    assert [prompt for prompt in prompts if "olution" in prompt] == []


def test_a_name_that_only_a_solution_gives_is_seen():
    assert unknown_names("import math\nx = 1\nprint(math.pi, x, y)") == {"y"}


EXERCISE = """
class Exercise:  # stands in for book.exercise(
    def check(self, answer):
        return "no answer yet" if answer is ... else answer == 7654321.0

exercise_1 = Exercise()
"""
SOLUTION = """
from myst_nb import glue

found = 7654321.0
glue("double", f"{2 * found:.0f}", display=False)  # stands in for book.quote(
print("the solution is", found)
assert exercise_1.check(found)
"""
PROSE = "# One\n\nTwice the answer is {glue:text}`double`."
CELLS = [
    ("print('a live', 6 * 7)", {}),
    (EXERCISE, {"tags": ["remove-cell"]}),
    ("answer = ...  # yours\n\nexercise_1.check(answer)", {}),
    (SOLUTION, {"tags": ["hide-cell"], "mystnb": {"code_prompt_show": "Solution"}}),
]


def test_the_number_that_a_forecast_is_scored_by_is_withheld():
    assert gives_away(nbformat.v4.new_code_cell('exercise_1 = book.forecast("09-5", found=0.5, among=[0.4, 0.6])'))
    assert not gives_away(nbformat.v4.new_code_cell("found = book.forecasts_of(0.5)"))


def test_what_is_withheld():
    cells = [nbformat.v4.new_code_cell(source, metadata=metadata) for source, metadata in CELLS]
    scrap = nbformat.v4.new_output("display_data", metadata={"scrapbook": {"name": "double"}})
    cells[3].outputs = [nbformat.v4.new_output("stream", text="the solution is 7654321.0"), scrap]
    notebook = nbformat.v4.new_notebook(cells=cells)
    withhold(notebook)
    assert [cell.source for cell in notebook.cells] == ["print('a live', 6 * 7)", "answer = ...  # yours", ""]
    assert notebook.cells[2].outputs == [scrap]
    assert notebook.cells[2].metadata.tags == ["remove-cell"]


@pytest.mark.slow
def test_make_book_without_solutions(tmp_path):
    """The book itself keeps them; of the copy no file of the pages has them, and nothing is executed twice."""
    small = SmallBook(tmp_path)
    (tmp_path / "tests/cases").mkdir(parents=True)
    small.write(name="page")
    (tmp_path / "chapters").mkdir()
    cells = [nbformat.v4.new_code_cell(source, metadata=metadata) for source, metadata in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(PROSE), *cells], metadata=kernel)
    nbformat.write(chapter, tmp_path / "chapters/01_one.ipynb")
    with (tmp_path / "_toc.yml").open("a") as contents:
        contents.write("chapters:\n- file: chapters/01_one\n")
    done = make("book", "SOLUTIONS=0", *OURS, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    whole, copy = tmp_path / "_build/html", tmp_path / "_build/withheld/_build/html"
    assert "the solution is 7654321.0" in (whole / "chapters/01_one.html").read_text(encoding="utf-8")
    page = (copy / "chapters/01_one.html").read_text(encoding="utf-8")
    assert "a live 42" in page
    assert "15308642" in page  # what the prose quotes stays
    assert "no answer yet" not in page
    files = [path for path in copy.rglob("*") if path.suffix in (".html", ".js", ".ipynb", ".txt")]
    assert [path.name for path in files if "7654321" in path.read_text(encoding="utf-8")] == []
    (offered,) = copy.rglob("01_one.ipynb")
    assert [cell["outputs"] for cell in json.loads(offered.read_text())["cells"] if cell["cell_type"] == "code"] == [
        [],
        [],
        [],
    ]
    assert "colab.research" not in page
    assert page.count("github.com") == 0
