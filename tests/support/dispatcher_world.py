"""A dispatcher between callers and workers that are played by the test."""

from skerry.runtime.call import Call, Slot
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.frames import Codec, Frame, FrameReader, Kind
from skerry.spec import FunctionSpec


class Port:
    """A worker's connection: keeps what it is sent."""

    def __init__(self):
        self.frames = []
        self.cancelled = []
        self.killed = False
        self.begun = 0
        self._reader = FrameReader()

    def send(self, data):
        self.frames += self._reader.feed(data)

    def cancel(self, number):
        self.cancelled.append(number)

    def kill(self):
        self.killed = True

    def kill_traced(self):
        self.kill()

    def running(self):
        return self.begun

    @property
    def bodies(self):
        return [frame.body for frame in self.frames if frame.kind == Kind.CALL]

    @property
    def batches(self):
        """Return the bodies of calls that came together, by the BATCH frames before them."""
        found, left = [], 0
        for frame in self.frames:
            if frame.kind == Kind.BATCH:
                assert left == 0
                left = frame.number
                found.append([])
            elif left:
                assert frame.kind == Kind.CALL
                found[-1].append(frame.body)
                left -= 1
        assert left == 0
        return found


class World:
    """One dispatcher, its clock, and what it told its callers, by the names of their calls."""

    def __init__(self, **options):
        self.now = 0.0
        self.demands = 0
        self.drained = []
        self.empty = 0
        self.answers = {}
        self.pieces = {}
        self.dispatcher = Dispatcher(
            FunctionSpec(name="f", **options),
            clock=lambda: self.now,
            on_demand=lambda: setattr(self, "demands", self.demands + 1),
            on_drained=self.drained.append,
            on_empty=lambda: setattr(self, "empty", self.empty + 1),
        )

    def offer(self, *names, **said):
        """Offer calls with these names; ``said`` are attributes of them, such as their urgency."""
        calls = [Call(n.encode(), Codec.JSON, {}, lambda a, n=n: self.answers.setdefault(n, a)) for n in names]
        for name, call in zip(names, calls, strict=True):
            call.on_piece = self.pieces.setdefault(name, []).append
            for attribute, value in said.items():
                setattr(call, attribute, value)
            self.dispatcher.offer(call)
        return calls[-1]

    def worker(self, *, takes_items=False, streams=False):
        slot = Slot(Port())
        slot.takes_items, slot.streams = takes_items, streams
        self.dispatcher.worker_ready(slot)
        return slot

    def answer(self, slot, number=None):
        number = number or next(iter(slot.outstanding))
        slot.port.begun = number
        self.say(slot, Kind.RESULT, number, b"answer")

    def say(self, slot, kind, number, body=b"", **meta):
        """Have a worker send one frame."""
        self.dispatcher.heard(slot, [Frame(kind, number, Codec.JSON, meta, body)])

    def waiting(self):
        """Return the bodies of the calls that wait, in order."""
        return [call.body for call in self.dispatcher.waiting if not call.done]
