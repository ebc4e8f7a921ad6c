"""An async function that calls another one many times at once: one worker waits, others work.

Run: python examples/async_fan_out.py
"""

import asyncio
import time

import skerry

app = skerry.App("weather")
STATIONS = [f"station-{number}" for number in range(20)]


@app.function(concurrency=50, scale=skerry.Scale(max=1))
async def measure(station: str) -> float:
    """Wait for a slow sensor; one worker waits for fifty of them at a time."""
    await asyncio.sleep(0.2)
    return sum(map(ord, station)) % 30 / 2


@app.function(scale=skerry.Scale(max=1))
def warmest(stations: list[str]) -> tuple[str, float]:
    """Ask every station, from inside a worker, and return the warmest."""
    degrees = list(measure.map(stations))
    return max(zip(stations, degrees, strict=True), key=lambda pair: pair[1])


def main() -> None:
    """Find the warmest station."""
    with app.run():
        measure.remote("first")  # so that the clock does not count the start
        before_s = time.perf_counter()
        station, degrees = warmest.remote(STATIONS)
        took_s = time.perf_counter() - before_s
        print(f"{station} with {degrees} degrees")
        print("all at once" if took_s < 0.2 * len(STATIONS) / 2 else f"one after the other: {took_s:.1f} s")


if __name__ == "__main__":
    main()
