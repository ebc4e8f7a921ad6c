"""What every store of states promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from skerry.store.state.operation import Operation, Results


class StateStore(ABC):
    """States: named groups of keys. The same promises on every backend, and one contract test for all of them.

    A group is the unit of everything: of transactions, of versions and of waiting. It has a **revision**, a number that
    grows with every change of it and never goes back; the **version** of a key is the revision that wrote it, so that
    no version comes twice, not even for a key that was deleted meanwhile.

    **Atomicity.** `run` does all of its operations or none of them. Groups of operations MUST be linearisable: each
    appears to happen at one moment between its call and its return, whoever else works on the group, in threads, in
    processes, or (beyond one machine) elsewhere.

    **Durability.** What has returned MUST survive the death of any process that works on the state by any signal. A
    process that dies during `run` leaves all of the operations behind, or none of them.

    **Emptiness.** A list or a set without elements does not exist. Within one `run`, a key that was emptied keeps its
    kind.

    **Time to live.** A key is gone once its time is over: nothing reads it, and its version is 0.

    **Errors.** Every method MUST raise nothing but errors of Skerry, with the group in the message and never a
    credential:

    - `StateConflictError`: a CHECK did not hold; nothing was done;
    - `ConfigError`: a key holds another kind than the verb is about, or a number left its bounds; nothing was done;
    - `StorageError`: the store cannot be reached, or is full. Where the connection broke before the answer, what was
      asked for MAY have been done; it is never done twice.

    After a fork, the child MUST NOT use its parent's object: `store_at` gives each process its own.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the store, without a credential."""

    @abstractmethod
    def run(self, group: str, operations: Sequence[Operation]) -> Results:
        """Do the operations at one moment, all of them or none.

        Args:
            group: The group, ``APP/NAME``.
            operations: What to do, in this order. Every CHECK looks at what was there before all of them.

        Returns:
            One result for each operation, as `Verb` says.

        Raises:
            StateConflictError: a CHECK did not hold.
            ConfigError: a key holds another kind, or a number left its bounds.
            StorageError: the store failed.
        """

    @abstractmethod
    def wait(self, group: str, revision: int, timeout_s: float) -> None:
        """Return once the group's revision is greater than ``revision``, or the time is over.

        Args:
            group: The group.
            revision: What the caller has seen.
            timeout_s: How long to wait, seconds.

        Raises:
            StorageError: the store failed.
        """

    @abstractmethod
    def groups(self, app: str) -> list[str]:
        """Return the names of the states of an app that exist, sorted.

        Args:
            app: The app's name.

        Raises:
            StorageError: the store failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the store holds open; further calls do nothing."""

    def __repr__(self) -> str:
        """Show the kind of the store and its address."""
        return f"{type(self).__name__}({self.url!r})"
