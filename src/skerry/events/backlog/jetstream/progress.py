"""How far one trigger has come along a stream: pure, and as it is kept."""

from __future__ import annotations

from typing import Any

import orjson


class Progress:
    """What a trigger has dealt with: everything up to the floor, and some messages above it.

    Args:
        floor: Sequence of the last message of those that are all dealt with.
        done: Those above it that are dealt with.
        again: Attempts and time of the next one of those that have failed, by sequence.

    Attributes:
        waiting: How many messages wait for the trigger, as far as is known.
        counted_to: Sequence up to which that was counted in the stream.
        expected: Sequences of later ones that were counted when they were written, and have not been read.
    """

    def __init__(
        self, floor: int, done: set[int] | None = None, again: dict[int, tuple[int, float]] | None = None
    ) -> None:
        self.floor = floor
        self.done = set() if done is None else done
        self.again = {} if again is None else again
        self.waiting = 0
        self.counted_to = 0
        self.expected: set[int] = set()

    @classmethod
    def of(cls, kept: bytes) -> Progress:
        """Return what `encode` has written."""
        values = orjson.loads(kept)
        done = {number for first, last in values["done"] for number in range(first, last + 1)}
        again = {int(number): (attempts, due_at) for number, (attempts, due_at) in values["again"].items()}
        return cls(values["floor"], done, again)

    def encode(self) -> bytes:
        """Return the progress as it is kept: what is done as ranges."""
        ranges: list[list[int]] = []
        for number in sorted(self.done):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        values: dict[str, Any] = {"floor": self.floor, "done": ranges}
        return orjson.dumps({**values, "again": {str(number): kept for number, kept in self.again.items()}})

    def expect(self, number: int, read_to: int) -> None:
        """Count a message that was written.

        Args:
            number: Its sequence.
            read_to: Sequence of the last message that was read: one that was read before this is counted already.
        """
        if number > read_to:
            self.expected.add(number)
            self.waiting += 1

    def meet(self, number: int) -> None:
        """Count a message that is read, unless it was: who wrote it may not have been told that it was written."""
        if number in self.expected:
            self.expected.discard(number)
        elif number > self.counted_to:
            self.waiting += 1

    def finish(self, number: int) -> None:
        """Note that a message is dealt with."""
        self.again.pop(number, None)
        if number <= self.floor:
            return
        self.done.add(number)
        while self.floor + 1 in self.done:
            self.floor += 1
            self.done.discard(self.floor)

    def has_finished(self, number: int) -> bool:
        """Whether a message is dealt with."""
        return number <= self.floor or number in self.done
