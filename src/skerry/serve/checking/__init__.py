"""What is known of an ONNX file before it is trusted, and why some are refused.

A file from elsewhere is looked at in three steps. Its first bytes say what it is: pickles and archives are named and
refused, and none is ever loaded or unpacked. Everything else happens in a child process with little memory and time:
the protobuf is parsed, its graph is judged (`graph`), ONNX Runtime opens it and runs it once. What the child says is
the only thing that the caller sees of the model.
"""

from skerry.serve.checking.facts import ModelFacts
from skerry.serve.checking.inspection import Limits, inspect_onnx

__all__ = ["Limits", "ModelFacts", "inspect_onnx"]
