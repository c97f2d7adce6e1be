"""Where models and updates lie: content-addressed, pinned, checked at every fetch."""

from fedvol.storage.base import MAX_OBJECT_BYTES, Storage
from fedvol.storage.folder import LocalFolder
from fedvol.storage.ipfs import Ipfs
from fedvol.storage.url import open_storage

__all__ = ["MAX_OBJECT_BYTES", "Ipfs", "LocalFolder", "Storage", "open_storage"]
