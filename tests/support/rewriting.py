"""Test files with their assertions rewritten, each by one process of a run.

In a fresh clone pytest rewrites and compiles each test file when it is first imported, and keeps the result. Processes
that begin together find nothing kept, so that each would do it for all files, with seven seconds of a processor.
"""

import contextlib
import sys
from pathlib import Path

from _pytest.assertion import rewrite


def rewrite_share(config, tests):
    """Rewrite what falls to this process of the files that nobody has rewritten; the others do the same with theirs.

    Args:
        config: Pytest's, of one of the processes of a run.
        tests: The folder of the tests.
    """
    if sys.dont_write_bytecode:
        return
    number, count = int(config.workerinput["workerid"].removeprefix("gw")), config.workerinput["workercount"]
    # How pytest does it is its own affair: another version, or a file that is not Python, is left to it.
    with contextlib.suppress(AttributeError, KeyError, SyntaxError):
        state = config.stash[rewrite.assertstate_key]
        for path in sorted(Path(tests).rglob("test_*.py"))[number::count]:
            kept = rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)
            if rewrite._read_pyc(path, kept, state.trace) is None and rewrite.try_makedirs(kept.parent):
                source, code = rewrite._rewrite_test(path, config)
                rewrite._write_pyc(state, code, source, kept)
