"""The acting process' side of the keeper."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from skerry.errors import PlatformError

ANSWER_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0
LOG_FILE = "keeper.log"


class KeeperHandle:
    """Starts the keeper of a folder and makes sure that it knows what is in force.

    Args:
        folder: Where the journal is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None before it was needed."""
        return self._process.pid if self._process is not None else None

    def arm(self) -> None:
        """Return when the keeper has read the journal as it is now; it is started where it does not run.

        Raises:
            PlatformError: it does not answer: then nothing must be done to the network.
        """
        for _ in range(2):
            try:
                connection = self._connected()
            except OSError as error:
                raise PlatformError(
                    f"the process that withdraws what nobody confirms cannot be started: {error}; so nothing was done "
                    "to the network"
                ) from error
            with suppress(OSError):
                connection.sendall(b"look\n")
                if connection.recv(4096):
                    return
            self._forget()
        raise PlatformError(
            "the process that withdraws what nobody confirms does not answer, so nothing was done to the network; "
            f"see {self._folder / LOG_FILE}"
        )

    def close(self, *, wait: bool) -> None:
        """Let go of the keeper, which ends when nothing is in force any more.

        Args:
            wait: Whether that is now.
        """
        if self._socket is not None:
            self._socket.close()
        if wait and self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_TIMEOUT_S)
        self._forget()

    def _connected(self) -> socket.socket:
        if self._socket is not None and self._process is not None and self._process.poll() is None:
            return self._socket
        self._forget()
        ours, its = socket.socketpair()
        with ExitStack() as opened:
            closing = opened.enter_context(ExitStack())
            closing.callback(ours.close)
            opened.enter_context(its)
            log = opened.enter_context((self._folder / LOG_FILE).open("ab"))
            # A session of its own: what ends the acting process with its whole group leaves the keeper.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "skerry.network.actions.keeper_process", str(self._folder.absolute())],
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
            )
            closing.pop_all()  # it has started
        ours.settimeout(ANSWER_TIMEOUT_S)
        self._socket = ours
        return ours

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            if self._process.poll() is None:
                # A Popen that is dropped while its process runs warns of a leak; here that is what is wanted.
                self._process.returncode = 0
            self._process = None
