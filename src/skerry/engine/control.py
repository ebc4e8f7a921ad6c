"""The control API: what the command line and other clients ask of an engine."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote_to_bytes

from skerry.engine.deployment import Deployer
from skerry.engine.home import Home
from skerry.engine.jobs.runner import JobRunner
from skerry.engine.logs import Logs
from skerry.engine.models.watch import ModelWatch
from skerry.engine.openapi import Described, openapi_document
from skerry.engine.records import Records
from skerry.engine.served import Served
from skerry.engine.sources.bundles import Bundles
from skerry.engine.supervisor import Supervisor
from skerry.errors import MalformedBodyError, PrivacyError, UnauthorizedError
from skerry.runtime.confinement import share_bytes
from skerry.runtime.front import Authorize, Front
from skerry.runtime.message import Request, Response
from skerry.runtime.origins import header
from skerry.runtime.reading import Headers
from skerry.spec import Batch, FunctionSpec, Scale, support_matrix
from skerry.version import __version__

OPEN_PREFIXES = (
    b"/function/",
    b"/health/",
    b"/jobs/",
    b"/metrics",
    b"/v1/models",
    b"/v2/health/",
    b"/v2/models/",
    b"/v2/repository/index",
)
OPEN_PAGES = (b"/", b"/openapi.json")
HEALTH_PAGES = (b"/health/liveness", b"/health/readiness", b"/v2/health/live", b"/v2/health/ready")
DEFAULT_TAIL = 100
MAX_TAIL = 100_000
MAX_DIGITS = 18  # of a deployment's number
GROUPS = frozenset({"scale", "batch"})  # options that are groups of options


class Control:
    """Answers the control API of one engine.

    Args:
        home: The engine's folder.
        records: Its records.
        supervisor: What serves.
        deployer: What deploys.
        bundles: What other machines have sent to be deployed.
        watch: What follows the aliases of models.
        address: Where functions answer, such as ``http://127.0.0.1:8080``.
        public: Where it answers to other machines, if it does: ``address``, ``certificate``, ``fingerprint``.
        flush: Writes events that wait to be recorded.
        stop: Stops the engine.
    """

    def __init__(
        self,
        home: Home,
        records: Records,
        supervisor: Supervisor,
        deployer: Deployer,
        *,
        bundles: Bundles,
        watch: ModelWatch,
        flush: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self.address = ""
        self.public: dict[str, str] | None = None
        self._home = home
        self._records = records
        self._supervisor = supervisor
        self._deployer = deployer
        self._watch = watch
        self._flush = flush
        self._stop = stop
        self._started_at = time.time()
        self._logs = Logs(home.logs)
        self._bundles = bundles

    def add_routes(self, front: Front, jobs: JobRunner) -> None:
        """Serve the control API and the jobs' addresses on a front."""
        front.route("GET", "/openapi.json", self._openapi)
        front.route("GET", "/engine", self._engine)
        front.route("POST", "/engine/stop", self._stop_engine)
        front.route("GET", "/apps", self._apps)
        front.route("POST", "/apps", self._deploy)
        front.route("DELETE", "/apps/*", self._delete)
        front.route("GET", "/functions", self._functions)
        front.route("GET", "/functions/*", self._function)
        front.route("GET", "/functions/*/logs", self._read_logs)
        front.route("GET", "/functions/*/deployments", self._deployments)
        front.route("POST", "/functions/*/rollback", self._roll_back)
        front.route("GET", "/events", self._events)
        front.route("GET", "/usage", self._usage)
        front.route("GET", "/jobs", jobs.list)
        front.route("GET", "/jobs/*", jobs.status)
        front.route("GET", "/jobs/*/result", jobs.result)
        front.route("PUT", "/jobs/*/retry", jobs.retry)
        front.route("DELETE", "/jobs/*", jobs.cancel)

    def _openapi(self, request: Request) -> Response:
        functions = [
            Described(name=name, app=served.revision.app, schema=served.revision.schema)
            for name, served in sorted(self._supervisor.served.items())
            if request.same_machine or not served.pool.spec.local
        ]
        return Response.of_json(openapi_document(functions))

    def _engine(self, _: Request) -> Response:
        info = self._home.read_engine()
        pid = info.pid if info is not None else 0
        return Response.of_json(
            {
                "version": __version__,
                "pid": pid,
                "started_at": self._started_at,
                "address": self.address,
                "public": self.public,
                "time": time.time(),
                "home": str(self._home.path),
                "workers": sum(len(served.pool.workers) for served in self._supervisor.served.values()),
                "memory_bytes": {"front": share_bytes(pid), **self._supervisor.memory_bytes()},
                "memory_budget_bytes": self._supervisor.memory.budget_bytes,
            }
        )

    def _stop_engine(self, _: Request) -> Response:
        self._stop()
        return Response.of_json({"stopping": True}, status=202)

    def _apps(self, _: Request) -> Response:
        apps = []
        for app in self._records.apps.all():
            functions = [revision.function for revision in self._records.apps.active(app.name)]
            apps.append(
                {"name": app.name, "target": app.target, "deployed_at": app.deployed_at, "functions": functions}
            )
        return Response.of_json(apps)

    async def _deploy(self, request: Request) -> Response:
        asked = request.json_object()
        target, flags, settings = asked.get("target", ""), asked.get("flags", []), asked.get("environment", "")
        bundle = asked.get("bundle", "")
        is_text = all(isinstance(text, str) for text in (target, settings, bundle))
        if not is_text or not target or not isinstance(flags, list):
            raise MalformedBodyError(
                'send {"target": "/folder/app.py:app", "flags": [...], "environment": "..."}, or with '
                '"bundle": "sha256-..." and a target in it'
            )
        if bundle:
            target = self._bundles.target(bundle, target)
        deployment = await self._deployer.deploy(
            target,
            flags=[str(flag) for flag in flags],
            settings=settings,
            same_machine=request.same_machine,
        )
        functions = [
            {
                "name": revision.function,
                "revision": revision.name,
                "address": self._address_of(revision.function, request),
            }
            for revision in deployment.active
        ]
        return Response.of_json({"app": deployment.app.name, "functions": functions, "changed": deployment.changed})

    async def _roll_back(self, request: Request) -> Response:
        function = _segment(request)
        to = _deployment_number(request)
        deployment, earlier = await self._deployer.roll_back(function, to=to, same_machine=request.same_machine)
        before = {revision.function: revision.name for revision in deployment.retired}
        names = {revision.function for revision in (*deployment.created, *deployment.retired)}
        serving = {revision.function: revision.name for revision in deployment.active}
        changes = [
            {"function": name, "replaced": before.get(name), "serving": serving.get(name)} for name in sorted(names)
        ]
        return Response.of_json(
            {
                "app": deployment.app.name,
                "functions": changes,
                "number": earlier.number,
                "deployed_at": earlier.deployed_at,
            }
        )

    def _deployments(self, request: Request) -> Response:
        kept = self._records.apps.kept(_segment(request))
        return Response.of_json(
            [
                {
                    "number": one.number,
                    "app": one.app.name,
                    "functions": sorted(draft.function for draft in one.drafts),
                    "deployed_at": one.deployed_at,
                    "is_serving": one is kept[0],
                }
                for one in kept
            ]
        )

    async def _delete(self, request: Request) -> Response:
        name = _segment(request)
        await self._deployer.remove(name)
        return Response.of_json({"removed": name})

    def _functions(self, request: Request) -> Response:
        return Response.of_json(
            [self._summary(served, request) for _, served in sorted(self._supervisor.served.items())]
        )

    def _function(self, request: Request) -> Response:
        served = self._supervisor.find(_segment(request))
        scale = {f"scale.{name}": places for name, places in support_matrix(Scale).items()}
        batch = {f"batch.{name}": places for name, places in support_matrix(Batch).items()}
        support = {**support_matrix(FunctionSpec), **scale, **batch}
        pool = served.pool
        error = pool.last_error or pool.last_loss if request.same_machine or not pool.spec.local else None
        return Response.of_json(
            {
                **self._summary(served, request),
                "schema": dict(served.revision.schema),
                "support": {name: sorted(places) for name, places in support.items() if name not in GROUPS},
                "dispatch": served.pool.dispatcher.describe(),
                "scaling": _scaling(served),
                "last_error": None if error is None else error.message,
                "model": self._watch.describe(served),
            }
        )

    def _read_logs(self, request: Request) -> Response:
        name = _segment(request)
        self._check_private(name, request)
        if not self._logs.path(name).exists():  # a function whose first deployment failed has a log, and nothing else
            self._supervisor.find(name)
        offset, lines = _number(request, "offset"), _number(request, "tail")
        if offset is not None:
            text, after = self._logs.read_from(name, offset)
        else:
            text, after = self._logs.tail(name, DEFAULT_TAIL if lines is None else min(MAX_TAIL, lines))
        return Response.of_json({"text": text, "offset": after})

    def _check_private(self, function: str, request: Request) -> None:
        if not request.same_machine and self._has_local_log(function):
            raise PrivacyError(f"function {function!r} is labelled local: its log does not leave this site")

    def _has_local_log(self, function: str) -> bool:
        served = self._supervisor.served.get(function)
        if served is not None and served.pool.spec.local:
            return True
        if self._logs.holds_local(function):
            return True
        # The log of a function that is gone may be of a version that marked none.
        past = () if served is not None else self._records.apps.history(function)
        return any(revision.spec.get("local") for revision in past)

    def _events(self, request: Request) -> Response:
        self._flush()
        since_s = _since(request)
        events = self._records.events.list(request.parameter("function"), since_s=since_s, limit=10_000)
        return Response.of_json([event.to_dict() for event in events])

    def _usage(self, request: Request) -> Response:
        self._supervisor.usage.flush()
        usage = self._records.usage.list(request.parameter("function"), since_s=_since(request))
        return Response.of_json([asdict(record) for record in usage])

    def _summary(self, served: Served, request: Request) -> dict[str, Any]:
        dispatcher = served.pool.dispatcher
        return {
            "name": served.revision.function,
            "app": served.revision.app,
            "revision": served.revision.name,
            "address": self._address_of(served.revision.function, request),
            "workers": served.pool.counts(),
            "queued": dispatcher.queued,
            "in_flight": dispatcher.in_flight,
            "spec": served.pool.spec.to_dict(),
        }

    def _address_of(self, function: str, request: Request) -> str:
        # Other machines know this one by another address; which one, they have just said.
        host = request.headers.get("host", "") if request.public else ""
        return f"{f'https://{host}' if host else self.address}/function/{function}"


def is_open(path: bytes, method: bytes) -> bool:
    """Return whether a request is of the data plane."""
    if path == b"/events":
        return method == b"POST"  # what happened to functions, at the same address, is for the token
    if path in OPEN_PAGES:  # at / there is nothing, and whoever opens it in a browser is told what there is instead
        return method in (b"GET", b"HEAD")
    return path == b"/v2" or path.startswith(OPEN_PREFIXES)


def authorizer(home: Home, *, is_loopback: bool) -> Authorize:
    """Return the check of requests over TCP: on loopback functions are open and the rest wants the token.

    Over TLS, where other machines call, everything but health wants it.
    """

    def authorize(path: bytes, headers: Headers, *, method: bytes, public: bool) -> bool:
        # As the routes see it: "/jobs/" and "/jobs/%2f" list the jobs of all callers as "/jobs" does.
        seen = b"/" + unquote_to_bytes(path).strip(b"/")
        if is_loopback and not public and is_open(seen, method):
            return False
        is_health = seen in HEALTH_PAGES and method in (b"GET", b"HEAD")
        given = header(headers, b"authorization")
        if given is None and is_health:
            return False
        text = (given or "").encode("latin-1", "replace")
        has_token = hmac.compare_digest(text, f"Bearer {home.token()}".encode())
        if has_token or is_health:
            return has_token
        wanted = "send Authorization: Bearer TOKEN, with what the file `token` in the engine's folder holds"
        if is_loopback and not public:
            wanted += "; functions want none, they are at /function/NAME"
        other = "" if given is None else ", and the Authorization that was sent is not it"
        raise UnauthorizedError(f"{path.decode('latin-1')} wants the engine's token{other}: {wanted}")

    return authorize


def _scaling(served: Served) -> dict[str, Any]:
    """Return what the autoscaler decided last as plain values; without a decision, what it began with."""
    decision = served.autoscaler.decision
    asked = {"metric": served.pool.spec.scale.metric, "requested": served.pool.desired}
    return asked if decision is None else {**asked, **asdict(decision)}


def _segment(request: Request) -> str:
    return request.path.strip("/").split("/")[1]


def _deployment_number(request: Request) -> int | None:
    text = request.parameter("to")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise MalformedBodyError(f"to = {text!r}: must be the number of a deployment, such as 3")
    return int(text)


def _since(request: Request) -> float | None:
    text = request.parameter("since")
    try:
        since_s = None if text is None else float(text)
    except ValueError:
        since_s = math.nan
    if since_s is not None and not math.isfinite(since_s):
        raise MalformedBodyError(f"since = {text!r}: must be Unix time in seconds")
    return since_s


def _number(request: Request, name: str) -> int | None:
    text = request.parameter(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise MalformedBodyError(f"{name} = {text!r}: must be a whole number")
    return int(text)
