import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

import skerry
from skerry.app import AsyncStreamFunction, StreamFunction
from skerry.errors import ConfigError, HandlerError, InvalidPayloadError, TransportError

app = skerry.App("streams")


@dataclass
class Word:
    text: str
    length: int


@app.function
def words(text: str) -> Iterator[Word]:
    for word in text.split():
        if word == "bad":
            raise HandlerError("function 'words' failed", error_id="e1")
        yield Word(word, len(word))


@app.function
async def ticks(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@app.function
def spoken(text: str) -> Iterator[bytes]:
    yield from (word.encode() for word in text.split())


class Counter:
    async def load(self):
        self.start = 10

    async def __call__(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield self.start + number


counter = app.function(Counter)


@pytest.fixture
def platform(in_process):
    return in_process(app)


def test_the_plain_call_is_the_iterator():
    async def use():
        first = [tick async for tick in ticks(3)]
        return first, [number async for number in counter(2)], [number async for number in counter(1)]

    assert isinstance(words, StreamFunction)
    assert isinstance(ticks, AsyncStreamFunction)
    assert next(words("one two")) == Word("one", 3)
    assert asyncio.run(use()) == ([0, 1, 2], [10, 11], [10])


def test_a_stream_yields_typed_results(platform):
    assert list(words.at(platform).stream("one three")) == [Word("one", 3), Word("three", 5)]
    assert list(ticks.at(platform).stream(3)) == [0, 1, 2]
    assert list(spoken.at(platform).stream("a b")) == [b"a", b"b"]
    assert all(stream.closed for stream in platform.streams)


def test_remote_and_map_gather_the_results(platform):
    assert words.at(platform).remote("one two") == [Word("one", 3), Word("two", 3)]
    assert list(ticks.at(platform).map([1, 2])) == [[0], [0, 1]]


def test_an_error_comes_after_the_results_before_it(platform):
    stream = words.at(platform).stream("one bad two")

    assert next(stream) == Word("one", 3)
    with pytest.raises(HandlerError) as caught:
        next(stream)
    assert caught.value.details["error_id"] == "e1"
    with pytest.raises(HandlerError):
        words.at(platform).remote("bad")


def test_leaving_a_stream_closes_it(platform):
    for _ in words.at(platform).stream("one two three"):
        break

    assert platform.streams[0].closed


def test_nothing_runs_before_the_first_result_is_asked_for(platform):
    words.at(platform).stream("one two").close()
    assert platform.calls == []
    with pytest.raises(InvalidPayloadError, match="wrong arguments"):
        words.at(platform).stream("one", "two")


def test_a_stream_can_be_awaited(platform):
    async def use():
        gathered = [word.text async for word in words.at(platform).astream("one two")]
        async for _ in ticks.at(platform).astream(1000):
            break
        return gathered, await ticks.at(platform).aremote(2)

    assert asyncio.run(use()) == (["one", "two"], [0, 1])
    assert all(stream.closed for stream in platform.streams)


def test_a_job_of_a_generator_is_refused(platform):
    with pytest.raises(ConfigError, match=r"call stream\(\) or remote\(\)"):
        words.at(platform).spawn("one")
    assert platform.calls == []


def test_options_go_with_a_stream(platform):
    list(words.at(platform).with_options(timeout="1s", priority=0).stream("one"))

    assert (platform.options[0].timeout_s, platform.options[0].priority) == (1.0, 0)


def test_an_answer_that_is_no_stream_is_refused(platform, monkeypatch):
    stream = platform.stream

    def other(*args, **kwargs):
        found = stream(*args, **kwargs)
        found.content_type = "text/html"
        return found

    monkeypatch.setattr(platform, "stream", other)
    with pytest.raises(TransportError, match="text/html"):
        words.at(platform).remote("one")


def test_a_function_that_is_annotated_as_an_iterator_is_a_stream():
    fresh = skerry.App("fresh")

    @fresh.function
    def chained(count: int) -> Iterator[int]:
        return itertools.chain(range(count))

    @fresh.function
    def quoted(count: int) -> "Iterator[int]":
        return iter(range(count))

    @fresh.function
    def listed(count: int) -> list[int]:
        return list(range(count))

    assert [type(f).__name__ for f in (chained, quoted, listed)] == ["StreamFunction", "StreamFunction", "Function"]
