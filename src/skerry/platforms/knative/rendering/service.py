"""The Knative Service of a function."""

from __future__ import annotations

import math
from typing import Final

from skerry.errors import SpecError
from skerry.platforms.knative.rendering.annotations import at_once, scaling_annotations
from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender, KubernetesObject
from skerry.platforms.kubernetes.rendering.container import LIVENESS_PATH, READINESS_PATH, container
from skerry.platforms.kubernetes.rendering.metadata import app_annotations, kubernetes_object, labels
from skerry.platforms.kubernetes.rendering.pod import pod
from skerry.spec import ClusterSettings, FunctionSpec

CLUSTER_ONLY: Final = {"networking.knative.dev/visibility": "cluster-local"}
CANDIDATE_PREFIX: Final = "candidate-"  # the tag of a revision that is tried, in its host name
LONGEST_NAME: Final = 63 - len(CANDIDATE_PREFIX)  # what a part of a host name may have
MOST_CONCURRENCY = 1000  # what a new installation of Knative allows (container-concurrency-max-limit)
ANSWER_S = 5  # so that the front, which knows what happened, answers before the queue proxy does


def service(app: AppToRender, function: FunctionToRender, settings: ClusterSettings) -> KubernetesObject:
    """Return the Knative Service of one function.

    Revisions are named by Knative, in the order in which they are made: an unchanged app makes none.

    Raises:
        SpecError: a value is one that Knative does not take.
    """
    spec = function.spec
    if len(spec.name) > LONGEST_NAME:
        raise SpecError(
            f"function {spec.name!r}: its name has {len(spec.name)} characters, and on Knative it may have "
            f"{LONGEST_NAME}: host names of revisions put {CANDIDATE_PREFIX!r} before it",
            field="name",
        )
    made = container(app, function, settings)
    # No port and no times: with them Knative asks once per period, without them without pause until it is ready.
    made["readinessProbe"] = {"httpGet": {"path": READINESS_PATH}}
    made["livenessProbe"] = {
        "httpGet": {"path": LIVENESS_PATH},
        "initialDelaySeconds": math.ceil(spec.start_timeout_s),  # the front listens once it has seen the app
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }
    return kubernetes_object(
        "serving.knative.dev/v1",
        "Service",
        app=app,
        settings=settings,
        function=spec.name,
        extra_labels=CLUSTER_ONLY if settings.visibility == "cluster" else None,
        spec={
            "template": {
                "metadata": {
                    "labels": labels(app, spec.name),
                    "annotations": {**scaling_annotations(function, settings), **app_annotations(app, spec.name)},
                },
                "spec": {
                    "containerConcurrency": container_concurrency(function),
                    "timeoutSeconds": timeout_s(spec, settings),
                    **pod(app, function, settings, made),
                },
            },
            "traffic": [{"latestRevision": True, "percent": 100}],
        },
    )


def container_concurrency(function: FunctionToRender) -> int:
    """Return how many requests Knative lets into a container at a time; 0 means any number.

    Those that the worker handles, so that others wait where Knative can send them to another container. With batches
    twice as many: the next batch gathers in the front while one is handled, else each would begin with one request.
    """
    wanted = at_once(function) * (2 if function.batch is not None else 1)
    return wanted if wanted <= MOST_CONCURRENCY else 0


def timeout_s(spec: FunctionSpec, settings: ClusterSettings) -> int:
    """Return the seconds after which Knative gives up on a request, and on a container that is to end.

    Raises:
        SpecError: the function's times are longer than the cluster allows.
    """
    for key, value_s in (("timeout", spec.timeout_s), ("drain", spec.drain_s)):
        if value_s > settings.max_timeout_s:
            raise SpecError(
                f"function {spec.name!r}: {key} is {value_s:g} s, and the cluster allows {settings.max_timeout_s:g} s; "
                "raise max-revision-timeout-seconds in its config-defaults, and max_timeout under [platform.knative]",
                field=key,
            )
    wanted = math.ceil(max(spec.timeout_s + ANSWER_S, spec.drain_s))
    return min(wanted, max(1, int(settings.max_timeout_s)))
