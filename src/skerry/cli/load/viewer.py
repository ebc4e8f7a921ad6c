"""The live view in a process of its own: drawing takes milliseconds, in which the generator would send nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from skerry.testbed.load.progress import Progress


class Viewer:
    """Draws a run on the terminal of standard error, while its ``with`` block lasts.

    Args:
        target: What is asked.
        duration_s: How long the run takes.
        shown: Whether there is anything to be drawn on.
    """

    def __init__(self, target: str, duration_s: float, *, shown: bool) -> None:
        self.shown = shown
        self._arguments = [target, str(duration_s)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self.shown:
            command = [sys.executable, "-m", "skerry.cli.load.viewer", *self._arguments]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
            os.set_blocking(self._process.stdin.fileno(), False)  # type: ignore[union-attr]  # it was asked for
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()

    def show(self, progress: Progress) -> None:
        """Hand over what is to be drawn; a picture that the viewer has no time for is left out."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            os.write(self._process.stdin.fileno(), json.dumps(progress.to_json()).encode() + b"\n")
        except (BlockingIOError, BrokenPipeError):
            return


def main() -> int:
    """Draw what comes by standard input, one JSON object per line, until its end."""
    from rich.console import Console
    from rich.live import Live

    from skerry.cli.load.view import View

    # Ctrl-C is for the generator, which then says what it has; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    view = View(sys.argv[1], float(sys.argv[2]))
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        for line in sys.stdin:
            live.update(view.draw(json.loads(line)), refresh=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
