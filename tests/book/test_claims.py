"""The ledger: chapters write it, hold themselves to it, and it names every claim they state."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_book import CLAIM, NUMBERS, registered

from scalinglaws import book
from scalinglaws.book import claims, ledger, registry
from scalinglaws.cli import main

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
ROW = CLAIM | NUMBERS | {"id": "slope"}
CELL = 'book.claim(\n    "slope",\n    ours=0.081,\n)'


@pytest.fixture(autouse=True)
def own_registry(tmp_path, monkeypatch):
    """A registry of a few claims; a test may write it again."""
    path = tmp_path / "claims.toml"
    monkeypatch.setenv(registry.REGISTRY, str(path))
    registered(path, slope={}, mine={}, **{"slope-a": {}, "slope-b": {}})
    return path


def stated(id="slope", **change):
    """The one claim, with its numbers or others."""
    return claims.claim(id, **NUMBERS | change)


@pytest.fixture
def chapters(tmp_path):
    """One chapter that states one claim."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    cell = {"cell_type": "code", "source": CELL.splitlines(keepends=True)}
    (folder / "01_slopes.ipynb").write_text(json.dumps({"cells": [cell]}))
    return folder


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Where checked claims leave their records."""
    monkeypatch.setenv(claims.RECORDS, str(tmp_path / "records"))
    return tmp_path / "records"


@pytest.fixture
def kept(tmp_path, monkeypatch, chapters, records):
    """A ledger of that one claim, in place of the book's."""
    monkeypatch.setattr(ledger, "LEDGER", tmp_path / "claims.csv")
    stated()
    ledger.write(claims.collect(records, chapters))
    monkeypatch.delenv(claims.RECORDS)
    return ledger.read()


def change(records, **fields):
    """What another run of the one claim leaves."""
    (path,) = records.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def gate(*arguments):
    return main(["claims", *map(str, arguments)])


def test_a_ledger_says_where_a_claim_comes_from(kept):
    (row,) = kept.to_dict("records")
    assert (row["section"], row["notebook"], row["published"]) == ("8.1", "01_slopes", "0.076")
    assert row["source"].startswith("kaplan2020scaling, ")
    assert (row["ours"], row["low"], row["high"]) == (0.081, 0.07, 0.09)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""),
        ({"ours": 0.0815}, ""),  # a rounding of the bootstrap
        ({"ours": 0.084}, r"another value of ours, 0\.081 and not 0\.084"),
        ({"high": 0.12}, "another value of high"),
    ],
)
def test_a_chapter_that_finds_something_else_fails(kept, change, message):
    if message:
        with pytest.raises(AssertionError, match=f"^claim slope: the ledger data/claims.csv has {message}"):
            stated(**change)
    else:
        assert stated(**change).verdict == "reproduced"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"criterion": "positive"}, "another criterion, 'between 0.04 and 0.15'"),
        ({"interval": "none", "verdict": "undecided"}, "another verdict, 'reproduced'"),
        ({"how": "live"}, "another how, 'stored'"),
    ],
)
def test_a_registry_that_says_something_else_than_the_ledger_fails(kept, own_registry, change, message):
    registered(own_registry, slope=change)
    with pytest.raises(AssertionError, match=f"^claim slope: the ledger data/claims.csv has {message}"):
        stated()


def test_live_values_may_differ_by_their_intervals():
    row = ROW | {"how": "live"}
    assert ledger.agree(row | {"ours": 0.12, "low": 0.11, "high": 0.13}, row) == ""
    assert ledger.agree(row | {"ours": 0.14, "low": 0.13, "high": 0.15}, row) == "interval, from 0.07 to 0.09"
    plain = row | {"low": None, "high": None}
    assert ledger.agree(plain | {"ours": 0.5}, plain) == ""


def test_a_readers_own_claim_is_in_no_ledger(kept):
    assert stated("mine").id == "mine"


def test_a_claim_without_a_record_is_named(chapters, tmp_path):
    with pytest.raises(ValueError, match=r"01_slopes.ipynb states 'slope', which left no record in"):
        claims.collect(tmp_path / "nothing", chapters)


def test_an_id_twice_is_named(chapters, records):
    stated()
    (chapters / "02_more.ipynb").write_text((chapters / "01_slopes.ipynb").read_text())
    with pytest.raises(ValueError, match="stated twice: slope"):
        claims.collect(records, chapters)


def test_differences_are_said_in_words(kept):
    assert ledger.differences(kept, kept) == []
    other = pd.concat([kept.assign(ours=0.2), kept.assign(id="new")])
    assert ledger.differences(other, kept) == [
        "slope: the ledger has another value of ours, 0.081 and not 0.2",
        "new: stated in 01_slopes, but not in the ledger",
    ]
    assert ledger.differences(kept, kept.assign(id="old"))[0] == "old: in the ledger, but no chapter states it"


def test_a_list_of_claims_says_everything():
    table = claims.Claims(claims.Claim(**ROW), claims.Claim(**ROW | {"id": "a", "verdict": "contradicted"}))
    for part in (
        "Here (stored)</dt><dd>0.081 [0.07, 0.09]",
        "Published (K01)</dt><dd>0.076",
        "between 0.04 and 0.15",
        "✓ reproduced",
        "✕ contradicted",
    ):
        assert part in table._repr_html_()
    assert str(table).count("Verdict:") == 2


def test_the_command_prints_filters_and_gates(kept, chapters, records, capsys, monkeypatch):
    assert main(["claims"]) == 0
    assert "✓ Loss falls &" in (printed := capsys.readouterr().out)
    assert "trained, 1 claims: 1 reproduced, 0 reproduced in direction, 0 undecided, 0 opposite here" in printed
    assert "arithmetic, 0 claims: 0 consistent, 0 inconsistent" in printed
    assert main(["claims", "--kind", "arith", "--csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    assert main(["claims", "--verdict", "contra", "--csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    monkeypatch.setattr(ledger, "CHAPTERS", chapters)
    assert gate("--check", records) == 0
    assert capsys.readouterr().out == "all 1 claims are as in the ledger\n"
    change(records, verdict="contradicted")
    assert gate("--check", records) == 1
    assert "slope: the ledger has another verdict" in capsys.readouterr().out


def test_a_claim_in_a_comment_is_not_stated(chapters, records):
    lines = ['book.claim(  # id="one"', '    id="slope")', 'x = 1  # claim("three")', "%time y = claim"]
    cell = {"cell_type": "code", "source": ['# claim("two")\n', *(f"{line}\n" for line in lines)]}
    (chapters / "01_slopes.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert ledger.stated(chapters / "01_slopes.ipynb") == ["slope"]


@pytest.mark.parametrize(
    "call",
    [
        "'slope'",
        '"slope"',
        '"""slope"""',
        "id='slope'",
        'ours=0.081, id="slope"',
        '"slo" "pe"',
        'f"sl{x[0]}pe"',
        "rf'{a}{b}'",
    ],
)
def test_an_id_may_be_written_as_one_likes(chapters, call):
    cell = {"cell_type": "code", "source": [f"box = [book.claim({call})]"]}
    (chapters / "01_slopes.ipynb").write_text(json.dumps({"cells": [cell]}))
    (pattern,) = ledger.stated(chapters / "01_slopes.ipynb")
    assert re.fullmatch(pattern, "slope")


@pytest.mark.parametrize("call", ["name", "row.id", "names[0]", "", "5"])
def test_an_id_that_is_no_string_is_not_stated(chapters, call):
    cell = {"cell_type": "code", "source": [f"book.claim({call})"]}
    (chapters / "01_slopes.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert ledger.stated(chapters / "01_slopes.ipynb") == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": [{"cell_type": "code"}]}'])
def test_a_broken_notebook_is_named(chapters, tmp_path, text):
    (chapters / "01_slopes.ipynb").write_text(text)
    with pytest.raises(ValueError, match=r"01_slopes.ipynb: is no notebook \(\w+\); save it again"):
        claims.collect(tmp_path, chapters)


@pytest.mark.parametrize("id", ["two/x", "two\\x", ""])
def test_an_id_is_the_name_of_a_file(id):
    with pytest.raises(ValueError, match="no slash"):
        claims.Claim(**ROW | {"id": id})


def test_a_number_that_is_none_stays_none():
    row = ROW | {"ours": math.nan, "low": None, "high": None}
    assert ledger.agree(row, row) == ""
    assert ledger.agree(row | {"ours": 0.1}, row) == "value of ours, nan and not 0.1"


def test_an_id_may_be_made_in_a_loop(chapters, records):
    cell = {"cell_type": "code", "source": [CELL.replace('"slope"', 'f"slope-{row.lower()}"')]}
    (chapters / "01_slopes.ipynb").write_text(json.dumps({"cells": [cell]}))
    for row in ("b", "a"):
        stated(f"slope-{row}")
    assert claims.collect(records, chapters)["id"].tolist() == ["slope-a", "slope-b"]


@pytest.mark.parametrize("notebook", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_ledger_names_every_claim_of_a_chapter_and_no_other(notebook):
    table = ledger.read()
    ids = table.loc[table["notebook"] == notebook.stem, "id"]
    patterns = ledger.stated(notebook)
    for pattern in patterns:
        assert ids.str.fullmatch(pattern).any(), f"{pattern} is not in the ledger: make claims"
    for id in ids:
        assert any(re.fullmatch(pattern, id) for pattern in patterns), f"{id} is in the ledger only: make claims"


def test_the_ledger_is_of_some_length_and_names_its_sources():
    assert len(ledger.read()) >= 120
    assert ledger.read()["section"].all()


# ---- Notebooks of one's own ----


def test_notebooks_of_ones_own_have_a_ledger_of_their_own(kept, chapters, records, tmp_path, capsys):
    book, ours = ledger.LEDGER.read_bytes(), tmp_path / "ours.csv"
    assert gate("--write", records, "--notebooks", chapters, "--ledger", ours) == 0
    assert "trained, 1 claims: 1 reproduced" in capsys.readouterr().out
    assert ledger.LEDGER.read_bytes() == book
    ledger.LEDGER.unlink()  # a plain `pip install` has none
    assert gate("--check", records, "--notebooks", chapters, "--ledger", ours) == 0
    change(records, ours=0.2)
    assert gate("--check", records, "--notebooks", chapters, "--ledger", ours) == 1
    assert "slope: the ledger has another value of ours, 0.081 and not 0.2" in capsys.readouterr().out
    assert gate("--ledger", ours, "--csv") == 0
    assert capsys.readouterr().out.startswith("id,statement,")


def test_the_gate_holds_a_copy_of_some_chapters_to_their_claims(kept, chapters, records, tmp_path, capsys):
    rows = [kept, kept.assign(id="other", notebook="02_more"), kept.assign(id="gone")]
    ledger.write(pd.concat(rows), some := tmp_path / "some.csv")
    assert gate("--check", records, "--notebooks", chapters, "--ledger", some) == 1
    # 02_more is not in the folder; "gone" was a claim of 01_slopes
    assert capsys.readouterr().out == "gone: in the ledger, but no chapter states it\n"
    (chapters / "01_slopes.ipynb").rename(chapters / "week_1.ipynb")
    ledger.write(pd.concat(rows[:2]), some)
    assert gate("--check", records, "--notebooks", chapters, "--ledger", some) == 0


def test_a_gate_that_sees_no_claim_says_so(kept, chapters, records, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert gate("--check", records, "--notebooks", tmp_path / "none") == 2
    assert "none states a claim: name the folder of yours with --notebooks" in capsys.readouterr().err
    cell = {"cell_type": "code", "source": [CELL.replace('"slope"', "slope")]}
    (chapters / "02_hidden.ipynb").write_text(json.dumps({"cells": [cell]}))
    (records / "hidden.json").write_text((records / "slope.json").read_text())
    assert gate("--check", records, "--notebooks", chapters) == 2
    assert "has 'hidden', which no notebook in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--notebooks", "x"], "--notebooks belongs to --check or --write"),
        (["--write", "x", "--notebooks", "x"], "needs --ledger FILE.csv: data/claims.csv is the book's own"),
        (["--ledger", "no.csv"], "no ledger no.csv: write it with --write FOLDER"),
        (["--ledger", str(ROOT / "data/chapters.csv")], "is no ledger, it has no column criterion"),
    ],
)
def test_the_command_says_what_to_mend(arguments, message, capsys):
    assert gate(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_source_in_words_is_its_own_and_a_row_has_to_exist(kept, chapters, records):
    change(records, published_id="Doe 2027, Table 2")
    (row,) = claims.collect(records, chapters).to_dict("records")
    assert (row["section"], row["source"]) == ("", "Doe 2027, Table 2")
    change(records, published_id="K99")
    with pytest.raises(ValueError, match="no published row has id 'K99'"):
        claims.collect(records, chapters)


def test_a_list_without_claims_says_so():
    assert "not on this machine" in claims.Claims()._repr_html_()
    assert "<li" not in claims.Claims()._repr_html_()
    assert str(claims.Claims()) == claims.NOTHING


def test_the_page_has_every_chapter_under_its_title():
    page = (ROOT / "claims.md").read_text(encoding="utf-8")
    shown = re.findall(r'^## (\d+)\. (.+)\n(?:.*\n){4}book\.verdicts\("(.+)"\)$', page, re.MULTILINE)
    titles = {path.stem: re.search(r'"# (.+?)(?:\\n)?"', path.read_text(encoding="utf-8")) for path in CHAPTERS}
    assert shown == [(str(int(name[:2])), title and title[1], name) for name, title in titles.items()]


def test_the_interval_over_seeds_is_that_of_students_t():
    values = np.random.default_rng(0).normal(size=5)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = book.over_seeds(values)
    np.testing.assert_allclose((found["low"], found["high"]), interval, rtol=1e-12)
    moved = book.over_seeds(values, ours=7.0)
    assert moved["high"] - 7.0 == pytest.approx(interval.high - values.mean(), rel=1e-12)


def test_the_words_of_a_claim_are_set_as_the_book_prints_numbers():
    words = claims._typeset("Kaplan's 2^18 tokens, -0.03; \\(a' 2^{-11}\\), x^-alpha on 2026-11-30")
    assert words == "Kaplan’s 2¹⁸ tokens, −0.03; \\(a' 2^{-11}\\), x^-alpha on 2026-11-30"
