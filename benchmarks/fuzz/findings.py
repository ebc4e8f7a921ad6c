"""What a run has found: printed, and kept as small files that a test replays.

A file of `seeds` has one read per line, as a Python bytes literal. Its name begins with where it is fed to:
``http-`` (a connection of the front), ``frames-`` (the reader of frames), ``worker-`` (the front, as a worker's answer
to call 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
MOST = 20  # of one kind; the first few tell all


class Findings:
    """Counts and keeps what should not have happened."""

    def __init__(self, folder: Path = SEEDS) -> None:
        self.found: dict[str, int] = {}
        self._folder = folder

    def add(self, place: str, what: str, reads: Sequence[bytes] = (), *, detail: object = "") -> None:
        """Note one finding.

        Args:
            place: ``http``, ``frames`` or ``worker``.
            what: What should not have happened, in one line.
            reads: The bytes that led there, where they alone did.
            detail: More about this one; findings of one kind are counted together.
        """
        kind = f"{place}: {what}"
        self.found[kind] = count = self.found.get(kind, 0) + 1
        if count > MOST:
            return
        print(f"FOUND {kind} {detail}".rstrip())
        if reads:
            text = "".join(f"{read!r}\n" for read in reads)
            path = self._folder / f"{place}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            path.write_text(text)
            print(f"      kept in {path}")
