"""Objects: named pieces of bytes in a folder or in an S3-compatible store, behind one interface.

Writes are atomic and durable, reads are verified, and of many writers that race for a name exactly one gets it.
"""

from skerry.store.objects.base import ObjectInfo, ObjectStore
from skerry.store.objects.folder import FolderStore
from skerry.store.objects.location import open_store

__all__ = ["FolderStore", "ObjectInfo", "ObjectStore", "open_store"]
