import asyncio

import pytest

import skerry
from skerry.errors import HandlerError, SpecError

app = skerry.App("batched")


@app.function(batch=skerry.Batch(max_size=8, objective="20ms"))
def lengths(texts: skerry.Items[str]) -> list[int]:
    return [ValueError(text) if text == "bad" else len(text) for text in texts]


@app.function
async def upper(texts: skerry.Items[str]) -> list[str]:
    return [text.upper() for text in texts]


class Scaler:
    def load(self):
        self.factor = 3

    def __call__(self, numbers: "skerry.Items[int]") -> list[int]:
        return [self.factor * number for number in numbers]


scale = app.function(Scaler)


@app.function(batch=skerry.Batch())
def short(texts: skerry.Items[str]) -> list[int]:
    return []


@pytest.fixture
def fresh():
    return skerry.App("fresh")


def test_the_plain_call_takes_one_item_and_returns_its_result():
    assert lengths("abc") == 3
    assert scale(5) == 15
    assert asyncio.run(upper("abc")) == "ABC"


def test_the_error_of_an_item_is_raised_by_its_plain_call():
    with pytest.raises(ValueError, match="bad"):
        lengths("bad")


def test_a_plain_call_refuses_another_number_of_results():
    with pytest.raises(HandlerError, match=r"1 item and returned \[\]"):
        short("abc")


def test_remote_calls_take_one_item_each(in_process):
    platform = in_process(app)

    assert lengths.at(platform).remote("abcd") == 4
    assert list(upper.at(platform).map(["a", "b"])) == ["A", "B"]
    assert platform.calls[0][1] == ("abcd",)


def test_the_options_are_kept():
    assert lengths.options == {"batch": skerry.Batch(max_size=8, objective="20ms")}
    assert upper.options == {}


def test_a_type_that_is_known_later_does_not_hide_items(fresh):
    class Local:
        pass

    @fresh.function
    def handler(things: "skerry.Items[Local]") -> "list[int]":
        return [1 for _ in things]

    assert handler(Local()) == 1


def test_a_batched_generator_is_refused_with_the_reason(fresh):
    def generate(n: int):
        yield n

    async def generate_async(n: int):
        yield n

    def generate_items(n: skerry.Items[int]):
        yield from n

    for handler in (generate, generate_async):
        with pytest.raises(SpecError, match="come together at its end"):
            fresh.function(name="g", batch=skerry.Batch())(handler)
    with pytest.raises(SpecError, match="come together at its end"):
        fresh.function(name="g")(generate_items)
    assert fresh.functions == {}


def test_a_plain_batched_handler_takes_one_batch_at_a_time(fresh):
    with pytest.raises(SpecError, match="needs an async handler"):
        fresh.function(name="f", batch=skerry.Batch(), concurrency=2)(lambda x: x)

    @fresh.function(batch=skerry.Batch(), concurrency=2)
    async def together(x: int) -> int:
        return x

    assert together.options["concurrency"] == 2
