"""Kill writers at random, again and again, and look whether the state is whole and has all that was confirmed.

Run: python -m benchmarks.state.kills [--rounds 100] [--store URL]

Three processes write batches that belong together, and note in a file each batch that was confirmed. All are ended by
SIGKILL after a random time. Then every batch must be there whole or not at all, and no confirmed one may be missing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from benchmarks.state.places import backends
from skerry.store.state import State, store_at

WRITERS = 3
GROUP = "bench/kills"


def write(url: str, writer: int, confirmed: Path) -> NoReturn:
    """Write batches until the end."""
    state = State(lambda: store_at(url), GROUP)
    notes = os.open(confirmed, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while True:
        with state.batch() as batch:
            batch.increment("total")
            batch.append(f"log/{writer}", "written")
            batch.increment(f"number/{writer}")
            batch.add("marks", random.random())
        os.write(notes, b".")


def kill_once(url: str, folder: Path) -> None:
    """Start the writers and end them."""
    pids = []
    for writer in range(WRITERS):
        pid = os.fork()
        if pid == 0:
            write(url, writer, folder / str(writer))
        pids.append(pid)
    time.sleep(random.uniform(0.02, 0.4))
    random.shuffle(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def faults(url: str, folder: Path, rounds: int) -> list[str]:
    """Return what is wrong after so many rounds."""
    state = State(lambda: store_at(url), GROUP)
    written = [state.get(f"number/{writer}") or 0 for writer in range(WRITERS)]
    notes = [folder / str(writer) for writer in range(WRITERS)]
    confirmed = [note.stat().st_size if note.exists() else 0 for note in notes]
    wrong = []
    if written != [state.size(f"log/{writer}") for writer in range(WRITERS)]:
        wrong.append(f"a list has another length than its number: {written}")
    if not sum(written) == (state.get("total") or 0) == state.size("marks"):
        wrong.append(f"{sum(written)} batches, {state.get('total')} in the total, {state.size('marks')} marks")
    if any(number < least or number > least + rounds for number, least in zip(written, confirmed, strict=True)):
        wrong.append(f"{written} written, {confirmed} confirmed")
    return wrong


def main() -> int:
    """Kill, look, and say what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--store")
    arguments = parser.parse_args()
    found = []
    with backends(arguments.store) as places:
        for name, url in places.items():
            with tempfile.TemporaryDirectory() as folder:
                for number in range(1, arguments.rounds + 1):
                    kill_once(url, Path(folder))
                    found += [f"{name}, round {number}: {fault}" for fault in faults(url, Path(folder), number)]
            total = State(lambda url=url: store_at(url), GROUP).get("total")
            print(f"{name}: {arguments.rounds} rounds, {arguments.rounds * WRITERS} kills, {total} batches")
    print("\n".join(found) or "every batch whole, none that was confirmed is missing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
