"""The source of chains: its windows, its floor against every possible window counted out, and the trainer on it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from scalinglaws import recipe, runs
from scalinglaws.config import DataConfig, to_json
from scalinglaws.lab import corpus, ensemble, grids, noise, tasks, train
from scalinglaws.lab.corpus import ChainSource, chains
from scalinglaws.lab.corpus.chains import predictive_by_hand
from scalinglaws.lab.runtime import CPU

SOURCE = ChainSource(vocab_size=5, alpha=0.4)
TINY = ChainSource(vocab_size=2, alpha=0.3)
SPEC = grids.vary(recipe.CHAINS.spec(16, 40_960), eval_tokens=4096)


# ---- Windows ----


def test_a_window_is_the_same_each_time_and_a_shorter_one_begins_it():
    whole = SOURCE.windows(0, 700, 40, seed=3)
    assert whole.shape == (700, 41)
    assert np.array_equal(ChainSource(vocab_size=5, alpha=0.4).windows(0, 700, 40, seed=3), whole)
    for first, n in ((0, 1), (250, 12), (255, 1), (256, 256), (100, 600)):  # within a block of 256, and over its end
        assert np.array_equal(SOURCE.windows(first, n, 40, seed=3), whole[first : first + n])
    assert np.array_equal(SOURCE.windows(0, 700, 10, seed=3), whole[:, :11])


def test_no_window_comes_twice():
    source = replace(SOURCE, alpha=2.0)  # with less, some chains only repeat a symbol
    streams = [source.windows(0, 2000, 60, seed=seed) for seed in (None, 0, 1, 2**63 - 1)]
    every = np.concatenate(streams)
    assert len(np.unique(every, axis=0)) == len(every)
    other = replace(source, seed=1).windows(0, 2000, 60, seed=0)
    assert not (other == streams[1]).all(1).any()


def exact(source: ChainSource, windows: np.ndarray) -> np.ndarray:
    """Probability of each window (n,): uniform first, for each row the integral of its moves over Dirichlet's law."""
    v, a = source.vocab_size, source.alpha
    out = np.full(len(windows), -np.log(v))
    for row in range(v):
        k = np.stack([((windows[:, :-1] == row) & (windows[:, 1:] == y)).sum(1) for y in range(v)], 1)
        out += gammaln(v * a) - gammaln(v * a + k.sum(1)) + (gammaln(a + k) - gammaln(a)).sum(1)
    return np.exp(out)


def every_window(source: ChainSource, n: int) -> np.ndarray:
    """All windows of n symbols."""
    return np.array(list(itertools.product(range(source.vocab_size), repeat=n)))


def test_the_formula_is_the_mean_over_chains():
    """Chains drawn here, without the source: the probability of a window, averaged over 200,000 of them."""
    rng, windows = np.random.default_rng(0), every_window(TINY, 4)
    rows = rng.dirichlet(np.full(2, TINY.alpha), size=(200_000, 2))
    each = np.array([rows[:, w[:-1], w[1:]].prod(1) / 2 for w in windows])
    error = each.std(1) / np.sqrt(each.shape[1])
    assert (np.abs(each.mean(1) - exact(TINY, windows)) < 4 * error).all()
    assert exact(TINY, windows).sum() == pytest.approx(1)


@pytest.mark.parametrize("source", [TINY, ChainSource(vocab_size=3, alpha=1.5)])
def test_windows_are_as_frequent_as_they_should_be(source):
    """Chi-square of all windows of four symbols, within four standard deviations of its mean."""
    drawn, windows = source.windows(0, 60_000, 3, seed=1), every_window(source, 4)
    expected = 60_000 * exact(source, windows)
    found = np.array([(drawn == w).all(1).sum() for w in windows])
    freedom = len(windows) - 1
    assert abs(((found - expected) ** 2 / expected).sum() - freedom) < 4 * np.sqrt(2 * freedom)


# ---- The floor ----


def test_the_predictive_is_the_ratio_of_what_the_windows_have():
    """p(next | window so far) from the probabilities of whole windows, which know nothing of counts so far."""
    source = ChainSource(vocab_size=3, alpha=0.2)
    windows = every_window(source, 6)
    found = source.predictive(windows)
    for t in range(1, 6):
        ratio = exact(source, windows[:, : t + 1]) / exact(source, windows[:, :t])
        assert found[np.arange(len(windows)), t - 1, windows[:, t]] == pytest.approx(ratio, rel=1e-10)
    assert found.sum(-1) == pytest.approx(1)


@pytest.mark.parametrize("source", [SOURCE, ChainSource(vocab_size=16, alpha=0.1)])
def test_the_fast_predictive_is_the_readable_one(source):
    windows = source.windows(0, 20, 64)
    for window, found in zip(windows, source.predictive(windows), strict=True):
        assert np.array_equal(found, predictive_by_hand(source, window))


def test_the_floor_is_the_conditional_entropy_of_all_windows():
    """H(x_t+1 | x_1 .. x_t) = H(x_1 .. x_t+1) - H(x_1 .. x_t), over every window, within four errors."""
    entropy = [-(p * np.log(p)).sum() for p in (exact(TINY, every_window(TINY, n)) for n in range(1, 11))]
    floor, se = TINY.floor(9)
    truth = np.diff(entropy)
    assert floor[0] == pytest.approx(np.log(2), rel=1e-12)
    assert (np.abs(floor - truth)[1:] < 4 * se[1:]).all()
    assert (se[1:] < 0.01).all()
    assert TINY.mean_floor(9) == floor.mean()


def test_no_prediction_is_better_on_average():
    """In 2000 windows: neither other prior counts nor the frequencies of symbols, by more than four standard errors."""
    windows = SOURCE.windows(0, 2000, 50)
    place = windows[:, 1:, None].astype(int)
    score = lambda p: -np.log(np.take_along_axis(p, place, -1)).mean((1, 2))  # noqa: E731
    best = score(SOURCE.predictive(windows))
    others = [replace(SOURCE, alpha=alpha).predictive(windows) for alpha in (0.2, 0.8)]
    for other in (*others, SOURCE.unigram_predictive(windows)):
        gain = score(other) - best
        assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))


# ---- Training ----


@pytest.fixture(scope="module")
def run():
    return train.train(SPEC, runtime=CPU)


def test_each_seed_trains_on_windows_of_its_own():
    source, other = (corpus.load(SPEC.data), grids.vary(SPEC, seed=1))
    first, second = (train.Loop(spec, source, CPU).batches for spec in (SPEC, other))
    x, y = first[3]
    assert np.array_equal(torch.cat([x, y[:, -1:]], 1), source.source.windows(48, 16, 128, seed=0))
    assert not torch.equal(second[3][0], x)


def test_processes_share_the_windows_of_a_step(monkeypatch):
    source = chains().source
    whole, shares = train.Drawn(source, SPEC, "cpu")[2][0], []
    for rank in (0, 1):
        monkeypatch.setattr(train, "ranks", lambda rank=rank: (rank, 2))
        shares.append(train.Drawn(source, SPEC, "cpu")[2][0])
    assert torch.equal(torch.stack(shares, 1).flatten(0, 1), whole)


def test_it_is_scored_against_the_floor(run):
    """A head of zeros says 1/V: the floor and what lies above it are log V, at every position."""
    source = corpus.load(SPEC.data)
    blank = tasks.score(train.Loop(SPEC, source, CPU).start().theta, SPEC, source)
    assert blank["chains_floor"] + blank["chains_excess"] == pytest.approx(np.log(8), abs=1e-5)
    assert blank["chains_excess_1"] == pytest.approx(0, abs=1e-6)
    bands = {k: blank[f"chains_excess_{k}"] for k in (1, 2, 4, 8, 16, 32, 64)}
    assert sum(k * excess for k, excess in bands.items()) == pytest.approx(127 * blank["chains_excess"], rel=0.01)
    assert list(bands.values()) == sorted(bands.values())
    assert len(bands) == sum(key.startswith("chains_excess_") for key in blank)
    assert blank["chains_floor"] == pytest.approx(SOURCE_FLOOR, abs=0.02)
    assert run.loss == pytest.approx(run.scores["chains_floor"] + run.scores["chains_excess"], abs=0.05)
    assert 0 < run.scores["chains_excess"] < blank["chains_excess"]


SOURCE_FLOOR = ChainSource().mean_floor(128)


def test_many_models_train_on_it_as_one(run):
    specs = [SPEC, grids.vary(SPEC, seed=1, lr=0.02)]
    assert ensemble.groups(specs) == [specs]
    for found, spec in zip(ensemble.train(specs, runtime=CPU), specs, strict=True):
        alone = run if spec == SPEC else train.train(spec, runtime=CPU)
        assert found.loss == pytest.approx(alone.loss, abs=1e-4)


def test_a_run_that_was_cut_off_ends_with_the_same_bits(run, tmp_path):
    at_half = train.Loop(SPEC, corpus.load(SPEC.data), CPU)
    state = at_half.start()
    at_half.run(state, 9, SPEC.train)
    train.save_state(tmp_path / "half.npz", state, SPEC)
    again = train.train(SPEC, runtime=CPU, checkpoint=tmp_path / "half.npz")
    assert (again.loss, again.train_loss) == (run.loss, run.train_loss)


def test_a_row_says_which_chains(run):
    table = runs.table([run])
    assert table[["corpus", "chain_symbols", "chain_alpha"]].iloc[0].tolist() == ["chains", 8, 0.3]
    assert table["fingerprint"].iloc[0] == chains().fingerprint != chains(TINY).fingerprint


def test_the_command_prints_a_spec_of_it(capsys):
    from scalinglaws.cli import main

    assert main(["spec", "--recipe", "chains", "--d-model", "32", "--n-layer", "2", "--tokens", "2e6"]) == 0
    assert capsys.readouterr().out.strip() == to_json(recipe.CHAINS.spec(32, 2e6, n_layer=2), indent=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"corpus": "chains", "unique_tokens": 1000}, "unique_tokens=1000 with corpus='chains': leave it out"),
        ({"chain_symbols": 16}, "chain_symbols and chain_alpha with corpus='pystack'"),
        ({"corpus": "markov", "chain_alpha": 0.1}, "chain_symbols and chain_alpha with corpus='markov'"),
        ({"corpus": "chains", "chain_alpha": 0.0}, "chain_alpha=0: give a finite number above zero"),
    ],
)
def test_what_does_not_belong_to_it_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        DataConfig(**fields)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="vocab_size=300: choose from 2 to 256"):
        ChainSource(vocab_size=300)
    with pytest.raises(ValueError, match=r"alpha=0.001: choose from 0.01 to 100"):
        ChainSource(alpha=0.001)
    with pytest.raises(ValueError, match="vocab='bytes': the chains source has its own symbols"):
        corpus.load(DataConfig(corpus="chains", vocab="bytes"))
    with pytest.raises(ValueError, match="vocab_size=4 but chains has 8 symbols"):
        train.train(grids.vary(SPEC, vocab_size=4), runtime=CPU)
    with pytest.raises(ValueError, match="corpus='chains'"):
        noise.measure(SPEC, at=[SPEC.train.tokens])
