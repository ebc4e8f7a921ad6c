"""What type checkers must understand: checked by tests/unit/test_types.py, never run."""

from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_type

import numpy as np

import skerry

app = skerry.App("types", requirements=["numpy"], imports=("numpy",))


@dataclass
class Report:
    score: float


@app.function
def count(text: str) -> int:
    return len(text)


@app.function(memory="200MiB", cpu=2, timeout="10m", idempotent=True, env={"A": "b"}, scale=skerry.Scale(max=4))
def report(text: str, *, weight: float = 1.0) -> Report:
    return Report(len(text) * weight)


@app.function(memory=None, concurrency=8)
async def fetch(address: str, tries: int) -> bytes:
    return address.encode() * tries


@app.function
async def ping() -> str:
    return "pong"


class Classifier:
    def load(self) -> None:
        self.labels = ["a", "b"]

    def __call__(self, index: int) -> str:
        return self.labels[index]


class Embedder:
    async def __call__(self, text: str) -> list[float]:
        return [float(len(text))]


# A handler of several items at once: each caller sends one and gets one result.
@app.function(batch=skerry.Batch(max_size=64, objective="50ms", max_weight=1e6, weight="bytes"), max_in_flight=128)
def classify_all(images: skerry.Items[bytes]) -> list[int]:
    return [len(image) for image in images]


@app.function
async def embed_all(texts: skerry.Items[str]) -> Sequence[Report]:
    return [Report(len(text)) for text in texts]


class BatchClassifier:
    def __call__(self, indices: skerry.Items[int]) -> list[str]:
        return [str(index) for index in indices]


class AsyncBatchClassifier:
    async def __call__(self, indices: skerry.Items[int]) -> list[str]:
        return [str(index) for index in indices]


@app.function(batch=skerry.Batch(max_size=8))
def scalar(text: str, factor: int = 2) -> int:
    return len(text) * factor


# A handler that takes a list of its own is none of items.
@app.function
def total(numbers: list[int]) -> list[int]:
    return [sum(numbers)]


@app.function
async def longest(texts: Sequence[str], *, most: int = 3) -> str:
    return max(texts, key=len)[:most]


@app.function
def pairs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    yield from zip(numbers, numbers, strict=True)


class Sorter:
    def __call__(self, numbers: list[int]) -> list[int]:
        return sorted(numbers)


# A generator streams its results.
@app.function
def words(text: str, *, most: int = 10) -> Iterator[str]:
    yield from text.split()[:most]


@app.function(timeout="1m")
def numbers(count: int) -> Generator[int, None, None]:
    yield from range(count)


@app.function
async def ticks(count: int) -> AsyncIterator[float]:
    for number in range(count):
        yield float(number)


class Speaker:
    def load(self) -> None:
        self.voice = "low"

    def __call__(self, text: str) -> Iterator[bytes]:
        yield text.encode()


class AsyncSpeaker:
    async def __call__(self, text: str) -> AsyncIterator[bytes]:
        yield text.encode()


sort = app.function(Sorter)

# mypy keeps the type of a decorated class as it is; written as a call, the decorator gives it the function's type.
classify = app.function(Classifier)
embed = app.function(name="embed", concurrency=4)(Embedder)
batch_classify = app.function(BatchClassifier)
async_batch_classify = app.function(name="async", batch=None)(AsyncBatchClassifier)
speak = app.function(Speaker)
async_speak = app.function(name="speak")(AsyncSpeaker)

# The plain call stays plain.
assert_type(count("abc"), int)
assert_type(report("abc", weight=2.0), Report)
assert_type(classify(1), str)


async def use() -> None:
    coroutine = fetch("a", 1)
    plain: Coroutine[Any, Any, bytes] = coroutine
    assert_type(await plain, bytes)
    assert_type(await embed("a"), list[float])
    assert_type(await fetch("a", tries=2), bytes)
    assert_type(await ping(), str)
    assert_type(await embed_all("a"), Report)
    assert_type(await async_batch_classify(1), str)
    assert_type(ticks(3), AsyncIterator[float])
    assert_type([tick async for tick in ticks(3)], list[float])
    assert_type(async_speak("a"), AsyncIterator[bytes])
    # A remote call that does not block the loop.
    assert_type(await count.aremote("abc"), int)
    assert_type(await fetch.aremote("a", tries=2), bytes)
    assert_type(await words.aremote("a b"), list[str])
    assert_type([word async for word in words.astream("a b")], list[str])
    assert_type(ticks.astream(3), AsyncIterator[float])


# A remote call has the same arguments, and the awaited result.
assert_type(count.remote("abc"), int)
assert_type(count.remote(text="abc"), int)
assert_type(report.remote("abc", weight=2.0), Report)
assert_type(fetch.remote("a", 1), bytes)
assert_type(ping.remote(), str)
assert_type(classify.remote(1), str)
assert_type(embed.remote("a"), list[float])

# Of a handler of items: one item, one result.
assert_type(classify_all(b"a"), int)
assert_type(classify_all.remote(b"a"), int)
assert_type(embed_all.remote("a"), Report)
assert_type(batch_classify(1), str)
assert_type(async_batch_classify.remote(1), str)
assert_type(classify_all.map([b"a"]), Iterator[int])
assert_type(classify_all.spawn(b"a").result(), int)
assert_type(scalar.remote("a", factor=3), int)

assert_type(total.remote([1]), list[int])
assert_type(total.map([[1]]), Iterator[list[int]])
assert_type(longest.remote(["a"], most=2), str)
assert_type(pairs.stream([1]), Iterator[tuple[int, int]])
assert_type(sort.remote([1]), list[int])

# Of a generator: an iterator here and of a stream, a list of all at the end.
assert_type(words("a b", most=1), Iterator[str])
assert_type(words.stream("a b", most=1), Iterator[str])
assert_type(words.remote("a b"), list[str])
assert_type(words.map(["a b"]), Iterator[list[str]])
assert_type(numbers.stream(3), Iterator[int])
assert_type(ticks.stream(3), Iterator[float])
assert_type(ticks.remote(3), list[float])
assert_type(speak.stream("a"), Iterator[bytes])
assert_type(async_speak.remote("a"), list[bytes])

# So has a map, whose items are the first argument.
assert_type(count.map(["a", "b"]), Iterator[int])
assert_type(count.map((c for c in "ab"), in_flight=4), Iterator[int])
assert_type(count.map(["a"], return_errors=True), Iterator[int | skerry.SkerryError])
assert_type(report.map(["a"]), Iterator[Report])
assert_type(embed.map(["a"]), Iterator[list[float]])

# And a job.
job = report.spawn("abc", weight=0.5)
assert_type(job, skerry.Job[Report])
assert_type(job.result(timeout_s=1.5), Report)
assert_type(fetch.spawn("a", 2).result(), bytes)
base: skerry.Job[object] = job

# Binding keeps the types.
engine = skerry.EnginePlatform("http://127.0.0.1:8080")
assert_type(count.at(engine).remote("abc"), int)
assert_type(count.with_options(timeout="250ms", priority=1, group="a", weight=2.0).remote("abc"), int)
assert_type(words.at(engine).with_options(timeout=None).stream("a b"), Iterator[str])
assert_type(classify_all.with_options(weight=2).remote(b"a"), int)
assert_type(skerry.context(), skerry.Context)
assert_type(skerry.context().deadline_s, float | None)
seen: skerry.App = app.at(engine)
assert_type(count.at("edge-1").remote("abc"), int)
assert_type(count.at(skerry.Site(name="a", address="https://a:1")).remote("abc"), int)
assert_type(count.map(["a"], sites=["edge-1", engine], lost="fail"), Iterator[int])
with app.run(port=0) as running:
    assert_type(running, skerry.RunningApp)
    assert_type(running.address, str)

# A served model is a function from rows to a dictionary; `before` and `after` give it their own types.
digits = app.serve("digits", model="digits@production", memory="100MiB", batch=None, cache="64MiB")
assert_type(digits([[0.0]]), dict[str, Any])
assert_type(digits.remote([[0.0]]), dict[str, Any])


def to_rows(text: str, *, times: int = 1) -> list[list[float]]:
    return [[float(len(text))]] * times


def to_report(outputs: dict[str, np.ndarray]) -> Report:
    return Report(float(outputs["score"][0]))


both = app.serve("both", model="news", before=to_rows, after=to_report)
assert_type(both.remote("abc", times=2), Report)
assert_type(app.serve("first", model="news", before=to_rows).remote("abc"), dict[str, Any])
assert_type(app.serve("last", model="news", after=to_report)([[1.0]]), Report)

# What is read from a state has the type that was asked for.
state = app.state("counts")
assert_type(state, skerry.State)
assert_type(state.get("a"), Any)
assert_type(state.get("a", int), int | None)
assert_type(state.get("a", list[Report]), list[Report] | None)
assert_type(state.increment("a", ttl_s=5), int)
assert_type(state.members("s", str), list[str])
assert_type(state.items("l", 0, 5, kind=Report), list[Report])
with state.batch(once="a") as batch:
    assert_type(batch.increment("a").value, int)
    assert_type(batch.get("a", str).value, str | None)
assert_type(state.transact(lambda transaction: transaction.get("a", int)), int | None)
with state.lock("door") as lease:
    assert_type(state.put("a", 1, lease=lease), int)


# What is started by events is a function like others.
@app.on(skerry.Event(type="seen"), filter=~skerry.Filter.exact(source="/lab"), retry=skerry.Retry(attempts=3))
def note(event: skerry.Event) -> int:
    return len(event.id)


@app.on(skerry.Event(type="seen"), batch=10)
async def note_all(events: list[skerry.Event]) -> None:
    del events


@app.every("30s")
@app.cron("0 3 * * *")
@app.function(memory="64MiB")
def tidy() -> str:
    return "tidy"


assert_type(note.remote(skerry.Event(type="seen")), int)
assert_type(note_all.remote([skerry.Event(type="seen")]), None)
assert_type(tidy, skerry.Function[[], str])
