"""The exercises' helper: it knows a right answer, and says what is off about a wrong one without giving it away."""

import math
import re

import numpy as np
import pytest

from scalinglaws import book
from scalinglaws.book.exercises import Exercise

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
