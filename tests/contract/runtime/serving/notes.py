"""What handlers leave for the test to see, and what they wait for: files in a folder that both know."""

import asyncio
import os
import time
from pathlib import Path

LIMIT_S = 120.0  # longer than any test waits
folder = Path(os.environ["CONFORMANCE_FOLDER"])


def note(name, text="x"):
    """Add a line to a file; return the number of lines."""
    with open(folder / name, "a") as file:
        file.write(f"{text}\n")
    return len((folder / name).read_text().splitlines())


def wait_for(name):
    """Wait until the test has made a file; shows as plain code that blocks."""
    until = time.monotonic() + LIMIT_S
    while not (folder / name).exists():
        if time.monotonic() > until:
            raise TimeoutError(name)
        time.sleep(0.005)


async def wait_for_async(name):
    """Wait until the test has made a file."""
    async with asyncio.timeout(LIMIT_S):
        while not (folder / name).exists():  # noqa: ASYNC110  # files tell nobody that they are there
            await asyncio.sleep(0.005)
