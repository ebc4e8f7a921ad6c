"""The chains of an engine and their runs, as its callers see them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from skerry.platforms.base import PLAIN_CALL
from skerry.platforms.http.caller import Caller, Request
from skerry.platforms.options import CallOptions

MSGPACK = "application/msgpack"
ANSWER_S = 30.0
_AGAIN = CallOptions(idempotent=True)


class ChainClient:
    """The part of an engine's client that has to do with chains."""

    _caller: Caller

    def chains(self) -> list[dict[str, Any]]:
        """Return the chains that are deployed: ``name``, ``mode``, ``functions``, ``steps``."""
        return list(self._asked("GET", "/chains"))

    def begin_run(
        self,
        chain: str,
        body: bytes,
        *,
        content_type: str = MSGPACK,
        mode: str | None = None,
        id: str | None = None,
        traceparent: str | None = None,
    ) -> dict[str, Any]:
        """Begin a run; it is durable when this returns.

        Args:
            chain: The chain's name.
            body: What the first step is given.
            content_type: What the body is.
            mode: ``separated`` or ``fused``; none means what the chain says.
            id: What the run is known by; none means a new one. With an id it may be sent again.
            traceparent: The caller's place in a trace.

        Raises:
            FunctionNotFoundError: there is no such chain.
            UnavailableError: it cannot be written now.
        """
        query = {key: value for key, value in (("mode", mode), ("id", id)) if value is not None}
        path = f"/chains/{quote(chain, safe='')}/runs" + (f"?{urlencode(query)}" if query else "")
        options = CallOptions(idempotent=id is not None, traceparent=traceparent)
        headers = {"Content-Type": content_type}
        asked = Request(method="POST", path=path, body=body, headers=headers, options=options, wait_s=ANSWER_S)
        return dict(json.loads(self._caller.request(asked).body))

    def runs(self, *, chain: str | None = None, status: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest runs.

        Args:
            chain: Only those of this chain.
            status: Only those with this status.
            limit: How many at most.
        """
        query = {"chain": chain, "status": status, "limit": limit}
        given = {key: value for key, value in query.items() if value is not None}
        return list(self._asked("GET", f"/runs?{urlencode(given)}"))

    def run(self, id: str, *, wait_s: float = 0.0) -> dict[str, Any]:
        """Return what is known of a run, after it has ended or so many seconds have passed.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        path = f"/runs/{quote(id, safe='')}?wait_s={wait_s:.3f}"
        return dict(self._asked("GET", path, wait_s=wait_s, at_once=not wait_s))

    def run_result(self, id: str, *, wait_s: float = 0.0) -> bytes:
        """Return what a run has ended with, as MessagePack.

        Raises:
            JobNotReadyError: it has not ended, or was cancelled.
            HandlerError: a step has failed for good.
        """
        headers = {"Accept": MSGPACK}
        path = f"/runs/{quote(id, safe='')}/result?wait_s={wait_s:.3f}"
        asked = Request(
            method="GET", path=path, headers=headers, options=_AGAIN, wait_s=wait_s + ANSWER_S, at_once=not wait_s
        )
        return self._caller.request(asked).body

    def cancel_run(self, id: str) -> dict[str, Any]:
        """End a run, and return it; one that has ended already stays as it is.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        return dict(self._asked("DELETE", f"/runs/{quote(id, safe='')}"))

    def _asked(self, method: str, path: str, *, wait_s: float = 0.0, at_once: bool = False) -> Any:
        options = _AGAIN if method == "GET" else PLAIN_CALL
        asked = Request(method=method, path=path, options=options, wait_s=wait_s + ANSWER_S, at_once=at_once)
        return json.loads(self._caller.request(asked).body)
