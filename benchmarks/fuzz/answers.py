"""Reads the answers of a front from bytes, strictly: what a careful client would make of them."""

from __future__ import annotations

import re
from typing import NamedTuple

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z ]+")


class Answer(NamedTuple):
    """One answer."""

    status: int
    body: bytes


class NoAnswer(Exception):  # it is not an error of this program
    """The bytes are no sequence of answers."""


def read_answers(data: bytes, *, closed: bool) -> list[Answer]:
    """Return the answers that are whole.

    Args:
        data: All that has come over a connection.
        closed: Whether the connection has ended: then nothing may be left over but a stream that was cut.

    Raises:
        NoAnswer: they are none.
    """
    answers: list[Answer] = []
    at = 0
    while True:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            if data[at:] and not b"HTTP/1.1 ".startswith(data[at : at + 9]):
                raise NoAnswer(f"not the beginning of an answer: {data[at : at + 80]!r}")
            return answers
        status, headers = _read_head(data[at:end])
        body_at = end + 4
        if status == 100:
            at = body_at
            continue
        if b"content-length" in headers:
            at = body_at + int(headers[b"content-length"])
            if at > len(data):
                return answers
            answers.append(Answer(status, data[body_at:at]))
        elif headers.get(b"transfer-encoding") == b"chunked":
            whole = _read_chunks(data, body_at)
            if whole is None:
                return answers
            body, at = whole
            answers.append(Answer(status, body))
        else:  # until the connection ends
            if closed:
                answers.append(Answer(status, data[body_at:]))
            return answers


def _read_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    found = STATUS_LINE.fullmatch(first)
    if found is None:
        raise NoAnswer(f"no status line: {first[:80]!r}")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b": ")
        if not colon or name in headers:
            raise NoAnswer(f"no header, or one that came before: {line[:80]!r}")
        headers[name] = value
    return int(found[1]), headers


def _read_chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(data[at:end], 16)
        except ValueError:
            raise NoAnswer(f"no chunk: {data[at : at + 40]!r}") from None
        at = end + 2 + size + 2
        if at > len(data):
            return None
        if data[at - 2 : at] != b"\r\n":
            raise NoAnswer(f"a chunk without its end: {data[at - 2 : at + 20]!r}")
        if not size:
            return body, at
        body += data[end + 2 : at - 2]
