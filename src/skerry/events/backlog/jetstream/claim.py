"""Who uses a prefix on a NATS server: two engines would each deliver everything, and forget what the other knows.

The engine writes who it is into a bucket, again and again. Another one that finds a name there looks whether it is
still written. The same engine, started anew, goes on at once: its folder has one engine at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from skerry.errors import ConfigError, UnavailableError

logger = logging.getLogger(__name__)
KEY: Final = "engine"
BEAT_S: Final = 1.0
PATIENCE_S: Final = 5.0  # without a beat, who was there is not there any more


class Claim:
    """An engine's claim to a prefix.

    Args:
        owner: Names the engine; the same one after a restart.
    """

    def __init__(self, owner: str) -> None:
        self._bucket: Any = None
        self._owner = owner.encode()
        self._revision = 0
        self._is_lost = False
        self._beating: asyncio.Task[None] | None = None

    async def take(self, bucket: Any) -> None:
        """Claim the prefix, and keep the claim until `leave`.

        Args:
            bucket: Where it is written.

        Raises:
            ConfigError: another engine has it.
        """
        from nats.js.errors import KeyWrongLastSequenceError

        self._bucket = bucket
        found = await self._read()
        if found is not None and found.value and found.value != self._owner:  # an empty one comes back as none
            await self._await_silence(found)
        try:
            self._revision = await self._bucket.update(KEY, self._owner, last=0 if found is None else found.revision)
        except KeyWrongLastSequenceError as error:
            raise _taken("another one, which has just begun") from error
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    def check(self) -> None:
        """Let nothing be done that only the owner may do.

        Raises:
            UnavailableError: another engine has taken the prefix, for this one was not heard of.
        """
        if self._is_lost:
            raise UnavailableError(
                "another engine has taken the place of this one on the NATS server, for this one was not heard of for "
                f"{PATIENCE_S:g} s; restart it, or give each a name of its own: nats://HOST:PORT/NAME"
            )

    async def leave(self) -> None:
        """Give the claim up."""
        from nats.errors import Error

        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.wait([self._beating])
        if not self._is_lost:
            with contextlib.suppress(Error, OSError, TimeoutError):  # the next one waits until it is silent
                await self._bucket.update(KEY, b"", last=self._revision)

    async def _read(self) -> Any:
        from nats.js.errors import KeyNotFoundError

        try:
            return await self._bucket.get(KEY)
        except KeyNotFoundError:
            return None

    async def _await_silence(self, found: Any) -> None:
        until_s = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < until_s:
            await asyncio.sleep(BEAT_S / 2)
            now = await self._read()
            if now is None or now.revision != found.revision:
                raise _taken(found.value.decode(errors="replace"))

    async def _beat(self) -> None:
        from nats.errors import Error

        while not self._is_lost:
            await asyncio.sleep(BEAT_S)
            # Where the server is away, nobody else can take the prefix either.
            with contextlib.suppress(Error, OSError, TimeoutError):
                await self._renew()
        logger.error("another engine has taken the events of this one on the NATS server")

    async def _renew(self) -> None:
        from nats.js.errors import KeyWrongLastSequenceError

        try:
            self._revision = await self._bucket.update(KEY, self._owner, last=self._revision)
        except KeyWrongLastSequenceError:
            self._is_lost = not await self._is_ours()

    async def _is_ours(self) -> bool:
        """Whether it was our own beat whose answer has not come."""
        found = await self._read()
        if found is None or found.value != self._owner:
            return False
        self._revision = found.revision
        return True


def _taken(who: str) -> ConfigError:
    return ConfigError(
        f"the events on this NATS server belong to an engine that runs, {who}: give each engine a name of its own, "
        "SKERRY_EVENTS=nats://HOST:PORT/NAME"
    )
