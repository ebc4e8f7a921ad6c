"""Federated learning: models travel, data stays."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.learn.federated.clients.client import Client
    from skerry.learn.federated.clients.update import Config, Evaluation, Update
    from skerry.learn.federated.coordinator.federation import Federation
    from skerry.learn.federated.plan import Member, Plan
    from skerry.learn.federated.record.run_view import RunView, read_model, read_run
    from skerry.learn.federated.wire.messages import Privacy, Secure

__all__ = [
    "Client",
    "Config",
    "Evaluation",
    "Federation",
    "Member",
    "Plan",
    "Privacy",
    "RunView",
    "Secure",
    "Update",
    "read_model",
    "read_run",
]

# Numpy is an extra, and a worker needs none of the coordinator.
_LAZY = {
    "Client": "clients.client",
    "Config": "clients.update",
    "Evaluation": "clients.update",
    "Federation": "coordinator.federation",
    "Member": "plan",
    "Plan": "plan",
    "Privacy": "wire.messages",
    "RunView": "record.run_view",
    "Secure": "wire.messages",
    "Update": "clients.update",
    "read_model": "record.run_view",
    "read_run": "record.run_view",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
