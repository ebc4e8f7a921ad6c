"""How many pages of a document should go to their function at once (row P41): ``python -m benchmarks.pages``.

A chain takes a document apart, reads its pages by a function that takes what waits together, and joins what was read:
``scan``, ``each(read)``, ``join``. Reading is what a small network costs, of 4,096 dots, 1,024 hidden units and 10
letters: its 17 MB of weights go through the processor once for each call, however many pages are in it. One chain for
each size of batches; they run in turn, and the first run of each does not count.

For each size: pages/s, which is the pages of a run divided by the time from the moment in which the first of them sets
out for its function to that in which the last one's end is on record, without ``scan`` and ``join``; the time of the
whole run, with them; and the time from each page's way to its function to its end on record. **The knee
is the smallest size that reads at least 90 % of the pages/s of the best one**: a larger one makes pages wait for next
to nothing. There is none when it is the largest size that was tried, for then the curve may still rise.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.chains import engine, run
from benchmarks.measuring import facts, save, spread
from skerry.payload import MSGPACK, decode
from skerry.platforms.engine.client import EnginePlatform

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
KNEE_RATIO = 0.9

APP = """
import numpy as np

import skerry

app = skerry.App("pages", imports=("numpy",))


@app.function
def scan(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return list(generator.integers(0, 256, (count, 4096), dtype=np.uint8))


class Reader:
    def load(self) -> None:
        generator = np.random.default_rng(2)
        self.hidden = generator.normal(size=(4096, 1024)).astype(np.float32)
        self.letters = generator.normal(size=(1024, 10)).astype(np.float32)

    def __call__(self, pages: skerry.Items[np.ndarray]) -> list[list[int]]:
        dots = np.stack(pages).astype(np.float32) / 255
        letters = (np.maximum(dots @ self.hidden, 0) @ self.letters).argmax(axis=1)
        return [[letter, len(pages)] for letter in letters.tolist()]


@app.function
def join(read: list[list[int]]) -> list[list[int]]:
    return read


for size in {sizes}:
    options = {{"batch": skerry.Batch(max_size=size, objective="10s"), "scale": skerry.Scale(min=1, max=1)}}
    read = app.function(name=f"read-{{size}}", **options)(Reader)
    app.chain(f"book-{{size}}", [scan, skerry.each(read, in_flight=512), join])
"""


def find_knee(pages_per_s: Mapping[int, float]) -> int | None:
    """Return the smallest size that reads at least 90 % of the best one's pages/s; None: not within these sizes."""
    best = max(pages_per_s.values())
    knee = min(size for size, reached in pages_per_s.items() if reached >= KNEE_RATIO * best)
    return None if knee == max(pages_per_s) and len(pages_per_s) > 1 else knee


def read_book(client: EnginePlatform, size: int, count: int) -> dict[str, Any]:
    """Run the chain of one size; return what was read, and how long the run and each page took."""
    found = run(client, f"book-{size}", str(count).encode(), "separated")
    answers = decode(client.run_result(found["id"]), MSGPACK)
    pages = [step for step in found["steps"] if "/" in step["step"]]
    if len(pages) != count or found["dead"]:
        raise RuntimeError(f"{count - len(pages)} pages of {count} were not read")
    return {
        "letters": [letter for letter, _ in answers],
        "calls": sum(1 / together for _, together in answers),
        "pages_per_s": count / (max(page["ended_at"] for page in pages) - min(page["began_at"] for page in pages)),
        "run_ms": found["cost"]["took_ms"],
        "latency_ms": [(page["ended_at"] - page["began_at"]) * 1000 for page in pages],
    }


def sweep(client: EnginePlatform, sizes: Sequence[int], *, pages: int, runs: int) -> list[dict[str, Any]]:
    """Measure every size, in turn; return a row for each.

    Raises:
        RuntimeError: sizes do not read the same.
    """
    for size in sizes:
        read_book(client, size, pages)
    books: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            books[size].append(read_book(client, size, pages))
    if len({tuple(book["letters"]) for found in books.values() for book in found}) > 1:
        raise RuntimeError("not every size has read the same")
    return [_row(size, found, pages) for size, found in books.items()]


def _row(size: int, books: Sequence[Mapping[str, Any]], pages: int) -> dict[str, Any]:
    latencies = [latency for book in books for latency in book["latency_ms"]]
    return {
        "max_size": size,
        "pages_in_a_call": pages / statistics.median(book["calls"] for book in books),
        "pages_per_s": spread([book["pages_per_s"] for book in books]),
        "run_ms": spread([book["run_ms"] for book in books]),
        "latency_ms": spread(latencies),
        "latency_p95_ms": sorted(latencies)[len(latencies) * 95 // 100],
    }


def main() -> None:
    """Measure, say it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=400, help="of a document, at most 512")
    parser.add_argument("--runs", type=int, default=11, help="of each size")
    parser.add_argument("--folder", default=None, help="where the engine's folder is made")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="skerry-pages-", dir=options.folder) as folder,
        engine(Path(folder), APP.format(sizes=SIZES)) as (client, _),
    ):
        rows = sweep(client, SIZES, pages=options.pages, runs=options.runs)
    print(f"{options.pages} pages, medians of {options.runs} runs\n")
    print(" most  in a call  pages/s  [quartiles]      run ms  latency ms  p95 ms")
    for row in rows:
        rate, latency = row["pages_per_s"], row["latency_ms"]
        print(
            f"{row['max_size']:>5} {row['pages_in_a_call']:>10.1f} {rate['median']:>8.0f}  "
            f"[{rate['p25']:.0f} - {rate['p75']:.0f}]".ljust(42)
            + f"{row['run_ms']['median']:>8.1f} {latency['median']:>11.1f} {row['latency_p95_ms']:>7.1f}"
        )
    knee = find_knee({row["max_size"]: row["pages_per_s"]["median"] for row in rows})
    print(f"\nknee, the smallest size with {KNEE_RATIO:.0%} of the best pages/s: {knee or 'not within these sizes'}")
    settings = {"pages": options.pages, "runs": options.runs}
    result = {"facts": facts(["skerry", "numpy"]), "settings": settings, "rows": rows, "knee": knee}
    print(save("pages", result))


if __name__ == "__main__":
    main()
