"""Inputs: files and folders by content, as calls refer to them, on their way and at rest."""

from skerry.store.inputs.digests import FileStamp, digest_file, stamp_of
from skerry.store.inputs.listing import Listing, list_folder
from skerry.store.inputs.shared import SHARED_VARIABLE, SharedInputs
from skerry.store.inputs.store import INPUTS_VARIABLE, LIMIT_VARIABLE, InputStore

__all__ = [
    "INPUTS_VARIABLE",
    "LIMIT_VARIABLE",
    "SHARED_VARIABLE",
    "FileStamp",
    "InputStore",
    "Listing",
    "SharedInputs",
    "digest_file",
    "list_folder",
    "stamp_of",
]
