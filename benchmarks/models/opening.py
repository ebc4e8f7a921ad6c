"""What ONNX Runtime itself needs to open a model in a bare process: prints seconds. Run as a program of its own."""

import sys
import time

import numpy as np
import onnxruntime


def main() -> None:
    """Open the model once, run it once on zeros."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    began = time.perf_counter()
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    opened = time.perf_counter()
    given = session.get_inputs()[0]
    shape = [length if isinstance(length, int) else 1 for length in given.shape]
    session.run(None, {given.name: np.zeros(shape, dtype=np.float32)})
    print(opened - began, time.perf_counter() - opened)


if __name__ == "__main__":
    main()
