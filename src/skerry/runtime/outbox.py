"""A worker's answers on their way to the front."""

from __future__ import annotations

import mmap
import socket

from skerry.runtime.interruption import HELD_WORD
from skerry.runtime.progress import ANSWERS_AT


class Outbox:
    """Answers that leave with one write, held where the front finds them should the next call not let them go.

    Args:
        link: The socket to the front.
        page: The shared page.
        words: The same, as 32-bit numbers.

    Attributes:
        held: Bytes of answers that are held.
    """

    __slots__ = ("_link", "_page", "_room", "_words", "held")

    def __init__(self, link: socket.socket, page: mmap.mmap, words: memoryview) -> None:
        self.held = 0
        self._link = link
        self._page = page
        self._words = words
        self._room = len(page) - ANSWERS_AT
        page.seek(ANSWERS_AT)

    def hold(self, answer: bytes) -> None:
        """Keep an answer until the next write; one for which there is no room goes at once, and takes the others."""
        held = self.held + len(answer)
        if held > self._room:
            self.send(answer)
            return
        self._page.write(answer)  # behind the last one; cheaper than to say where
        self.held = held
        self._words[HELD_WORD] = held  # last: from now on the front may read it

    def send(self, answer: bytes = b"") -> None:
        """Send what is held, and ``answer`` after it."""
        if self.held:
            self._link.sendall(self._page[ANSWERS_AT : ANSWERS_AT + self.held] + answer)
            self.held = 0
            self._words[HELD_WORD] = 0
            self._page.seek(ANSWERS_AT)
        elif answer:
            self._link.sendall(answer)
