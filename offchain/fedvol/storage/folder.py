"""A content-addressed folder that desks share: on one machine, or on a drive they all mount.

An object lies at `<first two hex digits>/<all 64 hex digits>`, so `sha256sum` checks it by hand. It is
written under another name in the same directory, forced to disk, then renamed: readers see all or none.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fedvol.errors import StorageError
from fedvol.protocol.vector import content_id
from fedvol.storage.base import MAX_OBJECT_BYTES, Storage, shown


class LocalFolder(Storage):
    """Storage in a folder, which is made at the first use if its parent is there.

    Whoever may write to the folder may write to all of it: subfolders take its permissions. All who reach an
    object may read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def describe(self) -> str:
        return f"folder {self.path}"

    def check(self) -> None:
        with self._writing("an object"):
            self._make_root()
            os.unlink(_write_temporary(self.path, bytes(MAX_OBJECT_BYTES)))

    def _store(self, name: bytes, data: bytes) -> None:
        path = self._path(name)
        with self._writing(shown(name)):
            self._make_root()
            with contextlib.suppress(FileExistsError):
                path.parent.mkdir()
                path.parent.chmod(stat.S_IMODE(self.path.stat().st_mode))
                _sync_directory(self.path)
            if not self._holds(name):
                temporary = _write_temporary(path.parent, data)
                try:
                    os.replace(temporary, path)
                except OSError:
                    os.unlink(temporary)
                    raise
            _sync_directory(path.parent)

    def _load(self, name: bytes) -> bytes:
        try:
            return _read(self._path(name))
        except FileNotFoundError:
            raise StorageError(
                f"Object {shown(name)} is not in {self.describe()}.",
                "Check that the folder is the one that the federation shares, and that it is mounted.",
            ) from None
        except OSError as error:
            raise StorageError(
                f"Object {shown(name)} cannot be read from {self.describe()}: {error.strerror}.",
                "Check the folder, its permissions and its drive.",
            ) from error

    def _holds(self, name: bytes) -> bool:
        try:
            return content_id(_read(self._path(name))) == name
        except OSError:
            return False

    def _release(self, name: bytes) -> None:
        with self._writing(shown(name)), contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()

    def _path(self, name: bytes) -> Path:
        digits = name.hex()
        return self.path / digits[:2] / digits

    def _make_root(self) -> None:
        # Not its parents: a mistyped path must not become a folder that nobody else sees.
        self.path.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"The {self.describe()} cannot be changed, for {what}: {error.strerror}.",
                "Check that its parent exists, that you may write there, and that its drive is not full.",
            ) from error


def _write_temporary(directory: Path, data: bytes) -> str:
    """A file in the directory, on disk once this returns. Readers never look at its name."""
    descriptor, path = tempfile.mkstemp(prefix=".partial-", dir=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, 0o444)
            os.fsync(descriptor)
    except OSError:
        os.unlink(path)
        raise
    return path


def _read(path: Path) -> bytes:
    # A peer may have put a pipe or a device under the name: do not wait for it, do not read from it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(MAX_OBJECT_BYTES + 1)


def _sync_directory(path: Path) -> None:
    """Makes a rename in the directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
