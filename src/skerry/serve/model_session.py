"""A model opened by ONNX Runtime: threads after the quota, memory that is given back, safe to fork.

With one thread the runtime makes no pool: everything runs on the caller's thread, and a process that has loaded a model
may be forked. Without the runtime's arena, what a run takes goes back to the system after it: on a small convolutional
network the arena kept 70 MiB after 256 images, at no gain in speed that could be measured.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError, InvalidPayloadError, ModelRejectedError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

THREADS_VARIABLE = "SKERRY_THREADS"
QUIET_VARIABLE = "ORT_DISABLE_TELEMETRY"
PROVIDERS = ("CPUExecutionProvider",)
ERRORS_ONLY = 3  # severity of what the runtime prints: warnings about a model's graph are not for whoever serves it
MAX_REASON = 400
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate", "out of memory")


def quota_threads() -> int:
    """Return the threads that this worker may use; 1 where nothing says."""
    text = os.environ.get(THREADS_VARIABLE, "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def silence_telemetry() -> None:
    """Keep ONNX Runtime from starting a thread, asking the network and writing into the home; before its import."""
    os.environ.setdefault(QUIET_VARIABLE, "1")


class ModelSession:
    """An ONNX model, ready to run.

    Args:
        path: The model's file; external data lie beside it.
        model: What messages call it, like ``digits@3``.
        threads: Threads that one run may use, from 1.

    Attributes:
        inputs: Names of the inputs, in the model's order.
        outputs: Names of the outputs, in the model's order.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        ModelRejectedError: it cannot open the file, or an input or output is no tensor.
    """

    def __init__(self, path: Path, *, model: str, threads: int) -> None:
        self._model = model
        self._session = _open(path, model, threads)
        self.inputs = tuple(port.name for port in self._session.get_inputs())
        self.outputs = tuple(port.name for port in self._session.get_outputs())
        for port in (*self._session.get_inputs(), *self._session.get_outputs()):
            if not port.type.startswith("tensor("):
                raise ModelRejectedError(
                    f"model {model}: {port.name!r} is a {port.type}, and only tensors can be sent: export it as one "
                    "(with skl2onnx: options={'zipmap': False})"
                )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Return the model's outputs by name.

        Args:
            inputs: Arrays of the model's element types; text as objects of ``str``. They may be read-only views.
            outputs: The outputs that are wanted, none for all.

        Raises:
            InvalidPayloadError: the model cannot run on them, such as on an index that is out of its range.
            MemoryError: there is not enough memory.
        """
        import numpy as np

        names = self.outputs if outputs is None else tuple(outputs)
        # A view of a body may begin at any byte, and kernels may rely on the alignment of their elements.
        feed = {name: np.require(array, requirements=["C", "A"]) for name, array in inputs.items()}
        try:
            values = self._session.run(list(names), feed)
        except Exception as error:
            raise _explain(error, self._model) from error
        return dict(zip(names, values, strict=True))


def _open(path: Path, model: str, threads: int) -> Any:
    silence_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f'model {model}: onnxruntime is not installed here: pip install "skerry[serve]", or name it in the app\'s '
            "requirements"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(PROVIDERS))
    except Exception as error:
        if _is_out_of_memory(error):
            raise MemoryError(f"model {model}: {_reason(error)}") from error
        raise ModelRejectedError(f"model {model}: ONNX Runtime cannot open {path.name}: {_reason(error)}") from error


def _explain(error: Exception, model: str) -> Exception:
    if _is_out_of_memory(error):
        return MemoryError(f"model {model}: {_reason(error)}")
    if type(error).__module__.startswith("onnxruntime") or isinstance(error, ValueError | RuntimeError):
        # The graph is the same for everybody, so it is these inputs that it cannot run on.
        return InvalidPayloadError(f"model {model} cannot run on these inputs: {_reason(error)}")
    return error


def _is_out_of_memory(error: Exception) -> bool:
    return any(word in str(error) for word in _OUT_OF_MEMORY)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_REASON]
