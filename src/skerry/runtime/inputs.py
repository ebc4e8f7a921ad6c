"""Files and folders of calls, as a worker sees them: references become paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import InputNotFoundError, InvalidPayloadError, PrivacyError
from skerry.payload.file import Found, Input, Kind, Reference, are_annotated, install_port
from skerry.runtime.guarding import guard

if TYPE_CHECKING:
    from skerry.store.inputs import InputStore, SharedInputs

# As skerry.store.inputs names them, which a worker imports when it needs it.
INPUTS_VARIABLE = "SKERRY_INPUTS"
LIMIT_VARIABLE = "SKERRY_INPUTS_LIMIT"
SHARED_VARIABLE = "SKERRY_INPUTS_STORE"

_installed: list[WorkerInputs] = []


class WorkerInputs:
    """Finds the files and folders that calls refer to.

    Args:
        folder: Where they are; empty where this server takes none.
        shared: Address of a store of objects that has what the folder lacks; empty where there is none.
        limit: Most bytes that the folder keeps of what came from there, like ``512MiB``; empty keeps all.
    """

    def __init__(self, folder: str, shared: str = "", limit: str = "") -> None:
        self._folder = folder
        self._shared_url = shared
        self._limit = limit
        self._shared: SharedInputs | None = None
        self._opened: InputStore | None = None
        self._local_seen = False

    def open(self, reference: Reference, kind: Kind) -> Found:
        """Return where an input lies, and what keeps it there; see `skerry.store.inputs.InputStore.open`."""
        if not self._folder:
            raise InputNotFoundError(
                f"{reference.digest}: this server takes no files or folders; call a function of an engine",
                digests=[reference.digest],
            )
        store = self._store()
        try:
            path, hold = store.open(reference, kind)
        except InputNotFoundError:
            if not self._shared_url:
                raise
            self._fetch(store, reference, kind)
            path, hold = store.open(reference, kind)
        local = store.is_local(reference.hex)
        self._local_seen = self._local_seen or local
        return Found(path=path, hold=hold, local=local)

    def refer(self, item: Input) -> Reference:
        """Return what stands for a file or folder in a result: only what came with the call has a reference here."""
        if item.reference is None:
            raise InvalidPayloadError(
                f"{item!r}: a handler returns bytes, text or arrays, or a file that it was given; not a new file"
            )
        return item.reference

    def check_result(self, value: Any) -> None:
        """Refuse a result that is, or holds, data labelled local: a reference to them, or their very bytes.

        Raises:
            PrivacyError: it does.
        """
        if not self._local_seen:
            return
        sizes = self._store().local_sizes()
        for part in _parts(value):
            if isinstance(part, Input):
                if part.local:
                    raise _private(part.digest)
            elif len(part) in sizes:
                import hashlib

                sha256 = hashlib.sha256(part).hexdigest()
                if self._store().is_local(sha256):
                    raise _private(f"sha256:{sha256}")

    def _fetch(self, store: InputStore, reference: Reference, kind: Kind) -> None:
        """Bring an input here: this process's first use of the store connects it, after the last fork."""
        from skerry.spec.quantity import parse_size
        from skerry.store.inputs import SharedInputs

        self._shared = self._shared or SharedInputs(self._shared_url)
        limit_bytes = parse_size(self._limit, key=LIMIT_VARIABLE) if self._limit else None
        self._shared.fetch(store, reference, kind, limit_bytes=limit_bytes)

    def _store(self) -> InputStore:
        if self._opened is None:
            from skerry.store.inputs import InputStore

            self._opened = InputStore(self._folder)
        return self._opened


def install_inputs(environment: Mapping[str, str]) -> None:
    """Have this process find the files of calls in the folder that its environment names."""
    names = (INPUTS_VARIABLE, SHARED_VARIABLE, LIMIT_VARIABLE)
    _installed[:] = [WorkerInputs(*(environment.get(name, "") for name in names))]
    install_port(_installed[0])


def guard_inputs(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose results are looked at for data labelled local, if it can be given any."""
    return guard(call, _installed[0].check_result) if _installed and are_annotated() else call


def _parts(value: Any) -> Iterator[Input | bytes]:
    """Yield the files, the bytes and the texts in a value; what a model or a dataclass holds too."""
    pending, seen = [value], set[int]()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Input):
            yield item
        elif isinstance(item, bytes | bytearray | memoryview):
            yield bytes(item)
        elif isinstance(item, str):
            yield item.encode("utf-8", "surrogatepass")
        elif isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)
        elif hasattr(item, "tobytes"):  # an array
            yield item.tobytes()
        elif dataclasses.is_dataclass(item) and not isinstance(item, type):
            pending.extend(getattr(item, field.name) for field in dataclasses.fields(item))
        elif hasattr(item, "__dict__"):
            pending.extend(vars(item).values())


def _private(digest: str) -> PrivacyError:
    return PrivacyError(f"the result is {digest}, which is labelled local: it does not leave this site")
