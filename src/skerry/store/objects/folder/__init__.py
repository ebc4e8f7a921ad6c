"""Objects in a folder: plain files, links that carry their checksums, and no locks."""

from skerry.store.objects.folder.store import LEFTOVER_AGE_S, FolderStore

__all__ = ["LEFTOVER_AGE_S", "FolderStore"]
