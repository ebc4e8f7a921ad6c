"""Answers that a model gave before, kept by the bytes that they take; the least recently used go first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ENTRY_BYTES = 400  # of an entry besides its arrays, about
OBJECT_BYTES = 64  # of a text besides its characters, about


class ResponseCache:
    """Outputs by the model and the inputs that they were computed from.

    Args:
        limit_bytes: Memory that the entries may take together.
        model_digest: Digest of the model, so that no entry could be taken for another version's.

    Attributes:
        size_bytes: Memory that the entries take now, about.
    """

    def __init__(self, limit_bytes: int, model_digest: str) -> None:
        self._limit_bytes = limit_bytes
        self._model_digest = model_digest
        self._entries: OrderedDict[bytes, tuple[dict[str, Array], int]] = OrderedDict()
        self.size_bytes = 0

    def key(self, inputs: Mapping[str, Array]) -> bytes:
        """Return the digest of the model and the inputs."""
        total = hashlib.blake2b(self._model_digest.encode(), digest_size=32)
        for name, array in sorted(inputs.items()):
            total.update(repr((name, array.dtype.str, array.shape)).encode())
            if array.dtype.hasobject:
                for text in array.ravel().tolist():
                    content = text.encode()
                    total.update(b"%d:" % len(content) + content)
            else:
                total.update(array.tobytes())
        return total.digest()

    def get(self, key: bytes) -> dict[str, Array] | None:
        """Return the outputs of a key, none where there are none; they cannot be written to."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: bytes, outputs: Mapping[str, Array]) -> None:
        """Keep the outputs of a key, unless they are larger than all of the cache."""
        # Copies: a view of a run's outputs would keep all of them, and whoever gets the arrays may write to them.
        kept = {name: array.copy() for name, array in outputs.items()}
        for array in kept.values():
            array.flags.writeable = False
        size = ENTRY_BYTES + sum(map(_size, kept.values()))
        if size > self._limit_bytes or key in self._entries:
            return
        self._entries[key] = kept, size
        self.size_bytes += size
        while self.size_bytes > self._limit_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.size_bytes -= freed


def _size(array: Array) -> int:
    if not array.dtype.hasobject:
        return int(array.nbytes)
    return int(array.nbytes) + sum(OBJECT_BYTES + 4 * len(text) for text in array.ravel().tolist())
