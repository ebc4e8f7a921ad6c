"""``python -m skerry.engine``: run an embedded engine in the foreground."""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from pathlib import Path

import uvloop

from skerry.engine.certificate import Certificate
from skerry.engine.engine import Listen, PublicListen, run_engine
from skerry.engine.home import Home
from skerry.errors import ConfigError, SkerryError, exit_code
from skerry.runtime.collector import calm_collector


def main() -> int:
    """Run the engine; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skerry.engine",
        description="Run an embedded engine on this machine, in the foreground.",
        epilog="example: python -m skerry.engine --home ~/.skerry --port 8080",
    )
    parser.add_argument("--home", type=Path, help="its folder (default: $SKERRY_HOME or ~/.skerry)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for any")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="answer to other machines there, over TLS, with the token"
    )
    parser.add_argument("--certificate", type=Path, help="PEM file to show there (default: one of its own)")
    parser.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    parser.add_argument("--serve", metavar="TARGET", help="an app to deploy at once: FILE[:app] or module[:app]")
    parser.add_argument("--verbose", action="store_true", help="log every event to stderr")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        home = Home.default() if arguments.home is None else Home(arguments.home)
        listen = Listen(host=arguments.host, port=arguments.port)
        public = _public_listen(arguments)
        uvloop.run(run_engine(home, listen, public=public, target=arguments.serve, on_ready=_say_ready))
    except SkerryError as error:
        sys.stderr.write(f"error: {error.message}\n{error.details.get('traceback', '')}")
        return exit_code(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            sys.stderr.write(f"error: the engine's folder cannot be written: {error}; make room on its disk\n")
            return 1
        places = f"{arguments.host}:{arguments.port}" + (f" or {arguments.listen}" if arguments.listen else "")
        sys.stderr.write(f"error: cannot listen on {places}: {error}\n")
        return 1
    return 0


def _public_listen(arguments: argparse.Namespace) -> PublicListen | None:
    if (arguments.certificate is None) != (arguments.key is None):
        raise ConfigError("--certificate and --key belong together; give both, or neither for the engine's own")
    if arguments.listen is None:
        if arguments.certificate is not None:
            raise ConfigError("--certificate is shown to other machines; say where they call with --listen HOST:PORT")
        return None
    given = arguments.certificate is not None
    certificate = Certificate(certificate=arguments.certificate, key=arguments.key) if given else None
    return PublicListen(listen=Listen.parse(arguments.listen), certificate=certificate)


def _say_ready(address: str) -> None:
    calm_collector()
    sys.stdout.write(f"skerry engine: {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
