"""The account's key, encrypted in a file (Web3 Secret Storage v3, scrypt)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.exceptions import ValidationError
from eth_utils import is_hex_address, to_checksum_address

from fedvol.errors import KeyfileError
from fedvol.node.files import write_new
from fedvol.node.lock import file_held


def create(path: Path, password: str, private_key: str | None = None) -> str:
    """Writes a new key, or the given one, into a file that only its owner can read. Returns the address.

    Raises:
        KeyfileError: the file exists, the password is empty, or `private_key` is none.
    """
    if not password:
        raise KeyfileError("A key file needs a password.", "Set FEDVOL_PASSWORD, or name a password file.")
    try:
        account = Account.from_key(private_key or secrets.token_bytes(32))
    except (ValueError, TypeError, ValidationError):
        raise KeyfileError("That is no private key.", "Give 32 bytes in hex in FEDVOL_PRIVATE_KEY.") from None
    if path.exists():
        raise _exists(path)
    text = json.dumps(Account.encrypt(account.key, password))
    try:
        write_new(path, text + "\n", 0o600)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise KeyfileError(f"{path} cannot be written ({error.strerror}).", "Name another place.") from error
    return account.address


def load(path: Path, password: str) -> LocalAccount:
    """The account of a key file.

    Raises:
        KeyfileError: no such file, damaged, or locked with another password.
    """
    content = _read(path)
    try:
        key = Account.decrypt(content, password)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise KeyfileError(
                f"{path} is locked with another password.", "Correct FEDVOL_PASSWORD or the password file."
            ) from None
        raise _damaged(path) from None
    except Exception:  # whatever a damaged file makes the decoder stumble over; its text might show parts of it
        raise _damaged(path) from None
    account = Account.from_key(key)
    if account.address != _address(path, content):
        raise _damaged(path)
    return account


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps a key file from every other node process that can see it, until it is let go or the process ends.

    Two with one key would fight for nonces, and could commit to updates that only one of them can open.

    Raises:
        KeyfileError: another process has it, or it cannot be locked.
    """
    with ExitStack() as opened:
        try:
            alone = opened.enter_context(file_held(path))
        except OSError as error:
            raise KeyfileError(f"{path} cannot be locked ({error.strerror}).", "Keep it on a local disk.") from error
        if not alone:
            raise KeyfileError(
                f"Another node process uses the key in {path}.",
                "Stop that one first, or give this node a key of its own.",
            )
        yield


def address_of(path: Path) -> str:
    """The account's address, as the file states it; no password needed.

    Raises:
        KeyfileError: no such file, or damaged.
    """
    return _address(path, _read(path))


def round_secret(account: LocalAccount, context: bytes) -> bytes:
    """32 bytes that only this account can derive, the same each time for the same context."""
    return hmac.new(bytes(account.key), b"fedvol round secret" + context, hashlib.sha256).digest()


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise KeyfileError(f"There is no key file {path}.", "Make one with `fedvol node init`.") from None
    except OSError as error:
        raise KeyfileError(f"{path} cannot be read ({error.strerror}).", "Check its owner and mode.") from None
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(content, dict) or "crypto" not in content:
        raise _damaged(path)
    return content


def _address(path: Path, content: dict[str, object]) -> str:
    address = content.get("address")
    if not is_hex_address(address):
        raise _damaged(path)
    return to_checksum_address(address)


def _damaged(path: Path) -> KeyfileError:
    return KeyfileError(f"{path} is no key file, or a damaged one.", "Restore it from its copy.")


def _exists(path: Path) -> KeyfileError:
    return KeyfileError(f"{path} exists and is not overwritten.", "Name another file, or move that one away.")
