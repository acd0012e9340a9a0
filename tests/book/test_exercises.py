"""The exercises' helper: it knows a right answer, and says what is off about a wrong one without giving it away."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from scalinglaws_book import tell_minutes

from scalinglaws import book, files
from scalinglaws.book.exercises import Exercise, Forecast

TOKENS = Exercise(
    name="Exercise 1", answer=1.4e12, unit="tokens", slips={"the embeddings count here": 1.1e12, "that is N": 7e10}
)


@pytest.mark.parametrize("answer", [1.4e12, 1.41e12, np.float32(1.39e12), "1.4e12", [1.4e12]])
def test_right_answers_within_the_tolerance_are_right(answer):
    assert TOKENS.check(answer).right


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "no answer yet"),
        (1.1e12, "the embeddings count here"),
        (7e10, "that is N"),
        (-1.4e12, "sign"),
        (1.4e14, "a fraction is wanted"),
        (1.4e10, "a percentage is wanted"),
        (1.4e12 * math.log(10), "base of the logarithm"),
        (1.4e12 / math.log(2), "bits are not nats"),
        (2.8e12, "factor of 2 too many"),
        (1.4e12 / 6, "factor of 6 is missing"),
        (1 / 1.4e12, "upside down"),
        (1.4e12**2, "the square"),
        (1.45e12, "too large by less than a tenth"),
        (1e9, "too small by more than a factor of ten"),
        (0.0, "too small"),
        (math.nan, "finite"),
        ("many", "one number is wanted, in tokens, not str"),
        (None, "finite"),
        ([1.0, 2.0], "you gave 2"),
    ],
)
def test_wrong_answers_get_the_hint_that_fits(answer, hint):
    reply = TOKENS.check(answer)
    assert not reply.right
    assert hint in reply.message
    assert "1.4" not in reply.message


def test_several_numbers_say_which_one_is_off():
    several = Exercise(name="Exercise 2", answer=(0.51, 0.49), rel=0.01)
    assert several.check([0.51, 0.4905]).right
    assert "number 2 of 2 is too large" in several.check([0.51, 0.6]).message
    assert "2 numbers in a row are wanted; you gave 1." in several.check(0.51).message


def test_an_answer_of_nothing_has_an_absolute_tolerance():
    nothing = Exercise(name="Exercise 3", answer=0.0, absolute=0.01)
    assert nothing.check(0.009).right
    assert "nearer to 0" in nothing.check(0.02).message


def test_words_are_chosen_from_a_list():
    word = Exercise(name="Exercise 4", answer="data", choices=("data", "model"), slips={"R01 has it so": "model"})
    assert word.check("data").right
    assert "choose one of data, model" in word.check("compute").message
    assert "R01 has it so" in word.check("model").message


def test_a_slip_is_known_though_its_number_is_rounded_and_ends_as_it_likes():
    exact = Exercise(name="Exercise 5", answer=768.0, rel=0, slips={"heads, too?": 1234.5678})
    assert exact.check(1235).message == "Exercise 5: not yet: heads, too?"
    assert not exact.check(768.1).right


def test_exercises_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="Exercise 5: answer is not among choices"):
        Exercise(name="Exercise 5", answer="data", choices=("model",))
    with pytest.raises(ValueError, match="as good as the answer"):
        Exercise(name="Exercise 6", answer=1.0, slips={"nearly": 1.01})


def test_the_reply_is_shown_as_one_line_and_escaped():
    reply = Exercise(name="Exercise <7>", answer=1.0).check(1)
    assert repr(reply) == "Exercise <7>: right."
    assert 'role="status">Exercise &lt;7&gt;: right.</p>' in reply._repr_html_()
    assert repr(Exercise(name="Exercise 8", answer=1.5)).count("1.5") == 0


def test_an_exercise_of_the_book_has_its_words_from_the_file_and_in_its_order():
    slips = {"three-tens": (2, 1, 1), "swapped": (2, 1, 1), "loss-rises": 3, "of-size": 4, "fixed-batch": 5}
    three = book.exercise("01-1", answer=(1, 1, 1), slips=slips | {"tens-multiplied": 6})
    assert three.check([2, 1, 1]).message == "Exercise 1: not yet: size and data are the other way round."
    word = book.exercise("02-3", answer="past", slips={"wrong": "start"})
    assert (word.name, list(word.choices)) == ("Exercise 3", ["past", "start"])
    number = book.exercise("06-4", answer=-1.0, slips={"one-base": 0.0})
    assert (number.unit, number.absolute, number.rel) == ("octaves", 0.5, Exercise.rel)


@pytest.mark.parametrize(
    ("slips", "said"),
    [
        ({"data": 0.45}, "10-2: slips are data; data/exercises.toml has data, even: give these"),
        ({"data": 0.45, "even": 0.5, "odd": 0.6}, "slips are data, even, odd; data/exercises.toml has data, even:"),
    ],
)
def test_a_slip_that_is_missing_or_has_no_words_is_refused(slips, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        book.exercise("10-2", answer=0.55, slips=slips)


def test_an_exercise_without_words_is_refused():
    with pytest.raises(ValueError, match=r"no exercise '10-9' in data/exercises.toml; write its words there first"):
        book.exercise("10-9", answer=0.55, slips={})


def test_the_minutes_of_an_exercise_stand_beside_its_title_and_in_the_reply(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/exercises.toml").write_text("[10-2]\nminutes = 7\n")
    titles = nodes.title(text="Exercise 2: both"), nodes.title(text="Exercise 2: no exercise of this class")
    boxes = [
        nodes.admonition("", title, classes=[kind]) for title, kind in zip(titles, ("exercise", "tip"), strict=True)
    ]
    env = SimpleNamespace(docname="chapters/10_compute", note_dependency=lambda path: None)
    tell_minutes(SimpleNamespace(srcdir=tmp_path, env=env), nodes.container("", *boxes))
    assert [title.astext() for title in titles] == [
        "Exercise 2: both (7 minutes)",
        "Exercise 2: no exercise of this class",
    ]
    assert (
        Exercise(name="Exercise 2", answer=1.0, minutes=7).check(...).message.startswith("Exercise 2 (7 minutes): no")
    )


# ---- Forecasts ----


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file that forecasts are kept in, which is not there yet."""
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path))
    return tmp_path / "reader/forecasts.json"


def asked(key="09-5", found=20.0, among=(*range(10, 21),), **more):
    """A question whose known range is from 11 to 19."""
    return Forecast(key=key, found=found, among=among, **more)


def test_a_score_is_width_and_ten_times_the_miss_in_units_of_the_known_range():
    known = math.log(19 / 11)
    assert asked().range == pytest.approx((11, 19))
    assert asked().score(18, 22) == pytest.approx(math.log(22 / 18) / known)
    assert asked().score(22, 25) == pytest.approx((math.log(25 / 22) + 10 * math.log(22 / 20)) / known)
    assert asked(found=15.0).score(11, 19) == pytest.approx(1)
    signed = asked(among=[each - 15 for each in range(10, 21)], found=5.0)  # differences count
    assert signed.range == pytest.approx((-4, 4))
    assert signed.score(-1, 3) == pytest.approx((4 + 10 * 2) / 8)


def test_a_score_has_no_unit_so_that_scores_can_be_added():
    for low in (10, -10):  # by factors and by differences
        small = asked(found=12.0, among=[*range(low, 21)])
        large = asked(found=12e9, among=[1e9 * each for each in range(low, 21)])
        assert large.score(13e9, 19e9) == pytest.approx(small.score(13, 19))


def test_the_first_forecast_is_kept_and_survives_the_notebook(kept):
    reply = asked(unit="nats").check((19, 18, 25))
    assert reply.right
    assert "it is 20 nats, +5% off your number, inside your interval" in reply.message
    assert "It is kept" in reply.message
    assert asked(key="03-5", found=5.0, among=[-1.0, 1.0]).check((0, -1, 1)).right is False
    again = asked().check((20, 19.9, 20.1))  # who has seen the number
    assert "Your first forecast counts (19, 18 to 25" in again.message
    table = book.scores()
    assert list(table.index) == ["03-5", "09-5"]
    assert table.loc["09-5", ["number", "low", "high", "found"]].tolist() == [19, 18, 25, 20]
    assert table.loc["09-5", "score"] == pytest.approx(asked().score(18, 25))
    kept.unlink()
    assert "It is kept" in asked().check((20, 19.9, 20.1)).message


def test_dots_and_what_is_no_forecast_keep_nothing(kept):
    assert asked(minutes=4).check(...).message.startswith("Exercise 5 (4 minutes): no forecast yet")
    for wrong in (20, "many", None, (20, 22, 18), (25, 18, 22), (1, 2), (math.nan, 1, 2), (20, 18, math.inf)):
        reply = asked(unit="nats").check(wrong)
        assert "three numbers are wanted" in reply.message
        assert "in nats" in reply.message
        assert not reply.right
    assert "above 0" in asked().check((20, 0, 30)).message
    assert not kept.exists()
    assert book.scores().empty


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"09-5": 3}', '{"09-5": {"number": "many"}}', "\udcff"])
def test_a_broken_file_of_forecasts_counts_as_none(kept, text):
    kept.parent.mkdir()
    kept.write_bytes(text.encode(errors="surrogateescape"))
    assert book.scores().empty
    assert asked().check((20, 18, 22)).right
    assert list(book.scores().index) == ["09-5"]


def test_where_nothing_can_be_kept_the_reply_says_so(kept):
    files.write_text(kept.parent, "a file where the folder should be")
    reply = asked().check((20, 18, 22))
    assert reply.right
    assert "It is not kept: cannot write" in reply.message


def test_forecasts_that_cannot_be_scored_are_refused():
    for among in ([], [1.0], [2.0, 2.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="Exercise 5: among has no spread"):
            asked(among=among)
    with pytest.raises(ValueError, match=r"found=-1\.0 is not finite, or among is above 0"):
        asked(found=-1.0)


def test_a_forecast_of_the_book_has_its_words_from_the_file():
    question = book.forecast("12-3", found=np.float64(1), among=np.array([0.0, 2.0]))
    assert (question.name, question.minutes, list(question.among)) == ("Exercise 3", 20, [0.0, 2.0])
    with pytest.raises(ValueError, match=r"no exercise '10-9' in data/exercises.toml"):
        book.forecast("10-9", found=1.0, among=[0.0, 2.0])
