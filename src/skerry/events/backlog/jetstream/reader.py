"""Reads a stream in order, and notices what was lost on the way."""

from __future__ import annotations

import contextlib
from typing import Any

FETCH_S = 2.0
IDLE_S = 24 * 3600.0  # the server keeps a reader that does not read


class Reader:
    """Reads a stream from a message on.

    The server does not wait for acknowledgements: what it has sent counts as read, also when a connection has lost it.
    It numbers what it sends, though, so a number that is missing means to begin anew behind the last that has come.

    Args:
        server: Its JetStream.
        stream: Name of the stream.
        subject: Of its messages.
        headers_only: Whether messages come without their bodies.
    """

    def __init__(self, server: Any, stream: str, subject: str, *, headers_only: bool = False) -> None:
        self._server = server
        self._stream = stream
        self._subject = subject
        self._headers_only = headers_only
        self._subscription: Any = None
        self._next = 1  # of the server's numbers

    async def fetch(self, after: int, most: int) -> list[Any]:
        """Return the next messages, without a gap; there may be none yet.

        Args:
            after: Sequence of the last message that was returned.
            most: Messages.

        Raises:
            Error: of NATS; the next call begins anew.
        """
        from nats.errors import Error

        if self._subscription is None:
            self._subscription, self._next = await self._begin(after), 1
        try:
            messages = await self._subscription.fetch(most, timeout=FETCH_S)
        except Error:
            await self.close()  # the server may have forgotten it
            raise
        for index, message in enumerate(messages):
            if message.metadata.sequence.consumer != self._next:
                await self.close()
                return list(messages[:index])
            self._next += 1
        return list(messages)

    async def close(self) -> None:
        """Read nothing more, or begin anew."""
        from nats.errors import Error

        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(Error):
                await subscription.unsubscribe()

    async def _begin(self, after: int) -> Any:
        from nats.js import api

        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.NONE,
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            headers_only=self._headers_only,
            inactive_threshold=IDLE_S,
        )
        return await self._server.pull_subscribe(self._subject, stream=self._stream, config=config)
