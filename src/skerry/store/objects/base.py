"""What every store of objects promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known about an object without reading it.

    Attributes:
        key: Its name.
        size_bytes: The number of its bytes.
        modified_at: When it was written, by the clock of the store, in seconds since 1970 (UTC).
    """

    key: str
    size_bytes: int
    modified_at: float


class ObjectStore(ABC):
    """Named, immutable pieces of bytes: the same promises on every backend, and one contract test for all of them.

    **Keys.** A key MUST be a relative POSIX path of segments ``[A-Za-z0-9._=+-]+``, none of them ``.`` or ``..``, a
    segment at most 200 and the key at most 512 bytes long. Anything else MUST be refused with `ConfigError` before any
    input or output. Keys are compared byte by byte. ``a`` and ``a/b`` MAY both be keys of one store.

    **Writing.** A write MUST be atomic: at every moment a reader sees the old object or the new one, never a mixture
    or a part. When a write has returned, the object MUST survive the loss of power. A write that fails (its iterator
    raises, the disk is full, the connection breaks, the process is killed) MUST leave the old object, or none, in
    place, and nothing that ``list``, ``get`` or ``describe`` can see. What a killed writer has left SHOULD be removed
    later.

    **Reading.** What is read MUST be verified against the SHA-256 that was computed when it was written. What has
    none, because something else put it there, MUST be refused like what is corrupt.

    **Several writers.** Every method MUST be safe with any number of readers and writers in other threads and
    processes, and on S3 on other machines.

    **Errors.** Every method MUST raise nothing but errors of Skerry (and what the caller's own iterator raises), with
    the key and the address of the store in the message and never a credential:

    - `ObjectNotFoundError`: there is no such object;
    - `CorruptObjectError`: it is not what was put there;
    - `StorageError`: the store cannot be reached, refuses, or is full. A write that failed so MAY have happened when
      the connection broke before the answer; writing it again is safe.

    An object of this class MUST NOT be carried over a fork: make a new one in the child.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the store, which `open_store` reads; never holds a credential."""

    @abstractmethod
    def put(self, key: str, data: bytes | Iterable[bytes]) -> ObjectInfo:
        """Write an object, in place of the one of this key when there is one.

        Args:
            key: Its name.
            data: Its bytes, or an iterable of pieces of any size; those are never all in memory at once.

        Returns:
            The new object's description.

        Raises:
            ConfigError: The key is not allowed, or a piece is not bytes.
            StorageError: It could not be written.
        """

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object, unless there is one of this key. Of many that race for a key, exactly one MUST get true.

        Args:
            key: Its name.
            data: Its bytes.

        Returns:
            True: it was absent and is now written. False: there was one, which was not touched.

        Raises:
            ConfigError: The key is not allowed, or the data are not bytes.
            StorageError: It could not be written, or it is not known whether it was.
        """

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Return the bytes of an object, verified.

        Raises:
            ConfigError: The key is not allowed.
            ObjectNotFoundError: There is no such object.
            CorruptObjectError: The bytes are not what was put.
            StorageError: They could not be read.
        """

    @abstractmethod
    def stream(self, key: str, *, chunk_bytes: int = 2**20) -> Iterator[bytes]:
        """Return an iterator over the bytes of an object, of one version of it even when it is overwritten meanwhile.

        The last piece MUST be given only when the whole is verified, so that reading to the end without an error means
        that all pieces are right. The object is opened with the first piece, and errors about it come then.

        Args:
            key: Its name.
            chunk_bytes: The most that a piece may hold, at least 1. Memory is bounded by a small multiple of it.

        Raises:
            ConfigError: The key or the size is not allowed; raised by the call itself.
            ObjectNotFoundError: There is no such object.
            CorruptObjectError: The bytes are not what was put.
            StorageError: They could not be read.
        """

    @abstractmethod
    def describe(self, key: str) -> ObjectInfo:
        """Return what is known about an object without reading (and verifying) it.

        Raises:
            ConfigError: The key is not allowed.
            ObjectNotFoundError: There is no such object.
            StorageError: It could not be asked for.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Return an iterator over the objects whose keys begin with a prefix, sorted by key (as bytes).

        It is lazy: pages or folders are fetched as they are needed. Objects that are written or deleted meanwhile MAY
        be in it or not; all others MUST be, once.

        Args:
            prefix: What the keys begin with: any beginning, not only whole segments. ``models/d`` finds
                ``models/digits/1`` and ``models/d``.

        Raises:
            ConfigError: No key can begin so; raised by the call itself.
            StorageError: The store could not be read.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove an object. Readers that have begun go on with it, or fail with `ObjectNotFoundError`.

        Returns:
            True: there was one. False: there was none.

        Raises:
            ConfigError: The key is not allowed.
            StorageError: It could not be removed.
        """

    def sweep(self) -> int:
        """Remove what writers that were killed more than an hour ago have left in the store.

        It is safe at any time, beside any number of writers. A write sweeps beside itself; this sweeps everything.

        Returns:
            How many leftovers were removed; 0 on a backend that has none, or has its own way of doing so.

        Raises:
            StorageError: The store could not be read.
        """
        return 0

    def __repr__(self) -> str:
        """Show the kind of the store and its address."""
        return f"{type(self).__name__}({self.url!r})"
