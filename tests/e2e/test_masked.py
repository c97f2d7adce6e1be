"""Drop-outs, reorganisations and a saboteur in a masked federation of eight real daemons: no update is ever shown."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from scripts._anvil import rpc
from scripts._localnet import Desk, Localnet, localnet
from scripts.demo import split_tape

from fedvol.chain.federation import Phase, Snapshot
from fedvol.market.synthetic import DEFAULT_END_MS
from fedvol.node.audit import audit, exit_code
from fedvol.storage import open_storage

DESKS, M = 8, 4
WINDOW_HOURS = 6.0
#: One epoch for all of it, so that who sits with whom stays; half of the seats, and of the clusters, will do.
PLAN = {
    "rounds": {
        "cluster_size": M, "seats": DESKS, "min_members": DESKS, "epoch_rounds": 40, "finality": 2, "interval": 4,
        "commit_window": 14, "reveal_window": 10, "demand_window": 3, "unmask_window": 8, "challenge_window": 5,
    }
}  # fmt: skip
SECONDS = 150

T = TypeVar("T")

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    home = tmp_path_factory.mktemp("masked")
    with localnet(home, WINDOW_HOURS, DESKS, changes=PLAN, start=DEFAULT_END_MS // 1000) as net:
        net.environment["FEDVOL_NODE_CONFIRMATIONS"] = "1"
        for name, tape in split_tape(None, None, 7, WINDOW_HOURS).items():
            net.add_desk(name, tape)
        for desk in net.desks:
            net.start(desk)
        yield net


def wait(net: Localnet, look: Callable[[Snapshot], T], seconds: float = SECONDS) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        snapshot = net.snapshot()
        if found := look(snapshot):
            return found
        time.sleep(0.1)
    logs = "\n".join(f"== {desk.name}\n{desk.log.read_text()[-1200:]}" for desk in net.desks)
    raise AssertionError(f"still in {net.snapshot()}\n{logs}")


def next_round(net: Localnet) -> Snapshot:
    """A round that has just opened, after the first, whose epoch seats everybody."""
    before = net.snapshot().clock.number
    return wait(net, lambda s: s if s.clock.number > max(before, 1) and s.phase in (Phase.DRAW, Phase.SETTLE) else None)


def in_cluster(net: Localnet, cluster: int) -> list[Desk]:
    seats = {desk.name: net.client.federation.functions.seatOf(desk.address).call() for desk in net.desks}
    return [desk for desk in net.desks if seats[desk.name] // M == cluster]


def state(net: Localnet, desk: Desk, number: int) -> int:
    _, round_, _, found = net.client.federation.functions.ballotOf(desk.address).call()
    return found if round_ == number else 0


def ended(net: Localnet, number: int) -> bool:
    """Waits for the round's end; whether it was final."""
    return wait(
        net,
        lambda s: (
            "final"
            if net.client.events("RoundFinal", s.block, round=number)
            else "void"
            if s.clock.number > number or (s.clock.number == number and s.phase == Phase.VOID)
            else None
        ),
    ) == "final"  # fmt: skip


def of(net: Localnet, name: str, number: int, contract: object = None) -> list:
    return net.client.events(name, net.client.web3.eth.block_number, contract, round=number)


def revive(net: Localnet, *desks: Desk) -> None:
    """Once it is too late to commit; early enough for the next round."""
    wait(net, lambda s: s.phase not in (Phase.DRAW, Phase.COMMIT, Phase.SETTLE, Phase.REVEAL))
    for desk in desks:
        net.start(desk)


def assert_right(net: Localnet, number: int) -> None:
    """Recomputed from chain and storage alone, the round is what it should be."""
    findings = audit(net.client, open_storage(str(net.home / "storage")), number)
    assert exit_code(findings) == 0, findings


def assert_nothing_is_exposed(net: Localnet) -> None:
    """What of the desks' own journals is public: of a vector that counts the self key, and pair keys with the missing
    alone; of one that does not count pair keys at most. So no vector of any round can be read."""
    head = net.client.web3.eth.block_number
    checked = 0
    for desk in net.desks:
        with sqlite3.connect(f"file:{desk.home / 'data' / 'journal.sqlite'}?mode=ro", uri=True) as journal:
            rows = journal.execute("SELECT number, place, keys FROM masks").fetchall()
        for number, place, keys in rows:
            own, *pairs = (int.from_bytes(keys[i : i + 32], "big") for i in range(0, len(keys), 32))
            shown = net.client.unmaskings(number, head)
            public = {int.from_bytes(k, "big") for u in shown.values() for k in u.keys}
            others = [k for j, k in enumerate(pairs) if j != place]
            assert all(others), "everybody has a key"
            if own in public:
                # A whole cluster shows the hash of its rings; of four, one at most may be missing.
                missing = int(len(shown[desk.address].keys) > 2)
                assert sum(k in public for k in others) == missing, f"round {number}: {desk.name}'s update can be read"
            else:
                assert desk.address not in shown
            checked += 1
    assert checked >= DESKS


# ---------------------------------------------------------------------- drop-outs


def test_one_dies_before_its_commit_and_one_of_the_other_cluster_before_its_reveal(net: Localnet) -> None:
    s = next_round(net)
    number = s.clock.number
    absent, silent = in_cluster(net, 0)[0], in_cluster(net, 1)[0]
    net.kill(absent)
    wait(net, lambda s: state(net, silent, number) == 1)
    net.kill(silent)
    revive(net, absent, silent)
    assert ended(net, number)
    assert {e["args"]["node"] for e in of(net, "AbsenceReported", number, net.client.duties)} <= {absent.address}
    shown = net.client.unmaskings(number, net.client.web3.eth.block_number)
    assert len(shown) == DESKS - 2
    assert {len(u.keys) for u in shown.values()} == {M + 1}, (
        "each cluster has one missing, and opens what it shares with it"
    )
    assert_right(net, number)
    assert_nothing_is_exposed(net)


def test_one_dies_between_its_reveal_and_its_unmasking(net: Localnet) -> None:
    """Its cluster is void and it pays; the other cluster's round is final. It comes back, too late."""
    number = next_round(net).clock.number
    gone = in_cluster(net, 0)[1]
    wait(net, lambda s: state(net, gone, number) == 2)
    net.kill(gone)
    wait(net, lambda s: s.clock.number == number and s.phase == Phase.PROPOSE)
    revive(net, gone)
    assert ended(net, number)
    reported = wait(net, lambda s: of(net, "VeiledReported", number, net.client.duties))
    assert [e["args"]["node"] for e in reported] == [gone.address]
    assert reported[0]["args"]["taken"] == 3 * net.snapshot().params["silencePenalty"] // 2
    for other in ("AbsenceReported", "SilenceReported", "UnansweredReported"):
        assert not of(net, other, number, net.client.duties)
    assert_right(net, number)
    assert_nothing_is_exposed(net)


def test_two_die_in_one_cluster(net: Localnet) -> None:
    """Two are left of four: they show nothing, and the other cluster goes on."""
    number = next_round(net).clock.number
    first, second, *left = in_cluster(net, 1)
    net.kill(first)
    wait(net, lambda s: state(net, second, number) == 1)
    net.kill(second)
    revive(net, first, second)
    assert ended(net, number)
    shown = net.client.unmaskings(number, net.client.web3.eth.block_number)
    assert not {d.address for d in left} & shown.keys()
    assert set(shown) == {d.address for d in in_cluster(net, 0)}
    assert_right(net, number)
    assert_nothing_is_exposed(net)


def test_a_whole_cluster_dies(net: Localnet) -> None:
    number = next_round(net).clock.number
    gone = in_cluster(net, 0)
    for desk in gone:
        net.kill(desk)
    revive(net, *gone)
    assert ended(net, number)
    assert set(net.client.unmaskings(number, net.client.web3.eth.block_number)) == {
        d.address for d in in_cluster(net, 1)
    }
    assert_right(net, number)
    later = next_round(net).clock.number
    assert ended(net, later)
    assert len(of(net, "Revealed", later)) == DESKS, "all are back"
    assert_nothing_is_exposed(net)


# ---------------------------------------------------------------------- reorganisations


def test_blocks_are_undone_across_each_border_of_a_round(net: Localnet) -> None:
    """Whatever the last block held is lost: the daemons send it again, and open for one set of survivors only."""
    number = next_round(net).clock.number
    for phase in (Phase.COMMIT, Phase.REVEAL, Phase.AVAILABILITY, Phase.UNMASK, Phase.PROPOSE, Phase.CHALLENGE):
        wait(net, lambda s, p=phase: s.clock.number > number or (s.phase == p and s.block))
        rpc(net.url, "anvil_reorg", 1, [])
    later = next_round(net).clock.number
    assert ended(net, later)
    for done in range(number, later + 1):
        if of(net, "RoundFinal", done):
            assert_right(net, done)
    assert_nothing_is_exposed(net)


# ---------------------------------------------------------------------- a wrong mask


def test_a_desk_that_masks_with_a_wrong_key_voids_its_cluster_only(net: Localnet) -> None:
    saboteur = in_cluster(net, 0)[2]
    net.kill(saboteur)
    saboteur.rogue = [sys.executable, "-m", "scripts.attacker", "--mask-wrongly"]
    revive(net, saboteur)
    opened = next_round(net)
    number = opened.clock.number
    hit = [d.address for d in in_cluster(net, 0)]
    assert ended(net, number)
    counted = wait(net, lambda s: len(e := of(net, "VoidReported", number, net.client.duties)) == M and e)
    assert {e["args"]["node"] for e in counted} == set(hit)
    # Not by bonds: a desk that was away in an earlier round tops its own up.
    latest = net.client.web3.eth.block_number
    assert not net.client.events("Slashed", latest, net.client.vault, opened.block + 1), "nobody can tell who it was"
    assert net.client.model(net.snapshot().version) != net.client.model(net.snapshot().version - 1)
    assert_right(net, number)
    assert_nothing_is_exposed(net)
