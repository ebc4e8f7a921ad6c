"""Words: what a function is called, may use and how it scales; frozen, checked once, no I/O beyond reading its file."""

from skerry.spec.batch import Batch
from skerry.spec.function import FunctionSpec, function_spec
from skerry.spec.layers import (
    IMPORTS_VARIABLE,
    PROJECT_FILE,
    SET_VARIABLE,
    check_platform,
    parse_settings,
    read_project_file,
    resolve,
)
from skerry.spec.limits import PlatformLimits
from skerry.spec.model import DEFAULT_ALIAS, ModelReference
from skerry.spec.option import ENGINE, RUNTIME, support_matrix
from skerry.spec.quantity import parse_duration, parse_size
from skerry.spec.scale import Scale
from skerry.spec.site import Site, parse_endpoint

__all__ = [
    "DEFAULT_ALIAS",
    "ENGINE",
    "IMPORTS_VARIABLE",
    "PROJECT_FILE",
    "RUNTIME",
    "SET_VARIABLE",
    "Batch",
    "FunctionSpec",
    "ModelReference",
    "PlatformLimits",
    "Scale",
    "Site",
    "check_platform",
    "function_spec",
    "parse_duration",
    "parse_endpoint",
    "parse_settings",
    "parse_size",
    "read_project_file",
    "resolve",
    "support_matrix",
]
