"""``skerry engine``: start, stop and look at the engine in the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, Group, connect, home_option, json_option
from skerry.cli.port import require_free_port
from skerry.cli.units import moment
from skerry.platforms.home import home_words

if TYPE_CHECKING:
    from skerry.platforms.engine.process import EngineProcess

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.group(cls=Group, example="skerry engine start --port 8080")
def engine() -> None:
    """Start, stop or look at the background engine."""


@engine.command(cls=Command, example="skerry engine start --port 8080\nskerry engine start --listen 0.0.0.0:8443")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 for any.")
@click.option("--listen", metavar="HOST:PORT", help="Answer to other machines there, over TLS and with the token.")
@click.option("--certificate", type=FILE, help="Certificate to show there (PEM); one of its own by default.")
@click.option("--key", type=FILE, help="The certificate's key (PEM).")
@home_option
@json_option
@click.pass_obj
def start(
    console: Console,
    host: str,
    port: int,
    listen: str | None,
    certificate: Path | None,
    key: Path | None,
    home: Path,
) -> None:
    """Start an engine in the background; the apps that were deployed on it are served again."""
    public = _public_arguments(listen, certificate, key)
    started = start_background(home, host, port, public)
    # Asked of the engine itself: a port that it chose, and a certificate that it made, are known to it alone.
    shown = connect(home).engine()["public"]
    if console.as_json:
        console.json({"address": started.address, "public": shown, "pid": started.pid, "home": str(home)})
        return
    console.data(started.address)
    if host not in LOOPBACK:
        console.message(
            f"every call from another machine needs the token (skerry sites token{home_words(home)}), and can be read "
            "on the way: --listen HOST:PORT answers over TLS"
        )
    if shown is not None:
        console.data(shown["address"])
        console.message(
            f"other machines need its certificate, {shown['certificate']}\n"
            f"(SHA-256 {shown['fingerprint']}),\nand its token: skerry sites token{home_words(home)}"
        )


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
    """Show the engine's address, process, workers, memory and log; exit code 1 when none runs."""
    from skerry.platforms.home import engine_log

    found = connect(home, patience_s=0).engine()
    log = engine_log(Path(found["home"]))
    found["log"] = str(log) if log.exists() else None  # one in the foreground writes to its terminal
    if console.as_json:
        console.json(found)
        return
    memory = ", ".join(f"{part} {int(size) / 2**20:.0f} MiB" for part, size in found["memory_bytes"].items())
    for key, value in (
        ("address", found["address"]),
        *(() if found["public"] is None else (("public", found["public"]["address"]),)),
        ("home", found["home"]),
        ("version", found["version"]),
        ("process", found["pid"]),
        ("started", moment(float(found["started_at"]))),
        ("workers", found["workers"]),
        ("memory", memory),
        *(() if found["log"] is None else (("log", found["log"]),)),
    ):
        console.data(f"{key + ':':<10}{value}")


def _public_arguments(listen: str | None, certificate: Path | None, key: Path | None) -> tuple[str, ...]:
    from skerry.errors import ConfigError
    from skerry.platforms.engine.process import public_arguments
    from skerry.spec import parse_endpoint

    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key belong together; give both, or neither for the engine's own")
    if listen is None:
        if certificate is not None:
            raise ConfigError("--certificate is shown to other machines; say where they call with --listen HOST:PORT")
        return ()
    parse_endpoint(listen)
    return public_arguments(listen, certificate=certificate, key=key)


def start_background(home: Path, host: str, port: int, public: Sequence[str] = ()) -> EngineProcess:
    """Start an engine that outlives this command, and wait until it is ready.

    Args:
        home: Its folder.
        host: Address to listen on.
        port: Its port.
        public: Further arguments of the engine: see `public_arguments`.

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
        started = start_engine(home, host=host, port=port, public=public)
        started.release()
        return started
    raise EngineLockedError(
        f"an engine runs on {home} already, at {running['address']} (process {running['pid']})",
        hint=f"use it, stop it with `skerry engine stop{home_words(home)}`, or choose another folder with --home",
    )
