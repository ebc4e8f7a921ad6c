"""The version of a model that a revision serves: what is known of it, and where its files lie on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import ModelNotFoundError
from skerry.spec import ModelReference
from skerry.store.models import MANIFEST_FILE, MODELS_VARIABLE, Hold, Manifest

FOLDER_VARIABLE = "SKERRY_MODEL_FOLDER"
MODEL_VARIABLE = "SKERRY_MODEL"
MODEL_FILE = "model.onnx"
KSERVE_FOLDER = Path("/mnt/models")  # where KServe puts the model of a container


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """One version of a model in a folder of this machine.

    Args:
        name: The model's name in the store.
        version: Its number; 1 where nothing tells it.
        folder: Holds the version's files under their names.
        manifest: What the store says of it; none for a folder that somebody else has filled.
    """

    name: str
    version: int
    folder: Path
    manifest: Manifest | None

    def variables(self) -> dict[str, str]:
        """Return the variables by which a worker finds it."""
        return {FOLDER_VARIABLE: str(self.folder), MODEL_VARIABLE: f"{self.name}@{self.version}"}

    def hold(self) -> Hold:
        """Keep its folder in the cache until what is returned is closed.

        Raises:
            StorageError: it was evicted meanwhile.
        """
        return Hold(self.folder)


def mounted_model(reference: ModelReference, environment: Mapping[str, str]) -> PinnedModel | None:
    """Return the model that the platform around this process has put into a folder, none where it has not.

    The folder is the one that ``SKERRY_MODEL_FOLDER`` names; else, unless ``SKERRY_MODELS`` names a store, KServe's
    ``/mnt/models`` when a model lies there.

    Raises:
        ModelNotFoundError: the folder is missing, or holds another version than the one that is asked for.
    """
    named = environment.get(FOLDER_VARIABLE)
    if named is not None:
        folder = Path(named)
        if not folder.is_dir():
            raise ModelNotFoundError(f"{FOLDER_VARIABLE} = {named!r}: there is no such folder")
    elif MODELS_VARIABLE not in environment and (KSERVE_FOLDER / MODEL_FILE).is_file():
        folder = KSERVE_FOLDER
    else:
        return None
    return _read_folder(folder, reference, environment.get(MODEL_VARIABLE))


def _read_folder(folder: Path, reference: ModelReference, said: str | None) -> PinnedModel | None:
    """Return what a folder holds; none where its manifest says that it is another model."""
    try:
        manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes())
    except FileNotFoundError:
        version = None if said is None else ModelReference.parse(said).version
        return PinnedModel(name=reference.name, version=version or reference.version or 1, folder=folder, manifest=None)
    if manifest.name != reference.name:
        return None
    if reference.version not in (None, manifest.version):
        raise ModelNotFoundError(f"model {reference}: {folder} holds {manifest.name}@{manifest.version}")
    return PinnedModel(name=manifest.name, version=manifest.version, folder=folder, manifest=manifest)
