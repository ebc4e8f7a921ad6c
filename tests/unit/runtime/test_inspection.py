from collections.abc import AsyncIterator, Iterator

import pytest

import skerry
from skerry.errors import SpecError
from skerry.payload import Items
from skerry.runtime.inspection import describe


def test_a_plain_handler_cannot_be_given_several_calls_at_a_time():
    app = skerry.App("a")

    @app.function(concurrency=2)
    def work(x: int) -> int:
        return x

    with pytest.raises(SpecError, match=r"'work'.*concurrency.*async"):
        describe(app)


def test_async_handlers_can_be_given_several_calls_at_a_time():
    app = skerry.App("a")

    @app.function(concurrency=2)
    async def work(x: int) -> int:
        return x

    @app.function(concurrency=2)
    class Model:
        async def __call__(self, x: int) -> int:
            return x

    assert set(describe(app)["functions"]) == {"work", "model"}


def test_streams_and_items_are_told():
    app = skerry.App("a")

    @app.function
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @app.function
    def double(xs: Items[int]) -> list[int]:
        return [2 * x for x in xs]

    functions = describe(app)["functions"]
    assert (functions["count"]["streams"], functions["count"]["takes_items"]) == (True, False)
    assert (functions["double"]["streams"], functions["double"]["takes_items"]) == (False, True)


def test_what_workers_need_besides_what_all_have_is_told_once(monkeypatch):
    monkeypatch.setattr("skerry.runtime.inspection.is_worth_it", lambda: True)
    app = skerry.App("a")

    @app.function
    def plain(x: int) -> int:
        return x

    assert describe(app)["needs"] == []

    @app.function
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @app.function
    def double(xs: Items[int]) -> list[int]:
        return [2 * x for x in xs]

    for name in ("first", "second"):

        @app.function(name=name)
        async def work(x: int) -> int:
            return x

    async_needs = ["uvloop", "skerry.runtime.tasks"]
    needs = ["skerry.runtime.streaming", "skerry.runtime.grouping", *async_needs]
    assert describe(app)["needs"] == needs
    monkeypatch.setattr("skerry.runtime.inspection.is_worth_it", lambda: False)
    assert describe(app)["needs"] == [*needs, "skerry.payload.schema"]


def test_a_plain_generator_cannot_be_given_several_calls_and_an_async_one_can():
    app = skerry.App("a")

    @app.function(concurrency=2)
    async def later(x: int) -> AsyncIterator[int]:
        yield x

    assert describe(app)["functions"]["later"]["is_async"]

    @app.function(concurrency=2)
    def now(x: int) -> Iterator[int]:
        yield x

    with pytest.raises(SpecError, match="async"):
        describe(app)
