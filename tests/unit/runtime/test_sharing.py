import pytest

import skerry
from skerry.errors import SpecError
from skerry.runtime.inspection import describe
from skerry.runtime.sharing import check_share_load, load_kind


class Plain:
    def load(self):
        pass

    def __call__(self):
        return None


class Async:
    async def load(self):
        pass

    async def __call__(self):
        return None


class Stateless:
    def __call__(self):
        return None


def function():
    return None


@pytest.mark.parametrize(
    ("handler", "kind"), [(Plain, "plain"), (Async, "async"), (Stateless, None), (function, None), (Plain(), None)]
)
def test_what_kind_of_load_a_handler_has(handler, kind):
    assert load_kind(handler) == kind


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (Async, ("'f'", "share_load", "plain load", "event loop", "def load(self)")),
        (Stateless, ("'f'", "share_load", "a class with", "load")),
        (function, ("'f'", "share_load", "a class with", "load")),
    ],
)
def test_what_cannot_be_shared_is_refused_where_it_is_declared(handler, words):
    app = skerry.App("a")
    with pytest.raises(SpecError) as caught:
        app.function(name="f", share_load=True)(handler)
    assert [word for word in words if word not in caught.value.message] == []
    assert caught.value.details["field"] == "share_load"
    assert not app.functions


def test_a_load_that_is_not_to_be_shared_may_be_anything():
    for kind in ("plain", "async", None):
        check_share_load("f", share_load=False, load=kind)
    check_share_load("f", share_load=True, load="plain")


def test_the_description_of_an_app_says_what_kind_of_load_its_functions_have():
    app = skerry.App("a")
    app.function(name="shared", share_load=True)(Plain)
    app.function(name="tasks")(Async)
    app.function(name="plain")(function)
    described = describe(app)["functions"]
    assert {name: entry["load"] for name, entry in described.items()} == {
        "shared": "plain",
        "tasks": "async",
        "plain": None,
    }
