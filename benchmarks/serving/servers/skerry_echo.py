"""The echo on Skerry."""

from __future__ import annotations

from typing import Any

import skerry

app = skerry.App("serving-echo")


@app.function
def echo(value: Any) -> Any:
    """Return the value."""
    return value
