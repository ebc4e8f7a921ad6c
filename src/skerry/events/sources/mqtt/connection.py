"""One connection to an MQTT broker: the client's own thread on one side, the event loop on the other.

The client is paho-mqtt: of those for Python, it lets the application acknowledge when it likes to.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from skerry.errors import ConfigError, UnavailableError
from skerry.events.sources.credentials import password_of, tls_of
from skerry.spec import MqttSource, parse_duration

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

ANSWER_S: Final = 10.0  # a broker that does not answer for so long is not there
KEEPALIVE_S: Final = 30
IN_FLIGHT: Final = 500  # messages that the broker sends before the first of them is acknowledged
HELD: Final = 2 * IN_FLIGHT  # in memory: those that the broker sends without being acknowledged have no other bound
TOGETHER: Final = 200
PORT, TLS_PORT = 1883, 8883


class Connection:
    """A connection and the messages that came over it; for one event loop.

    Args:
        source: What is declared.
        client_id: Under which name the broker keeps messages.
        environment: Where the password is.

    Raises:
        ConfigError: paho-mqtt is not installed, or the password, or a file, is not there.
    """

    def __init__(self, source: MqttSource, client_id: str, environment: Mapping[str, str]) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        except ImportError as error:
            raise ConfigError('MQTT needs the package paho-mqtt: pip install "skerry[mqtt]"') from error

        self._source = source
        self._loop = asyncio.get_running_loop()
        self._came: deque[MQTTMessage] = deque()
        self._news = asyncio.Event()
        self._room = threading.Semaphore(HELD)
        self._closing = False
        self._ended: str | None = None  # why, for people
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._subscribed.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._client: Client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if source.user is not None or source.password_variable is not None:
            self._client.username_pw_set(source.user or "", password_of(source, environment))
        if source.is_encrypted:
            self._client.tls_set_context(tls_of(source))
        self._client.on_socket_open = _answer_at_once
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.connect_timeout = ANSWER_S

    async def open(self) -> None:
        """Connect and subscribe.

        Raises:
            UnavailableError: the broker does not answer, or refuses.
        """
        parts = urlsplit(self._source.url)
        host, port = parts.hostname or "", parts.port or (TLS_PORT if self._source.is_encrypted else PORT)
        try:
            await asyncio.to_thread(self._connect, host, port)
        except (OSError, ValueError) as error:  # an error of certificates is both
            raise self._failed(str(error)) from error
        self._client.loop_start()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._subscribed
        except TimeoutError as error:
            raise self._failed(self._ended or f"no answer within {ANSWER_S:g} s") from error

    async def receive(self) -> list[MQTTMessage]:
        """Return the next messages, in the order in which they came.

        Raises:
            UnavailableError: the connection is lost.
        """
        while not self._came:
            if self._ended is not None:
                raise self._failed(self._ended)
            self._news.clear()
            await self._news.wait()
        taken = [self._came.popleft() for _ in range(min(TOGETHER, len(self._came)))]
        self._room.release(len(taken))
        return taken

    def acknowledge(self, message: MQTTMessage) -> None:
        """Tell the broker that a message is taken; where the connection is lost, it comes again."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    async def close(self) -> None:
        """End the connection; the broker keeps what comes meanwhile."""
        self._closing = True
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # In the event loop

    def _failed(self, reason: str) -> UnavailableError:
        return UnavailableError(f"the MQTT broker at {self._source.url}: {reason}")

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        if not self._subscribed.done():
            self._subscribed.set_exception(self._failed(reason))
        self._news.set()

    def _opened(self) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _take(self, message: MQTTMessage) -> None:
        self._came.append(message)
        self._news.set()

    # In the client's thread

    def _connect(self, host: str, port: int) -> None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library leaves it so
        properties.SessionExpiryInterval = int(parse_duration(self._source.session, key="session"))
        properties.ReceiveMaximum = IN_FLIGHT
        self._client.connect(host, port, KEEPALIVE_S, clean_start=False, properties=properties)

    def _on_connect(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        from paho.mqtt.subscribeoptions import SubscribeOptions

        if reason.is_failure:
            self._tell(self._end, f"it refuses the connection: {reason}")
            return
        # What is retained comes with the first subscription of a session alone.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._source.topics])

    def _on_subscribe(self, _: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        refused = [
            f"{topic}: {reason}"
            for topic, reason in zip(self._source.topics, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._tell(self._end, f"it refuses the subscription: {', '.join(refused)}")
        else:
            self._tell(self._opened)

    def _on_message(self, _: Any, __: Any, message: MQTTMessage) -> None:
        while not self._room.acquire(timeout=0.2):  # nothing more is read meanwhile, so the sender waits
            if self._closing:
                return  # it is not acknowledged, and comes again
        self._tell(self._take, message)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._tell(self._end, f"the connection is lost: {reason}")

    def _tell(self, told: Any, *values: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(told, *values)


def _answer_at_once(_: Any, __: Any, opened: Any) -> None:
    """Let each acknowledgement go as it is written: they are small, and the broker waits for them."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
