"""States: what functions keep outside themselves, in SQLite on one machine or in Redis beyond it.

Every method happens at one moment, whoever else works on the state; what has returned survives the death of any
process.
"""

from skerry.store.state.barrier import Barrier
from skerry.store.state.base import StateStore
from skerry.store.state.batch import Batch, Reply
from skerry.store.state.commands import Entry
from skerry.store.state.keys import check_group
from skerry.store.state.lease import Lease, Lock
from skerry.store.state.location import open_state, store_at
from skerry.store.state.sqlite import SqliteStateStore
from skerry.store.state.state import State
from skerry.store.state.transaction import Transaction
from skerry.store.state.watching import Change, KeyInfo

__all__ = [
    "Barrier",
    "Batch",
    "Change",
    "Entry",
    "KeyInfo",
    "Lease",
    "Lock",
    "Reply",
    "SqliteStateStore",
    "State",
    "StateStore",
    "Transaction",
    "check_group",
    "open_state",
    "store_at",
]
