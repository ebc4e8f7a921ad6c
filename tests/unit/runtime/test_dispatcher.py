import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import (
    DeadlineExceededError,
    HandlerTimeoutError,
    QueueFullError,
    StartError,
    UnavailableError,
    WorkerLostError,
)
from skerry.runtime.dispatcher import UNRESPONSIVE_S
from skerry.runtime.frames import Kind
from skerry.spec import Batch
from support.dispatcher_world import World


def test_calls_are_handed_out_in_the_order_of_their_arrival():
    world = World()
    world.offer("a", "b", "c")
    slot = world.worker()
    for _ in range(3):
        world.dispatcher.pump()
        world.answer(slot)
    assert slot.port.bodies == [b"a", b"b", b"c"]


def test_a_call_is_taken_at_once_where_a_worker_is_free_and_nobody_waits():
    world = World()
    assert not world.dispatcher.takes_at_once
    slot = world.worker()
    assert world.dispatcher.takes_at_once
    world.offer("a")
    assert not world.dispatcher.takes_at_once
    world.dispatcher.pump()
    assert not world.dispatcher.takes_at_once
    world.answer(slot)
    assert world.dispatcher.takes_at_once
    world.dispatcher.refuse(UnavailableError("no"))
    assert not world.dispatcher.takes_at_once


def test_calls_that_two_lost_workers_had_not_begun_wait_in_the_order_of_their_arrival():
    world = World()
    world.offer("a", "b", "c")
    first, second = world.worker(), world.worker()
    world.dispatcher.pump()
    holds_a, holds_b = (first, second) if first.port.bodies == [b"a"] else (second, first)
    world.dispatcher.worker_lost(holds_a)
    world.dispatcher.worker_lost(holds_b)
    assert [call.body for call in world.dispatcher.waiting] == [b"a", b"b", b"c"]


def test_a_fast_function_is_given_several_calls_at_a_time_and_a_slow_one_one():
    world = World()
    slot = world.worker()
    world.offer(*"abc")
    world.dispatcher.pump()
    assert len(slot.port.bodies) == 1
    world.answer(slot)  # in no time at all
    world.dispatcher.pump()
    assert len(slot.port.bodies) == 3
    world.now += 1.0
    world.answer(slot)
    world.answer(slot)
    world.offer(*"de")
    world.dispatcher.pump()
    assert len(slot.port.bodies) == 4


def test_waiting_calls_are_shared_among_free_workers():
    world = World()
    world.dispatcher.sizing.service_s = 0.0001
    slots = [world.worker(), world.worker()]
    world.offer(*"abcdef")
    world.dispatcher.pump()
    assert [len(slot.port.bodies) for slot in slots] == [3, 3]


def test_the_queue_holds_as_many_calls_as_its_option_says_besides_those_that_workers_take():
    world = World(queue=2)
    world.worker()
    world.offer("runs", "waits", "waits too")
    with pytest.raises(QueueFullError) as caught:
        world.offer("too many")
    assert caught.value.details["retry_after_s"] >= 1


def test_without_a_queue_a_call_is_taken_only_when_a_worker_is_free():
    world = World(queue=0)
    slot = world.worker()
    world.offer("a")
    with pytest.raises(QueueFullError):
        world.offer("b")
    world.dispatcher.pump()
    with pytest.raises(QueueFullError):
        world.offer("c")
    world.answer(slot)
    world.offer("d")


def test_without_a_queue_one_call_may_wait_for_the_first_worker():
    world = World(queue=0)
    world.offer("a")
    assert world.demands == 1
    with pytest.raises(QueueFullError):
        world.offer("b")


def test_a_call_that_no_worker_is_there_for_asks_for_one():
    world = World()
    world.offer("a")
    assert world.demands == 1
    world.worker()
    world.offer("b")
    assert world.demands == 1


def test_the_call_that_a_lost_worker_ran_is_answered_and_the_others_wait_again():
    world = World()
    world.dispatcher.sizing.service_s = 0.0001
    slot = world.worker()
    world.offer(*"abc")
    world.dispatcher.pump()
    slot.port.begun = next(iter(slot.outstanding))
    world.dispatcher.worker_lost(slot)
    assert list(world.answers) == ["a"]
    assert isinstance(world.answers["a"], WorkerLostError)
    assert [call.body for call in world.dispatcher.waiting] == [b"b", b"c"]


def test_an_idempotent_call_is_tried_twice_and_no_more():
    world = World(idempotent=True)
    for _ in range(2):
        slot = world.worker()
        if not world.dispatcher.in_system:
            world.offer("a")
        world.dispatcher.pump()
        assert "a" not in world.answers
        slot.port.begun = next(iter(slot.outstanding))
        world.dispatcher.worker_lost(slot)
    assert isinstance(world.answers["a"], WorkerLostError)


def test_calls_that_a_lost_worker_ran_together_are_tried_again_one_by_one():
    world = World(idempotent=True, batch=Batch(max_size=8))
    slot = world.worker(takes_items=True)
    world.offer("a", "killer", "b")
    world.dispatcher.pump()
    slot.port.begun = max(slot.outstanding)
    world.dispatcher.worker_lost(slot)
    world.offer("c", "d")

    batches = []
    for _ in range(2):
        slot = world.worker(takes_items=True)
        world.dispatcher.pump()
        while slot.outstanding and b"killer" not in slot.port.batches[-1]:
            world.answer(slot)
        batches += slot.port.batches
        slot.port.begun = max(slot.outstanding, default=0)
        world.dispatcher.worker_lost(slot)
    assert batches == [[b"a"], [b"killer"], [b"b"], [b"c", b"d"]]
    assert [name for name, answer in world.answers.items() if isinstance(answer, WorkerLostError)] == ["killer"]


def test_nobody_overtakes_calls_that_are_tried_again_one_by_one():
    world = World(idempotent=True, batch=Batch(max_size=8))
    first = world.worker(takes_items=True)
    world.offer("a")
    world.dispatcher.pump()
    second = world.worker(takes_items=True)
    world.offer("b", "c")
    world.dispatcher.pump()
    assert (first.port.batches, second.port.batches) == ([[b"a"]], [[b"b", b"c"]])
    second.port.begun = max(second.outstanding)
    world.dispatcher.worker_lost(second)
    world.dispatcher.worker_lost(first)  # it had not begun
    world.offer("d", "e")

    slot = world.worker(takes_items=True)
    world.dispatcher.pump()
    while slot.outstanding:
        world.answer(slot)
    assert slot.port.batches == [[b"a"], [b"b"], [b"c"], [b"d", b"e"]]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_call_that_was_certainly_not_begun_is_never_counted_as_tried(concurrency):
    world = World(concurrency=concurrency)
    for _ in range(5):
        slot = world.worker()
        if not world.dispatcher.in_system:
            world.offer("a")
        world.dispatcher.pump()
        assert slot.port.bodies == [b"a"]
        world.dispatcher.worker_lost(slot)
    assert not world.answers


def test_a_call_that_runs_over_its_timeout_ends_its_worker():
    world = World(timeout="2s", idempotent=True)
    slot = world.worker()
    world.offer("a")
    world.dispatcher.pump()
    slot.port.begun = next(iter(slot.outstanding))
    world.now = 2.0
    world.dispatcher.sweep()
    assert not slot.port.killed
    world.now = 2.1
    world.dispatcher.sweep()
    assert slot.port.killed
    world.dispatcher.worker_lost(slot)
    assert isinstance(world.answers["a"], HandlerTimeoutError)


def test_calls_behind_a_late_one_are_not_blamed_for_it():
    world = World(timeout="2s")
    world.dispatcher.sizing.service_s = 0.0001
    slot = world.worker()
    world.offer(*"ab")
    world.dispatcher.pump()
    slot.port.begun = next(iter(slot.outstanding))
    world.now = 2.1
    world.dispatcher.sweep()
    world.dispatcher.worker_lost(slot)
    assert list(world.answers) == ["a"]
    assert world.dispatcher.queued == 1


def test_a_call_of_a_concurrent_worker_that_resists_its_timeout_ends_the_worker_though_others_are_answered():
    world = World(timeout="2s", concurrency=2)
    slot = world.worker()
    world.offer("stuck")
    world.dispatcher.pump()
    while world.now < 2 + UNRESPONSIVE_S:
        world.offer("quick")
        world.dispatcher.pump()
        world.answer(slot, max(slot.outstanding))
        world.dispatcher.sweep()
        assert not slot.port.killed
        world.now += 1.0
    world.now += 0.1
    world.dispatcher.sweep()
    assert slot.port.killed


def test_a_call_that_waits_longer_than_the_timeout_is_answered():
    world = World(timeout="2s")
    world.offer("a")
    world.now = 1.0
    world.offer("b")
    world.now = 2.5
    world.dispatcher.sweep()
    assert list(world.answers) == ["a"]
    assert isinstance(world.answers["a"], DeadlineExceededError)


def test_a_call_whose_caller_left_while_it_ran_keeps_its_worker_busy_until_it_is_answered():
    world = World()
    slot = world.worker()
    call = world.offer("a")
    world.dispatcher.pump()
    world.dispatcher.abandon(call)
    assert world.dispatcher.in_system == 0
    assert world.dispatcher.is_busy
    assert slot.port.cancelled == [call.number]
    world.offer("b")
    world.dispatcher.pump()
    assert slot.port.bodies == [b"a"]
    world.answer(slot)
    world.dispatcher.pump()
    assert slot.port.bodies == [b"a", b"b"]
    assert not world.answers


def test_bodies_of_callers_who_left_the_queue_are_not_kept():
    world = World()
    world.offer("first")
    for _ in range(1000):
        world.dispatcher.abandon(world.offer("leaves"))
    assert world.dispatcher.queued == 1
    assert len(world.dispatcher.waiting) < 30


def test_cancelling_the_call_that_runs_ends_its_worker():
    world = World()
    slot = world.worker()
    call = world.offer("a")
    world.dispatcher.pump()
    slot.port.begun = call.number
    world.dispatcher.cancel(call, UnavailableError("cancelled"))
    assert isinstance(world.answers["a"], UnavailableError)
    assert slot.port.killed


def test_cancelling_a_call_that_lies_behind_another_leaves_the_worker_alone_until_it_begins():
    world = World()
    world.dispatcher.sizing.service_s = 0.0001
    slot = world.worker()
    call = world.offer("a", "b")
    world.dispatcher.pump()
    slot.port.begun = call.number - 1
    world.dispatcher.cancel(call, UnavailableError("cancelled"))
    assert not slot.port.killed
    slot.port.begun = call.number
    world.dispatcher.sweep()
    assert slot.port.killed


def test_cancelling_one_of_several_concurrent_calls_tells_the_worker():
    world = World(concurrency=2)
    slot = world.worker()
    call = world.offer("a", "b")
    world.dispatcher.pump()
    slot.port.begun = call.number
    world.dispatcher.cancel(call, UnavailableError("cancelled"))
    assert not slot.port.killed
    assert slot.port.cancelled == [call.number]
    world.answer(slot, call.number)  # every call is answered, also one that nobody waits for
    assert list(world.answers) == ["b"]
    assert isinstance(world.answers["b"], UnavailableError)


def test_refusing_answers_those_who_wait_and_all_who_come_until_it_ends():
    world = World()
    world.offer("a")
    error = StartError("broken")
    world.dispatcher.refuse(error)
    assert world.answers == {"a": error}
    with pytest.raises(StartError):
        world.offer("b")
    world.dispatcher.accept()
    world.offer("c")


def test_a_closed_dispatcher_stays_closed_after_a_refusal_ends():
    world = World()
    world.offer("a")
    world.dispatcher.close()
    assert not world.answers
    world.dispatcher.refuse(StartError("broken"))
    world.dispatcher.accept()
    with pytest.raises(UnavailableError):
        world.offer("b")


def test_a_draining_worker_is_told_to_stop_once_it_holds_nothing():
    world = World()
    slot = world.worker()
    world.offer("a", "b")
    world.dispatcher.pump()
    world.dispatcher.drain(slot)
    assert not world.drained
    world.answer(slot)
    world.dispatcher.pump()
    assert world.drained == [slot]
    assert slot.port.bodies == [b"a"]


def test_the_last_answer_is_told():
    world = World()
    slot = world.worker()
    world.offer("a", "b")
    for expected in (0, 1):
        world.dispatcher.pump()
        world.answer(slot)
        assert world.empty == expected


def test_call_numbers_wrap_around():
    world = World(idempotent=False)
    world.dispatcher._number = 2**32 - 2
    world.dispatcher.sizing.service_s = 0.0001
    slot = world.worker()
    world.offer(*"abc")
    world.dispatcher.pump()
    assert list(slot.outstanding) == [2**32 - 1, 1, 2]
    slot.port.begun = 2**32 - 1
    world.dispatcher.worker_lost(slot)
    assert list(world.answers) == ["a"]
    assert world.dispatcher.queued == 2


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["offer", "abandon", "take"])), max_size=40))
def test_the_load_is_the_time_average_of_calls_in_the_system(steps):
    world = World()
    open_calls, area, since = [], 0.0, 0.0
    for passed_s, what in steps:
        before = world.now
        world.now += passed_s
        area += len(open_calls) * (world.now - before)  # as the clock shows it, rounded
        if what == "offer":
            open_calls.append(world.offer("x"))
        elif what == "abandon" and open_calls:
            world.dispatcher.abandon(open_calls.pop())
        elif what == "take":
            expected = area / (world.now - since) if world.now > since else len(open_calls)
            assert world.dispatcher.take_load() == pytest.approx(expected, rel=1e-6, abs=1e-6)
            area, since = 0.0, world.now


def test_a_refusal_keeps_nothing_of_those_whom_it_was_told():
    world = World()
    error = StartError("broken", retry_after_s=3)
    world.dispatcher.refuse(error)
    for _ in range(3):
        with pytest.raises(StartError) as caught:
            world.offer("a")
        assert caught.value.to_problem() == error.to_problem()
    assert error.__traceback__ is None


def test_calls_that_come_back_twice_wait_in_the_order_of_their_arrival():
    world = World(concurrency=2)
    first, second = world.worker(), world.worker()
    world.offer("a", "b")
    world.dispatcher.pump()
    holds_a, holds_b = (first, second) if first.port.bodies == [b"a"] else (second, first)
    world.dispatcher.worker_lost(holds_a)
    world.dispatcher.pump()
    assert holds_b.port.bodies == [b"b", b"a"]
    world.dispatcher.worker_lost(holds_b)
    assert world.waiting() == [b"a", b"b"]


def test_an_answer_that_comes_twice_gives_the_running_call_no_more_time():
    world = World(timeout="2s")
    world.dispatcher.sizing.service_s = 0.0001
    slot = world.worker()
    world.offer("a", "b")
    world.dispatcher.pump()
    first, second = slot.outstanding
    world.answer(slot, first)
    slot.port.begun = second
    world.now = 1.9
    world.say(slot, Kind.RESULT, first, b"answer")  # it was taken from what the worker held back before
    world.now = 2.1
    world.dispatcher.sweep()
    assert slot.port.killed


def test_an_answer_that_comes_twice_does_not_stop_a_worker_twice():
    world = World()
    slot = world.worker()
    call = world.offer("a")
    world.dispatcher.pump()
    world.dispatcher.drain(slot)
    for _ in range(2):
        world.say(slot, Kind.RESULT, call.number, b"answer")
    assert world.drained == [slot]
