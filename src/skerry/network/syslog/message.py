"""A syslog message as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is, the worst first."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Facility(IntEnum):
    """What part of a system it is from."""

    KERN = 0
    USER = 1
    MAIL = 2
    DAEMON = 3
    AUTH = 4
    SYSLOG = 5
    LPR = 6
    NEWS = 7
    UUCP = 8
    CRON = 9
    AUTHPRIV = 10
    FTP = 11
    NTP = 12
    AUDIT = 13
    ALERT = 14
    CLOCK = 15
    LOCAL0 = 16
    LOCAL1 = 17
    LOCAL2 = 18
    LOCAL3 = 19
    LOCAL4 = 20
    LOCAL5 = 21
    LOCAL6 = 22
    LOCAL7 = 23


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogMessage:
    """A syslog message.

    Args:
        facility: What part of a system it is from.
        severity: How bad it is.
        text: The message itself.
        at_ms: When it was made, Unix time, by the sender's clock; None where it does not say.
        host: Who made it, as it says of itself; empty where it does not.
        app: The program; empty where it does not say.
        process: Its process id or the like.
        kind: The message id of RFC 5424, which says what kind of message it is.
        data: Structured data of RFC 5424: parameters by element, and by name.
        received_ms: When it came, by our clock.
        sender: The address that it came from.
    """

    facility: Facility
    severity: Severity
    text: str
    at_ms: int | None = None
    host: str = ""
    app: str = ""
    process: str = ""
    kind: str = ""
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    received_ms: int = 0
    sender: str = ""
