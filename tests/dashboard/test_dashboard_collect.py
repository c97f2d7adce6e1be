"""What the collector makes of a chain: what anybody sees who reads it from the start, however blocks went."""

from __future__ import annotations

import json

import pytest
from scripts._anvil import rpc
from scripts._faults import faulty_proxy

from fedvol.chain.client import connect
from fedvol.chain.federation import FederationClient
from fedvol.dashboard import collect, history, ledger
from fedvol.dashboard.board import Board
from fedvol.dashboard.collect import Collector
from fedvol.dashboard.history import History
from fedvol.dashboard.ledger import Entry, Ledger
from fedvol.dashboard.surfaces import Surfaces
from tests.node.conftest import Lab

pytestmark = pytest.mark.timeout(180)


def collector(lab: Lab) -> Collector:
    return Collector(lab.client, Board(), Surfaces(lab.client, None), None)


def shown(c: Collector) -> dict[str, object]:
    """All sections, once nothing is left to do, but for when the head was seen."""
    while c.look():
        pass
    found = {name: json.loads(text) for name, (_, text) in c._board._sections.items()}
    del found["head"]["seen_ms"]
    found["versions"].pop("edition")
    return found


def test_a_page_that_watched_shows_what_one_shows_that_came_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = collector(lab)
    others = [lab.node(i) for i in (1, 2)]
    silent = lab.node(3, keeper=False)

    def look() -> bool:
        watching.look()
        return lab.version == 2

    lab.cycle(*others, silent, until=lambda: watching.look() and lab.client.snapshot().clock.committed == 3)
    lab.cycle(*others, until=look)
    seen = shown(watching)
    assert seen == shown(collector(lab))
    monkeypatch.setattr(ledger, "SPAN", 3)  # an endpoint that gives few blocks at once
    assert seen == shown(collector(lab))
    (row,) = [n for n in seen["nodes"] if n["node"] == silent._account.address]
    assert (row["asked"], row["revealed"], row["silent"], row["taken"], row["bond"]) == (1, 0, 1, 50.0, 950.0)
    assert [i["what"] for i in seen["incidents"]] == ["committed, never revealed"]
    gas = {g["kind"]: g for g in seen["gas"]}
    assert (gas["commit"]["count"], gas["reveal"]["count"], gas["report silence"]["count"]) == (3, 2, 1)
    receipts = lab.client.events("Committed", lab.client.snapshot().block)
    used = [lab.client.web3.eth.get_transaction_receipt(e["transactionHash"])["gasUsed"] for e in receipts]
    assert gas["commit"]["most"] == max(used)


def test_a_reorganisation_leaves_nothing_of_what_it_undid(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "BEHIND_LIMIT", 3)
    first, second, third = (lab.node(i) for i in (1, 2, 3))
    watching = collector(lab)
    lab.cycle(first, until=lambda: lab.client.snapshot().joining == 1)
    before = shown(watching)
    mark = rpc(lab.url, "evm_snapshot")
    lab.cycle(second, until=lambda: lab.client.snapshot().joining == 2)
    assert len(shown(watching)["nodes"]) == 2
    rpc(lab.url, "evm_revert", mark)
    watching.look()
    assert len(shown(watching)["nodes"]) == 2  # an endpoint that lags: not believed at once
    for _ in range(3):
        watching.look()
    assert shown(watching) == before
    mark = rpc(lab.url, "evm_snapshot")
    lab.cycle(third, until=lambda: lab.client.snapshot().joining == 2)
    height = lab.client.web3.eth.block_number
    shown(watching)
    rpc(lab.url, "evm_revert", mark)
    rpc(lab.url, "anvil_mine", hex(height + 2 - lab.client.web3.eth.block_number))
    assert [n["node"] for n in shown(watching)["nodes"]] == [first._account.address]
    assert shown(watching)["gas"] == before["gas"]


def test_a_block_costs_as_many_calls_after_many_rounds_as_after_few(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    with faulty_proxy(lab.url) as proxy:
        client = FederationClient(connect(proxy.url), lab.client.deployment)
        watching = Collector(client, Board(), Surfaces(client, None), None)

        def calls() -> int:
            shown(watching)
            before = len(proxy.commands)
            rpc(lab.url, "anvil_mine", 1)
            shown(watching)
            return len(proxy.commands) - before

        lab.cycle(*nodes, until=lambda: lab.version == 2)
        after_one = calls()
        lab.cycle(*nodes, until=lambda: lab.version == 4)
        after_three = calls()
    print(f"\nRPC calls for a quiet block: {after_one}, {after_three}")
    assert 0 < after_one == after_three <= 16


def test_what_is_kept_is_bounded() -> None:
    kept = History()
    for number in range(1, 1_001):
        node = f"0x{number % 40:040x}"
        kept.take(
            [
                entry(number, 0, "RoundOpened", round=number, selected=3, members=3, seedBlock=1),
                entry(number, 1, "Committed", round=number, node=node, seat=0),
                entry(number, 2, "SilenceReported", round=number, node=node, reporter=node, taken=10**18),
            ]
        )
        kept.trim()
    assert sorted(kept.rounds) == list(range(801, 1_001))
    assert len(kept.newest_incidents()) == history.SHOWN_INCIDENTS
    assert kept.newest_incidents()[0].round == 1_000
    assert len(kept.incidents) <= history.INCIDENTS
    assert len(kept.gas.wanted) <= 8 * history.SAMPLES
    assert kept.participation(f"0x{0:040x}") == {
        "asked": 5, "revealed": 0, "absent": 0, "silent": 5, "withheld": 0, "veiled": 0,
    }  # fmt: skip


def entry(block: int, index: int, name: str, **args: object) -> Entry:
    return Entry((block, index), bytes(32), f"0x{block:062x}{index:02x}", name, args)


def test_every_event_that_the_page_speaks_of_exists(lab: Lab) -> None:
    known = {event.event_name for event in Ledger(lab.client)._events.values()}
    assert set(history.ACTS) | set(history.INCIDENT_KINDS) | set(history.KINDS) | history.STANDING <= known
    assert set(history.KINDS.values()) == set(history.ORDER)
