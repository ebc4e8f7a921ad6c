import sys

import pytest

from skerry.runtime.interruption import (
    BUSY_WORD,
    CANCELLED_WORD,
    LOOPS,
    PROGRESS_WORD,
    CallCancelled,
    Interruption,
)


@pytest.fixture
def words():
    words = memoryview(bytearray(64)).cast("I")
    words[PROGRESS_WORD] = words[CANCELLED_WORD] = 7
    words[BUSY_WORD] = 1
    return words


def here():
    return sys._getframe(1)


@pytest.fixture
def in_loop(request):
    """Have the test's own function count as the loop."""
    code = request.function.__code__
    LOOPS.add(code)
    yield
    LOOPS.remove(code)


def test_the_handler_is_interrupted_each_time(words):
    interruption = Interruption(words)
    for _ in range(3):
        with pytest.raises(CallCancelled):
            interruption.on_signal(10, here())


def test_the_loop_is_interrupted_once_for_a_call(words, in_loop):
    interruption = Interruption(words)
    with pytest.raises(CallCancelled):
        interruption.on_signal(10, here())
    interruption.on_signal(10, here())
    words[PROGRESS_WORD] = words[CANCELLED_WORD] = 8
    with pytest.raises(CallCancelled):
        interruption.on_signal(10, here())


def test_the_loop_is_not_interrupted_while_it_catches_what_struck_the_handler(words, in_loop):
    interruption = Interruption(words)
    with pytest.raises(CallCancelled):
        (lambda: interruption.on_signal(10, here()))()
    interruption.on_signal(10, here())


@pytest.mark.parametrize("word", [PROGRESS_WORD, CANCELLED_WORD, BUSY_WORD])
def test_nothing_else_is_interrupted(words, word):
    words[word] = 0
    Interruption(words).on_signal(10, here())
