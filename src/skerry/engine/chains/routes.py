"""The addresses of chains and of their runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from skerry.engine.wait_parameter import wait_of
from skerry.errors import HandlerError, JobNotFoundError, JobNotReadyError, MalformedBodyError, PrivacyError
from skerry.events.chain.course import retell
from skerry.events.chain.journal import RunRecord, StepRecord
from skerry.events.chain.paths import function_of, item_of
from skerry.events.chain.values import read_plan
from skerry.payload import JSON, MSGPACK, decode
from skerry.payload.codec import decode_json, encode_json, encode_msgpack
from skerry.payload.media import require_codec
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response
from skerry.runtime.reading import UNTYPED

if TYPE_CHECKING:
    from skerry.engine.chains.hosting import ChainHosting

LISTED = 100
MOST_LISTED = 10_000
MOST_BODY_BYTES = 64 * 2**20
WITHHELD = "functions of this chain are labelled local: what they say does not leave this site"
STATUSES = ("running", "succeeded", "failed", "cancelled")


class ChainRoutes:
    """Answers requests about chains and runs.

    Args:
        hosting: Begins runs, and knows them.
    """

    def __init__(self, hosting: ChainHosting) -> None:
        self._hosting = hosting
        self._conductor = hosting.conductor

    def add(self, front: Front) -> None:
        """Serve the addresses on a front."""
        front.route("GET", "/chains", self._list)
        front.route("POST", "/chains/*/runs", self._begin, max_body_bytes=MOST_BODY_BYTES)
        front.route("GET", "/runs", self._runs)
        front.route("GET", "/runs/*", self._show)
        front.route("GET", "/runs/*/result", self._result)
        front.route("DELETE", "/runs/*", self._cancel)

    def _list(self, _: Request) -> Response:
        chains = self._hosting.chains().items()
        return Response.of_json(
            [
                {
                    "name": name,
                    "functions": list(plan.functions),
                    "workers": self._hosting.workers(name, plan),
                    **plan.to_dict(),
                }
                for name, plan in chains
            ]
        )

    async def _begin(self, request: Request) -> Response:
        body = request.body
        if body and _codec_of(request) == JSON:
            body = encode_msgpack(decode_json(body))
        record = await self._hosting.begin(
            _segment(request),
            body,
            mode=request.parameter("mode"),
            id=request.parameter("id"),
            traceparent=request.headers.get("traceparent"),
            same_machine=request.same_machine,
        )
        wait_s = wait_of(request)
        if wait_s:
            record = await self._conductor.wait(record.id, wait_s) or record
        return Response.of_json(self._view(record, request), status=202, headers={"location": f"/runs/{record.id}"})

    def _runs(self, request: Request) -> Response:
        status = request.parameter("status")
        if status is not None and status not in STATUSES:
            raise MalformedBodyError(f"status = {status!r}: must be one of {', '.join(STATUSES)}")
        found = self._conductor.journal.runs(chain=request.parameter("chain"), status=status, most=_limit_of(request))
        return Response.of_json([self._view(record, request) for record in found])

    async def _show(self, request: Request) -> Response:
        record = await self._find(request)
        steps = self._conductor.journal.steps(record.number)
        seen = steps_view(record, steps)
        if self._is_private(record, request):
            for step in seen["steps"]:
                step["error"] = step["error"] and WITHHELD
            for dead in seen["dead"]:
                dead["knativeerrordata"] = WITHHELD
        return Response.of_json({**self._view(record, request), "cost": cost_of(record, steps), **seen})

    async def _result(self, request: Request) -> Response:
        record = await self._find(request)
        if self._is_private(record, request):
            raise PrivacyError(f"chain {record.chain!r} has functions that are labelled local: results do not leave")
        if record.status == "failed":
            error = orjson.loads(record.error or "{}")
            text = f"run {record.id!r}: step {error.get('step')} has failed: {error.get('detail')}"
            raise HandlerError(text, run=record.id, step=error.get("step"))
        if record.result is None:
            raise JobNotReadyError(f"run {record.id!r} is {record.status}", job_status=record.status)
        if MSGPACK in request.headers.get("accept", ""):
            return Response(record.result, content_type=MSGPACK)
        return Response(encode_json(decode(record.result, MSGPACK)), content_type=JSON)

    async def _cancel(self, request: Request) -> Response:
        found = await self._conductor.cancel(_segment(request))
        if found is None:
            raise _unknown(_segment(request))
        return Response.of_json(self._view(found, request))

    def _is_private(self, record: RunRecord, request: Request) -> bool:
        return not request.same_machine and self._hosting.is_private(record)

    def _view(self, record: RunRecord, request: Request) -> dict[str, Any]:
        """Return a run as a caller may see it."""
        view = run_view(record)
        if view["error"] is not None and self._is_private(record, request):
            view["error"]["detail"] = WITHHELD
        return view

    async def _find(self, request: Request) -> RunRecord:
        """Return the run that is asked for, after it has ended or ``wait_s`` has passed."""
        id = _segment(request)
        found = await self._conductor.wait(id, wait_of(request))
        if found is None:
            raise _unknown(id)
        return found


def run_view(record: RunRecord) -> dict[str, Any]:
    """Return a run as plain values."""
    return {
        "id": record.id,
        "chain": record.chain,
        "mode": record.mode,
        "status": record.status,
        "trace_id": record.traceparent.split("-")[1],
        "began_at": record.began_at,
        "ended_at": record.ended_at,
        "error": None if record.error is None else orjson.loads(record.error),
    }


def steps_view(record: RunRecord, steps: list[StepRecord]) -> dict[str, Any]:
    """Return the steps of a run as plain values, and the items that were left out with Knative's attributes."""
    machine, plan = retell(record, steps), read_plan(record.plan)
    listed = [
        {
            "step": step.path,
            "function": function_of(plan, step.path),
            "state": step.state,
            "attempts": step.attempts,
            "began_at": step.began_at,
            "ended_at": step.ended_at or None,
            "handler_ms": step.handler_us / 1000,
            "due_at": step.due_at or None,
            "error": step.error or None,
        }
        for step in steps
    ]
    dead = [
        {
            "step": fault.path,
            "item": item_of(plan, fault.path),
            "knativeerrorcode": fault.code,
            "knativeerrordata": fault.message,
        }
        for fault in machine.dead
    ]
    return {
        "steps": listed,
        "dead": dead,
        "not_undone": [fault.path.removesuffix("~") for fault in machine.stuck],
    }


def cost_of(record: RunRecord, steps: list[StepRecord]) -> dict[str, Any]:
    """Return what a run has cost so far: its time, that of its handlers, and at its end what came on top for a step."""
    done = [step for step in steps if step.state == "done" and step.attempts]
    handler_ms = sum(step.handler_us for step in done) / 1000
    took_ms = max(0.0, (record.ended_at or time.time()) - record.began_at) * 1000
    return {
        "took_ms": took_ms,
        "handler_ms": handler_ms,
        "steps": len(done),
        "hop_ms": max(0.0, took_ms - handler_ms) / len(done) if done and record.ended_at else None,
    }


def _codec_of(request: Request) -> str:
    """Return what reads a request's body: JSON too where the content type is what curl says of its own accord."""
    kind = request.headers.get("content-type", "")
    is_untyped = kind.partition(";")[0].strip().lower().encode("latin-1", "replace") in UNTYPED
    return JSON if is_untyped else require_codec(kind)


def _unknown(id: str) -> JobNotFoundError:
    return JobNotFoundError(f"there is no run {id!r}; those that have ended are kept for a day")


def _segment(request: Request) -> str:
    return request.path.strip("/").split("/")[1]


def _limit_of(request: Request) -> int:
    text = request.parameter("limit") or str(LISTED)
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST_LISTED:
        raise MalformedBodyError(f"limit = {text!r}: must be a whole number from 1 to {MOST_LISTED}")
    return int(text)
