import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skerry
from skerry.app.mapping import WAITING_PER_CALL, map_calls
from skerry.errors import ConfigError, HandlerError


def run(call, items, *, in_flight=4, return_errors=False):
    return map_calls(lambda item, cancellation: call(item), items, in_flight=in_flight, return_errors=return_errors)


@settings(deadline=None, max_examples=30)
@given(items=st.lists(st.integers(), max_size=60), in_flight=st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(items, in_flight):
    assert list(run(lambda item: item * 2, items, in_flight=in_flight)) == [item * 2 for item in items]


def test_never_more_calls_are_in_flight_than_allowed():
    lock, full = threading.Lock(), threading.Barrier(3)
    running, most = 0, 0

    def call(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(10)
        with lock:
            running -= 1
        return item

    assert list(run(call, range(30), in_flight=3)) == list(range(30))
    assert most == 3


def test_a_result_comes_before_later_calls_have_ended():
    release = threading.Event()

    def call(item):
        if item == 1:
            assert release.wait(10)
        return item

    results = run(call, [0, 1], in_flight=2)

    assert next(results) == 0
    release.set()
    assert next(results) == 1


def test_one_slow_call_does_not_idle_the_others():
    done, release = set(), threading.Event()
    enough = threading.Event()

    def call(item):
        if item == 0:
            assert release.wait(10)
        done.add(item)
        if len(done) == 6:
            enough.set()
        return item

    def let_go():
        enough.wait(10)
        release.set()

    thread = threading.Thread(target=let_go)
    thread.start()

    assert next(run(call, range(1000), in_flight=2)) == 0
    assert len(done) >= 7
    thread.join()


def test_items_are_taken_only_as_they_are_needed():
    taken = []

    def items():
        for number in range(1_000_000):
            taken.append(number)
            yield number

    results = run(lambda item: item, items(), in_flight=3)

    assert taken == []
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + 3 * WAITING_PER_CALL
    results.close()


def test_closing_ends_the_calls_that_wait():
    waiting, ended = threading.Event(), threading.Event()

    def call(item, cancellation):
        if item == 0:
            return item
        waiting.set()
        try:
            cancellation.wait(30)
        finally:
            ended.set()

    results = map_calls(call, range(10), in_flight=2, return_errors=False)
    assert next(results) == 0
    assert waiting.wait(10)
    results.close()

    assert ended.wait(10)
    with pytest.raises(StopIteration):
        next(results)


@pytest.mark.parametrize("in_flight", [1, 2, 8])
def test_an_error_of_the_items_is_raised_after_the_results_before_it(in_flight):
    raised = threading.Event()

    def items():
        yield from [0, 1, 2]
        raised.set()
        raise LookupError("no more")

    def call(item):
        # The last call is still running when the error comes, where more than one may run.
        if item == 2 and in_flight > 1:
            assert raised.wait(10)
        return item

    results = run(call, items(), in_flight=in_flight)

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_only_skerry_errors_are_returned():
    def call(item):
        raise HandlerError("theirs") if item == 0 else ZeroDivisionError

    results = run(call, [0, 1], return_errors=True)

    assert isinstance(next(results), HandlerError)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_items_give_no_results():
    assert list(run(lambda item: item, [])) == []


def test_a_map_without_calls_is_refused():
    function = skerry.App("maps").function(name="echo")(lambda x: x)

    with pytest.raises(ConfigError, match="in_flight"):
        function.map([1], in_flight=0)
