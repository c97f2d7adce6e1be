"""A real IPFS node that is down, hangs, returns other bytes or loses a pin, and a folder that nobody may write to.

Whatever phase it befalls: the round is final, nobody is punished, and what a node owes is pinned in the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from scripts._faults import FaultyProxy, faulty_proxy
from scripts._ipfs import ipfs_peer
from structlog.testing import capture_logs

from fedvol.chain.federation import Phase
from fedvol.errors import StorageError
from fedvol.protocol.vector import content_id
from fedvol.storage import Ipfs
from fedvol.storage.cid import cid_of
from tests.faults.caps import without_override
from tests.faults.conftest import LONG, Standing, standing_federation
from tests.faults.soundness import assert_nobody_paid
from tests.node.conftest import Lab

NODES = 3
VICTIM = 1
FAULTS = ("close", "hang", "500", "alter")

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def ipfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ipfs_peer(tmp_path_factory.mktemp("ipfs")) as url:
        yield url


@pytest.fixture(scope="module")
def doors(ipfs: str) -> Iterator[list[FaultyProxy]]:
    """Each node's way to the IPFS node."""
    with ExitStack() as opened:
        yield [opened.enter_context(faulty_proxy(ipfs)) for _ in range(NODES)]


@pytest.fixture
def door(doors: list[FaultyProxy]) -> FaultyProxy:
    """The victim's."""
    return doors[VICTIM]


@pytest.fixture(scope="module")
def pinning(
    artefacts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, doors: list[FaultyProxy]
) -> Iterator[Standing]:
    """A plain federation on IPFS."""
    rounds, places = {"clusterSize": 1}, [f"ipfs+{door.url}" for door in doors]
    with standing_federation(artefacts, tmp_path_factory.mktemp("pinning"), NODES, rounds, places) as federation:
        for node in federation.nodes:
            node.acts._storage._inner.timeout, node.acts._storage._inner.patience = (
                0.5,
                1.5,
            )  # seconds that a test waits, too
        yield federation


@pytest.fixture(autouse=True)
def doors_open_again(doors: list[FaultyProxy]) -> Iterator[None]:
    yield
    for door in doors:
        door.mode = "forward"


@pytest.fixture
def rounds() -> dict[str, Any]:
    return LONG


def revealed(pinning: Standing, number: int, index: int = VICTIM) -> bytes:
    found = pinning.lab.client.reveals(number, pinning.snapshot().block)
    return next(r.content_id for r in found if r.node == pinning.address(index))


def await_pin(pinning: Standing, ipfs: str, name: bytes) -> None:
    deadline = time.monotonic() + 30
    while not Ipfs(ipfs).has(name):
        assert time.monotonic() < deadline
        pinning.turn(5)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_fails_while_a_node_must_reveal(pinning: Standing, door: FaultyProxy, ipfs: str, fault: str) -> None:
    """It waits for half of the window, then reveals what it could not pin: silence would cost it."""
    s = pinning.reach(Phase.REVEAL)
    door.mode = fault
    for _ in range(2):
        pinning.turn(0)
    assert pinning.snapshot().clock.revealed == NODES - 1
    assert any(isinstance(error, StorageError) for error in pinning.failures)
    pinning.lab.pass_time((s.ends_at - s.time) // 2 + 1)
    with capture_logs() as logs:
        pinning.turn(0)
        door.mode = "forward"
        assert "reveals unpinned" in {entry["event"] for entry in logs}
        await_pin(pinning, ipfs, revealed(pinning, s.clock.number))
    pinning.final(s.clock.number)
    assert pinning.penalties(s.clock.number) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_fails_while_a_node_fetches(pinning: Standing, door: FaultyProxy, fault: str) -> None:
    """It demands what it cannot fetch, the others answer; and it is never late with what is due on the chain."""
    number = pinning.reach(Phase.AVAILABILITY).clock.number
    door.mode = fault
    storage = pinning.nodes[VICTIM].acts._storage._inner
    hasty, storage.timeout, storage.patience = (storage.timeout, storage.patience), 10.0, 10.0
    began = time.monotonic()
    pinning.nodes[VICTIM].cycle()
    assert time.monotonic() - began < 6, "storage may keep it from the chain for a part of the phase only"
    storage.timeout, storage.patience = hasty
    pinning.final(number)
    assert pinning.penalties(number) == {}


def test_it_is_down_from_the_reveal_to_the_end_of_the_round(pinning: Standing, door: FaultyProxy, ipfs: str) -> None:
    """The bytes that it could not pin are demanded, and answered from its journal."""
    s = pinning.reach(Phase.REVEAL)
    door.mode = "close"
    pinning.lab.pass_time((s.ends_at - s.time) // 2 + 1)
    pinning.final(s.clock.number)
    assert pinning.penalties(s.clock.number) == {}
    answered = pinning.lab.client.answered(s.clock.number, pinning.snapshot().block)
    assert pinning.address(VICTIM) in answered
    door.mode = "forward"
    await_pin(pinning, ipfs, revealed(pinning, s.clock.number))


def test_a_proposer_whose_storage_fails_proposes(pinning: Standing, doors: list[FaultyProxy], ipfs: str) -> None:
    """Its proposal carries the model, and the others pin what comes of it."""
    s = pinning.reach(Phase.PROPOSE)
    seats = [pinning.lab.client.snapshot(pinning.address(i)).node.seat for i in range(NODES)]
    lead = seats.index(s.lead_seat)
    doors[lead].mode = "500"
    with capture_logs() as logs:
        pinning.live(lambda s: s.phase == Phase.CHALLENGE)
    assert "proposes unpinned" in {entry["event"] for entry in logs}
    assert pinning.snapshot().proposal.proposer == pinning.address(lead)
    (proposed,) = pinning.lab.client.events("Proposed", pinning.snapshot().block, round=s.clock.number)
    model = content_id(bytes(proposed["args"]["model"]))
    assert not Ipfs(ipfs).has(model)
    pinning.final(s.clock.number)
    await_pin(pinning, ipfs, model)
    assert pinning.penalties(s.clock.number) == {}


@pytest.mark.parametrize("phase", [Phase.AVAILABILITY, Phase.PROPOSE, Phase.CHALLENGE], ids=lambda p: p.name.lower())
def test_a_lost_pin_is_put_back_from_the_journal(pinning: Standing, ipfs: str, phase: Phase) -> None:
    number = pinning.reach(phase).clock.number
    name = revealed(pinning, number)
    lose(ipfs, name)
    assert not Ipfs(ipfs).has(name)
    with capture_logs() as logs:
        await_pin(pinning, ipfs, name)
        while "pinned again" not in {entry["event"] for entry in logs}:
            time.sleep(0.05)  # it says so afterwards, beside the loop
    pinning.final(number)
    assert pinning.penalties(number) == {}


def lose(ipfs: str, name: bytes) -> None:
    with httpx.Client(base_url=f"{ipfs}/api/v0/", trust_env=False) as client:
        client.post("pin/rm", params={"arg": cid_of(name)}).raise_for_status()
        client.post("repo/gc").raise_for_status()


def test_a_folder_that_nobody_may_write_to_is_named_and_waited_for(lab: Lab) -> None:
    federation, folder = Standing(lab, [lab.node(i) for i in (1, 2, 3)]), lab.folder / "storage"
    with without_override():
        for phase, done in ((Phase.COMMIT, "committed"), (Phase.REVEAL, "revealed")):
            federation.live(lambda s, p=phase: s.phase == p)
            federation.failures.clear()
            mode = folder.stat().st_mode
            folder.chmod(0o555)
            federation.turn(0)
            assert [type(error) for error in federation.failures] == [StorageError] * 3
            for error in federation.failures:
                assert error.message.startswith(f"The folder {folder} cannot be changed, for")
                assert error.message.endswith("Permission denied.")
            assert getattr(federation.snapshot().clock, done) == 0
            folder.chmod(mode)
            federation.turn(0)
            assert getattr(federation.snapshot().clock, done) == 3
    federation.final(1)
    assert_nobody_paid(lab)
