import asyncio
import resource

import pytest

from support.engine_process import Engine, burst, write_app

REQUESTS = 1000
APP = """
app = skerry.App("burst")

@app.function(scale=skerry.Scale(initial=0, window="1s", grace="1s"))
def square(x: int) -> int:
    return x * x

@app.function(scale=skerry.Scale(initial=0, window="1s", grace="1s"))
class Slow:
    def load(self):
        time.sleep(0.5)
        self.offset = 7

    def __call__(self, x: int) -> int:
        return x + self.offset
"""


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "home")
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("function", "expected"),
    [("square", lambda x: x * x), ("slow", lambda x: x + 7)],
    ids=["plain", "load-half-a-second"],
)
def test_a_burst_at_a_function_at_zero_is_answered_in_full(engine, tmp_path, function, expected):
    engine.start(write_app(tmp_path / "app.py", APP), verbose=False)
    assert engine.function(function)["workers"] == {"starting": 0, "ready": 0, "draining": 0}

    answers = asyncio.run(burst(engine.port, function, range(REQUESTS)))

    assert [answer.status for answer in answers] == [200] * REQUESTS
    assert [answer.json() for answer in answers] == [expected(x) for x in range(REQUESTS)]


def test_a_burst_beyond_the_usual_limit_of_descriptors_is_answered_in_full(engine, tmp_path):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"this test's own client cannot open 1,100 connections with a limit of {hard}")
    engine.start(
        write_app(tmp_path / "app.py", APP),
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard)),  # what a login shell often has
        verbose=False,
    )

    answers = asyncio.run(burst(engine.port, "slow", range(1100)))

    assert [answer.json() for answer in answers] == [x + 7 for x in range(1100)]
