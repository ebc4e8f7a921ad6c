"""Import an app and say what it is, in a process of its own.

Run as ``python -m skerry.runtime.describing_process``: a target as JSON comes in by standard input; a description, or
the problem that kept it from being made, goes out by standard output. What the app prints goes to standard error.
"""

from __future__ import annotations

import os
import sys

import orjson

from skerry.errors import SkerryError
from skerry.runtime.inspection import describe
from skerry.runtime.target import Target, load_app


def main() -> int:
    """Read a target, write what its app is, and return the exit code: 1 when there is a problem instead."""
    target = Target(**orjson.loads(sys.stdin.buffer.read()))
    # An app may print when it is imported; what is written here has to be JSON and nothing else.
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        said, code = describe(load_app(target)), 0
    except SkerryError as error:
        said, code = error.to_problem(), 1
    with os.fdopen(answers, "wb") as stream:
        stream.write(orjson.dumps(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
