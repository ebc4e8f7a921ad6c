"""Files and folders of calls, as a worker sees them: references become paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from skerry.errors import InputNotFoundError, InvalidPayloadError
from skerry.payload.file import Input, Kind, Reference, install_port

if TYPE_CHECKING:
    from skerry.store.inputs import InputStore

INPUTS_VARIABLE = "SKERRY_INPUTS"  # as skerry.store.inputs names it, which a worker imports when it needs it


class WorkerInputs:
    """Finds the files and folders that calls refer to.

    Args:
        folder: Where they are; empty where this server takes none.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._opened: InputStore | None = None

    def open(self, reference: Reference, kind: Kind) -> tuple[str, object]:
        """Return the path of an input, and what keeps it there; see `skerry.store.inputs.InputStore.open`."""
        if not self._folder:
            raise InputNotFoundError(
                f"{reference.digest}: this server takes no files or folders; call a function of an engine",
                digests=[reference.digest],
            )
        return self._store().open(reference, kind)

    def refer(self, item: Input) -> Reference:
        """Return what stands for a file or folder in a result: only what came with the call has a reference here."""
        if item.reference is None:
            raise InvalidPayloadError(
                f"{item!r}: a handler returns bytes, text or arrays, or a file that it was given; not a new file"
            )
        return item.reference

    def _store(self) -> InputStore:
        if self._opened is None:
            from skerry.store.inputs import InputStore

            self._opened = InputStore(self._folder)
        return self._opened


def install_inputs(environment: Mapping[str, str]) -> None:
    """Have this process find the files of calls in the folder that its environment names."""
    install_port(WorkerInputs(environment.get(INPUTS_VARIABLE, "")))
