"""The secret keys with which a node agrees on masks: one key file each, in its data folder.

They are encrypted with a secret of the account's key, so that whoever cannot open the one cannot open the others. A key
that no running or coming epoch uses is deleted: who steals the rest opens no past round with it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from fedvol.errors import KeyfileError
from fedvol.node.keystore import round_secret
from fedvol.protocol.grumpkin import ORDER, Point, public_key

_ROUNDS = 2
"""Of scrypt: the password is 256 random bits already."""


class MaskKeys:
    """The mask keys of one account in a folder of their own."""

    def __init__(self, folder: Path, account: LocalAccount) -> None:
        self._folder = folder
        self._password = round_secret(account, b"mask keys").hex()

    def create(self) -> Point:
        """Makes a key and has it on disk, synced, before anybody can hear of it.

        Raises:
            KeyfileError: the folder cannot be written.
        """
        secret = 1 + secrets.randbelow(ORDER - 1)
        point = public_key(secret)
        text = json.dumps(Account.encrypt(secret.to_bytes(32, "big"), self._password, "scrypt", _ROUNDS))
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            draft = self._folder / "draft"  # a key file is there whole or not at all: a full disk, a power cut
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._folder / f"{self._last() + 1:06d}-{point[0]:064x}.json")
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise KeyfileError(
                f"{self._folder} cannot be written ({error.strerror}).",
                "Make room, or correct its owner and mode; then start the node again.",
            ) from error
        return point

    def secret(self, point: Point) -> int | None:
        """The secret of a public key; None where this node does not hold it.

        Raises:
            KeyfileError: its file is damaged.
        """
        path = self._path(point)
        if path is None:
            return None
        found = self._read(path)
        return found if public_key(found) == point else None

    def spare(self, latest: Point | None) -> Point | None:
        """The last key that was made after `latest`, of which the chain heard last (None: of none): its registration
        may still come. Never one from before, which a new epoch would use again."""
        files = self._files()
        path = self._path(latest) if latest is not None else None
        if not files or (latest is not None and path is None) or files[-1] == path:
            return None
        return public_key(self._read(files[-1]))

    def forget_all_but(self, kept: Iterable[Point]) -> None:
        """Deletes the keys of all other points."""
        paths = {self._path(point) for point in kept}
        for path in self._files():
            if path not in paths:
                path.unlink(missing_ok=True)

    def _read(self, path: Path) -> int:
        try:
            return int.from_bytes(Account.decrypt(json.loads(path.read_text()), self._password), "big")
        except Exception:  # its text might show parts of the file
            raise KeyfileError(f"{path} is damaged.", "Delete it: the node registers another key.") from None

    def _files(self) -> list[Path]:
        """In the order in which they were made."""
        return sorted(self._folder.glob("*.json"))

    def _last(self) -> int:
        files = self._files()
        return int(files[-1].stem.split("-")[0]) if files else 0

    def _path(self, point: Point) -> Path | None:
        return next(iter(self._folder.glob(f"*-{point[0]:064x}.json")), None)
