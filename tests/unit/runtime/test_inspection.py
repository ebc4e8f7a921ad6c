import pytest

import skerry
from skerry.errors import SpecError
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
