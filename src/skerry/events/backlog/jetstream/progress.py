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
    """

    def __init__(
        self, floor: int, done: set[int] | None = None, again: dict[int, tuple[int, float]] | None = None
    ) -> None:
        self.floor = floor
        self.done = set() if done is None else done
        self.again = {} if again is None else again
        self.waiting = 0

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


async def kept_progress(bucket: Any, name: str) -> Progress | None:
    """Return the progress of a trigger as the server has it, none where it has none."""
    from nats.js.errors import KeyNotFoundError

    try:
        return Progress.of((await bucket.get(name)).value)
    except KeyNotFoundError:
        return None
