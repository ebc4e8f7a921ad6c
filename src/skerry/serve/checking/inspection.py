"""The inspection of an ONNX file, as its caller sees it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import ModelRejectedError
from skerry.serve.checking.disguises import HEAD_BYTES, name_disguise
from skerry.serve.checking.facts import ModelFacts
from skerry.serve.checking.support import require_libraries
from skerry.serve.checking.trial import MEMORY_PER_BYTE, MOST_OUTPUT_BYTES

MODEL_FILE = "model.onnx"
DEFAULT_SIZE_BYTES = 2 * 2**30
_OWN_MEMORY_BYTES = 2**30  # libraries and what they need to work at all
_TAIL_BYTES = 2000
# What the child needs to start; credentials and the rest stay here.
_VARIABLES = ("PATH", "PYTHONHOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a model may take while it is inspected.

    Args:
        size_bytes: Largest sum of its files.
        memory_bytes: Most memory of the child process; by default 1 GiB and four times the size of the model's files.
        cpu_s: Most processor time of the child process, whole seconds.
        wall_s: Longest time that the inspection takes.
    """

    size_bytes: int = DEFAULT_SIZE_BYTES
    memory_bytes: int | None = None
    cpu_s: int = 120
    wall_s: float = 300.0


def inspect_onnx(
    path: Path, *, limits: Limits | None = None, sample: Path | None = None, called: str = ""
) -> ModelFacts:
    """Return what is true of an ONNX model, or refuse it.

    The file is opened and run once in a child process under limits; nothing of it runs in this one.

    Args:
        path: The .onnx file, or a folder with ``model.onnx`` (or one other .onnx file) and its external data.
        limits: What it may take.
        sample: A ``sample.json`` with which the model must work.
        called: What messages call the model; its path by default.

    Raises:
        ModelRejectedError: with the exact reason and a way out.

    Example:
        ``inspect_onnx(Path("digits.onnx")).inputs[0].shape``  # (None, 64)
    """
    require_libraries()
    limits = limits or Limits()
    file = find_model_file(path)
    try:
        size_bytes = _check_size(file, limits)
        with file.open("rb") as opened:
            disguise = name_disguise(opened.read(HEAD_BYTES))
        if disguise is not None:
            raise ModelRejectedError(f"the file is {disguise}")
        return _run_trial(file, sample, limits, size_bytes)
    except OSError as error:
        raise ModelRejectedError(f"{called or file}: cannot be read: {error.strerror}") from error
    except ModelRejectedError as error:
        raise ModelRejectedError(f"{called or file}: {error.message}") from error


def find_model_file(path: Path) -> Path:
    """Return the ONNX file that a path means.

    Raises:
        ModelRejectedError: there is none, or more than one.
    """
    if not path.is_dir():
        return path
    named = path / MODEL_FILE
    candidates = [named] if named.exists() else sorted(path.glob("*.onnx"))
    if len(candidates) != 1:
        found = "no .onnx file" if not candidates else f"{len(candidates)} .onnx files and none called {MODEL_FILE}"
        raise ModelRejectedError(f"{path}: the folder has {found}; name the file, or call it {MODEL_FILE}")
    return candidates[0]


def _check_size(file: Path, limits: Limits) -> int:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelRejectedError("not a plain file")
    if status.st_size > limits.size_bytes:
        raise ModelRejectedError(
            f"{status.st_size:,} bytes, and models are refused above {limits.size_bytes:,}; make it smaller "
            "(float16, int8), or raise the limit (size_bytes)"
        )
    return status.st_size


def _run_trial(file: Path, sample: Path | None, limits: Limits, size_bytes: int) -> ModelFacts:
    memory_bytes = limits.memory_bytes or _OWN_MEMORY_BYTES + MEMORY_PER_BYTE * size_bytes
    request = {
        "model": str(file.absolute()),
        "sample": None if sample is None else str(sample.absolute()),
        "memory_bytes": memory_bytes,
        "most_memory_bytes": limits.memory_bytes or _OWN_MEMORY_BYTES + MEMORY_PER_BYTE * limits.size_bytes,
        "size_bytes": limits.size_bytes,
        "cpu_s": limits.cpu_s,
    }
    command = [sys.executable, "-P", "-m", "skerry.serve.checking.trial", json.dumps(request)]
    # Files and not pipes: the child cannot fill more of them than its limit allows.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd="/",
                env=_environment(),
                timeout=limits.wall_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise ModelRejectedError(f"opening and running it once took over {limits.wall_s:g} s") from error
        output.seek(0)
        said = output.read(MOST_OUTPUT_BYTES)
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL_BYTES))
        tail = errors.read().decode(errors="replace").strip()
    if code != 0:
        raise ModelRejectedError(_name_death(code, tail, limits))
    return _read_answer(said)


def _read_answer(said: bytes) -> ModelFacts:
    try:
        answer = json.loads(said)
        if "refused" in answer:
            raise ModelRejectedError(str(answer["refused"]))
        return ModelFacts.from_json(answer["facts"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRejectedError(
            "its inspection ended without a sound answer; the file is not to be trusted"
        ) from error


def _name_death(code: int, tail: str, limits: Limits) -> str:
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        return (
            f"opening and running it once was ended after {limits.cpu_s} s of processor time, or by the system for "
            "want of memory: a bomb, or made for larger machines"
        )
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    last = tail.splitlines()[-1] if tail else ""
    return (
        f"onnxruntime died {how} when it opened the model within its limits"
        f"{': ' + last[:300] if last else ''}; the file is broken, or a bomb"
    )


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    # The child imports the same Skerry as this process, wherever that comes from.
    paths = [str(Path(__file__).parents[3]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    absolute = dict.fromkeys(os.path.abspath(path) for path in paths)
    return {**kept, "PYTHONPATH": os.pathsep.join(absolute), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
