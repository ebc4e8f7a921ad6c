"""Every error that Skerry raises or sends, in one tree, split by who can act on it.

::

    SkerryError
    ├── UserError                      the caller sent something that cannot be served as it is
    │   ├── MalformedBodyError         400  not JSON, not MessagePack, not a CloudEvent
    │   ├── InvalidPayloadError        422  well formed, but not what the function's annotations say
    │   ├── UnsupportedMediaTypeError  415  a content type that no codec reads
    │   ├── BodyTooLargeError          413  over the function's ``max_body``
    │   ├── FunctionNotFoundError      404  no such function, application or path
    │   ├── JobNotFoundError           404  no such job
    │   ├── EventNotFoundError         404  the broker keeps no such event, dead letter or trigger
    │   ├── JobNotReadyError           409  the job has no result yet, or was cancelled
    │   ├── MethodNotAllowedError      405  the path exists, the method does not
    │   ├── UnauthorizedError          401  no token, or a wrong one
    │   ├── ModelNotFoundError         404  no such model, version or alias
    │   ├── ModelRejectedError         422  a model that cannot be stored or served, with the reason
    │   ├── InputNotFoundError         404  a file or folder by content that is not at this site
    │   ├── PrivacyError               403  data or a function that must not leave its site
    │   ├── DataError                  422  a data set that the method cannot work on
    │   └── ReplyRefusedError          422  a reply that a federated round cannot use, with the ``reason``
    ├── ConfigError                    what was declared is wrong (command line: exit code 2)
    │   ├── SpecError                  400  unknown option, wrong type, out of range
    │   ├── AppImportError             400  the app cannot be imported, or holds no function
    │   ├── NameTakenError             409  another application owns the function's name
    │   └── ModelInUseError            409  an alias points at the version, or a function serves it
    ├── CapacityError                  nothing wrong with the request; try later
    │   ├── QueueFullError             429  the function's queue is full
    │   ├── UnavailableError           503  nothing can start, or the server is shutting down
    │   ├── DeadlineExceededError      504  the caller's deadline passed before the answer was there
    │   └── StateConflictError         409  somebody else was faster with a key of a state, or a lease has ended
    ├── FunctionError                  the function's own code failed
    │   ├── HandlerError               500  the handler raised; the traceback is in the log, under the error id
    │   ├── HandlerTimeoutError        504  the handler ran longer than ``timeout``; its worker was replaced
    │   ├── MemoryLimitError           500  the handler needed more than ``memory``
    │   ├── WorkerLostError            502  the worker died during the request
    │   └── StartError                 503  the worker could not import the app or load the handler
    ├── PlatformError                  the place that runs functions
    │   ├── EngineNotRunningError      503  no engine answers on this folder
    │   ├── SiteUnreachableError       503  a site does not answer; nothing has run there
    │   ├── AnswerTooLargeError        502  a site answered with more than is taken from it
    │   ├── EngineLockedError          409  another engine owns this folder
    │   ├── EnvironmentBuildError      400  the app's requirements cannot be installed
    │   ├── StorageError               503  a store cannot be reached, or has no room
    │   ├── ObjectNotFoundError        404  the store has no object of this key
    │   └── CorruptObjectError         500  what a store holds is not what was put there
    ├── TransportError                 502  the connection failed before an answer came
    └── InternalError                  500  a fault of Skerry's own

Each class carries ``code`` (what machines compare), ``http_status`` and ``retryable`` (whether the same request may
succeed later). The message says what was wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class SkerryError(Exception):
    """The root of every error that Skerry raises.

    Args:
        message: What was wrong, where, and what to do.
        details: Further members of the error's JSON form, such as ``field`` or ``error_id``; ``retryable`` where this
            one is not as others of its class.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retryable: bool = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.retryable = details.get("retryable", self.retryable)
        if "hint" in details:
            self.add_note(f"hint: {details['hint']}")  # a program that does not catch it shows what to do as well

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)

    def to_problem(self) -> dict[str, Any]:
        """Return the error as the members of an ``application/problem+json`` body (RFC 9457)."""
        return {
            "code": self.code,
            "status": self.http_status,
            "detail": self.message,
            "retryable": self.retryable,
            **self.details,
        }


class UserError(SkerryError):
    """The caller sent something that cannot be served as it is."""

    code = "bad_request"
    http_status = 400


class MalformedBodyError(UserError):
    """The body is not what its content type says."""

    code = "malformed_body"


class InvalidPayloadError(UserError):
    """The value does not fit the handler's annotations."""

    code = "invalid_payload"
    http_status = 422


class UnsupportedMediaTypeError(UserError):
    """No codec reads this content type."""

    code = "unsupported_media_type"
    http_status = 415


class BodyTooLargeError(UserError):
    """The body is larger than the function accepts."""

    code = "body_too_large"
    http_status = 413


class FunctionNotFoundError(UserError):
    """There is no such function, application or path."""

    code = "not_found"
    http_status = 404


class JobNotFoundError(UserError):
    """There is no such job."""

    code = "job_not_found"
    http_status = 404


class EventNotFoundError(UserError):
    """The broker keeps no such event, dead letter or trigger."""

    code = "event_not_found"
    http_status = 404


class JobNotReadyError(UserError):
    """The job has no result: it has not ended, or it was cancelled."""

    code = "job_not_ready"
    http_status = 409


class MethodNotAllowedError(UserError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    http_status = 405


class UnauthorizedError(UserError):
    """The token is missing or wrong."""

    code = "unauthorized"
    http_status = 401


class ModelNotFoundError(UserError):
    """There is no such model, version or alias."""

    code = "model_not_found"
    http_status = 404


class ModelRejectedError(UserError):
    """A model cannot be stored or served as it is; the message says why."""

    code = "model_rejected"
    http_status = 422


class InputNotFoundError(UserError):
    """A call refers to a file or folder by content, and the content is not at this site."""

    code = "input_not_found"
    http_status = 404


class PrivacyError(UserError):
    """Data or a function labelled ``local`` would have left its site."""

    code = "private"
    http_status = 403


class DataError(UserError):
    """A data set that the method cannot work on."""

    code = "bad_data"
    http_status = 422


class ReplyRefusedError(UserError):
    """A client's reply cannot be used in a federated round; ``reason`` says why, in one word."""

    code = "reply_refused"
    http_status = 422

    @property
    def reason(self) -> str:
        """One of `skerry.learn.federated.wire.checks.Reason`; empty when another server gave none."""
        return str(self.details.get("reason", ""))


class ConfigError(SkerryError):
    """What was declared is wrong."""

    code = "bad_config"
    http_status = 400


class SpecError(ConfigError):
    """An option is unknown, of a wrong type or out of range."""

    code = "bad_option"


class AppImportError(ConfigError):
    """The app cannot be imported, or holds no function."""

    code = "app_import_failed"


class NameTakenError(ConfigError):
    """Another application owns this function's name."""

    code = "name_taken"
    http_status = 409


class ModelInUseError(ConfigError):
    """An alias points at the version of a model, or a function serves it."""

    code = "model_in_use"
    http_status = 409


class CapacityError(SkerryError):
    """Nothing is wrong with the request; it may succeed later."""

    code = "no_capacity"
    http_status = 503
    retryable = True


class QueueFullError(CapacityError):
    """The function's queue is full."""

    code = "queue_full"
    http_status = 429


class UnavailableError(CapacityError):
    """Nothing can start, or the server is shutting down."""

    code = "unavailable"


class DeadlineExceededError(CapacityError):
    """The caller's deadline passed: in the queue, and nothing ran, or while it ran, which is not retryable."""

    code = "deadline_exceeded"
    http_status = 504


class StateConflictError(CapacityError):
    """Somebody else changed a key of a state first, or holds the lease by now; nothing was done."""

    code = "state_conflict"
    http_status = 409


class FunctionError(SkerryError):
    """The function's own code failed."""

    code = "function_failed"


class HandlerError(FunctionError):
    """The handler raised; the traceback is in the function's log under the error id."""

    code = "handler_failed"


class HandlerTimeoutError(FunctionError):
    """The handler ran longer than its ``timeout``; its worker was replaced."""

    code = "handler_timeout"
    http_status = 504


class MemoryLimitError(FunctionError):
    """The handler needed more memory than its ``memory`` option allows."""

    code = "memory_exceeded"


class WorkerLostError(FunctionError):
    """The worker died during the request."""

    code = "worker_lost"
    http_status = 502
    retryable = True


class StartError(FunctionError):
    """A worker could not import the app or load the handler."""

    code = "start_failed"
    http_status = 503
    retryable = True


class PlatformError(SkerryError):
    """The place that runs functions failed."""

    code = "platform_failed"
    http_status = 503


class EngineNotRunningError(PlatformError):
    """No engine answers on this folder."""

    code = "engine_not_running"


class SiteUnreachableError(PlatformError):
    """A site does not answer, or cannot prove that it is the site; nothing has run there."""

    code = "site_unreachable"


class AnswerTooLargeError(PlatformError):
    """A site answered with more than its ``max_answer``; the function has run."""

    code = "answer_too_large"
    http_status = 502


class EngineLockedError(PlatformError):
    """Another engine owns this folder."""

    code = "engine_locked"
    http_status = 409


class EnvironmentBuildError(PlatformError):
    """The app's requirements cannot be installed."""

    code = "environment_failed"
    http_status = 400


class StorageError(PlatformError):
    """A store cannot be reached, or has no room."""

    code = "storage_failed"
    http_status = 503
    retryable = True


class ObjectNotFoundError(PlatformError):
    """A store has no object of this key."""

    code = "object_not_found"
    http_status = 404


class CorruptObjectError(PlatformError):
    """What a store holds is not what was put there."""

    code = "object_corrupt"
    http_status = 500


class TransportError(SkerryError):
    """The connection failed before an answer came."""

    code = "connection_failed"
    http_status = 502
    retryable = True


class InternalError(SkerryError):
    """A fault of Skerry's own."""

    code = "internal"


def error_classes() -> Iterator[type[SkerryError]]:
    """Yield every class of the tree, the root first."""
    pending: list[type[SkerryError]] = [SkerryError]
    while pending:
        cls = pending.pop()
        yield cls
        pending.extend(cls.__subclasses__())


def from_problem(problem: Mapping[str, Any]) -> SkerryError:
    """Return the error that a problem body describes: the inverse of :meth:`SkerryError.to_problem`.

    Args:
        problem: The decoded ``application/problem+json`` body; an unknown ``code`` becomes an `InternalError`.
    """
    by_code = {cls.code: cls for cls in error_classes()}
    cls = by_code.get(str(problem.get("code")), InternalError)
    details = {k: v for k, v in problem.items() if k not in {"code", "status", "detail", "retryable"}}
    if problem.get("retryable") is (not cls.retryable):
        details["retryable"] = not cls.retryable
    return _rebuild(cls, str(problem.get("detail", "no detail was given")), details)


def exit_code(error: SkerryError) -> int:
    """Return what a command exits with: 2 when its user has to change something, 1 when something failed."""
    return 2 if isinstance(error, UserError | ConfigError | EngineLockedError) else 1


def _rebuild(cls: type[SkerryError], message: str, details: dict[str, Any]) -> SkerryError:
    error = cls(message)
    if "hint" in details:
        error.add_note(f"hint: {details['hint']}")
    error.details = details  # whatever its members are called: another server may have written the problem
    error.retryable = details.get("retryable", cls.retryable)
    return error
