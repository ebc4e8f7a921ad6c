"""From an address to a store of states."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from skerry.errors import ConfigError
from skerry.store.state.base import StateStore
from skerry.store.state.sqlite import SqliteStateStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_KNOWN = (
    "known are: the path of a folder, file:///PATH, redis://HOST:PORT/DATABASE, rediss://... (TLS) and unix:///SOCKET"
)
_stores: dict[tuple[int, str], StateStore] = {}
_lock = threading.Lock()


def open_state(url: str | Path) -> StateStore:
    """Return the store of states at an address. Nothing is read, written or connected yet.

    Args:
        url: One of

            - the path of a folder, absolute or from the current one; ``~`` is the home;
            - ``file:///PATH``, with ``%20`` and the like for what may not stand in an address;
            - ``redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]``, ``rediss://`` for TLS, ``unix:///SOCKET?db=0``.

    Raises:
        ConfigError: the address is none of these. The message repeats no secret.
    """
    text = str(url)
    scheme = _SCHEME.match(text)
    name = scheme[1].lower() if scheme else None
    if name is None:
        if not text.strip() or "\0" in text:
            raise ConfigError(f"{text!r} is not the path of a folder; {_KNOWN}")
        return SqliteStateStore(Path(text).expanduser())
    if name == "file":
        parts = urlsplit(text)
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query or parts.fragment:
            raise ConfigError(f"a file: address has three slashes, a whole path and nothing behind it; {_KNOWN}")
        return SqliteStateStore(Path(unquote(parts.path)))
    if name in {"redis", "rediss", "unix"}:
        from skerry.store.state.redis import RedisStateStore

        return RedisStateStore(text)
    raise ConfigError(f"no state is kept at {name}:; {_KNOWN}")


def store_at(url: str | Path) -> StateStore:
    """Return this process's store at an address: always the same one, and another one after a fork.

    Args:
        url: As for `open_state`.

    Raises:
        ConfigError: as for `open_state`.
    """
    key = (os.getpid(), str(url))
    store = _stores.get(key)
    if store is None:
        with _lock:
            store = _stores.setdefault(key, open_state(url))
    return store
