import asyncio
import inspect
import threading
import uuid

import pytest

from skerry.errors import FunctionNotFoundError, HandlerError, JobNotReadyError, SkerryError
from skerry.payload import Items
from skerry.payload.stream import piece_form
from skerry.platforms import Answer, AnswerStream, CallOptions, JobRecord, Platform


class PieceStream(AnswerStream):
    """The pieces of a generator's answer, written as a worker writes them."""

    def __init__(self, form, items):
        super().__init__(form.content_type, {})
        self.form = form
        self.items = items
        self.closed = False

    def read(self):
        try:
            return next((self.form.write(item) for item in self.items), b"")
        except SkerryError as error:
            self.items = iter(())
            return self.form.write_error(_problem(error))

    def close(self):
        self.closed = True


class InProcess(Platform):
    """Runs the handlers of an app in this process, through the codecs that the wire uses."""

    def __init__(self, app):
        self.app = app
        self.jobs = {}
        self.running = 0
        self.most_running = 0
        self.calls = []
        self.options = []
        self.streams = []
        self.lock = threading.Lock()

    def invoke(self, function, body, *, content_type, accept=None, options=None, cancellation=None):
        found, args, kwargs = self._begin(function, body, content_type, options)
        with self.lock:
            self.running += 1
            self.most_running = max(self.running, self.most_running)
        try:
            value = _run(found, args, kwargs)
        except SkerryError:
            raise
        except Exception as error:
            raise HandlerError(f"{function} failed") from error
        finally:
            with self.lock:
                self.running -= 1
        encoded, kind, headers = found.signature.encode_result(value, accept)
        return Answer(encoded, kind, headers)

    def stream(self, function, body, *, content_type, accept=None, options=None, cancellation=None):
        found, args, kwargs = self._begin(function, body, content_type, options)
        items = found.handler(*args, **kwargs)
        stream = PieceStream(piece_form(found.signature, accept), _drain(items))
        self.streams.append(stream)
        return stream

    def submit(self, function, body, *, content_type, accept=None, options=None):
        job = uuid.uuid4().hex
        answer = self.invoke(function, body, content_type=content_type, accept=accept, options=options)
        self.jobs[job] = ["succeeded", function, answer]
        return self.job(job)

    def job(self, job_id, *, wait_s=0.0):
        status, function, _ = self.jobs[job_id]
        return JobRecord(id=job_id, function=function, status=status)

    def result(self, job_id, *, timeout_s=None):
        status, _, answer = self.jobs[job_id]
        if status == "cancelled":
            raise JobNotReadyError("cancelled")
        return answer

    def cancel(self, job_id):
        self.jobs[job_id][0] = "cancelled"
        return self.job(job_id)

    def retry(self, job_id):
        if self.jobs[job_id][0] == "succeeded":
            raise JobNotReadyError("succeeded")
        self.jobs[job_id][0] = "succeeded"
        return self.job(job_id)

    def _begin(self, function, body, content_type, options):
        if function not in self.app.functions:
            raise FunctionNotFoundError(function)
        found = self.app.functions[function]
        args, kwargs = found.signature.decode_call(body, content_type)
        options = options or CallOptions()
        with self.lock:
            self.calls.append((function, args, kwargs, options.idempotent))
            self.options.append(options)
        return found, args, kwargs


@pytest.fixture
def in_process():
    return InProcess


def _run(found, args, kwargs):
    if found.signature.takes_items:
        args = (Items(args),)
    value = found.handler(*args, **kwargs)
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    return value[0] if found.signature.takes_items else value


def _drain(items):
    if not hasattr(items, "__anext__"):
        return iter(items)

    async def gather():
        return [item async for item in items]

    return iter(asyncio.run(gather()))


def _problem(error):
    import json

    return json.dumps(error.to_problem()).encode()
