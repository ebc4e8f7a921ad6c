"""The functions that are served while the front is fuzzed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import skerry

app = skerry.App("fuzz")


@app.function(max_body="64KiB", timeout="5s", queue=100)
def echo(value: Any) -> Any:
    """Return the argument."""
    return value


@app.function(timeout="5s", queue=100)
def nothing() -> str:
    """Return the same always."""
    return "nothing"


@app.function(timeout="5s", queue=100, batch=skerry.Batch(max_size=8, objective="20ms"))
def batched(value: Any) -> Any:
    """Return the argument, batched."""
    return value


@app.function(timeout="5s", queue=100)
def count(value: str) -> Iterator[str]:
    """Yield the argument a few times."""
    for number in range(5):
        yield f"{value} {number}"
        time.sleep(0.0005)
