"""The page of the HTTP addresses: their descriptions stand here, and are checked against the engine's own routes."""

from __future__ import annotations

from typing import Any

from skerry.engine.chains.routes import ChainRoutes
from skerry.engine.control import Control, is_open
from skerry.engine.events.routes import EventRoutes
from skerry.engine.inputs import Inputs
from skerry.engine.jobs.runner import JobRunner
from skerry.engine.models.control import ModelControl
from skerry.engine.sources.bundles import Bundles
from skerry.runtime.front import add_health_routes
from skerry.runtime.inference_routes import InferenceRoutes
from tools.markdown import table
from tools.places import GENERATED

FUNCTION = "POST /function/NAME"
ADDRESSES = {
    FUNCTION: "Call a function; the answer is its result. With `Prefer: respond-async`: 202, `Location: /jobs/ID` and "
    "the job's record; with `Prefer: respond-async, wait=5` the result itself where the job succeeds within 5 seconds.",
    "GET /openapi.json": "The functions as an OpenAPI 3.1 document, with the schemas of what they take and return.",
    "GET /jobs": "The newest jobs, the newest first: their records. `?function=NAME`, `?status=failed`, `?limit=100` "
    "(at most 10,000).",
    "GET /jobs/ID": "A job's record: `id`, `function`, `status` (`queued`, `running`, `succeeded`, `failed`, "
    "`cancelled`), `attempts`, `submitted_at`, `started_at`, `ended_at` (Unix seconds), `error`. With `?wait_s=30` "
    "after waiting for its end, at most 60 s.",
    "GET /jobs/ID/result": "The result of a job; with `?wait_s=30` after waiting for it, at most 60 s. 409 "
    "`job_not_ready` when there is none yet; the job's own error when it failed.",
    "DELETE /jobs/ID": "Cancel a job: a waiting one never runs, a running one is stopped. Answers the record.",
    "PUT /jobs/ID/retry": "Run a job that failed or was cancelled again under its id: 202 with its record. 409 "
    "`job_not_ready` while it waits or runs, and after it has succeeded; 429 when the function's queue is full.",
    "POST /events": "Publish CloudEvents in binary, structured or batch mode: 202 with `accepted`, `duplicates` "
    "and `untaken` (events that no trigger takes) once they are durable, all or none. 429 and 503 with `Retry-After` "
    "when they are not taken now.",
    "GET /broker": "`accepted` and `duplicates` since the start, `waiting` (deliveries), and `triggers`: `name`, "
    "`function`, `in_flight`, `held`, `done`, `dead`.",
    "GET /broker/events": "The newest kept events: `number`, `accepted_at` (Unix seconds), `waiting` and `dead` (names "
    "of triggers), `event`. `?type=TYPE`, `?id=ID`, `?before=NUMBER`, `?limit=100` (at most 10,000).",
    "GET /broker/events/NUMBER": "The same for one event; 404 `event_not_found` when it is not kept.",
    "POST /broker/events/NUMBER/replay": "Give an event to the functions that take it once more, or to one "
    "(`?trigger=NAME`): 202 with `triggers`.",
    "GET /broker/dead": "Dead letters, the newest first: `number`, `trigger`, `event_number`, `attempts`, `died_at`, "
    "and `event` with the attributes `knativeerrordest`, `knativeerrorcode`, `knativeerrordata`. `?trigger=NAME`, "
    "`?limit=100`; 404 `event_not_found` when there is no such trigger.",
    "POST /broker/dead/NUMBER/replay": "Give a dead letter to its function again, with all its attempts: 202.",
    "DELETE /broker/dead/NUMBER": "Forget a dead letter: 204.",
    "GET /chains": "The chains: `name`, `mode`, `functions`, `steps`, and `workers` with their memory by mode.",
    "POST /chains/NAME/runs": "Begin a run; the body is for its first step: 202, `Location: /runs/ID` and the "
    "run, once it is durable. `?mode=fused`, `?id=ID` (with that of a run that is there, nothing begins), "
    "`?wait_s=30` to answer at its end. 429 and 503 when it is not begun now.",
    "GET /runs": "The newest runs: `id`, `chain`, `mode`, `status` (`running`, `succeeded`, `failed`, `cancelled`), "
    "`trace_id`, `began_at`, `ended_at` (Unix seconds), `error`. `?chain=NAME`, `?status=failed`, `?limit=100` (at "
    "most 10,000).",
    "GET /runs/ID": "The same for one run, with `steps`, `dead` (items that were left out), `not_undone` (steps), "
    "and `cost` (`took_ms`, `handler_ms`, `steps`, `hop_ms`); with `?wait_s=30` after waiting for its end.",
    "GET /runs/ID/result": "What a run has ended with; with `?wait_s=30` after waiting for it. 409 `job_not_ready` "
    "when there is nothing yet, 500 `handler_failed` with `step` when it has failed.",
    "DELETE /runs/ID": "End a run, and undo nothing. Answers the run.",
    "GET /health/liveness": "200 while the process answers.",
    "GET /health/readiness": "200 when a request finds a function that takes it, workers or not, or when nothing is "
    "deployed yet; 503 while the engine starts or stops, and while no function can start its workers.",
    "GET /engine": "`version`, `pid`, `started_at`, `time` (Unix seconds), `address`, `public` (null, or `address`, "
    "`certificate` and `fingerprint` of what other machines see), `home`, `workers`, and `memory_bytes` of `front`, "
    "`zygotes` and `workers`, and `memory_budget_bytes`, which the workers of all functions may hold together.",
    "PUT /bundles/DIGEST": "Take the source of an app: a tar archive of plain files, as `skerry deploy --site` makes "
    "it, named `sha256-` and digest; with `Content-Encoding: gzip` or without. 201, or 200 when it is there already.",
    "GET /bundles/DIGEST": "200 when the bundle is there, else 404.",
    "POST /engine/stop": "Stop the engine; answers 202 at once.",
    "GET /apps": "The deployed apps: `name`, `target`, `deployed_at`, `functions`.",
    "POST /apps": 'Deploy: `{"target": "/folder/app.py:app", "flags": ["train.memory=1GiB"], "environment": "..."}`. '
    'With `"bundle": "sha256-..."` the target is a file in it. '
    "Answers `app`, `functions` (`name`, `revision`, `address`) and `changed`. When the import fails: 400 "
    "`app_import_failed` with `traceback`.",
    "DELETE /apps/NAME": "Remove an app with its functions; requests that run are finished.",
    "GET /functions": "Every function: `name`, `app`, `revision`, `address`, `workers` (`starting`, `ready`, "
    "`draining`), `queued`, `in_flight`, `spec`.",
    "GET /functions/NAME": "The same for one function, with `schema` (JSON schemas of input and output), `support` "
    "(platforms by option), `dispatch` (queue, and what the batcher has learnt and decided), `scaling` (what the "
    "autoscaler has decided, and why), `last_error` (why a worker could not start, or was lost last; what handlers "
    "raise is in the log), and `model`: null, or `reference`, `version`, `digest`, `loaded`, "
    "`following` (the version that is being started) and `failed` (`version` and `reason` of one that could not).",
    "GET /functions/NAME/logs": "What the function has printed: `text` and the `offset` from which to read on. "
    "`?tail=100` for the last lines, `?offset=BYTES` for what came since.",
    "GET /functions/NAME/deployments": "The kept deployments of the function's app, the present one first: `number`, "
    "`app`, `functions` (names), `deployed_at` and `is_serving` of each.",
    "POST /functions/NAME/rollback": "Deploy the function's app as it was before its latest deployment; once more goes "
    "further back. Answers `app`, `functions` (`function`, `replaced` and `serving`, of which one is null where it was "
    "not there before, or is not now), and `number` and `deployed_at` of the deployment that serves again. "
    "`?to=NUMBER` goes back to that one, and changes nothing where it serves already. 400 when nothing is kept from "
    "before.",
    "POST /models/refresh": "Look at once whether aliases of models have moved, and answer when every function that "
    "follows one serves what it means now, or has failed to: a list of `function` and the members of `model`.",
    "POST /v2/models/NAME/infer": "Call the function NAME of a model by the Open Inference Protocol v2.",
    "POST /v2/models/NAME/versions/VERSION/infer": "The same, for one version; 404 `model_not_found` when another one "
    "is served.",
    "POST /v1/models/NAME:predict": "Call the function NAME of a model by KServe's protocol v1.",
    "GET /v2": "`name`, `version` and `extensions` of the server.",
    "GET /v2/health/live": "200 while the process answers.",
    "GET /v2/health/ready": "As `/health/readiness`.",
    "GET /v2/models/NAME": "What the model takes and gives: `name`, `versions`, `platform`, and `inputs` and `outputs` "
    "with `name`, `datatype` and `shape` (-1 where any length fits).",
    "GET /v2/models/NAME/versions/VERSION": "The same, for one version.",
    "GET /v2/models/NAME/ready": "200 when a request would be taken, workers or not; 503 while the model is unloaded "
    "or cannot start.",
    "GET /v2/models/NAME/versions/VERSION/ready": "The same, for one version.",
    "POST /v2/repository/index": "The models that are served: `name`, `version`, `state` (`READY`, `UNAVAILABLE`), "
    '`reason`. With `{"ready": true}` those that are ready.',
    "POST /v2/repository/models/NAME/load": "Take requests again after an unload, and start one worker.",
    "POST /v2/repository/models/NAME/unload": "Refuse requests with 503, and end the workers once they have finished "
    "what they have.",
    "GET /v1/models": "The names of the models that are served.",
    "GET /v1/models/NAME": "`name` and `ready`; 503 when it is not.",
    "POST /inputs/missing": 'Which of some contents are not here: `{"contents": [["sha256:HEX", SIZE_BYTES], ...]}`. '
    "Answers `missing` (by digest, the bytes that have arrived) and `codings` (`zstd`, where it can be read).",
    "POST /inputs/here": "Use a file or folder of this machine where it lies, or copy it (`keep`). Over the Unix "
    "socket only. 404 `input_not_found` when the engine does not find it as the caller sees it.",
    "PUT /inputs/DIGEST": "Send a content: `?size_bytes=N`, with `Upload-Offset: BYTES` to go on where it broke off, "
    "and `Content-Encoding: zstd` where it is compressed. Answers `received_bytes`; 422 with the same when the offset "
    "is another one; 413 when it is over `SKERRY_INPUTS_LIMIT`.",
    "GET /inputs/DIGEST": "A content, in parts of at most 8 MiB: `?offset=BYTES`, with `Content-Range` in the answer. "
    "403 `private` when it is labelled local. With `HEAD`: 404 with `Upload-Offset`, the bytes that have arrived.",
    "GET /events": "What happened: `at`, `function`, `kind` and details, at most the newest 10,000. `?function=NAME`, "
    "`?since=UNIX_SECONDS`.",
    "GET /usage": "What functions have used, by revision and hour: `function`, `revision`, `hour_at` (Unix seconds), "
    "`requests`, `errors`, `billed_us`, `memory_gb_s`, `cold_starts`, `cold_start_us`, `idle_us`. `?function=NAME`, "
    "`?since=UNIX_SECONDS` for the hours that ended after it.",
}
# A `*` in a route, by the segment before it.
PLACEHOLDERS = {
    "inputs": "DIGEST",
    "bundles": "DIGEST",
    "jobs": "ID",
    "runs": "ID",
    "chains": "NAME",
    "apps": "NAME",
    "functions": "NAME",
    "models": "NAME",
    "versions": "VERSION",
    "events": "NUMBER",
    "dead": "NUMBER",
}
PREDICT = "POST /v1/models/NAME"  # the route's segment holds the verb as well


def render() -> str:
    """Return the page."""
    data = [[f"`{address}`", text] for address, text in ADDRESSES.items() if _is_open(address)]
    control = [[f"`{address}`", text] for address, text in ADDRESSES.items() if not _is_open(address)]
    return f"""{GENERATED}
# HTTP addresses of the engine

The engine listens on a TCP address and on the Unix socket `engine.sock` in its folder. Bodies and statuses are
explained in [the contract](../concepts/contract.md), error codes in [errors](errors.md).

## Data plane

Open on loopback. When the engine listens on another address, or over TLS (`--listen`), every request but those for
health needs the token.

{table(["Address", "What it does"], data)}
## Control plane

Open on the Unix socket, which only its owner can use. Over TCP it always needs `Authorization: Bearer TOKEN`; the token
is the content of the file `token` in the engine's folder.

{table(["Address", "What it does"], control)}"""


def check() -> list[str]:
    """Return the addresses that the engine serves and the page lacks, and the other way round."""
    served = {FUNCTION, *_served()}
    lacking = [f"{address} is served, and not described in docs/tools/http.py" for address in served - ADDRESSES.keys()]
    return lacking + [f"{address} is described, and not served" for address in ADDRESSES.keys() - served]


def _served() -> set[str]:
    recorder = _Recorder()
    front: Any = recorder
    # Only their bound methods are needed: nothing of an engine is started.
    Control.add_routes(Control.__new__(Control), front, JobRunner.__new__(JobRunner))
    Bundles.add_routes(Bundles.__new__(Bundles), front)
    ModelControl.add_routes(ModelControl.__new__(ModelControl), front)
    Inputs.add_routes(Inputs.__new__(Inputs), front)
    ChainRoutes.add(ChainRoutes.__new__(ChainRoutes), front)
    EventRoutes.add(EventRoutes.__new__(EventRoutes), front)
    InferenceRoutes(front, dict).add_routes()
    add_health_routes(front, is_ready=bool)
    return {f"{address}:predict" if address == PREDICT else address for address in recorder.addresses}


class _Recorder:
    """Takes routes as a front does."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()

    def route(self, method: str, pattern: str, _: object, **__: object) -> None:
        """Note one route."""
        parts = pattern.split("/")
        named = [PLACEHOLDERS[parts[i - 1]] if part == "*" else part for i, part in enumerate(parts)]
        self.addresses.add(f"{method} {'/'.join(named)}")

    def route_body(self, method: str, first: str, _: object) -> None:
        """Note a route whose bodies are taken as they come."""
        self.route(method, f"/{first}/*", _)


def _is_open(address: str) -> bool:
    method, _, path = address.encode().partition(b" ")
    return is_open(path, method)
