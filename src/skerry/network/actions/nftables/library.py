"""libnftables inside this process, through its JSON interface. Needs the Debian package ``libnftables1``."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from skerry.errors import PlatformError

SONAME = "libnftables.so.1"
# Of `nftables/libnftables.h`: handles, JSON, and numbers in place of names that differ between machines.
_HANDLES = 1 << 3
_JSON = 1 << 4
_NUMERIC = (1 << 7) | (1 << 8) | (1 << 9)

Command = Mapping[str, Any]


class Nftables:
    """One conversation with the kernel's rule set, of the network namespace that the thread is in when it is made.

    Raises:
        PlatformError: the library is not on this machine.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise PlatformError("libnftables could not be started; is the kernel built with nftables?")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, _HANDLES | _JSON | _NUMERIC)
        self._lock = threading.Lock()  # a context serves one call at a time

    def run(self, commands: Sequence[Command], *, dry: bool = False) -> list[dict[str, Any]]:
        """Run commands as one transaction: all of them, or none.

        Args:
            commands: As in libnftables-json(5).
            dry: Let the library and the kernel look at them, and change nothing.

        Returns:
            What they have printed.

        Raises:
            PlatformError: one was refused; nothing has changed.
        """
        text = json.dumps({"nftables": list(commands)}).encode()
        with self._lock:
            if not self._context:
                raise PlatformError("this conversation with nftables has been closed")
            self._library.nft_ctx_set_dry_run(self._context, dry)
            failed = self._library.nft_run_cmd_from_buffer(self._context, text)
            output = self._library.nft_ctx_get_output_buffer(self._context)
            errors = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise PlatformError(f"nftables refused: {_explain(errors.decode(errors='replace'))}")
        printed: list[dict[str, Any]] = json.loads(output)["nftables"] if output.strip() else []
        return printed

    def close(self) -> None:
        """End the conversation; a second time is no harm."""
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = None


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(SONAME)
    except OSError as error:
        raise PlatformError(f"there is no {SONAME} on this machine; install nftables (Debian: libnftables1)") from error
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = context
    library.nft_ctx_set_dry_run.argtypes = [context, ctypes.c_bool]
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [context]
        getattr(library, name).restype = ctypes.c_char_p
    return library


def _explain(text: str) -> str:
    line = " ".join(text.split()).removeprefix("internal:0:0-0: Error: ") or "no reason was given"
    if "Operation not permitted" in line:
        return f"{line}; run as root, or with CAP_NET_ADMIN"
    return line
