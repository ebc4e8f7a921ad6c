"""Both workloads on Google's functions-framework, as asynchronous functions: its faster way."""

from __future__ import annotations

import os

import functions_framework.aio
import orjson
from starlette.requests import Request
from starlette.responses import Response

if os.environ["WORKLOAD"] == "digits":
    from digits import Digits

    digits = Digits()


@functions_framework.aio.http
async def echo(request: Request) -> Response:
    """Return the value."""
    return Response(orjson.dumps(orjson.loads(await request.body())), media_type="application/json")


@functions_framework.aio.http
async def classify(request: Request) -> Response:
    """Return the digit of one image: there is nothing here that could make a batch."""
    image = orjson.loads(await request.body())["image"]
    return Response(orjson.dumps({"label": digits.classify([image])[0]}), media_type="application/json")
