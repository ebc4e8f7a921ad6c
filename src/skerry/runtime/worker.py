"""The worker: a process that runs one function's handler in a loop of decode, call, encode."""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from skerry.errors import ConfigError
from skerry.payload import Signature
from skerry.runtime.calls import CallLoop
from skerry.runtime.confinement import limit_files, limit_memory, limit_threads
from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.handler import LoadedHandler, find_function, start_error
from skerry.runtime.inputs import guard_inputs, install_inputs
from skerry.runtime.interruption import Interruption
from skerry.runtime.log_lines import install_log_lines
from skerry.runtime.phases import Phases
from skerry.runtime.progress import PROGRESS_BYTES
from skerry.runtime.target import FunctionObject, Target, load_app

# What only some handlers need is imported for them: the first answer of a container waits for all that is imported.
if TYPE_CHECKING:
    import asyncio

    from skerry.runtime.grouping import GroupLoop
    from skerry.runtime.streaming import StreamLoop

ORDER_BYTES = 1 << 16


def work(link: socket.socket, progress_fd: int, target: Target, *, asked_at_s: float) -> None:
    """Be a worker until the front says stop or goes away; never returns.

    Args:
        link: The worker's end of the socket to the front.
        progress_fd: Memory shared with the front; the number of the call that begins is written there.
        target: What to run.
        asked_at_s: Monotonic clock reading when the front asked for the worker, seconds.
    """
    phases = _greet(link, asked_at_s)
    app = None
    try:
        prepare(target)
        if target.function is None:
            from skerry.runtime.inspection import describe

            app = load_app(target)
            description = describe(app, with_schemas=target.with_schemas)
            link.sendall(encode_frame(Kind.RESULT, 0, orjson.dumps(description)))
            target, asked_at_s = _await_work(link, target)
            phases = _greet(link, asked_at_s)
            confine(target)
        phases.mark("confine")
        function = find_function(app or load_app(target), target)
        phases.mark("import")
        install_log_lines()  # it may be the app that has imported `logging`
        handler, runner = _load(function, target)
        phases.mark("load")
    except BaseException as error:
        problem, log = start_error(target.function or target.module, error)
        sys.stderr.write(f"{problem.message}\n{log}\n")
        told = error if target.function is None and isinstance(error, ConfigError) else problem
        _leave(link, encode_frame(Kind.START_FAILED, 0, orjson.dumps(told.to_problem(), default=str)), code=1)
    _say_ready_and_serve(link, progress_fd, handler, runner, phases.since(asked_at_s))


def _greet(link: socket.socket, asked_at_s: float) -> Phases:
    phases = Phases(asked_at_s)
    phases.mark("fork")
    link.sendall(encode_frame(Kind.HELLO, 0, meta={"pid": os.getpid()}))
    return phases


def _await_work(link: socket.socket, target: Target) -> tuple[Target, float]:
    """Return what the front wants this process to be, and when it said so; wanted for nothing, the process ends."""
    reader = FrameReader()
    with contextlib.suppress(ConnectionError):
        while target.stays and (data := link.recv(ORDER_BYTES)):
            for frame in reader.feed(data):
                if frame.kind == Kind.WORK:
                    return Target(**frame.meta["target"]), frame.meta["asked_at_s"]
    _leave(link, b"", code=0)


def work_loaded(
    link: socket.socket, progress_fd: int, handler: LoadedHandler, phases: Phases, *, asked_at_s: float
) -> None:
    """Be a worker whose handler is there already, in a process forked from one that has loaded it; never returns.

    Args:
        link: The worker's end of the socket to the front.
        progress_fd: Memory shared with the front.
        handler: What to call.
        phases: How the start went until the fork.
        asked_at_s: Monotonic clock reading when the front asked for the worker, seconds.
    """
    phases.mark("fork")
    link.sendall(encode_frame(Kind.HELLO, 0, meta={"pid": os.getpid()}))
    _disregard_signals()  # the fork has undone it
    phases.mark("confine")
    runner = _runner_of(handler)
    phases.mark("load")
    _say_ready_and_serve(link, progress_fd, handler, runner, phases.since(asked_at_s))


def _say_ready_and_serve(
    link: socket.socket,
    progress_fd: int,
    handler: LoadedHandler,
    runner: asyncio.Runner | None,
    phases_ms: dict[str, float],
) -> None:
    page = mmap.mmap(progress_fd, PROGRESS_BYTES)
    os.close(progress_fd)
    modules = _report_modules() if handler.target.report_modules else b""
    greeting = {"phases_ms": phases_ms, **handler.nature()}
    link.sendall(encode_frame(Kind.READY, 0, modules, meta=greeting))
    serve(link, page, handler, runner)
    _leave(link, b"", code=0)


def _report_modules() -> bytes:
    from skerry.runtime.inspection import installed_modules

    return orjson.dumps(installed_modules())


def rehearse() -> None:
    """Go through the motions of a start and a call, so that their code and their memory pages are at hand.

    A forked process shares its pages with its parent until it writes to them, and then copies them one by one: most of
    a cold start was such copying. A spare does it while nobody waits.
    """
    parameters = {"value": "x"}
    source = compile("def sample(value: list[float], name: str = 'x') -> dict[str, int]: ...", "rehearsal", "exec")
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  # a constant of this function
    target = Target(root=None, file=None, module="rehearsal", environment={})
    handler = LoadedHandler(lambda value, name: {name: len(value)}, Signature.of(names["sample"]), None, target)
    ours, link = socket.socketpair()
    body = b'{"value": [1, 2.5], "name": "x"}'
    ours.sendall(encode_frame(Kind.CALL, 1, body, meta=parameters) + encode_frame(Kind.STOP, 0))
    make_loop(link, mmap.mmap(-1, PROGRESS_BYTES), handler).serve()
    FrameReader().feed(ours.recv(1 << 10))
    ours.close()
    link.close()
    _import_the_rest()


def _import_the_rest() -> None:
    """Import what some workers need; the apps of most have options, which are checked where they are declared."""
    import uvloop  # noqa: F401  # loaded before the fork, for those who use it

    from skerry.runtime import grouping, inspection, streaming, tasks  # noqa: F401  # loaded before the fork, for those who use it
    from skerry.spec import FunctionSpec, Scale

    FunctionSpec(name="sample", scale=Scale())


def prepare(target: Target) -> None:
    """Set the variables, the folder and the limits that a target asks for.

    Raises:
        MemoryLimitError: the process holds more than its memory already.
    """
    _disregard_signals()
    confine(target)
    install_log_lines()


def confine(target: Target) -> None:
    """Set the variables, the folder and the limits; as `prepare`, in a process that has its signals in order."""
    os.environ.update(target.environment)
    install_inputs(os.environ)
    os.chdir(target.root or "/")  # so that an app finds the files of its project by relative paths
    limit_threads(target.cpu)
    limit_files(target.files)
    if target.memory_bytes is not None:
        limit_memory(target.memory_bytes, function=target.function or "?")


def _disregard_signals() -> None:
    _disregard(signal.SIGTERM)  # the front ends a worker through the link, or with SIGKILL
    _disregard(signal.SIGINT)
    _disregard(signal.SIGUSR1)  # asks a plain handler to end its call, once it serves
    # Asks where the code is, before the front ends a worker that hangs. Native code may hang as well, and would never
    # let a handler in Python run: this one is C, and writes to the log without taking a lock.
    faulthandler.register(signal.SIGUSR2, file=2)
    os.register_at_fork(after_in_child=lambda: faulthandler.unregister(signal.SIGUSR2))


def _disregard(number: signal.Signals) -> None:
    # A handler that does nothing, and not SIG_IGN, which programs and forks that the handler starts would inherit.
    signal.signal(number, lambda *_: None)
    signal.siginterrupt(number, False)
    os.register_at_fork(after_in_child=lambda: signal.signal(number, signal.SIG_DFL))


def _load(function: FunctionObject, target: Target) -> tuple[LoadedHandler, asyncio.Runner | None]:
    handler, load = make_handler(function, target)
    runner = _runner_of(handler)
    if load is not None:
        _run(load, runner)
    return handler, runner


def make_handler(function: FunctionObject, target: Target) -> tuple[LoadedHandler, Callable[[], Any] | None]:
    """Return a function's handler and its ``load``, which has not been called yet."""
    call, unload, load = function.handler, None, None
    if inspect.isclass(call):
        call = call()
        load, unload = getattr(call, "load", None), getattr(call, "unload", None)
    signature = function.signature
    return LoadedHandler(guard_inputs(call), signature, unload, target), load


def _runner_of(handler: LoadedHandler) -> asyncio.Runner | None:
    if not handler.is_async:
        return None
    import asyncio

    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _run(function: Any, runner: asyncio.Runner | None) -> None:
    outcome = function()
    if isinstance(outcome, Coroutine):
        if runner is not None:
            runner.run(outcome)
        else:
            import asyncio

            asyncio.run(outcome)


def serve(link: socket.socket, page: mmap.mmap, handler: LoadedHandler, runner: asyncio.Runner | None) -> None:
    """Answer calls until the front says stop or goes away.

    Args:
        link: The socket to the front.
        page: Memory shared with the front.
        handler: What to call.
        runner: The event loop of an async handler.
    """
    if runner is not None:
        from skerry.runtime.tasks import serve_tasks

        with runner:
            runner.run(serve_tasks(link, page, handler))
        return
    Interruption(memoryview(page).cast("I")).install()
    make_loop(link, page, handler).serve()
    if handler.unload is not None:
        _run(handler.unload, None)


def make_loop(link: socket.socket, page: mmap.mmap, handler: LoadedHandler) -> CallLoop | GroupLoop | StreamLoop:
    """Return the loop that answers the calls of a plain handler.

    Args:
        link: The socket to the front; blocking.
        page: Memory shared with the front.
        handler: What to call.
    """
    if handler.signature.takes_items:
        from skerry.runtime.grouping import GroupLoop

        return GroupLoop(link, page, handler)
    if handler.signature.streams:
        from skerry.runtime.streaming import StreamLoop

        return StreamLoop(link, page, handler)
    return CallLoop(link, page, handler)


def _leave(link: socket.socket, last_words: bytes, *, code: int) -> NoReturn:
    """End the process without the exit handlers that it inherited from the zygote."""
    if last_words:
        link.sendall(last_words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
