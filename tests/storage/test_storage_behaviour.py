"""What every back end must do: the same tests against a folder and a real IPFS node."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedvol.errors import StorageError
from fedvol.storage import MAX_OBJECT_BYTES, Ipfs, LocalFolder, Storage

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["folder", "ipfs"])
def pair(request: pytest.FixtureRequest) -> tuple[Storage, Storage]:
    """Two clients of the same storage, as two desks have them."""
    if request.param == "folder":
        folder: Path = request.getfixturevalue("folder")
        return LocalFolder(folder), LocalFolder(folder)
    url: str = request.getfixturevalue("ipfs_url")
    return Ipfs(url, timeout=5, patience=1), Ipfs(url, timeout=5, patience=1)


@pytest.fixture
def storage(pair: tuple[Storage, Storage]) -> Storage:
    return pair[0]


@pytest.mark.parametrize("size", [0, 1, 32, 8192, MAX_OBJECT_BYTES])
def test_one_desk_puts_and_another_gets(pair: tuple[Storage, Storage], size: int) -> None:
    data = os.urandom(size)
    name = pair[0].put(data)
    assert name == hashlib.sha256(data).digest()
    assert pair[1].get(name) == data
    assert pair[1].has(name)


def test_putting_again_changes_nothing(storage: Storage) -> None:
    data = os.urandom(100)
    assert storage.put(data) == storage.put(data)
    assert storage.get(hashlib.sha256(data).digest()) == data


def test_unpinned_is_no_longer_held_until_put_again(storage: Storage) -> None:
    data = os.urandom(100)
    name = storage.put(data)
    storage.unpin(name)
    assert not storage.has(name)
    storage.unpin(name)
    storage.put(data)
    assert storage.has(name)
    assert storage.get(name) == data


def test_unpinning_one_leaves_the_others(storage: Storage) -> None:
    kept, gone = storage.put(os.urandom(64)), storage.put(os.urandom(64))
    storage.unpin(gone)
    assert storage.has(kept)
    assert not storage.has(gone)


def test_absent_object_is_an_error_that_names_it(storage: Storage) -> None:
    name = os.urandom(32)
    assert not storage.has(name)
    with pytest.raises(StorageError, match=name.hex()) as caught:
        storage.get(name)
    assert caught.value.hint


def test_too_large_is_refused_and_not_stored(storage: Storage) -> None:
    data = os.urandom(MAX_OBJECT_BYTES + 1)
    with pytest.raises(StorageError, match=str(MAX_OBJECT_BYTES)):
        storage.put(data)
    assert not storage.has(hashlib.sha256(data).digest())


@pytest.mark.parametrize("wrong", [b"", b"short", bytes(33)])
def test_what_is_no_content_id_is_refused(storage: Storage, wrong: bytes) -> None:
    for use in (storage.get, storage.has, storage.unpin):
        with pytest.raises(StorageError, match="not a content id"):
            use(wrong)


def test_threads_share_one_client(storage: Storage) -> None:
    objects = [os.urandom(2000) for _ in range(24)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(storage.put, objects * 2))
        assert list(pool.map(storage.get, names)) == objects * 2


def test_check_passes_and_describe_is_one_line(storage: Storage) -> None:
    storage.check()
    assert "\n" not in storage.describe()
    assert len(storage.describe()) > 10
