"""The reader of tables: the same runs in many dresses are the same points; what can be read two ways is asked about."""

import csv
import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from truths import TRUTH

import scalinglaws as sl
from scalinglaws import laws
from scalinglaws.tables import columns
from scalinglaws.tables.numbers import number
from scalinglaws.tables.units import scale

N, D = (grid.ravel() for grid in np.meshgrid([2e7, 5e7, 1.2e8, 3e8], [5e8, 2e9, 8e9], indexing="ij"))
L = laws.chinchilla.value(TRUTH, N, D)
RUNS = pd.DataFrame({"N": N, "D": D, "loss": L})
PLAIN = RUNS.to_csv(index=False)
ROWS = RUNS.to_csv(index=False, header=False)
LIST = RUNS.to_numpy().tolist()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(data, name="runs.csv", encoding="utf-8"):
    data = data.to_csv(index=False) if isinstance(data, pd.DataFrame) else data
    Path(name).write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    return name


def assert_same(points, rel=1e-8):
    """The points are those of RUNS, in any order."""
    assert len(points) == len(RUNS)
    order = np.lexsort((points.columns["D"], points.columns["N"]))
    for letter, expected in zip("NDL", RUNS.to_numpy().T, strict=True):
        assert points.columns[letter][order] == pytest.approx(expected, rel=rel)


def renamed(N="N", D="D", loss="loss", *, n=1.0, d=1.0, f=lambda loss: loss):
    return pd.DataFrame({N: RUNS["N"] / n, D: RUNS["D"] / d, loss: f(RUNS["loss"])})


def cells(one, other, third=repr):
    """RUNS with cells of text."""
    return pd.DataFrame({"N": map(one, N), "D": map(other, D), "loss": map(third, L.tolist())})


def german(value, digits):
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


GERMAN = cells(lambda n: german(n, 0), lambda d: german(d, 0), lambda x: german(x, 12))
GROUPED = pd.DataFrame(RUNS.to_numpy(), columns=pd.MultiIndex.from_tuples([("m", "N"), ("d", "D"), ("eval", "loss")]))
NESTED = [
    {
        "name": f"r{k}",
        "state": "finished",
        "config": {"n_params": n, "tokens": d, "lr": 1e-3},
        "summary": {"eval/loss": x},
    }
    for k, (n, d, x) in enumerate(LIST)
]
MARKDOWN = "\n".join(["| N | D | loss |", "|--:|--:|:--|", *(f"| {n!r} | {d!r} | **{x!r}** |" for n, d, x in LIST)])

FORMS = {
    "semicolon named by a spreadsheet": ("sep=;\r\n" + RUNS.to_csv(index=False, sep=";"), {}),
    "line ends of Windows": (PLAIN.replace("\n", "\r\n"), {}),
    "byte order mark": ("\ufeff" + PLAIN, {}),
    "UTF-16, big end first": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), {}),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), {}),
    "tabs in UTF-16": (RUNS.to_csv(index=False, sep="\t").encode("utf-16"), {}),
    "Windows-1252": (RUNS.assign(straße="ä").to_csv(index=False).encode("cp1252"), {}),
    "dots between thousands": (GERMAN.to_csv(index=False, sep=";"), {}),
    "dots between thousands, tabs": (GERMAN.to_csv(index=False, sep="\t"), {}),
    "spaces between thousands": (
        cells(lambda n: f"{n:,.0f}".replace(",", " "), lambda d: f"{d:,.0f}".replace(",", "\u202f")),
        {},
    ),
    "apostrophes between thousands": (cells(lambda n: f"{n:,.0f}".replace(",", "'"), lambda d: f"{d:_.0f}"), {}),
    "commas between thousands, and a point": (cells(lambda n: f"{n:,.1f}", lambda d: f"{d:,.1f}"), {}),
    "m and b": (cells(lambda n: f"{n / 1e6:g}m", lambda d: f"{d / 1e9:g}b"), {}),
    "words behind numbers": (cells(lambda n: f"{n / 1e6:g} million", lambda d: f"{d / 1e9:g}B tokens"), {}),
    "powers of ten": (cells(lambda n: f"{n / 1e6:g}×10^6", lambda d: f"{d / 1e9:g} x 10**9"), {}),
    "units in brackets": (renamed("params (B)", "tokens [T]", "val_loss (nats)", n=1e9, d=1e12), {}),
    "divided by": (renamed("N / 1e6", "D/10^9", n=1e6, d=1e9), {}),
    "units behind a comma": (renamed("Params, M", "Tokens, B", n=1e6, d=1e9).to_csv(index=False), {}),
    "a row of units": (
        "N,D,loss\n(M),(B),(nats/token)\n" + renamed(n=1e6, d=1e9).to_csv(index=False, header=False),
        {},
    ),
    "bits a token": (renamed(loss="loss (bits/token)", f=lambda x: x / np.log(2)), {}),
    "perplexity by name": (renamed(loss="val_ppl", f=np.exp), {}),
    "perplexity by option": (renamed(f=np.exp), {"unit": "perplexity"}),
    "columns of JSON": (json.dumps(RUNS.to_dict("list")), {}),
    "JSON of pandas": (RUNS.to_json(double_precision=15), {}),
    "JSON by row": (RUNS.rename(index=str).to_json(orient="index", double_precision=15), {}),
    "JSON, names and rows apart": (RUNS.to_json(orient="split", double_precision=15), {}),
    "JSON with a list inside": (json.dumps({"project": "x", "runs": RUNS.to_dict("records")}), {}),
    "JSON of a tracker": (json.dumps(NESTED), {}),
    "JSON with suffixes": (
        json.dumps([{"N": f"{n / 1e6:g}M", "D": f"{d / 1e9:g}B", "loss": x} for n, d, x in LIST]),
        {},
    ),
    "JSON lines": ("\n".join(json.dumps(row) for row in RUNS.to_dict("records")), {}),
    "Markdown": (MARKDOWN, {}),
    "Markdown amid text": (f"# Runs\n\nSome words.\n\n{MARKDOWN}\n\nMore | words.\n", {}),
    "Markdown without outer bars": (
        "N | D | loss\n--|--|--\n" + "\n".join(" | ".join(map(repr, row)) for row in LIST),
        {},
    ),
    "a drawn grid": (
        "+--+--+--+\n| N | D | loss |\n+==+==+==+\n"
        + "".join(f"| {n} | {d} | {x!r} |\n+--+--+--+\n" for n, d, x in LIST),
        {},
    ),
    "bars": (RUNS.to_csv(index=False, sep="|"), {}),
    "printed by pandas": (RUNS.to_string(float_format=lambda x: f"{x:.12g}"), {}),
    "saved by numpy": ("# N D loss\n" + "\n".join(" ".join(map(repr, row)) for row in LIST), {}),
    "written by R": (
        '"N" "D" "loss"\n' + "".join(f'"{k}" {n!r} {d!r} {x!r}\n' for k, (n, d, x) in enumerate(LIST, 1)),
        {},
    ),
    "comments above and below": (f"# a tracker's export\n% of May\n\n{PLAIN}# end\n", {}),
    "a title above": (f"Table 1: runs, all of them\n\n{PLAIN}", {}),
    "two headers": (GROUPED.to_csv(index=False), {}),
    "two headers and an index": (GROUPED.to_csv(), {}),
    "two headers, cells joined": ("size,,quality\nparams,tokens,val_loss\n" + ROWS, {}),
    "every cell in quotes": (RUNS.to_csv(index=False, quoting=csv.QUOTE_ALL), {}),
    "compressed": (gzip.compress(PLAIN.encode()), {}),
    "a column a run": (
        "run,"
        + ",".join(f"r{k}" for k in range(12))
        + "\n"
        + "".join(f"{c},{','.join(map(repr, RUNS[c]))}\n" for c in RUNS),
        {},
    ),
    "a tracker's columns": (
        renamed("params.n_params", "params.tokens", "metrics.val_loss").assign(run_id=range(12), status="FINISHED"),
        {},
    ),
    "columns of speed": (
        RUNS.assign(tflops=312.0, tokens_per_sec=1e5, **{"TFLOP/s": 1.0, "tokens/param": 1.0, "D/N": 1.0}),
        {},
    ),
    "compute in EFLOPs": (pd.DataFrame({"params": N, "compute (EFLOPs)": 6 * N * D / 1e18, "loss": L}), {}),
    "compute in PF-days": (pd.DataFrame({"params": N, "petaflop/s-days": 6 * N * D / 8.64e19, "loss": L}), {}),
    "compute with words": (
        pd.DataFrame({"params": N, "C": [f"{c / 1e18:.12g} EFLOPs" for c in 6 * N * D], "loss": L}),
        {},
    ),
    "steps and tokens a step": (
        pd.DataFrame({"N": N, "steps": (D / 500).astype(int), "batch_tokens": 500, "loss": L}),
        {},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    data, options = FORMS[form]
    name = "runs.json" if "JSON" in form else "runs.txt"
    assert_same(sl.read_runs(save(data, name), **options))


NAMES = [
    ("N_PARAMS", "TOKENS", "VAL_LOSS"), ("numParams", "trainTokens", "valLoss"), ("#params", "n_tokens", "nll"),
    (" Number of parameters ", "Training tokens", "Validation loss"), ("config/N", "config/D", "summary/eval/loss"),
    ("Parameters (excl. embeddings)", "tokens processed", "lm loss validation"), 
    ("model size", "dataset size", "CE loss"),
    ("trainable_params", "num_input_tokens_seen", "eval_cross_entropy"), ("N_active", "train_tokens", "final_val_loss"),
    ("non-embedding params", "D_tokens", "heldout_loss"), ("size", "toks", "pile_loss"), ("N_body", "D", "dev-loss"),
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES, ids=", ".join)
def test_names(names):
    assert_same(sl.read_runs(save(renamed(*names))))


def test_names_that_say_something_else_are_not_taken():
    for name in (
        "tokens_per_param", "embedding_params", "batch_tokens", "tokens_per_second", "loss_se", "aux_loss", "loss__MIN",
        "d_model", "TFLOP/s", "flops_per_token", "mfu", "loss ratio", "log10_params", "D/N", "data_pct", "router_loss",
        "grad_norm", "n_layers",
        "val_loss_std", "params / layer", "logits FLOPs", "N_opt",
    ):  # fmt: skip
        assert columns.meaning(name) is None, name


UNITS = [
    ("params_M", 1e6),
    ("N (millions)", 1e6),
    ("N (B)", 1e9),
    ("tokens_T", 1e12),
    ("params (thousands)", 1e3),
    ("D [1e9 tokens]", 1e9),
]
UNITS += [("GFLOPs", 1e9), ("total ZFLOPs", 1e21), ("compute_pf_days", 8.64e19), ("FLOPs (×10^18)", 1e18), ("N", None)]


@pytest.mark.parametrize(("name", "factor"), UNITS)
def test_header_units(name, factor):
    assert columns.meaning(name).factor == factor


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1,234.5", ".", 1234.5), ("1.234,5", ",", 1234.5), ("1.000.000", ".", None), ("12,34,567", ".", None),
        ("1.3B", ".", 1.3e9), ("1,3B", ",", 1.3e9), ("350m", ".", 3.5e8), ("2^30", ".", 2.0**30), ("12abc", ".", None),
        ("−3", ".", -3), ("1e400", ".", np.inf), ("9**9**9", ".", None), ("=1+1", ".", None), ("1_000", ".", 1000),
        ("1e", ".", None),
    ],
)  # fmt: skip
def test_numbers(text, mark, value):
    assert number(text, mark) == (pytest.approx(value) if value is not None else pytest.approx(np.nan, nan_ok=True))


def test_units_that_are_none():
    assert [scale(text) for text in ("nats", "foo", "", "M foo")] == [None] * 4


# Rows that are no runs.


def readings(*, gaps=False, order=None, **more):
    """Ten readings of each run, the last of which are RUNS; ``gaps``: losses at every other step only."""
    parts = []
    for k in range(1, 11):
        loss = np.nan if gaps and k % 2 else L + (10 - k) / 10
        parts.append(pd.DataFrame({"run": range(12), "step": 100 * k, "N": N, "D": D * k / 10, "loss": loss} | more))
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["run", "step"]) if order is None else table.sample(frac=1, random_state=order)


CURVES = {
    "in order": readings(),
    "shuffled": readings(order=0),
    "losses at some steps only": readings(gaps=True),
    "a tracker's names": readings().rename(columns={"run": "Name", "step": "_step", "loss": "eval/loss"}),
    "without a column of runs": readings().drop(columns="run"),
    "without steps": readings().drop(columns="step"),
    "D by steps": readings().assign(tokens_per_step=lambda t: t["D"] / t["step"]).drop(columns="D"),
}


@pytest.mark.parametrize("kind", CURVES)
def test_the_last_reading_of_each_run_is_taken_and_said(kind):
    points = sl.read_runs(save(CURVES[kind]))
    assert_same(points)
    assert any("readings of 12 runs" in note for note in points.notes)
    every = sl.read_runs("runs.csv", readings="cluster")
    assert len(every) == (60 if "some steps" in kind else 120)
    assert len({*every.labels}) == 12


def test_a_run_that_ends_in_nan_diverged():
    table = readings().astype(object)
    table.loc[(table["run"] == 3) & (table["step"] == 1000), "loss"] = "NaN"
    points = sl.read_runs(save(table))
    assert len(points) == 11
    assert any(note.startswith("1 runs whose last loss is no number") for note in points.notes)


def test_lists_in_json_are_curves():
    rows = [{"N": n, "D": [d / 4, d / 2, d], "loss": [x + 1, x + 0.5, x]} for n, d, x in LIST]
    assert_same(sl.read_runs(save(json.dumps(rows), "runs.json")))
    history = [[{"step": k, "eval_loss": x + 2 - k, "tokens": d * k / 2} for k in (1, 2)] for _, d, x in LIST]
    rows = [{"name": f"r{k}", "config": {"n_params": N[k]}, "history": history[k]} for k in range(12)]
    assert_same(sl.read_runs(save(json.dumps(rows), "runs.json")))
    Path("each").mkdir()
    for row in rows:
        save(json.dumps(row), f"each/{row['name']}.json")
    assert_same(sl.read_runs("each"))


def test_losses_on_several_texts_are_no_curve():
    """A list of results without steps: to take the last would be a guess."""
    rows = [
        {"params": n, "tokens": d, "results": [{"loss": x, "set": "a"}, {"loss": x + 1, "set": "b"}]}
        for n, d, x in LIST
    ]
    with pytest.raises(ValueError, match="no column for L"):
        sl.read_runs(save(json.dumps(rows), "runs.json"))


def test_evenly_spaced_tokens_without_a_label_are_doubtful():
    table = readings().query("run % 3 == 2").drop(columns=["run", "step"])  # the longest run of each size
    assert any("evenly spaced" in text for text in sl.read_runs(save(table)).warnings)
    assert sl.read_runs(save(RUNS)).warnings == ()


def test_a_design_with_steps_is_asked_about_unless_rows_have_names():
    table = RUNS.assign(step=(RUNS["D"] / 5e5).astype(int))
    with pytest.raises(ValueError, match="are they readings of one run"):
        sl.read_runs(save(table))
    assert_same(sl.read_runs("runs.csv", readings="all"))
    assert_same(sl.read_runs(save(table.assign(Name=[f"run {k}" for k in range(12)]))))


@pytest.mark.parametrize(
    "word", ["crashed", "Failed", "KILLED", "running", "diverged", "OOM", "out of memory", "preempted"]
)
def test_runs_without_an_end_are_left_out_and_named(word):
    table = pd.concat(
        [RUNS.assign(State="Finished"), pd.DataFrame({"N": [1e8], "D": [1e9], "loss": [9.0], "State": [word]})]
    )
    points = sl.read_runs(save(table))
    assert_same(points)
    assert any("line 14" in note and "column 'State'" in note for note in points.notes)
    assert len(sl.read_runs("runs.csv", keep_failed=True)) == 13
    assert_same(sl.read_runs("runs.csv", where="State == 'Finished'"))


def test_a_column_that_says_diverged():
    table = pd.concat(
        [RUNS.assign(diverged=False), pd.DataFrame({"N": [1e8], "D": [1e9], "loss": [9.0], "diverged": [True]})]
    )
    assert_same(sl.read_runs(save(table)))


def test_a_status_that_is_not_known_is_kept_and_doubtful():
    points = sl.read_runs(save(RUNS.assign(status=["odd"] + ["ok"] * 11)))
    assert_same(points)
    assert points.warnings == ("column 'status' says 'odd': kept; --where leaves rows out",)


@pytest.mark.parametrize("word", ["", "NaN", "n/a", "inf", "diverged", "-"])
def test_rows_without_a_loss_are_named_and_can_be_left_out(word):
    rows = [*PLAIN.splitlines()[:3], f"1e8,1e9,{word}", *PLAIN.splitlines()[3:]]
    with pytest.raises(ValueError, match=r"line 4: L .*--drop-missing"):
        sl.read_runs(save("\n".join(rows)))
    points = sl.read_runs("runs.csv", drop_missing=True)
    assert_same(points)
    assert any("1 rows without a value are left out (line 4)" in note for note in points.notes)


def sweep(**more):
    """Three rates at each place, of which the second is RUNS."""
    parts = [RUNS.assign(lr=lr, loss=RUNS["loss"] + off, **more) for lr, off in ((1e-3, 0.2), (2e-3, 0.0), (4e-3, 0.1))]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("name", ["lr", "learning rate", "batch_size", "weight_decay", "peak_lr", "bs", "Optimizer"])
def test_the_best_recipe_of_each_place_is_taken(name):
    points = sl.read_runs(save(sweep().rename(columns={"lr": name})))
    assert_same(points)
    assert any(f"the best of {name} is taken, of 36 rows" in note for note in points.notes)
    assert len(sl.read_runs("runs.csv", best_of="none")) == 36


def test_seeds_of_the_best_recipe_are_kept():
    table = pd.concat([sweep(seed=seed).assign(loss=lambda t, k=seed: t["loss"] + k / 1000) for seed in range(3)])
    points = sl.read_runs(save(table))
    assert len(points) == 36
    assert points.columns["L"].max() == pytest.approx(L.max() + 0.002)
    assert_same(sl.read_runs("runs.csv", best_of="all"))
    only = RUNS.assign(seed=0)
    assert len(sl.read_runs(save(pd.concat([only, only.assign(seed=1, loss=only["loss"] + 0.01)])))) == 24


def test_tokens_that_differ_by_rounding_are_one_place():
    """1024 and 768 sequences a step do not divide the same number of tokens."""
    table = sweep()
    table["D"] *= np.tile(np.repeat([1.0, 1.001, 0.999], 12), 1)
    points = sl.read_runs(save(table))
    assert len(points) == 12
    assert points.columns["L"] == pytest.approx(L)


def test_rows_at_one_place_without_a_reason_are_doubtful():
    table = pd.concat([RUNS.assign(corpus="a"), RUNS.assign(corpus="b", loss=RUNS["loss"] + 0.3)])
    (doubt,) = sl.read_runs(save(table)).warnings
    assert doubt.startswith("24 rows stand at 12 places (N, D)")
    assert "corpus" in doubt
    assert_same(sl.read_runs("runs.csv", where="corpus == 'a'"))
    assert_same(sl.read_runs("runs.csv", best_of=["corpus"]))


def test_a_best_rate_at_the_end_of_its_grid_is_doubtful():
    table = sweep()
    points = sl.read_runs(save(table.assign(loss=table["loss"] - 100 * table["lr"])))
    assert any("at an end of its grid for 12 of 12" in text for text in points.warnings)


# What is asked about, or refused.

ASKED = {
    "millions without a word": (renamed(n=1e6), r"N \('N'\) is 20 to 300 parameters, .* --N N:B"),
    "billions without a word": (renamed(n=1e9, d=1e9), r"--N N:B --D D:B"),
    "logarithms": (renamed(n=1.0, d=1.0).assign(N=np.log10(N), D=np.log10(D)), r"implausible"),
    "perplexity without a word": (renamed(f=np.exp), r"too much for nats per token.*--unit perplexity"),
    "two validation losses": (
        RUNS.assign(eval_loss=L + 0.1, val_loss=L),
        r"'eval_loss' and 'val_loss' fit L equally well",
    ),
    "two texts": (RUNS.drop(columns="loss").assign(c4_loss=L, pile_loss=L + 0.1), r"'c4_loss' and 'pile_loss' fit L"),
    "two counts of tokens": (
        RUNS.assign(tokens=2 * D, train_tokens=D).drop(columns="D"),
        r"'tokens' and 'train_tokens' fit D",
    ),
    "one size in all": (RUNS.assign(N=2e9 + N / 100), r"no sweep of sizes"),
    "an overflown int64": (
        pd.DataFrame({"N": N, "C": [-3086744073709551616] * 12, "loss": L}),
        r"the overflow of an int64",
    ),
    "an overflown int32": (
        RUNS.assign(D=[-589934592] * 12),
        r"the overflow of an int32; no|the overflow of an int32, no",
    ),
    "compute in another unit": (pd.DataFrame({"N": N, "flops": 6 * N * D / 1e9, "loss": L}), r"--C flops:GFLOPs"),
    "every run crashed": (RUNS.assign(state="crashed"), r"every run diverged or failed.*--keep-failed"),
    "two tables": (PLAIN + PLAIN, r"line 14 is the header again"),
    "two tables with other names": (PLAIN + PLAIN.replace("loss", "val_loss"), r"does another table begin there"),
    "decimal commas between commas": ("N,D,loss\n2e7,5e8,4,53\n2e7,2e9,4,05\n", r"line 2 has 4 cells.*semicolons"),
    "a quote that is not closed": (PLAIN.replace("\n2", '\n"2', 1), r"line 2: a quote is not closed"),
    "percent": (RUNS.assign(loss=[f"{x}%" for x in L]), r"'\d.*%', no finite number"),
    "a page of the web": ("<html><table><tr><td>1</td></tr></table></html>", r"is a web page"),
    "a workbook": (b"PK\x03\x04" + bytes(9), r"is a workbook"),
    "comments alone": ("# a\n# b\n", r"only comments"),
    "broken JSON": ('[{"N":1,', r"line 1 is no JSON"),
    "a broken line of JSON": ('{"N":1e8,"D":1e9,"loss":3}\n{"N":1e8,"D"\n', r"line 2 is no JSON"),
    "lists of other lengths": ('[{"N":1e8,"D":[1e9,2e9],"loss":[3]}]', r"record 1: lists of readings differ in length"),
    "no loss": (RUNS.rename(columns={"loss": "accuracy"}), r"no column for L \(such as L, loss, val_loss\)"),
    "a curve of TensorBoard": (pd.DataFrame({"Wall time": [1.0], "Step": [1], "Value": [3.0]}), r"curve of one run"),
}


@pytest.mark.parametrize("kind", ASKED)
def test_what_is_asked_about(kind):
    data, words = ASKED[kind]
    with pytest.raises(ValueError, match=words) as caught:
        sl.read_runs(save(data, "runs.json" if "JSON" in kind or "lists" in kind else "runs.csv"))
    assert "\n" not in str(caught.value)


def test_answers_to_what_was_asked():
    save(renamed("size", "data_tokens", n=1e9, d=1e9, f=np.exp))
    named = {"N": "size:B", "D": "data_tokens:1e9"}
    assert_same(sl.read_runs("runs.csv", named=named, unit="perplexity"))
    with pytest.raises(ValueError, match="'Q' is no unit"):
        sl.read_runs("runs.csv", named={"N": "size:Q"})
    with pytest.raises(ValueError, match="'stones' is no unit of a loss"):
        sl.read_runs("runs.csv", named=named, unit="stones")


def test_an_overflow_that_came_out_positive():
    """C of int64 is 6 N D modulo 2^64: right below 9.2e18 and anything above."""
    n, d = np.geomspace(1e8, 1e10, 12).astype("int64"), np.full(12, 2_000_000_000)
    C = 6 * n * d
    assert (C > 0).any()
    table = pd.DataFrame({"N": n, "D": d, "C": np.abs(C), "loss": L})
    with pytest.raises(ValueError, match="the overflow of an int64"):
        sl.read_runs(save(table), needs=("C", "N", "D"))


def test_mixtures_of_experts_are_counted_by_active_parameters():
    table = RUNS.assign(N_active=N, N=2e9 + N / 1e3)
    points = sl.read_runs(save(table))
    assert_same(points)
    assert any("'N'" in note and "within 2% of each other" in note for note in points.notes)


def test_of_two_columns_that_say_the_same_one_is_taken():
    assert_same(sl.read_runs(save(RUNS.assign(params_M=N / 1e6, val_loss=L, eval_loss=L).drop(columns="loss"))))


# Conditions.


@pytest.mark.parametrize(
    "condition",
    ["tag == 'a'", "tag == 'a' and k < 2", "(tag == 'a') & (k < 2)", "k < 2 | k == 7", "tag in ['a', 'b']",
     "not tag == 'c'", "tag != 'c'", "`a tag` == 'x y'", "-k > -2", "k * 2 - 1 < 2", "k not in [2, 3]", "TAG == 'a'",
     "flag", "flag == True", "0 < k < 2"],
)  # fmt: skip
def test_conditions(condition):
    good, bad = ({"tag": "a", "k": 1, "a tag": "x y", "flag": True}, {"tag": "c", "k": 2, "a tag": "z", "flag": False})
    save(pd.concat([RUNS.assign(**good), RUNS.assign(loss=RUNS["loss"] + 1, **bad)]))
    assert_same(sl.read_runs("runs.csv", where=condition))


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("__import__('os').system('touch harm')", "not understood"),
        ("@harm == 1", "cannot be read"),
        ("loss.__class__", "not understood"),
        ("N ** 9 ** 9 > 0", "not understood"),
        ("(lambda: 1)()", "not understood"),
        ("[x for x in N]", "not understood"),
        ("absent > 1", "no column 'absent'; there are: N, D, loss, name"),
        ("N >", "cannot be read"),
        ("name > 3", "holds words"),
        ("loss", "keeps none"),
        ("(" * 3000 + "N > 1" + ")" * 3000, "too long"),
        ("name == N", "holds words"),
        ("`N", "cannot be read"),
        ("open('harm', 'w') == 1", "not understood"),
        ("'a' < 'b'", "not understood"),
        ("N == 'x' > 3", "not understood"),
    ],
)
def test_a_condition_runs_nothing(condition, words):
    save(RUNS.assign(name=[f"run {k}" for k in range(12)]))
    with pytest.raises(ValueError, match=re.escape(words)):
        sl.read_runs("runs.csv", where=condition)
    assert not Path("harm").exists()


# Folders of curves.

SIZES = pd.DataFrame({"run": [f"r{k}" for k in range(12)], "N": N, "tokens_per_step": D / 1000})
STEPS = np.arange(1, 11) * 100


def curve(k):
    """The loss of a run at STEPS."""
    return laws.chinchilla.value(TRUTH, N[k], D[k] * STEPS / 1000)


def trainer_state(k, *, end=1000, tokens=True):
    """What Hugging Face's trainer writes at a step, with the history up to it."""
    history = []
    for step, loss in zip(STEPS.tolist(), curve(k).tolist(), strict=True):
        if step <= end:
            seen = {"num_input_tokens_seen": int(D[k] * step / 1000)} if tokens else {}
            history += [{"step": step, "loss": loss - 0.1, "learning_rate": 1e-3, **seen}]
            history += [{"step": step, "eval_loss": loss, "eval_runtime": 1.0, **seen}]
    seen = int(D[k] * end / 1000)
    history.append({"step": end, "train_loss": 9.9, "total_flos": 6 * N[k] * seen})
    state = {"global_step": end, "max_steps": 1000, "log_history": history, "total_flos": 6 * N[k] * seen}
    return json.dumps(state | {"num_input_tokens_seen": seen if tokens else 0})


def test_a_folder_of_trainer_states():
    for k in range(12):
        for end in (500, 1000):
            path = Path("out", f"r{k}", f"checkpoint-{end}")
            path.mkdir(parents=True)
            (path / "trainer_state.json").write_text(trainer_state(k, end=end))
    points = sl.read_runs("out")
    assert_same(points)
    assert "n_params_nonemb" in points.notes[0]
    assert len(sl.read_runs("out", readings="cluster")) == 120


def test_the_rare_validation_of_a_run_goes_before_its_training_loss():
    history = [
        [{"step": s, "loss": x + 1 - s / 100, "num_input_tokens_seen": d * s / 100} for s in range(10, 101, 10)]
        + [{"step": 100, "eval_loss": x, "num_input_tokens_seen": d}]
        for _, d, x in LIST
    ]
    for k, (entries, (n, d, _)) in enumerate(zip(history, LIST, strict=True)):
        Path("out", f"r{k}").mkdir(parents=True)
        state = {"global_step": 100, "log_history": entries, "total_flos": 6 * n * d, "num_input_tokens_seen": d}
        Path("out", f"r{k}", "trainer_state.json").write_text(json.dumps(state))
    assert_same(sl.read_runs("out"))


def test_curves_of_several_runs_of_a_size_without_a_label_are_doubted():
    share = np.tile(np.arange(1, 21) / 20, len(RUNS))
    curves = pd.DataFrame({"N": N.repeat(20), "tokens_seen": D.repeat(20) * share, "loss": L.repeat(20) + 1 - share})
    assert any("as readings of one run are" in doubt for doubt in sl.read_runs(save(curves)).warnings)


def test_trainer_states_without_tokens_want_a_table_of_runs():
    for k in range(12):
        Path(f"r{k}").mkdir()
        Path(f"r{k}", "trainer_state.json").write_text(trainer_state(k, tokens=False, end=500 if k == 3 else 1000))
    with pytest.raises(ValueError, match=r"curves of 11 runs .* no column says N: give a folder"):
        sl.read_runs(".")
    save(SIZES.assign(tokens=D).drop(columns="tokens_per_step"), "sizes.csv")
    points = sl.read_runs(".")
    assert len(points) == 11
    assert any("stopped_at_step_500_of_1000" in note for note in points.notes)
    save(SIZES[["run", "N"]], "sizes.csv")  # D by the trainer's FLOPs
    assert sl.read_runs(".").columns["D"] == pytest.approx(points.columns["D"])


def test_a_folder_of_tensorboard():
    for k in range(12):
        for tag, off in (("eval_loss", 0.0), ("train_loss", -0.1)):
            table = pd.DataFrame({"Wall time": STEPS * 1.5, "Step": STEPS, "Value": curve(k) + off})
            save(table, f"run-r{k}-tag-{tag}.csv")
    with pytest.raises(ValueError, match="no column says N"):
        sl.read_runs(".")
    save(SIZES, "sizes.csv")
    points = sl.read_runs(".")
    assert_same(points)
    assert "L from 'eval_loss' (validation)" in points.notes[0]


@pytest.mark.parametrize("sizes", ["in each file", "in a table"])
def test_a_folder_of_histories(sizes):
    for k in range(12):
        loss = np.where(STEPS % 200 == 0, curve(k), np.nan)
        table = pd.DataFrame(
            {"_step": STEPS, "train/loss": curve(k) - 0.1, "eval/loss": loss, "tokens": D[k] * STEPS / 1000}
        )
        save(table.assign(n_params=N[k]) if "each" in sizes else table, f"r{k}.csv")
    if "table" in sizes:
        save(SIZES[["run", "N"]].rename(columns={"run": "Name"}), "runs.csv")
    assert_same(sl.read_runs("."))


def test_a_chart_with_a_column_a_run():
    chart = pd.DataFrame({"Step": STEPS})
    for k in range(12):
        chart[f"r{k} - eval/loss"], chart[f"r{k} - eval/loss__MIN"], chart[f"r{k} - eval/loss__MAX"] = (
            curve(k),
            0.1,
            9.9,
        )
    save(chart, "chart.csv")
    with pytest.raises(ValueError, match=r"curves of 12 runs .* no column says N"):
        sl.read_runs("chart.csv")
    save(SIZES, "runs.csv")
    assert_same(sl.read_runs("."))
    save(SIZES[:5], "runs.csv")
    with pytest.raises(ValueError, match=r"runs\.csv has no line for r10"):
        sl.read_runs(".")


def test_a_column_a_run_by_its_bare_name():
    chart = pd.DataFrame({"step": STEPS} | {f"r{k}": curve(k) for k in range(12)})
    with pytest.raises(ValueError, match=r"curves of 12 runs .* no column says N"):
        sl.read_runs(save(chart, "chart.csv"))
    save(SIZES, "runs.csv")
    assert_same(sl.read_runs("."))


def test_a_folder_a_run_and_a_file_a_metric():
    for k in range(12):
        Path(f"r{k}").mkdir()
        for tag, off in (("eval_loss", 0.0), ("train_loss", -0.1)):
            save(pd.DataFrame({"Wall time": STEPS * 1.5, "Step": STEPS, "Value": curve(k) + off}), f"r{k}/{tag}.csv")
    save(SIZES, "sizes.csv")
    assert_same(sl.read_runs("."))


def test_names_of_sizes_are_no_names_of_runs():
    table = RUNS.assign(name=[f"{n / 1e6:g}M" for n in N], step=(RUNS["D"] / 5e5).astype(int))
    with pytest.raises(ValueError, match="are they readings of one run"):
        sl.read_runs(save(table))
    assert_same(sl.read_runs("runs.csv", readings="all"))
    assert_same(sl.read_runs(save(table.drop(columns="step"))))


def test_a_folder_of_tables():
    for k in range(3):
        save(RUNS[k::3], f"part{k}.csv")
    assert_same(sl.read_runs("."))
    for k, (n, d, x) in enumerate(LIST):
        Path("each").mkdir(exist_ok=True)
        save(json.dumps({"n_params": n, "tokens": d, "val_loss": x}), f"each/run{k}.json")
    assert_same(sl.read_runs("each"))


# Properties.

positive = st.floats(min_value=0.0, max_value=1.0)


@st.composite
def tables(draw):
    """Runs of any sizes and losses, and a dress for them."""
    rows = draw(st.integers(min_value=1, max_value=12))
    unit = lambda: [draw(positive) for _ in range(rows)]  # noqa: E731
    N = np.round(10 ** (6 + 4 * np.array(unit())))
    D = np.round(10 ** (8 + 4 * np.array(unit())))
    loss = np.round(0.5 + 8 * np.array(unit()), 6) + 1e-7  # seven decimals, so that its mark is seen
    return (
        N,
        D,
        loss,
        draw(st.sampled_from([",", ";", "\t", "|", "json", "jsonl", "markdown", "parquet"])),
        draw(st.booleans()),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables())
def test_any_runs_in_any_dress_are_the_same_points(given):
    N, D, loss, form, dressed = given
    table = pd.DataFrame({"params": N, "tokens": D, "loss": loss})
    plain = table
    if dressed and form in ",;\t|":
        mark = (lambda x: x.translate(str.maketrans(",.", ".,"))) if form in ";\t" else str
        table = pd.DataFrame(
            {
                "params": [mark(f"{n:,.0f}") for n in N],
                "tokens": [mark(f"{d:,.0f}") for d in D],
                "loss": [mark(f"{x:.7f}") for x in loss],
            }
        )
    if form == "parquet":
        table.to_parquet("runs.txt")
    else:
        text = {
            "json": lambda: json.dumps(table.to_dict("records")),
            "jsonl": lambda: "\n".join(map(json.dumps, table.to_dict("records"))),
            "markdown": lambda: "\n".join(
                [
                    "| params | tokens | loss |",
                    "|--|--|--|",
                    *(f"| {a} | {b} | {c} |" for a, b, c in table.to_numpy().tolist()),
                ]
            ),
        }.get(form, lambda: table.to_csv(index=False, sep=form))()
        save(text, "runs.txt")
    try:
        points = sl.read_runs("runs.txt")
    except ValueError as error:  # sizes that differ by 2% or less, tokens below the parameters: the same in every dress
        with pytest.raises(ValueError, match=re.escape(str(error).partition(": ")[2][:40].partition("'")[0])):
            sl.read_runs(save(plain, "plain.csv"))
        return
    for letter, column in zip("NDL", plain.to_numpy().T, strict=True):
        assert points.columns[letter] == pytest.approx(column, rel=1e-9)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_file_ends_in_anything_but_points_or_a_message(data):
    Path("any").write_bytes(data)
    said = "any: "
    try:
        sl.read_runs("any")
    except ValueError as error:
        said = str(error)
    assert said.startswith("any: ")
    assert "\n" not in said


def test_large_tables_are_read_as_small_ones(monkeypatch):
    """The fast way and the readable one give the same: lines, columns of words, an empty cell, a longer row."""
    from scalinglaws.tables import text

    rows = RUNS.assign(note="x y", empty="")
    long = pd.concat([rows] * 20, ignore_index=True).to_csv(index=False)
    for data, error in (
        (long, None),
        (f"\n{long}\n", None),
        (f"{long}1e8,1e9,,a,\n", "line 242"),
        (f"{long}1e8,1e9,3,a,,9\n", "line 242 has 6"),
    ):
        save(data)
        found = []
        for least in (10, 10**9):
            monkeypatch.setattr(text, "LARGE", least)
            try:
                found.append(sl.read_runs("runs.csv"))
            except ValueError as caught:
                found.append(str(caught))
        fast, slow = found
        if error:
            assert error in fast
            assert fast.split(" such rows")[0].replace("''", "") == slow.split(" such rows")[0].replace("''", "")
        else:
            assert fast.notes == slow.notes
            assert all(np.array_equal(fast.columns[letter], slow.columns[letter]) for letter in "NDCL")


def test_a_hundred_thousand_rows_take_a_second():
    """A million take a few: `tests/cli/test_cli_fit.py` fits them. Cell by cell it would take far longer."""
    import time

    rng = np.random.default_rng(0)
    N, D = (np.exp(rng.uniform(*ends, 100_000)) for ends in ((16, 21), (21, 26)))
    table = np.stack([N, D, laws.chinchilla.value(TRUTH, N, D)], axis=1)
    out = io.StringIO("N,D,loss\n")
    out.seek(0, io.SEEK_END)
    np.savetxt(out, table, fmt="%.9g", delimiter=",")
    save(out.getvalue())
    begun = time.process_time()
    assert len(sl.read_runs("runs.csv")) == 100_000
    assert time.process_time() - begun < 2.0


# What would be a wrong number without a word.


@pytest.mark.parametrize("word", ["Total", "mean", "**Average**", "sum:"])
def test_sums_and_means_at_the_end_are_no_runs(word):
    foot = pd.DataFrame({"model": [word], **{name: [RUNS[name].mean()] for name in RUNS}})
    points = sl.read_runs(save(pd.concat([RUNS.assign(model=[f"m{k}" for k in range(12)]), foot])))
    assert_same(points)
    assert any("sums or means" in note and "line 14" in note for note in points.notes)


def test_a_column_of_such_words_leaves_out_nothing():
    assert_same(sl.read_runs(save(RUNS.assign(reduction="mean"))))


def test_tokens_of_a_data_set_beside_epochs_are_asked_about():
    table = RUNS.rename(columns={"D": "dataset_tokens"})
    with pytest.raises(ValueError, match=r"'dataset_tokens'.*'epochs'.*--D COLUMN"):
        sl.read_runs(save(table.assign(epochs=[1, 2, 4] * 4)))
    assert_same(sl.read_runs("runs.csv", named={"D": "dataset_tokens"}))
    assert sl.read_runs(save(table.assign(epochs=1))).warnings == ()


@pytest.mark.parametrize(("name", "said"), [("tokens", True), ("tokens_seen", False)])
def test_tokens_beside_epochs_are_doubtful_unless_all_are_counted(name, said):
    points = sl.read_runs(save(RUNS.rename(columns={"D": name}).assign(epochs=4)))
    assert any("'epochs'" in text for text in points.warnings) == said


@pytest.mark.parametrize("name", ["dataset", "tokenizer", "eval_set", "arch", "data mix"])
def test_several_texts_or_architectures_are_said(name):
    two = pd.concat([RUNS.assign(**{name: "one"}), RUNS.assign(D=1.5 * D, loss=0.8 * L + 0.3, **{name: "two"})])
    assert any("2 values (one, two)" in text for text in sl.read_runs(save(two)).warnings)
    assert sl.read_runs("runs.csv", where=f"`{name}` == 'one'" if " " in name else f"{name} == 'one'").warnings == ()
    of_size = RUNS.assign(**{name: [f"v{n:.0f}" for n in N]})
    assert sl.read_runs(save(of_size)).warnings == ()


@pytest.mark.parametrize("per", ["word", "byte"])
def test_perplexity_of_words_or_bytes_is_not_of_tokens(per):
    points = sl.read_runs(save(renamed(loss=f"{per}_perplexity,none", f=np.exp)))
    assert_same(points)
    assert points.unit == f"nats per {per}"


@pytest.mark.parametrize(("name", "good", "bad"), [
    ("exit_code", 0, 137), ("Exit Code", 0, 1), ("crash", False, True), ("nan_loss", "no", "yes"), ("ok", True, False),
    ("sys/failed", False, True),
])  # fmt: skip
def test_columns_that_say_that_a_run_failed(name, good, bad):
    failed = pd.DataFrame({"N": [1e8], "D": [1e9], "loss": [9.0], name: [bad]})
    points = sl.read_runs(save(pd.concat([RUNS.assign(**{name: good}), failed])))
    assert_same(points)
    assert any(f"column {name!r}" in note and "line 14" in note for note in points.notes)
