"""Mask keys on disk: encrypted, found by their point, kept while they may be needed, and then gone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account

from fedvol.errors import KeyfileError
from fedvol.node.maskkeys import MaskKeys
from fedvol.protocol.grumpkin import is_on_curve, public_key

ACCOUNT = Account.from_key("0x" + "11" * 32)


@pytest.fixture
def keys(tmp_path: Path) -> MaskKeys:
    (tmp_path / "data").mkdir()
    return MaskKeys(tmp_path / "data" / "mask-keys", ACCOUNT)


def test_a_key_is_found_by_its_point(keys: MaskKeys) -> None:
    point = keys.create()
    assert is_on_curve(point)
    assert public_key(keys.secret(point)) == point
    assert keys.secret(public_key(5)) is None
    assert keys.create() != point


def test_files_are_the_owners_alone_and_hold_no_secret(keys: MaskKeys, tmp_path: Path) -> None:
    secret = keys.secret(keys.create())
    (file,) = (tmp_path / "data" / "mask-keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"{secret:x}" not in file.read_text()
    with pytest.raises(KeyfileError, match="damaged"):
        MaskKeys(file.parent, Account.from_key("0x" + "22" * 32)).secret(_point(file, secret))


def _point(file: Path, secret: int) -> tuple[int, int]:
    assert file.stem == f"000001-{public_key(secret)[0]:064x}"
    return public_key(secret)


def test_a_registration_that_is_under_way_is_used_again(keys: MaskKeys) -> None:
    first = keys.create()
    assert keys.spare(None) == first
    assert keys.spare(first) is None
    second = keys.create()
    assert keys.spare(first) == second
    assert keys.spare(second) is None, "the first has served its epochs"
    assert keys.spare(public_key(5)) is None


def test_all_others_are_deleted(keys: MaskKeys) -> None:
    points = [keys.create() for _ in range(3)]
    keys.forget_all_but(points[1:])
    assert [keys.secret(p) is not None for p in points] == [False, True, True]


def test_a_damaged_file_says_so(keys: MaskKeys, tmp_path: Path) -> None:
    point = keys.create()
    (file,) = (tmp_path / "data" / "mask-keys").iterdir()
    file.write_text(json.dumps({"crypto": {}}))
    with pytest.raises(KeyfileError, match="registers another"):
        keys.secret(point)
