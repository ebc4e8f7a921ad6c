"""The functions of a client's app as a coordinator calls them, without the app's own code."""

from __future__ import annotations

import skerry
from skerry.errors import InternalError
from skerry.learn.federated.wire.messages import (
    Enclosed,
    EvaluateReply,
    EvaluateTask,
    FitReply,
    FitTask,
    StartReply,
    StartTask,
)

clients = skerry.App("federated-clients", stand_in=True)
"""Never deployed: ``clients.at(site).fit`` calls the function ``fit`` that is deployed there."""


@clients.function(idempotent=True)
def start(task: StartTask) -> StartReply:
    """Call what :class:`skerry.learn.federated.clients.client.Client` has added as ``start``."""
    raise InternalError(f"this runs at clients only: {task.seed}")


@clients.function(idempotent=True)
def fit(task: FitTask) -> FitReply:
    """Call what :class:`skerry.learn.federated.clients.client.Client` has added as ``fit``."""
    raise InternalError(f"this runs at clients only: {task.client}")


@clients.function(idempotent=True)
def evaluate(task: EvaluateTask) -> EvaluateReply:
    """Call what :class:`skerry.learn.federated.clients.client.Client` has added as ``evaluate``."""
    raise InternalError(f"this runs at clients only: {task.client}")


@clients.function(idempotent=True)
def secure(task: Enclosed) -> Enclosed:
    """Call what :class:`skerry.learn.federated.clients.client.Client` has added as ``secure``."""
    raise InternalError(f"this runs at clients only: {len(task.message)} bytes")
