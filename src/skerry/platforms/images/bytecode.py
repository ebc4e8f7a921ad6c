"""Bytecode for an image whose root cannot be written to: compiled once here rather than at every start there.

The files are of the kind that Python takes without looking at the source (PEP 552), so that no time stamp is in them.
Each is compiled in a process of its own, forked from one that has compiled nothing, and without random hashes: what the
marshal format writes depends on what else has been interned.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from skerry.errors import EnvironmentBuildError

# Runs in a bare interpreter: argv is the folder, what it is called in the image, and the kind.
_SCRIPT = """
import importlib.util, os, py_compile, sys
root, called, kind = sys.argv[1:]
limit, children = os.cpu_count() or 1, 0
for where, folders, files in sorted(os.walk(root)):
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        path = os.path.join(where, name)
        if children == limit:
            os.wait()
            children -= 1
        if os.fork() == 0:
            try:
                shown = called + path[len(root):]
                py_compile.compile(path, importlib.util.cache_from_source(path), shown, doraise=True,
                                   invalidation_mode=py_compile.PycInvalidationMode[kind])
            except (py_compile.PyCompileError, ValueError, RecursionError):
                pass  # templates and tests for other versions: importing them says what is wrong
            finally:
                os._exit(0)
        children += 1
while children:
    os.wait()
    children -= 1
"""


def compile_folder(folder: Path, called: str, *, is_checked: bool = False) -> None:
    """Write the bytecode of all sources below a folder beside them.

    Args:
        folder: Where they are; it holds no bytecode yet.
        called: Its absolute path in the image, which tracebacks show.
        is_checked: Whether Python shall compare the bytecode with the source, which may be another one there.

    Raises:
        EnvironmentBuildError: the interpreter failed.
    """
    kind = "CHECKED_HASH" if is_checked else "UNCHECKED_HASH"
    finished = subprocess.run(
        [sys.executable, "-s", "-P", "-S", "-W", "ignore", "-c", _SCRIPT, str(folder), called, kind],
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise EnvironmentBuildError(f"the bytecode of {called} cannot be compiled:\n{finished.stderr}")
