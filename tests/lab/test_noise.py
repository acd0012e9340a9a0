"""The estimators against gradients of known mean and covariance, then against each other on a model."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from truths import CORPUS, SPEC, assert_is_the_scatter, changed

from scalinglaws.lab import model, noise, train
from scalinglaws.lab.runtime import CPU

MEAN = np.array([0.5, -0.3, 0.2, 0.0, 0.1, 0.0])
DEVIATION = np.array([1.0, 2.0, 0.5, 1.5, 0.2, 3.0])  # of one token's gradient, entry by entry
GRAD_SQ, TRACE = float(MEAN @ MEAN), float((DEVIATION**2).sum())


def gradients(n: int, tokens: int, repeats: int, seed: int = 0) -> np.ndarray:
    """Gradients (repeats, n, 6) of batches of some tokens each."""
    noise_of_one = np.random.default_rng(seed).standard_normal((repeats, n, len(MEAN))) * DEVIATION
    return MEAN + noise_of_one / math.sqrt(tokens)


def assert_unbiased(values: np.ndarray, truth: float) -> None:
    """Within four standard errors, which are small enough to tell."""
    se = values.std(ddof=1) / math.sqrt(len(values))
    assert se < 0.03 * truth
    assert values.mean() == pytest.approx(truth, abs=4 * se)


def test_two_batches_are_unbiased():
    small = gradients(8, 16, 20_000)  # eight batches of 16 tokens, together one of 128
    small_sq, big_sq = (small**2).sum(-1).mean(-1), (small.mean(1) ** 2).sum(-1)
    grad_sq, trace = noise.two_batches(small_sq, big_sq, small_tokens=16, big_tokens=128)
    assert_unbiased(grad_sq, GRAD_SQ)
    assert_unbiased(trace, TRACE)
    assert big_sq.mean() == pytest.approx(GRAD_SQ + TRACE / 128, rel=0.02)  # what is left uncorrected: 1.33 times
    found = noise.average(grad_sq, trace)
    assert found.noise_scale == pytest.approx(TRACE / GRAD_SQ, abs=4 * found.noise_scale_se)


def test_many_samples_are_unbiased():
    samples = gradients(12, 64, 20_000)  # twelve sequences of 64 tokens
    found = np.array([noise.many_samples(g.sum(0), (g**2).sum(), 12, sample_tokens=64) for g in samples])
    assert_unbiased(found[:, 0], GRAD_SQ)
    assert_unbiased(found[:, 1], TRACE)


@pytest.mark.parametrize("method", ["two_batches", "per_sequence"])
def test_the_standard_error_is_the_scatter_of_repeats(method):
    found = []
    for seed in range(300):
        g = gradients(16, 64, 32, seed)  # 32 groups of 16 samples
        if method == "two_batches":
            squares = (g**2).sum(-1).mean(-1), (g.mean(1) ** 2).sum(-1)
            found.append(noise.average(*noise.two_batches(*squares, small_tokens=64, big_tokens=1024)))
        else:
            found.append(noise.from_samples(g.sum(1), (g**2).sum((1, 2)), [16] * 32, sample_tokens=64))
    scatter = np.std([one.noise_scale for one in found])
    assert scatter < 0.1 * TRACE / GRAD_SQ
    # The scatter of 300 is known to 4%; the jackknife itself is right to some 1/32.
    assert np.mean([one.noise_scale_se for one in found]) == pytest.approx(scatter, rel=0.15)


@pytest.mark.parametrize("n", [2, 5])
def test_the_jackknife_of_a_mean_is_its_standard_error(n):
    """Where |G|^2 is the same in all, the scale is a mean: s / sqrt(n), Efron and Stein 1981."""
    trace = 8 + np.random.default_rng(0).normal(size=n)
    found = noise.average(np.full(n, 2.0), trace)
    assert found.noise_scale_se == pytest.approx(trace.std(ddof=1) / math.sqrt(n) / 2, rel=1e-12)


@pytest.mark.parametrize("method", ["two_batches", "per_sequence"])
def test_the_standard_error_of_four_groups_is_right_too(method):
    """The gradient is twenty times as large, so that the ratio is nearly a mean, where the jackknife is unbiased."""
    found = []
    for g in gradients(64, 64, 2000) + 19 * MEAN:  # 64 samples
        groups = g.reshape(4, 16, -1)
        if method == "two_batches":
            squares = (groups**2).sum(-1).mean(-1), (groups.mean(1) ** 2).sum(-1)
            found.append(noise.average(*noise.two_batches(*squares, small_tokens=64, big_tokens=1024)))
        else:
            found.append(noise.from_samples(groups.sum(1), (groups**2).sum((1, 2)), [16] * 4, sample_tokens=64))
    assert_is_the_scatter(*np.transpose([(one.noise_scale, one.noise_scale_se) for one in found]))


def test_noise_without_a_gradient_has_no_scale():
    found = noise.average([-0.1, 0.05], [2.0, 2.0])
    assert math.isnan(found.noise_scale)
    assert math.isnan(found.noise_scale_se)
    assert found.trace == 2.0


def test_sizes_of_batches_are_checked():
    with pytest.raises(ValueError, match=r"small_tokens=128, big_tokens=64: give two sizes, the smaller one first"):
        noise.two_batches([1.0], [1.0], small_tokens=128, big_tokens=64)


# ---- On a model ----


def trained(steps: int = 30) -> torch.Tensor:
    loop = train.Loop(SPEC, CORPUS, CPU)
    state = loop.start()
    loop.run(state, steps, SPEC.train)
    return state.theta


def all_sequences() -> tuple[torch.Tensor, torch.Tensor]:
    """Every training sequence: 1249 of 16 tokens."""
    return train.cut(CORPUS.train, 16 * np.arange((len(CORPUS.train) - 1) // 16), 16)


def test_gradients_of_sequences_are_those_of_each_alone():
    theta, (x, y) = trained(), all_sequences()
    together = noise.per_sequence_gradients(theta, x[:5], y[:5], SPEC)
    at = model.tables(SPEC.model)
    for g, a, b in zip(together, x[:5], y[:5], strict=True):
        leaf = theta.clone().requires_grad_()
        model.loss(leaf, a[None], b[None], SPEC.model, at).mean().backward()
        assert torch.allclose(g, leaf.grad, atol=1e-6)


def test_both_ways_find_the_noise_of_the_whole_text():
    """All sequences give |G|^2 and tr(Sigma) exactly; samples of them must agree."""
    theta, (x, y) = trained(), all_sequences()
    g = noise.per_sequence_gradients(theta, x, y, SPEC).double()
    mean = g.mean(0)
    truth = 16 * (g - mean).square().sum(1).mean() / mean.square().sum()
    rng = np.random.default_rng(0)
    groups = [torch.from_numpy(rng.integers(len(x), size=16)) for _ in range(64)]
    totals, totals_sq = map(np.array, zip(*(noise._sums(theta, x[i], y[i], SPEC) for i in groups), strict=True))
    one = noise.from_samples(totals, totals_sq, [16] * 64, sample_tokens=16)
    squares = np.array([noise._squares(theta, x[i], y[i], SPEC, 4) for i in groups])
    other = noise.average(*noise.two_batches(*squares.T, small_tokens=64, big_tokens=256))
    for found in (one, other):
        assert found.noise_scale_se < 0.25 * truth
        assert found.noise_scale == pytest.approx(truth.item(), abs=4 * found.noise_scale_se)


def test_both_ways_agree_along_a_training():
    """At a rate so low that the weights stand still."""
    table = noise.measure(
        changed(lr=1e-9, tokens=128 * 256), CORPUS, at=(128 * 128, 128 * 256), sequences=1024, runtime=CPU
    )
    assert table["tokens"].tolist() == [128 * 128] * 2 + [128 * 256] * 2
    assert table["method"].tolist() == ["two_batches", "per_sequence"] * 2
    assert table["loss"].tolist() == pytest.approx([math.log(16)] * 4, abs=1e-4)
    scale, se = table["noise_scale"].to_numpy(), table["noise_scale_se"].to_numpy()
    assert (se < 0.1 * scale).all()
    spread = np.subtract.outer(scale, scale) / np.sqrt(np.add.outer(se**2, se**2))
    assert np.abs(spread).max() < 4


def test_measuring_does_not_disturb_the_training():
    spec = changed(eval_at=(6400,))
    table = noise.measure(spec, CORPUS, at=(6400, 12_800), sequences=64, runtime=CPU)
    run = train.train(spec, CORPUS, CPU)
    assert table["loss"].tolist()[::2] == run.curve["eval_loss"].tolist()


def test_single_sequences_are_those_of_the_training(monkeypatch):
    spec = changed(unique_tokens=1601, unique_from="everywhere")
    starts, real = [], train.cut
    monkeypatch.setattr(train, "cut", lambda text, part, n: starts.append(part) or real(text, part, n))
    noise.measure(spec, CORPUS, at=(512,), sequences=32, runtime=CPU)
    single = np.concatenate([part for part in starts if len(part) == 2])  # of a group
    assert len(single) == 32
    assert np.isin(single, 16 * train.Batches(CORPUS, spec, "cpu").sequences).all()


def test_one_estimate_has_no_standard_error():
    found = noise.average([2.0], [6.0])
    assert found.noise_scale == 3.0
    assert math.isnan(found.noise_scale_se)


def test_a_leading_axis_gives_gradients_of_the_other_family():
    spec = replace(
        SPEC,
        model=replace(SPEC.model, family="lstm", n_head=1, d_ff=128, position="none", parametrization="standard"),
    )
    theta, (x, y) = model.init(spec.model, spec.train.seed), all_sequences()
    g = noise.per_sequence_gradients(theta, x[:4], y[:4], spec)
    at = model.tables(spec.model)
    leaf = theta.clone().requires_grad_()
    model.loss(leaf, x[:4], y[:4], spec.model, at).mean().backward()
    assert torch.allclose(g.mean(0), leaf.grad, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"at": (6401,)}, "at=6401: give multiples of batch_tokens=128 up to tokens=12800"),
        ({"at": (25_600,)}, "up to tokens=12800"),
        ({"at": (512,)}, "at=512: .* at least sequences x seq_len = 1024 after 0"),
        ({"at": (6400, 6912)}, "at=6912: .* after 6400"),
        ({"sequences": 24}, "sequences=24: give a multiple of 16 and of the 8 in a batch, from 32 on"),
        ({"small_tokens": 128}, "small_tokens=128: give a part of batch_tokens=128"),
        ({"small_tokens": 48}, "small_tokens=48: give a part"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(fields, words):
    with pytest.raises(ValueError, match=words) as caught:
        noise.measure(SPEC, CORPUS, **{"at": (6400,), "sequences": 64} | fields)
    assert "\n" not in str(caught.value)


def test_a_diverged_training_is_reported():
    with pytest.raises(ValueError, match=r"at=6400: training loss .* lower lr or measure earlier"):
        noise.measure(changed(optimizer="sgd", lr=1e3, grad_clip=0.0), CORPUS, at=(6400,), sequences=64, runtime=CPU)


# ---- Steps to a target ----


def test_steps_to_target_are_exact_between_points_of_a_line_in_log_steps():
    steps = np.array([10, 30, 100, 1000])
    losses = 4 - 0.3 * np.log(steps)
    for at in (12.0, 77.0, 100.0, 640.0):
        assert noise.steps_to_target(steps, losses, 4 - 0.3 * math.log(at)) == pytest.approx(at, rel=1e-12)


def test_the_first_crossing_counts():
    assert noise.steps_to_target([1, 10, 100, 1000], [3.0, 2.0, 2.6, 1.0], 2.5) == pytest.approx(10**0.5)


def test_a_target_outside_of_the_curve_has_no_answer():
    assert math.isnan(noise.steps_to_target([1, 10], [3.0, 2.0], 1.9))
    assert math.isnan(noise.steps_to_target([1, 10], [3.0, 2.0], 3.0))
    assert math.isnan(noise.steps_to_target([1, 10], [3.0, math.nan], 2.5))


@pytest.mark.parametrize(("steps", "losses"), [([1, 2], [3.0]), ([2, 1], [3.0, 2.0]), ([0, 1], [3.0, 2.0])])
def test_a_curve_has_rising_steps(steps, losses):
    with pytest.raises(ValueError, match="give two of one length, steps rising from above zero"):
        noise.steps_to_target(steps, losses, 2.5)
