import time

import pytest

from skerry.errors import ConfigError
from skerry.runtime.context import PLAIN, TASK, Running, context
from skerry.runtime.frames import Frame, Kind


@pytest.fixture
def running():
    yield PLAIN
    PLAIN.calls = None


def call(**meta):
    return Frame(Kind.CALL, 1, 0, meta, b"", 50)


def test_outside_of_a_call_there_is_none():
    with pytest.raises(ConfigError, match="only inside a call"):
        context()


def test_a_deadline_that_has_passed_leaves_no_time(running):
    running.calls, running.received_s = call(), time.monotonic() - 1
    assert context().deadline_s == 0


def test_a_task_has_its_own(running):
    running.calls = call(attempt=2)
    token = TASK.set(Running(call(attempt=5), 0))
    assert context().attempt == 5
    TASK.reset(token)
    assert context().attempt == 2
