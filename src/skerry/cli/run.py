"""``skerry run``: an app on an engine of its own, in the foreground."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.app.import_hints import explaining
from skerry.app.target import Target
from skerry.cli.console import Console
from skerry.cli.options import Command, complete_target, json_option
from skerry.cli.port import require_free_port
from skerry.cli.project import check_project, find_target
from skerry.errors import PlatformError, SkerryError, StartError
from skerry.platforms.home import RUN_PREFIX
from skerry.spec import SET_VARIABLE

if TYPE_CHECKING:
    from skerry.platforms.engine.process import EngineProcess

POLL_S = 0.25
# Changes are looked for every second poll, logs in every one.
POLLS_PER_LOOK = 2
# What a terminated process exits with, as shells know it.
TERMINATED = 143

Stamps = dict[Path, tuple[int, int]]


@click.command(cls=Command, example="skerry run app.py\nskerry run app.py --port 0 --set train.memory=1GiB")
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 for any.")
@click.option("--set", "settings", multiple=True, metavar="F.O=V", help="Set option O of function F to V; repeatable.")
@click.option("--reload/--no-reload", default=True, show_default=True, help="Deploy again when the source changes.")
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of the engine.  [default: a temporary one]"
)
@json_option
@click.pass_obj
def run(
    console: Console,
    target: str | None,
    host: str,
    port: int,
    settings: tuple[str, ...],
    reload: bool,
    home: Path | None,
) -> None:
    """Serve every function of an app until Ctrl-C.

    TARGET is FILE[:APP] or package.module[:APP]; without it, the one that skerry.toml names. The address is printed on
    standard output when the functions answer, what they print goes to standard error.
    """
    from skerry.platforms.engine.process import start_engine

    found = find_target(target)
    require_free_port(host, port)
    signal.signal(signal.SIGTERM, _end)
    folder = home or Path(tempfile.mkdtemp(prefix=RUN_PREFIX))
    try:
        engine = start_engine(folder, host=host, port=port, leashed=True, temporary=home is None)
        try:
            Session(console, engine, found, settings).serve(reload=reload)
        finally:
            engine.stop()
    finally:
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)


class Session:
    """One run: deploys, follows the logs, deploys again.

    Args:
        console: Where addresses and logs go.
        engine: The engine.
        target: The app.
        settings: ``FUNCTION.OPTION=VALUE`` of the command line.
    """

    def __init__(self, console: Console, engine: EngineProcess, target: Target, settings: tuple[str, ...]) -> None:
        self._console = console
        self._engine = engine
        self._target = target
        self._settings = settings
        self._log_offsets: dict[str, int] = {}
        self._is_broken = False  # what the files hold now could not be deployed

    def serve(self, *, reload: bool) -> None:
        """Deploy the app, say where it answers, and go on until something ends it.

        Raises:
            ConfigError: the app cannot be deployed.
            PlatformError: the engine has ended.
        """
        stamps = _stamps(self._target)
        self._announce(self._deploy())
        for polls in range(1, 2**62):
            time.sleep(POLL_S)
            if self._engine.exit_code is not None:
                raise PlatformError(f"the engine ended with exit code {self._engine.exit_code}")
            self._follow_logs()
            if reload and polls % POLLS_PER_LOOK == 0 and stamps != (now := _stamps(self._target)):
                stamps = now
                self._redeploy()

    def _deploy(self) -> dict[str, Any]:
        check_project(self._target)
        try:
            with explaining(self._target):
                deployed = self._engine.platform.deploy(
                    str(self._target), flags=self._settings, environment=os.environ.get(SET_VARIABLE, "")
                )
        except StartError as error:
            # The log has the reason, and goes with the engine: nobody could read it afterwards.
            self._follow_log(str(error.details.get("function", "")))
            raise
        names = [str(function["name"]) for function in deployed["functions"]]
        self._log_offsets = {name: self._log_offsets.get(name, 0) for name in names}
        return deployed

    def _announce(self, deployed: Mapping[str, Any]) -> None:
        if self._console.as_json:
            self._console.json({"address": self._engine.address, **deployed})
            return
        self._console.data(self._engine.address)
        width = max(len(str(function["name"])) for function in deployed["functions"])
        for function in deployed["functions"]:
            self._console.data(f"{function['name']:<{width}}  {function['address']}")

    def _redeploy(self) -> None:
        try:
            deployed = self._deploy()
        except SkerryError as error:
            self._console.error(error)
            self._console.message("the old revision keeps serving")
            self._is_broken = True
            return
        was_broken, self._is_broken = self._is_broken, False
        if was_broken and not deployed["changed"]:
            self._console.message("mended: the source is again what the old revision serves")
        if deployed["changed"]:
            self._console.message(f"reloaded: {', '.join(str(f['name']) for f in deployed['functions'])}")

    def _follow_logs(self) -> None:
        for name in self._log_offsets:
            self._follow_log(name)

    def _follow_log(self, name: str) -> None:
        if not name:
            return
        text, self._log_offsets[name] = self._engine.platform.logs(name, offset=self._log_offsets.get(name, 0))
        for line in text.splitlines():
            self._console.message(f"{name} | {line}")


def _stamps(target: Target) -> Stamps:
    stamps: Stamps = {}
    for path in target.watched_files():
        try:
            status = path.stat()
        except FileNotFoundError:
            # An editor that replaces a file removes it for a moment.
            continue
        stamps[path] = (status.st_mtime_ns, status.st_size)
    return stamps


def _end(number: int, frame: object) -> None:
    raise SystemExit(TERMINATED)
