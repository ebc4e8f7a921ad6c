"""The coordinator as a Skerry function, so that it can run near the clients and outlive the terminal.

``skerry deploy`` it to a site in the cloud, with a ``skerry.toml`` beside it that names the clients' sites.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import skerry
from skerry.learn.federated.clients.site_store import default_root
from skerry.learn.federated.coordinator.federation import Federation
from skerry.learn.federated.plan import Plan
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import write_request

app = skerry.App("federation", imports=("numpy", "skerry.learn.federated.coordinator.federation"))


@app.function(timeout="24h", idempotent=True)
def coordinate(plan: Plan) -> Iterator[Event]:
    """Run a plan, or go on with it, and yield what happens as it happens."""
    yield from Federation(run_folder(plan.job), plan).events()


@app.function
def ask(job: str, request: str) -> bool:
    """Ask a run to ``pause`` or to ``cancel``; return whether there is such a run here."""
    folder = run_folder(job)
    if not folder.is_dir():
        return False
    write_request(folder, "cancel" if request == "cancel" else "pause")
    return True


def run_folder(job: str) -> Path:
    """Return the folder of a run at this site: in the engine's own folder, where it outlives workers and the engine."""
    return default_root("runs") / os.path.basename(job)
