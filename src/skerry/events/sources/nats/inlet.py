"""Messages of NATS become events: those of a stream are acknowledged once their events are durable."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from skerry.errors import ConfigError, UnavailableError
from skerry.events.delivery import Entry
from skerry.events.parting import part
from skerry.events.sources.credentials import password_of, tls_of
from skerry.events.sources.inlet import Inlet, Intake, peer_name
from skerry.events.sources.message import Message, Wrapping, entry_of_message
from skerry.spec import NatsSource

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

TOGETHER: Final = 200
IN_FLIGHT: Final = 500  # messages of a stream that are not acknowledged
ACKNOWLEDGED_WITHIN_S: Final = 15.0  # else the server sends them again: the engine may have been killed
ANSWER_S: Final = 10.0
POLL_S: Final = 5.0
CANCEL_AGAIN_S: Final = 0.5
PREFIX: Final = "ce-"  # of the attributes of a CloudEvent among the headers of a message


class NatsInlet(Inlet):
    """A subject or a stream of a server at work.

    Args:
        intake: Takes the events.
        source: What is declared.
        identity: What tells this engine from others.
        environment: Where the password is.
    """

    def __init__(self, intake: Intake, source: NatsSource, *, identity: str, environment: Mapping[str, str]) -> None:
        super().__init__(intake)
        self._source = source
        # A consumer keeps the subject that it was made with: another subject has another one.
        self._durable = peer_name(intake.name, identity, source.subject)
        self._environment = environment
        self._wrapping = Wrapping(type=source.type, source=f"/skerry/source/{intake.name}", ordered=source.ordered)
        self._lost = asyncio.Event()

    async def session(self) -> None:
        """See `Inlet.session`."""
        client = await self._connect()
        from nats.errors import Error

        try:
            taking = self._take_subject(client) if self._source.stream is None else self._take_stream(client)
            work, loss = asyncio.ensure_future(taking), asyncio.ensure_future(self._lost.wait())
            try:
                await asyncio.wait([work, loss], return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise self._failed("the connection is lost")
                await work
            finally:
                await _end(work, loss)
        except Error as error:
            raise self._failed(str(error) or type(error).__name__) from error
        finally:
            await part(client)

    async def _connect(self) -> Client:
        try:
            from nats.aio.client import Client
            from nats.errors import Error
        except ImportError as error:
            raise ConfigError('a source of NATS needs the package nats-py: pip install "skerry[nats]"') from error

        async def lose() -> None:
            self._lost.set()

        async def ignore(_: Exception) -> None:
            """What goes wrong is told by what waits for it."""

        source, options = self._source, dict[str, Any]()
        if source.user is not None or source.password_variable is not None:
            options |= {"user": source.user or "", "password": password_of(source, self._environment)}
        if source.is_encrypted:
            options["tls"] = tls_of(source)
        client = Client()
        try:
            await client.connect(
                source.url,
                allow_reconnect=False,
                connect_timeout=int(ANSWER_S),
                error_cb=ignore,
                disconnected_cb=lose,
                closed_cb=lose,
                **options,
            )
        except (Error, OSError, TimeoutError) as error:
            await part(client)  # it may have got as far as a socket
            raise self._failed(str(error) or type(error).__name__) from error
        return client

    async def _take_subject(self, client: Client) -> None:
        """Bring what is published from now on: a subject keeps nothing, and knows no acknowledgement."""
        from nats.errors import TimeoutError as NothingYet

        subscription = await client.subscribe(self._source.subject)
        await client.flush(timeout=int(ANSWER_S))  # the server has it now
        self.is_open = True
        while True:
            try:
                first = await subscription.next_msg(timeout=POLL_S)
            except NothingYet:
                continue
            messages = [first]
            while len(messages) < TOGETHER and subscription.pending_msgs:
                messages.append(await subscription.next_msg(timeout=POLL_S))
            now_s = time.time()
            await self.intake.take([self._entry(one, uuid.uuid4().hex, now_s) for one in messages])

    async def _take_stream(self, client: Client) -> None:
        from nats.errors import TimeoutError as NothingYet
        from nats.js.api import AckPolicy, ConsumerConfig

        source = self._source
        settings = ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT, ack_wait=ACKNOWLEDGED_WITHIN_S, max_ack_pending=IN_FLIGHT
        )
        subscription = await client.jetstream(timeout=ANSWER_S).pull_subscribe(
            source.subject, durable=self._durable, stream=source.stream, config=settings
        )
        self.is_open = True
        while True:
            try:
                messages = await subscription.fetch(TOGETHER, timeout=POLL_S)
            except NothingYet:
                continue
            entries = [self._kept_entry(one) for one in messages]
            try:
                await self.intake.take(entries)
            except BaseException:
                await _give_back(messages)
                raise
            for one in messages:
                await one.ack()

    def _kept_entry(self, message: Msg) -> Entry:
        """Return the event of a stream's message: with the time at which the server took it, however long ago."""
        facts = message.metadata
        # Under its place in the stream a message that comes again is known.
        return self._entry(message, f"{facts.stream}/{facts.sequence.stream}", facts.timestamp.timestamp())

    def _entry(self, message: Msg, id: str, came_s: float) -> Entry:
        headers = {name.lower(): text for name, text in (message.headers or {}).items()}
        properties = {
            name.removeprefix(PREFIX): unquote(text) for name, text in headers.items() if name.startswith(PREFIX)
        }
        found = Message(
            channel=message.subject,
            payload=message.data,
            content_type=headers.get("content-type"),
            properties=properties,
        )
        return entry_of_message(found, self._wrapping, id=id, came_s=came_s)

    def _failed(self, reason: str) -> UnavailableError:
        return UnavailableError(f"the NATS server at {self._source.url}: {reason}")


async def _give_back(messages: Sequence[Msg]) -> None:
    """Let the server send messages again at once, to whom asks next; where it is away it does so in a while."""
    from nats.errors import Error

    with contextlib.suppress(Error, OSError):
        for one in messages:
            await one.nak()


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """End tasks: again where a wait of the client's that has ended at that moment has swallowed the cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # it was seen
