"""Names of objects and addresses of storage."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import httpx
import pytest

from fedvol.errors import ConfigError
from fedvol.storage import Ipfs, LocalFolder, open_storage
from fedvol.storage.cid import cid_of

# Published: the empty file and "hello world", as `ipfs add --cid-version 1` names them everywhere; the README
# of the Python package ipfs-cid; discuss.ipfs.tech, topic 17685 (worked out there from the digest, by hand).
PUBLISHED = [
    (hashlib.sha256(b"").hexdigest(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (
        hashlib.sha256(b"hello world").hexdigest(),
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    ),
    (
        hashlib.sha256(b"Hello world").hexdigest(),
        "bafkreide5semuafsnds3ugrvm6fbwuyw2ijpj43gwjdxemstjkfozi37hq",
    ),
    (
        "13827090cbf4f1990cd041e3875403b43e33877fa2da7c800223d3a87ad35509",
        "bafkreiatqjyjbs7u6gmqzucb4odvia5uhyzyo75c3j6iaard2ouhvu2vbe",
    ),
]


@pytest.mark.parametrize(("digest", "cid"), PUBLISHED)
def test_published_cids(digest: str, cid: str) -> None:
    assert cid_of(bytes.fromhex(digest)) == cid


def test_the_node_finds_our_name_by_itself(ipfs_url: str) -> None:
    data = os.urandom(1234)
    name = Ipfs(ipfs_url).put(data)
    answer = httpx.post(f"{ipfs_url}/api/v0/cat", params={"arg": cid_of(name), "timeout": "5s"}, trust_env=False)
    assert answer.content == data


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/data/a#b?c d", "/data/a#b?c d"),
        ("file:///data/a%20b", "/data/a b"),
        ("~/objects", str(Path.home() / "objects")),
        ("objects", str(Path.cwd() / "objects")),
    ],
)
def test_folder_addresses(url: str, path: str) -> None:
    storage = open_storage(url)
    assert isinstance(storage, LocalFolder)
    assert storage.path == Path(path)


@pytest.mark.parametrize("address", ["http://127.0.0.1:5001", "https://ipfs.example", "http://[::1]:5001"])
def test_ipfs_addresses(address: str) -> None:
    for url in (f"ipfs+{address}", f"ipfs+{address}/"):
        storage = open_storage(url)
        assert isinstance(storage, Ipfs)
        assert storage.describe() == f"IPFS node at {address}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "http://127.0.0.1:5001",
        "ipfs://bafkrei",
        "ipfs+http://",
        "ipfs+http://127.0.0.1:5001/api/v0",
        "ipfs+http://127.0.0.1:99999",
        "ipfs+http://[::1",
        "file://host/data",
        "file:data",
        "file:///data?x",
        "s3://key:s3cret@bucket",
    ],
)
def test_other_addresses_are_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert "ipfs+http://127.0.0.1:5001" in caught.value.hint
    assert "s3cret" not in str(caught.value)
