import threading
import uuid

import pytest

from skerry.errors import FunctionNotFoundError, HandlerError, JobNotReadyError, SkerryError
from skerry.platforms import Answer, JobRecord, Platform


class InProcess(Platform):
    """Runs the handlers of an app in this process, through the codecs that the wire uses."""

    def __init__(self, app):
        self.app = app
        self.jobs = {}
        self.running = 0
        self.most_running = 0
        self.calls = []
        self.lock = threading.Lock()

    def invoke(self, function, body, *, content_type, accept=None, idempotent=False, cancellation=None, timeout_s=None):
        if function not in self.app.functions:
            raise FunctionNotFoundError(function)
        found = self.app.functions[function]
        args, kwargs = found.signature.decode_call(body, content_type)
        with self.lock:
            self.calls.append((function, args, kwargs, idempotent))
            self.running += 1
            self.most_running = max(self.running, self.most_running)
        try:
            value = found.handler(*args, **kwargs)
        except SkerryError:
            raise
        except Exception as error:
            raise HandlerError(f"{function} failed") from error
        finally:
            with self.lock:
                self.running -= 1
        encoded, kind, headers = found.signature.encode_result(value, accept)
        return Answer(encoded, kind, headers)

    def submit(self, function, body, *, content_type, accept=None, idempotent=False):
        job = uuid.uuid4().hex
        answer = self.invoke(function, body, content_type=content_type, accept=accept)
        self.jobs[job] = ["succeeded", function, answer]
        return self.job(job)

    def job(self, job_id):
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


@pytest.fixture
def in_process():
    return InProcess
