"""The connection to a NATS server, and what is kept there."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from skerry.errors import ConfigError, UnavailableError
from skerry.events.delivery import DeadLetter, Delivery, Entry

logger = logging.getLogger(__name__)
KNOWN_S: Final = 24 * 3600.0  # the server refuses an event that comes again within so long
ANSWER_S: Final = 10.0
TRIGGERS, EVENT, KEY, ID = "Skerry-Triggers", "Skerry-Event", "Skerry-Key", "Nats-Msg-Id"
NO_TRIGGER: Final = "-"  # a header cannot be empty


def parse(address: str) -> tuple[str, str]:
    """Return the server and the prefix that an address names, ``nats://HOST:PORT[/PREFIX]``.

    Raises:
        ConfigError: it is none; what stands before an @ may be a secret, and is not shown.
    """
    parts = urlsplit(address)
    prefix = parts.path.strip("/") or "skerry"
    if parts.scheme not in ("nats", "tls") or not parts.hostname or not prefix.replace("-", "").isalnum():
        raise ConfigError("the address of the events' server: write nats://HOST:PORT, or nats://HOST:PORT/PREFIX")
    return f"{parts.scheme}://{parts.netloc}", prefix


async def connect(url: str) -> Any:
    """Return a connection; it is awaited for as long as it takes, and the log says so.

    Raises:
        ConfigError: the extra ``nats`` is not installed.
        UnavailableError: no server answers.
    """
    try:
        import nats
        from nats.errors import Error, NoServersError
    except ImportError as error:
        raise ConfigError('events on NATS need the package nats-py: pip install "skerry[nats]"') from error

    shown = url.rpartition("@")[2]
    is_quiet = False

    async def failed(error: Exception) -> None:
        """A connection that is lost later is made again, and who waits for an answer is told by its time-out."""
        nonlocal is_quiet
        if not is_quiet:
            is_quiet = True
            logger.warning("the NATS server at %s does not answer (%s); it is tried again", shown, explain(error))

    try:
        connection = await nats.connect(url, error_cb=failed, max_reconnect_attempts=-1, allow_reconnect=True)
        is_quiet = True
        return connection
    except (NoServersError, Error, OSError) as error:
        raise UnavailableError(f"the NATS server at {shown} does not answer: {explain(error)}") from error


def explain(error: Exception) -> str:
    """Return what an error of the client says, or its name where it says nothing."""
    return str(error) or type(error).__name__


def message_id(entry: Entry) -> str:
    """Return by what the server knows an event: its source and its id."""
    return hashlib.sha256(orjson.dumps([entry.source, entry.id])).hexdigest()


def headers_of(entry: Entry, triggers: str) -> dict[str, str]:
    """Return the headers of an event's message; texts that a header cannot hold are escaped."""
    found = {ID: message_id(entry), TRIGGERS: triggers or NO_TRIGGER}
    return found if entry.key is None else {**found, KEY: escape(entry.key)}


def escape(text: str) -> str:
    """Return a text as a header can hold it: as it is, or its bytes as hexadecimal digits behind a backslash."""
    is_plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("\\")
    return text if is_plain else "\\" + text.encode("utf-8").hex()


def unescape(text: str) -> str:
    """Return what `escape` was given."""
    return bytes.fromhex(text[1:]).decode() if text.startswith("\\") else text


def triggers_of(headers: Mapping[str, str] | None) -> list[str]:
    """Return the triggers that take a message."""
    return [name for name in (headers or {}).get(TRIGGERS, "").split() if name != NO_TRIGGER]


def delivery_of(message: Any, number: int, attempts: int, due_at: float) -> Delivery:
    """Return what a message of the stream is for a trigger; it was tried so often, and waits until then."""
    headers = message.headers or {}
    key = headers.get(KEY)
    event = int(headers.get(EVENT, number))
    accepted_at = message.metadata.timestamp.timestamp()
    return Delivery(number, event, None if key is None else unescape(key), message.data, accepted_at, attempts, due_at)


def encode_dead(letter: DeadLetter) -> bytes:
    """Return a dead letter as it is kept."""
    facts = {name: getattr(letter, name) for name in ("trigger", "event", "attempts", "code", "error", "died_at")}
    return orjson.dumps(facts) + b"\n" + letter.document


def decode_dead(number: int, kept: bytes) -> DeadLetter:
    """Return what `encode_dead` has written."""
    facts, _, document = kept.partition(b"\n")
    return DeadLetter(position=number, document=document, **orjson.loads(facts))


async def kept_value(bucket: Any, key: str) -> bytes | None:
    """Return what a bucket has under a key, none where it has nothing."""
    from nats.js.errors import KeyNotFoundError

    try:
        value: bytes = (await bucket.get(key)).value
    except KeyNotFoundError:
        return None
    return value


async def kept_values(server: Any, bucket: Any, name: str) -> dict[str, bytes]:
    """Return what a bucket has, by key.

    The client's own list of keys is now and then empty: where the server is faster than the client, it takes a message
    that it has not looked at for one that there is not.

    Args:
        server: Its JetStream.
        bucket: The bucket.
        name: The bucket's.
    """
    prefix = f"$KV.{name}."
    info = await server.stream_info(f"KV_{name}", subjects_filter=f"{prefix}>")
    found = {}
    for subject in info.state.subjects or {}:
        key = subject.removeprefix(prefix)
        value = await kept_value(bucket, key)
        if value is not None:  # else it was deleted
            found[key] = value
    return found
