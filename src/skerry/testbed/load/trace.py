"""Times of invocations that somebody recorded, read from their files."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skerry.errors import DataError
from skerry.testbed.load.plan import NS, ArrivalPlan, at_times

LONGEST_S = 1e11  # of a trace; beyond it nanoseconds leave 64 bits
# Columns that are taken for the time when none is named, in this order.
TIME_COLUMNS = ("start_timestamp", "timestamp", "time_s", "time", "arrival_s", "arrival")
_FUNCTION_COLUMNS = ("func", "function", "app")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
# `datetime` reads six digits of a second; some traces have seven.
_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One line of a trace.

    Args:
        at_s: When it came, in seconds of the trace's own clock.
        columns: What else the line says.
    """

    at_s: float
    columns: Mapping[str, str]


def read_trace(path: Path, *, column: str | None = None, function: str | None = None) -> list[Invocation]:
    """Return the invocations of a trace, in the order of their times.

    Three forms are read, each also compressed as ``.gz``: a table with ``end_timestamp`` and ``duration`` in seconds
    (Azure Functions 2021; the invocation came ``duration`` before its end), a table with a column of times (seconds, or
    a date with a time as in the Azure LLM traces), and plain text with one time in seconds per line.

    Args:
        path: The file.
        column: The column that holds the times; found by its name when not given.
        function: Only lines whose ``func``, ``function`` or ``app`` begins with this.

    Raises:
        DataError: the file cannot be read as one of these, with the line.
    """
    try:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = text.decode().splitlines()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"trace {path}: {getattr(error, 'strerror', None) or error}") from error
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise DataError(f"trace {path}: it is empty")
    if _is_number(lines[0]) and column is None:
        found = [Invocation(_seconds(path, number, line), {}) for number, line in enumerate(lines, start=1)]
    else:
        found = list(_read_table(path, lines, column, function))
    if not found:
        raise DataError(f"trace {path}: no invocation{f' of function {function!r}' if function else ''} in it")
    return sorted(found, key=lambda invocation: invocation.at_s)


def replay(
    path: Path,
    *,
    speed: float = 1.0,
    column: str | None = None,
    function: str | None = None,
    duration_s: float | None = None,
    body: str | None = None,
) -> ArrivalPlan:
    """Return a plan that repeats a trace: its first invocation at once, the others at their distances.

    Args:
        path: The trace; see `read_trace`.
        speed: How many seconds of the trace pass in one of the run.
        column: See `read_trace`.
        function: See `read_trace`.
        duration_s: Only invocations within so many seconds of the run.
        body: The body of each request, in which ``{{NAME}}`` stands for the column NAME of its line; the target's own
            body when there is none.

    Raises:
        DataError: the trace cannot be read, the speed is not above zero, or the body names a column that is not there.
    """
    if not speed > 0:
        raise DataError(f"speed = {speed:g}: give a number above zero")
    invocations = read_trace(path, column=column, function=function)
    first_s = invocations[0].at_s
    if duration_s is not None:
        invocations = [each for each in invocations if (each.at_s - first_s) / speed < duration_s]
    settings = {
        "file": path.name,
        "speed": speed,
        "function": function,
        "trace_s": invocations[-1].at_s - first_s,
        "invocations": len(invocations),
    }
    plan = at_times(((each.at_s - first_s) / speed for each in invocations), name="replay", settings=settings)
    length_s = plan.duration_s + 1 / NS if duration_s is None else duration_s
    bodies = None if body is None or not _PLACEHOLDER.search(body) else _fill(path, body, invocations)
    return ArrivalPlan(
        name="replay", offsets_ns=plan.offsets_ns, duration_s=length_s, settings=plan.settings, bodies=bodies
    )


def _read_table(path: Path, lines: Sequence[str], column: str | None, function: str | None) -> Iterator[Invocation]:
    reader = csv.DictReader(lines)
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    by_end = column is None and {"end_timestamp", "duration"} <= names.keys()
    wanted = [column.lower()] if column is not None else list(TIME_COLUMNS)
    time_name = next((names[name] for name in wanted if name in names), None)
    if time_name is None and not by_end:
        raise DataError(
            f"trace {path}: no column {' or '.join(wanted)}; it has {', '.join(names) or 'none'}",
            hint="name the column of the times with --column",
        )
    functions = [names[name] for name in _FUNCTION_COLUMNS if name in names]
    if function is not None and not functions:
        raise DataError(f"trace {path}: no column {' or '.join(_FUNCTION_COLUMNS)} to choose a function by")
    for number, row in enumerate(reader, start=2):
        if function is not None and not any(row[name].startswith(function) for name in functions):
            continue
        if by_end:
            end_s = _seconds(path, number, row[names["end_timestamp"]])
            at_s = end_s - _seconds(path, number, row[names["duration"]])
        else:
            at_s = _seconds(path, number, row[time_name or ""])
        yield Invocation(at_s, row)


def _seconds(path: Path, number: int, text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        pass
    else:
        if not abs(seconds) < LONGEST_S:
            raise DataError(f"trace {path}, line {number}: {text!r} is no time that can be waited for")
        return seconds
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", (text or "").strip()))
    except ValueError as error:
        raise DataError(f"trace {path}, line {number}: {text!r} is neither seconds nor a date with a time") from error
    # Without a zone all times are of the same one, and only distances count; the local one may change its clock.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fill(path: Path, body: str, invocations: Sequence[Invocation]) -> list[bytes]:
    bodies = []
    for each in invocations:
        try:
            bodies.append(_PLACEHOLDER.sub(lambda match, row=each.columns: row[match[1]], body).encode())  # type: ignore[misc]  # mypy infers no type for the default argument of a lambda
        except KeyError as error:
            raise DataError(
                f"the body names the column {error.args[0]!r}, which trace {path} does not have; it has "
                f"{', '.join(each.columns) or 'none'}"
            ) from error
    return bodies
