"""Tables as people have them (`tests/cases`), by the command and by `sl.read_runs`: a right value, or why none.

Where nothing else is said the law behind a table is Chinchilla's, with noise of .2 % or none, and base.csv is the plain
form: the same 30 runs in another dress must be the same points.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from truths import strict_json

import scalinglaws as sl
from scalinglaws import laws
from scalinglaws.cli import main
from scalinglaws.tables import columns

CASES = Path(__file__).parents[1] / "cases"
A = 0.28 / (0.34 + 0.28)  # a of the law behind all tables
EXACT = {"rel": 1e-9}  # the digits of a JSON line


def out(capsys, *argv, code=0):
    """Stdout and the lines on stderr of ``scalinglaws fit`` on a case."""
    assert main(["fit", str(CASES / argv[0]), *argv[1:]]) == code, capsys.readouterr().err
    text, err = capsys.readouterr()
    assert "Traceback" not in err
    return text, [line.removeprefix("scalinglaws: ") for line in err.splitlines()]


def fitted(capsys, *argv):
    """The JSON of a fit without intervals, and the lines on stderr."""
    flags = [] if "--approach" in argv or "--bootstrap" in argv else ["--bootstrap", "0"]
    text, lines = out(capsys, *argv, *flags, "--json")
    return strict_json(text), lines


def refused(capsys, *argv):
    """The only line of a command that prints no number."""
    text, lines = out(capsys, *argv, code=2)
    assert text == ""
    assert len(lines) == 1
    return lines[0]


# The same 30 runs in another dress.

DRESSES = {
    "tabs.tsv": "tabs between the cells",
    "index_column.csv": "a column without a name numbers the rows",
    "trailing_comma.csv": "every line ends with a comma",
    "comment_first.csv": "a comment stands above the header",
    "suffixes.csv": "20M parameters and 2B tokens",
    "thousands.csv": "commas between thousands, in quotes",
    "european.csv": "semicolons between cells, commas before decimals",
    "units_row.csv": "a row of units below the header",
    "runs.json": "records, with compute in place of tokens",
    "runs.jsonl": "a record a line",
    "runs.parquet": "columns in binary",
    "utf16.csv": "two bytes a letter, as spreadsheets write",
    "slash_names.csv": "eval/loss beside train/loss: that of validation is meant",
    "train_and_val.csv": "loss beside val_loss: that of validation is meant",
    "millions_billions.csv": "params_M and tokens_B",
}


@pytest.mark.parametrize("name", DRESSES)
def test_the_same_runs_in_another_dress(capsys, name):
    plain, other = sl.read_runs(CASES / "base.csv"), sl.read_runs(CASES / name)
    assert {*other.columns} == {*"NDCL"}
    for letter, column in plain.columns.items():
        assert other.columns[letter] == pytest.approx(column, **EXACT)
    assert (other.unit, other.labels, other.warnings) == (plain.unit, None, ())
    theta = fitted(capsys, "base.csv")[0]["theta"]
    assert fitted(capsys, name)[0]["theta"] == pytest.approx(theta, rel=1e-6)  # of points that differ by 1e-9


# Values.

VALUES = [
    ("base.csv", [], 30, 0.4525, 1e-4, "the plain form"),
    ("bpb.csv", [], 30, 0.4525, 1e-4, "a unit of the loss moves no exponent"),
    ("crashed_nan.csv", ["--drop-missing"], 28, 0.4516, 1e-4, "28 of 30 runs have a loss"),
    ("state_crashed.csv", [], 25, 0.4547, 1e-4, "without the five crashed runs"),
    ("state_crashed.csv", ["--where", "State == 'finished'"], 25, 0.4547, 1e-4, "the same, asked for"),
    ("state_crashed.csv", ["--keep-failed"], 30, 0.6168, 1e-4, "with them, on request only"),
    ("state_crashed_right.csv", [], 25, 0.4547, 1e-4, "the finished runs alone"),
    ("curves.csv", [], 18, 0.4796, 1e-4, "the last of 20 readings of each run"),
    ("curves_last.csv", [], 18, 0.4796, 1e-4, "a row a run, though it has a column of steps"),
    ("curves.csv", ["--readings", "cluster"], 360, 0.4943, 1e-4, "all readings, by run"),
    ("lr_sweep.csv", [], 20, 0.4535, 1e-4, "the best of five rates at each place"),
    ("lr_sweep_best.csv", [], 20, 0.4535, 1e-4, "the same, chosen by hand"),
    ("lr_sweep.csv", ["--best-of", "lr"], 20, 0.4535, 1e-4, "the same, asked for"),
    ("gflops.csv", [], 21, A, 1e-9, "C by its header in GFLOPs"),
    ("gflops.csv", ["--approach", "2"], 21, A, 1e-9, "C by its header in GFLOPs"),
    ("pf_days.csv", [], 21, A, 1e-9, "C by its header in PF-days"),
    ("pf_days.csv", ["--approach", "2"], 21, A, 1e-9, "C by its header in PF-days"),
    ("isoflop_5_sizes.csv", [], 25, A, 1e-9, "approach 3 of isoFLOP runs"),
    ("isoflop_5_sizes.csv", ["--approach", "2"], 25, A, 1e-9, "approach 2, five sizes a budget"),
    ("isoflop_4_sizes_offcenter.csv", [], 20, A, 1e-9, "approach 3 needs no valley"),
    ("isoflop_4_sizes_offcenter.csv", ["--approach", "2"], 20, A, 1e-5, "vertex between the first two of four sizes"),
    ("flops_not_6nd_mild.csv", ["--approach", "2"], 49, 0.4616, 1e-4, "C counts otherwise than 6 N D"),
    ("flops_not_6nd_mild.csv", [], 49, A, 1e-9, "the surface is one of N and D alone"),
    ("billions_both.csv", ["--N", "params:B", "--D", "tokens:B"], 30, 0.4596, 1e-4, "the question, answered"),
    ("units_in_header.csv", ["--N", "N (M):1", "--D", "tokens (B):1"], 30, 0.4525, 1e-4, "the question, answered"),
    ("moe_totals.csv", [], 16, 0.4221, 1e-4, "active parameters, since the totals are all alike"),
]


@pytest.mark.parametrize(("name", "flags", "points", "a", "tolerance", "why"), VALUES, ids=lambda v: str(v)[:40])
def test_a_value(capsys, name, flags, points, a, tolerance, why):
    got, lines = fitted(capsys, name, *flags)
    assert got["n_points"] == points
    assert got["a"] == pytest.approx(a, abs=tolerance), why
    assert lines[0].startswith("read ")
    assert len(lines) == len({*lines})


def test_intervals_by_run_hold_the_truth_and_by_reading_they_do_not(capsys):
    by_run, lines = fitted(capsys, "curves.csv", "--readings", "cluster", "--bootstrap", "199")
    low, high = by_run["intervals"]["a"]
    assert low < A < high
    assert any("360 readings of 18 runs" in line for line in lines)
    low, high = fitted(capsys, "curves.csv", "--readings", "all", "--bootstrap", "199")[0]["intervals"]["a"]
    assert low > A


def test_compute_that_is_not_6nd_has_its_own_exponent_of_tokens(capsys):
    """C/(N D) drifts with C, so that b is .472 by parabolas in ln D, and not 1 - a."""
    got, _ = fitted(capsys, "flops_not_6nd_mild.csv", "--approach", "2")
    assert got["b"] == pytest.approx(0.472, abs=0.005)
    assert any("drifts" in text for text in got["warnings"])
    _, lines = fitted(capsys, "flops_not_6nd_mild.csv")
    assert any(
        line.startswith("C in 'C' is 3.76 to 5.49 times N D") and "--approach 2 counts as the runs did" in line
        for line in lines
    )
    assert not any("is not read" in line for line in fitted(capsys, "gflops.csv")[1])  # 6 N D in another unit


def test_crashed_runs_are_named(capsys):
    _, lines = fitted(capsys, "state_crashed.csv")
    (said,) = [line for line in lines if "crashed" in line]
    assert said.startswith("left out, as no finished runs: 5 'crashed' by column 'State', lines 6, 11, 16, 21, 26")


def test_bits_per_byte_reach_every_print(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, lines = out(capsys, "bpb.csv", "--bootstrap", "0", "--report", "fit.html")
    assert "losses in bits per byte" in text
    assert "'val_bpb' (validation) in bits per byte" in lines[0]
    page = Path("fit.html").read_text(encoding="utf-8")
    assert "loss (bits per byte)" in page
    assert "nats" not in page
    got, _ = fitted(capsys, "bpb.csv")
    assert got["unit"] == "bits per byte"
    Path("fit.json").write_text(json.dumps(got))
    assert main(["plan", "--flops", "1e21", "--law", "fit.json"]) == 0
    plan = capsys.readouterr().out
    assert "bits per byte" in plan
    assert "nats" not in plan
    assert main(["plan", "--flops", "1e21", "--law", "fit.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "bits per byte"


def plans(capsys, tmp_path, *argv):
    """N and D that a fit of a case plans for 1e21 FLOPs."""
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(fitted(capsys, *argv)[0]))
    assert main(["plan", "--flops", "1e21", "--law", str(path), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    return plan["N"], plan["D"]


@pytest.mark.parametrize(
    "argv", [["millions_billions.csv"], ["billions_both.csv", "--N", "params:B", "--D", "tokens:B"]]
)
def test_plans_are_in_parameters_and_tokens(capsys, tmp_path, argv):
    size, tokens = plans(capsys, tmp_path, *argv)
    assert size == pytest.approx(1.84e9, rel=0.08)  # two tables, with noise of their own
    assert 6 * size * tokens == pytest.approx(1e21)


# Refusals: no number, one line that says what is wrong and what to do.

REFUSED = [
    (
        "billions_both.csv",
        [],
        r"N \('params'\) is 0.02 to 2 parameters, D \('tokens'\) .* implausible.* --N params:B --D",
    ),
    ("units_in_header.csv", [], r"2e\+13 to 2e\+15 parameters \(by its name in millions\).* --N 'N \(M\):1'"),
    ("header_twice.csv", [], r"line 32 is the header again: two tables"),
    ("dup_header.csv", [], r"column 'loss' stands twice in the header"),
    ("crashed_nan.csv", [], r"lines 5, 19: L \('loss'\) is empty.*--drop-missing"),
    ("one_budget_of_tokens.csv", [], r"D takes 1 value \(9.998e\+06\).*vary D"),
    ("four_runs_ratio.csv", [], r"4 points for the 5 parameters"),
    ("moe_totals.csv", ["--N", "N"], r"N \('N'\) differs by 0.28% .*no sweep of sizes"),
    ("wide_curves.csv", [], r"curves of 3 runs \(run-2e\+07, .*give a folder .* a column run"),
    ("optima_rising.csv", [], r"no column for N .*N_opt, D_opt look like optima: --law monomial --x C --L N_opt"),
    (
        "optima_rising.csv",
        ["--law", "power", "--x", "C", "--L", "N_opt"],
        r"L rises, as x\^0\.503, and power can only fall: take --law monomial",
    ),
    ("optima_rising.csv", ["--law", "power", "--x", "C", "--L", "D_opt"], r"L rises, as x\^0\.498"),
    ("negative_floor.csv", [], r"no column for N .*--law power_floor --x x"),
    ("pinned_floor.csv", [], r"no column for N .*--law power_floor --x C"),
    ("base.csv", ["--drop-missing"], r"--drop-missing has no effect"),
    ("base.csv", ["--keep-failed"], r"--keep-failed has no effect"),
    ("base.csv", ["--best-of"], r"--best-of has no effect: no two rows have one N and D"),
    ("base.csv", ["--readings", "last"], r"--readings last has no effect"),
    ("base.csv", ["--where", "N > 0"], r"--where 'N > 0' has no effect: all 30 rows"),
    ("base.csv", ["--where", "N < 0"], r"--where 'N < 0' keeps none of 30 rows"),
]


@pytest.mark.parametrize(("name", "flags", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_a_refusal_is_one_line_with_advice(capsys, name, flags, words):
    said = refused(capsys, name, *flags)
    assert re.search(words, said), said


def test_a_floor_at_its_bound_is_said_first(capsys):
    """The free floor of these points is below zero, which `power_floor` does not have."""
    text, _ = out(capsys, "negative_floor.csv", "--law", "power_floor", "--bootstrap", "0", code=1)
    assert text.startswith("power_floor: at_bound: certified, with E at 0")
    assert "with the floor at its bound alpha is not to be believed" in text


@pytest.mark.parametrize(("column", "p"), [("N_opt", 0.503), ("D_opt", 0.498)])
def test_what_rises_takes_a_law_that_can_rise(capsys, column, p):
    got, _ = fitted(capsys, "optima_rising.csv", "--law", "monomial", "--x", "C", "--L", column)
    assert got["theta"]["p"] == pytest.approx(p, abs=5e-4)
    assert got["unit"] == f"the unit of {column}"


def test_a_pinned_floor(capsys):
    """Four points do not give a floor and an exponent; with the floor known they do."""
    flags = ["--law", "power_floor", "--x", "C", "--fix", "E=1.6"]
    got, _ = fitted(capsys, "pinned_floor.csv", *flags)
    assert got["theta"]["alpha"] == pytest.approx(0.094, abs=1e-3)
    assert got["theta"]["E"] == 1.6


def test_standard_errors_weigh(capsys):
    """Five points with a standard error of .05 and fifteen with .002; the law behind them has a = .4516."""
    assert "loss_se may be standard errors of the losses: --se weighs by them" in fitted(capsys, "with_se.csv")[1]
    plain, weighed = (fitted(capsys, "with_se.csv", *flags)[0]["a"] for flags in ([], ["--se", "loss_se"]))
    assert abs(weighed - A) < abs(plain - A) / 3
    assert weighed == pytest.approx(A, abs=0.01)


def test_a_column_per_run_is_read_where_a_table_says_the_sizes(tmp_path):
    """As the message of the refusal says: the export of the chart and a table of runs, in one folder."""
    shutil.copy(CASES / "wide_curves.csv", tmp_path)
    (tmp_path / "runs.csv").write_text(
        "run,N,tokens_per_step\nrun-2e+07,2e7,262144\nrun-1e+08,1e8,262144\nrun-5e+08,5e8,262144\n"
    )
    points = sl.read_runs(tmp_path)
    assert points.columns["N"].tolist() == [2e7, 1e8, 5e8]
    assert points.columns["D"].tolist() == [20000 * 262144] * 3
    assert points.columns["L"] == pytest.approx([3.6793697907, 3.1152948699, 2.7889423356])
    curves = sl.read_runs(tmp_path, readings="cluster")
    assert len(curves) == 120
    assert {*curves.labels} == {"run-2e+07", "run-1e+08", "run-5e+08"}


def test_usual_names_are_found():
    """All of names.txt."""
    lines = [line.split("\t") for line in (CASES / "names.txt").read_text().splitlines() if line[:1] != "#"]
    assert len(lines) == 45
    missed = [name for letter, name in lines if (m := columns.meaning(name)) is None or m.letter != letter]
    assert missed == []


def test_every_case_is_tested():
    named = {*DRESSES, *(name for name, *_ in VALUES), *(name for name, *_ in REFUSED), "names.txt"}
    assert {path.name for path in CASES.iterdir()} - named == {"with_se.csv"}  # in `test_standard_errors_weigh`


def test_a_fit_in_python_is_that_of_the_command(capsys):
    points = sl.read_runs(CASES / "base.csv")
    found = sl.fit(laws.chinchilla, **points.of(laws.chinchilla))
    assert fitted(capsys, "base.csv")[0]["theta"] == pytest.approx(found.theta, rel=1e-12)
    assert np.array_equal(found.L, points.columns["L"])


# What the report shows, and what tables can do to it.


HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred",
    "]]>",
    "{{7*7}}",
]


@pytest.mark.parametrize("cell", HOSTILE)
def test_hostile_cells_do_no_harm(capsys, tmp_path, monkeypatch, cell):
    """In a column's name, a status, a recipe and a label; in the report, the JSON and on the terminal."""
    monkeypatch.chdir(tmp_path)
    base = (CASES / "base.csv").read_text().splitlines()
    quoted = '"' + cell.replace('"', '""') + '"'
    rows = [f"{line},{quoted},{quoted if k == 3 else 'ok'},{k},{quoted}" for k, line in enumerate(base[1:])]
    crashed = [f"1e8,1e9,9,{quoted},crashed,99,{quoted}"]
    Path("runs.csv").write_text(
        "\n".join([f"{base[0]},loss {quoted[1:-1] if ',' not in cell else 'x'},status,lr,group", *rows, *crashed])
    )
    flags = ["--report", "fit.html", "--json", "--bootstrap", "0"]
    assert main(["fit", "runs.csv", "--L", "loss", *flags]) == 0
    text, err = capsys.readouterr()
    page = Path("fit.html").read_text(encoding="utf-8")
    assert strict_json(text)["n_points"] == 30
    for word in ("<script", "<img", "onerror=alert(1)>", "\x1b"):
        assert word not in page
        assert word not in err or word[0] == "<"
    assert "\x1b" not in text


def test_the_page_says_what_was_read_and_how(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out(capsys, "curves.csv", "--bootstrap", "0", "--report", "fit.html")
    page = Path("fit.html").read_text(encoding="utf-8")
    data = page[page.index("<h2>The data</h2>") : page.index("<h2>The fit</h2>")]
    assert "read 360 rows (CSV): 18 runs at 18 places" in data
    assert "the last of each is taken" in data
    assert "losses in nats per token" in data


def test_the_json_says_what_was_read(capsys):
    got, lines = fitted(capsys, "state_crashed.csv")
    assert got["unit"] == "nats per token"
    assert got["read"] == [line for line in lines if not line.startswith("no intervals")]


def test_what_takes_long_is_said_before_it_begins(capsys, monkeypatch):
    from scalinglaws.cli import fit as command

    monkeypatch.setattr(command, "LARGE", 1000)
    _, lines = out(capsys, "base.csv", "--bootstrap", "0")
    assert lines[0].startswith("reading ")
    assert lines[1].startswith("read 30 rows (CSV)")
    assert lines[2] == "fitting 30 points"
    assert len(lines) == 3


def test_approach_1_takes_the_curves():
    """An envelope is one of curves; other approaches take the end of each."""
    points = sl.read_runs(CASES / "curves.csv", needs=("C", "N", "D"), curves=True)
    assert (len(points), len({*points.labels})) == (360, 18)


def test_seeds_of_a_stored_sweep_are_kept(capsys):
    root = CASES.parents[1]
    got, lines = fitted(capsys, str(root / "data/runs/isoflop.csv"), "--N", "n_params_nonemb")
    assert got["n_points"] == 126
    assert "126 runs at 42 places" in lines[0]
