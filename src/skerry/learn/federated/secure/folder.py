"""A client's side of a secure aggregation in a file at its site: its phases may come to different workers.

This is how a client's functions take part. ``fit``, when its task has ``secure``, keeps the update here with `hold`
instead of sending it; its reply has no update, and no examples, steps and metrics either, which would say something of
one client. A function that takes a `SecureTask` and returns a `SecureReply` does the rest::

    def secure(task: SecureTask) -> SecureReply:
        return answer(path, task)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.errors import InvalidPayloadError, PrivacyError
from skerry.learn.federated.secure.client import SecureClient
from skerry.learn.federated.secure.messages import SecureReply, SecureTask, write
from skerry.learn.federated.secure.state import ClientState, read_state


def hold(path: Path, client: SecureClient) -> None:
    """Keep a client's state; what was kept before is gone.

    Args:
        path: Of the file, which only its owner may read; its folder exists.
        client: As `SecureClient.begin` returned it.

    Raises:
        PrivacyError: this client's update of this round has been summed, and would be summed again.
    """
    with _locked(path):
        if path.exists():
            _refuse_second_sum(read_state(path.read_bytes()), client.state)
        _replace(path, write(client.state))


def answer(path: Path, task: SecureTask) -> SecureReply:
    """Return the reply to a task; the state after it is on disk before the reply is returned.

    Otherwise a site that loses power could answer one phase twice, and differently.

    Args:
        path: As :func:`hold` was given.
        task: From the coordinator.

    Raises:
        InvalidPayloadError: no update is held here, or the task does not belong to it.
        PrivacyError: the answer could give away an update.
    """
    with _locked(path):
        try:
            before = path.read_bytes()
        except FileNotFoundError as error:
            raise InvalidPayloadError(
                f"client {task.client!r} holds no update of job {task.job!r}, round {task.round}: let it train first"
            ) from error
        client = SecureClient(read_state(before))
        reply = client.answer(task)
        _replace(path, write(client.state))
    return reply


def _refuse_second_sum(before: ClientState, state: ClientState) -> None:
    same = (before.job, before.round, before.client) == (state.job, state.round, state.client)
    if same and "unmask" in before.answers:
        raise PrivacyError(
            f"client {state.client!r}: its update of job {state.job!r}, round {state.round} has been summed; "
            "two sums that differ by one client would be that client's update"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, body: bytes) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)  # one that a killed writer left could be readable to others
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
