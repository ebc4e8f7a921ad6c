"""A split between lanes whose workers are played by the test."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skerry.errors import QueueFullError, StartError, UnavailableError
from skerry.runtime.frames import Kind
from skerry.runtime.mirror import Mirror
from skerry.runtime.split import WHOLE, Split
from support.lane_pool import Client, LanePool

ratios = st.integers(0, WHOLE).map(lambda parts: parts / WHOLE)


def split_of(weight_ratio, *, workers=1, sticky=None, **options):
    stable, candidate = LanePool(workers=workers, **options), LanePool(workers=workers, **options)
    split = Split(stable)
    split.stick_to(sticky)
    split.add("candidate", candidate, weight_ratio=weight_ratio)
    return split, stable, candidate


def send(split, count=1, **about):
    clients = [Client(**about) for _ in range(count)]
    for client in clients:
        split.take(client.exchange)
    return clients


@given(ratios, st.integers(0, 300), st.integers(1, 300))
def test_in_any_window_of_requests_the_share_is_exact(weight_ratio, start, length):
    split, _, candidate = split_of(weight_ratio, queue=1000)
    turns = [client.exchange.pool is candidate for client in send(split, start + length)]
    share = Fraction(round(weight_ratio * WHOLE), WHOLE)

    assert abs(sum(turns[start:]) - share * length) < 1
    assert abs(sum(turns) - share * (start + length)) < 1


@given(st.lists(st.integers(0, 3333), min_size=1, max_size=3))
@settings(max_examples=30)
def test_over_a_whole_round_each_lane_gets_exactly_its_weight(weights):
    split = Split(LanePool(queue=WHOLE))
    for number, weight in enumerate(weights):
        split.add(str(number), LanePool(queue=WHOLE), weight_ratio=weight / WHOLE)
    for _ in range(WHOLE):
        split.choose()

    taken = {name: lane["taken"] for name, lane in split.describe().items()}
    expected = {str(number): weight for number, weight in enumerate(weights)}
    assert taken == {"stable": WHOLE - sum(weights), **expected}


def test_a_lane_without_weight_gets_nothing_and_one_with_all_of_it_everything():
    split, stable, candidate = split_of(0.0)
    send(split, 20)
    assert (stable.dispatcher.queued, candidate.dispatcher.queued) == (20, 0)

    split.weigh("candidate", 1.0)
    send(split, 20)
    assert (stable.dispatcher.queued, candidate.dispatcher.queued) == (20, 20)


def test_what_a_lane_refuses_goes_to_the_stable_one():
    split, stable, candidate = split_of(0.5)
    candidate.close(StartError("it cannot start"))
    clients = send(split, 10)
    stable.serve_all()

    assert [client.status for client in clients] == [200] * 10
    assert split.describe()["candidate"]["taken"] == 0


def test_a_full_lane_leaves_its_requests_to_the_stable_one():
    split, stable, candidate = split_of(1.0, workers=0, queue=3)
    send(split, 5)

    assert (stable.dispatcher.queued, candidate.dispatcher.queued) == (2, 3)
    assert split.describe()["candidate"]["moved"] == 2
    send(split, 1)
    with pytest.raises(QueueFullError):
        send(split, 1)


def test_jobs_are_not_given_to_a_lane_that_is_full_or_refuses():
    split, stable, candidate = split_of(1.0, workers=0, queue=1)
    assert split.choose() is candidate
    send(split, 1)
    assert split.choose() is stable
    candidate.close(StartError("it cannot start"))
    assert split.choose() is stable


def test_requests_that_wait_in_a_lane_that_cannot_start_move_to_the_stable_one():
    split, stable, candidate = split_of(1.0, workers=0)
    clients = send(split, 3)
    candidate.close(StartError("it cannot start"))

    assert [client.status for client in clients] == [None] * 3
    stable.start()
    stable.serve_all(b'"stable"')
    assert [client.answers[0].endswith(b'"stable"') for client in clients] == [True] * 3
    assert split.describe()["candidate"]["moved"] == 3


def test_a_request_that_has_moved_may_ask_for_its_times():
    stable, candidate = LanePool(), LanePool()
    split, (client, other) = Split(stable), (Client(), Client())
    split.add("candidate", candidate, weight_ratio=1.0)
    client.exchange.is_timed = True
    for each in (client, other):
        split.take(each.exchange)

    candidate.close(StartError("it cannot start"))
    stable.start()
    stable.serve_all(b'"stable"')

    assert [client.status, other.status] == [200, 200]


def test_a_lane_that_is_removed_finishes_what_it_has_and_gives_back_what_it_has_not_begun():
    split, stable, candidate = split_of(1.0)
    clients = send(split, 100)
    candidate.dispatcher.pump()
    split.remove("candidate")
    candidate.close(UnavailableError("it is over"))
    candidate.serve_all(b'"candidate"')
    stable.serve_all(b'"stable"')

    assert [client.status for client in clients] == [200] * 100
    assert {client.answers[0].rpartition(b"\n")[2] for client in clients} == {b'"candidate"', b'"stable"'}


def test_where_nobody_can_start_the_caller_is_told():
    split, stable, candidate = split_of(1.0, workers=0)
    [client] = send(split)
    stable.close(StartError("neither can this"))
    candidate.close(StartError("it cannot start"))

    assert client.status == 503
    with pytest.raises(StartError):
        send(split)


def test_a_request_that_has_moved_streams_is_credited_and_can_be_left():
    split, stable, candidate = split_of(1.0, workers=0)
    reader, leaver = send(split, 2)
    candidate.close(StartError("it cannot start"))
    stable.start()
    stable.say(Kind.STREAM, b"", ending=False, content_type="application/x-ndjson")
    stable.say(Kind.PIECE, b"1\n", ending=False)
    reader.exchange.taken()

    assert [size for _, size in stable.credited] == [2]
    stable.say(Kind.END, b"")
    assert b"".join(reader.answers).endswith(b"0\r\n\r\n")
    leaver.exchange.leave()
    assert stable.dispatcher.in_system == 0
    stable.serve_all()
    assert leaver.answers == []


def test_a_deadline_goes_on_where_a_request_has_moved(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("skerry.runtime.split.time.monotonic", lambda: now[0])
    split, stable, candidate = split_of(1.0, workers=0)
    candidate.dispatcher._clock = stable.dispatcher._clock = lambda: now[0]
    soon, late = Client(), Client()
    soon.exchange.timeout_s, late.exchange.timeout_s = 1.0, 10.0
    for client in (soon, late):
        split.take(client.exchange)
    now[0] = 104.0
    candidate.close(StartError("it cannot start"))

    assert (soon.status, late.status) == (503, None)
    assert stable.dispatcher.next_deadline_s() == pytest.approx(110.0)


def test_a_request_that_a_lane_has_begun_is_not_run_again():
    split, stable, candidate = split_of(1.0)
    [client] = send(split)
    candidate.dispatcher.pump()
    [slot] = candidate.dispatcher.slots
    slot.port.begun = next(iter(slot.outstanding))
    candidate.dispatcher.worker_lost(slot)

    assert client.status == 502
    assert stable.dispatcher.in_system == 0


def test_settling_on_a_pool_sends_everything_there():
    split, stable, candidate = split_of(0.1)
    split.mirror = Mirror(candidate, soon=lambda *_: None)
    split.settle_on(candidate)
    assert split.mirror is None
    clients = send(split, 20)
    candidate.serve_all()

    assert [client.status for client in clients] == [200] * 20
    assert stable.dispatcher.queued == 0
    assert split.dispatcher is candidate.dispatcher
    assert list(split.describe()) == ["stable"]


@given(st.binary(max_size=20), st.lists(ratios, min_size=2, max_size=5))
def test_a_value_stays_with_a_lane_that_grows(value, shares):
    split, _, candidate = split_of(0.0, sticky="X-User", queue=100)
    was_candidate = False
    for share in sorted(shares):
        split.weigh("candidate", share)
        places = {c.exchange.pool is candidate for c in send(split, 3, headers=[(b"x-user", value)])}
        assert len(places) == 1
        [is_candidate] = places
        assert is_candidate or not was_candidate
        was_candidate = is_candidate


def test_values_are_spread_by_weight_and_requests_without_one_take_turns():
    split, _, candidate = split_of(0.25, sticky="x-user", queue=10_000)
    by_value = [c for n in range(4000) for c in send(split, headers=[(b"x-user", b"user-%d" % n)])]
    without = send(split, 400)

    assert 850 < sum(client.exchange.pool is candidate for client in by_value) < 1150
    assert sum(client.exchange.pool is candidate for client in without) == 100


class Lanes(RuleBasedStateMachine):
    """Lanes come, go, refuse and fill up; every request is answered once, and by 200 while the stable lane serves."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.stable = LanePool(lambda: self.now, workers=1)
        self.candidate = None
        self.gone = []
        self.split = Split(self.stable)
        self.clients = []
        self.left = []

    @rule(count=st.integers(1, 6))
    def come(self, count):
        self.clients += send(self.split, count)

    @precondition(lambda self: self.candidate is None)
    @rule(weight_ratio=ratios, workers=st.integers(0, 2), queue=st.sampled_from([1, 4, 1000]), mirror=st.booleans())
    def add(self, weight_ratio, workers, queue, mirror):
        self.candidate = LanePool(lambda: self.now, workers=workers, queue=queue)
        self.split.add("candidate", self.candidate, weight_ratio=weight_ratio)
        if mirror:
            self.split.mirror = Mirror(self.candidate, most_open=3, soon=lambda call, *about: call(*about))

    @precondition(lambda self: self.candidate is not None)
    @rule(weight_ratio=ratios)
    def weigh(self, weight_ratio):
        self.split.weigh("candidate", weight_ratio)

    @precondition(lambda self: self.candidate is not None)
    @rule(promote=st.booleans(), drained=st.booleans())
    def end(self, promote, drained):
        old, self.candidate = self.candidate, None
        promoted = promote and old.dispatcher.slots and old.dispatcher.refusal is None and old.spec.queue > 4
        if promoted:
            old, self.stable = self.stable, old
        self.split.settle_on(self.stable)
        refusal = old.dispatcher.close()
        if drained or promoted:  # what was stable finishes what it has: nobody stands in for it
            old.serve_all()
        old.dispatcher.refuse(refusal)
        self.gone.append(old)

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def refuse(self):
        self.candidate.close(StartError("it cannot start"))

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def recover(self):
        self.candidate.dispatcher.accept()
        self.candidate.start()

    @rule(stable=st.booleans(), rounds=st.integers(1, 3))
    def serve(self, stable, rounds):
        pool = self.stable if stable or self.candidate is None else self.candidate
        for _ in range(rounds):
            pool.say()

    @precondition(lambda self: self.clients)
    @rule(pick=st.integers(0, 100))
    def leave(self, pick):
        client = self.clients.pop(pick % len(self.clients))
        if not client.answers:
            self.left.append(client)
        client.exchange.leave()

    @invariant()
    def nobody_is_refused_and_nobody_is_answered_twice(self):
        assert {client.status for client in self.clients} <= {None, 200}
        assert all(not client.answers for client in self.left)

    def teardown(self):
        for pool in (self.stable, self.candidate, *self.gone):
            if pool is not None:
                if pool is not self.stable and not pool.dispatcher.slots:
                    pool.close(StartError("it cannot start"))
                pool.serve_all()
        self.stable.serve_all()
        assert all(client.status == 200 for client in self.clients)
        for pool in (self.stable, self.candidate):
            assert pool is None or pool.dispatcher.in_system == 0


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
