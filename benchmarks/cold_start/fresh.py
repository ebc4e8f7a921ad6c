"""The same classifier as a fresh Python process: import what it needs, read the model, classify one image, say so.

It imports neither Skerry nor anything else that the function does not need, so it is as lean as such a process can be.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = json.loads(sys.stdin.read())
label, *_ = session.run(None, {session.get_inputs()[0].name: np.asarray([image], "f4")})
print(int(label[0]))
