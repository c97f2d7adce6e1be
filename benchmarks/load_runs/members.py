"""What grows with the members: gas of opening, drawing and leaving; what one node reads at each look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.load_runs.node import add_node, cycle, opened, restart, show_seconds
from benchmarks.load_runs.stage import Crowd, count_calls, measured, pass_time, reach, stage
from scripts._anvil import rpc
from scripts._localnet import Desk, Localnet

from fedvol.chain.federation import NO_SEAT, Phase
from fedvol.node.faults import Faults
from fedvol.protocol.roll import MOST_SEATS

M = 6
EXITS = 8


def run(home: Path, sizes: Sequence[int]) -> Iterator[dict[str, float]]:
    """A row for each number of members."""
    rounds = {"cluster_size": M, "epoch_rounds": 1, "quorum_bps": 5_000}
    with stage(home, MOST_SEATS, M, rounds) as net:
        crowd, desk, own = Crowd(net), add_node(net), count_calls(net.client.web3)
        with opened(desk) as (node, _, _):
            while net.snapshot().joining == 0:
                cycle(node)
        crowd.join(M)
        _opened(net, crowd)  # the first round of all writes what later ones overwrite
        for size in sizes:
            crowd.join(size - 1)
            yield {"members": size} | _at(net, crowd, desk, own)


def _at(net: Localnet, crowd: Crowd, desk: Desk, own: Counter[str]) -> dict[str, float]:
    client, founder = net.client, net.founder
    row: dict[str, float] = {}
    reach_end(net, crowd)
    row["open_gas"], row["draw_gas"] = _opened(net, crowd)
    reach(net, Phase.COMMIT)
    s = client.snapshot()
    at = {"block_identifier": s.block}
    seats = {node: client.federation.functions.seatOf(node).call(**at) for node in crowd.members}
    seated = [node for node, seat in seats.items() if seat != NO_SEAT and seat < s.clock.selected]
    row["commit_gas"] = crowd.send([(seated[0], client.federation, "commit", (7,))])[0]
    with opened(desk) as (node, calls, took):
        row["open_node_s"] = took
        quorum = s.clock.quorum
        crowd.send([(node_, client.federation, "commit", (7,)) for node_ in seated[1 : quorum + 1]])
        # The others are absent, and nobody has reported it yet: what a look costs then.
        reach(net, Phase.REVEAL)
        with measured(own) as snapshot:
            s = client.snapshot(desk.address)
        with measured(own) as reports:
            due = Faults(client, desk.address).due(s)
        with measured(own) as listed:
            client.members(s)
        with measured(own) as seating:
            client.seated(s.members, s.block)
        row |= {
            "snapshot_calls": snapshot.calls.total(), "snapshot_ms": 1e3 * snapshot.wall,
            "reports_due": len(due), "reports_calls": reports.calls.total(), "reports_ms": 1e3 * reports.wall,
            "members_calls": listed.calls.total(), "members_ms": 1e3 * listed.wall,
            "lot_ms": 1e3 * seating.wall,
        }  # fmt: skip
        reach_end(net, crowd)
        _opened(net, crowd)
        reach(net, Phase.COMMIT)
        cycle(node)  # its own commit, if it has a seat
        with measured(calls) as look:
            cycle(node)
        row |= {"look_calls": look.calls.total(), "look_ms": 1e3 * look.wall}
    row["show_s"] = show_seconds(net)
    row |= restart(net, desk)
    reach_end(net, crowd)
    leavers = [node for node in crowd.members if node != desk.address][-EXITS:]
    row["exit_gas"] = max(crowd.send([(node, client.federation, "exit", ()) for node in leavers]))
    row["settle_exits_gas"] = crowd.send([(founder, client.federation, "settleExits", (EXITS,))])[0]
    bonded = crowd.members[: -len(leavers)]
    crowd.members, crowd.name = bonded, f"{crowd.name}'"  # those who left do not come back
    return row


def reach_end(net: Localnet, crowd: Crowd) -> None:
    """To where the next round may be opened. A round that a daemon has opened meanwhile comes to nothing."""
    if net.snapshot().phase == Phase.DRAW:
        rpc(net.url, "anvil_mine", 2)
        crowd.send([(net.founder, net.client.federation, "draw", ())])
    reach(net, Phase.IDLE, Phase.VOID, Phase.FINAL)
    s = net.snapshot()
    pass_time(net, max(1, s.next_opening - s.time))


def _opened(net: Localnet, crowd: Crowd) -> tuple[int, int]:
    """Gas of opening and drawing."""
    open_gas = crowd.send([(net.founder, net.client.federation, "open", ())])[0]
    rpc(net.url, "anvil_mine", 2)
    return open_gas, crowd.send([(net.founder, net.client.federation, "draw", ())])[0]
