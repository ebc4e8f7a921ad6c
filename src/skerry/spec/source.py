"""Where events come from besides publishers: what an app declares with ``app.source``. Settings only, no secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from skerry.errors import SpecError
from skerry.spec.option import build, check_range, check_types
from skerry.spec.quantity import parse_duration
from skerry.spec.source_checks import check_address, check_sign_in, check_text, check_topic, refuse_password

NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
FILE_TYPE: Final = "dev.skerry.file"
MQTT_TYPE: Final = "dev.skerry.mqtt"
NATS_TYPE: Final = "dev.skerry.nats"
STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """Files that appear in a folder or a bucket: each becomes an event once it is complete, and no second one.

    The event's data are its ``key`` (the path below the folder), ``url``, ``size_bytes``, ``modified_at`` and, in a
    folder, ``path``. A file that is written anew is a new one.

    Args:
        url: A folder of the engine's machine, by its whole path, or ``s3://BUCKET/PREFIX`` as in :doc:`objects`, whose
            keys are in the engine's environment.
        pattern: Which names count, like ``*.pdf``; hidden files, ``*.part`` and ``*.tmp`` never do.
        every: Time between two looks with its unit, 100 ms to a day.
        settle: Time that a file of a folder has to stay as it is, with its unit, up to a day; a file that somebody has
            open for writing is waited for in any case, where the system tells.
        type: Type of the events.

    Raises:
        SpecError: a value has a wrong type or is out of range.

    Example:
        ``app.source("inbox", skerry.FileSource(url="/srv/inbox", pattern="*.csv"))``
    """

    kind: ClassVar[str] = "files"

    url: str
    pattern: str = "*"
    every: str = "1s"
    settle: str = "1s"
    type: str = FILE_TYPE

    def __post_init__(self) -> None:
        check_types(self)
        check_text(self, "pattern", "type")
        refuse_password(self.url)
        if not self.url.startswith(("/", "file:///", "s3://")):
            raise SpecError(
                f"url = {self.url!r}: write the whole path of a folder, or s3://BUCKET/PREFIX: the engine has another "
                "current folder than you",
                field="url",
            )
        options = set(parse_qs(urlsplit(self.url).query, keep_blank_values=True))
        if self.url.startswith("s3:") and not options <= {"endpoint", "region", "allow_http", "timeout_s"}:
            raise SpecError("url: behind ? stand endpoint, region, allow_http, timeout_s and no secret", field="url")
        for key, low in (("every", 0.1), ("settle", 0.0)):
            check_range(f"{key} (seconds)", parse_duration(getattr(self, key), key=key), low=low, high=86_400)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`source_of` reads."""
        return _plain(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class MqttSource:
    """Messages of an MQTT 5 broker: each is acknowledged there once the event that it becomes is durable here.

    They are asked for at QoS 1. The session outlives the connection, so what is published while the engine is away
    comes later. A message that is a CloudEvent stays the event that it is. Any other becomes one whose ``subject`` is
    the topic and whose data are the payload: the value where it is JSON, else the text, else the bytes.

    Args:
        url: ``mqtt://HOST[:PORT]``, or ``mqtts://HOST[:PORT]`` for TLS.
        topics: What to subscribe to, like ``plant/+/temperature``.
        user: Name to sign in with.
        password_variable: Environment variable of the engine in which the password is.
        ca: File with the certificates that the broker's has to be signed by; those of the system by default.
        certificate: File with the engine's own certificate, for brokers that want one.
        key: File with its private key.
        session: How long the broker keeps messages for an engine that is away, with its unit.
        ordered: Whether messages of one topic are handled one after the other (``partitionkey`` is the topic).
        type: Type of the events.

    Raises:
        SpecError: a value has a wrong type or is out of range.

    Example:
        ``skerry.MqttSource(url="mqtts://plant.example", topics=("plant/#",), user="edge", password_variable="PLANT")``
    """

    kind: ClassVar[str] = "mqtt"

    url: str
    topics: tuple[str, ...]
    user: str | None = None
    password_variable: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    session: str = "1d"
    ordered: bool = True
    type: str = MQTT_TYPE

    def __post_init__(self) -> None:
        check_types(self)
        check_text(self, "type")
        check_address(self.url, schemes=("mqtt", "mqtts"))
        check_sign_in(self)
        check_range("session (seconds)", parse_duration(self.session, key="session"), low=0, high=30 * 86_400)
        if not self.topics:
            raise SpecError("topics: name one at least, like plant/+/temperature", field="topics")
        for topic in self.topics:
            check_topic(topic)

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.url.startswith("mqtts:")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`source_of` reads."""
        return _plain(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class NatsSource:
    """Messages of a NATS server.

    With ``stream``, those that JetStream keeps: each is acknowledged there once the event that it becomes is durable
    here, and the server remembers how far the engine has come. Without it, those that are published while the engine
    is connected: a subject by itself keeps nothing. Messages become events as those of an `MqttSource` do.

    Args:
        url: ``nats://HOST[:PORT]``, or ``tls://HOST[:PORT]`` for TLS.
        subject: What to subscribe to, like ``plant.*.temperature``.
        stream: The stream that keeps it.
        user: Name to sign in with.
        password_variable: Environment variable of the engine in which the password is.
        ca: File with the certificates that the server's has to be signed by; those of the system by default.
        certificate: File with the engine's own certificate, for servers that want one.
        key: File with its private key.
        ordered: Whether messages of one subject are handled one after the other (``partitionkey`` is the subject).
        type: Type of the events.

    Raises:
        SpecError: a value has a wrong type or is out of range.

    Example:
        ``skerry.NatsSource(url="nats://127.0.0.1:4222", subject="plant.>", stream="PLANT")``
    """

    kind: ClassVar[str] = "nats"

    url: str
    subject: str
    stream: str | None = None
    user: str | None = None
    password_variable: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    ordered: bool = True
    type: str = NATS_TYPE

    def __post_init__(self) -> None:
        check_types(self)
        check_text(self, "type")
        check_address(self.url, schemes=("nats", "tls"))
        check_sign_in(self)
        tokens = self.subject.split(".")
        if not all(token and token.isprintable() and " " not in token for token in tokens) or ">" in tokens[:-1]:
            raise SpecError(
                f"subject = {self.subject!r} is none: * stands for one part, > for all that follow", field="subject"
            )
        if self.stream is not None and not STREAM.fullmatch(self.stream):
            raise SpecError(f"stream = {self.stream!r}: use letters, digits, - and _", field="stream")

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.url.startswith("tls:")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`source_of` reads."""
        return _plain(self)


Source = FileSource | MqttSource | NatsSource
KINDS: Final[Mapping[str, type[Source]]] = {one.kind: one for one in (FileSource, MqttSource, NatsSource)}


def source_of(values: Mapping[str, Any], *, where: str) -> Source:
    """Return the source that plain values describe.

    Raises:
        SpecError: a key is unknown, or a value has a wrong type or is out of range.
    """
    given = dict(values)
    kind = given.pop("kind", None)
    if kind not in KINDS:
        raise SpecError(f"{where}: kind = {kind!r}: there are: {', '.join(KINDS)}", field="kind")
    return build(KINDS[kind], given, where=where)


def check_source_name(name: object, *, where: str) -> str:
    """Return a source's name.

    Raises:
        SpecError: it is not of that form.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"{where}: source {name!r}: use lower-case letters, digits and -, a letter first, no - last, at most 63",
            field="source",
        )
    return name


def _plain(source: Source) -> dict[str, Any]:
    values = {field.name: getattr(source, field.name) for field in fields(source)}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {"kind": source.kind, **plain}
