import collections.abc
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Sequence
from typing import Annotated, Any, NotRequired

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import TypedDict

from skerry.errors import HandlerError, InvalidPayloadError, SpecError
from skerry.payload import Event, Items, Signature, Tensor


class Image(TypedDict):
    pixels: list[float]


class Label(TypedDict):
    label: int
    name: NotRequired[str | None]


class Model(BaseModel):
    when: bytes | None = None
    score: float = 0.5


class TestItems:
    def test_the_arguments_are_those_of_one_caller(self):
        def classify(images: Items[Image]) -> list[Label]: ...

        signature = Signature.of(classify)
        assert signature.takes_items
        assert not signature.streams
        assert signature.decode_json(b'{"pixels":[1]}') == (({"pixels": [1.0]},), {})
        assert signature.encode_call(({"pixels": [1.0]},), {}) == b'{"pixels":[1.0]}'
        assert signature.encode_json({"label": 1}) == b'{"label":1}'
        assert signature.decode_result(b'{"label":1}', "application/json") == {"label": 1}
        assert signature.schema()["input"]["required"] == ["pixels"]
        assert signature.schema()["output"]["required"] == ["label"]

    @pytest.mark.parametrize(
        "result",
        [list[int], Sequence[int], tuple[int, ...], list[int | ValueError], list[int | Exception], "list[int]"],
    )
    def test_the_result_is_one_of_as_many(self, result):
        def handler(xs: Items[int]): ...

        handler.__annotations__["return"] = result
        assert Signature.of(handler).schema()["output"] == {"type": "integer"}

    @pytest.mark.parametrize("result", [Any, list, Sequence, collections.abc.Sequence, np.ndarray, object])
    def test_the_result_may_be_open(self, result):
        def handler(xs: Items) -> result: ...

        assert Signature.of(handler).schema() == {"input": {}, "output": {}}

    def test_a_class_and_an_async_handler_may_take_items(self):
        class Handler:
            async def __call__(self, xs: Items[int]) -> list[int]: ...

        assert Signature.of(Handler).takes_items

    def test_items_may_be_arrays_and_events(self):
        def of_arrays(xs: Items[Annotated[np.ndarray, Tensor("float32", (2,))]]) -> list[int]: ...
        def of_events(xs: Items[Event]) -> list[int]: ...

        ((array,), _) = Signature.of(of_arrays).decode_json(b"[1,2]")
        assert array.dtype == np.float32
        assert Signature.of(of_events).takes_event

    def test_what_cannot_be(self):
        def with_another(xs: Items[int], y: int) -> list[int]: ...
        def with_default(xs: Items[int] = Items()) -> list[int]: ...  # noqa: B008  # what is to be refused
        def by_name(*, xs: Items[int]) -> list[int]: ...
        def maybe(xs: Items[int] | None) -> list[int]: ...
        def one_result(xs: Items[int]) -> int: ...
        def pair(xs: Items[int]) -> tuple[int, str]: ...
        def stream(xs: Items[int]) -> Iterator[int]:
            yield 1

        for handler, said in [
            (with_another, "only parameter"),
            (with_default, "only parameter"),
            (by_name, "only parameter"),
            (maybe, "only parameter"),
            (one_result, "returns list"),
            (pair, "returns list"),
            (stream, "generator cannot take Items"),
        ]:
            with pytest.raises(SpecError, match=said):
                Signature.of(handler)


class TestStreams:
    @pytest.mark.parametrize("result", [Iterator[int], Iterable[int], Generator[int, None, None], Generator[int, str]])
    def test_a_generator_streams(self, result):
        def handler(x: int):
            yield 1

        try:
            handler.__annotations__["return"] = result
        except TypeError:
            pytest.skip("written so only from Python 3.13")
        signature = Signature.of(handler)
        assert signature.streams
        assert signature.schema() == {"input": {"type": "integer"}, "output": {"type": "integer"}, "streams": True}

    @pytest.mark.parametrize("result", [AsyncIterator[str], AsyncGenerator[str, None]])
    def test_an_async_generator_streams(self, result):
        async def handler(x: int):
            yield "a"

        handler.__annotations__["return"] = result
        assert Signature.of(handler).schema()["output"] == {"type": "string"}

    def test_without_an_annotation_the_items_are_open(self):
        def handler(x: int):
            yield 1

        assert Signature.of(handler).streams
        assert Signature.of(handler).schema()["output"] == {}

    def test_classes_instances_methods_and_decorated_generators(self):
        class Handler:
            def __call__(self, x: int):
                yield x

        def decorated(function):
            @functools.wraps(function)
            def call(*args):
                return function(*args)

            return call

        @decorated
        def wrapped(x: int) -> Iterator[int]:
            yield x

        handlers = [Handler, Handler(), Handler().__call__, functools.partial(Handler().__call__), wrapped]
        assert all(Signature.of(handler).streams for handler in handlers)

    def test_a_list_is_no_stream(self):
        def listed(x: int) -> Iterable[int]: ...

        assert not Signature.of(listed).streams

    def test_what_cannot_be(self):
        def wrong(x: int) -> list[int]:
            yield 1

        async def wrong_later(x: int) -> Iterator[int]:
            yield 1

        async def returned(x: int) -> Iterator[int]: ...
        async def returned_later(x: int) -> AsyncIterator[int]: ...
        def sync_returned(x: int) -> AsyncIterator[int]: ...

        for handler in (wrong, wrong_later, returned, returned_later, sync_returned):
            with pytest.raises(SpecError, match="Iterator"):
                Signature.of(handler)

    def test_only_annotated_bytes_are_bytes(self):
        def parts(x: int) -> Iterator[bytes]:
            yield b""

        def values(x: int):
            yield b""

        assert Signature.of(parts).sends_bytes
        assert not Signature.of(values).sends_bytes


def of_labels(xs: Items) -> list[Label]: ...
def of_models(xs: Items) -> list[Model]: ...
def of_lists(xs: Items) -> list[list[bytes | float | str]]: ...
def of_anything(xs: Items): ...


numbers = st.floats() | st.integers() | st.none() | st.text() | st.booleans()
values = st.one_of(
    st.fixed_dictionaries({"label": st.integers() | numbers}, optional={"name": st.text() | st.none() | numbers}),
    st.builds(Model, score=st.floats(), when=st.none() | st.binary()),
    st.lists(st.binary() | numbers, max_size=4),
    numbers,
)


@pytest.mark.parametrize("handler", [of_labels, of_models, of_lists, of_anything])
@given(results=st.lists(values, max_size=6))
def test_several_results_are_written_as_each_alone_would_be(handler, results):
    signature = Signature.of(handler)
    try:
        bodies = signature.encode_results(results)
    except Exception:
        return  # whoever asks then has each written alone
    assert [orjson.loads(body) for body in bodies] == [_alone(signature, value) for value in results]


@pytest.mark.parametrize(
    ("handler", "results"),
    [
        (of_labels, [{"label": 1}, {"label": 2, "name": None}]),
        (of_models, [Model(score=1, when=b"a"), Model()]),
        (of_lists, [[b"\xff", 1.5, "x"], []]),
        (of_anything, [1, None]),
    ],
)
def test_results_that_fit_are_written_together(handler, results):
    signature = Signature.of(handler)
    assert signature.encode_results(results) == [signature.encode_json(value) for value in results]


def _alone(signature, value):
    try:
        return orjson.loads(signature.encode_json(value))
    except HandlerError:
        return pytest.fail  # never equal to what was written


@given(body=st.binary(max_size=12) | st.text(max_size=12).map(str.encode) | numbers.map(repr).map(str.encode))
def test_the_short_reader_reads_what_the_long_one_does(body):
    def handler(x: list[float] | int): ...
    def open_handler(x): ...

    for signature in (Signature.of(handler), Signature.of(open_handler)):
        try:
            short = signature.read_argument(body)
        except Exception:
            with pytest.raises((InvalidPayloadError, Exception)):
                signature.decode_json(body)
        else:
            assert repr(signature.decode_json(body)) == repr(((short,), {}))
