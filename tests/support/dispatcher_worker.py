"""A worker as it behaves towards a dispatcher, played without a process."""

from skerry.runtime.call import Slot
from skerry.runtime.frames import NO_META, Codec, Frame, FrameReader, Kind


class FakeWorker:
    """Takes frames, begins calls in order, and answers them when told to.

    Args:
        model: Is told of each lot of calls.
        takes_items: Calls come in groups, and are begun together.
        streams: Answers come in pieces.
        concurrency: Most calls that it begins before others have ended.
    """

    def __init__(self, model, *, takes_items, streams, concurrency):
        self.slot = Slot(self)
        self.slot.takes_items, self.slot.streams = takes_items, streams
        self.takes_items, self.streams, self.concurrency = takes_items, streams, concurrency
        self.held = []  # lots of numbers that are begun together, in the order in which they came
        self.begun = []  # numbers that run
        self.sent_pieces = {}  # by number
        self.unsent = []  # frames that are ready and have not left
        self.asked = {}  # by number: what the front waits for
        self.last_begun = 0
        self.killed = False
        self.told_to_stop = 0
        self.cancelled = []
        self.credited = []
        self._model = model
        self._reader = FrameReader()

    # The front's side: a port

    def send(self, data):
        group = 0  # calls of the present group that are to come
        lot = []
        for frame in self._reader.feed(data):
            if frame.kind == Kind.CALL:
                assert bool(group) == self.takes_items
                lot.append(frame)
                group -= self.takes_items
                if self.takes_items and not group:
                    self._take_lot(lot, together=True)
                    lot = []
            elif frame.kind == Kind.BATCH:
                assert self.takes_items
                assert not group
                assert frame.number >= 1
                group = frame.number
            elif frame.kind == Kind.CREDIT:
                assert not group
                self.credited.append((frame.number, frame.time))
            else:
                raise AssertionError(f"nothing else is sent: {frame}")
        assert not group
        if lot:
            self._take_lot(lot, together=False)

    def cancel(self, number):
        assert number in self.asked
        self.cancelled.append(number)

    def kill(self):
        self.killed = True

    def kill_traced(self):
        self.kill()

    def running(self):
        return self.last_begun

    def _take_lot(self, frames, *, together):
        assert not self.killed
        assert not self.slot.draining
        if self.concurrency == 1:
            assert not self.asked
        for frame in frames:
            assert 0 < frame.number < 2**32
            assert frame.number not in self.asked
            self.asked[frame.number] = self._model.given(self, frame)
        assert len(self.asked) <= self.concurrency or self.concurrency == 1
        self._model.check_lot([self.asked[frame.number] for frame in frames])
        numbers = [frame.number for frame in frames]
        self.held += [numbers] if together else [[number] for number in numbers]

    # The handler's side

    def begin(self):
        """Begin what is next, if there is room; return the calls."""
        if not self.held or self.killed or (self.begun and len(self.begun) + len(self.held[0]) > self.concurrency):
            return []
        numbers = self.held.pop(0)
        self.begun += numbers
        self.last_begun = numbers[-1]
        return [self.asked[number] for number in numbers]

    def say_piece(self, pick):
        """Begin the answer of a running call, or add a piece to it."""
        if not self.begun or not self.streams:
            return
        number = self.begun[pick % len(self.begun)]
        count = self.sent_pieces.get(number, 0)
        if count:
            self._say(Kind.PIECE, number, b"%b/%d" % (self.asked[number].name, count))
        else:
            self._say(Kind.STREAM, number, meta={"content_type": "application/x-ndjson"})
        self.sent_pieces[number] = count + 1

    def end(self, pick, *, failing):
        """End a running call."""
        if not self.begun:
            return
        number = self.begun.pop(pick % len(self.begun) if self.concurrency > 1 or self.takes_items else 0)
        name = self.asked[number].name
        count = self.sent_pieces.pop(number, 0)
        if failing:
            self._say(Kind.ERROR, number, name, meta={"status": 500})
        elif self.streams:
            if not count:
                self._say(Kind.STREAM, number, meta={"content_type": "application/x-ndjson"})
            self._say(Kind.END, number, name)
        else:
            self._say(Kind.RESULT, number, name)

    def flush(self, *, keep=False):
        """Return the frames that are ready; kept ones leave once more later."""
        frames = list(self.unsent)
        if not keep:
            self.unsent.clear()
        return frames

    def answers_in(self, frames):
        """Note that the front has read these; return the calls that they end."""
        ended = [f.number for f in frames if f.kind in (Kind.RESULT, Kind.ERROR, Kind.END)]
        return [self.asked.pop(number) for number in ended if number in self.asked]

    def _say(self, kind, number, body=b"", *, meta=NO_META):
        self.unsent.append(Frame(kind, number, Codec.JSON, meta, body))
