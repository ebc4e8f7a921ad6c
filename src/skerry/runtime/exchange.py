"""One request on a connection and its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, cast

from skerry.errors import SkerryError
from skerry.runtime.call import DEFAULT_URGENCY, Call
from skerry.runtime.frames import CONTENT_TYPE_OF, NO_META, Codec, Frame, Kind
from skerry.runtime.intake import Intake
from skerry.runtime.message import PROBLEM_TYPE, REASONS, Response
from skerry.runtime.reading import Reading
from skerry.runtime.server_timing import Start, server_timing

if TYPE_CHECKING:
    from skerry.runtime.known_heads import KnownHead

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SMALL_BYTES = 1024
JSON_HEADS = [JSON_HEAD % size for size in range(SMALL_BYTES)]
RESULT = int(Kind.RESULT)
LAST_CHUNK = b"0\r\n\r\n"
INFERENCE = (b"/v1/", b"/v2/")  # addresses whose clients read the text of an error from its member `error`
TELLS_ERRORS = ("text/event-stream", "application/msgpack")  # streams that say in their own words what broke them


class Channel(Protocol):
    """What an exchange needs of its connection."""

    trusted: bool
    public: bool
    stranger: bool  # its client has to show the token, and has not done so yet

    def flush(self) -> None:
        """Send the answers that are due, in the order of their requests."""

    def send(self, exchange: Exchange, answer: bytes) -> None:
        """Send the whole answer to a request, once those before it have been sent; the connection stays open."""


class Taker(Protocol):
    """What an exchange needs of the pool that has taken its call."""

    def leave(self, call: Call) -> None:
        """The client has left: nobody waits for the answer."""

    def credit(self, call: Call, size_bytes: int) -> None:
        """The client has taken so much of a stream."""

    def starts(self) -> Iterable[Start]:
        """Return the latest starts of workers."""


class Watcher(Protocol):
    """Who sees the answer to a request before its client does."""

    def answered(self, exchange: Exchange, answer: Frame | SkerryError) -> bool:
        """See the answer; true keeps it from the client, who gets another one later."""


class Exchange(Call):
    """One request on a connection and, later, its answer: also the call that the dispatcher sees.

    What the path of a plain request reads or writes has a slot: to find a default on the class takes several times as
    long as to set it here. What is rare stands on the classes and costs nothing here.

    Args:
        connection: Where it came from.
        head: What is known of its head; its body is then set by whoever has found it.
    """

    __slots__ = (
        "arrival",
        "attempts",
        "body",
        "codec",
        "connection",
        "deadline_s",
        "done",
        "enqueued_s",
        "entry",
        "head",
        "headers",
        "is_timed",
        "keep_alive",
        "meta",
        "method",
        "number",
        "on_start",
        "pool",
        "reading",
        "slot",
        "started_s",
        "streaming",
        "target",
        "timeout_s",
        "urgency",
        "waiting",
        "watcher",
    )
    # `arrival` is there once it waits, `number` once a worker has been given it.
    target: bytes
    method: bytes  # empty until the head is whole
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    head: KnownHead | None  # where it came before
    entry: Any  # the function's, found once the head is there
    reading: Reading | None  # of the head, where it is known already
    pool: Taker | None  # who has taken the call
    is_timed: bool  # the client wants to be told what its time was spent on
    watcher: Watcher | None  # where traffic is split or mirrored
    size = 0
    has_length = False  # the head says how long the body is
    chunked = True  # the client knows chunks, so that a stream need not end with the connection
    expects = False  # the client waits for "100 Continue" before it sends the body
    handled = False  # a request that was refused by its head is not handled again at its end
    content_type = ""  # of a stream
    answer: bytes | None = None  # what is to be sent now
    complete = True  # nothing comes after `answer`
    broken = False  # a stream that ended in an error: the connection is cut, or it would look whole
    owed_bytes = 0  # of a stream, sent and not yet credited to the worker
    intake: Intake | None = None  # what takes the body as it comes, where nobody gathers it
    cancel: Callable[[], Any] | None = None  # called when the client leaves before the answer

    def __init__(self, connection: Channel, head: KnownHead | None = None) -> None:
        self.connection = connection
        self.head = head
        if head is None:
            self.target = self.method = self.body = b""
            self.entry = self.reading = None
        else:
            self.target = head.target
            self.method = b"POST"
            self.headers = head.headers
            self.entry = head.entry
            self.reading = head.reading
        self.pool = self.slot = self.watcher = self.on_start = self.timeout_s = self.deadline_s = None
        self.keep_alive = True
        self.is_timed = self.waiting = self.done = self.streaming = False
        self.attempts = self.codec = 0
        self.enqueued_s = self.started_s = 0.0
        self.meta = NO_META
        self.urgency = DEFAULT_URGENCY

    @property
    def is_reusable(self) -> bool:
        """Whether an answered request can be the next one with its head: nobody knows it any more, and it is as it was.

        What still differs is the same for the same head: the weight that follows from the length, a group's size that
        is set anew each time.
        """
        reading = self.reading
        return (
            self.head is not None
            and self.head.whole_bytes > 0  # not forgotten meanwhile
            and reading is not None
            and reading.is_plain
            and self.pool is self.entry  # else the traffic is split, and who splits it may look at this one still
            and self.meta is NO_META
            and not self.returned
        )

    def reuse(self) -> None:
        """Be the next request with this head: less work than to make one; its body is set by the caller."""
        self.done = False
        self.attempts = 0

    def use_origin_form(self) -> None:
        """Take scheme and authority from a target such as ``http://host/path``; they stand in for the host header.

        Source: RFC 9112, section 3.2.2.
        """
        authority, slash, path = self.target.partition(b"://")[2].partition(b"/")
        authority, mark, query = authority.partition(b"?")
        self.target = b"/" + mark + query + (slash if mark else b"") + path
        self.headers = [header for header in self.headers if header[0] != b"host"]
        self.headers.append((b"host", authority))

    # The whole answer at once

    def reply(self, response: Response) -> None:
        """Answer the request."""
        if response.status >= 400 and self.target.startswith(INFERENCE):
            response.name_error()
        self.reply_bytes(response.encode(keep_alive=self.keep_alive, with_body=self.method != b"HEAD"))

    def reply_bytes(self, answer: bytes) -> None:
        """Answer the request with an encoded response."""
        self.cancel = None
        self.answer = answer
        self.connection.flush()

    # What becomes of the call

    def on_answer(self, answer: Frame | SkerryError) -> None:
        """Answer with a worker's result, its error, or what the dispatcher says."""
        if self.watcher is not None and self.watcher.answered(self, answer):
            return
        if self.streaming:
            self._end_stream(answer)
        elif type(answer) is not Frame:
            self.reply(Response.of_error(cast(SkerryError, answer)))
        elif self.is_timed:
            self._reply_timed(answer)
        elif answer.kind == RESULT and not (answer.codec or answer.meta) and self.keep_alive:
            body = answer.body
            size = len(body)
            head = JSON_HEADS[size] if size < SMALL_BYTES else JSON_HEAD % size
            self.connection.send(self, head + body)
        else:
            self.reply(response_of(answer))

    def _reply_timed(self, answer: Frame) -> None:
        response = response_of(answer)
        starts = () if self.pool is None else self.pool.starts()
        response.headers = {**response.headers, "server-timing": server_timing(self, answer, starts, time.monotonic())}
        self.reply(response)

    def on_piece(self, frame: Frame) -> None:
        """Send the head of a stream, or a piece of it."""
        if frame.kind == Kind.STREAM:
            self.complete = False
            self.content_type = frame.meta["content_type"]
            self._send(self._stream_head())
        elif frame.body:
            self.owed_bytes += len(frame.body)
            self._send(b"%x\r\n%b\r\n" % (len(frame.body), frame.body) if self.chunked else frame.body)

    def taken(self) -> None:
        """Tell the worker that the client has taken what was sent of the stream."""
        owed, self.owed_bytes = self.owed_bytes, 0
        if owed and self.pool is not None:
            self.pool.credit(self, owed)

    def leave(self) -> None:
        """The client has left: tell whoever works for it."""
        if self.pool is not None:
            self.pool.leave(self)
        self.drop_intake()
        cancel, self.cancel = self.cancel, None
        if cancel is not None:
            cancel()

    def drop_intake(self) -> None:
        """Tell what takes the body that no more of it comes."""
        intake, self.intake = self.intake, None
        if intake is not None:
            intake.abort()

    def _stream_head(self) -> bytes:
        lines = ["HTTP/1.1 200 OK", f"content-type: {self.content_type}", "cache-control: no-store"]
        if self.chunked:
            lines.append("transfer-encoding: chunked")
        else:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append("connection: close")
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"

    def _end_stream(self, answer: Frame | SkerryError) -> None:
        ended = not isinstance(answer, SkerryError) and (
            answer.kind == Kind.END or self.content_type.startswith(TELLS_ERRORS)
        )
        self.complete = True
        self.cancel = None
        if not ended:
            self.broken = True
            self.keep_alive = False
        self._send(LAST_CHUNK if ended and self.chunked else b"")

    def _send(self, data: bytes) -> None:
        self.answer = data if self.answer is None else self.answer + data
        self.connection.flush()


def response_of(answer: Frame) -> Response:
    """Return a worker's result or error as a response."""
    if answer.kind == Kind.ERROR:
        status = answer.meta["status"]
        return Response(answer.body, status=status if status in REASONS else 500, content_type=PROBLEM_TYPE)
    # An event without data has no content type.
    content_type = answer.meta.get("content_type") or CONTENT_TYPE_OF.get(Codec(answer.codec), "")
    return Response(answer.body, content_type=content_type, headers=answer.meta.get("headers"))
