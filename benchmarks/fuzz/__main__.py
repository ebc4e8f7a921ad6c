"""``python -m benchmarks.fuzz --minutes 10``: throw damaged bytes at all that reads bytes of others.

Half of the time goes to the HTTP front over real sockets (`front.py`), a quarter each to the reader of frames
(`frames.py`) and to a front whose workers misbehave (`worker.py`). Every finding is kept in `seeds/`, where a test
replays it. Exit code 1 when there was one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.frames import fuzz_frames
from benchmarks.fuzz.front import fuzz_front
from benchmarks.fuzz.worker import fuzz_workers
from benchmarks.measuring import facts, save

VERSIONS = ("skerry", "uvloop", "httptools", "msgpack")
Part = Callable[[float, int, Findings, Path], Mapping[str, int | str]]
PARTS: dict[str, tuple[float, Part]] = {
    "frames": (0.25, fuzz_frames),
    "worker": (0.25, fuzz_workers),
    "http": (0.5, fuzz_front),
}


def main() -> int:
    """Run all parts, or one; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=PARTS, help="this part alone, for all of the time")
    parser.add_argument("--save-as", default="-", help="name of the result; - does not save it")
    options = parser.parse_args()
    findings = Findings()
    result: dict[str, object] = {"minutes": options.minutes, "seed": options.seed}
    with tempfile.TemporaryDirectory() as name:
        for part, (share, run) in PARTS.items():
            if options.part in (None, part):
                seconds = 60 * options.minutes * (1.0 if options.part else share)
                result[part] = figures = dict(run(seconds, options.seed, findings, Path(name)))
                print(f"{part}: {seconds:.0f} s, {figures}", flush=True)
    result["findings"] = findings.found
    print(f"findings: {findings.found or 'none'}")
    if options.save_as != "-":
        print(f"saved {save(options.save_as, {**facts(VERSIONS), **result})}")
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
