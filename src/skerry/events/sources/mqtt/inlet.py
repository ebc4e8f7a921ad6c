"""Messages of an MQTT broker become events, and are acknowledged once these are durable."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skerry.events.delivery import Entry
from skerry.events.sources.inlet import Inlet, Intake, peer_name
from skerry.events.sources.message import Message, Wrapping, entry_of_message
from skerry.events.sources.mqtt.connection import Connection
from skerry.spec import MqttSource

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

logger = logging.getLogger(__name__)


class MqttInlet(Inlet):
    """Topics of a broker at work.

    Args:
        intake: Takes the events.
        source: What is declared.
        identity: What tells this engine from others.
        environment: Where the password is.
    """

    def __init__(self, intake: Intake, source: MqttSource, *, identity: str, environment: Mapping[str, str]) -> None:
        super().__init__(intake)
        self._source = source
        self._client_id = peer_name(intake.name, identity)
        self._environment = environment
        self._wrapping = Wrapping(type=source.type, source=f"/skerry/source/{intake.name}", ordered=source.ordered)

    async def session(self) -> None:
        """See `Inlet.session`."""
        connection = Connection(self._source, self._client_id, self._environment)
        try:
            await connection.open()
            self.is_open = True
            while True:
                messages = await connection.receive()
                await self.intake.take([self._entry(one) for one in messages])
                for one in messages:
                    connection.acknowledge(one)
        finally:
            await connection.close()

    def _entry(self, message: MQTTMessage) -> Entry:
        properties: Any = message.properties
        try:
            topic = message.topic
        except UnicodeDecodeError:  # the specification forbids it
            topic = message._topic.decode("utf-8", "backslashreplace")
        found = Message(
            channel=topic,
            payload=bytes(message.payload),
            content_type=getattr(properties, "ContentType", None),
            properties=dict(getattr(properties, "UserProperty", ())),
        )
        # The protocol numbers no message beyond its acknowledgement: one that comes twice cannot be told from two.
        # The client says when it came by the clock that only goes forward: it may have waited here, for room.
        came_s = time.time() - (time.monotonic() - message.timestamp)
        return entry_of_message(found, self._wrapping, id=uuid.uuid4().hex, came_s=came_s)
