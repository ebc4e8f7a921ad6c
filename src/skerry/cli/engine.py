"""``skerry engine``: start, stop and look at the engine in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, Group, connect, home_option, json_option
from skerry.cli.port import require_free_port
from skerry.cli.units import moment

if TYPE_CHECKING:
    from skerry.platforms.engine.process import EngineProcess


@click.group(cls=Group, example="skerry engine start --port 8080")
def engine() -> None:
    """Start, stop or look at the background engine."""


@engine.command(cls=Command, example="skerry engine start --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 for any.")
@home_option
@json_option
@click.pass_obj
def start(console: Console, host: str, port: int, home: Path) -> None:
    """Start an engine in the background; the apps that were deployed on it are served again."""
    started = start_background(home, host, port)
    if console.as_json:
        console.json({"address": started.address, "pid": started.pid, "home": str(home)})
    else:
        console.data(started.address)


@engine.command(cls=Command, example="skerry engine stop")
@home_option
@json_option
@click.pass_obj
def stop(console: Console, home: Path) -> None:
    """Stop the engine; what was deployed on it stays deployed."""
    from skerry.platforms.engine.process import stop_engine

    pid = stop_engine(home)
    if console.as_json:
        console.json({"stopped": pid})
    else:
        console.message(f"stopped the engine (process {pid})")


@engine.command(cls=Command, example="skerry engine status --json")
@home_option
@json_option
@click.pass_obj
def status(console: Console, home: Path) -> None:
    """Show the engine's address, process, workers and memory; exit code 1 when none runs."""
    found = connect(home, patience_s=0).engine()
    if console.as_json:
        console.json(found)
        return
    memory = ", ".join(f"{part} {int(size) / 2**20:.0f} MiB" for part, size in found["memory_bytes"].items())
    for key, value in (
        ("address", found["address"]),
        ("home", found["home"]),
        ("version", found["version"]),
        ("process", found["pid"]),
        ("started", moment(float(found["started_at"]))),
        ("workers", found["workers"]),
        ("memory", memory),
    ):
        console.data(f"{key + ':':<10}{value}")


def start_background(home: Path, host: str, port: int) -> EngineProcess:
    """Start an engine that outlives this command, and wait until it is ready.

    Raises:
        EngineLockedError: another engine owns the folder.
        PlatformError: the port is in use, or the engine did not start.
    """
    from skerry.errors import EngineLockedError, SkerryError
    from skerry.platforms.engine.process import start_engine

    try:
        running = connect(home, patience_s=0).engine()
    except SkerryError:
        require_free_port(host, port)
        started = start_engine(home, host=host, port=port)
        started.release()
        return started
    raise EngineLockedError(
        f"an engine runs on {home} already, at {running['address']} (process {running['pid']})",
        hint="use it, stop it with `skerry engine stop`, or choose another folder with --home",
    )
