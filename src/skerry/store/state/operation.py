"""What a store of states is asked to do: a few verbs on one key each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

COUNTER_LIMIT = 2**53  # what every backend, and JSON, holds exactly


class Verb(StrEnum):
    """One thing to do with one key.

    ==============  =====================================================  ==========================================
    verb            what it does                                           its result
    ==============  =====================================================  ==========================================
    CHECK           refuse the whole unless the key's version, before      None
                    all of it, is ``number``; 0 means: there is no key
    GET             read a value                                           (bytes, version), or None
    PUT             write ``values[0]`` in place of whatever is there      the new version
    DELETE          remove whatever is there                               whether there was something
    INCREMENT       add ``number`` to a whole number, 0 where none is      the new number
    EXPIRE          let the key end after ``ttl_ms``; never with None      whether there is such a key
    APPEND          put values at the end of a list                        its new length
    POP             take the first (``number`` 0) or last (-1) away        bytes, or None
    SLICE           read a list from ``number`` to ``stop``, as Python     a list of bytes
    ADD             put values into a set                                  how many were new
    DISCARD         take values out of a set                               how many were there
    MEMBERS         read a set                                             a list of bytes, in their order
    CONTAINS        look for ``values[0]`` in a set                        whether it is there
    SIZE            count a list or a set                                  a number
    SCAN            list at most ``number`` keys that begin with ``key``,  a list of (key, kind, version, ttl_ms or
                    behind ``after``                                       None), in the order of their bytes
    REVISION        read how often the whole state was changed             a number
    ==============  =====================================================  ==========================================
    """

    CHECK = "check"
    GET = "get"
    PUT = "put"
    DELETE = "delete"
    INCREMENT = "increment"
    EXPIRE = "expire"
    APPEND = "append"
    POP = "pop"
    SLICE = "slice"
    ADD = "add"
    DISCARD = "discard"
    MEMBERS = "members"
    CONTAINS = "contains"
    SIZE = "size"
    SCAN = "scan"
    REVISION = "revision"


READS = frozenset([Verb.GET, Verb.SLICE, Verb.MEMBERS, Verb.CONTAINS, Verb.SIZE, Verb.SCAN, Verb.REVISION, Verb.CHECK])


class Kind(StrEnum):
    """What a key holds."""

    VALUE = "value"
    LIST = "list"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A verb and what it is about; see `Verb`.

    Args:
        verb: What to do.
        key: The key; of a SCAN, what keys begin with.
        values: Encoded values.
        number: A version, an amount, a position or a bound.
        ttl_ms: Time to live from now, milliseconds; None: without end.
        stop: Of a SLICE, the position that is not read any more; None: the end.
        after: Of a SCAN, the key behind which it begins.
    """

    verb: Verb
    key: str = ""
    values: tuple[bytes, ...] = ()
    number: int = 0
    ttl_ms: int | None = None
    stop: int | None = None
    after: str = ""


Results = list[Any]
