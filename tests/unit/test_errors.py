import copy
import json
import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import skerry.errors
from skerry.errors import ConfigError, InternalError, SkerryError, error_classes, from_problem

CLASSES = sorted((cls for cls in error_classes() if cls.__module__ == "skerry.errors"), key=lambda cls: cls.__name__)
EACH = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
LINE = re.compile(r"^    (?P<indent>[│ ├└─]*)(?P<name>\w+Error)\b *(?P<rest>.*)$", re.MULTILINE)
DRAWN = {match["name"]: match for match in LINE.finditer(skerry.errors.__doc__)}


def test_the_drawn_tree_has_every_class_and_no_other():
    assert set(DRAWN) == {cls.__name__ for cls in CLASSES}


def test_the_drawn_tree_hangs_each_class_on_its_parent():
    parents = {}
    for name, match in DRAWN.items():
        depth = len(match["indent"]) // 4
        parents[depth] = name
        if depth:
            assert getattr(skerry.errors, name).__bases__[0].__name__ == parents[depth - 1]


@EACH
def test_the_drawn_status_is_the_class_status(cls):
    status = re.match(r"\d{3}\b", DRAWN[cls.__name__]["rest"])
    if cls.__subclasses__():
        assert status is None
    else:
        assert status is not None
        assert int(status[0]) == cls.http_status


def test_codes_are_unique_words():
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@EACH
def test_the_status_is_an_error_of_http(cls):
    assert 400 <= cls.http_status <= 599


@EACH
def test_the_class_says_what_it_is(cls):
    assert cls.__name__.endswith("Error")
    assert cls.__doc__


@EACH
def test_a_problem_becomes_the_same_error_again(cls):
    error = cls("the message", field="a.b", numbers=[1, 2])
    problem = json.loads(json.dumps(error.to_problem()))
    assert problem["status"] == cls.http_status
    assert problem["retryable"] is cls.retryable
    again = from_problem(problem)
    assert type(again) is cls
    assert (again.message, again.details) == (error.message, error.details)
    assert again.to_problem() == problem


@EACH
def test_an_error_that_is_not_as_others_of_its_class_stays_so(cls):
    error = cls("the message", retryable=not cls.retryable)
    problem = json.loads(json.dumps(error.to_problem()))
    for again in (error, from_problem(problem), pickle.loads(pickle.dumps(error))):
        assert again.retryable is (not cls.retryable)
        assert again.to_problem() == problem


def test_what_another_server_writes_for_retryable_counts_where_it_is_a_truth_value():
    assert from_problem({"code": "queue_full", "retryable": "no"}).retryable is True
    assert from_problem({"code": "queue_full"}).retryable is True
    assert from_problem({"code": "queue_full", "retryable": False}).retryable is False


@EACH
def test_an_error_survives_pickle_and_copy(cls):
    error = cls("the message", field="a")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert (str(again), again.message, again.details) == ("the message", "the message", {"field": "a"})


@given(st.text(), st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text()))
def test_a_problem_of_another_origin_is_an_internal_error(code, members):
    problem = {**members, "code": f"other-{code}"}
    error = from_problem(problem)
    assert type(error) is InternalError
    assert error.message


def test_an_empty_problem_is_an_internal_error_with_a_message():
    error = from_problem({})
    assert type(error) is InternalError
    assert str(error)


def test_retryable_errors_are_those_that_may_pass():
    retryable = {cls.__name__ for cls in CLASSES if cls.retryable}
    assert retryable == {
        "CapacityError",
        "QueueFullError",
        "UnavailableError",
        "DeadlineExceededError",
        "StateConflictError",
        "WorkerLostError",
        "StartError",
        "StorageError",
        "TransportError",
    }


def test_every_error_is_caught_by_the_root():
    assert all(issubclass(cls, SkerryError) for cls in CLASSES)


def test_a_program_that_does_not_catch_an_error_shows_its_hint(tmp_path):
    code = f"import skerry, pathlib as p; skerry.EnginePlatform.of_home(p.Path({str(tmp_path)!r}), patience_s=0).apps()"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr

    assert said.splitlines()[-1].startswith("hint: run `skerry deploy FILE` (it starts one)")


def test_a_hint_survives_the_way_through_a_pickle():
    error = pickle.loads(pickle.dumps(ConfigError("wrong", hint="do this")))

    assert (error.details, error.__notes__) == ({"hint": "do this"}, ["hint: do this"])
