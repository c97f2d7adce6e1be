"""Files that come into being whole, or not at all, and never in place of another."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path


def write_new(path: Path, text: str, mode: int) -> None:
    """Writes a new file, synced; its folders are made.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written; nothing of it is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename, this cannot overwrite
    finally:
        draft.unlink(missing_ok=True)
