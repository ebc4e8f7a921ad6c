"""What a broker's tests have around it: functions that answer as the test says, and events."""

import asyncio
import time

from skerry.events.reading import entry_of
from skerry.payload import Event

SOON_S = 20.0


class Functions:
    """Takes parcels; answers at once where it has been told how, else when the test does."""

    def __init__(self):
        self.outcomes = {}
        self.given = []

    def __call__(self, function, parcel):
        self.given.append((function, parcel))
        if function in self.outcomes:
            asyncio.get_running_loop().call_soon(parcel.on_outcome, self.outcomes[function])


async def until(condition):
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def entry(id, type="t", **attributes):
    return entry_of(Event(type=type, source="/test", id=id, extensions=attributes))
