"""Files and folders of calls on their way to a cluster: by a store of objects, once for all of its pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from skerry.errors import PrivacyError
from skerry.platforms.outgoing import Content, Outgoing
from skerry.platforms.transfer import SentContent, add_content
from skerry.store.inputs.shared import SharedInputs

AT_ONCE = 8  # contents of a folder that are on their way together


class InputWriter:
    """Writes inputs to one store of objects; safe for threads.

    Args:
        url: The store's.
    """

    def __init__(self, url: str) -> None:
        self._shared = SharedInputs(url)
        self._lock = threading.Lock()
        self._there: set[str] = set()

    def send(self, items: Sequence[Outgoing], *, again: bool = False) -> None:
        """Write what the store lacks of some inputs; nothing is asked about what was written before.

        Args:
            items: The inputs.
            again: Whether the pods have said that something is missing, or is not what it should be.

        Raises:
            StorageError: the store cannot be reached.
        """
        # One at a time: whoever comes second finds that it is there.
        with self._lock:
            for item in items:
                if again or item.reference.digest not in self._there:
                    *files, last = item.contents
                    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="skerry-send") as threads:
                        for _ in threads.map(lambda one: self._write(one, again=again), files):
                            pass
                    self._write(last, again=again)  # a folder's listing: what is listed is there by then
                    self._there.add(item.reference.digest)

    def _write(self, content: Content, *, again: bool) -> None:
        if not again and self._shared.has(content.sha256, content.size_bytes):
            return
        began_s = time.monotonic()
        self._shared.put(content.sha256, content.source)
        add_content(
            SentContent(
                address=self._shared.url,
                digest=f"sha256:{content.sha256}",
                size_bytes=content.size_bytes,
                bytes_sent=content.size_bytes,
                coding="none",
                ratio=None,
                rate_bytes_per_s=None,
                why="a store of objects keeps what it is given",
                seconds=time.monotonic() - began_s,
            )
        )


@lru_cache(maxsize=64)
def writer_to(url: str) -> InputWriter:
    """Return what writes to a store; the same for all clusters that have it, so that nothing is written twice."""
    return InputWriter(url)


def refuse_local(items: Sequence[Outgoing], title: str) -> None:
    """Refuse what must not leave this site.

    Raises:
        PrivacyError: one of the inputs is labelled local.
    """
    for item in items:
        if item.local:
            raise PrivacyError(
                f"{item.path} is labelled local: it must not leave this site, and {title} is another one; run the "
                "function on an engine of this machine"
            )
