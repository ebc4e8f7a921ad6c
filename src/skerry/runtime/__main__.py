"""``python -m skerry.runtime module:app``: serve an app as a container would."""

from __future__ import annotations

import argparse
import os
import sys

from skerry.runtime.confinement import become_subreaper
from skerry.runtime.zygote_process import ZygoteProcess, known_imports, launch


def main() -> int:
    """Run the bare runtime; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skerry.runtime",
        description="Serve an app on PORT under Knative's runtime contract.",
        epilog="example: PORT=8080 python -m skerry.runtime app:app --function classify",
    )
    parser.add_argument("target", help="module:app, or FILE.py:app; the app's name may be left out")
    parser.add_argument("--function", help="serve this function alone, at / as well")
    parser.add_argument("--workers", type=int, default=1, help="workers for each function")
    parser.add_argument("--host", help="address to listen on")
    arguments = parser.parse_args()
    become_subreaper()  # before the zygote can fork anything
    # It imports the app's libraries while this process imports its own, and is the longer of the two.
    zygote = launch(sys.executable, os.environ, known_imports(os.environ))
    return _serve(arguments, zygote)


def _serve(arguments: argparse.Namespace, zygote: ZygoteProcess) -> int:
    import logging
    from dataclasses import replace

    import uvloop

    from skerry.errors import SkerryError, exit_code
    from skerry.runtime.serving import Contract, parse_target, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        contract = Contract.read(os.environ)
    except ValueError:
        sys.stderr.write(f"error: PORT = {os.environ['PORT']!r}: must be a port number\n")
        return 2
    if arguments.host:
        contract = replace(contract, host=arguments.host)
    target = parse_target(arguments.target)
    try:
        workers = max(1, arguments.workers)
        uvloop.run(serve(target, contract, function=arguments.function, workers=workers, zygote=zygote))
    except SkerryError as error:
        sys.stderr.write(f"error: {error.message}\n{error.details.get('traceback', '')}")
        return exit_code(error)
    except OSError as error:
        sys.stderr.write(f"error: cannot listen on {contract.host}:{contract.port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
