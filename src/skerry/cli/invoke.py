"""``skerry invoke``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.durations import Duration
from skerry.cli.options import Command, complete_function, json_option
from skerry.errors import (
    ConfigError,
    EngineNotRunningError,
    InvalidPayloadError,
    MalformedBodyError,
    SiteUnreachableError,
    SkerryError,
    TransportError,
)
from skerry.platforms import Answer, CallOptions

JSON = "application/json"
MSGPACK = "application/msgpack"
STDIN = ("-", "@-")  # the second is how curl writes it
# What a stream is, unless its items are bytes: one JSON value per line.
LINES = "application/x-ndjson"
# JSON of a function, MessagePack of a generator: JSON lines would be cut off without a word by an error in the middle.
WHOLE = f"{JSON}, {MSGPACK}"


@dataclass(frozen=True, slots=True)
class Data:
    """The body of the call, and what a message says of it when it is not JSON: its place, and what to do."""

    body: bytes
    place: str
    hint: str = "name what it is with --content-type, or mend it"


@click.command(
    cls=Command,
    example='skerry invoke add --data \'{"a": 1, "b": 2}\'\n'
    "skerry invoke train --data @job.json --async\n"
    "skerry invoke words --data '\"one two three\"' --stream\n"
    'skerry invoke add --data \'{"a": 1, "b": 2}\' --platform knative --namespace edge',
)
@click.argument("name", shell_complete=complete_function)
@click.option("--data", help="The body: JSON, @FILE for the content of a file, or - for standard input.")
@click.option("--content-type", default=JSON, show_default=True, help="What the body is.")
@click.option("--async", "as_job", is_flag=True, help="Do not wait: print the job's id.")
@click.option("--stream", "as_stream", is_flag=True, help="Print the results of a generator as they come.")
@click.option(
    "--timeout",
    type=Duration(min=0.001, max=86_400),
    help="Longest wait for the answer; a call that has not begun by then is not run.",
)
@click.option("--priority", type=click.IntRange(0, 7), help="0 (most urgent) to 7; 3 by default.")
@destination_options
@json_option
@click.pass_obj
def invoke(  # noqa: PLR0913  # one parameter per option of the command
    console: Console,
    *,
    name: str,
    data: str | None,
    content_type: str,
    as_job: bool,
    as_stream: bool,
    timeout: float | None,
    priority: int | None,
    destination: Destination,
) -> None:
    """Call a function and print its result.

    A function of one parameter takes its value as the body, one of several an object by name.
    """
    _check_together(as_job=as_job, as_stream=as_stream, timeout=timeout, priority=priority)
    read = read_data(data)
    if content_type == JSON and read.body:
        check_json(read)
    options = CallOptions(timeout_s=timeout, priority=priority)
    platform = destination.caller()
    try:
        if as_job:
            record = platform.submit(name, read.body, content_type=content_type)
            if console.as_json:
                console.json({"id": record.id, "function": record.function, "status": record.status})
            else:
                console.data(record.id)
        elif as_stream:
            with platform.stream(name, read.body, content_type=content_type, accept=MSGPACK, options=options) as stream:
                if stream.content_type.partition(";")[0] == MSGPACK:
                    _write_items(console, stream)
                else:
                    _write(console, stream.content_type, stream)
        else:
            answer = platform.invoke(name, read.body, content_type=content_type, accept=WHOLE, options=options)
            _write_answer(console, answer)
    except TransportError as error:
        if not as_stream and isinstance(error.__cause__, ConnectionResetError):
            raise _explain_loss(error, name, destination) from error
        raise
    except (MalformedBodyError, InvalidPayloadError) as error:
        if data is None:
            raise type(error)(
                f"the call has no data, and function {name!r} needs some: {error.message}",
                **{**error.details, "hint": "give its argument with --data, like --data '\"some text\"'"},
            ) from error
        raise


def _explain_loss(error: TransportError, name: str, destination: Destination) -> TransportError:
    """Return what is told of a connection that was lost before the whole answer had come."""
    failed = f"a generator ends so with its worker: skerry logs {name} has the reason, --stream shows what came before"
    message, details = error.message, {**error.details}
    if destination.place() is not None:  # nobody there says what the function is
        details["hint"] = failed
        return type(error)(message, **details)
    try:
        if destination.engine(patience_s=0).function(name)["schema"].get("streams"):
            details["hint"] = failed
    except (EngineNotRunningError, SiteUnreachableError, TransportError) as gone:
        message += "; the engine has ended, and the call with it"
        if "hint" in gone.details:
            details["hint"] = gone.details["hint"]
    except SkerryError:
        pass  # whatever it is, the loss itself says more
    return type(error)(message, **details)


def _check_together(*, as_job: bool, as_stream: bool, timeout: float | None, priority: int | None) -> None:
    others = {"--stream": as_stream, "--timeout": timeout is not None, "--priority": priority is not None}
    for option, given in others.items():
        if as_job and given:
            raise click.UsageError(f"{option} does not go with --async: a job runs on its own, when there is room")


def read_data(data: str | None) -> Data:
    """Return the body that ``--data`` means.

    Raises:
        ConfigError: the file cannot be read.
    """
    if data is None:
        return Data(b"", "--data")
    if data in STDIN:
        return Data(sys.stdin.buffer.read(), "standard input")
    if not data.startswith("@"):
        return Data(data.encode(), f"--data {data[:60]!r}", "write text in quotes, like --data '\"some text\"'")
    if data == "@":
        raise ConfigError("--data @: no file is named", hint="write --data @FILE, like --data @job.json")
    path = Path(data[1:]).expanduser()
    try:
        return Data(path.read_bytes(), f"--data: file {path}")
    except OSError as error:
        raise ConfigError(f"--data {data}: {path}: {error.strerror}") from error


def check_json(data: Data) -> None:
    """Raise `ConfigError` when a body is not JSON."""
    try:
        json.loads(data.body)
    except ValueError as error:
        raise ConfigError(f"{data.place} is not JSON: {error}", hint=data.hint) from error


def _write_answer(console: Console, answer: Answer) -> None:
    if answer.content_type.partition(";")[0] == MSGPACK and "transfer-encoding" in answer.headers:
        _write_items(console, [answer.body])
    else:  # what a function returns as MessagePack, as an event, has a length
        _write(console, answer.content_type, [answer.body])


def _write(console: Console, content_type: str, chunks: Iterable[bytes]) -> None:
    kind = content_type.partition(";")[0]
    if console.as_json and kind not in (JSON, LINES):
        raise ConfigError(f"the answer is {content_type}, not JSON", hint="leave --json out to get its bytes")
    last = b""
    for chunk in chunks:
        console.piece(chunk)
        last = chunk or last
    if kind.endswith("json") and last and not last.endswith(b"\n"):
        console.piece(b"\n")


def _write_items(console: Console, chunks: Iterable[bytes]) -> None:
    from skerry.payload import Signature, encode
    from skerry.payload.stream import PieceReader

    reader = PieceReader(Signature.of(_anything))
    for chunk in chunks:
        for item in reader.feed(chunk):
            is_bytes = isinstance(item, bytes)
            if is_bytes and console.as_json:
                raise ConfigError("the results are bytes, not JSON", hint="leave --json out to get them as they are")
            console.piece(item if is_bytes else encode(item) + b"\n")


def _anything() -> Iterator[Any]:
    yield
