"""Stored sweeps are what their files in sweeps/ say, and a sample of them comes out again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalinglaws import runs
from scalinglaws.book import registry
from scalinglaws.lab import corpus, runtime, sweep, train
from scalinglaws.lab.runtime import CPU

ROOT = Path(__file__).parents[2]
AWAITED = {name for entry in registry.read().values() for name in entry.awaits}
SWEEPS = sorted(path for path in (ROOT / "sweeps").glob("*.py") if path.stem not in AWAITED)


@pytest.fixture(params=SWEEPS, ids=lambda path: path.stem)
def stored(request):
    return {spec.hash: spec for spec in sweep.load(request.param.stem)}, runs.stored(request.param.stem)


def test_every_table_has_its_sweep():
    assert {p.stem for p in (ROOT / "data" / "runs").glob("*.csv")} == {p.stem for p in SWEEPS}


def test_the_rows_are_the_sweeps_runs(stored):
    specs, table = stored
    assert list(table["hash"]) == list(specs)
    for row in table.itertuples():
        spec = specs[row.hash]
        assert (row.tokens, row.d_model, row.seed) == (spec.train.tokens, spec.model.d_model, spec.train.seed)
        sizes = runs.sizes(spec)
        assert all(getattr(row, name) == pytest.approx(sizes[name]) for name in sizes)


def test_the_rows_say_where_they_come_from(stored):
    _, table = stored
    for column in ("commit", "versions", "device", "runtime", "fingerprint", "time"):
        assert (table[column].str.len() > 0).all(), column
    assert not table["commit"].str.contains("+", regex=False).any(), "trained from a tree with changes"
    assert (table["seconds"] > 0).all()


CHEAP, REPEATED = 2e10, 2  # FLOPs, about a second on one core; so many runs of no more are trained again
DEAR = 2e12  # FLOPs, minutes: of such a run, scored at its end alone, the first of its 128 stretches is trained again
COMPILED = 2e-3  # nats: ten times what compiling moved a first stretch; twice the learning rate moves it by 0.012
SEED_SCATTER = 0.02  # nats: what seeds do to the smallest models (LOG.md), where a sweep has one seed


@pytest.mark.slow
def test_a_sample_of_the_runs_comes_out_again(stored, request):
    """On the same kind of processor with the same library, to a last digit of the table: batched products round as
    single ones do. Elsewhere sums are ordered otherwise, and training amplifies the last bit until it is as good as
    another seed: three standard deviations of the seeds decide, taken over runs that differ in nothing else.
    """
    specs, table = stored
    sweep_name = request.node.callspec.params["stored"].stem
    done = table[table["status"] == "ok"]
    cheap = done[done["flops"] <= CHEAP]
    sample = cheap.sample(min(REPEATED, len(cheap)), random_state=0) if len(cheap) else done.nsmallest(1, "seconds")
    but_seed = [column for column in runs.dtypes() if column not in (*runs.COLUMNS, "seed", "eval_at")]
    but_seed = [column for column in but_seed if column in table]  # a field may be younger than a table
    seeds = table.groupby(["tokens", *but_seed], dropna=False)["loss"]
    scatter = np.sqrt(seeds.var().mean()) if (seeds.size() > 1).any() else SEED_SCATTER
    for row in sample.itertuples():
        provenance, loss, stored_loss = trained_again(specs[row.hash], row, sweep_name)
        assert provenance["fingerprint"] == row.fingerprint
        is_same = (provenance["device"], provenance["versions"]) == (row.device, row.versions)
        near = 1e-6 if "eager" in row.runtime else COMPILED if is_first_alone(specs[row.hash], row) else 3 * scatter
        assert loss == pytest.approx(stored_loss, abs=near if is_same else 3 * scatter)


def is_first_alone(spec, row):
    """Whether the run costs minutes, and was not scored on the way."""
    return row.flops > DEAR and not spec.train.eval_at


def trained_again(spec, row, sweep_name):
    """Provenance, loss and stored loss; of a costly run those of its first part, in training if it was not scored."""
    precision = row.runtime.split()[0]  # some sweeps were trained in bf16
    loop = train.Loop(spec, corpus.load(spec.data), replace(CPU, precision=precision))
    state, scored = loop.start(), len(spec.train.eval_at)
    kind = "train" if is_first_alone(spec, row) else "eval"
    curve = runs.stored_curves(sweep_name).query("hash == @spec.hash and kind == @kind").set_index("tokens")["loss"]
    part = spec.train.eval_at[scored // 4] if scored and row.flops > CHEAP else spec.train.tokens
    part = curve.index[0] if kind == "train" else part
    loop.run(state, part // spec.train.batch_tokens, spec.train)
    loss = np.mean(state.losses) if kind == "train" else loop.score(state)[1]
    return runtime.provenance(loop.runtime, loop.corpus), loss, curve[part]


def test_the_curves_belong_to_the_rows(stored, request):
    specs, table = stored
    curves = runs.stored_curves(request.node.callspec.params["stored"].stem)
    assert set(curves["hash"]) <= set(specs)
    last = curves[curves["kind"] == "eval"].groupby("hash").last()
    ok = table[table["status"] == "ok"].set_index("hash")
    assert set(ok.index) <= set(last.index)
    assert last.loc[ok.index, "loss"].to_numpy() == pytest.approx(ok["loss"].to_numpy(), rel=1e-6)
    assert (last.loc[ok.index, "tokens"] == ok["tokens"]).all()


def test_an_unknown_sweep_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no stored sweep 'nothing'.*synthetic"):
        runs.stored("nothing")
