"""What the changelog says of the new places is so, and it leaves out no module of before."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import scalinglaws
from scalinglaws.cli import main
from scalinglaws.files import CHECKOUT

TEXT = Path(CHECKOUT, "CHANGELOG.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(scalinglaws\S*)` \| (.+) \|$", TEXT, flags=re.MULTILINE)
BEFORE = {  # modules of 0.1.0 that are no longer where they were, or no longer hold what they held
    "book", "bootstrap", "calibration", "chinchilla", "claims", "cli", "coordinates", "corpus", "ensemble", "exercise",
    "fit", "laws", "model", "mup", "noise", "page", "plots", "points", "report", "sweep", "tasks", "train", "widgets",
}  # fmt: skip


def found(path: str):
    """What a dotted path names: attributes of the deepest module that can be imported."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            thing = getattr(thing, name)
        return thing
    raise ModuleNotFoundError(path)


@pytest.mark.parametrize(("old", "new"), ROWS)
def test_new_paths_exist(old, new):
    for path in re.findall(r"`(scalinglaws[\w.]*)`", new):
        assert found(path) is not None, f"{old} is said to be {path}"


def test_no_module_of_before_is_left_out():
    assert {old.removeprefix("scalinglaws.") for old, _ in ROWS} >= BEFORE


def test_the_version_is_one(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"scalinglaws {scalinglaws.__version__}\n"
    project = tomllib.loads(Path(CHECKOUT, "pyproject.toml").read_text())["project"]
    latest = re.search(r"^## \[([\d.]+)\]", TEXT, flags=re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", Path(CHECKOUT, "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert latest
    assert cited
    assert latest[1] == cited[1] == project["version"] == scalinglaws.__version__
