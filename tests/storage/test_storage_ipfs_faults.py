"""The IPFS client against a real node behind a connection that goes wrong."""

from __future__ import annotations

import hashlib
import os
import time
from itertools import repeat

import httpx
import pytest
from scripts._faults import FaultyProxy

from fedvol.errors import StorageError
from fedvol.storage import MAX_OBJECT_BYTES, Ipfs, open_storage

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def stored(ipfs_url: str) -> tuple[bytes, bytes]:
    data = os.urandom(3000)
    return Ipfs(ipfs_url).put(data), data


@pytest.fixture
def storage(proxy: FaultyProxy) -> Ipfs:
    return Ipfs(proxy.url, timeout=5, patience=5)


@pytest.fixture
def hasty(proxy: FaultyProxy) -> Ipfs:
    return Ipfs(proxy.url, timeout=0.4, patience=1.5)


def test_altered_bytes_are_refused_and_not_asked_for_again(
    proxy: FaultyProxy, storage: Ipfs, stored: tuple[bytes, bytes]
) -> None:
    proxy.faults = iter(["alter"])
    with pytest.raises(StorageError, match=f"other bytes under 0x{stored[0].hex()}"):
        storage.get(stored[0])
    assert proxy.commands == ["block/get"]
    assert storage.get(stored[0]) == stored[1]


@pytest.mark.parametrize("fault", ["500", "close", "cut"])
def test_two_failures_then_an_answer(
    proxy: FaultyProxy, storage: Ipfs, stored: tuple[bytes, bytes], fault: str
) -> None:
    proxy.faults = iter([fault, fault])
    assert storage.get(stored[0]) == stored[1]
    assert proxy.commands == ["block/get"] * 3


def test_put_is_tried_again_with_the_whole_body(proxy: FaultyProxy, storage: Ipfs) -> None:
    data = os.urandom(MAX_OBJECT_BYTES)
    proxy.faults = iter(["500", "close"])
    assert storage.get(storage.put(data)) == data
    assert proxy.commands == ["add"] * 3 + ["block/get"]


def test_refusals_are_not_tried_again(proxy: FaultyProxy, storage: Ipfs, stored: tuple[bytes, bytes]) -> None:
    proxy.faults = iter(["403"])
    with pytest.raises(StorageError, match=r"refused .*403: in trouble"):
        storage.get(stored[0])
    assert len(proxy.commands) == 1


def test_no_such_pin_is_an_answer_and_not_a_failure(proxy: FaultyProxy, storage: Ipfs) -> None:
    absent = os.urandom(32)
    assert not storage.has(absent)
    storage.unpin(absent)
    assert proxy.commands == ["pin/ls", "pin/rm"]


def test_lasting_trouble_is_no_answer_about_a_pin(proxy: FaultyProxy, hasty: Ipfs, stored: tuple[bytes, bytes]) -> None:
    proxy.faults = repeat("500")
    for use in (hasty.has, hasty.unpin):
        with pytest.raises(StorageError, match=f"{stored[0].hex()}.*in trouble"):
            use(stored[0])
    assert len(proxy.commands) > 2


@pytest.mark.parametrize("fault", ["hang", "trickle", "close", "500"])
def test_patience_bounds_a_call(proxy: FaultyProxy, hasty: Ipfs, stored: tuple[bytes, bytes], fault: str) -> None:
    proxy.faults = repeat(fault)
    start = time.monotonic()
    with pytest.raises(StorageError, match=stored[0].hex()):
        hasty.get(stored[0])
    assert time.monotonic() - start < 1.5 + 0.5
    assert len(proxy.commands) >= 2


def test_patience_bounds_a_call_whose_timeout_is_longer(proxy: FaultyProxy) -> None:
    proxy.faults = repeat("hang")
    start = time.monotonic()
    with pytest.raises(StorageError, match="no answer in time"):
        Ipfs(proxy.url, timeout=20, patience=0.5).get(bytes(32))
    assert time.monotonic() - start < 1.5


def test_the_node_is_told_to_give_up_before_the_client_does(
    proxy: FaultyProxy, hasty: Ipfs, stored: tuple[bytes, bytes]
) -> None:
    hasty.put(stored[1])
    hasty.get(stored[0])
    hasty.has(stored[0])
    hasty.unpin(stored[0])
    hasty.check()
    assert proxy.commands == ["add", "block/get", "pin/ls", "pin/rm", "version"]
    for query in proxy.queries:
        (limit,) = query["timeout"]
        assert 300 <= int(limit.removesuffix("ms")) <= 360


def test_a_node_without_the_object_answers_within_its_limit(ipfs_url: str) -> None:
    start = time.monotonic()
    with pytest.raises(StorageError, match="timed out"):
        Ipfs(ipfs_url, timeout=5, patience=5).get(os.urandom(32))  # the node gives up most of a second before
    assert time.monotonic() - start < 5.5


def test_an_endless_answer_is_cut_off(proxy: FaultyProxy, storage: Ipfs) -> None:
    proxy.faults = iter(["flood"])
    with pytest.raises(StorageError, match="too many bytes"):
        storage.get(bytes(32))
    # What had left the server: our bound, and what the sockets buffer.
    assert proxy.flooded < 16 * 2**20


def test_an_honest_object_beyond_the_bound_is_refused(ipfs_url: str) -> None:
    big = os.urandom(MAX_OBJECT_BYTES + 1)
    options = {"cid-version": "1", "raw-leaves": "true", "timeout": "5s"}
    httpx.post(f"{ipfs_url}/api/v0/add", params=options, files={"file": big}, trust_env=False)
    with pytest.raises(StorageError, match="too many bytes"):
        Ipfs(ipfs_url).get(hashlib.sha256(big).digest())


def test_a_node_that_names_the_bytes_otherwise_is_refused(proxy: FaultyProxy, storage: Ipfs) -> None:
    proxy.faults = iter(["rename", "html"])
    for _ in range(2):
        with pytest.raises(StorageError, match=r"stored 0x[0-9a-f]{64} as .*, not as bafkrei"):
            storage.put(b"data")


def test_check_says_at_once_what_is_wrong(proxy: FaultyProxy, hasty: Ipfs) -> None:
    proxy.faults = iter(["html", "403", "500", "hang"])
    for reason in ("is no IPFS node", "403", "in trouble", "no answer in time"):
        with pytest.raises(StorageError, match=reason) as caught:
            hasty.check()
        assert caught.value.hint
    assert len(proxy.commands) == 4
    hasty.check()


def test_a_closed_port_says_how_to_start_the_node(proxy: FaultyProxy) -> None:
    address = "http://127.0.0.1:9"
    with pytest.raises(StorageError, match=f"No IPFS node answers at {address}") as caught:
        Ipfs(address).check()
    assert "ipfs daemon" in caught.value.hint


def test_the_environment_s_proxy_is_not_used(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, stored: tuple[bytes, bytes]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert Ipfs(proxy.url).get(stored[0]) == stored[1]


def test_the_password_in_the_address_is_sent_and_never_shown(proxy: FaultyProxy) -> None:
    storage = open_storage(proxy.url.replace("http://", "ipfs+http://desk:s3cret@"))
    storage.check()
    assert proxy.authorizations == ["Basic ZGVzazpzM2NyZXQ="]
    assert "s3cret" not in storage.describe()
    proxy.faults = iter(["403"])
    with pytest.raises(StorageError) as caught:
        storage.check()
    assert "s3cret" not in str(caught.value)
