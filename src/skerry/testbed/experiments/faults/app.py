"""The function of the experiment: it works for a while and answers what can be checked."""

from __future__ import annotations

import hashlib
import time

from pydantic import BaseModel

import skerry


class Work(BaseModel):
    """One job.

    Args:
        number: Its number.
        payload: What travels with it.
        work_s: How long it computes, seconds of processor time.
    """

    number: int
    payload: bytes
    work_s: float


app = skerry.App("faults")


@app.function(idempotent=True, timeout="1m", cpu=1, scale=skerry.Scale(min=1, initial=1, max=1))
def digest(work: Work) -> str:
    """Return the digest of a job's payload and number, after a while of work."""
    return answer(work)


def answer(work: Work) -> str:
    """Return what `digest` returns, here."""
    ends_s = time.process_time() + work.work_s
    found = hashlib.sha256(work.payload).hexdigest()
    while time.process_time() < ends_s:
        found = hashlib.sha256(work.payload).hexdigest()
    return f"{work.number}:{found[:16]}"
