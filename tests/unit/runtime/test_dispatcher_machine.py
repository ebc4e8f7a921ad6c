"""Random histories of one dispatcher against a plain model of what its workers have been sent."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from skerry.errors import HandlerTimeoutError, QueueFullError, UnavailableError, WorkerLostError
from skerry.runtime.call import Call, Slot
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.frames import Codec, Frame, FrameReader, Kind
from skerry.spec import FunctionSpec

TIMEOUT_S = 10.0


class Worker:
    """A fake worker: takes frames, begins calls in order, answers them when told to."""

    def __init__(self):
        self.reader = FrameReader()
        self.held = []  # numbers it has been given and has not begun, in order
        self.begun = []  # numbers it has begun and not answered
        self.bodies = {}
        self.last_begun = 0
        self.killed = False
        self.given = []  # names of all calls, in the order in which they came
        self.told_to_stop = 0
        self.slot = Slot(self)

    def send(self, data):
        for frame in self.reader.feed(data):
            if frame.kind == Kind.CALL:
                self.held.append(frame.number)
                self.bodies[frame.number] = frame.body
                self.given.append(int(frame.body))

    def kill(self):
        self.killed = True

    def running(self):
        return self.last_begun


class Asked:
    """One call of the test, and all that became of it."""

    def __init__(self, name):
        self.name = name
        self.answers = []
        self.runs = 0
        self.abandoned = False
        self.cancelled = False
        self.call = Call(name, Codec.JSON, {}, self.answers.append)


class DispatcherMachine(RuleBasedStateMachine):
    workers = Bundle("workers")
    calls = Bundle("calls")

    @initialize(
        queue=st.integers(0, 6),
        concurrency=st.sampled_from([1, 1, 3]),
        idempotent=st.booleans(),
        service_s=st.sampled_from([None, 0.0001, 0.001]),
    )
    def begin(self, queue, concurrency, idempotent, service_s):
        self.now = 100.0
        self.spec = FunctionSpec(
            name="f", queue=queue, concurrency=concurrency, idempotent=idempotent, timeout=f"{TIMEOUT_S:g}s"
        )
        self.demands = 0
        self.dispatcher = Dispatcher(
            self.spec, clock=lambda: self.now, on_demand=self._demanded, on_drained=self._drained
        )
        self.dispatcher.service_s = service_s
        self.asked = []
        self.alive = []
        self.refused = False

    def _demanded(self):
        self.demands += 1

    def _drained(self, slot):
        slot.port.told_to_stop += 1

    # Calls

    @rule(target=calls)
    def offer(self):
        asked = Asked(b"%d" % len(self.asked))
        before, demands = self.dispatcher.queued, self.demands
        try:
            self.dispatcher.offer(asked.call)
        except QueueFullError as error:
            assert before >= self.spec.queue
            assert error.details["retry_after_s"] >= 1  # noqa: PT017  # not raising is fine as well
            return multiple()
        except UnavailableError:
            assert self.refused
            return multiple()
        assert not self.refused
        assert before < self.spec.queue + self.dispatcher._free_room()
        assert self.demands == demands + (not self.alive)
        self.asked.append(asked)
        return asked

    @rule(asked=consumes(calls))
    def abandon(self, asked):
        if not asked.answers:
            asked.abandoned = True
        self.dispatcher.abandon(asked.call)

    @rule(asked=consumes(calls))
    def cancel(self, asked):
        if not asked.answers and not asked.abandoned:
            asked.cancelled = True
        self.dispatcher.cancel(asked.call, UnavailableError("cancelled"))

    @rule()
    def pump(self):
        waiting = sorted(int(call.body) for call in self.dispatcher.queue if not call.done)
        before = {worker: len(worker.given) for worker in self.alive}
        self.dispatcher.pump()
        given = [name for worker in self.alive for name in worker.given[before[worker] :]]
        assert sorted(given) == waiting[: len(given)]  # the oldest of those that waited
        assert all(w.given[before[w] :] == sorted(w.given[before[w] :]) for w in self.alive)
        assert not self.alive or self.dispatcher.queued == 0 or not self.dispatcher._free_room()

    # Workers

    @rule(target=workers)
    def start_worker(self):
        worker = Worker()
        self.dispatcher.worker_ready(worker.slot)
        self.alive.append(worker)
        return worker

    @rule(worker=workers)
    def begin_next(self, worker):
        if worker not in self.alive or not worker.held or len(worker.begun) >= self.spec.concurrency:
            return
        number = worker.held.pop(0)
        worker.begun.append(number)
        worker.last_begun = number
        asked = self.asked[int(worker.bodies[number])]
        asked.runs += 1

    @rule(worker=workers, pick=st.integers(0, 5))
    def answer(self, worker, pick):
        if worker not in self.alive or not worker.begun:
            return
        number = worker.begun.pop(pick % len(worker.begun))
        body = worker.bodies.pop(number)
        self.dispatcher.answered(worker.slot, Frame(Kind.RESULT, number, Codec.JSON, {}, body))

    @rule(worker=workers)
    def lose(self, worker):
        if worker in self.alive:
            self.alive.remove(worker)
            self.dispatcher.worker_lost(worker.slot)

    @rule(worker=workers)
    def drain(self, worker):
        if worker in self.alive:
            self.dispatcher.drain(worker.slot)

    @rule(worker=workers)
    def kill(self, worker):
        if worker in self.alive:
            self.dispatcher.kill(worker.slot, HandlerTimeoutError("killed"))
            assert worker.killed

    # Time and refusal

    @rule(by_s=st.sampled_from([0.0, 0.5, 6.0, 11.0]))
    def pass_time(self, by_s):
        self.now += by_s
        self.dispatcher.sweep()

    @rule()
    def refuse(self):
        self.refused = True
        self.dispatcher.refuse(UnavailableError("nothing can start"))
        assert self.dispatcher.queued == 0

    @precondition(lambda self: self.refused)
    @rule()
    def accept(self):
        self.refused = False
        self.dispatcher.accept()

    # What always holds

    @invariant()
    def counts_are_what_is_there(self):
        if not hasattr(self, "dispatcher"):
            return
        open_calls = [asked for asked in self.asked if not asked.answers and not asked.abandoned]
        waiting = [asked for asked in open_calls if asked.call.slot is None]
        assert self.dispatcher.in_system == len(open_calls)
        assert self.dispatcher.queued == len(waiting)
        assert self.dispatcher.in_flight == len(open_calls) - len(waiting)
        assert len(self.dispatcher.queue) <= 2 * len(waiting) + 20

    @invariant()
    def answers_are_right(self):
        for asked in getattr(self, "asked", ()):
            assert len(asked.answers) <= 1
            for answer in asked.answers:
                if isinstance(answer, Frame):
                    assert answer.body == asked.name
                    assert asked.runs >= 1
            assert asked.runs <= (2 if self.spec.idempotent else 1)

    @invariant()
    def workers_hold_no_more_than_they_may(self):
        for worker in getattr(self, "alive", ()):
            if self.spec.concurrency > 1:
                assert len(worker.slot.outstanding) <= self.spec.concurrency
            assert worker.told_to_stop <= 1
            if worker.told_to_stop:
                assert not worker.held
                assert not worker.begun

    def teardown(self):
        if not hasattr(self, "dispatcher"):
            return
        self.dispatcher.close()
        assert self.dispatcher.refusal is not None
        for worker in list(self.alive):  # the old ones end, what they held is settled
            self.lose(worker)
        fresh = Worker()
        self.alive.append(fresh)
        self.dispatcher.worker_ready(fresh.slot)
        while self.dispatcher.in_system:
            self.dispatcher.pump()
            assert fresh.held
            while fresh.held or fresh.begun:
                self.begin_next(fresh)
                self.answer(fresh, 0)
        assert not fresh.slot.outstanding
        assert not self.dispatcher.is_busy
        for asked in self.asked:
            assert asked.answers or asked.abandoned
            if asked.cancelled:
                assert isinstance(asked.answers[0], UnavailableError)
            if asked.runs == 2 and asked.answers:
                assert isinstance(asked.answers[0], Frame | WorkerLostError | HandlerTimeoutError | UnavailableError)
        self.dispatcher.drain(fresh.slot)
        assert fresh.told_to_stop == 1


TestDispatcher = DispatcherMachine.TestCase
TestDispatcher.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
