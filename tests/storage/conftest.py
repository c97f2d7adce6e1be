from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts._faults import FaultyProxy, faulty_proxy
from scripts._ipfs import ipfs_peer


@pytest.fixture(scope="session")
def ipfs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The RPC of a real IPFS node."""
    with ipfs_peer(tmp_path_factory.mktemp("ipfs")) as url:
        yield url


@pytest.fixture
def proxy(ipfs_url: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(ipfs_url) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"
