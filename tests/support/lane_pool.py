"""Pools without processes behind a split: a real dispatcher, and workers that the test plays."""

from skerry.observe import Registry, ServingMetrics
from skerry.runtime.call import Slot
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.exchange import Exchange
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.observer import FunctionObserver
from skerry.spec import FunctionSpec
from support.dispatcher_world import Port


class LanePool:
    """Stands where a `WorkerPool` would stand.

    Args:
        clock: Returns the time.
        workers: Workers that are ready.
        options: Of the function.
    """

    def __init__(self, clock=lambda: 0.0, *, workers=0, **options):
        self.spec = FunctionSpec(name="f", **options)
        self.dispatcher = Dispatcher(
            self.spec, clock=clock, on_demand=lambda: None, on_drained=lambda _: None, on_empty=lambda: None
        )
        self.credited = []
        self.served = 0
        metrics = ServingMetrics(Registry()).function("f", "f-1", queued=int, active=int, workers=dict)
        self.dispatcher.observer = FunctionObserver(metrics, None)
        for _ in range(workers):
            self.start()

    def start(self):
        slot = Slot(Port())
        self.dispatcher.worker_ready(slot)
        return slot

    # What a split needs

    def take(self, call):
        self.dispatcher.offer(call)

    def wake(self):
        pass

    def leave(self, call):
        self.dispatcher.abandon(call)

    def starts(self):
        return ()

    def credit(self, call, size_bytes):
        self.credited.append((call, size_bytes))

    # What the workers do

    def say(self, kind=Kind.RESULT, body=b"1", *, ending=True, codec=Codec.JSON, **meta):
        """Have the workers say something about one call each; return how many did."""
        self.dispatcher.pump()
        said = 0
        for slot in list(self.dispatcher.slots):
            if slot.outstanding:
                number = next(iter(slot.outstanding))
                slot.port.begun = number
                self.dispatcher.heard(slot, [Frame(kind, number, codec, meta, body)])
                said += 1
                self.served += ending
        return said

    def serve_all(self, body=b"1", **rest):
        while self.say(body=body, **rest):
            continue

    def close(self, error):
        """Refuse whatever waits and whatever comes."""
        self.dispatcher.refuse(error)


class Client:
    """A channel that keeps what its one request is answered with."""

    trusted = True

    def __init__(self, body=b"1", headers=()):
        self.answers = []
        self.exchange = Exchange(self)
        self.exchange.body = body
        self.exchange.headers = list(headers)

    def flush(self):
        if self.exchange.answer is not None:
            self.answers.append(self.exchange.answer)
            self.exchange.answer = None

    def send(self, exchange, answer):
        self.answers.append(answer)

    @property
    def status(self):
        """Return the status of the answer; none without one, and two never are."""
        assert len(self.answers) <= 1 or self.exchange.streaming
        return int(self.answers[0].split()[1]) if self.answers else None
