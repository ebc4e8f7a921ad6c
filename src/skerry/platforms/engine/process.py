"""The engine's process: started in the background or as a child, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from skerry.errors import EngineLockedError, PlatformError, TransportError, UnavailableError
from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.home import default_home, engine_log, is_alive
from skerry.store.models import MODELS_VARIABLE

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
# What the engine exits with when another one owns the folder, or its arguments are wrong.
REFUSED = 2


class EngineProcess:
    """An engine that this process has started.

    Args:
        process: Its process.
        platform: Its client.
        address: URL of its data plane.
    """

    def __init__(self, process: subprocess.Popen[bytes], platform: EnginePlatform, address: str) -> None:
        self._process = process
        self.platform = platform
        self.address = address

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code of the engine, or None while it runs."""
        return self._process.poll()

    def release(self) -> None:
        """Let the engine outlive this object: it is stopped by :func:`stop_engine` from now on."""
        # A Popen that is dropped while its process runs warns of a leak; here that is what is wanted.
        self._process.returncode = 0
        self.platform.close()

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the engine and wait until it is gone: politely first, by force when the time is over."""
        end_process(self._process, timeout_s=timeout_s)
        self.platform.close()


def start_engine(
    home: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    public: Sequence[str] = (),
    prefix: Sequence[str] = (),
    leashed: bool = False,
    temporary: bool = False,
    timeout_s: float = START_TIMEOUT_S,
) -> EngineProcess:
    """Start an engine and wait until it is ready; what it prints goes to ``engine.log`` in its folder.

    Args:
        home: The folder that it owns.
        host: Address to listen on.
        port: TCP port to listen on; 0 picks a free one.
        public: Further arguments of the engine that say where other machines reach it: see `public_arguments`.
        prefix: Words before its command line, of a program that becomes what follows them, such as ``nsenter``.
        leashed: Whether it ends with this process; one that is not keeps running in the background.
        temporary: Whether a leashed engine removes its folder when it ends.
        timeout_s: Longest wait for it to be ready, in seconds.

    Raises:
        EngineLockedError: another engine owns the folder.
        PlatformError: it ended, or was not ready in time; the message holds the end of its log.
    """
    home = home.absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid == os.geteuid() and not any(home.iterdir()):
        home.chmod(0o700)  # with the log in it, the engine would not take it for one that it may close to others
    log = engine_log(home)
    starter = ["skerry.engine"]
    if leashed:
        starter = ["skerry.platforms.engine.leash", str(os.getpid()), str(home) if temporary else ""]
    arguments = ["--home", str(home), "--host", host, "--port", str(port), *public]
    command = [*prefix, sys.executable, "-m", *starter, *arguments]
    with log.open("ab") as output:
        began_at_bytes = output.tell()
        # A session of its own, so that Ctrl-C in the terminal reaches only its starter, which then stops it in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(temporary=temporary),
        )
    try:
        address = _wait_until_ready(process, home, log, began_at_bytes, timeout_s)
    except BaseException:
        end_process(process, timeout_s=STOP_TIMEOUT_S)
        raise
    return EngineProcess(process, EnginePlatform.of_home(home, expected=True), address)


def public_arguments(listen: str, *, certificate: Path | None = None, key: Path | None = None) -> tuple[str, ...]:
    """Return the engine's arguments that let other machines reach it, over TLS and with the token.

    Args:
        listen: ``HOST:PORT``; port 0 picks a free one.
        certificate: PEM file to show; none means one of the engine's own.
        key: PEM file of its key.
    """
    shown = () if certificate is None else ("--certificate", str(certificate.absolute()))
    return ("--listen", listen, *shown, *(() if key is None else ("--key", str(key.absolute()))))


def _environment(*, temporary: bool) -> dict[str, str]:
    """Return an engine's variables; one whose folder does not last has its models from where the user's are."""
    environment = dict(os.environ)
    if temporary and not environment.get(MODELS_VARIABLE):
        environment[MODELS_VARIABLE] = str((default_home() / "models").absolute())
    return environment


def end_process(process: subprocess.Popen[bytes], *, timeout_s: float) -> None:
    """End a child that leads its own session: SIGTERM, and SIGKILL for all of its session when the time is over."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except BaseException as error:
            # A second Ctrl-C means: now.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise


def stop_engine(home: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> int:
    """Stop the engine that owns a folder, whoever started it, and return the process id that it had.

    Raises:
        EngineNotRunningError: there is none.
        PlatformError: it did not end in time.
    """
    platform = EnginePlatform.of_home(home, patience_s=0)
    pid = int(platform.engine()["pid"])
    platform.stop()
    platform.close()
    ends_at = time.monotonic() + timeout_s
    while _is_alive(pid):
        if time.monotonic() > ends_at:
            raise PlatformError(f"the engine (process {pid}) has not ended within {timeout_s:g} s")
        time.sleep(POLL_S)
    return pid


def _wait_until_ready(
    process: subprocess.Popen[bytes], home: Path, log: Path, began_at_bytes: int, timeout_s: float
) -> str:
    platform = EnginePlatform.of_home(home, patience_s=0)
    ends_at = time.monotonic() + timeout_s
    try:
        while time.monotonic() < ends_at:
            code = process.poll()
            said = _read_from(log, began_at_bytes)
            if code is not None:
                kind = EngineLockedError if code == REFUSED and "owns" in said else PlatformError
                raise kind(f"the engine did not start (exit code {code}): {said or 'it said nothing'}")
            try:
                # Another engine may answer on this folder while ours is about to find that out.
                found = platform.engine()
                if found["pid"] == process.pid:
                    return str(found["address"])
            except (PlatformError, TransportError, UnavailableError):
                pass
            time.sleep(POLL_S)
    finally:
        platform.close()
    said = _read_from(log, began_at_bytes)
    raise PlatformError(f"the engine was not ready within {timeout_s:g} s: {said or f'it said nothing in {log}'}")


def _read_from(log: Path, offset_bytes: int) -> str:
    with log.open("rb") as file:
        file.seek(offset_bytes)
        return file.read()[-4000:].decode("utf-8", "replace").strip()


def _is_alive(pid: int) -> bool:
    try:
        # An ended child of this very process would look alive until it is collected.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    return is_alive(pid)
