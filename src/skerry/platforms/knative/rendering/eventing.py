"""What starts a function on Knative besides requests: Triggers at a broker, and PingSources.

Source: Knative Eventing. The published schema of a Trigger knows ``filter.attributes`` only; its ``filters`` are there
from Eventing 1.13 on without a feature of their own.
"""

from __future__ import annotations

import json
from typing import Any, Final

from skerry.errors import NameTakenError, SpecError
from skerry.platforms.kubernetes.api.objects import object_name
from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender, KubernetesObject
from skerry.platforms.kubernetes.rendering.metadata import kubernetes_object
from skerry.spec import ClusterSettings, Retry, Timer, Trigger, parse_duration

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
DEFAULTS: Final = Retry()
NOT_HONOURED: Final = ("max_delay", "jitter", "deadline")


def starts(app: AppToRender, settings: ClusterSettings) -> list[KubernetesObject]:
    """Return the Triggers and PingSources of an app's functions.

    Raises:
        SpecError: a retry or a period is one that Knative does not know.
        NameTakenError: two of them would be one object.
    """
    made: list[KubernetesObject] = []
    for function in app.functions:
        for number, trigger in enumerate(function.spec.triggers):
            made.append(_trigger(app, function, settings, trigger, number))
        for number, timer in enumerate(function.spec.timers):
            made.append(_ping_source(app, function, settings, timer, number))
    names: set[tuple[str, str]] = set()
    for one in made:
        name = one["kind"], one["metadata"]["name"]
        if name in names:
            raise NameTakenError(f"two of the app's functions have a {name[0]} {name[1]!r}; rename one of them")
        names.add(name)
    return made


def _trigger(
    app: AppToRender, function: FunctionToRender, settings: ClusterSettings, trigger: Trigger, number: int
) -> KubernetesObject:
    retry = trigger.retry
    sink = _sink(function, retry)
    for key in NOT_HONOURED:
        if getattr(retry, key) != getattr(DEFAULTS, key):
            raise SpecError(
                f"function {function.spec.name!r}: a trigger's retry has {key}, and Knative does not honour it; leave "
                "it out",
                field="triggers",
            )
    spec: dict[str, Any] = {
        "broker": settings.broker,
        "subscriber": {"ref": _service(function.spec.name)},
        "delivery": {
            "retry": retry.attempts,
            "backoffPolicy": retry.backoff,
            "backoffDelay": f"PT{retry.delay_s:g}S",
            **sink,
        },
    }
    dialect = None if trigger.filter is None else trigger.to_dict()["filter"]
    if dialect is not None and "exact" in dialect:
        spec["filter"] = {"attributes": dialect["exact"]}
    elif dialect is not None:
        spec["filters"] = [dialect]
    made = kubernetes_object(
        "eventing.knative.dev/v1", "Trigger", app=app, settings=settings, function=function.spec.name, spec=spec
    )
    return _numbered(made, number)


def _sink(function: FunctionToRender, retry: Retry) -> dict[str, Any]:
    """Return where dead letters go, as a delivery has it.

    Raises:
        SpecError: it is the type of an event: on Knative a sink is an address.
    """
    sink = retry.dead_letter_sink
    if sink is None:
        return {}
    if not sink.startswith("/function/"):
        raise SpecError(
            f"function {function.spec.name!r}: dead_letter_sink = {sink!r}: Knative does not honour the type of an "
            "event there; write /function/NAME",
            field="triggers",
        )
    return {"deadLetterSink": {"ref": _service(sink.removeprefix("/function/"))}}


def _ping_source(
    app: AppToRender, function: FunctionToRender, settings: ClusterSettings, timer: Timer, number: int
) -> KubernetesObject:
    if timer.retry != DEFAULTS:
        raise SpecError(
            f"function {function.spec.name!r}: Knative does not honour the retry of a timer; leave it out",
            field="timers",
        )
    schedule = timer.cron or _cron_of(function.spec.name, timer.every or "")
    spec = {
        "schedule": schedule,
        "timezone": timer.zone,
        "contentType": "application/json",
        "data": json.dumps({"schedule": timer.every or f"{timer.cron} {timer.zone}"}),
        "sink": {"ref": _service(function.spec.name)},
    }
    made = kubernetes_object(
        "sources.knative.dev/v1", "PingSource", app=app, settings=settings, function=function.spec.name, spec=spec
    )
    return _numbered(made, number)


def _cron_of(function: str, every: str) -> str:
    """Return the cron expression of a period; Knative knows no ``@every``."""
    period_s = parse_duration(every, key="every")
    if period_s == int(period_s) and period_s % MINUTE_S == 0:
        if HOUR_S % period_s == 0:
            return "0 * * * *" if period_s == HOUR_S else f"*/{int(period_s) // MINUTE_S} * * * *"
        if period_s % HOUR_S == 0 and DAY_S % period_s == 0:
            return "0 0 * * *" if period_s == DAY_S else f"0 */{int(period_s) // HOUR_S} * * *"
    raise SpecError(
        f"function {function!r}: it starts every {every}, and Knative's timers know whole minutes that divide an hour, "
        "or whole hours that divide a day",
        field="timers",
    )


def _service(function: str) -> dict[str, str]:
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": object_name(function)}


def _numbered(made: KubernetesObject, number: int) -> KubernetesObject:
    if number:
        made["metadata"]["name"] += f"-{number + 1}"
    return made
