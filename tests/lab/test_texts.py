"""Other texts are what they claim to be, and a run that asks for them is scored on them."""

import dataclasses
import re

import numpy as np
import pytest

from scalinglaws import recipe
from scalinglaws.config import DataConfig
from scalinglaws.lab import corpus as corpora
from scalinglaws.lab import grids, train
from scalinglaws.lab.corpus import CorpusMismatch
from scalinglaws.lab.runtime import CPU

SPEC = grids.vary(recipe.TEXT.spec(16, 10_240), eval_tokens=4096, eval_texts=True)


@pytest.fixture(scope="module")
def corpus():
    return corpora.load(DataConfig())


@pytest.fixture(scope="module")
def others(corpus):
    return corpora.other_texts(corpus)


def test_each_has_text_enough_to_validate_on_and_a_fingerprint_of_its_own(corpus, others):
    assert set(others) == set(corpora.TEXTS)
    assert min(len(text.val) for text in others.values()) > 2**16
    assert len({corpus.fingerprint, *(text.fingerprint for text in others.values())}) == 5
    assert all(text.bytes_per_token == pytest.approx(1, abs=0.01) for text in others.values())
    assert all(text.train is corpus.train and text.val.max() < corpus.vocab_size for text in others.values())


def test_shuffled_text_keeps_the_counts_and_nothing_else(corpus, others):
    val, shuffled = corpus.val[: len(others["shuffled"].val)], others["shuffled"].val
    assert np.array_equal(np.bincount(val, minlength=128), np.bincount(shuffled, minlength=128))
    unigram, bigram = (corpora.ngram_entropy(shuffled, order, 128) for order in (1, 2))
    assert unigram - bigram < 0.01  # nats; what the token before tells: the bias of 128^2 counts over 2 million
    assert corpora.ngram_entropy(val, 1, 128) - corpora.ngram_entropy(val, 2, 128) > 0.5


def test_comments_are_those_of_the_validation_text(corpus, others):
    lines = others["comments"].decode(others["comments"].val[:20_000]).splitlines()[:-1]
    text = corpus.decode(corpus.val)
    assert len(lines) > 200
    assert all(re.search(rf"# *\t*{re.escape(line)}\n", text) for line in lines[:40])


def test_prose_is_prose_and_each_paragraph_stands_once(others):
    paragraphs = others["english"].decode(others["english"].val).splitlines()
    assert len(paragraphs) == len({*paragraphs})
    words = re.findall("[a-z]+", " ".join(paragraphs).lower())
    assert sum(word in ("the", "of", "and") for word in words) > 0.08 * len(words)


def test_a_text_that_is_not_the_expected_one_is_reported(corpus, tmp_path, monkeypatch):
    (tmp_path / "texts.json").write_text('{"stdlib-128": "0123456789abcdef"}')
    monkeypatch.setattr("scalinglaws.lab.corpus.texts.EXPECTED", tmp_path / "texts.json")
    with pytest.warns(CorpusMismatch, match="stdlib is not the expected corpus.*instead of 0123456789abcdef"):
        found = corpora.other_texts(dataclasses.replace(corpus, fingerprint="none"))  # another key of the cache
    assert [name for name, text in found.items() if text.differences] == ["stdlib"]


def test_symbols_are_no_text():
    with pytest.raises(ValueError, match="markov is no text"):
        corpora.other_texts(corpora.load(DataConfig(corpus="markov")))


def test_a_run_that_asks_for_them_is_scored_on_each(corpus, others):
    state = train.Loop(SPEC, corpus, CPU).start()
    run = train.train(SPEC, corpus, CPU)
    names = {f"{name}_loss" for name in others}
    assert names <= set(run.scores)
    assert run.scores["shuffled_loss"] > run.scores["stdlib_loss"]
    plain = train.train(grids.vary(SPEC, eval_texts=False), corpus, CPU)
    assert not names & set(plain.scores)
    assert plain.loss == run.loss
    for name, text in others.items():  # before training every text costs the same: a guess among all symbols
        assert train.evaluate(state.theta, SPEC, text.val).mean().item() == pytest.approx(np.log(128), abs=0.05), name
