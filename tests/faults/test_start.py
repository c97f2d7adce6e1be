"""What a daemon refuses before it sends anything: a key that another one uses, an endpoint of another chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.herd import Herd
from tests.node.conftest import Lab

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def herd(lab: Lab) -> Iterator[Herd]:
    herd = Herd(lab, 1)
    yield herd
    herd.stop()


@pytest.mark.parametrize("folder", ["its own", "the same"])
def test_a_second_daemon_with_the_same_key_is_refused(lab: Lab, herd: Herd, tmp_path: Path, folder: str) -> None:
    first = lab.config(1)
    if folder == "its own":
        herd.configure(2, lab.config(1, join=False, data_dir=tmp_path / "other"))
        code, why = 3, f"error: Another node process uses the key in {first.keystore}. Stop that one first"
    else:
        herd.configure(2, lab.config(1, join=False))
        code, why = 14, f"error: Another node process uses {first.data_dir}. Stop that one first"
    herd.start(1)
    wait(lambda: '"event": "node"' in herd.log(1))
    herd.start(2)
    herd.processes[2].join(60)
    assert herd.processes[2].exitcode == code
    (line,) = herd.log(2).splitlines()
    assert line.startswith(why)
    assert herd.processes[1].is_alive()
    herd.stop()
    herd.start(2)  # kill -9 leaves no lock behind
    wait(lambda: '"event": "node"' in herd.log(2))


def test_an_endpoint_of_another_chain_is_refused(lab: Lab, herd: Herd, other_chain: str) -> None:
    herd.configure(2, lab.config(2, rpc=other_chain))
    herd.start(2)
    herd.processes[2].join(60)
    assert herd.processes[2].exitcode == 6
    (line,) = herd.log(2).splitlines()
    assert line.startswith("error: The RPC endpoint serves chain 1, not 31337. Name an endpoint of the right chain")
    assert not lab.config(2).data_dir.exists()


def wait(something: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not something():
        assert time.monotonic() < deadline
        time.sleep(0.1)
