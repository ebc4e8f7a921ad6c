from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from skerry.engine.models.watch import Follower, due, followers
from skerry.engine.records import ModelPin
from skerry.spec import ModelReference

PIN = ModelPin(name="digits", version=1, digest="sha256:1", manifest="{}")


def follower(function="f", revision="f-00001", reference="digits@production"):
    return Follower(function=function, revision=revision, reference=ModelReference.parse(reference), digest="sha256:1")


def served(function, model, pin=PIN):
    revision = SimpleNamespace(function=function, name=f"{function}-00001", model=pin)
    return SimpleNamespace(revision=revision, pool=SimpleNamespace(spec=SimpleNamespace(model=model)))


def test_functions_of_an_alias_follow_and_others_do_not():
    found = followers(
        [served("a", "digits"), served("b", "digits@3"), served("c", None), served("d", "digits@beta", pin=None)]
    )

    assert [(one.function, str(one.reference), one.digest) for one in found] == [
        ("a", "digits@production", "sha256:1"),
        ("d", "digits@beta", None),
    ]


def test_a_function_is_due_when_its_model_has_a_new_entry_or_another_revision_serves():
    one = follower()

    assert due([one], {"digits": 4}, {}) == [one]
    assert due([one], {"digits": 4}, {"f": ("f-00001", 4)}) == []
    assert due([one], {"digits": 5}, {"f": ("f-00001", 4)}) == [one]
    assert due([one], {"digits": 4}, {"f": ("f-00000", 4)}) == [one]


def test_a_function_whose_store_does_not_answer_is_not_due():
    assert due([follower()], {}, {}) == []


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), st.sets(st.sampled_from("abc")))
def test_what_was_seen_is_not_due_again(heads, functions):
    following = [follower(function=name, reference=f"{name}@production") for name in functions]
    first = due(following, heads, {})
    seen = {one.function: (one.revision, heads[one.reference.name]) for one in first}

    assert {one.function for one in first} == functions & heads.keys()
    assert due(following, heads, seen) == []
