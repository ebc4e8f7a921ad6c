"""Syslog: messages of devices, RFC 5424 and the older RFC 3164."""

from __future__ import annotations

from skerry.network.syslog.listener import SyslogListener
from skerry.network.syslog.message import Facility, Severity, SyslogMessage
from skerry.network.syslog.parsing import parse_syslog

__all__ = ["Facility", "Severity", "SyslogListener", "SyslogMessage", "parse_syslog"]
