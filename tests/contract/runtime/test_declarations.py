"""What does not go together is refused before anything is served, on every platform."""

import pytest

from support.engine_process import write_app

GENERATOR = """
from collections.abc import Iterator
app = skerry.App("contradiction")

@app.function(batch=skerry.Batch())
def numbers(n: int) -> Iterator[int]:
    yield from range(n)
"""
GENERATOR_OF_ITEMS = """
from collections.abc import Iterator
app = skerry.App("contradiction")

@app.function
def numbers(ns: skerry.Items[int]) -> Iterator[int]:
    yield from ns
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (GENERATOR, ("numbers", "batch", "generator")),
        (GENERATOR_OF_ITEMS, ("numbers", "Items", "generator")),
    ],
    ids=["batch", "items"],
)
def test_a_generator_cannot_be_batched_and_the_message_says_why(make_place, tmp_path, source, words):
    place = make_place(write_app(tmp_path / "app.py", source))
    with pytest.raises(AssertionError, match="ended with 2") as caught:
        place.start()
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
