"""Streaming: the results of a generator reach the caller one by one, and a caller that leaves ends the work.

Run: python examples/streaming.py
"""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import skerry

app = skerry.App("streaming")


@dataclass
class Letter:
    """One letter and its place in the text."""

    letter: str
    place: int


@app.function
def spell(text: str) -> Iterator[Letter]:
    """Yield the letters of a text."""
    for place, letter in enumerate(text, start=1):
        yield Letter(letter, place)


@app.function
def count(first: int = 0) -> Iterator[int]:
    """Count on for ever: it is the caller who ends it."""
    while True:
        yield first
        first += 1


@app.function(concurrency=8)
async def clock(ticks: int) -> AsyncIterator[str]:
    """Tick; eight of these share one worker."""
    for number in range(ticks):
        await asyncio.sleep(0.01)
        yield f"tick {number}"


async def listen() -> list[str]:
    """Return the ticks, while other tasks could run."""
    return [tick async for tick in clock.astream(3)]


def as_events(address: str) -> list[str]:
    """Return the lines of a stream of server-sent events, as a browser gets them."""
    request = urllib.request.Request(f"{address}/function/spell", data=b'"ab"', headers={"Accept": "text/event-stream"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [line.decode().strip() for line in answer if line.strip()]


def main() -> None:
    """Read streams in every way there is."""
    print("here:", [letter.letter for letter in spell("here")])
    with app.run() as running:
        for letter in spell.stream("hi"):
            print("stream:", letter)
        print("remote:", len(spell.remote("all at the end")), "letters")
        for number in count.stream(40):
            if number == 42:
                print("enough at", number)  # leaving the loop cancels the call
                break
        print("async:", asyncio.run(listen()))
        print("events:", as_events(running.address))


if __name__ == "__main__":
    main()
