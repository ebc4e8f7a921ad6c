"""Actions as entries of xdp-filter, which drops packets before the kernel makes anything of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from skerry.errors import ConfigError, PlatformError
from skerry.network.actions.action import Action
from skerry.network.actions.actuator import Actuator, Hits
from skerry.network.actions.files import ActionFiles
from skerry.network.actions.match import Network
from skerry.network.actions.policy import Policy
from skerry.network.actions.xdp.entries import Entry, entries_of, entry_from_plain, entry_to_plain, find_guarded
from skerry.network.actions.xdp.loading import Loading, find_loading, is_of
from skerry.network.actions.xdp.program import Status, XdpFilter


class XdpActuator(Actuator):
    """Carries actions out on interfaces on which somebody has loaded xdp-filter.

    An action becomes one entry for each source, or for each port; one that takes everything from an address becomes an
    entry about that. Entries carry no action's id, so they are kept in a file with that name, together with the map
    that they are in: where xdp-filter was loaded again since, they are gone, and what is equal to them is left alone.
    They have no time-out:
    what nobody withdraws stays until xdp-filter is unloaded. How many packets they have hit is known, their bytes are
    not.

    Args:
        folder: Where the files with the entries are; one folder for one machine.
        interfaces: Where xdp-filter is loaded.
        destinations: All that packets go to which arrive there, of both IP versions: entries about sources and ports do
            not look at it, so an action has to be about all of it.
        policy: What no entry may ever touch; None for an actuator that only withdraws.

    Raises:
        ConfigError: there is no interface or no destination.
        PlatformError: xdp-filter is not on this machine.

    Example:
        ```python
        own = (ip_network("192.0.2.10"),)
        actuator = XdpActuator(folder=folder / "xdp", interfaces=("eth0",), destinations=own, policy=policy)
        ```
    """

    name: ClassVar[str] = "xdp"

    def __init__(
        self,
        *,
        folder: Path,
        interfaces: Sequence[str],
        destinations: Sequence[Network],
        policy: Policy | None = None,
    ) -> None:
        if not interfaces or not destinations:
            raise ConfigError("name the interfaces that xdp-filter is loaded on, and all that their packets go to")
        self._folder = folder
        self._files = ActionFiles(folder, suffix=".entries")
        self._interfaces = tuple(interfaces)
        self._destinations = tuple(destinations)
        self._policy = policy
        self._xdp_filter = XdpFilter()

    def close(self) -> None:
        """Do nothing: each command is a conversation of its own."""

    def settings(self) -> Mapping[str, Any]:
        """Return what another process needs to withdraw what this one applied."""
        destinations = [str(network) for network in self._destinations]
        folder = str(self._folder.absolute())
        return {"folder": folder, "interfaces": list(self._interfaces), "destinations": destinations}

    def check(self, action: Action) -> None:
        """Find out whether entries can say an action, and whether anything would come of them.

        Raises:
            PlatformError: it would not be taken, and why.
        """
        self._check_new(self._entries(action), self._xdp_filter.status(self._interfaces))

    def apply(self, action: Action, *, timeout_s: float) -> None:
        """Add an action's entries, all or none. The time-out is the keeper's: an entry has none.

        Raises:
            PlatformError: one was refused; nothing has changed.
        """
        entries = self._entries(action)
        with self._files.locked():
            if self._files.has(action.id):
                raise PlatformError(f"an action {action.id} is in force already")
            self._check_new(entries, self._xdp_filter.status(self._interfaces))
            held = [{"entry": entry_to_plain(entry), "loading": asdict(find_loading(entry))} for entry in entries]
            self._files.write(action.id, held)
            try:
                for entry in entries:
                    self._xdp_filter.add(entry)
                status = self._xdp_filter.status(self._interfaces)
                missing = [entry for entry in entries if not status.holds(entry)]
                if missing:
                    raise PlatformError(f"xdp-filter has not taken the entry {' '.join(missing[0].words)}")
            except BaseException:
                with suppress(PlatformError):  # else the file stays, and whoever withdraws the action tries again
                    self._take_back(action.id)
                raise

    def renew(self, action: Action, *, timeout_s: float) -> None:
        """Make sure that an action is in force: there is no time-out to be set.

        Raises:
            PlatformError: it is not in force any more, or not all of it.
        """
        status = self._xdp_filter.status(self._interfaces)
        there = [status.holds(entry) for entry in self._read(action.id)]
        if not any(there):
            raise PlatformError(f"action {action.id} is not in force any more: it was withdrawn")
        if not all(there):
            raise PlatformError(f"of action {action.id} only {sum(there)} of {len(there)} entries are there")

    def withdraw(self, action_id: str) -> bool:
        """Remove an action's entries; those that went with their xdp-filter, or with the machine, are only forgotten.

        Raises:
            PlatformError: xdp-filter refused, or has its maps elsewhere than where the action was applied.
        """
        with self._files.locked():
            if not self._files.has(action_id):
                return False
            self._take_back(action_id)
            return True

    def applied(self) -> Mapping[str, Hits]:
        """Return the actions of which an entry is there, be it one of many, with what they have dropped."""
        ids = self._files.ids()
        if not ids:
            return {}
        status = self._xdp_filter.status(self._interfaces)
        found = {}
        for action_id in ids:
            there = [entry for entry in self._read(action_id) if status.holds(entry)]
            if there:
                packets = sum(listed.packets for entry in there if (listed := status.find(entry)) is not None)
                found[action_id] = Hits(packets=packets, bytes=0)
        return found

    def _entries(self, action: Action) -> list[Entry]:
        if self._policy is None:
            raise PlatformError("this actuator was made to withdraw only: make it with a policy to apply actions")
        entries = entries_of(action, self._destinations)
        for entry in entries:
            refusal = find_guarded(entry, self._policy)
            if refusal is not None:
                raise PlatformError(f"the entry {' '.join(entry.words)} may never be there: {refusal}")
        return entries

    def _check_new(self, entries: Sequence[Entry], status: Status) -> None:
        self._check_loaded({entry.feature for entry in entries}, status)
        for entry in entries:
            if status.find(entry) is not None:
                raise PlatformError(f"there is an entry about {entry.key} already; it would be changed")

    def _check_loaded(self, needed: set[str], status: Status) -> None:
        for interface in self._interfaces:
            features = status.interfaces.get(interface)
            if features is None:
                raise PlatformError(
                    f"xdp-filter is not loaded on {interface}: run `xdp-filter load {interface} -f ipv4,ipv6`"
                )
            if "allow" not in features:
                raise PlatformError(
                    f"xdp-filter on {interface} drops what no entry names, so an entry would let packets pass: load it "
                    "with `--policy allow`"
                )
            if not needed <= features:
                missing = ", ".join(sorted(needed - features))
                raise PlatformError(f"xdp-filter on {interface} is loaded without {missing}: name it with `-f` as well")
        others = sorted(status.interfaces.keys() - set(self._interfaces))
        if others:
            raise PlatformError(f"xdp-filter is loaded on {others[0]} too, where an entry would drop packets as well")

    def _take_back(self, action_id: str) -> None:
        entries = self._read(action_id)
        try:
            status = self._xdp_filter.status(self._interfaces)
        except PlatformError:  # asked in another network; to remove an entry that is not there is no harm
            status = None
        for entry in entries:
            if status is None or status.holds(entry):
                self._xdp_filter.remove(entry)
        self._files.remove(action_id)

    def _read(self, action_id: str) -> list[Entry]:
        """Return the entries of an action that may be there: equal ones in a later loading are somebody else's."""
        held = [
            (entry_from_plain(plain["entry"]), Loading(**plain["loading"])) for plain in self._files.read(action_id)
        ]
        return [entry for entry, loading in held if is_of(entry, loading)]
