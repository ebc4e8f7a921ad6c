"""Reading syslog: RFC 5424, and what RFC 3164 found in the wild, which has no form that one could insist on.

Every step looks at each character once, so that no message, however malformed, takes long.
"""

from __future__ import annotations

from skerry.errors import DataError
from skerry.network.syslog.message import Facility, Severity, SyslogMessage
from skerry.network.syslog.times import OLD_LENGTH, read_old_time, read_time

# What is read of a message; RFC 5424 asks for 2 KiB, and UDP carries 64.
MAX_BYTES = 65_535

_MAX_PRIORITY = 191
_MAX_ELEMENTS = 256
_MAX_TAG = 48
_BOM = "\ufeff"


def parse_syslog(data: bytes, *, received_ms: int = 0, sender: str = "", offset_s: int = 0) -> SyslogMessage:
    """Read a syslog message.

    Args:
        data: The datagram, or one message of a stream without its frame.
        received_ms: When it came, Unix time; gives messages of RFC 3164 their year.
        sender: The address that it came from.
        offset_s: What clocks that name no time zone are ahead of UTC.

    Raises:
        DataError: It has no priority in front, which is all that both RFCs insist on, or is longer than ``MAX_BYTES``.

    Example:
        >>> parse_syslog(b"<34>1 2003-10-11T22:14:15.003Z web su - ID47 - 'su root' failed").app
        'su'
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"a syslog message of {len(data)} bytes; at most {MAX_BYTES} are read", reason="too_long")
    text = data.decode("utf-8", "replace").rstrip("\r\n\0")
    end = text.find(">", 1, 6)
    digits = text[1:end] if end > 1 else ""
    if not text.startswith("<") or not (digits.isascii() and digits.isdigit()) or int(digits) > _MAX_PRIORITY:
        raise DataError("a syslog message begins with its priority, like <34>; this one does not", reason="no_priority")
    priority, rest = int(digits), text[end + 1 :]
    read = _read_5424(rest, received_ms, sender, priority) if rest.startswith("1 ") else None
    return read or _read_3164(rest, received_ms, sender, priority, offset_s)


def _read_5424(text: str, received_ms: int, sender: str, priority: int) -> SyslogMessage | None:
    """Return a message of RFC 5424; None where its header is not of that form."""
    parts = text.split(" ", 6)
    if len(parts) < 7:
        return None
    _, time, host, app, process, kind, rest = parts
    at_ms = read_time(time)
    if at_ms is None and time != "-":
        return None
    found = _read_data(rest)
    if found is None:
        return None
    data, end = found
    return SyslogMessage(
        facility=Facility(priority >> 3),
        severity=Severity(priority & 7),
        text=rest[end:].removeprefix(" ").removeprefix(_BOM),
        at_ms=at_ms,
        host=_or_empty(host),
        app=_or_empty(app),
        process=_or_empty(process),
        kind=_or_empty(kind),
        data=data,
        received_ms=received_ms,
        sender=sender,
    )


def _or_empty(text: str) -> str:
    return "" if text == "-" else text


def _read_data(text: str) -> tuple[dict[str, dict[str, str]], int] | None:
    """Return the structured data that a text begins with, and where it ends; None where it is malformed."""
    if text.startswith("-"):
        return {}, 1
    data: dict[str, dict[str, str]] = {}
    at = 0
    while at < len(text) and text[at] == "[":
        if len(data) >= _MAX_ELEMENTS:
            return None
        found = _read_element(text, at + 1)
        if found is None:
            return None
        name, parameters, at = found
        data.setdefault(name, parameters)
    return (data, at) if data else None


def _read_element(text: str, at: int) -> tuple[str, dict[str, str], int] | None:
    """Return the name and parameters of an element, and where the next begins."""
    begin = at
    while at < len(text) and text[at] not in ' ]="':
        at += 1
    name = text[begin:at]
    parameters: dict[str, str] = {}
    while at < len(text) and text[at] == " ":
        equals = text.find('="', at, at + 80)
        if equals < 0 or len(parameters) >= _MAX_ELEMENTS:
            return None
        value = _read_value(text, equals + 2)
        if value is None:
            return None
        parameters[text[at + 1 : equals]], at = value
    if not name or at >= len(text) or text[at] != "]":
        return None
    return name, parameters, at + 1


def _read_value(text: str, at: int) -> tuple[str, int] | None:
    """Return a quoted value, of which the quote has been read, and what comes behind it."""
    parts: list[str] = []
    begin = at
    while at < len(text):
        letter = text[at]
        if letter == '"':
            parts.append(text[begin:at])
            return "".join(parts), at + 1
        if letter == "\\" and text[at + 1 : at + 2] in {'"', "\\", "]"}:
            parts.append(text[begin:at])
            begin = at + 1
            at += 1
        at += 1
    return None


def _read_3164(text: str, received_ms: int, sender: str, priority: int, offset_s: int) -> SyslogMessage:
    """Return a message of RFC 3164. What cannot be told apart is text: the RFC lets a relay pass anything on."""
    at_ms = read_old_time(text[:OLD_LENGTH], near_ms=received_ms, offset_s=offset_s)
    rest = text[OLD_LENGTH:].removeprefix(" ") if at_ms is not None else text
    if at_ms is None:
        # rsyslog and others write the newer time into the older form.
        word, _, behind = text[:64].partition(" ")
        at_ms = read_time(word)
        if at_ms is not None:
            rest = text[len(word) + 1 :]
    host = ""
    if at_ms is not None:
        first, _, behind = rest.partition(" ")
        # A tag ends with a colon, a host's name never does: local programs leave the host out.
        if behind and not first.endswith(":") and "[" not in first:
            host, rest = first, behind
    app, process, body = _read_tag(rest)
    return SyslogMessage(
        facility=Facility(priority >> 3),
        severity=Severity(priority & 7),
        text=body,
        at_ms=at_ms,
        host=host,
        app=app,
        process=process,
        received_ms=received_ms,
        sender=sender,
    )


def _read_tag(text: str) -> tuple[str, str, str]:
    """Return the program, its process id, and the text behind ``program[pid]:``; no program where there is no tag."""
    head, colon, body = text[: _MAX_TAG + 24].partition(":")
    if not colon or " " in head or not head:
        return "", "", text
    body = text[len(head) + 1 :]
    app, bracket, process = head.partition("[")
    if bracket and not process.endswith("]"):
        return "", "", text
    return app, process.removesuffix("]"), body.removeprefix(" ")
