"""Stored sweeps are what their files in sweeps/ say, and a sample of them comes out again."""

from pathlib import Path

import pytest

from scalinglaws import runs, sweep, train

ROOT = Path(__file__).parents[1]
SWEEPS = sorted((ROOT / "sweeps").glob("*.py"))


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


def test_a_run_comes_out_again(stored):
    """The cheapest runs, one of each seed. The order of operations differs between processors and library versions,
    and training amplifies the last bit until it is as good as another seed: elsewhere the scatter of the seeds decides.
    """
    specs, table = stored
    cheapest = table[table["flops"] == table["flops"].min()]
    scatter = table.groupby(["d_model", "tokens"])["loss"].std().max()
    for row in cheapest.itertuples():
        run = train.train(specs[row.hash], runtime=train.Runtime(device="cpu", precision="fp32", compile=False))
        assert run.provenance["fingerprint"] == row.fingerprint
        same_machine = (run.provenance["device"], run.provenance["versions"]) == (row.device, row.versions)
        assert run.loss == pytest.approx(row.loss, abs=1e-6 if same_machine else 3 * scatter)


def test_an_unknown_sweep_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no stored sweep 'nothing'.*synthetic"):
        runs.stored("nothing")
