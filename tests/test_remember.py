"""A notebook that nbmake has run is taken over by the book's build, as long as nothing that it depends on changes."""

import nbformat
import pytest
from jupyter_cache import get_cache
from nbmake.nb_run import NotebookRun
from remember import digest, remember


@pytest.fixture
def executed(tmp_path):
    """A notebook before and after it was run, remembered in a book of its own."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/constant.py").write_text("x = 1")
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("6 * 7", metadata={"tags": ["kept"]})])
    source.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path = tmp_path / "chapter.ipynb"
    nbformat.write(source, path)
    result = NotebookRun(path, 60, kernel="python3").execute()
    remember(result.nb, path, 12.5, tmp_path)
    return tmp_path, source


def test_the_build_finds_outputs_and_seconds(executed):
    root, source = executed
    cache = get_cache(root / "_build/cache" / digest(root))
    assert cache.match_cache_notebook(source).data["execution_seconds"] == 12.5
    _, merged = cache.merge_match_into_notebook(source)
    (cell,) = merged.cells
    assert cell.outputs[0].data["text/plain"] == "42"
    assert cell.metadata == {"tags": ["kept"]}


def test_other_code_and_another_library_are_not_taken_for_it(executed):
    root, source = executed
    old = digest(root)
    source.cells[0].source = "6 * 8"
    with pytest.raises(KeyError):
        get_cache(root / "_build/cache" / old).match_cache_notebook(source)
    (root / "lib/constant.py").write_text("x = 2")
    assert digest(root) != old
