"""``skerry invoke``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_function, connect, home_option, json_option
from skerry.errors import ConfigError
from skerry.platforms.base import Answer

JSON = "application/json"


@click.command(
    cls=Command,
    example='skerry invoke add --data \'{"a": 1, "b": 2}\'\nskerry invoke train --data @job.json --async',
)
@click.argument("name", shell_complete=complete_function)
@click.option("--data", help="The body: JSON, @FILE for the content of a file, or - for standard input.")
@click.option("--content-type", default=JSON, show_default=True, help="What the body is.")
@click.option("--async", "as_job", is_flag=True, help="Do not wait: print the job's id.")
@click.option("--timeout", type=click.FloatRange(min=0.001), help="Longest wait for the answer, in seconds.")
@home_option
@json_option
@click.pass_obj
def invoke(
    console: Console, name: str, data: str | None, content_type: str, as_job: bool, timeout: float | None, home: Path
) -> None:
    """Call a function and print its result.

    A function of one parameter takes its value as the body, one of several an object by name.
    """
    body = _read(data)
    if content_type == JSON and body:
        _check_json(body)
    engine = connect(home)
    if as_job:
        record = engine.submit(name, body, content_type=content_type)
        if console.as_json:
            console.json({"id": record.id, "function": record.function, "status": record.status})
        else:
            console.data(record.id)
        return
    _write(console, engine.invoke(name, body, content_type=content_type, timeout_s=timeout))


def _read(data: str | None) -> bytes:
    if data is None:
        return b""
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    path = Path(data[1:]).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--data {data}: {path}: {error.strerror}") from error


def _check_json(body: bytes) -> None:
    try:
        json.loads(body)
    except ValueError as error:
        text = body[:60].decode("utf-8", "replace")
        raise ConfigError(
            f"--data {text!r} is not JSON: {error}", hint="write text in quotes, like --data '\"some text\"'"
        ) from error


def _write(console: Console, answer: Answer) -> None:
    if console.as_json and answer.content_type.partition(";")[0] != JSON:
        raise ConfigError(f"the answer is {answer.content_type}, not JSON", hint="leave --json out to get its bytes")
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body)
    if answer.content_type.partition(";")[0].endswith("json") and not answer.body.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
