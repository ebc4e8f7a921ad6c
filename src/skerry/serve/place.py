"""Where a worker finds its model's files: pinned by the platform, or resolved here."""

from __future__ import annotations

import os
from pathlib import Path

from skerry.errors import ModelRejectedError
from skerry.spec import ModelReference

FOLDER_VARIABLE = "SKERRY_MODEL_FOLDER"
MODEL_VARIABLE = "SKERRY_MODEL"  # which model lies there: NAME@VERSION
FUNCTION_VARIABLE = "SKERRY_FUNCTION"  # whose worker this process is
HOME_VARIABLE = "SKERRY_HOME"
MODEL_FILE = "model.onnx"
SAMPLE_FILE = "sample.json"


def find_folder(reference: str, *, function: str) -> Path:
    """Return the folder of a model's files: ``$SKERRY_MODEL_FOLDER``, or where nothing is pinned what is fetched now.

    What is pinned counts, whatever the app says: its option ``model`` may be set to another model at a deployment.

    Args:
        reference: ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION``.
        function: Which function serves it.

    Raises:
        ModelNotFoundError: there is no such model, version or alias.
        ModelRejectedError: what is pinned is no folder.
        StorageError: the store cannot be reached.
    """
    wanted = ModelReference.parse(reference)
    pinned = os.environ.get(FOLDER_VARIABLE)
    if pinned and _is_pinned_for(function, wanted):
        folder = Path(pinned)
        if not folder.is_dir():
            raise ModelRejectedError(f"model {reference}: ${FOLDER_VARIABLE} is {pinned}, which is no folder")
        return folder
    from skerry.store.models import ModelCache, ModelRepository, cache_folder, models_url
    from skerry.store.objects import open_store

    home = os.environ.get(HOME_VARIABLE)
    models = (Path(home).expanduser() if home else Path.home() / ".skerry") / "models"
    repository = ModelRepository(open_store(models_url(models)))
    manifest = repository.resolve(wanted)
    return ModelCache(cache_folder()).fetch(repository, manifest)


def _is_pinned_for(function: str, wanted: ModelReference) -> bool:
    """Return whether what is pinned is this function's: it may be called in the worker of another one."""
    own = os.environ.get(FUNCTION_VARIABLE)
    if own is not None:
        return own == function
    return os.environ.get(MODEL_VARIABLE, wanted.name).partition("@")[0] == wanted.name
