"""What happened to the aliases of a model, and what follows from it: a pure fold over entries that never change.

**The sequence of an alias.** Every entry that points an alias at a version adds the version to the alias's sequence,
unless it is the last one already. The alias points at the last of its sequence.

- A *rollback* takes from the end of the sequence until the version before the present one is last. So a rollback after
  a rollback goes further back, never forward again, and pointing the alias at a version after a rollback begins a new
  end. Versions that were deleted, and the present one itself, are passed over.
- A *removal* leaves the sequence as it is, and the alias pointing nowhere. A rollback after it takes the removal back.
- A *deletion* names a version and no alias. No alias points at the version then, and none ever will.

>>> table = AliasTable()
>>> for number, version in enumerate((1, 2, 3), start=1):
...     table = table.after(table.point(number, "production", version, Stamp(at=0.0, by="ada@sea")))
>>> back = table.roll_back(4, "production", Stamp(at=0.0, by="ada@sea"))
>>> back.version, back.previous
(2, 3)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from skerry.errors import ModelInUseError, ModelNotFoundError, ModelRejectedError
from skerry.store.models.fields import (
    NAME,
    canonical_json,
    members,
    number,
    parse_json,
    refusal,
    text,
    whole,
)
from skerry.store.models.names import NUMBER_LIMIT

ROLLBACK, REMOVE, DELETE = "rollback", "remove", "delete"
ENTRY_LIMIT_BYTES = 2**14
REASON_LIMIT = 1000
_MEMBERS = ("number", "at", "action", "alias", "version", "previous", "by", "reason", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to a model's aliases.

    Args:
        number: Its place in the history, from 1, without gaps.
        at: When, Unix seconds, by the clock of who wrote it.
        action: What: ``rollback``, ``remove``, ``delete``, or a word for pointing an alias, such as ``alias``.
        alias: Which; None where a version was deleted.
        version: What the alias points at from now on, None for nothing; or the version that was deleted.
        previous: What the alias pointed at before.
        by: Who, as user@host.
        reason: Why, as a person or a policy put it.
        id: Random; by it a writer that lost its answer finds its own entry again.
    """

    number: int
    at: float
    action: str
    alias: str | None
    version: int | None
    previous: int | None
    by: str
    reason: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def to_json(self) -> bytes:
        """Return the entry as canonical JSON."""
        return canonical_json(asdict(self), f"entry {self.number}")

    @classmethod
    def from_json(cls, data: bytes) -> HistoryEntry:
        """Return the entry that bytes hold.

        Raises:
            ModelRejectedError: they hold none.
        """
        where = "entry of a history"
        value = members(parse_json(data, where, limit_bytes=ENTRY_LIMIT_BYTES), where, _MEMBERS)
        return cls(
            number=whole(value["number"], f"{where}: number", low=1, high=NUMBER_LIMIT),
            at=number(value["at"], f"{where}: at"),
            action=text(value["action"], f"{where}: action", pattern=NAME),
            alias=None if value["alias"] is None else text(value["alias"], f"{where}: alias", pattern=NAME),
            version=_optional_version(value["version"], f"{where}: version"),
            previous=_optional_version(value["previous"], f"{where}: previous"),
            by=text(value["by"], f"{where}: by"),
            reason=check_reason(value["reason"], f"{where}: reason"),
            id=text(value["id"], f"{where}: id"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who writes an entry, when and why; see `HistoryEntry`."""

    at: float
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasTable:
    """What a history comes to.

    Args:
        aliases: Version by alias; those that point nowhere are left out.
        sequences: Of every alias there ever was, the versions that a rollback walks, the last one first to go.
        deleted: The entry of its deletion by version.
    """

    aliases: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    deleted: Mapping[int, HistoryEntry] = field(default_factory=dict)

    def after(self, entry: HistoryEntry) -> AliasTable:
        """Return the table that one more entry makes of this one."""
        if entry.alias is None:
            deleted = {} if entry.version is None else {entry.version: entry}
            return AliasTable(aliases=self.aliases, sequences=self.sequences, deleted={**self.deleted, **deleted})
        aliases = {alias: version for alias, version in self.aliases.items() if alias != entry.alias}
        sequence = self.sequences.get(entry.alias, ())
        if entry.version is not None:
            aliases[entry.alias] = entry.version
            sequence = _moved(sequence, entry.version, back=entry.action == ROLLBACK)
        sequences = {**self.sequences, entry.alias: sequence}
        return AliasTable(aliases=aliases, sequences=sequences, deleted=self.deleted)

    def point(self, number: int, alias: str, version: int, stamp: Stamp, *, action: str = "alias") -> HistoryEntry:
        """Return the entry that points an alias at a version.

        Raises:
            ModelNotFoundError: the version was deleted.
        """
        if version in self.deleted:
            raise deleted_error(self.deleted[version])
        return self._entry(number, action, alias, version, stamp)

    def roll_back(self, number: int, alias: str, stamp: Stamp) -> HistoryEntry:
        """Return the entry that points an alias at what it pointed at before its present version.

        Raises:
            ModelNotFoundError: there was nothing before.
        """
        present = self.aliases.get(alias)
        for version in reversed(self.sequences.get(alias, ())):
            if version != present and version not in self.deleted:
                return self._entry(number, ROLLBACK, alias, version, stamp)
        if present is None:
            raise ModelNotFoundError(f"there is no alias {alias!r} to roll back")
        raise ModelNotFoundError(
            f"alias {alias!r} points at version {present}, and pointed at nothing before that is still there; "
            "point it at another version instead"
        )

    def remove(self, number: int, alias: str, stamp: Stamp) -> HistoryEntry:
        """Return the entry after which an alias points nowhere.

        Raises:
            ModelNotFoundError: it points nowhere already.
        """
        if alias not in self.aliases:
            raise ModelNotFoundError(
                f"there is no alias {alias!r}; there are: {', '.join(sorted(self.aliases)) or 'none'}"
            )
        return self._entry(number, REMOVE, alias, None, stamp)

    def delete(self, number: int, version: int, stamp: Stamp) -> HistoryEntry:
        """Return the entry that deletes a version.

        Raises:
            ModelNotFoundError: it was deleted before.
            ModelInUseError: an alias points at it.
        """
        if version in self.deleted:
            raise deleted_error(self.deleted[version])
        if users := sorted(alias for alias, pointed in self.aliases.items() if pointed == version):
            raise ModelInUseError(
                f"version {version} cannot be deleted: {', '.join(users)} points at it; point the alias elsewhere, or "
                "remove it, first"
            )
        return self._entry(number, DELETE, None, version, stamp)

    def _entry(self, number: int, action: str, alias: str | None, version: int | None, stamp: Stamp) -> HistoryEntry:
        return HistoryEntry(
            number=number,
            at=stamp.at,
            action=action,
            alias=alias,
            version=version,
            previous=None if alias is None else self.aliases.get(alias),
            by=stamp.by,
            reason=stamp.reason,
        )


def fold(entries: Iterable[HistoryEntry]) -> AliasTable:
    """Return what entries come to, in their order."""
    table = AliasTable()
    for entry in entries:
        table = table.after(entry)
    return table


def deleted_error(entry: HistoryEntry) -> ModelNotFoundError:
    """Return the error of a version that was deleted."""
    why = f": {entry.reason}" if entry.reason else ""
    return ModelNotFoundError(f"version {entry.version} was deleted by {entry.by}{why}")


def check_reason(value: Any, where: str) -> str:
    """Return a reason: any line of at most 1,000 characters, or none."""
    if not isinstance(value, str) or len(value) > REASON_LIMIT or not value.isprintable():
        raise refusal(where, f"must be one line of at most {REASON_LIMIT} characters that can be printed")
    return value


def check_action(action: str) -> str:
    """Return the word for pointing an alias.

    Raises:
        ModelRejectedError: it is none, or one that means something else.
    """
    if action in {ROLLBACK, REMOVE, DELETE} or not NAME.fullmatch(action):
        raise ModelRejectedError(
            f"action {action!r}: use a word such as alias or promote; {ROLLBACK} has its own method"
        )
    return action


def _moved(sequence: tuple[int, ...], version: int, *, back: bool) -> tuple[int, ...]:
    if back and version in sequence:
        last = len(sequence) - 1 - sequence[::-1].index(version)
        return sequence[: last + 1]
    return sequence if sequence[-1:] == (version,) else (*sequence, version)


def _optional_version(value: Any, where: str) -> int | None:
    return None if value is None else whole(value, where, low=1, high=NUMBER_LIMIT)
