"""`scalinglaws fit` and `plan`: results on stdout, the rest on stderr, and no bad table gives a silent number."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from truths import GOPHER_FLOPS, REPLICATED, REPLICATED_OBJECTIVE, TRUTH, at_gophers_budget, strict_json

from scalinglaws import laws, tables
from scalinglaws.cli import main, report
from scalinglaws.cli.page import figures_of
from scalinglaws.cli.plan import FITTED, PUBLISHED
from scalinglaws.laws import plan as planning
from scalinglaws.laws.backtest import backtest
from scalinglaws.laws.bootstrap import bootstrap
from scalinglaws.laws.design import design
from scalinglaws.laws.fit import SCHEMA, fit
from scalinglaws.laws.forecast import predict
from scalinglaws.laws.frontier import Frontier, approach2

ROOT = Path(__file__).parents[2]
A = TRUTH["beta"] / (TRUTH["alpha"] + TRUTH["beta"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(sigma: float = 0.003, n: int = 7) -> pd.DataFrame:
    """Runs on an n x n grid that follow TRUTH up to noise in ln L."""
    N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, n), np.geomspace(1e9, 1e11, n)))
    noise = sigma * np.random.default_rng(0).normal(size=N.size)
    return pd.DataFrame({"N": N, "D": D, "loss": laws.chinchilla.value(TRUTH, N, D) * np.exp(noise)})


def isoflops(budgets=(1e18, 1e19, 1e20, 1e21), sizes: int = 9) -> pd.DataFrame:
    """Noise-free runs at a few budgets, around the optimum of each."""
    rows = []
    for C in budgets:
        N = float(laws.chinchilla.optimum(TRUTH, C)[0]) * np.geomspace(0.25, 4, sizes)
        rows.append(pd.DataFrame({"C": C, "N": N, "L": laws.chinchilla.value(TRUTH, N, C / (6 * N))}))
    return pd.concat(rows, ignore_index=True)


def save(table: pd.DataFrame | str, name: str = "runs.csv") -> str:
    Path(name).write_text(table if isinstance(table, str) else table.to_csv(index=False))
    return name


def out(capsys, *argv: str, code: int = 0) -> tuple[str, list[str]]:
    """Stdout and the lines on stderr of a command."""
    assert main(list(argv)) == code
    text, err = capsys.readouterr()
    lines = err.splitlines()
    assert all(line.startswith("scalinglaws: ") for line in lines)
    return text, [line.removeprefix("scalinglaws: ") for line in lines]


def result(capsys, *argv: str, code: int = 0) -> dict:
    """The JSON that a command prints."""
    return strict_json(out(capsys, *argv, "--json", code=code)[0])


def says(capsys, *argv: str) -> str:
    """The only line of a command that fails by code 2."""
    text, lines = out(capsys, *argv, code=2)
    assert text == ""
    assert len(lines) == 1
    return lines[0]


# Fit.


def test_json_is_the_fit_of_the_library(capsys):
    table = runs()
    got = result(capsys, "fit", save(table))
    expected = fit(laws.chinchilla, N=table["N"], D=table["D"], L=table["loss"])
    assert got["theta"] == pytest.approx(expected.theta, rel=1e-12)  # a CSV of pandas holds every digit
    assert list(got["theta"]) == ["E", "A", "B", "alpha", "beta"]
    assert got["objective"] == pytest.approx(expected.value, rel=1e-12)
    assert (got["status"], got["n_points"], got["law"]) == ("ok", 49, "chinchilla")
    alpha, beta = got["theta"]["alpha"], got["theta"]["beta"]
    assert (got["a"], got["b"]) == pytest.approx((beta / (alpha + beta), alpha / (alpha + beta)), rel=1e-12)
    assert set(got["intervals"]) == {"E", "A", "B", "alpha", "beta", "a", "b"}
    cloud = bootstrap(expected, n=999, seed=0)
    for name, (low, high) in cloud.attach().intervals.items():
        assert got["intervals"][name] == pytest.approx([low, high], rel=1e-9)
    low, high = cloud.interval(lambda theta: theta["beta"] / (theta["alpha"] + theta["beta"]))
    assert got["intervals"]["a"] == pytest.approx([low, high], rel=1e-9)
    assert low < got["a"] < high


def test_text_says_the_status_first(capsys):
    text, lines = out(capsys, "fit", save(runs()))
    assert text.startswith("chinchilla: ok: certified")
    assert "95% interval" in text
    assert re.search(r"\n  a +0\.5\d+ +N_opt ∝ C\^a +0\.\d+ to 0\.\d+\n", text)
    read = "read 49 rows (CSV): 49 runs at 49 places (N, D); N from 'N', D from 'D', L from 'loss' in nats per token"
    assert lines == [f"{read}; C = 6 N D"]


def test_the_paper_is_replicated(capsys):
    folder = os.environ.get("SCALINGLAWS_DATASETS")
    if folder is None:
        pytest.skip("SCALINGLAWS_DATASETS is not set: point it to a folder with epoch-chinchilla.csv")
    path = str(Path(folder, "epoch-chinchilla.csv"))
    got = result(capsys, "fit", path, "--drop-highest", "5", "--delta", "1e-3", "--bootstrap", "0")
    assert got["objective"] == pytest.approx(REPLICATED_OBJECTIVE, rel=1e-9)
    assert got["theta"] == pytest.approx(REPLICATED, rel=1e-5)
    assert got["a"] == pytest.approx(0.51390, abs=5e-6)
    assert (got["n_points"], got["intervals"]) == (240, None)
    everything = result(capsys, "fit", path, "--delta", "1e-3", "--bootstrap", "0")
    assert everything["theta"]["beta"] == pytest.approx(0.45305, abs=5e-6)
    assert any("without the 5 points of highest loss a is" in text for text in everything["warnings"])


NAMES = [
    ({"N": "N", "D": "D", "loss": "L"}, []),
    ({"N": "n_params", "D": "tokens", "loss": "val_loss"}, []),
    ({"N": "n_params_nonemb", "D": "Training_Tokens", "loss": "LOSS"}, []),
    ({"N": " params ", "D": "d", "loss": "l"}, []),
    ({"N": "Model Size", "C": "Training FLOP", "loss": "loss"}, ["D = C / (6 N)"]),
    ({"D": "tokens", "C": "flops", "loss": "loss"}, ["N = C / (6 D)"]),
]


@pytest.mark.parametrize(("names", "derived"), NAMES, ids=lambda value: " ".join(value))
def test_usual_columns_are_guessed_and_said(capsys, names, derived):
    table = runs()
    expected = result(capsys, "fit", save(table), "--bootstrap", "0")["theta"]
    table["C"] = 6 * table["N"] * table["D"]
    text, lines = out(capsys, "fit", save(table[list(names)].rename(columns=names)), "--bootstrap", "0", "--json")
    assert json.loads(text)["theta"] == pytest.approx(expected, rel=1e-9)
    (line,) = lines
    for letter, name in names.items():
        kind = {"val_loss": " (validation)", "n_params_nonemb": " (non-embedding)"}.get(name, "")
        assert f"{letter.replace('loss', 'L')} from {name.strip()!r}{kind}" in line
    assert line.endswith("; ".join(["nats per token", *(derived or ["C = 6 N D"])]))


def test_columns_can_be_named_and_the_choice_among_guesses_is_said(capsys):
    table = runs().rename(columns={"N": "weights", "D": "seen"}).assign(n_params=1.0, n_params_nonemb=2.0)
    save(table)
    expected = result(capsys, "fit", save(runs(), "plain.csv"), "--bootstrap", "0")["theta"]
    text, lines = out(capsys, "fit", "runs.csv", "--N", "weights", "--D", "seen", "--bootstrap", "0", "--json")
    assert json.loads(text)["theta"] == pytest.approx(expected, rel=1e-12)
    assert len(lines) == 1  # nothing was chosen that was not asked for
    assert "N from 'weights', D from 'seen', L from 'loss'" in lines[0]
    said = says(capsys, "fit", "runs.csv", "--N", "width")
    assert said == "runs.csv: no column 'width'; there are: weights, seen, loss, n_params, n_params_nonemb"
    both = runs().assign(n_params=lambda t: t["N"], n_params_nonemb=lambda t: t["N"] / 2).drop(columns="N")
    _, lines = out(capsys, "fit", save(both))
    assert "N from 'n_params'" in lines[0]
    assert "N could also be 'n_params_nonemb': --N chooses" in lines


def test_semicolons_tabs_and_a_byte_order_mark_are_read(capsys):
    expected = result(capsys, "fit", save(runs()), "--bootstrap", "0")["theta"]
    for separator in ";\t":
        Path("other.csv").write_text("\ufeff" + runs().to_csv(index=False, sep=separator), encoding="utf-8")
        assert result(capsys, "fit", "other.csv", "--bootstrap", "0")["theta"] == expected


def test_row_order_changes_nothing(capsys):
    expected = result(capsys, "fit", save(runs()), "--bootstrap", "0")
    shuffled = result(capsys, "fit", save(runs().sample(frac=1, random_state=1)), "--bootstrap", "0")
    assert shuffled["theta"] == pytest.approx(expected["theta"], rel=1e-12)


def test_failed_runs_of_a_run_table_are_left_out_and_said(capsys):
    table = runs().assign(status="ok")
    table.loc[3, ["status", "loss"]] = ["diverged", np.nan]
    text, lines = out(capsys, "fit", save(table), "--json")
    assert json.loads(text)["n_points"] == 48
    assert any(
        line.startswith("left out, as no finished runs: 1 'diverged' by column 'status', line 5") for line in lines
    )
    assert "every run diverged" in says(capsys, "fit", save(table.assign(status="failed")))


def test_options_reach_the_fitter(capsys):
    table = runs()
    save(table)
    columns = {"N": table["N"], "D": table["D"], "L": table["loss"]}
    for flags, options in (
        (["--delta", "inf"], {"delta": np.inf}),
        (["--delta", "2e-3"], {"delta": 2e-3}),
        (["--residual", "raw"], {"residual": "raw"}),
    ):
        got = result(capsys, "fit", "runs.csv", *flags)
        assert got["theta"] == pytest.approx(fit(laws.chinchilla, **columns, **options).theta, rel=1e-12)
    keep = table.sort_values("loss").index[:-4]
    got = result(capsys, "fit", "runs.csv", "--drop-highest", "4")
    assert got["n_points"] == 45
    assert got["theta"] == pytest.approx(
        fit(laws.chinchilla, **{k: v[keep] for k, v in columns.items()}).theta, rel=1e-9
    )
    few, more = (result(capsys, "fit", "runs.csv", "--bootstrap", n)["intervals"] for n in ("20", "21"))
    assert few != more
    assert few != result(capsys, "fit", "runs.csv", "--bootstrap", "20", "--seed", "1")["intervals"]
    assert few == result(capsys, "fit", "runs.csv", "--bootstrap", "20")["intervals"]


def test_clusters_widen_intervals(capsys):
    """Three readings of each run with the run's own error: drawing rows counts them as three times the evidence."""
    table = pd.concat(
        [runs().assign(run=range(49)), *(runs().assign(run=range(49)) * [1, 1 + k, 1, 1] for k in (1e-4, 2e-4))]
    )
    save(table)
    rows, clusters = (
        np.ptp(result(capsys, "fit", "runs.csv", *flags)["intervals"]["alpha"])
        for flags in (["--readings", "all"], ["--cluster", "run"])
    )
    assert clusters / rows == pytest.approx(np.sqrt(3), rel=0.25)


def test_every_law_is_one_of_the_library():
    assert set(FITTED.values()) <= set(laws.LAWS)


def test_other_laws(capsys):
    x = np.geomspace(1e4, 1e8, 12)
    table = pd.DataFrame({"x": x, "loss": 10 * x**-0.1})
    got = result(capsys, "fit", save(table), "--law", "power")
    assert got["theta"] == pytest.approx({"A": 10, "alpha": 0.1}, rel=1e-9)
    assert got["a"] is None
    named = result(capsys, "fit", save(table.rename(columns={"x": "flops"})), "--law", "power", "--x", "flops")
    assert named["theta"] == pytest.approx(got["theta"])
    assert "no column for x" in says(capsys, "fit", save(table.rename(columns={"x": "flops"})), "--law", "power")
    law = laws.LAWS["kaplan_joint"]
    N, D = runs()["N"], runs()["D"]
    theta = planning.named("kaplan2020")[1]
    table = pd.DataFrame({"N": N, "D": D, "L": law.value(theta, N, D)})
    assert result(capsys, "fit", save(table), "--law", "kaplan")["theta"] == pytest.approx(theta, rel=1e-6)


@pytest.mark.parametrize("approach", ["1", "2", "3", "vp"])
def test_the_approaches_agree_where_there_is_no_noise(capsys, approach):
    save(isoflops(sizes=15))
    got = result(capsys, "fit", "runs.csv", "--approach", approach)
    # Points of the envelope are rounded to the grid: 15 sizes over a factor of 16 are 0.2 apart in ln N, and the
    # exponent over a thousandfold budget is off by less than that over ln 1000.
    assert got["a"] == pytest.approx(A, abs={"1": 0.03, "2": 5e-3, "3": 1e-9, "vp": 1e-6}[approach])
    assert got["a"] + got["b"] == pytest.approx(1, abs=1e-6)
    text, _ = out(capsys, "fit", "runs.csv", "--approach", approach)
    assert text.strip()


# What is written.


def page(capsys, *argv: str) -> str:
    out(capsys, "fit", *argv, "--report", "deep/er/fit.html")
    return Path("deep/er/fit.html").read_text(encoding="utf-8")


def test_report_is_one_file_that_asks_for_nothing(capsys):
    text = page(capsys, save(runs()))
    assert text.count("<svg") == text.count("</svg>") == 3
    for outside in ("http", "src=", "@import", "<link", "<script", "url(//"):
        assert outside not in text
    assert "prefers-color-scheme: dark" in text
    for heading in ("What to distrust", "The data", "The fit", "IsoFLOP view", "Residuals", "Optimal size"):
        assert f"<h2>{heading}</h2>" in text
    assert all(ref in set(re.findall(r'id="([^"]+)"', text)) for ref in re.findall(r'(?:url\(|href=")#([^")]+)', text))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "<title>Scaling law fit: chinchilla</title>" in text


def budgets_shown(approach: str, budgets: tuple[float, ...]) -> list[str]:
    """The legend of the isoFLOP figure of a report on runs at some budgets."""
    made = report.make(tables.read_runs(save(isoflops(budgets)), needs=("C", "N", "D")), approach=approach, n=0)
    *_, figure = next(each for each in figures_of(made) if each[0] == "IsoFLOP view")
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize("approach", ["2", "3", "vp"])
@pytest.mark.parametrize("budgets", [(1e18, 1e19, 1e20, 1e21), (1e18, 1.02e18, 4e18)])
def test_the_isoflops_of_a_report_are_at_the_budgets_of_the_runs(approach, budgets):
    shown = {1e18: "1 × 10¹⁸", 4e18: "4 × 10¹⁸", 1e19: "1 × 10¹⁹", 1e20: "1 × 10²⁰", 1e21: "1 × 10²¹"}
    assert budgets_shown(approach, budgets) == [shown[C] for C in budgets if C != 1.02e18]


def test_report_of_other_approaches_and_laws(capsys):
    text = page(capsys, save(isoflops()), "--approach", "2")
    assert "approach 2" in text
    assert text.count("<svg") == 2
    x = np.geomspace(1e4, 1e8, 12)
    assert "Residuals" in page(capsys, save(pd.DataFrame({"x": x, "L": 10 * x**-0.1 + 1})), "--law", "power_floor")


def test_a_report_that_cannot_be_written_does_not_cost_the_numbers(capsys):
    Path("file").write_text("no folder")
    assert main(["fit", save(runs()), "--report", "file/fit.html", "--json"]) == 2
    text, err = capsys.readouterr()
    assert json.loads(text)["status"] == "ok"
    assert "cannot write" in err.splitlines()[-1]


def test_column_names_cannot_write_html(capsys):
    table = runs().rename(columns={"loss": "<script>"})
    assert "<script>" not in page(capsys, save(table), "--L", "<script>")


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "einops", "tokenizers", "IPython"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from scalinglaws.cli import main
for argv in (["fit", "runs.csv", "--report", "r.html"], ["fit", "runs.csv", "--json"], ["plan", "--flops", "1e21"]):
    assert main(argv) == 0, argv
assert "torch" not in sys.modules
"""


def test_neither_command_needs_torch(folder):
    save(runs())
    child = subprocess.run([sys.executable, "-c", BLOCKED], check=False, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr


# Bad tables. Each ends in one line and code 2, or in a status that the text shows first.


def cell(column: str, row: int, value: object) -> pd.DataFrame:
    """Good runs with one bad cell."""
    table = runs().astype(object)
    table.loc[row, column] = value
    return table


def repeated(table: pd.DataFrame, **columns) -> pd.DataFrame:
    return table.assign(**columns)


BAD = {
    "nan": (
        cell("loss", 3, "nan"),
        r"runs\.csv: line 5: L \('loss'\) is empty or nan, .* \(1 such rows\); mend or drop",
    ),
    "empty cell": (cell("N", 0, ""), r"line 2: N \('N'\) is empty or nan"),
    "zero": (cell("D", 5, 0), r"line 7: D \('D'\) is '?0'?, no finite number above zero"),
    "negative": (cell("loss", 1, -2.5), r"line 3: L \('loss'\) is '?-2\.5'?"),
    "infinite": (cell("N", 2, "inf"), r"line 4: N \('N'\) is '?inf'?"),
    "text": (cell("N", 4, "70Q"), r"line 6: N \('N'\) is '70Q', no finite number"),
    "thousands": (cell("D", 4, "1.000.000"), r"line 6: D \('D'\) is '1\.000\.000'"),
    "no loss": (runs().drop(columns="loss"), r"no column for L \(such as L, loss, val_loss\); name it with --L COLUMN"),
    "no size": (runs().drop(columns="N"), r"no column for N .* there are: D, loss"),
    "no numbers": ("", r"runs\.csv: the file is empty"),
    "header only": ("N,D,loss\n", r"no rows below the header"),
    "no header": (runs().to_csv(index=False, header=False), r"no column for N"),
    "ragged": ("N,D,loss\n1e6,1e8,3\n1e6,2e8,3,9\n", r"line 3 has 4 cells, the header 3 names; mend it"),
    "twice": ("N,N,D,loss\n1,2,3,4\n", r"column 'N' stands twice"),
    "binary": ("\0\0\0", r"holds bytes that are no text"),
    "five points": (runs().iloc[::11], r"5 points for the 5 parameters of chinchilla; it needs at least 6"),
    "copies of four": (pd.concat([runs().iloc[[0, 10, 20, 30]]] * 9), r"4 distinct points"),
    "one size": (runs().assign(N=1e8), r"N takes 1 value \(1e\+08\).*vary N"),
    "one ratio": (runs().assign(D=lambda t: 20 * t["N"] * (1 + 1e-9 * t.index)), r"D follows N .*vary D at fixed N"),
    "swapped": (
        runs().rename(columns={"N": "D", "D": "N"}),
        r"are N and D swapped\? Name both columns with --N and --D",
    ),
}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", "b", "", *"c" * 46], "runs.csv: line 4: label 'run' is empty (1 such rows); name each run"),
        ([1, 2, *[""] * 47], "runs.csv: line 4: label 'run' is empty (47 such rows)"),
    ],
    ids=["text", "numbers"],
)
@pytest.mark.parametrize("approach", ["1", "3"])
def test_an_empty_label_is_named(capsys, labels, words, approach):
    said = says(capsys, "fit", save(runs().assign(run=labels)), "--cluster", "run", "--approach", approach)
    assert words in said


@pytest.mark.parametrize("column", ["status", "run"])
def test_no_column_that_is_read_may_stand_twice(capsys, column):
    table = runs().assign(**{column: "ok", "other": "ok"}).rename(columns={"other": column})
    flags = ["--cluster", "run"] if column == "run" else []
    assert says(capsys, "fit", save(table), *flags).endswith(
        f"column '{column}' stands twice in the header; rename one"
    )


def test_lines_are_counted_as_an_editor_does(capsys):
    """After a blank line at the top, a blank row, and a quoted cell of two lines."""
    rows = [f"{N!r};{D!r};{L!r};'two\nlines'\n".replace("'", '"') for N, D, L in runs().to_numpy().tolist()]
    bad = "".join(["\n", "N;D;loss;note\n", *rows[:5], "\n", "1e9;1e9;;x\n", *rows[5:]])
    line = bad.splitlines().index("1e9;1e9;;x") + 1
    assert f"line {line}: L ('loss') is empty or nan" in says(capsys, "fit", save(bad))
    save("".join(["\n", "N;D;loss;note\n", *rows]))
    assert result(capsys, "fit", "runs.csv", "--bootstrap", "0")["n_points"] == 49


def test_a_space_after_the_comma_is_read(capsys):
    table = runs()
    plain = result(capsys, "fit", save(table), "--bootstrap", "0")
    lines = table.to_csv(index=False).replace(",", ", ").splitlines()
    save("\n".join(['"N", "D", "loss"', *lines[1:]]))
    assert result(capsys, "fit", "runs.csv", "--bootstrap", "0")["theta"] == plain["theta"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
def test_a_bad_table_is_one_line(capsys, name, flags):
    table, words = BAD[name]
    said = says(capsys, "fit", save(table), *flags)
    assert said.startswith("runs.csv: ")
    assert re.search(words, said), said


def test_files_that_cannot_be_read_are_named(capsys):
    assert (
        says(capsys, "fit", "absent.csv")
        == "absent.csv: No such file or directory; give a table with a header line, or a folder of curves"
    )
    assert "no table" in says(capsys, "fit", ".")
    Path("latin.csv").write_bytes("N,D,loss,straße\n".encode("latin-1"))
    assert "no rows below the header" in says(capsys, "fit", "latin.csv")  # it is read: spreadsheets write such files


def test_swapped_columns_that_were_named_are_a_caution(capsys):
    save(runs().rename(columns={"N": "a", "D": "b"}))
    text, _ = out(capsys, "fit", "runs.csv", "--N", "b", "--D", "a")
    assert text.splitlines()[1].startswith("  caution       half of the runs have fewer than")


def test_repeated_rows_are_said_and_change_nothing(capsys):
    """Copies are drawn together, so that intervals do not narrow: 999 refits each leave a few percent on a width."""
    once = result(capsys, "fit", save(runs()))
    table = pd.concat([runs()] * 4)
    text, _ = out(capsys, "fit", save(table))
    assert text.splitlines()[1] == "  caution       147 of 196 rows repeat another one: copies are no new evidence"
    four = result(capsys, "fit", "runs.csv")
    assert four["theta"] == pytest.approx(once["theta"], rel=1e-12)
    assert np.ptp(four["intervals"]["alpha"]) == pytest.approx(np.ptp(once["intervals"]["alpha"]), rel=0.1)


def test_one_budget_only_is_said_first(capsys):
    save(isoflops(budgets=(1e19,), sizes=12))
    text, _ = out(capsys, "fit", "runs.csv", "--bootstrap", "0")
    status, *cautions = text.splitlines()
    assert status.startswith("chinchilla: ")
    assert any("budget" in line for line in cautions if line.startswith("  caution"))
    assert says(capsys, "fit", "runs.csv", "--approach", "2")


def test_no_floor_is_a_status(capsys):
    """Losses that bend below any floor: the floor goes to its bound, and both outputs say so first."""
    N, D = runs()["N"], runs()["D"]
    save(pd.DataFrame({"N": N, "D": D, "L": 20 * N**-0.1 + 30 * D**-0.1 - 2.5}))
    text, lines = out(capsys, "fit", "runs.csv", code=1)
    assert text.startswith("chinchilla: at_bound: certified, with E at 0: these points show no floor")
    assert any(line.startswith("no intervals: E at a bound: an interval would be too narrow") for line in lines)
    got = result(capsys, "fit", "runs.csv", code=1)
    assert (got["status"], got["theta"]["E"], got["at_bound"], got["intervals"]) == ("at_bound", 0, ["E"], None)
    assert "no floor" in got["message"]
    Path("fit.json").write_text(json.dumps(got))
    assert "a fit at a bound gives no plan" in says(capsys, "plan", "--flops", "1e20", "--law", "fit.json")
    assert "no intervals" in says(capsys, "predict", "fit.json", "--N", "1e9", "--D", "1e10")
    pinned = result(capsys, "fit", "runs.csv", "--fix", "E=0")
    assert (pinned["status"], pinned["theta"]["E"]) == ("misfit", 0)
    Path("fit.json").write_text(json.dumps(pinned))
    text, lines = out(capsys, "plan", "--flops", "1e20", "--law", "fit.json")
    assert "95% interval" in text
    assert lines[0].startswith("fit.json: misfit: the law does not fit")


def coupled_runs(k: float = 0.5) -> pd.DataFrame:
    """Runs of a law that is no sum, with a column of standard errors and one of counted FLOPs that drift."""
    table = runs(sigma=0.0)
    x = table["N"].to_numpy(), table["D"].to_numpy()
    noise = np.exp(0.003 * np.random.default_rng(1).normal(size=len(table)))
    C = 7 * x[0] * x[1] * (x[0] * x[1]) ** 0.01
    return table.assign(loss=laws.coupled.value({**TRUTH, "k": k}, *x) * noise, se=0.003 * table["loss"], flops=C)


def test_a_misfit_is_said_first_and_everything_that_foretells_says_it(capsys):
    text, _ = out(capsys, "fit", save(coupled_runs()), "--bootstrap", "99")
    assert text.startswith("chinchilla: misfit: the law does not fit, terms F(5, 39) = ")
    assert re.search(r"\n  hold-out +fitted to 1/64 of the compute it misses the other 21 runs by [+-]", text)
    got = result(capsys, "fit", "runs.csv", "--bootstrap", "99")
    assert got["status"] == "misfit"
    assert {"kind", "F", "df", "p", "rms_beyond_noise"} <= {*got["lack_of_fit"]}
    assert [cut["factor"] for cut in got["backtest"]] == [4, 16, 64]
    assert {*got["backtest"][0]} == {"factor", "n_seen", "n_hidden", "mean_error", "rms", "inside"}
    assert {*got["counting"]["C/ND"]} == {"median", "drift"}
    Path("fit.json").write_text(json.dumps(got))
    for argv in (
        ["predict", "fit.json", "--N", "1e10", "--D", "1e12"],
        ["plan", "--flops", "1e21", "--law", "fit.json"],
    ):
        _, lines = out(capsys, *argv)
        assert lines[0].startswith("fit.json: misfit: the law does not fit")
        assert result(capsys, *argv)["status"] == "misfit"


def test_the_counting_of_a_table_and_its_drift():
    """C / (N D) by a power of C: the slope of its logarithm on ln C is that power."""
    table = coupled_runs()
    columns = {"N": table["N"].to_numpy(), "D": table["D"].to_numpy(), "C": table["flops"].to_numpy()}
    counted = report.counting_of(columns)["C/ND"]
    assert counted["drift"] == pytest.approx(0.01 / 1.01, rel=1e-6)
    assert counted["median"] == pytest.approx(7 * 1e18**0.01, rel=1e-6)
    columns["C"] = 6 * columns["N"] * columns["D"]
    assert report.counting_of(columns) == {"C/ND": pytest.approx({"median": 6.0, "drift": 0.0}, abs=1e-9)}
    assert report.counting_of({"N": columns["N"]}) is None


def test_a_law_can_be_chosen_pinned_tied_and_bounded(capsys):
    save(coupled_runs())
    text, _ = out(capsys, "fit", "runs.csv", "--law", "auto", "--bootstrap", "99")
    assert text.startswith("coupled: ok")
    assert "law by hold-out over compute, without lack of fit" in text
    got = result(capsys, "fit", "runs.csv", "--law", "auto", "--bootstrap", "0")
    assert got["choice"]["chosen"] == got["law"] == "coupled"
    assert len(got["choice"]["laws"]) == 5
    some = ["--bootstrap", "0", "--law", "coupled"]
    assert result(capsys, "fit", "runs.csv", *some, "--fix", "E=1.8", "--fix", "k=0.5")["theta"]["E"] == 1.8
    tied = result(capsys, "fit", "runs.csv", *some, "--tie", "alpha=beta")["theta"]
    assert tied["alpha"] == tied["beta"]
    assert result(capsys, "fit", "runs.csv", *some, "--bound", "k=0.8:1", code=1)["at_bound"] == ["k"]
    table = coupled_runs()
    x = {"N": table["N"], "D": table["D"], "L": table["loss"]}
    weighed = result(capsys, "fit", "runs.csv", *some, "--se", "se")
    assert weighed["theta"] == pytest.approx(fit(laws.coupled, **x, se=table["se"]).theta, rel=1e-12)
    assert "coupled has no parameter 'gamma'" in says(capsys, "fit", "runs.csv", "--law", "coupled", "--fix", "gamma=1")
    assert "belong to --approach 3" in says(capsys, "fit", "runs.csv", "--approach", "2", "--fix", "E=1")
    held = ["--law", "auto", "--bootstrap", "0", "--fix", "E=1.8", "--tie", "alpha=beta", "--se", "se"]
    by_choice = result(capsys, "fit", "runs.csv", *held)
    assert by_choice["theta"] == pytest.approx(
        fit(laws.coupled, **x, se=table["se"], fix={"E": 1.8}, tie=("alpha", "beta")).theta, rel=1e-12
    )
    out_of_it = {each["law"]: each["why"] for each in by_choice["choice"]["laws"]}
    assert out_of_it["coupled_no_floor"].startswith("coupled_no_floor has no parameter 'E'")
    assert "no law is determined inside" in says(capsys, "fit", "runs.csv", "--law", "auto", "--fix", "gamma=1")
    assert "give --se or --weights" in says(capsys, "fit", "runs.csv", "--se", "se", "--weights", "se")
    for wrong in (["--fix", "E"], ["--fix", "E=x"], ["--bound", "E=1"], ["--tie", "alpha"]):
        assert says(capsys, "fit", "runs.csv", *wrong)


def test_a_forecast_of_a_file_is_the_librarys(capsys):
    save(coupled_runs())
    Path("fit.json").write_text(json.dumps(result(capsys, "fit", "runs.csv", "--law", "coupled")))
    got = result(capsys, "predict", "fit.json", "--N", "1e10", "--D", "1e12")
    table = coupled_runs()
    found = fit(laws.coupled, N=table["N"], D=table["D"], L=table["loss"])
    expected = predict(found, N=1e10, D=1e12)
    assert got["loss"] == pytest.approx(float(expected.loss), rel=1e-9)
    assert got["interval"] == pytest.approx([float(end) for end in expected.interval], rel=1e-6)
    assert got["new_run"] == pytest.approx([float(end) for end in expected.new_run], rel=1e-6)
    assert got["level"] == 0.95
    text, lines = out(capsys, "predict", "fit.json", "--N", "1e10", "--D", "1e12", "--level", "0.8")
    assert text.startswith(f"loss {got['loss']:.5g}, 80% interval of the law")
    assert lines == []
    planned = result(capsys, "plan", "--flops", "1e21", "--law", "fit.json")
    for name in ("N", "D", "loss"):
        low, high = planned["intervals"][name]
        assert low < planned[name] < high
    Path("own.json").write_text(found.to_json())
    assert result(capsys, "predict", "own.json", "--N", "1e10", "--D", "1e12")["interval"] == got["interval"]
    assert "law of N, D; got N" in says(capsys, "predict", "fit.json", "--N", "1e10")
    assert "No such file" in says(capsys, "predict", "none.json", "--N", "1e10")
    assert "is no fit of a law" in says(capsys, "predict", save("{}", "empty.json"), "--N", "1e10")
    assert "below 1" in says(capsys, "predict", "fit.json", "--N", "1e10", "--D", "1e12", "--level", "95")


def test_hold_out_by_compute(capsys):
    text, lines = out(capsys, "backtest", save(coupled_runs()), "--report", "page.html")
    assert text.startswith("chinchilla: hold-out by compute")
    assert "wrote page.html" in lines
    assert "<svg" in Path("page.html").read_text()
    got = result(capsys, "backtest", "runs.csv", "--law", "coupled", "--factors", "8")
    table = coupled_runs()
    expected = backtest(laws.coupled, N=table["N"], D=table["D"], L=table["loss"], C=table["flops"], factors=[8])
    assert [{*cut} for cut in got] == [{"factor", "n_seen", "n_hidden", "mean_error", "rms", "inside"}]
    assert got[0] == pytest.approx(expected.record()[0], rel=1e-9)
    save(coupled_runs().head(6))
    assert "not made" in out(capsys, "backtest", "runs.csv", code=1)[0]


def test_which_runs_next(capsys):
    table = runs()
    asked = ["design", save(table), "--target", "1e23", "--budget", "1e21", "--most", "6", "--largest", "4e20"]
    text, lines = out(capsys, *asked, "--law", "chinchilla", "--csv", "next.csv")
    assert text.splitlines()[0] == "chinchilla: 95% intervals at 1e+23 FLOPs"
    assert "wrote next.csv" in lines
    got = result(capsys, *asked, "--law", "chinchilla")
    found = fit(laws.chinchilla, N=table["N"], D=table["D"], L=table["loss"])
    made = design(found, C=1e23, budget=1e21, runs=6, largest=4e20)
    assert got == strict_json(made.to_json())
    each = pd.read_csv("next.csv")
    assert list(each) == ["N", "D", "seed"]
    assert len(each) <= 6
    assert (6 * each["N"] * each["D"]).max() <= 4e20 * (1 + 1e-6)
    sizes = result(capsys, *asked, "--sizes", "1e8,2e8,4e8", "--lengths", "1e9:1e11", "--of", "loss")
    assert {run["N"] for run in sizes["runs"]} <= {1e8, 2e8, 4e8}
    assert "is no range: give LOW:HIGH" in says(capsys, *asked, "--sizes", "1e9:1e8")
    assert "runs.csv: the cheapest run within the limits takes" in says(capsys, *asked, "--sizes", "1e15:1e16")


def test_which_recipe_is_better(capsys):
    table = runs()
    better = table.assign(loss=laws.chinchilla.value(TRUTH, table["N"], 1.5 * table["D"]), seed=1)
    better["loss"] *= np.exp(0.003 * np.random.default_rng(1).normal(size=len(table)))
    asked = ["compare", save(table, "a.csv"), save(better, "b.csv")]
    text, lines = out(capsys, *asked)
    assert "offset: B differs from A by one factor" in text
    assert [line for line in lines if line.startswith(("A: read 49 rows", "B: read 49 rows", "A: law by"))] != []
    got = result(capsys, *asked, "--law", "chinchilla", "--flops", "1e20", "1e21")
    assert got["C"] == [1e20, 1e21]
    assert got["offset_interval"][0] < 1.5 < got["offset_interval"][1]
    assert (got["n_runs"], got["pairs"]) == ([49, 49], 49)
    one = [each[each["N"] == each["N"].iloc[0]] for each in (table, better)]
    of_one = ["compare", *(save(each, name) for each, name in zip(one, ("one_a.csv", "one_b.csv"), strict=True))]
    assert result(capsys, *of_one)["law"] == "power_floor"
    assert "all runs have one size: a law of D alone" in out(capsys, *of_one)[1]
    assert "compare them with law=power_floor" in says(capsys, *of_one, "--law", "chinchilla")
    save(table.rename(columns={"loss": "val_bpb"}), "b.csv")
    assert "a.csv is in nats per token and b.csv in bits per byte" in says(capsys, *asked)


def test_a_plan_with_repeated_data(capsys):
    got = result(capsys, "plan", "--flops", "1e22", "--law", "muennighoff2023", "--unique-tokens", "1e10")
    law, theta = planning.named("muennighoff2023")
    N, D = law.optimum(theta, 1e22, U=1e10)
    assert (got["N"], got["D"]) == pytest.approx((float(N), float(D)), rel=1e-9)
    assert "knows no repeated data" in says(capsys, "plan", "--flops", "1e22", "--unique-tokens", "1e10")


def test_what_the_points_do_not_determine_ends_with_1_and_cannot_be_planned_with(capsys):
    N, D = runs()["N"], runs()["D"]
    save(pd.DataFrame({"N": N, "D": D, "L": 2 + N**-0.3}))
    text, _ = out(capsys, "fit", "runs.csv", code=1)
    assert text.startswith("chinchilla: ill_conditioned: the points do not determine the parameters")
    assert text.splitlines()[1] == "  caution       the parameters below are not determined; do not use them"
    got = result(capsys, "fit", "runs.csv", code=1)
    assert (got["status"], got["intervals"]) == ("ill_conditioned", None)
    Path("fit.json").write_text(json.dumps(got))
    assert "this fit is not to be used: ill_conditioned" in says(capsys, "plan", "--flops", "1e21", "--law", "fit.json")


def test_refits_that_do_not_fit_in_memory_are_refused(capsys):
    said = says(capsys, "fit", save(runs()), "--bootstrap", "9000000")
    assert said == "runs.csv: 9,000,000 refits of 49 points do not fit in memory; ask for at most 2,040,816"


def test_a_million_rows(capsys):
    rng = np.random.default_rng(0)
    N, D = (np.exp(rng.uniform(low, high, 1_000_000)) for low, high in ((16, 21), (21, 26)))
    L = laws.chinchilla.value(TRUTH, N, D) * np.exp(0.01 * rng.normal(size=N.size))
    np.savetxt("runs.csv", np.stack([N, D, L], axis=1), fmt="%.9g", delimiter=",", header="N,D,loss", comments="")
    begun = time.process_time()
    text, lines = out(capsys, "fit", "runs.csv", "--json", "--report", "fit.html")
    assert time.process_time() - begun < 10  # half of it on a core of 2023
    assert [line.split()[0] for line in lines[:3]] == ["reading", "read", "fitting"]
    got = json.loads(text)
    assert got["n_points"] == 1_000_000
    # The standard error of an exponent is some 0.02 on 240 points of noise 0.0075: 65 times less on a million.
    assert got["theta"]["alpha"] == pytest.approx(TRUTH["alpha"], abs=2e-3)
    assert got["intervals"] is None
    assert any(line.startswith("no intervals: 999 refits of 1,000,000 points take long") for line in lines)
    assert Path("fit.html").stat().st_size < 3e6


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--approach", "4"], "argument --approach: invalid choice: '4'"),
        (["--law", "gopher"], "argument --law: invalid choice: 'gopher'"),
        (["--delta", "0"], "argument --delta: '0' is no number above zero"),
        (["--delta", "nan"], "argument --delta: 'nan' is no number above zero"),
        (["--bootstrap", "-1"], "argument --bootstrap"),
        (["--drop-highest", "some"], "argument --drop-highest: 'some' is no whole number from 0 on"),
        (["--drop-highest", "49"], "runs.csv: cannot leave out 49 of 49 points; choose fewer"),
        (["--drop-highest", "44"], "runs.csv: 5 points for the 5 parameters"),
        (["--approach", "2", "--delta", "1e-3"], "--delta and --residual belong to --approach 3"),
        (["--approach", "1", "--law", "power"], "--approach 1 is of the law chinchilla"),
        (["--approach", "2", "--bootstrap", "0", "--seed", "1"], "--seed and --cluster shape the refits"),
        (["--approach", "2", "--cluster", "N"], "--cluster belongs to --approach 1, 3 and vp"),
        (["--U", "D"], "runs.csv: --U has no effect on a fit of N, D, L; leave it out"),
        (["--x", "N"], "runs.csv: --x has no effect on a fit of N, D, L"),
        (["--law", "power", "--x", "N", "--D", "D"], "runs.csv: --D has no effect on a fit of x, L"),
        (["--bootstrap", "0", "--seed", "1"], "--seed and --cluster shape the refits"),
        (["--bootstrap", "0", "--cluster", "N"], "--seed and --cluster shape the refits"),
        (["--tolerance", "0.2"], "--tolerance belongs to --approach 2, and to 1 without --cluster"),
        (["--approach", "1", "--cluster", "N", "--tolerance", "0.2"], "--tolerance belongs to --approach 2"),
        (["--cluster", "seed"], "runs.csv: no column 'seed'; there are: N, D, loss"),
    ],
)
def test_a_wrong_option_is_one_line(capsys, flags, words):
    assert words in says(capsys, "fit", save(runs()), *flags)


# Plan.


@at_gophers_budget
def test_three_sets_of_constants_plan_three_models(capsys, name, theta, N, D):
    got = result(capsys, "plan", "--flops", str(GOPHER_FLOPS), "--law", name)
    assert got["N"] == pytest.approx(N, rel=2e-3)
    assert got["D"] == pytest.approx(D, rel=5e-3)
    assert 6 * got["N"] * got["D"] == pytest.approx(GOPHER_FLOPS, rel=1e-12)
    assert got["tokens_per_param"] == pytest.approx(got["D"] / got["N"], rel=1e-12)
    law, theta = planning.named(name)
    assert got["loss"] == pytest.approx(float(law.value(theta, got["N"], got["D"])), rel=1e-12)


def test_kaplan_plans_larger_models(capsys):
    kaplan, hoffmann = (
        result(capsys, "plan", "--flops", str(GOPHER_FLOPS), "--law", n) for n in ("kaplan2020", "hoffmann2022")
    )
    assert kaplan["N"] > 5 * hoffmann["N"]
    assert kaplan["tokens_per_param"] < 2 < 20 < hoffmann["tokens_per_param"]


def test_plan_in_words_and_its_default(capsys):
    text, lines = out(capsys, "plan", "--flops", "1e21")
    assert (text.splitlines()[0], lines) == (f"law      {PUBLISHED}", [])
    got = result(capsys, "plan", "--flops", "1e21")
    assert f"N        {got['N']:.4g} parameters" in text
    assert f"loss     {got['loss']:.4g} nats per token" in text
    assert text.strip() == planning.plan(PUBLISHED, 1e21).summary()  # the library's own words


def test_plan_follows_a_fit_and_says_how_far_it_reaches(capsys):
    got = result(capsys, "fit", save(runs()), "--bootstrap", "0")
    Path("fit.json").write_text(json.dumps(got))
    text, lines = out(capsys, "plan", "--flops", "6e21", "--law", "fit.json", "--json")
    N, D = laws.chinchilla.optimum(got["theta"], 6e21)
    plan = json.loads(text)
    assert (plan["N"], plan["D"]) == pytest.approx((float(N), float(D)), rel=1e-12)
    assert lines == ["6e+21 FLOPs are 10 times the largest fitted budget"]
    assert out(capsys, "plan", "--flops", "5e20", "--law", "fit.json")[1] == []


@pytest.mark.parametrize("approach", ["2", "3"])
def test_json_says_its_schema_and_plan_refuses_a_newer_one(capsys, approach):
    got = result(capsys, "fit", save(isoflops()), "--approach", approach)
    assert got["schema"] == SCHEMA
    Path("fit.json").write_text(json.dumps({name: value for name, value in got.items() if name != "schema"}))
    plan = result(capsys, "plan", "--flops", "1e20", "--law", "fit.json")
    assert plan["schema"] == SCHEMA
    Path("fit.json").write_text(json.dumps(got | {"schema": SCHEMA + 1}))
    assert says(capsys, "plan", "--flops", "1e20", "--law", "fit.json").startswith("fit.json: ")


def test_json_of_optima_is_a_frontier(capsys):
    found = approach2(**{name: isoflops()[name] for name in "CNL"})
    back = Frontier.from_json(json.dumps(result(capsys, "fit", save(isoflops()), "--approach", "2")))
    assert back.optimum(1e21) == pytest.approx(found.optimum(1e21), rel=1e-9)
    assert len(back.budgets) == len(found.budgets) == 4


def test_plan_reads_what_the_library_writes(capsys):
    table = runs()
    Path("fit.json").write_text(fit(laws.chinchilla, N=table["N"], D=table["D"], L=table["loss"]).to_json())
    assert result(capsys, "plan", "--flops", "1e21", "--law", "fit.json")["N"] > 1e9


@pytest.mark.parametrize("approach", ["1", "2"])
def test_a_wider_tolerance_puts_runs_on_one_budget(capsys, approach):
    """Nine sizes each at C a little off: with 0.1 they are three budgets of three sizes, with 0.35 one of nine."""
    table = isoflops()
    table["C"] *= np.tile([1.0, 1.15, 1.3], 12)
    table["L"] = laws.chinchilla.value(TRUTH, table["N"], table["C"] / (6 * table["N"]))
    found = result(capsys, "fit", save(table), "--approach", approach, "--tolerance", "0.35")
    assert found["a"] == pytest.approx(float(laws.chinchilla.optimum_exponents(TRUTH)[0]), abs=0.05)
    assert found["refused"] == []
    apart = result(capsys, "fit", "runs.csv", "--approach", approach)
    assert (len(found["budgets"]), len(apart["budgets"])) == (4, 12)


def test_no_tolerance_is_none_at_all():
    table = isoflops()
    table["C"] *= np.tile([1.0, 1.05], 18)
    given = tables.read_runs(save(table), needs=("C", "N", "D"))
    found = [report.make(given, approach="2", tolerance=tolerance).found for tolerance in (None, 0.0)]
    assert [len(frontier.budgets) for frontier in found] == [4, 8]


def test_plan_follows_optima_and_their_loss_where_there_are_enough(capsys):
    N, D = laws.chinchilla.optimum(TRUTH, 1e20)
    for budgets in ((1e18, 1e19, 1e20, 1e21), (1e18, 1e19, 1e20)):  # a power law with a floor takes four
        Path("fit.json").write_text(json.dumps(result(capsys, "fit", save(isoflops(budgets)), "--approach", "2")))
        plan = result(capsys, "plan", "--flops", "1e20", "--law", "fit.json")
        assert plan["N"] == pytest.approx(float(N), rel=0.02)
        loss = pytest.approx(float(laws.chinchilla.value(TRUTH, N, D)), rel=5e-3)
        assert plan["loss"] == (loss if len(budgets) == 4 else None)
        assert {*plan["intervals"]} == {"N", "D"}  # of the loss it takes five budgets
        for name, (low, high) in plan["intervals"].items():
            assert low < plan[name] < high
            text = out(capsys, "plan", "--flops", "1e20", "--law", "fit.json")[0]
            assert f"{plan[name]:.4g}" in (line := next(row for row in text.splitlines() if row.startswith(f"{name} ")))
            assert line.endswith(f"; 95% interval {low:.4g} to {high:.4g}")
    text = out(capsys, "plan", "--flops", "1e20", "--law", "fit.json")[0]
    assert "C        1e+20 FLOPs of training, counted as its runs\n" in text
    assert "loss     not known\n" in text
    other = isoflops((1e18, 1e19, 1e20)).assign(
        C=lambda runs: 1.2 * runs["C"], D=lambda runs: runs["C"] / 7.2 / runs["N"]
    )
    Path("fit.json").write_text(json.dumps(result(capsys, "fit", save(other), "--approach", "2")))
    said = says(capsys, "plan", "--flops", "1e20", "--law", "fit.json", "--inference-tokens", "1e12")
    assert said == "approach 2 has optima and no loss, which is needed here; fit with approach 3"


def test_serving_makes_the_best_model_smaller(capsys):
    alone = result(capsys, "plan", "--flops", "1e23")
    served = result(capsys, "plan", "--flops", "1e23", "--inference-tokens", "2e12")
    assert served["N"] < alone["N"]
    assert served["D"] > alone["D"]
    assert served["loss"] == pytest.approx(alone["loss"], rel=1e-9)
    assert served["C_inference"] == pytest.approx(2 * served["N"] * 2e12, rel=1e-9)
    total = served["C_train"] + served["C_inference"]
    assert served["saved"] == pytest.approx(1 - total / (1e23 + 2 * alone["N"] * 2e12), rel=1e-6)
    text = out(capsys, "plan", "--flops", "1e23", "--inference-tokens", "2e12")[0]
    assert f"saved    {served['saved']:.4g} as a share of all FLOPs" in text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the following arguments are required: --flops"),
        (["--flops", "many"], "argument --flops: 'many' is no number above zero"),
        (["--flops", "-1"], "argument --flops"),
        (["--flops", "1e21", "--law", "gopher"], "no law 'gopher': give one of kaplan2020, hoffmann2022"),
        (["--flops", "1e21", "--law", "absent.json"], "absent.json: No such file or directory; make it with"),
        (["--flops", "1e21", "--law", "bad.json"], "bad.json: is no result of 'scalinglaws fit --json'"),
        (["--flops", "1e21", "--law", "list.json"], "list.json: is no result of"),
        (["--flops", "1e21", "--law", "part.json"], "chinchilla needs E, A, B, alpha, beta; missing: beta"),
        (["--flops", "1e21", "--law", "power.json"], "power"),
        (["--flops", "1e21", "--inference-tokens", "0"], "argument --inference-tokens"),
    ],
)
def test_a_wrong_plan_is_one_line(capsys, argv, words):
    good = {"status": "ok", "message": "", "C_range": None}
    Path("bad.json").write_text("{")
    Path("list.json").write_text("[]")
    part = {name: value for name, value in TRUTH.items() if name != "beta"}
    Path("part.json").write_text(json.dumps(good | {"law": "chinchilla", "theta": part}))
    Path("power.json").write_text(json.dumps(good | {"law": "power", "theta": {"A": 1, "alpha": 0.1}}))
    assert words in says(capsys, "plan", *argv)


def blocks_of_readme(command):
    """The command lines of README that begin so, each with the block that shows what it prints."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pattern = (
        rf"^\.venv/bin/(scalinglaws {command} .+)\n```\n\n<!-- what it prints: scalinglaws {command} -->\n```\n(.+?)```"
    )
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def test_a_guide_runs_every_command(capsys):
    """Its page is executed, so it shows what they print."""
    guide = (ROOT / "guides/commands.md").read_text(encoding="utf-8")
    cells = "\n".join(re.findall(r"```\{code-cell\}\n%%bash\n(.+?)```", guide, re.DOTALL))
    with pytest.raises(SystemExit):
        main(["--help"])
    known = re.findall(r"^    (\w+)  ", capsys.readouterr().out, re.MULTILINE)
    assert len(known) >= 10
    assert {*known} - {*re.findall(r"^scalinglaws (\w+)", cells, re.MULTILINE)} == {"sweep"}  # has its own
    assert "](sweep.md)" in guide


def test_readme_shows_what_the_command_prints(capsys):
    """The same words; numbers to four digits, since rounding may move the last; certificates are round-off."""
    ((line, shown),) = blocks_of_readme("fit")
    argv = [str(ROOT / word) if word.startswith("data/") else word for word in shlex.split(line)[1:]]
    printed = out(capsys, *argv)[0]
    number = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
    assert number.sub("#", printed).splitlines() == number.sub("#", shown).splitlines()
    for now, then in zip(printed.splitlines(), shown.splitlines(), strict=True):
        if "certificate" not in now:
            numbers = [[float(text) for text in number.findall(text)] for text in (now, then)]
            assert numbers[0] == pytest.approx(numbers[1], rel=5e-4)
