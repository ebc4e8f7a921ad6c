"""What a client does in a round: from the task and what it holds, to what it holds then and its reply."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.clients.site_store import Held
from skerry.learn.federated.clients.update import Arrays, Config, Update, examples_of, metrics_of
from skerry.learn.federated.privacy.noise import protect
from skerry.learn.federated.wire.coding.packing import pack, unpack
from skerry.learn.federated.wire.messages import EvaluateTask, FitReply, FitTask, Packed
from skerry.learn.federated.wire.parameters import Layout, Vector, digest_of, require_arrays

Fit = Callable[[dict[str, Any], Config], Update]
"""The user's own training, with the client's data."""


def earlier_reply(held: Held | None, task: FitTask) -> FitReply | None:
    """Return the reply that the client has given to a task before.

    Raises:
        DataError: a later round has been answered already, or this one for another model.
    """
    reply = None if held is None else held.reply
    if reply is None or reply.round < task.round:
        return None
    where = f"client {task.client!r}: round {task.round} of job {task.job!r}"
    if reply.round > task.round:
        raise DataError(f"{where} is over here; round {reply.round} was answered already")
    if reply.model_digest != task.model_digest:
        raise DataError(f"{where} was answered for another model; give the new run a job name of its own")
    return reply.model_copy(update={"token": task.token})


def receive(task: FitTask | EvaluateTask, held: Held | None) -> Vector | None:
    """Return the model of a task; none if the client does not hold what it needs for that.

    Raises:
        DataError: what was received is not the model that the task names.
    """
    if held is not None and held.digest == task.model_digest:
        return held.model
    if task.model is None:
        return None
    dtype = task.layout.dtype
    vector = unpack(task.model, dtype.name)
    if task.base_digest is not None:
        if held is None or held.digest != task.base_digest or held.model.shape != vector.shape:
            return None
        vector = held.model + vector
    if vector.shape != (task.layout.size,) or digest_of(vector) != task.model_digest:
        raise DataError(f"client {task.client!r}: the model of round {task.round} does not have its digest")
    return vector


def hold(held: Held | None, model: Vector, digest: str) -> Held:
    """Return what a client holds once it was given a model."""
    return Held(model=model, digest=digest) if held is None else replace(held, model=model, digest=digest)


def train(task: FitTask, fit: Fit, model: Vector, held: Held, secure_path: Path | None) -> tuple[Held, FitReply]:
    """Run the user's training, and return what the client holds then, and its reply.

    Args:
        task: The task.
        fit: The user's training.
        model: The model that it begins from.
        held: What the client holds.
        secure_path: Where the update stays if the task has ``secure``.

    Raises:
        DataError: what the training gave does not fit the model, or cannot be sent.
    """
    layout = task.layout
    server, own = _controls(task, held)
    config = Config(
        client=task.client,
        round=task.round,
        seed=task.seed,
        settings=task.settings,
        proximal=task.proximal,
        correction=None if server is None else layout.split(server - own),
    )
    began_s = time.perf_counter()
    update = fit(writable(layout.split(model)), config)
    train_s = time.perf_counter() - began_s
    delta = _delta(task, model, update)
    control: Packed | None = None
    if server is not None:
        own, control = _next_control(task, own, server, delta, update)
    if task.privacy is not None:
        delta = protect(delta, task.privacy).astype(layout.dtype)
    memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if task.secure is not None:
        assert secure_path is not None  # noqa: S101  # whoever calls gives it where it is needed
        _hold_back(task, delta, examples_of(update), secure_path)
        reply = reply_to(task, train_s=train_s, peak_memory_bytes=memory_bytes)
        return replace(held, model=model, digest=task.model_digest, reply=reply), reply
    packed, residual = pack(delta, task.coding, residual=held.residual)
    reply = reply_to(
        task,
        update=packed,
        examples=examples_of(update),
        steps=update.steps,
        metrics=metrics_of(update),
        train_s=train_s,
        peak_memory_bytes=memory_bytes,
        control=control,
    )
    kept = Held(
        model=model,
        digest=task.model_digest,
        residual=residual,
        control=held.control if server is None else own,
        reply=reply,
    )
    return kept, reply


def _hold_back(task: FitTask, delta: Vector, examples: int, path: Path) -> None:
    """Keep an update for the secure aggregation; what reads its terms is loaded only where one is held."""
    from skerry.learn.federated.secure.client import SecureClient
    from skerry.learn.federated.secure.folder import hold as hold_secure
    from skerry.learn.federated.secure.messages import read_terms

    terms = read_terms(task.secure or {})
    client = SecureClient.begin(
        terms, job=task.job, round=task.round, client=task.client, update=delta, examples=examples
    )
    hold_secure(path, client)


def reply_to(task: FitTask, **values: Any) -> FitReply:
    """Return a reply to a task."""
    return FitReply(
        job=task.job,
        round=task.round,
        client=task.client,
        token=task.token,
        model_digest=task.model_digest,
        **values,
    )


def writable(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays that the user's code may change in place."""
    return {name: np.array(array) for name, array in arrays.items()}


def _controls(task: FitTask, held: Held) -> tuple[Vector | None, Vector]:
    """Return SCAFFOLD's control variates of the server and of the client; none of the server without SCAFFOLD."""
    zeros = np.zeros(task.layout.size, task.layout.dtype)
    if task.control is None:
        return None, zeros
    return unpack(task.control, task.layout.dtype_name), zeros if held.control is None else held.control


def _next_control(task: FitTask, own: Vector, server: Vector, delta: Vector, update: Update) -> tuple[Vector, Packed]:
    from skerry.learn.federated.strategies.scaffold import client_control

    rate = update.learning_rate if update.learning_rate is not None else task.settings.get("learning_rate", 0.0)
    own, change = client_control(own, server, delta, update.steps, float(rate))
    packed, _ = pack(change, task.layout.dtype_name)
    return own, packed


def _delta(task: FitTask, model: Vector, update: Update) -> Vector:
    delta = _change(task, model, update)
    # Said here, where the arrays have names.
    task.layout.check_finite(delta, hint="; the learning rate may be too high")
    return delta


def _change(task: FitTask, model: Vector, update: Update) -> Vector:
    if not isinstance(update, Update):
        raise DataError(f"client {task.client!r}: fit returned {type(update).__name__}; return federated.Update(...)")
    if update.delta is not None and update.parameters is None:
        return task.layout.join(_narrow(update.delta, task.layout))
    if update.parameters is not None and update.delta is None:
        return task.layout.join(_narrow(update.parameters, task.layout)) - model
    raise DataError(f"client {task.client!r}: give federated.Update either parameters or delta")


def _narrow(arrays: Arrays, layout: Layout) -> Arrays:
    """Return arrays with those of float64 as float32 where the model has that: NumPy makes float64 of many a thing.

    Raises:
        DataError: they are no arrays by name, or a number is too large for float32.
    """
    require_arrays(arrays)
    narrow = {tensor.name for tensor in layout.tensors if tensor.dtype == "float32"}
    return {
        name: _to_float32(name, array) if name in narrow and array.dtype == np.float64 else array
        for name, array in arrays.items()
    }


def _to_float32(name: str, array: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    lost = np.isinf(found) & np.isfinite(array)
    if lost.any():
        raise DataError(f"parameter {name!r} holds {array[lost][0]:.3g}, which the model's float32 cannot hold")
    return found
