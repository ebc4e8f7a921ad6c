"""Fuzzing of the reader of frames: with atheris where it can be had, which is led by coverage, else with own damage.

Whatever the bytes: `FrameReader.feed` returns frames or raises `ValueError`, and does so in any pieces alike.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.mutation import FRAME_WORDS, mutate, split
from skerry.runtime import frames as frames_module
from skerry.runtime.frames import Codec, Frame, FrameReader, Kind, encode_frame

SLOW_S = 1.0  # longest time that a few hundred bytes may take
CRASH = re.compile(r"Test unit written to (\S+)")


class Wrong(Exception):  # it is a finding, not an error of this program
    """The reader did what it must not."""


def check(pieces: Sequence[bytes]) -> None:
    """Feed bytes in pieces and whole, and compare.

    Raises:
        Wrong: the reader differs between the two, or returns what is no frame.
    """
    begun = time.process_time()  # whatever else the machine does
    in_pieces = _feed(pieces)
    whole = _feed([b"".join(pieces)])
    if time.process_time() - begun > SLOW_S:
        raise Wrong("it took long")
    # What stood before a broken frame may have been returned already where it came in an earlier piece.
    if in_pieces[1] != whole[1] or (not whole[1] and in_pieces[0] != whole[0]):
        raise Wrong("pieces were read otherwise than the whole")
    for frame in in_pieces[0]:
        if not isinstance(frame.meta, dict) or not isinstance(frame.body, bytes):
            raise Wrong("that is no frame")


def _feed(pieces: Sequence[bytes]) -> tuple[list[Frame], bool]:
    reader, frames = FrameReader(), []
    for piece in pieces:
        try:
            frames += reader.feed(piece)
        except ValueError:
            return frames, True
    return frames, False


def frames_of(random: Random) -> bytes:
    """Return a few valid frames."""
    found = b""
    for _ in range(random.randint(1, 4)):
        kind = random.choice(list(Kind))
        meta = random.choice([None, {"status": 500}, {"content_type": "x"}, {"headers": {"a": "b"}}, {"pid": 1}])
        body = random.randbytes(random.choice([0, 1, 5, 40]))
        number = random.choice([0, 1, 2, 2**32 - 1])
        found += encode_frame(kind, number, body, codec=random.choice(list(Codec)), meta=meta)
    return found


def fuzz_frames(seconds: float, seed: int, findings: Findings, folder: Path) -> dict[str, int | str]:
    """Fuzz the reader for so long; return the figures."""
    path = _atheris(folder)
    if path is not None:
        return _fuzz_with_atheris(path, seconds, seed, findings, folder)
    random, until, cases = Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        pieces = split(random, mutate(random, frames_of(random), FRAME_WORDS), most=8)
        cases += 1
        try:
            check(pieces)
        except Exception as error:
            findings.add("frames", type(error).__name__, pieces, detail=error)
    return {"tool": "own mutation (atheris cannot be installed here)", "cases": cases}


def _atheris(folder: Path) -> str | None:
    """Return the folder that atheris is in, installed for the occasion, "" where it is there anyway, None without."""
    if importlib.util.find_spec("atheris") is not None:
        return ""
    place = str(folder / "atheris")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", place, "atheris"]
    done = subprocess.run(command, capture_output=True, check=False)
    return place if done.returncode == 0 else None


def _fuzz_with_atheris(path: str, seconds: float, seed: int, findings: Findings, folder: Path) -> dict[str, int | str]:
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    random = Random(seed)
    for number in range(50):
        (corpus / f"{number}").write_bytes(frames_of(random))
    command = [
        sys.executable,
        "-m",
        "benchmarks.fuzz.frames",
        f"-max_total_time={max(1, int(seconds))}",
        f"-seed={seed}",
        "-max_len=4096",
        "-timeout=10",
        f"-artifact_prefix={folder}/",
        str(corpus),
    ]
    paths = [path, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    for crash in CRASH.findall(done.stderr):
        findings.add("frames", "see the output of atheris", _pieces(Path(crash).read_bytes()))
    if done.returncode and not CRASH.search(done.stderr):
        findings.add("frames", f"atheris ended with {done.returncode}", detail=done.stderr[-500:])
    cases = re.findall(r"(?:Done |#)(\d+)", done.stderr)
    return {"tool": "atheris", "cases": int(cases[-1]) if cases else 0}


def _pieces(data: bytes) -> list[bytes]:
    """Return the bytes as a test case of atheris: cut at what their first byte says."""
    size = data[0] % 32 + 1 if data else 1
    return [data[at : at + size] for at in range(1, len(data), size)]


def _main() -> None:
    import atheris  # type: ignore  # not among the project's dependencies

    for part in (FrameReader.feed, frames_module._unpack_meta, frames_module._length):
        atheris.instrument_func(part)
    atheris.Setup(sys.argv, lambda data: check(_pieces(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    _main()
