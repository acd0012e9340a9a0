"""Notebooks that have to run do so side by side; what has run is taken over until something changes."""

import asyncio

import nbformat
import pytest
from execution import digest, execute, remember, stale
from jupyter_cache import get_cache
from nbmake.nb_run import NotebookRun


def notebook(path, *cells):
    """Write a notebook and return it."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell, metadata={"tags": ["kept"]}) for cell in cells]
    )
    made.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(made, path)
    return made


@pytest.fixture
def executed(tmp_path):
    """A notebook before it was run, and the cache that remembers its run."""
    path, folder = tmp_path / "chapter.ipynb", tmp_path / "cache/one"
    source = notebook(path, "6 * 7")
    result = NotebookRun(path, 60, kernel="python3").execute()
    remember(result.nb, path, 12.5, folder)
    return source, folder


def test_the_build_finds_outputs_and_seconds(executed):
    source, folder = executed
    cache = get_cache(folder)
    assert cache.match_cache_notebook(source).data["execution_seconds"] == 12.5
    _, merged = cache.merge_match_into_notebook(source)
    (cell,) = merged.cells
    assert cell.outputs[0].data["text/plain"] == "42"
    assert cell.metadata == {"tags": ["kept"]}


def test_other_code_is_not_taken_for_it(executed, tmp_path):
    _, folder = executed
    assert stale([tmp_path / "chapter.ipynb"], folder) == {}
    changed = tmp_path / "changed.ipynb"
    notebook(changed, "6 * 8")
    assert list(stale([tmp_path / "chapter.ipynb", changed], folder)) == [changed]


def test_a_run_that_warned_is_not_taken_over(tmp_path):
    path, folder = tmp_path / "chapter.ipynb", tmp_path / "cache/one"
    notebook(path, "import sys", "print('no such font', file=sys.stderr)")
    remember(NotebookRun(path, 60, kernel="python3").execute().nb, path, 1.0, folder)
    assert list(stale([path], folder)) == [path]


def test_another_library_has_another_cache(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/constant.py").write_text("x = 1")
    old = digest(tmp_path)
    (tmp_path / "lib/constant.py").write_text("x = 2")
    assert digest(tmp_path) != old


@pytest.mark.slow
def test_notebooks_run_side_by_side_and_one_that_fails_runs_again(tmp_path, capfd):
    """Each of two waits for the other; the third is wrong."""
    wait = """
import time
from pathlib import Path
Path("{mine}").touch()
for _ in range(600):
    if Path("{other}").exists():
        break
    time.sleep(0.1)
else:
    raise TimeoutError("alone")
"""
    notebook(tmp_path / "a.ipynb", wait.format(mine="a", other="b"))
    notebook(tmp_path / "b.ipynb", wait.format(mine="b", other="a"))
    notebook(tmp_path / "wrong.ipynb", "1 / 0")
    folder, paths = tmp_path / "cache/one", sorted(tmp_path.glob("*.ipynb"))
    asyncio.run(execute(stale(paths, folder), folder, timeout=90, at_once=2))
    assert [path.stem for path in stale(paths, folder)] == ["wrong"]
    said, noise = capfd.readouterr()
    assert noise == ""  # the kernels' own words, which would stand between the lines of a build
    assert "wrong failed" in said
    assert said.count("of 3 notebooks)") == 3
