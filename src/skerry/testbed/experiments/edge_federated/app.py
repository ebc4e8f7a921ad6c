"""The functions of the experiment, deployed to every site: paper 003's training, and the coordinator in the cloud."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import skerry
from skerry.learn import federated
from skerry.learn.federated.clients.site_store import default_root
from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.paper_cnn import Parameters
from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.record.results import RoundResult
from skerry.learn.federated.wire.coding.packing import pack
from skerry.learn.federated.wire.parameters import Layout
from skerry.platforms.home import ENGINE_VARIABLE
from skerry.testbed.experiments.edge_federated.images import TEST, describe_part, draw_rows, take_part
from skerry.testbed.experiments.edge_federated.messages import (
    Division,
    Model,
    Order,
    Part,
    Settings,
    Trained,
    Training,
)
from skerry.testbed.experiments.place import SiteAddress

TRAINING: Mapping[str, Any] = {"memory": "200MiB", "cpu": 1}
"""What paper 003 allows a training function."""
MODEL = "edge-digits"
SERVING = "skerry.testbed.experiments.edge_federated.serving:app"
FOLLOW_S = 30.0

app = skerry.App(
    "edge-federated",
    imports=(
        "numpy",
        "skerry.learn.federated.clients.client",
        "skerry.learn.federated.coordinator.federation",
        "skerry.learn.federated.models.paper_cnn",
        "skerry.testbed.experiments.edge_federated.images",
        "skerry.testbed.experiments.place",
    ),
)


def start(settings: Mapping[str, Any]) -> Parameters:
    """Return the parameters that a run begins with."""
    return paper_cnn.start(int(settings["seed"]))


client = federated.Client(app, data=lambda name: name, start=start)


@client.fit(**TRAINING, scale=skerry.Scale(max=1))
def fit(parameters: Parameters, data: str, config: federated.Config) -> federated.Update:
    """Train on the site's own images, and look at what came of it on a sample of the test set."""
    settings, division = _read(config)
    part = take_part(division, data)
    drawn = draw_rows(len(part), settings.share_ratio, config.seed)
    rate = settings.learning_rate * settings.decay_ratio ** (config.round - 1)
    trained = paper_cnn.fit(
        parameters,
        part.images[drawn],
        part.labels[drawn],
        paper_cnn.Training(
            epochs=settings.epochs,
            learning_rate=rate,
            batch=settings.batch,
            seed=config.seed,
            proximal=config.proximal,
            correction=config.correction,
        ),
    )
    metrics = {"training_loss": trained.loss}
    if settings.sample:
        test = take_part(division, TEST)
        metrics["accuracy"], metrics["loss"] = paper_cnn.evaluate(
            trained.parameters, test.images[: settings.sample], test.labels[: settings.sample]
        )
    return federated.Update(
        parameters=trained.parameters,
        examples=len(part),
        steps=trained.steps,
        learning_rate=rate,
        metrics=metrics,
    )


@client.evaluate(**TRAINING, scale=skerry.Scale(max=1))
def evaluate(parameters: Parameters, data: str, config: federated.Config) -> federated.Evaluation:
    """Say how well the global model knows a client's own images, or the test set at the coordinator's site."""
    settings, division = _read(config)
    part = take_part(division, TEST if data == SERVER else data)
    count = len(part) if data == SERVER or not settings.sample else min(len(part), settings.sample)
    accuracy, loss = paper_cnn.evaluate(parameters, part.images[:count], part.labels[:count])
    return federated.Evaluation(examples=count, metrics={"accuracy": accuracy, "loss": loss})


@app.function(**TRAINING, idempotent=True, timeout="1h", scale=skerry.Scale(max=1, window="1s", grace="1s"))
def train(training: Training) -> Trained:
    """Train from fresh parameters, outside of any run: what paper 003 measures in its figure 6."""
    return train_here(training)


@app.function(idempotent=True, timeout="10m")
def settle(division: Division, name: str) -> Part:
    """Work out a client's images at this site, before any training has to."""
    return describe_part(division, name)


@app.function(timeout="6h", idempotent=True, max_body="64MiB")
def coordinate(order: Order) -> Iterator[RoundResult]:
    """Run a plan at this site, or go on with it, and yield what became of each round as it ends."""
    folder = _run_folder(order.plan.job)
    places: dict[str | None, str | skerry.Site | skerry.Platform] = {
        site.name: SiteAddress(**site.model_dump()).place() for site in order.sites
    }
    for event in federated.Federation(folder, order.plan, places=places).events():
        if event.kind == "round-ended":
            yield federated.read_run(folder).rounds[-1]


@app.function(idempotent=True)
def collect(job: str) -> Model:
    """Return the global model of a run that this site has coordinated."""
    parameters = federated.read_model(_run_folder(job))
    layout = Layout.of(parameters)
    packed, _ = pack(layout.join(parameters), "float32")
    return Model(layout=layout, vector=packed)


@app.function(timeout="5m", max_body="64MiB")
def publish(onnx: bytes, accuracy: float) -> str:
    """Push an ONNX model into the store of this site's engine, and serve it here."""
    from skerry.serve import push
    from skerry.store.models import ModelRepository, publishing_url
    from skerry.store.objects import open_store

    home = Path(os.environ[ENGINE_VARIABLE]).parent
    repository = ModelRepository(open_store(publishing_url(home)))
    manifest = push(MODEL, onnx, repository=repository, metrics={"accuracy": accuracy}, alias="production")
    engine = skerry.EnginePlatform.of_home(home)
    try:
        engine.deploy(SERVING)
        engine.follow_aliases(timeout_s=FOLLOW_S)
    finally:
        engine.close()
    return str(manifest)


def train_here(training: Training) -> Trained:
    """Train in this process; the function `train` and the plain process that it is compared with do just this.

    Args:
        training: What to train on, and how.
    """
    part = take_part(training.division, training.client)
    began_s = time.perf_counter()
    trained = paper_cnn.fit(
        paper_cnn.start(training.seed),
        part.images,
        part.labels,
        paper_cnn.Training(
            epochs=training.settings.epochs,
            learning_rate=training.settings.learning_rate,
            batch=training.settings.batch,
            seed=training.seed,
        ),
    )
    return Trained(
        train_s=time.perf_counter() - began_s,
        loss=trained.loss,
        processors=tuple(sorted(os.sched_getaffinity(0))),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _read(config: federated.Config) -> tuple[Settings, Division]:
    return Settings(**config.settings["training"]), Division(**config.settings["division"])


def _run_folder(job: str) -> Path:
    return default_root("edge-federated-runs") / Path(job).name
