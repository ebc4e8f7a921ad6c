"""An app with one function, made of ``$SKERRY_SERVE``: a model served in a container, without a file of one's own.

``SKERRY_SERVE=digits@production python -m skerry.runtime skerry.app.served:app`` serves it at ``/function/digits``.
"""

from __future__ import annotations

import os

from skerry.app.application import App
from skerry.errors import ConfigError
from skerry.spec import ModelReference

SERVE_VARIABLE = "SKERRY_SERVE"


def serving_app(reference: str) -> App:
    """Return an app that serves a model as the function of its name.

    Args:
        reference: ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION``.

    Raises:
        SpecError: the reference is not of that form.
    """
    made = App("served", imports=("numpy", "onnxruntime"))
    made.serve(ModelReference.parse(reference).name, model=reference)
    return made


def __getattr__(name: str) -> App:
    # Made when it is asked for: importing this module does nothing.
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    reference = os.environ.get(SERVE_VARIABLE)
    if not reference:
        raise ConfigError(f"${SERVE_VARIABLE} is not set: name the model to serve, like digits@production")
    made = globals()["app"] = serving_app(reference)
    return made
