"""A copy of the book without solutions, as ``make book SOLUTIONS=0`` builds it from chapters that were executed."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import yaml
from execution import digest, remember
from jupyter_cache import get_cache

# Hidden folders are tools', and what is generated would be generated again.
LEFT_OUT = shutil.ignore_patterns(".*", "_build", "__pycache__", "*.egg-info", "tests")
ASKED = re.compile(r"book\.(exercise|forecast)\(")
CHECK = re.compile(r"^\w+\.check\(\w+\)\n?", re.MULTILINE)


def gives_away(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell is a solution, or holds the number that an exercise compares answers with."""
    prompt = cell.metadata.get("mystnb", {}).get("code_prompt_show", "")
    return cell.cell_type == "code" and (prompt.startswith("Solution") or ASKED.search(cell.source) is not None)


def withhold(notebook: nbformat.NotebookNode) -> None:
    """Take solutions out of a notebook, and the checks that need them; a place for the reader's answer stays.

    So do the values that the prose quotes from a solution.
    """
    kept = []
    for cell in notebook.cells:
        if gives_away(cell):
            if "book.quote(" not in cell.source:
                continue
            found = [output for output in cell.outputs if "scrapbook" in output.get("metadata", {})]
            cell = nbformat.v4.new_code_cell("", metadata={"tags": ["remove-cell"]}, outputs=found, id=cell.id)
        kept.append(cell)
    notebook.cells = kept
    for cell in notebook.cells:
        if cell.cell_type == "code" and CHECK.search(cell.source):
            cell.source, cell.outputs = CHECK.sub("", cell.source).strip(), []


def copy(root: Path, folder: Path) -> None:
    """Copy the book in ``root`` to ``folder`` without solutions, with what its notebooks put out."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root, folder, ignore=LEFT_OUT)
    shutil.copytree(root / "tests/cases", folder / "tests/cases")  # the guides read them
    there, here = (place / "_build/cache" / digest(place) for place in (root, folder))
    shutil.copytree(there, here)
    for path in sorted((folder / "chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        _, executed = get_cache(there).merge_match_into_notebook(notebook)
        seconds = get_cache(there).match_cache_notebook(notebook).data["execution_seconds"]
        for each in (notebook, executed):
            withhold(each)
        nbformat.write(notebook, path)
        remember(executed, path, seconds, here)
    config = yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8"))
    del config["launch_buttons"]  # they lead to the repository, which has the solutions
    config["html"] |= {"use_repository_button": False, "use_issues_button": False}
    (folder / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    copy(Path.cwd(), Path(sys.argv[1]))
