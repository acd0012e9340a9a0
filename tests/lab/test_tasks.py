"""Prompts are what they claim to be, and scores are those of models whose answers are known."""

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from truths import filled

from scalinglaws import recipe
from scalinglaws.config import ModelConfig, RunSpec, TrainConfig
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import model, tasks, train
from scalinglaws.lab.corpus import Corpus, MarkovSource
from scalinglaws.lab.runtime import CPU

WORDS = ("load", "total", "index", "width", "table", "cell", "state", "frame", "shape", "value")


def program(n: int, seed: int) -> str:
    """Text that looks like Python, full of brackets, names and lines of all lengths."""
    rng = np.random.default_rng(seed)
    functions = []
    for i in range(n):
        name = "_".join(rng.choice(WORDS, 2)) + f"_{rng.integers(10_000)}"
        lines = [
            f"def run{i}(self, {name}):",
            f"    self.{name} = {name}",
            f"    x = [f({name}), {rng.integers(99)}]",
            f"    y = {{k: g({i}), 2: h({name}) }}",
            f"    return (y[{name}], [1], x)",
        ]
        functions.append("\n".join(rng.permutation(lines)) + "\n")
    return corpora.SEPARATOR.join(functions)


def text_corpus(folder, vocab: str = "ascii") -> Corpus:
    (folder / "program.txt").write_text(program(4000, 0))
    return corpora.files(str(folder / "program.txt"), vocab, val_fraction=0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCALINGLAWS_CACHE", str(path / "cache"))
        yield path


@pytest.fixture(scope="module")
def text(folder) -> Corpus:
    return text_corpus(folder)


@pytest.fixture(scope="module")
def subwords(folder) -> Corpus:
    corpora.train_bpe(text_corpus(folder, "bytes"), 400, folder / "tokenizer.json", n_tokens=2**17)
    return text_corpus(folder, str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def source() -> MarkovSource:
    return MarkovSource()


@pytest.fixture(scope="module")
def symbols(source) -> Corpus:
    train_part, val = source.sample(2**18, seed=0), source.sample(2**17, seed=1)
    return Corpus(name="markov", vocab_size=128, train=train_part, val=val, fingerprint="test", entropy=source.entropy)


@pytest.fixture(params=["ascii", "subwords"])
def either(request) -> Corpus:
    return request.getfixturevalue({"ascii": "text", "subwords": "subwords"}[request.param])


def spec_of(corpus: Corpus, seq_len: int = 64) -> RunSpec:
    config = ModelConfig(n_layer=1, d_model=32, n_head=2, d_ff=64, vocab_size=corpus.vocab_size, seq_len=seq_len)
    return RunSpec(model=config, train=TrainConfig(tokens=1024, batch_tokens=1024, lr=1e-2))


def prompts_of(corpus: Corpus) -> dict[str, tasks.Prompts]:
    return tasks.text_prompts(tasks.CacheKey(corpus))


def answers(prompts: tasks.Prompts) -> np.ndarray:
    return prompts.tokens[:, -prompts.n_answer :]


def decoded(corpus: Corpus, rows: np.ndarray) -> list[str]:
    return [corpus.decode(row) for row in rows]


# ---- Prompts ----


def test_every_task_has_its_prompts(either):
    prompts = prompts_of(either)
    assert set(prompts) == {"bracket", "copy", "name"}
    for one in prompts.values():
        assert tasks.FEWEST <= len(one.tokens) <= tasks.ITEMS
        assert one.tokens.shape[1] == tasks.WINDOW + 1


def test_natural_prompts_are_cut_from_the_validation_text(either):
    val = either.val.astype("<u2").tobytes()
    for name in ("bracket", "name"):
        assert all(row.astype("<u2").tobytes() in val for row in prompts_of(either)[name].tokens)


def test_prompts_are_spread_over_the_text(either, symbols):
    """Of each quarter at least an eighth."""
    val = either.val.astype("<u2").tobytes()
    for name in ("bracket", "name"):
        places = [val.find(row.astype("<u2").tobytes()) / len(val) for row in prompts_of(either)[name].tokens]
        assert (np.histogram(places, 4, (0, 1))[0] >= len(places) / 8).all()
    windows, *_ = tasks.markov_prompts(tasks.CacheKey(symbols))
    ends = symbols.val[:17], symbols.val[-17:]
    assert np.array_equal(windows[[0, -1]], ends)


def test_brackets_close_what_was_opened_and_not_the_latest(either):
    prompts = prompts_of(either)["bracket"]
    n = len(prompts.tokens) // 3  # of each kind, kind after kind
    for i, (whole, answer) in enumerate(
        zip(decoded(either, prompts.tokens), decoded(either, answers(prompts)), strict=True)
    ):
        text, pairs = whole.removesuffix(answer), 0
        while (shorter := re.sub(r"\([^][(){}]*\)|\[[^][(){}]*\]|\{[^][(){}]*\}", "", text)) != text:
            text, pairs = shorter, pairs + 1
        assert re.findall(r"[([{]", text)[-1] + answer.lstrip()[0] == ("()", "[]", "{}")[i // n]
        assert pairs > 0


def test_copies_repeat_a_line_of_the_text_up_to_the_answers_end(either):
    prompts = prompts_of(either)["copy"]
    m, end = prompts.n_answer, tasks.WINDOW + 1
    text = either.decode(either.val)
    seen = set()
    for row, first in zip(prompts.tokens, prompts.first, strict=True):
        n = end - m - first  # tokens of the line
        begin = first - n // 2  # where it stands first
        assert np.array_equal(row[begin + n :], row[begin : first + m])
        line = either.decode(row[begin : begin + n])
        assert line in text
        assert line.count("\n") == 1
        assert line not in seen
        seen.add(line)
        assert either.decode(row[: begin + n]) in text


def test_names_have_occurred_before(either):
    prompts = prompts_of(either)["name"]
    seen = set()
    for row in prompts.tokens:
        before, answer = either.decode(row[: -prompts.n_answer]), either.decode(row[-prompts.n_answer :])
        answer = re.search(r"\w+$", answer).group()  # a subword may begin with a space or a bracket
        assert re.search(rf"(^|\b){answer}", before)
        seen.add(answer)
    assert len(seen) > 20


def test_answers_are_as_long_as_the_vocabulary_allows(text, subwords):
    assert {name: p.n_answer for name, p in prompts_of(text).items()} == {"bracket": 1, "copy": 8, "name": 8}
    assert prompts_of(subwords)["name"].n_answer in (2, 4)


def test_prompts_are_made_once_for_equal_corpora(text):
    assert prompts_of(text) is prompts_of(replace(text, train=text.train[:100]))


# ---- Scores ----


def play(monkeypatch, prompts: dict[str, tasks.Prompts], vocab_size: int, *, wrong_at: int = 0) -> None:
    """Replace the model by one that knows the prompts by heart, but errs on tokens of answers from ``wrong_at`` on."""
    known = {}
    for one in prompts.values():
        told = one.tokens[:, 1:].copy()
        if wrong_at and one.n_answer > 1:
            told[:, len(told[0]) - one.n_answer + wrong_at - 1 :] = 0
        known |= {row[:-1].tobytes(): line for row, line in zip(one.tokens, told, strict=True)}

    def forward(theta, x, config, at):
        lines = np.stack([known[row.tobytes()] for row in x.numpy()])
        return 50.0 * torch.nn.functional.one_hot(torch.from_numpy(lines).flatten(), vocab_size)

    monkeypatch.setattr(model, "forward", forward)
    monkeypatch.setattr(tasks, "frequency_losses", lambda *_: torch.zeros(tasks.BANDS))  # of text that is no prompt


def test_a_model_that_knows_the_answers_scores_one(either, monkeypatch):
    play(monkeypatch, prompts_of(either), either.vocab_size)
    scores = tasks.score(torch.zeros(1), spec_of(either), either)
    assert all(value == (0 if "loss" in key else 1) for key, value in scores.items())


def test_exact_match_needs_every_token(text, monkeypatch):
    play(monkeypatch, prompts_of(text), text.vocab_size, wrong_at=4)  # three right ones, then five wrong ones
    scores = tasks.score(torch.zeros(1), spec_of(text), text)
    for name in ("copy", "name"):
        assert scores[f"{name}_accuracy"] == 3 / 8
        assert [scores[f"{name}_exact_{k}"] for k in (1, 2, 4, 8)] == [1, 1, 0, 0]
        assert scores[f"{name}_loss"] == pytest.approx(50 * 5 / 8)
    assert scores["copy_first_loss"] == 0


def test_random_weights_score_as_chance_does(text, symbols):
    spec = spec_of(text)
    at_start = tasks.score(model.init(spec.model, 0), spec, text)
    scores = tasks.score(filled(spec.model), spec, text)
    for name in ("bracket", "copy", "name"):
        assert at_start[f"{name}_loss"] == pytest.approx(math.log(128), abs=1e-5)  # a head of zeros is uniform
        assert scores[f"{name}_accuracy"] < 0.06  # some 1/128, uneven since texts have few symbols
        assert scores[f"{name}_loss"] > math.log(128) - 0.5
    assert scores["copy_exact_8"] == scores["name_exact_8"] == 0
    uniform = tasks.score(model.init(spec_of(symbols).model, 0), spec_of(symbols), symbols)
    assert uniform["markov_loss"] == pytest.approx(math.log(128), abs=1e-5)
    assert uniform["markov_excess"] == pytest.approx(math.log(128) - symbols.entropy, abs=0.02)  # of 30 thousand laws


def test_a_model_that_ignores_the_prompt_chooses_one_bracket_in_three(either, monkeypatch):
    logits = torch.randn(either.vocab_size, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(model, "forward", lambda theta, x, config, at: logits.expand(x.numel(), -1))
    assert tasks.score(torch.zeros(1), spec_of(either), either)["bracket_choice"] == pytest.approx(1 / 3)


def test_the_kind_of_bracket_that_is_chosen_has_the_most_probability_in_all(subwords):
    """Several subwords begin with one bracket."""
    spec, prompts = spec_of(subwords), prompts_of(subwords)["bracket"]
    theta = filled(spec.model)
    x = torch.from_numpy(prompts.tokens[:, :-1])
    p = model.forward(theta, x, spec.model, model.tables(spec.model)).view(*x.shape, -1)[:, -1].softmax(-1).numpy()
    begins = np.array([subwords.decode([i]).lstrip()[:1] for i in range(subwords.vocab_size)])
    right = begins[prompts.tokens[:, -1]]
    found = {}
    for how in (np.sum, np.max):
        by_kind = np.stack([how(p[:, begins == bracket], axis=1) for bracket in ")]}"])
        found[how] = np.mean(np.array(list(")]}"))[by_kind.argmax(0)] == right)
    assert tasks.score(theta, spec, subwords)["bracket_choice"] == pytest.approx(found[np.sum], abs=1e-6)
    assert found[np.sum] != pytest.approx(found[np.max], abs=1e-3)


def test_scores_are_those_of_each_row(either):
    """The same from the mean losses of single sequences, without chunks and padding."""
    spec = spec_of(either)
    theta, prompts = filled(spec.model), prompts_of(either)["name"]
    x, y = torch.from_numpy(prompts.tokens[:, :-1]), torch.from_numpy(prompts.tokens[:, 1:])
    loss = model.loss(theta, x, y, spec.model, model.tables(spec.model)).view(x.shape)[:, -prompts.n_answer :]
    assert tasks.score(theta, spec, either)["name_loss"] == pytest.approx(loss.mean().item(), abs=1e-5)


def test_bands_of_frequency_hold_a_sixth_each_and_fall_in_frequency(subwords):
    windows, band = tasks.frequency_bands(tasks.CacheKey(subwords), 64)
    shares = np.bincount(band) / len(band)
    assert shares == pytest.approx(np.full(6, 1 / 6), abs=0.06)  # a symbol is in one band: the commonest has 6%
    often = np.bincount(subwords.train, minlength=subwords.vocab_size)
    targets = windows[:, 1:].ravel()
    of_band = [often[targets[band == k]] for k in range(6)]
    assert all(rare.max() <= common.min() for common, rare in itertools.pairwise(of_band))
    spec = spec_of(subwords)
    theta = filled(spec.model)
    x, y = torch.from_numpy(windows[:, :-1]), torch.from_numpy(windows[:, 1:])
    loss = model.loss(theta, x, y, spec.model, model.tables(spec.model)).numpy()
    expected = [loss[band == k].mean() for k in range(6)]
    assert tasks.frequency_losses(theta, spec.model, subwords).tolist() == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01


def test_a_longer_window_gets_the_same_prompts(text):
    short, long = spec_of(text), spec_of(text, 128)
    theta = filled(short.model)
    a, b = (tasks.score(theta, spec, text) for spec in (short, long))
    assert a.keys() == b.keys()
    assert list(a.values()) == pytest.approx(list(b.values()), abs=1e-5)


def test_what_does_not_fit_is_left_out(text, symbols, source):
    theta = torch.zeros(1)  # is not looked at
    assert tasks.score(theta, spec_of(text, 32), text) == {}
    assert tasks.score(theta, spec_of(symbols, 8), symbols) == {}
    assert tasks.score(theta, spec_of(symbols), replace(symbols, name="other")) == {}
    assert tasks.score(theta, spec_of(symbols), replace(symbols, entropy=1.0)) == {}  # another source
    few = replace(text, val=text.val[:2000], fingerprint="few")
    assert tasks.score(theta, spec_of(text), few) == {}


def test_names_of_scores_are_documented(text, subwords, symbols):
    scores = {}
    for each in (text, subwords, symbols, corpora.chains()):
        scores |= tasks.score(filled(spec_of(each).model), spec_of(each), each)
    of_texts = {f"{name}_loss" for name in corpora.TEXTS}  # scored where `eval_texts` is set, see test_texts
    assert {re.sub(r"_\d+$", "_k", key) for key in scores} | of_texts == set(tasks.SCORES)
    assert all(isinstance(value, float) for value in scores.values())


# ---- The synthetic source ----


def test_the_best_success_is_that_of_all_continuations():
    small = MarkovSource(vocab_size=4, candidate_weights=(0.7, 0.3), seed=1)
    p, best = small.transition, small.transition.argmax(-1)
    for k in (1, 2, 3):
        total = 0.0
        for a in range(4):
            for b in range(4):
                x, y, chance = a, b, small.stationary[a, b]
                for _ in range(k):
                    chance *= p[x, y, best[x, y]]
                    x, y = y, best[x, y]
                total += chance
        assert tasks.best_exact(small, k) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("further", [0, 7], ids=["same vocabulary", "larger vocabulary"])
def test_the_true_law_scores_its_best(further, symbols, source, monkeypatch):
    law = torch.nn.functional.pad(torch.from_numpy(source.transition).float().log(), (0, further), value=-math.inf)

    def forward(theta, x, config, at):
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        return law[before, x].flatten(0, 1)

    monkeypatch.setattr(model, "forward", forward)
    scores = tasks.score(torch.zeros(1), spec_of(symbols, 16), symbols)
    assert abs(scores["markov_excess"]) < 1e-5  # rounding of float32
    assert all(scores[f"markov_agreement{k}"] == 1 for k in ("", "_2", "_4", "_8"))
    n = min(tasks.SYMBOL_WINDOWS, len(symbols.val) // 16)
    for k, key in ((1, "accuracy"), (2, "exact_2"), (4, "exact_4"), (8, "exact_8")):
        expected = tasks.best_exact(source, k)
        se = math.sqrt(expected * (1 - expected) / (n * 15 / k))  # k in a row share symbols with the next k
        assert scores[f"markov_{key}"] == pytest.approx(expected, abs=4 * se)


def test_training_is_seen(symbols):
    """Measured: agreement 0.75 after a quarter of a million tokens; always guessing the commonest symbol has 0.43."""
    spec = recipe.SYNTHETIC.spec(32, 2**18)
    spec = replace(spec, train=replace(spec.train, eval_tokens=2**16))
    loop = train.Loop(spec, symbols, CPU)
    state = loop.start()
    before = tasks.score(state.theta, spec, symbols)
    loop.run(state, spec.train.steps, spec.train)
    after = tasks.score(state.theta, spec, symbols)
    assert before["markov_agreement"] < 0.5 < 0.6 < after["markov_agreement"]
    assert after["markov_excess"] < 1 < before["markov_excess"]
    assert after["markov_agreement_8"] < after["markov_agreement_4"] < after["markov_agreement_2"]


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(text):
    spec = spec_of(text)
    theta = filled(spec.model)
    a, b = tasks.score(theta, spec, text), tasks.score(theta.cuda(), spec, text)
    assert [b[key] for key in a] == pytest.approx(list(a.values()), abs=5e-3)
