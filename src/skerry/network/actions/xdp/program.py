"""The program xdp-filter, and what it prints. Needs the Debian package ``xdp-tools``."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from skerry.errors import PlatformError
from skerry.network.actions.match import Address
from skerry.network.actions.xdp.entries import Entry

PROGRAM = "xdp-filter"
TIMEOUT_S = 10.0
# One runs at a time on a machine: it makes this file, with its process id, and the next one fails while it is there.
LOCK_FILE = Path("/run/xdp-filter.lck")
LOCKED = "Unable to get program lock"
LOCK_TIMEOUT_S = 10.0
LOCK_POLL_S = 0.01
NOT_LOADED = "Couldn't find stats map"
# What it says of an entry that is not there, where it would have to make room for it first.
NOT_THERE = "state map is full"
_INTERFACE = re.compile(r"  (\S+) \((\w+) mode\)\s+(\S+)")
_ENTRY = re.compile(r"  (\S+)\s+(\S+)\s+(\d+)")
_PORTS, _ADDRESSES = "Filtered ports:", "Filtered IP addresses:"
_TITLES = ("Loaded on interfaces:", _PORTS, _ADDRESSES, "Filtered MAC addresses:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry that is there.

    Attributes:
        modes: What it hits: ``src`` or ``dst`` or both, and of a port the protocols.
        packets: How many it has hit.
    """

    modes: frozenset[str]
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is there now.

    Attributes:
        interfaces: Where xdp-filter is loaded, with its features, of which ``allow`` or ``deny`` is what it does with a
            packet that no entry is about.
        entries: By address or port.
    """

    interfaces: Mapping[str, frozenset[str]] = field(default_factory=dict)
    entries: Mapping[Address | int, Listed] = field(default_factory=dict)

    def find(self, entry: Entry) -> Listed | None:
        """Return what is there about an entry's address or port, whoever has added it."""
        return self.entries.get(entry.port if entry.address is None else entry.address)

    def holds(self, entry: Entry) -> bool:
        """Return whether an entry is there, by itself or as part of a wider one."""
        listed = self.find(entry)
        return listed is not None and entry.modes <= listed.modes


class XdpFilter:
    """xdp-filter on this machine, in the network namespace of the thread that calls it.

    Raises:
        PlatformError: the program is not on this machine.
    """

    def __init__(self) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise PlatformError("the program xdp-filter is not on this machine: apt install xdp-tools")
        self._program = program

    def status(self, interfaces: Iterable[str]) -> Status:
        """Return where it is loaded and which entries there are; nothing where it is not loaded.

        Args:
            interfaces: Which there have to be. Asked in a network namespace without them, xdp-filter takes them for
                removed, and forgets that it is loaded there.

        Raises:
            PlatformError: there is no such interface, or it cannot be asked.
        """
        missing = sorted(set(interfaces) - {name for _, name in socket.if_nameindex()})
        if missing:
            raise PlatformError(f"there is no interface {missing[0]} in this network namespace")
        try:
            return parse_status(self._run("status"))
        except PlatformError as error:
            if NOT_LOADED in error.message:
                return Status()
            raise

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            PlatformError: it was refused.
        """
        self._run(*entry.words)

    def remove(self, entry: Entry) -> None:
        """Remove an entry; one that is not there is no error.

        Raises:
            PlatformError: it was refused, or xdp-filter is not loaded, as far as can be seen from here.
        """
        try:
            self._run(*entry.words, "-r")
        except PlatformError as error:
            if NOT_THERE not in error.message:
                raise

    def _run(self, *words: str) -> str:
        ends_at_s = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            done = self._run_once(words)
            if not done.returncode:
                return done.stdout
            said = done.stderr.strip() or done.stdout.strip() or "it does not say why"
            if LOCKED not in said or time.monotonic() > ends_at_s:
                reason = " ".join(said.split())
                raise PlatformError(f"xdp-filter refused `{' '.join(words)}`: {reason}", hint="are you root?")
            _remove_stale_lock()
            time.sleep(LOCK_POLL_S)

    def _run_once(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        try:
            # A session of its own: what ends the acting process with its whole group must not leave the lock behind.
            return subprocess.run(
                (self._program, *words),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PlatformError(f"xdp-filter {' '.join(words)} did not end: {error}") from error


def parse_status(text: str) -> Status:
    """Return what ``xdp-filter status`` has printed."""
    interfaces: dict[str, frozenset[str]] = {}
    entries: dict[Address | int, Listed] = {}
    title = ""
    for line in text.splitlines():
        if line in _TITLES:
            title = line
        elif title == _TITLES[0] and (found := _INTERFACE.fullmatch(line)):
            interfaces[found[1]] = frozenset(found[3].split(","))
        elif title in (_PORTS, _ADDRESSES) and (found := _ENTRY.fullmatch(line)):
            key = int(found[1]) if title == _PORTS else ip_address(found[1])
            entries[key] = Listed(modes=frozenset(found[2].split(",")), packets=int(found[3]))
    return Status(interfaces=interfaces, entries=entries)


def _remove_stale_lock() -> None:
    """Remove the lock of a process that was killed: with it, no entry could be taken back any more."""
    with suppress(OSError, ValueError):
        holder = int(LOCK_FILE.read_text(encoding="ascii"))
        if not Path(f"/proc/{holder}").exists():
            LOCK_FILE.unlink()
