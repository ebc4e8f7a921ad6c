"""Where accepted events are kept until they are dealt with: one folder, one small abstract class, its backends."""

from skerry.events.backlog.base import Accepted, Backlog, Settled
from skerry.events.backlog.sqlite import SqliteBacklog

__all__ = ["Accepted", "Backlog", "Settled", "SqliteBacklog"]
