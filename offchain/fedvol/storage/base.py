"""The one interface to storage. The content id is checked here, for every back end alike."""

from __future__ import annotations

from abc import ABC, abstractmethod

from fedvol.errors import StorageError
from fedvol.protocol.vector import content_id

# The largest model takes 8 KiB. The bound keeps a hostile peer from filling memory, and every object in one
# IPFS block.
MAX_OBJECT_BYTES = 64 * 1024


class Storage(ABC):
    """Objects of at most 64 KiB, named by the SHA-256 of their bytes (32 bytes). Threads may share one."""

    def put(self, data: bytes) -> bytes:
        """Stores and pins the bytes, durably once it returns; doing it again repairs and pins again.

        Returns:
            The content id: SHA-256 of the bytes, 32 bytes.

        Raises:
            StorageError: more than 64 KiB, or the back end cannot store them.
        """
        if len(data) > MAX_OBJECT_BYTES:
            raise StorageError(
                f"An object of {len(data)} bytes is too large for storage.",
                f"Store at most {MAX_OBJECT_BYTES} bytes.",
            )
        name = content_id(data)
        self._store(name, data)
        return name

    def get(self, name: bytes) -> bytes:
        """The bytes of the object, whoever stored them: their SHA-256 is recomputed at each fetch.

        Raises:
            StorageError: not to be had, or other bytes than the content id names.
        """
        data = self._load(_checked(name))
        if len(data) > MAX_OBJECT_BYTES or content_id(data) != name:
            what = "too many" if len(data) > MAX_OBJECT_BYTES else "other"
            raise StorageError(
                f"The {self.describe()} holds {what} bytes under {shown(name)}.",
                "They were refused. Ask whoever stored the object to store it again.",
            )
        return data

    def has(self, name: bytes) -> bool:
        """Whether the object is pinned here, intact, without asking anybody else.

        Raises:
            StorageError: the back end does not answer.
        """
        return self._holds(_checked(name))

    def unpin(self, name: bytes) -> None:
        """Lets the object go: a folder deletes it, IPFS may when it collects garbage. None there: no error.

        Raises:
            StorageError: the back end cannot let it go.
        """
        self._release(_checked(name))

    @abstractmethod
    def describe(self) -> str:
        """What and where it is, on one line, without asking it."""

    @abstractmethod
    def check(self) -> None:
        """Makes sure, at once, that it can be used.

        Raises:
            StorageError: it cannot; the hint says what to try.
        """

    @abstractmethod
    def _store(self, name: bytes, data: bytes) -> None: ...

    @abstractmethod
    def _load(self, name: bytes) -> bytes:
        """The bytes as they come, cut off after MAX_OBJECT_BYTES + 1."""

    @abstractmethod
    def _holds(self, name: bytes) -> bool: ...

    @abstractmethod
    def _release(self, name: bytes) -> None: ...


def shown(name: bytes) -> str:
    """A content id as people and the chain write it."""
    return f"0x{name.hex()}"


def _checked(name: bytes) -> bytes:
    if len(name) != 32:
        raise StorageError(f"{shown(name)} is not a content id.", "Give the 32 bytes of a SHA-256.")
    return name
