"""Actions as rules of nftables, in a table of their own that is there only while an action is."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path as FilePath
from typing import Any, ClassVar

from skerry.errors import PlatformError
from skerry.network.actions.action import Action
from skerry.network.actions.actuator import Actuator, Hits
from skerry.network.actions.namespace import find_namespace
from skerry.network.actions.nftables.expressions import guard_rules, network_value, rule_expressions
from skerry.network.actions.nftables.library import Command, Nftables
from skerry.network.actions.policy import Policy

FAMILY = "inet"
CHAIN = "actions"
# Before fragments are put together (-400) and before connections are tracked: an attack costs neither.
PRIORITY = -450
LARGEST_TIMEOUT_S = 7 * 24 * 3600
# What the kernel says of a table that is not there; to ask for the list of all tables first takes as long again.
NO_TABLE = os.strerror(errno.ENOENT)


class NftablesActuator(Actuator):
    """Carries actions out in the kernel of this machine, in the network namespace in which it is made.

    The table holds one chain, where the packets of all interfaces arrive. It begins with the guard: rules that let pass
    what no action may touch. Each action is one rule and one set with the rule's destination, whose only element times
    out: an action that nobody renews has no effect any more, also when no process is left.

    Args:
        policy: What the guard lets pass; None for an actuator that only withdraws.
        table: The table's name.
        lock_file: A file that the processes which use the table lock, to change it one after the other.
    """

    name: ClassVar[str] = "nftables"

    def __init__(self, *, policy: Policy | None = None, table: str = "skerry", lock_file: FilePath) -> None:
        self._policy = policy
        self._table = table
        self._lock_file = lock_file
        self._nftables = Nftables()
        self._namespace = find_namespace()

    def settings(self) -> Mapping[str, Any]:
        """Return what another process needs to withdraw what this one applied."""
        return {"table": self._table, "lock_file": str(self._lock_file), "namespace": self._namespace}

    def close(self) -> None:
        """End the conversation with the kernel; what is in force stays."""
        self._nftables.close()

    def check(self, action: Action) -> None:
        """Let the kernel look at an action without any effect.

        Raises:
            PlatformError: it would be refused, and why.
        """
        with self._locked():
            self._nftables.run(self._commands(action, timeout_s=action.ttl_s), dry=True)

    def apply(self, action: Action, *, timeout_s: float) -> None:
        """Carry an action out in one transaction.

        Raises:
            PlatformError: it was refused; nothing has changed.
        """
        with self._locked():
            self._nftables.run(self._commands(action, timeout_s=timeout_s))

    def renew(self, action: Action, *, timeout_s: float) -> None:
        """Give an action another time-out.

        Raises:
            PlatformError: it is not in force any more.
        """
        value = network_value(action.match.destination)
        element = {**self._place, "name": action.id}
        with self._locked():
            current = self._element_is_there(action.id)
            commands: list[Command] = [{"delete": {"element": {**element, "elem": [value]}}}] if current else []
            commands.append({"add": {"element": {**element, "elem": [_timed(value, timeout_s)]}}})
            self._nftables.run(commands)

    def withdraw(self, action_id: str) -> bool:
        """Take an action's rule and set away, and the table with the last one.

        Raises:
            PlatformError: the kernel refused.
        """
        with self._locked():
            listed = self._list()
            rules = [entry["rule"] for entry in listed if "rule" in entry]
            ours = [rule for rule in rules if rule.get("comment") == action_id]
            has_set = any(entry["set"]["name"] == action_id for entry in listed if "set" in entry)
            if not ours and not has_set:
                return False
            if all(rule.get("comment") in (action_id, None) for rule in rules):
                self._nftables.run([{"delete": {"table": {"family": FAMILY, "name": self._table}}}])
                return True
            place = {**self._place, "chain": CHAIN}
            commands: list[Command] = [{"delete": {"rule": {**place, "handle": rule["handle"]}}} for rule in ours]
            if has_set:
                commands.append({"delete": {"set": {**self._place, "name": action_id}}})
            self._nftables.run(commands)
            return True

    def applied(self) -> Mapping[str, Hits]:
        """Return the actions that are in force and have not timed out, with what they have dropped."""
        listed = self._list()
        current = {entry["set"]["name"] for entry in listed if "set" in entry and entry["set"].get("elem")}
        rules = [entry["rule"] for entry in listed if "rule" in entry]
        return {rule["comment"]: _hits(rule) for rule in rules if rule.get("comment") in current}

    @property
    def _place(self) -> dict[str, str]:
        return {"family": FAMILY, "table": self._table}

    def _commands(self, action: Action, *, timeout_s: float) -> list[Command]:
        commands: list[Command] = [] if self._list() else list(self._base())
        destination = action.match.destination
        whole = destination.prefixlen == destination.max_prefixlen
        value = network_value(destination)
        switch = {
            **self._place,
            "name": action.id,
            "type": "ipv4_addr" if destination.version == 4 else "ipv6_addr",
            "flags": ["timeout"] if whole else ["timeout", "interval"],
        }
        element = {**self._place, "name": action.id, "elem": [_timed(value, timeout_s)]}
        rule = {**self._place, "chain": CHAIN, "comment": action.id, "expr": rule_expressions(action)}
        # `create` fails where a set of this name is there already, which `add` would take over; it ignores elements.
        return [*commands, {"create": {"set": switch}}, {"add": {"element": element}}, {"add": {"rule": rule}}]

    def _base(self) -> Iterator[Command]:
        if self._policy is None:
            raise PlatformError("this actuator was made to withdraw only: make it with a policy to apply actions")
        yield {"add": {"table": {"family": FAMILY, "name": self._table}}}
        hook = {"type": "filter", "hook": "prerouting", "prio": PRIORITY, "policy": "accept"}
        yield {"add": {"chain": {**self._place, "name": CHAIN, **hook}}}
        for expressions in guard_rules(self._policy):
            yield {"add": {"rule": {**self._place, "chain": CHAIN, "expr": expressions}}}

    def _list(self) -> list[dict[str, Any]]:
        try:
            return self._nftables.run([{"list": {"table": {"family": FAMILY, "name": self._table}}}])
        except PlatformError as error:
            if NO_TABLE in error.message:
                return []
            raise

    def _element_is_there(self, action_id: str) -> bool:
        for entry in self._list():
            if "set" in entry and entry["set"]["name"] == action_id:
                return bool(entry["set"].get("elem"))
        raise PlatformError(f"action {action_id} is not in force any more: it was withdrawn")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PlatformError(f"the rules cannot be changed without the lock {self._lock_file}: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _timed(value: Any, timeout_s: float) -> dict[str, Any]:
    return {"elem": {"val": value, "timeout": min(max(ceil(timeout_s), 1), LARGEST_TIMEOUT_S)}}


def _hits(rule: Mapping[str, Any]) -> Hits:
    counters = [expression["counter"] for expression in rule["expr"] if "counter" in expression]
    return Hits(packets=counters[0]["packets"], bytes=counters[0]["bytes"])
