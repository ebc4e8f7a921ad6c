"""``python -m skerry.runtime module:app``: serve an app as a container would."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from skerry.runtime.confinement import become_subreaper
from skerry.runtime.zygote_process import ZygoteProcess, fork, known_imports


class Arguments(NamedTuple):
    """The command line."""

    target: str
    function: str | None = None
    workers: int = 1
    host: str | None = None


def main() -> int:
    """Run the bare runtime; returns the exit code."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.append(received))  # process 1 would not notice them at all
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder: the app's modules are for its workers
    gc.disable()  # of all that is imported nothing is garbage
    _import_what_both_need()
    become_subreaper()  # before the zygote can fork anything
    # It imports the app's libraries while this process imports its own, and is the longer of the two.
    zygote = fork(known_imports(os.environ))
    return _serve(_read_plain(sys.argv[1:]) or _parse(), zygote, signals)


def _import_what_both_need() -> None:
    """Import what the front and the workers have in common, once: it is in the memory that is forked."""
    import orjson  # noqa: F401  # loaded for what follows it

    import skerry.runtime.frames
    import skerry.runtime.target
    import skerry.spec.function  # noqa: F401  # loaded for what follows it


def _read_plain(words: Sequence[str]) -> Arguments | None:
    """Return the arguments as images and manifests write them; none for all others, which argparse reads."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        key, value = (word[2:], next(rest, "-")) if word in ("--function", "--host") else ("target", word)
        if value.startswith("-") or key in found:
            return None
        found[key] = value
    if "target" not in found:
        return None
    return Arguments(found["target"], function=found.get("function"), host=found.get("host"))


def _parse() -> Arguments:
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m skerry.runtime",
        description="Serve an app on PORT under Knative's runtime contract.",
        epilog="example: PORT=8080 python -m skerry.runtime app:app --function classify",
    )
    parser.add_argument("target", help="module:app, or FILE.py:app; the app's name may be left out")
    parser.add_argument("--function", help="serve this function alone, at / as well")
    parser.add_argument("--workers", type=int, default=1, help="workers for each function")
    parser.add_argument("--host", help="address to listen on")
    return Arguments(**vars(parser.parse_args()))


def _serve(arguments: Arguments, zygote: ZygoteProcess, signals: list[int]) -> int:
    from dataclasses import replace

    from skerry.errors import SkerryError, exit_code
    from skerry.runtime.beginning import begin
    from skerry.runtime.contract import Contract, parse_target

    try:
        contract = Contract.read(os.environ)
    except ValueError:
        sys.stderr.write(f"error: PORT = {os.environ['PORT']!r}: must be a port number\n")
        return 2
    if arguments.host:
        contract = replace(contract, host=arguments.host)
    function = arguments.function
    try:
        target = parse_target(arguments.target)
        begun = begin(target, contract, zygote, function=function, signals=signals)
        import logging

        import uvloop

        from skerry.runtime.serving import serve

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        gc.enable()
        gc.freeze()
        uvloop.run(serve(begun, function=function, workers=max(1, arguments.workers)))
    except SkerryError as error:
        sys.stderr.write(f"error: {error.message}\n{error.details.get('traceback', '')}")
        return exit_code(error)
    except OSError as error:
        sys.stderr.write(f"error: cannot listen on {contract.host}:{contract.port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
