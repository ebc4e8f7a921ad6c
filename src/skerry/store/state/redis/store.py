"""States in Redis: every unit of operations is one call of one script, so one round trip and one moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from skerry.errors import ConfigError
from skerry.store.state import faults
from skerry.store.state.base import StateStore
from skerry.store.state.operation import Operation, Results, Verb
from skerry.store.state.redis.address import password_of, without_secrets
from skerry.store.state.redis.wire import Wire

if TYPE_CHECKING:
    import redis

TIMEOUT_S = 10.0
_SCRIPT = Path(__file__).with_name("script.lua")


class RedisStateStore(StateStore):
    """States in a Redis or Valkey server, version 6 or newer.

    All keys of a state begin with ``skerry:{APP/NAME}:``, so that a cluster keeps them on one node. The server has to
    be told to keep what it is given: ``appendonly yes`` and ``maxmemory-policy noeviction``.

    Args:
        url: ``redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]``, ``rediss://`` for TLS, or ``unix:///SOCKET?db=0``. A
            password that is not in it is taken from ``SKERRY_STATE_PASSWORD``.

    Raises:
        ConfigError: the address cannot be read, or the client of Redis is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = without_secrets(url)
        self._client = _connect(url, self._url)
        self._wire = Wire(self._client, _SCRIPT.read_text(encoding="utf-8"))

    @property
    def url(self) -> str:
        """The address, without user and password."""
        return self._url

    def run(self, group: str, operations: Sequence[Operation]) -> Results:
        """Do the operations at one moment; see `StateStore.run`."""
        unit = msgpack.packb([_packed(operation) for operation in operations], use_bin_type=False)
        with self._told():
            outcome, *found = self._wire.call(_base(group).encode(), unit)
        if outcome == b"ok":
            return [_read(operation, result) for operation, result in zip(operations, found[0], strict=True)]
        key = found[0].decode()
        if outcome == b"conflict":
            raise faults.conflict(group, key)
        if outcome == b"kind":
            raise faults.wrong_kind(group, key, found[1].decode(), found[2].decode())
        raise faults.not_a_number(group, key)

    def wait(self, group: str, revision: int, timeout_s: float) -> None:
        """Return once the group's revision is greater, or the time is over; the server tells of it."""
        until = time.monotonic() + timeout_s
        with self._told(), self._client.pubsub() as messages:
            messages.subscribe(f"{_base(group)}!")
            messages.get_message(timeout=TIMEOUT_S)  # that it is subscribed; what is changed from now on will be told
            if int(self._client.get(f"{_base(group)}r") or 0) > revision:
                return
            while (left_s := until - time.monotonic()) > 0:
                message = messages.get_message(timeout=left_s)
                if message is not None and message["type"] == "message":
                    return

    def groups(self, app: str) -> list[str]:
        """Return the names of the app's states, sorted; looks at all names that the server has."""
        first, last = _base(f"{app}/*").split("*")
        with self._told():
            names = [key.decode() for key in self._client.scan_iter(match=f"{first}*{last}r", count=1000)]
        return sorted({name.removeprefix(first).removesuffix(f"{last}r") for name in names})

    def close(self) -> None:
        """Close the connections; they are opened again when they are used."""
        self._wire.close()
        self._client.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        import redis

        try:
            yield
        except (redis.RedisError, OSError) as error:
            raise faults.failed(self._url, f"{type(error).__name__}: {error}") from error


def _connect(url: str, shown: str) -> redis.Redis:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigError(f'the state at {shown} needs the client of Redis: pip install "skerry[redis]"') from error
    options: dict[str, Any] = {} if password_of(url) is None else {"password": password_of(url)}
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # a client that sends again what may have been done would count it twice
            **options,
        )
    except ValueError:
        raise ConfigError(
            f"the address {shown} of the state cannot be read; write redis://HOST:PORT/DATABASE"
        ) from None


def _base(group: str) -> str:
    return f"skerry:{{{group}}}:"


def _packed(operation: Operation) -> list[Any]:
    start = end = ""
    if operation.verb is Verb.SCAN:
        behind = operation.after >= operation.key and operation.after != ""
        start = f"({operation.after}" if behind else f"[{operation.key}"
        end = "+"
    fields = [operation.verb, operation.key, operation.values, operation.number]
    ttl_ms = False if operation.ttl_ms is None else operation.ttl_ms
    stop = False if operation.stop is None else operation.stop
    bound: str | bytes = end if not operation.key else b"(" + operation.key.encode() + b"\xff"
    return [*fields, ttl_ms, stop, start, bound]


def _read(operation: Operation, result: Any) -> Any:
    """Return a result as `Verb` says it is."""
    if operation.verb is Verb.GET and result is not None:
        return tuple(result)
    if operation.verb is Verb.MEMBERS:
        return sorted(result)
    if operation.verb is Verb.SCAN:
        return [(key.decode(), kind.decode(), version, left_ms) for key, kind, version, left_ms in result]
    if operation.verb in (Verb.DELETE, Verb.EXPIRE, Verb.CONTAINS):
        return bool(result)
    return result
