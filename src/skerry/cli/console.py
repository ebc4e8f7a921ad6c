"""What a command says: data to standard output, messages to standard error."""

from __future__ import annotations

import codecs
import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from skerry.errors import ConfigError, SkerryError
from skerry.spec.characters import show_control, show_printed

MOST_ERRORS = 10  # of one value that are told a person


class Console:
    r"""The output of one run of the command line.

    What it writes may come from other machines: characters that a terminal obeys are written out, like ``\x1b``.

    Args:
        as_json: Whether data and errors are written as JSON.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def data(self, text: str) -> None:
        """Write a line of data."""
        _write(sys.stdout, text if self.as_json else show_control(text))

    def printed(self, text: str, *, before: str = "") -> None:
        """Write what a function has printed: as it is, but for what a terminal would obey beyond colours.

        Args:
            text: With its ends of lines.
            before: What stands before a line of it; what was printed cannot go back over that.
        """
        if sys.stdout.isatty():
            text = show_printed(text, keep="\n\t" if before else "\n\t\r")
        sys.stdout.write(f"{before}{text}")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        """Write a value as one JSON document, indented where a person reads it."""
        self.data(json.dumps(value, indent=2 if sys.stdout.isatty() else None))

    def body(self, content_type: str, body: bytes) -> None:
        """Write the body of an answer as it is, JSON with an end of line.

        Raises:
            ConfigError: JSON was asked for, and it is none.
        """
        kind = content_type.partition(";")[0]
        if self.as_json and not kind.endswith("json"):
            raise ConfigError(f"the answer is {content_type}, not JSON", hint="leave --json out to get its bytes")
        end = b"\n" if kind.endswith("json") and body and not body.endswith(b"\n") else b""
        self.piece(body + end)

    def piece(self, content: bytes) -> None:
        """Write a piece of an answer: as it is, but for what a terminal would obey beyond colours."""
        sys.stdout.flush()
        if sys.stdout.isatty():
            sys.stdout.write(show_printed(self._decoder.decode(content)))
            sys.stdout.flush()
            return
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def message(self, text: str) -> None:
        """Write a message to the person."""
        _write(sys.stderr, show_control(text))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under their columns: drawn on a terminal, plain aligned text elsewhere."""
        lines = [[show_control(cell, keep="") for cell in line] for line in (columns, *rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        # A table that does not fit is drawn by cutting words; as plain text, an address can still be copied.
        fits = sum(widths) + 3 * len(widths) <= shutil.get_terminal_size().columns
        if sys.stdout.isatty() and fits:
            self._draw(lines[0], lines[1:])
            return
        for line in lines:
            self.data("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def error(self, error: SkerryError) -> None:
        """Write an error: what was wrong, then what to do; the user's own traceback first, where there is one."""
        if self.as_json:
            _write(sys.stderr, json.dumps(error.to_problem(), default=str))
            return
        traceback = error.details.get("traceback")
        if traceback:
            self.message(str(traceback).rstrip())
        self.message(f"error: {error.message}")
        for line in _further_errors(error.details.get("errors")):
            self.message(f"  {line}")
        hint = error.details.get("hint")
        if hint:
            self.message(f"hint: {hint}")

    @staticmethod
    def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console as Terminal
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(Text(column), no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Terminal().print(table)


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _further_errors(errors: Any) -> list[str]:
    """Return what else is wrong with a value, a line each; the first of its errors is in the message."""
    if not isinstance(errors, list) or len(errors) < 2:
        return []
    shown = [one for one in errors[1:MOST_ERRORS] if isinstance(one, dict)]
    more = [] if len(errors) <= MOST_ERRORS else ["..."]
    return [f"{one.get('field')}: {one.get('message')}" for one in shown] + more
