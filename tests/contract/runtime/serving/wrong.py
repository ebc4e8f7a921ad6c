"""Functions that are called wrongly, and those that do wrong."""

import asyncio
import sys
from typing import Annotated

import numpy as np

import skerry
from skerry import Event, Tensor

app = skerry.App("wrong", imports=["numpy"])


@app.function(max_body="64KiB")
def echo(value):
    return value


@app.function
def add(a: int, b: int = 1) -> int:
    return a + b


@app.function
def scale(numbers: list[float], factor: float = 2.0) -> list[float]:
    return [number * factor for number in numbers]


@app.function
def only(numbers: list[float]) -> list[float]:
    return numbers


@app.function
def classify(image: Annotated[np.ndarray, Tensor("float32", (None, 2))], top: int) -> list[float]:
    return image.sum(axis=1).tolist()[:top]


@app.function
def observe(event: Event) -> dict:
    return {"id": event.id, "type": event.type, "source": event.source, "data": event.data}


@app.function
def fail(secret: str) -> None:
    print("about to fail")
    raise ValueError(f"the secret is {secret}")


@app.function
def unsendable() -> object:
    return object()


@app.function
def leave() -> None:
    sys.exit(3)


@app.function(concurrency=2)
async def leave_async() -> None:
    sys.exit(3)


@app.function(concurrency=2)
async def cancel_itself() -> None:
    raise asyncio.CancelledError
