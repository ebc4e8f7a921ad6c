"""What must hold of a dispatcher whatever happens to it: a model of its callers and workers beside it."""

import collections
import functools

from skerry.errors import DeadlineExceededError, HandlerTimeoutError, QueueFullError, UnavailableError, WorkerLostError
from skerry.runtime.call import Call
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.sizing import MAX_DEPTH
from skerry.runtime.waiting import LATE_TURN
from skerry.spec import Batch, FunctionSpec
from support.dispatcher_worker import FakeWorker

TIMEOUT_S = 10.0
KINDS = ["plain", "plain", "async", "scalar batch", "async batch", "items", "async items", "stream", "async stream"]


class Asked(Call):
    """One call of the test, and all that became of it."""

    def __init__(self, name, model):
        super().__init__(name, Codec.JSON, {}, lambda answer: None, self._started)
        self.name = name
        self.answers = []
        self.pieces = []
        self.runs = 0
        self.starts = 0
        self.abandoned = False
        self.cancelled_with = None
        self.holder = None  # the worker that was given it
        self._model = model

    def on_answer(self, answer):
        assert self.is_open
        self.answers.append(answer)
        self._model.told.append(self)

    def on_piece(self, frame):
        assert self.is_open
        assert (frame.kind == Kind.STREAM) == (not self.pieces)
        if self.pieces:
            assert frame.body == b"%b/%d" % (self.name, len(self.pieces))
        self.pieces.append(frame)

    def _started(self, attempt):
        self.starts += 1
        assert attempt == self.attempts

    @property
    def is_open(self):
        return not self.answers and not self.abandoned

    @property
    def is_late(self):
        """Whether it, or one of its urgency that came after it, was set aside."""
        return self.arrival <= self._model.late_through.get(self.urgency, 0)

    @property
    def rank(self):
        return self.urgency, self.is_late, self.arrival


@functools.cache  # thousands of histories have one of a few hundred
def _spec_of(kind, queue, idempotent, max_in_flight, max_weight):
    batch = Batch(max_size=4, objective="1s", max_weight=max_weight) if "batch" in kind or "items" in kind else None
    return FunctionSpec(
        name="f",
        queue=queue,
        concurrency=3 if "async" in kind else 1,
        idempotent=idempotent,
        max_in_flight=max_in_flight,
        timeout=f"{TIMEOUT_S:g}s",
        batch=batch,
    )


class DispatcherModel:
    """Drives one dispatcher; each method is one thing that may happen.

    Args:
        kind: One of `KINDS`: what the workers are.
        queue: The function's option, as are `idempotent` and `max_in_flight`.
        service_s: What is known of a call's duration, none for nothing.
        max_weight: Of a batch.
    """

    def __init__(self, kind, *, queue, idempotent, max_in_flight=0, service_s=None, max_weight=None):
        self.spec = _spec_of(kind, queue, idempotent, max_in_flight, max_weight)
        self._takes_items, self._streams = "items" in kind, "stream" in kind
        self.now = 100.0
        self.demands = 0
        self.dispatcher = Dispatcher(
            self.spec, clock=lambda: self.now, on_demand=self._demanded, on_drained=self._drained
        )
        self.dispatcher.sizing.service_s = service_s
        self.asked = []
        self._open = []  # those that were open when it was looked last: none opens again
        self.alive = []
        self.told = []  # calls in the order in which their callers were told
        self.refused = False
        self.late_through = {}  # by urgency: the last arrival that was set aside
        self.passed_by = collections.Counter()  # by urgency: calls that were given since a late one was
        self._set_aside, self.dispatcher.waiting.set_aside = self.dispatcher.waiting.set_aside, self.set_aside

    def _demanded(self):
        assert not self.alive
        self.demands += 1

    def _drained(self, slot):
        assert not slot.outstanding
        slot.port.told_to_stop += 1

    # Calls

    def offer(self, *, urgency=3, timeout_s=None, group=None, weight=1.0):
        """Offer a call; return it, or none when it is not taken."""
        asked = Asked(b"%d" % len(self.asked), self)
        asked.urgency, asked.timeout_s, asked.group, asked.weight = urgency, timeout_s, group, weight
        before, demands = self.dispatcher.queued, self.demands
        room = self.dispatcher._free_room()
        try:
            self.dispatcher.offer(asked)
        except QueueFullError as error:
            assert before >= self.spec.queue + room
            assert error.details["retry_after_s"] >= 1  # noqa: PT017  # not raising is fine as well
            return None
        except UnavailableError:
            assert self.refused
            return None
        assert not self.refused
        assert before < self.spec.queue + room
        assert self.demands == demands + (not self.alive)
        self.asked.append(asked)
        self._open.append(asked)
        return asked

    def abandon(self, asked):
        """The caller leaves."""
        running = asked.holder if asked.is_open else None
        if asked.is_open:
            asked.abandoned = True
        self.dispatcher.abandon(asked)
        if running is not None:  # the worker is asked to stop, and stays busy until it answers
            assert asked.number == running.cancelled[-1]
            assert asked.number in running.slot.outstanding

    def cancel(self, asked):
        """Somebody else ends the call."""
        was_open, holder = asked.is_open, asked.holder
        asked.cancelled_with = UnavailableError("cancelled")
        self.dispatcher.cancel(asked, asked.cancelled_with)
        if was_open:
            assert asked.answers == [asked.cancelled_with]
            assert holder is None or asked.number == holder.cancelled[-1]
            if holder is not None and self.spec.concurrency == 1 and not holder.takes_items:
                assert holder.killed == (holder.last_begun == asked.number) or holder.slot.reason is not None
        else:
            assert asked.cancelled_with not in asked.answers

    def credit(self, asked):
        """The caller takes some of a stream."""
        holder = asked.holder if asked.is_open else None
        before = {worker: len(worker.credited) for worker in self.alive}
        self.dispatcher.credit(asked, 7)
        for worker in self.alive:
            assert worker.credited[before[worker] :] == ([(asked.number, 7)] if worker is holder else [])

    def pump(self):
        """Hand out; afterwards nobody waits for whom there is room."""
        self.dispatcher.pump()
        in_flight = sum(asked.is_open and asked.holder is not None for asked in self.asked)
        if not self.spec.max_in_flight or in_flight < self.spec.max_in_flight:
            for worker in self.alive:
                is_free = len(worker.asked) < self.spec.concurrency and not worker.killed and not worker.slot.draining
                assert not is_free or not self.waiting()

    # What workers are given

    def waiting(self):
        """Return the calls that wait, in the order in which they are to be served."""
        return sorted((a for a in self.asked if a.is_open and a.holder is None), key=lambda a: a.rank)

    def given(self, worker, frame):
        """Check one call that a worker is given."""
        asked = self.asked[int(frame.body)]
        assert asked.is_open
        assert asked.holder is None
        assert not asked.pieces
        if asked.returned < 10:
            assert frame.meta.get("attempt", 1) == asked.runs + 1
        if asked.deadline_s is None:
            assert frame.time == 0
        else:
            assert asked.deadline_s > self.now
            assert 1 <= frame.time <= 1000 * (asked.deadline_s - self.now) + 1
        return asked

    def set_aside(self, enqueued_before_s):
        """Calls are late: only with an objective, and only when they have waited for most of it."""
        late = {asked.urgency for asked in self.waiting() if asked.is_late}
        for asked in self.waiting():
            if asked.enqueued_s < enqueued_before_s:
                assert self.spec.batch is not None
                if asked.urgency not in late:
                    late.add(asked.urgency)
                    self.passed_by[asked.urgency] = 0
                through = self.late_through.get(asked.urgency, 0)
                self.late_through[asked.urgency] = max(through, asked.arrival)
        self._set_aside(enqueued_before_s)

    def check_lot(self, lot):
        """Check the calls that a worker is given together: the first of those that wait, or of their group."""
        waiting = self.waiting()
        if self.spec.batch is not None:
            assert len(lot) <= self.spec.batch.max_size
            first = waiting[0]
            if lot[0] is not first:  # the oldest late one has its turn
                assert self.passed_by[first.urgency] >= LATE_TURN
                first = next(a for a in waiting if a.is_late)
                assert lot[0] is first
                waiting.remove(first)
                waiting.insert(0, first)
            self._count_passing(lot, [a for a in waiting if a.is_late and a.urgency == first.urgency])
            waiting = [a for a in waiting if (a.urgency, a.group) == (first.urgency, first.group)]
            most = self.spec.batch.max_weight
            assert len(lot) == 1 or most is None or sum(a.weight for a in lot) <= most
            assert len(lot) == 1 or not any(a.runs for a in lot)  # one of them may end a worker once more
        assert len(lot) <= MAX_DEPTH
        assert lot == waiting[: len(lot)]
        for asked in lot:
            asked.holder = next(worker for worker in self.alive if asked.number in worker.asked)

    def _count_passing(self, lot, late):
        """Count the calls in time that went before the oldest late one."""
        urgency = lot[0].urgency
        self.passed_by[urgency] = 0 if lot[0].is_late else self.passed_by[urgency] + 1
        oldest = next((asked for asked in late if asked is not lot[0]), None)
        if oldest in lot:
            self.passed_by[urgency] = 0
        elif oldest is not None:
            self.passed_by[urgency] += sum(not asked.is_late for asked in lot[1:])

    # Workers

    def start_worker(self):
        """Count a worker in."""
        worker = FakeWorker(
            self, takes_items=self._takes_items, streams=self._streams, concurrency=self.spec.concurrency
        )
        self.alive.append(worker)
        self.dispatcher.worker_ready(worker.slot)
        return worker

    def begin(self, worker):
        """Have a worker begin what is next."""
        for asked in worker.begin():
            asked.runs += 1
            assert asked.runs <= (2 if self.spec.idempotent else 1)

    def hear(self, worker, frames):
        """Let the dispatcher have frames of a worker; callers are told in the order of the frames."""
        told = len(self.told)
        wanted = [asked for asked in worker.answers_in(frames) if asked.is_open]
        self.dispatcher.heard(worker.slot, frames)
        late = [asked for asked in self.told[told:] if asked not in wanted]  # found late when the next were handed out
        assert [asked for asked in self.told[told:] if asked in wanted] == wanted
        assert all(isinstance(asked.answers[0], DeadlineExceededError) for asked in late)
        for asked in wanted:
            [answer] = asked.answers
            assert isinstance(answer, Frame)
            assert answer.body == asked.name

    def flush(self, worker):
        """Send what a worker has ready."""
        self.hear(worker, worker.flush())

    def collect(self, worker):
        """Take what a worker holds back; it is sent again later. Streams and what runs concurrently is sent at once."""
        if self.spec.concurrency == 1 and not worker.streams:
            self.hear(worker, worker.flush(keep=True))

    def lose(self, worker, *, rudely):
        """Count a worker out; ``rudely``: what it had ready is lost as well."""
        if not rudely:
            self.flush(worker)
        held = {number for lot in worker.held for number in lot}
        open_calls = {number: asked for number, asked in worker.asked.items() if asked.is_open}
        verdicts = {n: self._verdict(worker, n, asked, begun=n not in held) for n, asked in open_calls.items()}
        self.alive.remove(worker)
        for asked in worker.asked.values():
            asked.holder = None
        self.dispatcher.worker_lost(worker.slot)
        for number, asked in open_calls.items():
            assert [type(answer) for answer in asked.answers] == verdicts[number]
            assert worker.slot.reason not in asked.answers or number == worker.last_begun or worker.takes_items
        assert not worker.slot.outstanding

    def _verdict(self, worker, number, asked, *, begun):
        if not begun and asked.returned < 10:
            return []
        if worker.slot.reason is not None and (number == worker.last_begun or worker.takes_items):
            return [type(worker.slot.reason)]
        return [] if self.spec.idempotent and asked.runs < 2 and not asked.pieces else [WorkerLostError]

    def drain(self, worker):
        """Give a worker nothing more."""
        self.dispatcher.drain(worker.slot)

    def kill(self, worker):
        """End a worker."""
        self.dispatcher.kill(worker.slot, HandlerTimeoutError("killed"))
        assert worker.killed

    # Time and refusal

    def pass_time(self, by_s):
        """Let time pass; nothing else happens yet."""
        self.now += by_s

    def sweep(self):
        """End what has taken too long."""
        before = self.waiting()
        self.dispatcher.sweep()
        for asked in before:
            late = self.now - asked.enqueued_s > TIMEOUT_S
            assert [type(answer) for answer in asked.answers] == ([DeadlineExceededError] if late else [])

    def expire(self):
        """Tell callers whose deadlines have passed."""
        before = [asked for asked in self.asked if asked.is_open]
        self.dispatcher.expire()
        for asked in before:
            late = asked.deadline_s is not None and asked.deadline_s <= self.now
            assert [type(answer) for answer in asked.answers] == ([DeadlineExceededError] if late else [])
            if late and asked.holder is not None:
                assert asked.number in asked.holder.cancelled

    def refuse(self):
        """Nothing can start."""
        self.refused = True
        self.dispatcher.refuse(UnavailableError("nothing can start"))
        assert self.dispatcher.queued == 0

    def accept(self):
        """Something can."""
        self.refused = False
        self.dispatcher.accept()

    # What always holds

    def check(self):
        """Check counts and what workers hold; runs and answers are checked where they happen."""
        dispatcher = self.dispatcher
        open_calls = self._open = [asked for asked in self._open if not asked.answers and not asked.abandoned]
        waiting = [asked for asked in open_calls if asked.holder is None]
        assert dispatcher.in_system == len(open_calls)
        assert dispatcher.queued == len(waiting)
        assert dispatcher.in_flight == len(open_calls) - len(waiting)
        assert [a for a in dispatcher.waiting if not a.done] == sorted(waiting, key=lambda a: a.rank)
        assert len(dispatcher.waiting) <= 2 * len(waiting) + 20
        deadlines = [asked.deadline_s for asked in open_calls if asked.deadline_s is not None]
        assert dispatcher.next_deadline_s() == min(deadlines, default=None)
        if self.spec.max_in_flight:
            assert dispatcher.in_flight <= self.spec.max_in_flight
        for worker in self.alive:
            assert set(worker.slot.outstanding) == set(worker.asked)
            assert worker.told_to_stop == (worker.slot.draining and not worker.asked)

    def finish(self):
        """Bring everything to its end: each caller is told exactly once, by a worker where no other has told it."""
        self.dispatcher.close()
        for worker in list(self.alive):
            self.lose(worker, rudely=False)
            self.check()
        fresh = self.start_worker()
        while self.dispatcher.in_system:
            self.pump()
            self.expire()
            while fresh.held or fresh.begun:
                self.begin(fresh)
                self.end_all(fresh)
        assert not fresh.slot.outstanding
        assert not self.dispatcher.is_busy
        for asked in self.asked:
            assert len(asked.answers) + asked.abandoned == 1
            for answer in asked.answers:
                assert not isinstance(answer, Frame) or asked.runs >= 1
        self.dispatcher.drain(fresh.slot)
        assert fresh.told_to_stop == 1

    def end_all(self, worker):
        """Have a worker end what it runs."""
        while worker.begun:
            worker.end(0, failing=False)
        self.flush(worker)
