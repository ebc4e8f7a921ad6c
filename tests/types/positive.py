"""What type checkers must understand: checked by tests/unit/test_types.py, never run."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, assert_type

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


# mypy keeps the type of a decorated class as it is; written as a call, the decorator gives it the function's type.
classify = app.function(Classifier)
embed = app.function(name="embed", concurrency=4)(Embedder)

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


# A remote call has the same arguments, and the awaited result.
assert_type(count.remote("abc"), int)
assert_type(count.remote(text="abc"), int)
assert_type(report.remote("abc", weight=2.0), Report)
assert_type(fetch.remote("a", 1), bytes)
assert_type(ping.remote(), str)
assert_type(classify.remote(1), str)
assert_type(embed.remote("a"), list[float])

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
assert_type(app.at(engine), skerry.App)
with app.run(port=0) as running:
    assert_type(running, skerry.RunningApp)
    assert_type(running.address, str)
