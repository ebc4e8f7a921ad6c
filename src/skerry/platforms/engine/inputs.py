"""Sending files and folders to an engine: what it does not have, once, from where it broke off."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from skerry.errors import (
    BodyTooLargeError,
    CorruptObjectError,
    InputNotFoundError,
    InternalError,
    InvalidPayloadError,
    PrivacyError,
    TransportError,
)
from skerry.platforms.engine.compression import ASSUMED_BYTES_PER_S, SAMPLE_BYTES, SMALL_BYTES, Choice, Sample, choose
from skerry.platforms.http.caller import Caller, Request
from skerry.platforms.options import CallOptions
from skerry.platforms.outgoing import Content, Outgoing
from skerry.platforms.transfer import SentContent, add_content
from skerry.store.inputs.coding import ZSTD, codings, compress
from skerry.store.inputs.digests import read_pieces

PIECE_BYTES = 64 * 1024
ASKED_AT_ONCE = 10_000
AT_ONCE = 8  # contents of a folder that are on their way together
FRUITLESS = 3  # attempts in a row that got nothing across, before a content is given up
PAUSE_S = 0.5
WAIT_S = 60.0
SLOWEST_STORE_BYTES_PER_S = 10e6  # of an engine that verifies and stores what it was sent
_MAY_RUN_TWICE = CallOptions(idempotent=True)


@dataclass(slots=True)
class _Way:
    """How one content went."""

    sent_bytes: int = 0
    ratio: float | None = None
    rate_bytes_per_s: float | None = None
    coding: str = "none"
    why: str = ""


class InputSender:
    """Sends inputs to one engine; safe for threads.

    Over the engine's Unix socket nothing is copied: the engine is told where the file lies.

    Args:
        caller: Sends the requests.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._lock = threading.Lock()
        self._there: set[tuple[str, str]] = set()
        self._codings: list[str] = []
        self._rate_bytes_per_s: float | None = None

    @property
    def is_same_machine(self) -> bool:
        """Whether the engine is reached over its Unix socket."""
        return self._caller.address.path is not None

    def send(self, items: Sequence[Outgoing], *, keep: bool = False, again: bool = False) -> None:
        """Have an engine get what it does not have of some inputs; nothing is asked about what it was sent before.

        Args:
            items: The inputs.
            keep: Whether they must be there later too, when the caller's files may be gone.
            again: Whether the engine has said that something is missing.

        Raises:
            PrivacyError: one of them is local, and the engine is somewhere else; nothing was sent.
            SkerryError: the engine cannot be reached, or refused them.
        """
        for item in items:
            if item.local and not self.is_same_machine:
                raise PrivacyError(
                    f"{item.path} is labelled local: it must not leave this site, and {self._caller.address} is "
                    "another one; run the function on an engine of this machine"
                )
        # One at a time: whoever comes second finds that it is there.
        with self._lock:
            for item in items:
                key = (item.reference.digest, f"{item.path}:{keep}:{item.local}" if self.is_same_machine else "")
                if again or key not in self._there:
                    if not (self.is_same_machine and self._tell_place(item, keep=keep)):
                        self._send_missing(item.contents)
                    self._there.add(key)

    def _tell_place(self, item: Outgoing, *, keep: bool) -> bool:
        """Tell an engine on this machine where an input lies; return whether it finds it there."""
        told = {
            "reference": {
                "digest": item.reference.digest,
                "size_bytes": item.reference.size_bytes,
                "name": item.reference.name,
            },
            "path": item.path,
            "stamps": {name: stamp.to_list() for name, stamp in item.stamps.items()},
            "contents": [
                [f"sha256:{c.sha256}", c.source, c.size_bytes] for c in item.contents if isinstance(c.source, str)
            ],
            "listing": next((c.source.decode() for c in item.contents if isinstance(c.source, bytes)), None),
            "local": item.local,
            "keep": keep,
        }
        try:
            self._ask("/inputs/here", told)
        except (InputNotFoundError, BodyTooLargeError):
            return False
        return True

    def _send_missing(self, contents: Sequence[Content]) -> None:
        missing: list[tuple[Content, int]] = []
        for at in range(0, len(contents), ASKED_AT_ONCE):
            missing += self._missing(contents[at : at + ASKED_AT_ONCE])
        *files, last = missing if missing else [None]
        if last is None:
            return
        if files:
            with ThreadPoolExecutor(min(AT_ONCE, len(files)), thread_name_prefix="skerry-send") as threads:
                for _ in threads.map(lambda one: self._send_content(*one), files):
                    pass
        self._send_content(*last)

    def _missing(self, contents: Sequence[Content]) -> list[tuple[Content, int]]:
        asked = [[f"sha256:{content.sha256}", content.size_bytes] for content in contents]
        told = self._ask("/inputs/missing", {"contents": asked})
        self._codings = [coding for coding in told["codings"] if coding in codings()]
        absent: dict[str, int] = told["missing"]
        return [(c, absent[f"sha256:{c.sha256}"]) for c in contents if f"sha256:{c.sha256}" in absent]

    def _send_content(self, content: Content, arrived_bytes: int) -> None:
        """Send a content from where it broke off, until it is there."""
        way, began_s = _Way(), time.monotonic()
        fruitless = 0
        for _ in itertools.count():
            try:
                received_bytes = self._send_part(content, arrived_bytes, way)
            except (TransportError, InvalidPayloadError, CorruptObjectError) as error:
                # Something of it may have arrived all the same: the engine knows.
                if fruitless >= FRUITLESS or (isinstance(error, InvalidPayloadError) and not error.details):
                    raise
                if isinstance(error, TransportError):
                    time.sleep(PAUSE_S)
                absent = self._missing([content])
                if not absent:
                    break
                received_bytes = absent[0][1]
            else:
                if received_bytes >= content.size_bytes:
                    break
            fruitless = 0 if received_bytes > arrived_bytes else fruitless + 1
            arrived_bytes = received_bytes
        add_content(
            SentContent(
                address=str(self._caller.address),
                digest=f"sha256:{content.sha256}",
                size_bytes=content.size_bytes,
                bytes_sent=way.sent_bytes,
                coding=way.coding,
                ratio=way.ratio,
                rate_bytes_per_s=way.rate_bytes_per_s,
                why=way.why,
                seconds=time.monotonic() - began_s,
            )
        )

    def _send_part(self, content: Content, offset_bytes: int, way: _Way) -> int:
        """Send the rest of a content, or of a large one over an unknown link its beginning; return what is there."""
        left_bytes = content.size_bytes - offset_bytes
        if ZSTD not in self._codings or left_bytes < SMALL_BYTES:
            way.why = "too small to look" if self._codings else "no Zstandard on one of the sides"
            return self._put(content, offset_bytes, left_bytes, way, coded=False)
        if self._rate_bytes_per_s is None and left_bytes > 4 * SAMPLE_BYTES:
            return self._put(content, offset_bytes, SAMPLE_BYTES, way, coded=False, measure=True)
        choice = self._choose(content, offset_bytes, left_bytes, way)
        way.why = choice.why
        if choice.compress:
            way.coding = ZSTD
        return self._put(content, offset_bytes, left_bytes, way, coded=choice.compress, measure=True)

    def _choose(self, content: Content, offset_bytes: int, left_bytes: int, way: _Way) -> Choice:
        plain = b"".join(_pieces(content, offset_bytes, min(SAMPLE_BYTES, left_bytes)))
        began_s = time.perf_counter()
        coded_bytes = sum(map(len, compress([plain])))
        sample = Sample(
            plain_bytes=max(1, len(plain)), coded_bytes=coded_bytes, compress_s=time.perf_counter() - began_s
        )
        way.ratio, way.rate_bytes_per_s = sample.ratio, self._rate_bytes_per_s
        return choose(sample, left_bytes=left_bytes, rate_bytes_per_s=self._rate_bytes_per_s or ASSUMED_BYTES_PER_S)

    def _put(
        self, content: Content, offset_bytes: int, count_bytes: int, way: _Way, *, coded: bool, measure: bool = False
    ) -> int:
        body = _Body(content, offset_bytes, count_bytes, coded=coded)
        headers = {"Content-Type": "application/octet-stream", "Upload-Offset": str(offset_bytes)}
        headers |= {"Content-Encoding": ZSTD} if coded else {"Content-Length": str(count_bytes)}
        asked = Request(
            method="PUT",
            path=f"/inputs/sha256:{content.sha256}?size_bytes={content.size_bytes}",
            body=body,
            headers=headers,
            wait_s=WAIT_S + content.size_bytes / SLOWEST_STORE_BYTES_PER_S,
        )
        began_s = time.monotonic()
        try:
            told = _json(self._caller.request(asked).body)
        finally:
            way.sent_bytes += body.sent_bytes
        if measure and body.sent_bytes >= SAMPLE_BYTES // 4:
            took_s = max(1e-6, time.monotonic() - began_s)
            # Compressing may have been what took the time: such a figure only ever raises what is known of the link.
            self._rate_bytes_per_s = max(body.sent_bytes / took_s, self._rate_bytes_per_s or 0.0 if coded else 0.0)
        return int(told["received_bytes"])

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        asked = Request(
            method="POST",
            path=path,
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            options=_MAY_RUN_TWICE,
            wait_s=WAIT_S,
        )
        return _json(self._caller.request(asked).body)


class _Body:
    """A part of a content as the body of a request; each iteration begins anew."""

    def __init__(self, content: Content, offset_bytes: int, count_bytes: int, *, coded: bool) -> None:
        self._content = content
        self._range = (offset_bytes, count_bytes)
        self._coded = coded
        self.sent_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        plain = _pieces(self._content, *self._range)
        for piece in compress(plain) if self._coded else plain:
            self.sent_bytes += len(piece)
            yield piece


def _pieces(content: Content, offset_bytes: int, count_bytes: int) -> Iterator[bytes]:
    """Yield a part of a content; as many bytes as were asked for, whatever has become of the file."""
    if isinstance(content.source, bytes):
        yield content.source[offset_bytes : offset_bytes + count_bytes]
        return
    left_bytes = count_bytes
    for piece in read_pieces(content.source, offset_bytes=offset_bytes, piece_bytes=PIECE_BYTES):
        if left_bytes <= 0:
            return
        yield piece[:left_bytes]
        left_bytes -= len(piece)
    while left_bytes > 0:  # it was cut short meanwhile: the digest will say so
        yield bytes(min(left_bytes, PIECE_BYTES))
        left_bytes -= PIECE_BYTES


def _json(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except ValueError as error:
        raise InternalError("the engine answered with a body that is not JSON") from error
