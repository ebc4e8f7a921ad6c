"""Calls of one script, with as little around them as possible.

The client of Redis takes twice as long for a command as the command does: it looks for a connection, for retries, for
who observes it. Here each thread has a connection of its own, which is made, greeted and secured by the client, and one
form of command.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis


class Wire:
    """A script on a server.

    Args:
        client: The client, whose connections are made as it is told.
        script: The script's text; it takes one key and one argument.
    """

    def __init__(self, client: redis.Redis, script: str) -> None:
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()  # as Redis names scripts
        self._known = b"*5\r\n$7\r\nEVALSHA\r\n" + _word(digest.encode()) + _word(b"1")
        self._whole = b"*5\r\n$4\r\nEVAL\r\n" + _word(script.encode()) + _word(b"1")
        self._pool = client.connection_pool
        self._own = threading.local()
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()  # those of threads that have ended are gone

    def call(self, key: bytes, argument: bytes) -> list[Any]:
        """Run the script and return its reply.

        Raises:
            redis.RedisError: it failed, or the server does not answer.
        """
        from redis.exceptions import NoScriptError

        rest = _word(key) + _word(argument)
        try:
            return self._exchange(self._known + rest)
        except NoScriptError:  # a server that was started anew; nothing was done
            return self._exchange(self._whole + rest)

    def close(self) -> None:
        """Close the connections; they are opened again when they are used."""
        for connection in list(self._made):
            connection.disconnect()

    def _exchange(self, command: bytes) -> list[Any]:
        connection = getattr(self._own, "connection", None) or self._connect()
        try:
            if _is_lost(connection):
                connection.disconnect()
            connection.send_packed_command([command], check_health=False)
            reply: list[Any] = connection.read_response()
        except BaseException:  # also a handler's interruption: the answer would be taken for that of the next call
            connection.disconnect()
            raise
        return reply

    def _connect(self) -> Any:
        self._own.connection = self._pool.make_connection()
        self._made.add(self._own.connection)
        return self._own.connection


def _is_lost(connection: Any) -> bool:
    """Whether the server has closed a connection meanwhile: nothing is to be read of one that is idle."""
    from redis.exceptions import ConnectionError as LostError

    try:
        return bool(connection.can_read())
    except (LostError, OSError):
        return True


def _word(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)
