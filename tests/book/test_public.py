"""What chapters compute from other people's runs: stored results, held to the data where they are at hand."""

import builtins
import hashlib
import io
import json
import os
import re
import symtable
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scalinglaws import datasets
from scalinglaws.book import ledger, public

ROOT = Path(__file__).parents[2]
STORED = ROOT / "data" / "derived"
PUBLIC = ledger.read().query("how == 'public data'")


def code_of(notebook):
    """Return the code cells of a notebook as plain Python."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [re.sub(r"^( *)!.*", r"\1pass", cell, flags=re.MULTILINE) for cell in code]  # shell commands, on Colab only


CODE = {path.stem: code_of(path) for path in sorted((ROOT / "chapters").glob("*.ipynb"))}
CHAPTERS = [name for name, cells in CODE.items() if any("book.derived(" in cell for cell in cells)]


def names(code):
    """Return the names that a cell binds, and those that it takes from cells before it."""
    top = symtable.symtable(code, "cell", "exec")
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    tables, wanted = [top], set()
    for table in tables:
        tables += table.get_children()
        wanted |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (s.is_global() or table is top)}
    return bound, wanted - bound - set(dir(builtins))


def draws_on_public_data(cell):
    """Whether a cell asks for results or runs, or makes a claim that they decide; an id may have parts in braces."""
    stated = re.findall(r"\bclaim\(\s*f?\"([^\"]+)\"", cell)
    ids = (".+".join(map(re.escape, re.split(r"\{[^}]*\}", id))) for id in stated)
    return bool(re.search(r"book\.(derived|raw)\(", cell)) or any(PUBLIC["id"].str.fullmatch(id).any() for id in ids)


def slice_of(cells):
    """Return the cells that read public data or derived results, with all that these need of the cells before."""
    chosen, wanted = [], {}
    for place in range(len(cells) - 1, -1, -1):
        bound, uses = names(cells[place])
        if draws_on_public_data(cells[place]) or bound & wanted.keys():
            chosen.insert(0, cells[place])
            wanted = {name: None for name in wanted if name not in bound} | dict.fromkeys(uses)
    assert not wanted, f"no cell binds {sorted(wanted)}"
    return chosen


def claims_of(chapter, folder, monkeypatch):
    """Run the slice of a chapter; return the claims on public data that it made."""
    monkeypatch.setenv("SCALINGLAWS_CLAIMS", str(folder))
    space = {"__name__": "__main__", "display": print}
    for cell in slice_of(CODE[chapter]):
        exec(compile(cell, chapter, "exec"), space)
    plt.close("all")  # which no inline backend has done
    made = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return {record["id"]: record for record in made if record["how"] == "public data"}


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """No data set is on this machine, and none can be downloaded."""

    def unreachable(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets.pooch, "retrieve", unreachable)
    monkeypatch.setenv("SCALINGLAWS_DATASETS", str(tmp_path / "none"))


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_makes_its_claims_on_public_data_without_the_data(chapter, no_data, monkeypatch, tmp_path):
    rows = PUBLIC[PUBLIC["notebook"] == chapter]
    made = claims_of(chapter, tmp_path, monkeypatch)
    assert made.keys() == set(rows["id"])
    for row in rows.to_dict("records"):
        assert ledger.agree(made[row["id"]], row) == ""


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_data_give_the_stored_results(chapter, monkeypatch, tmp_path):
    if not os.environ.get("SCALINGLAWS_DATASETS"):
        pytest.skip("SCALINGLAWS_DATASETS is not set: no public data to compute the results from")
    monkeypatch.setattr(datasets.pooch, "retrieve", lambda *args, **options: pytest.fail("the folder lacks a file"))
    claims_of(chapter, tmp_path, monkeypatch)  # `derived` compares


def test_chapters_read_public_data_through_stored_results_alone():
    """What a page says may hang on what every reader has: the results, all of them used, and no claim besides."""
    code = "\n".join(cell for cells in CODE.values() for cell in cells)
    assert re.findall(r"published\.dataset\(|DatasetUnavailable", code) == []
    named = set(re.findall(r"book\.derived\(\s*\"([\w-]+)\"", code))
    of_gallery = {"gallery", "gallery-forecasts"}
    assert named | of_gallery == {path.stem for path in STORED.iterdir()}


# ---- `derived` itself, on one data set of six runs ----

RUNS = "N,D,L\n" + "\n".join(f"{N},{20 * N},{N**-0.5 + 1:.12f}" for N in (1, 2, 4, 8, 16, 32))


def slope(runs):
    """Return results of every kind that a file can hold."""
    x, y = np.log(runs["N"]), np.log(runs["L"] - 1)
    return {
        "slope": np.polyfit(x, y, 1)[0],
        "runs": len(runs),
        "said": "ok",
        "each": [{"of 20": (runs["D"] / runs["N"])}],
    }


@pytest.fixture
def six(monkeypatch, tmp_path):
    """One public data set, on this machine; results are stored beside it."""
    (tmp_path / "data" / "derived").mkdir(parents=True)
    (tmp_path / "six.csv").write_text(RUNS)
    digest = hashlib.sha256(RUNS.encode()).hexdigest()
    six = datasets.Dataset(
        name="six", address="https://example.org", files={}, hashes={"six.csv": digest}, license="MIT", paper="nobody",
        read=lambda content: pd.read_csv(io.BytesIO(content["six.csv"])),
    )  # fmt: skip
    monkeypatch.setattr(public, "DATASETS", {"six": six})
    monkeypatch.setattr(datasets, "DATASETS", {"six": six})
    monkeypatch.setattr(public.files, "DATA", tmp_path / "data")
    monkeypatch.setenv("SCALINGLAWS_DATASETS", str(tmp_path))
    monkeypatch.setenv("SCALINGLAWS_DERIVED", str(tmp_path / "data" / "derived"))
    public.derived("six-slope", slope, "six")
    monkeypatch.delenv("SCALINGLAWS_DERIVED")
    return tmp_path


def never(runs):
    pytest.fail("there is nothing to compute from")


def test_stored_results_are_the_same_with_the_data_and_without(six, request):
    with_data = public.derived("six-slope", slope, "six")
    assert with_data == {"slope": -0.5, "runs": 6, "said": "ok", "each": [{"of 20": [20.0] * 6}]}
    record = json.loads((six / "data" / "derived" / "six-slope.json").read_text())
    assert (record["schema"], record["sha256"]) == (1, {"six": hashlib.sha256(RUNS.encode()).hexdigest()})
    request.getfixturevalue("no_data")
    assert public.derived("six-slope", never, "six") == with_data


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"slope": -0.500001}, "['slope'] is stored as -0.5 and computed as -0.500001"),
        ({"runs": 7}, "['runs'] is stored as 6 and computed as 7"),
        ({"said": "no"}, "['said']"),
        ({"each": [{"of 20": [20.0] * 5}]}, "['each'][0]['of 20'][5]"),
        ({"more": 1.0}, "['more']"),
    ],
)
def test_results_that_differ_from_the_data_are_refused(change, place, six):
    with pytest.raises(AssertionError, match=re.escape(place)):
        public.derived("six-slope", lambda runs: slope(runs) | change, "six")


def test_a_difference_of_rounding_is_none(six):
    public.derived("six-slope", lambda runs: slope(runs) | {"slope": -0.5 * (1 + 9e-7)}, "six")


def test_results_of_other_data_are_refused_with_and_without_them(six, request, monkeypatch):
    other = {"six": replace(public.DATASETS["six"], hashes={"six.csv": "0" * 64})}
    monkeypatch.setattr(public, "DATASETS", other)
    request.getfixturevalue("no_data")
    with pytest.raises(ValueError, match="made from other data"):
        public.derived("six-slope", never, "six")


def test_results_are_not_stored_without_the_data(six, no_data, monkeypatch):
    stored = (six / "data" / "derived" / "six-slope.json").read_bytes()
    monkeypatch.setenv("SCALINGLAWS_DERIVED", str(six / "data" / "derived"))
    with pytest.raises(datasets.DatasetUnavailable):
        public.derived("six-slope", never, "six")
    assert (six / "data" / "derived" / "six-slope.json").read_bytes() == stored


def test_the_fingerprint_of_many_files_is_that_of_their_list():
    listed = hashlib.sha256((ROOT / "data" / "published" / "gadre-2024.sha256").read_bytes()).hexdigest()
    record = json.loads((STORED / "gadre-ranks.json").read_text())
    assert record["sha256"] == {"gadre-2024": listed}
