"""What changes below a prefix, told as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from skerry.store.state.keys import OWN
from skerry.store.state.operation import Kind, Operation, Verb
from skerry.store.state.scope import Scope

PAGE = 1000
_LONGEST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """What is known of a key without reading what it holds.

    Args:
        key: The key.
        kind: What it holds.
        version: Its version.
        ends_in_s: How long it lives on, seconds; None: without end.
    """

    key: str
    kind: Kind
    version: int
    ends_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """That a key was written, or is gone.

    Args:
        key: The key.
        version: Its version; 0: it was deleted, or its time is over.
    """

    key: str
    version: int


def list_keys(scope: Scope, prefix: str) -> Iterator[KeyInfo]:
    """Yield the keys that begin with a prefix, in the order of their bytes, a page at a time.

    Those of locks, barriers and the like are only there for a prefix that begins as they do.
    """
    after = ""
    while True:
        page = scope.run([Operation(verb=Verb.SCAN, key=prefix, after=after, number=PAGE)])[0]
        for key, kind, version, left_ms in page:
            if key.startswith(OWN) and not prefix:
                continue
            yield KeyInfo(
                key=key, kind=Kind(kind), version=version, ends_in_s=None if left_ms is None else left_ms / 1000
            )
        if len(page) < PAGE:
            return
        after = page[-1][0]


def watch(scope: Scope, prefix: str, wait_s: float | None) -> Iterator[Change]:
    """Yield changes of keys that begin with a prefix; see `State.watch`."""
    known = _versions(scope, prefix)
    until = None if wait_s is None else time.monotonic() + wait_s

    def look() -> list[Change] | None:
        nonlocal known
        before, known = known, _versions(scope, prefix)
        changes = [Change(key=key, version=version) for key, version in known.items() if before.get(key) != version]
        changes.sort(key=lambda change: change.version)
        gone = [Change(key=key, version=0) for key in sorted(before.keys() - known.keys())]
        return gone + changes or None

    while True:
        left_s = None if until is None else until - time.monotonic()
        if left_s is not None and left_s <= 0:
            return
        yield from scope.wait_for(look, left_s, longest_s=lambda: _LONGEST_WAIT_S) or ()


def _versions(scope: Scope, prefix: str) -> dict[str, int]:
    return {info.key: info.version for info in list_keys(scope, prefix)}
