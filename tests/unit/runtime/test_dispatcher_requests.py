"""What requests say: urgency, deadline, group and weight; answers in pieces; the bound on what runs."""

import pytest

from skerry.errors import DeadlineExceededError, QueueFullError, UnavailableError, WorkerLostError
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.observer import Observer
from skerry.spec import Batch
from support.dispatcher_world import World

# Urgency


def test_urgent_calls_are_served_first_and_equal_ones_in_the_order_of_their_arrival():
    world = World()
    slot = world.worker()
    world.offer("a", "b", urgency=3)
    world.offer("c", urgency=7)
    world.offer("d", "e", urgency=0)
    for _ in range(5):
        world.dispatcher.pump()
        world.answer(slot)
    assert slot.port.bodies == [b"d", b"e", b"a", b"b", b"c"]


def test_a_call_that_comes_back_waits_at_the_head_of_its_urgency():
    world = World()
    slot = world.worker()
    world.offer("a", urgency=5)
    world.dispatcher.pump()
    world.offer("b", urgency=5)
    world.offer("c", urgency=1)
    world.dispatcher.worker_lost(slot)
    assert world.waiting() == [b"c", b"a", b"b"]


# Deadlines


def test_a_call_that_waits_past_its_deadline_is_answered_and_never_run():
    world = World()
    world.offer("a", timeout_s=1.0)
    assert world.dispatcher.next_deadline_s() == 1.0
    world.now = 1.0
    world.dispatcher.expire()
    slot = world.worker()
    world.dispatcher.pump()
    assert isinstance(world.answers["a"], DeadlineExceededError)
    assert slot.port.bodies == []
    assert world.dispatcher.in_system == 0
    assert world.dispatcher.next_deadline_s() is None


def test_a_call_past_its_deadline_is_not_handed_out():
    world = World()
    world.offer("late", timeout_s=1.0)
    world.offer("in time")
    world.now = 1.5
    slot = world.worker()
    world.dispatcher.pump()  # before `expire`: the timer may be late
    world.dispatcher.expire()
    assert slot.port.bodies == [b"in time"]
    assert isinstance(world.answers["late"], DeadlineExceededError)


def test_a_late_call_makes_no_group_of_its_own():
    world = World(batch=Batch(max_size=2))
    world.offer("late", timeout_s=1.0)
    world.offer("a", group="x")
    world.offer("b")
    world.now = 1.5
    slot = world.worker(takes_items=True)
    world.dispatcher.pump()
    assert slot.port.batches == [[b"a"]]


def test_a_worker_is_told_how_long_the_caller_still_waits():
    world = World()
    slot = world.worker()
    world.offer("a", timeout_s=1.0)
    world.now = 0.25
    world.dispatcher.pump()
    assert [frame.time for frame in slot.port.frames] == [750]


def test_a_deadline_that_passes_while_the_call_runs_is_told_at_once_and_the_worker_asked_to_stop():
    world = World()
    slot = world.worker()
    call = world.offer("a", timeout_s=1.0)
    world.dispatcher.pump()
    slot.port.begun = call.number
    world.now = 1.0
    world.dispatcher.expire()
    assert isinstance(world.answers["a"], DeadlineExceededError)
    assert slot.port.cancelled == [call.number]
    assert not slot.port.killed
    assert world.dispatcher.is_busy
    world.offer("b")
    world.dispatcher.pump()
    assert slot.port.bodies == [b"a"]
    world.answer(slot)
    world.dispatcher.pump()
    assert slot.port.bodies == [b"a", b"b"]


# Groups


def test_a_handler_that_takes_a_list_is_given_calls_together():
    world = World(batch=Batch(max_size=3))
    slot = world.worker(takes_items=True)
    world.offer(*"abcd")
    world.dispatcher.pump()
    assert slot.port.batches == [[b"a", b"b", b"c"]]
    for number in list(slot.outstanding):
        world.answer(slot, number)
    world.dispatcher.pump()
    assert slot.port.batches == [[b"a", b"b", b"c"], [b"d"]]


def test_only_calls_of_one_group_and_urgency_go_together_and_the_others_keep_their_order():
    world = World(batch=Batch(max_size=8))
    slot = world.worker(takes_items=True)
    world.offer("a", "b", group="x")
    world.offer("c", group="y")
    world.offer("d", group="x")
    world.offer("e", group="x", urgency=7)
    for _ in range(3):
        world.dispatcher.pump()
        for number in list(slot.outstanding):
            world.answer(slot, number)
    assert slot.port.batches == [[b"a", b"b", b"d"], [b"c"], [b"e"]]


def test_the_weight_of_a_batch_is_bounded_and_what_is_too_heavy_goes_alone():
    world = World(batch=Batch(max_size=8, max_weight=10.0))
    slot = world.worker(takes_items=True)
    world.offer("heavy", weight=50.0)
    world.offer("a", "b", weight=4.0)
    world.offer("c", weight=3.0)
    for _ in range(3):
        world.dispatcher.pump()
        for number in list(slot.outstanding):
            world.answer(slot, number)
    assert slot.port.batches == [[b"heavy"], [b"a", b"b"], [b"c"]]


def test_a_call_that_states_no_weight_weighs_its_bytes_where_the_function_says_so():
    world = World(batch=Batch(max_size=8, max_weight=10.0, weight="bytes"))
    slot = world.worker(takes_items=True)
    world.offer("12345678", "1234", "5678")
    world.dispatcher.pump()
    assert slot.port.batches == [[b"12345678"]]


def test_a_lost_worker_that_had_begun_a_group_has_begun_all_of_it():
    world = World(batch=Batch())
    slot = world.worker(takes_items=True)
    call = world.offer(*"abc")
    world.dispatcher.pump()
    slot.port.begun = call.number  # of the last
    world.dispatcher.worker_lost(slot)
    assert sorted(world.answers) == ["a", "b", "c"]
    assert all(isinstance(answer, WorkerLostError) for answer in world.answers.values())


def test_cancelling_one_call_of_a_group_leaves_the_others_alone():
    world = World(batch=Batch())
    slot = world.worker(takes_items=True)
    call = world.offer(*"abc")
    world.dispatcher.pump()
    slot.port.begun = call.number
    world.dispatcher.cancel(call, UnavailableError("cancelled"))
    world.dispatcher.sweep()
    assert not slot.port.killed
    for number in list(slot.outstanding):
        world.answer(slot, number)
    assert [type(world.answers[name]).__name__ for name in "abc"] == ["Frame", "Frame", "UnavailableError"]


def test_the_decisions_about_batches_can_be_seen():
    world = World(batch=Batch(max_size=2))
    slot = world.worker(takes_items=True)
    world.offer(*"abc")
    world.dispatcher.pump()
    world.now = 0.010
    for number in list(slot.outstanding):
        world.answer(slot, number)
    seen = world.dispatcher.describe()
    assert (seen["queued"], seen["in_flight"], seen["size"]) == (0, 1, 1)
    assert seen["a_s"] * 2 + seen["b_s"] == pytest.approx(0.010)


# Lateness


def test_where_too_much_comes_those_that_are_late_are_those_that_are_too_many():
    """A second of 1.2 times what can be served: first come first served would be late with nearly all of it."""
    world = World(batch=Batch(max_size=8, objective="50ms"))
    slot = world.worker(takes_items=True)
    offered_s, answered_s = {}, {}
    batch_s, rate = 0.004, 1.2 * 8 / 0.004
    while len(answered_s) < rate:
        while len(offered_s) < min(rate, rate * world.now):
            name = str(len(offered_s))
            world.offer(name)
            offered_s[name] = world.now
        world.dispatcher.pump()
        world.now += batch_s
        for number in list(slot.outstanding):
            world.answer(slot, number)
        answered_s |= dict.fromkeys(world.answers.keys() - answered_s.keys(), world.now)
    in_time = sum(answered_s[name] - offered_s[name] <= 0.050 for name in offered_s)
    assert in_time > 0.75 * rate
    assert world.dispatcher.describe()["late"] == 0


# Answers in pieces


def begin_stream(world, slot, number):
    slot.port.begun = number
    world.say(slot, Kind.STREAM, number, content_type="application/x-ndjson")
    world.say(slot, Kind.PIECE, number, b"1\n")


def test_pieces_reach_their_caller_in_order_and_the_end_is_told_once():
    world = World()
    slot = world.worker(streams=True)
    call = world.offer("a")
    world.dispatcher.pump()
    begin_stream(world, slot, call.number)
    world.say(slot, Kind.PIECE, call.number, b"2\n")
    assert "a" not in world.answers
    world.say(slot, Kind.END, call.number)
    assert [frame.body for frame in world.pieces["a"]] == [b"", b"1\n", b"2\n"]
    assert world.answers["a"].kind == Kind.END
    assert world.dispatcher.in_system == 0


def test_what_the_caller_has_taken_is_told_to_the_worker():
    world = World()
    slot = world.worker(streams=True)
    call = world.offer("a")
    world.dispatcher.pump()
    begin_stream(world, slot, call.number)
    world.dispatcher.credit(call, 2)
    assert slot.port.frames[-1][:2] == (Kind.CREDIT, call.number)
    assert slot.port.frames[-1].time == 2
    world.dispatcher.abandon(call)
    world.dispatcher.credit(call, 2)
    assert [frame.kind for frame in slot.port.frames].count(Kind.CREDIT) == 1


def test_a_stream_whose_caller_left_is_stopped_and_its_further_pieces_go_nowhere():
    world = World()
    slot = world.worker(streams=True)
    call = world.offer("a")
    world.dispatcher.pump()
    begin_stream(world, slot, call.number)
    world.dispatcher.abandon(call)
    assert slot.port.cancelled == [call.number]
    world.say(slot, Kind.PIECE, call.number, b"late")
    assert world.dispatcher.is_busy
    world.say(slot, Kind.ERROR, call.number, b"{}", status=499)
    assert not world.dispatcher.is_busy
    assert len(world.pieces["a"]) == 2
    assert not world.answers


def test_a_stream_that_has_begun_is_never_tried_again():
    world = World(idempotent=True)
    slot = world.worker(streams=True)
    call = world.offer("a")
    world.dispatcher.pump()
    begin_stream(world, slot, call.number)
    world.dispatcher.worker_lost(slot)
    assert isinstance(world.answers["a"], WorkerLostError)


def test_a_stream_that_runs_over_the_timeout_ends_its_worker_though_pieces_come():
    world = World(timeout="2s")
    slot = world.worker(streams=True)
    call = world.offer("a")
    world.dispatcher.pump()
    begin_stream(world, slot, call.number)
    for _ in range(3):
        world.now += 0.9
        world.say(slot, Kind.PIECE, call.number, b"x")
        world.dispatcher.sweep()
    assert slot.port.killed


# The bound on what runs


def test_no_more_calls_run_than_the_function_allows():
    world = World(max_in_flight=2)
    slots = [world.worker() for _ in range(3)]
    world.offer(*"abc")
    world.dispatcher.pump()
    assert sum(len(slot.port.bodies) for slot in slots) == 2
    assert (world.dispatcher.in_flight, world.dispatcher.queued) == (2, 1)
    world.answer(next(slot for slot in slots if slot.outstanding))
    world.dispatcher.pump()
    assert sum(len(slot.port.bodies) for slot in slots) == 3


def test_without_a_queue_the_bound_on_what_runs_refuses_what_comes_besides():
    world = World(queue=0, max_in_flight=1)
    world.worker()
    world.worker()
    world.offer("a")
    with pytest.raises(QueueFullError):
        world.offer("b")
    world.dispatcher.pump()
    with pytest.raises(QueueFullError):
        world.offer("c")


# What callers who are refused are told


def test_the_time_to_try_again_comes_from_the_rate_of_answers():
    world = World(queue=20)
    slot = world.worker()
    for _ in range(100):
        world.offer("x")
        world.dispatcher.pump()
        world.now += 0.5
        world.answer(slot)
        world.dispatcher.sweep()
    world.offer("runs")
    world.dispatcher.pump()
    world.offer(*(str(i) for i in range(20)))
    with pytest.raises(QueueFullError) as caught:
        world.offer("too many")
    assert caught.value.details["retry_after_s"] == pytest.approx(10.0, rel=0.05)


def test_a_worker_that_should_be_done_is_looked_at_and_no_other():
    world = World()
    world.dispatcher.sizing.service_s = 0.01
    slot, idle = world.worker(), world.worker()
    looked = []
    slot.port.poll = looked.append
    idle.port.poll = looked.append
    world.offer("a")
    world.dispatcher.pump()
    busy = slot if slot.outstanding else idle
    world.dispatcher.look_for_answers(0.005)
    assert not looked
    world.dispatcher.look_for_answers(0.02)
    assert looked == [0.0]
    world.answer(busy)
    world.dispatcher.look_for_answers(0.04)
    assert looked == [0.0]


# What is metered


class Told(Observer):
    def __init__(self):
        self.for_nobody_us = 0

    def ran_for_nobody(self, answer):
        self.for_nobody_us += answer.time


def test_idle_time_is_that_of_workers_that_hold_nothing():
    world = World()
    first, _ = world.worker(), world.worker()
    world.now = 2.0  # both idle
    world.offer("a")
    world.dispatcher.pump()
    world.now = 5.0  # one idle
    assert world.dispatcher.idle_s() == 7.0
    busy = next(slot for slot in world.dispatcher.slots if slot.outstanding)
    world.answer(busy)
    world.now = 6.0
    assert world.dispatcher.idle_s() == 9.0
    world.dispatcher.worker_lost(first)
    world.now = 10.0  # one is gone
    assert world.dispatcher.idle_s() == 13.0


def test_the_time_of_a_handler_whose_caller_has_left_is_told():
    world = World()
    world.dispatcher.observer = told = Told()
    slot = world.worker()
    call = world.offer("a")
    world.dispatcher.pump()
    world.dispatcher.abandon(call)
    world.dispatcher.heard(slot, [Frame(Kind.RESULT, call.number, Codec.JSON, {}, b"1", 250)])
    assert told.for_nobody_us == 250


def test_who_records_a_start_is_told_before_the_worker_can_begin():
    world = World()
    slot = world.worker()
    had_been_sent = []
    world.offer("a", on_start=lambda attempt: had_been_sent.append((attempt, slot.port.bodies)))
    world.dispatcher.pump()
    assert had_been_sent == [(1, [])]
    assert slot.port.bodies == [b"a"]
