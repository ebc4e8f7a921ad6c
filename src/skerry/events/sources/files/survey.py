"""Which of the files that are there become events now: a state machine without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Survey(NamedTuple):
    """What one look has found.

    Args:
        ripe: Files that are complete, as far as their looks tell, and have not become events.
        gone: Files that have become events, and have left since the last look.
        back: Files that had left, and are there again.
    """

    ripe: list[str]
    gone: list[str]
    back: list[str]


class Watch:
    """What is known of the files of one place.

    Args:
        seen: The files that have become events, key to version.
        settle_s: Time that a file has to stay as it is, seconds; 0 takes files as they are.
    """

    def __init__(self, seen: Mapping[str, str], settle_s: float) -> None:
        self._seen = dict(seen)
        self._gone: set[str] = set()
        self._settle_s = settle_s
        self._since: dict[str, tuple[str, float]] = {}  # files that are new: their version, and when it was first met

    def look(self, there: Mapping[str, str], now_s: float) -> Survey:
        """Return what becomes of the files that are there.

        Args:
            there: Key to version; a file has another version when it was written anew.
            now_s: Time on a clock that only goes forward, seconds.
        """
        new = {key: version for key, version in there.items() if self._seen.get(key) != version}
        since = {}
        for key, version in new.items():
            known = self._since.get(key)
            since[key] = known if known is not None and known[0] == version else (version, now_s)
        self._since = since
        ripe = [key for key, (_, at_s) in since.items() if now_s - at_s >= self._settle_s]
        gone = [key for key in self._seen if key not in there and key not in self._gone]
        back = [key for key in self._gone if key in there]
        self._gone.update(gone)
        self._gone.difference_update(back)
        return Survey(ripe, gone, back)

    def took(self, files: Mapping[str, str]) -> None:
        """Remember that files have become events."""
        self._seen.update(files)
        for key in files:
            self._since.pop(key, None)

    def forget(self, keys: Iterable[str]) -> None:
        """Forget files that have left long ago."""
        for key in keys:
            self._seen.pop(key, None)
            self._gone.discard(key)
