"""The child process of an inspection: parses a model, judges it, opens it and runs it once, within limits.

Run as ``python -m skerry.serve.checking.trial REQUEST`` where REQUEST is JSON: ``model``, ``sample`` (a path or null),
``memory_bytes``, ``most_memory_bytes``, ``size_bytes``, ``cpu_s``. Writes one JSON document:
``{"facts": ...}`` or ``{"refused": why}``.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from skerry.errors import ModelRejectedError, SkerryError
from skerry.serve.checking.facts import ModelFacts
from skerry.serve.checking.graph import check_model, parse_model
from skerry.serve.checking.interface import has_shape, read_inputs, read_kind, read_outputs
from skerry.serve.checking.support import name_domain
from skerry.serve.sample import TEXT, decode_sample
from skerry.store.models import TensorSpec

MOST_OUTPUT_BYTES = 16 * 2**20
MEMORY_PER_BYTE = 4  # of a model's files: parsed, opened, optimised, packed
_OWN_ADDRESSES_BYTES = 8 * 2**30
_MOST_WORDS = 600
UNSHAPED = (-1,)
# What ONNX Runtime says when it is refused memory.
_NO_MEMORY = ("bad_alloc", "Failed to allocate memory", "bad allocation", "out of memory", "overflow")


def main(arguments: list[str]) -> int:
    """Inspect one model and say what was found."""
    request = json.loads(arguments[0])
    # Before anything of the model is read, and before libraries that are large are loaded.
    limit(request["memory_bytes"], request["most_memory_bytes"], request["cpu_s"])
    try:
        sample = None if request["sample"] is None else decode_sample(Path(request["sample"]).read_bytes())
        facts = read_facts(Path(request["model"]))
        _make_room(facts, Path(request["model"]), request["size_bytes"])
        answer: dict[str, Any] = {"facts": try_model(Path(request["model"]), facts, sample).to_json()}
    except SkerryError as error:
        answer = {"refused": error.message}
    except MemoryError:
        answer = {"refused": _out_of_memory("opening it")}
    except RecursionError:
        answer = {"refused": "its graph is nested too deeply"}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


def limit(memory_bytes: int, most_memory_bytes: int, cpu_s: int) -> None:
    """Put limits on this process: memory, processor time, size of files; no core dumps.

    Args:
        memory_bytes: What it may write to now.
        most_memory_bytes: What it may raise that limit to.
        cpu_s: Seconds of processor time.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT_BYTES, MOST_OUTPUT_BYTES))
    # The signal's own action ends the process; the parent reads which it was.
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    addresses_bytes = most_memory_bytes + _OWN_ADDRESSES_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (addresses_bytes, addresses_bytes))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, max(memory_bytes, most_memory_bytes)))


def _make_room(facts: ModelFacts, path: Path, size_bytes: int) -> None:
    """Raise the limit of memory by what the model's external files need; refuse the model when it is too large."""
    beside_bytes = sum((path.parent / name).stat().st_size for name in facts.external_files)
    total_bytes = beside_bytes + path.stat().st_size
    if total_bytes > size_bytes:
        raise ModelRejectedError(
            f"the model has {total_bytes:,} bytes with its external data, and models are refused above {size_bytes:,}; "
            "make it smaller (float16, int8), or raise the limit (size_bytes)"
        )
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (min(hard, soft + MEMORY_PER_BYTE * beside_bytes), hard))


def read_facts(path: Path) -> ModelFacts:
    """Parse and judge a model without running it.

    Raises:
        ModelRejectedError: it is refused, with the reason.
    """
    content = path.read_bytes()
    model = parse_model(content)
    del content
    try:
        external = check_model(model, path.parent)
        kind, labels = read_kind(model)
        inputs, outputs = read_inputs(model), read_outputs(model)
    except UnicodeError as error:
        raise ModelRejectedError("the file is broken: a name in it is no text; export it again") from error
    if not inputs:
        raise ModelRejectedError("the model takes no input, so that every answer would be the same")
    shaped = {value.name for value in model.graph.output if has_shape(value)}
    return ModelFacts(
        inputs=inputs,
        # An unknown number of dimensions is told from none by what the model gives when it is run.
        outputs=tuple(tensor if tensor.name in shaped else replace(tensor, shape=UNSHAPED) for tensor in outputs),
        opsets={name_domain(imported.domain): imported.version for imported in model.opset_import},
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        kind=kind,
        labels=labels,
        external_files=external,
    )


def try_model(path: Path, facts: ModelFacts, sample: Mapping[str, Any] | None) -> ModelFacts:
    """Open a model with ONNX Runtime, run it once, and return the facts with the shapes that were not declared.

    Args:
        path: The ONNX file.
        facts: What `read_facts` found.
        sample: Arrays by input, with which the model must work; none to try it with zeros, with which it may refuse to
            work, but must not exhaust memory or time.
        memory_bytes: The limit that this process is under, for messages.

    Raises:
        ModelRejectedError: it is refused, with the reason.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors are not public
        raise ModelRejectedError(_explain("opening it", error)) from error
    feeds = sample if sample is not None else {tensor.name: _zeros(tensor) for tensor in facts.inputs}
    try:
        results = session.run([tensor.name for tensor in facts.outputs], feeds)
    except Exception as error:
        words = _explain("running it once" if sample is None else "running it on the sample", error)
        if sample is not None or _is_memory(error):
            raise ModelRejectedError(words) from error
        results = []
    ranks = dict(zip((tensor.name for tensor in facts.outputs), results, strict=False))
    return replace(facts, outputs=tuple(_with_shape(tensor, ranks.get(tensor.name)) for tensor in facts.outputs))


def _with_shape(tensor: TensorSpec, result: Any) -> TensorSpec:
    if tensor.shape != UNSHAPED:
        return tensor
    return replace(tensor, shape=(None,) * (1 if result is None else getattr(result, "ndim", 1)))


def _zeros(tensor: TensorSpec) -> Any:
    import numpy as np

    shape = [1 if length is None else length for length in tensor.shape]
    if tensor.dtype == TEXT:
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=tensor.dtype)


def _explain(step: str, error: Exception) -> str:
    if _is_memory(error):
        return _out_of_memory(step)
    return f"onnxruntime refuses the model when {step}: {' '.join(str(error).split())[:_MOST_WORDS]}"


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _out_of_memory(step: str) -> str:
    memory_bytes, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return (
        f"{step} needs more than {memory_bytes // 2**20:,} MiB, out of proportion to its file: a bomb, or made for "
        "larger machines (the limit can be raised: memory_bytes)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
