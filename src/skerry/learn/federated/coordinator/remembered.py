"""Updates that are remembered: a client that is not heard in a round counts with its last one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from skerry.learn.federated.record.reply_log import BASE, REMEMBERED, Entry, ReplyLog
from skerry.learn.federated.wire.parameters import Vector


def still_counting(last: Mapping[str, int], heard: Collection[str], *, round: int, rounds: int) -> tuple[str, ...]:
    """Return who counts in a round with its last update, though it was not heard in it.

    Args:
        last: The round of the task that each client's last update answers.
        heard: Whose update, in time or late, came in the round.
        round: The round.
        rounds: Updates that answer tasks of more rounds ago are forgotten: their clients may be dead.

    Example:
        >>> still_counting({"a": 7, "b": 8, "c": 2}, {"a"}, round=8, rounds=3)
        ('b',)

    Source: Gu, Huang, Zhang, Huang: Fast Federated Learning in the Presence of Arbitrary Device Unavailability, NeurIPS
    2021 (MIFA). Differs in that it forgets, and in what strategies make of it (`reachable_mean`).
    """
    return tuple(sorted(client for client, of in last.items() if client not in heard and of >= round - rounds))


def carry(before: ReplyLog, log: ReplyLog, *, given: Vector | None, round: int, rounds: int) -> tuple[str, ...]:
    """Write the last updates that still count from the log of the round before into a round's own; return whose.

    So the log of one round is all the memory that there is, and memory in the process is one reply's.

    Args:
        before: Of the round before, with what it had carried itself.
        log: Of the round, with all replies that came.
        given: The model that the clients of the round before were given. It is written beside their updates; none,
            which a run has that an older Skerry began, forgets those that have no model beside them.
        round: The round.
        rounds: As in :func:`still_counting`.
    """
    last: dict[str, Entry] = {}
    for entry in before.entries:
        if (entry.has_base or given is not None) and (
            entry.client not in last or last[entry.client].round < entry.round
        ):
            last[entry.client] = entry
    heard = {entry.client for entry in log.entries}
    carried = still_counting({name: entry.round for name, entry in last.items()}, heard, round=round, rounds=rounds)
    for client in carried:
        reply, facts = before.read(last[client])
        log.append(reply, {BASE: given, **facts, REMEMBERED: True})
    return carried
