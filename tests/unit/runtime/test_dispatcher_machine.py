"""Random histories of one dispatcher against a plain model of its callers and workers.

The schedules are read from bytes: that makes ten thousand of them cheap, and hypothesis shortens one that fails. The
state machine says the same in rules, and finds what depends on long histories of few calls.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from support.dispatcher_model import KINDS, DispatcherModel

URGENCIES = [3, 3, 3, 3, 0, 7, 3, 1]
TIMEOUTS_S = [None, None, None, 0.4, 5.0]
GROUPS = [None, None, "x", "y"]
WEIGHTS = [1.0, 1.0, 4.0, 20.0]
PASSED_S = [0.0, 0.001, 0.3, 0.5, 6.0, 11.0]
QUEUES = [0, 1, 3, 6, 30, 30]
MOST_STEPS = 60
TOGETHER = 5  # schedules of one example: hypothesis takes as long for an example as a schedule for its steps


def model_of(a, b):
    """Return the model that two bytes name."""
    return DispatcherModel(
        KINDS[a % len(KINDS)],
        queue=QUEUES[b % len(QUEUES)],
        idempotent=bool(a & 128),
        max_in_flight=2 if b & 192 == 192 else 0,
        service_s=[None, 0.0001, 0.001][b // 6 % 3],
        max_weight=10.0 if a & 64 else None,
    )


class Schedule:
    """Plays bytes on a model, three for each step: what happens, to whom, and how."""

    def __init__(self, model):
        self.model = model

    def step(self, what, a, b):
        getattr(self, ACTIONS[what % len(ACTIONS)])(a, b)
        self.model.check()

    def _pick(self, found, a):
        return found[a % len(found)] if found else None

    def _worker(self, a):
        return self._pick(self.model.alive, a)

    def _open_call(self, a):
        return self._pick([asked for asked in self.model.asked if asked.is_open], a)

    def offer(self, a, b):
        self.model.offer(
            urgency=URGENCIES[a % 8], timeout_s=TIMEOUTS_S[b % 5], group=GROUPS[a // 8 % 4], weight=WEIGHTS[b // 8 % 4]
        )

    def start_worker(self, a, b):
        if len(self.model.alive) < 4:
            self.model.start_worker()

    def pump(self, a, b):
        self.model.pump()

    def begin(self, a, b):
        if worker := self._worker(a):
            self.model.begin(worker)

    def end(self, a, b):
        if worker := self._worker(a):
            worker.end(b, failing=b >= 200)

    def run(self, a, b):
        """The usual: begin and end what is next, and send it."""
        if worker := self._worker(a):
            self.model.begin(worker)
            worker.end(b, failing=False)
            self.model.flush(worker)

    def piece(self, a, b):
        if worker := self._worker(a):
            worker.say_piece(b)
            if b & 1:
                self.model.flush(worker)

    def flush(self, a, b):
        if worker := self._worker(a):
            self.model.flush(worker)

    def collect(self, a, b):
        if worker := self._worker(a):
            if b & 1:
                self.model.begin(worker)
                worker.end(0, failing=False)
            self.model.collect(worker)

    def lose(self, a, b):
        """A worker dies, mostly in the middle of a call; sometimes another takes its place at once."""
        if worker := self._worker(a):
            if b & 6:
                self.model.begin(worker)
            self.model.lose(worker, rudely=bool(b & 1))
            if b & 8:
                self.model.start_worker()
                self.model.pump()

    def drain(self, a, b):
        if worker := self._worker(a):
            self.model.drain(worker)

    def kill(self, a, b):
        if worker := self._worker(a):
            self.model.kill(worker)

    def abandon(self, a, b):
        if asked := self._open_call(a):
            self.model.abandon(asked)

    def cancel(self, a, b):
        if asked := self._pick(self.model.asked, a):
            self.model.cancel(asked)

    def credit(self, a, b):
        if asked := self._pick(self.model.asked, a):
            self.model.credit(asked)

    def pass_time(self, a, b):
        self.model.pass_time(PASSED_S[a % len(PASSED_S)])

    def sweep(self, a, b):
        self.model.sweep()

    def expire(self, a, b):
        self.model.expire()

    def refuse(self, a, b):
        if b & 1:
            self.model.refuse()
        else:
            self.model.accept()


ACTIONS = (
    ["offer"] * 6
    + ["pump"] * 4
    + ["run"] * 4
    + ["begin", "end", "piece", "flush"] * 2
    + [
        "start_worker",
        "start_worker",
        "collect",
        "collect",
        "lose",
        "lose",
        "drain",
        "kill",
        "abandon",
        "abandon",
        "cancel",
        "credit",
    ]
    + ["pass_time", "pass_time", "sweep", "expire", "refuse"]
)


def play(data):
    """Play a whole schedule, and bring it to its end."""
    schedule = Schedule(model_of(data[0], data[1]))
    for at in range(2, len(data) - 2, 3):
        schedule.step(*data[at : at + 3])
    schedule.model.finish()


@st.composite
def schedules(draw):
    """Bytes for forty steps on average: of a fixed length they are drawn at once, otherwise each by itself."""
    size = 2 + draw(st.integers(MOST_STEPS, 3 * MOST_STEPS))
    return draw(st.binary(min_size=size, max_size=size))


@pytest.mark.slow
@pytest.mark.timeout(600)  # on a busy machine ten thousand schedules take minutes
@settings(
    max_examples=10_000 // TOGETHER,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.tuples(*[schedules()] * TOGETHER))
def test_ten_thousand_schedules_lose_nothing_and_answer_nobody_wrongly(found):
    for data in found:
        play(data)


class DispatcherMachine(RuleBasedStateMachine):
    workers = Bundle("workers")
    calls = Bundle("calls")

    @initialize(a=st.integers(0, 255), b=st.integers(0, 255))
    def start(self, a, b):
        self.model = model_of(a, b)

    @rule(
        target=calls,
        urgency=st.sampled_from(URGENCIES),
        timeout_s=st.sampled_from(TIMEOUTS_S),
        group=st.sampled_from(GROUPS),
        weight=st.sampled_from(WEIGHTS),
    )
    def offer(self, **said):
        asked = self.model.offer(**said)
        return multiple() if asked is None else asked

    @rule(asked=consumes(calls))
    def abandon(self, asked):
        self.model.abandon(asked)

    @rule(asked=consumes(calls))
    def cancel(self, asked):
        self.model.cancel(asked)

    @rule(asked=calls)
    def credit(self, asked):
        self.model.credit(asked)

    @rule()
    def pump(self):
        self.model.pump()

    @rule(target=workers)
    def start_worker(self):
        return self.model.start_worker()

    @rule(worker=workers, pick=st.integers(0, 5), then=st.sampled_from(["run", "begin", "end", "fail", "piece"]))
    def work(self, worker, pick, then):
        if worker not in self.model.alive:
            return
        if then in ("run", "begin"):
            self.model.begin(worker)
        if then == "piece":
            worker.say_piece(pick)
        elif then != "begin":
            worker.end(pick, failing=then == "fail")
        if then == "run":
            self.model.flush(worker)

    @rule(worker=workers, what=st.sampled_from(["flush", "collect", "drain", "kill"]))
    def handle(self, worker, what):
        if worker in self.model.alive:
            getattr(self.model, what)(worker)

    @rule(worker=consumes(workers), rudely=st.booleans())
    def lose(self, worker, rudely):
        self.model.lose(worker, rudely=rudely)

    @rule(by_s=st.sampled_from(PASSED_S), then=st.sampled_from(["sweep", "expire", "pump"]))
    def pass_time(self, by_s, then):
        self.model.pass_time(by_s)
        getattr(self.model, then)()

    @rule(what=st.sampled_from(["refuse", "accept", "accept"]))
    def refuse_or_accept(self, what):
        getattr(self.model, what)()

    @invariant()
    def all_is_well(self):
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self):
        if hasattr(self, "model"):
            self.model.finish()


TestDispatcher = DispatcherMachine.TestCase
TestDispatcher.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
