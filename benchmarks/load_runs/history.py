"""What grows with the rounds that have been: what a node reads, and how long that takes the endpoint."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from benchmarks.load_runs.members import reach_end
from benchmarks.load_runs.node import add_node, cycle, opened, restart, show_seconds
from benchmarks.load_runs.stage import Crowd, count_calls, measured, pass_time, reach, stage
from scripts._anvil import rpc
from scripts._localnet import Desk, Localnet

from fedvol.chain.federation import Phase
from fedvol.chain.versions import start_of
from fedvol.node.audit import audit, exit_code
from fedvol.protocol.commitment import NO_ANNEX, RoundId, commitment
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.vector import pack_weighted
from fedvol.storage import Storage, open_storage

CROWD = 3
LEAD_S = 10
"""Past the lead's window."""
EVENTS = ("RoundFinal", "Revealed", "Proposed", "RoundDrawn")


def run(home: Path, sizes: Sequence[int]) -> Iterator[dict[str, float]]:
    """A row for each number of rounds that have become final."""
    rounds = {"cluster_size": 1, "min_members": CROWD, "epoch_rounds": 50, "unbonding": 3_600}
    with stage(home, CROWD + 1, CROWD, rounds, pillars=2) as net:
        crowd, desk, storage = Crowd(net), add_node(net), open_storage(str(net.home / "storage"))
        own = count_calls(net.client.web3)
        with opened(desk) as (node, _, _):
            while net.snapshot().joining == 0:
                cycle(node)
        crowd.join(CROWD)
        done = 0
        for size in sizes:
            while done < size - 1:
                _cheap_round(net, crowd, storage)
                done += 1
            yield {"rounds": size} | _at(net, crowd, desk, storage, own)
            done += 1


def nothing(times: int = 0) -> None:
    """Nobody but the crowd is there."""


def _cheap_round(net: Localnet, crowd: Crowd, storage: Storage, turn: Callable[..., None] = nothing) -> None:
    """A round of updates that move nothing. `turn` is called where a real node may have something to do."""
    client, federation = net.client, net.client.federation
    reach_end(net, crowd)
    crowd.send([(net.founder, federation, "open", ())])
    rpc(net.url, "anvil_mine", 2)
    crowd.send([(net.founder, federation, "draw", ())])
    turn()
    reach(net, Phase.COMMIT)
    turn()
    s = client.snapshot()
    where = RoundId(client.deployment.chain_id, federation.address, s.clock.number, s.clock.seed)
    zeros = np.zeros(client.deployment.spec["dimension"], dtype=np.int64)
    name, salt = storage.put(pack_weighted(zeros, zeros)), hashlib.sha256(b"salt").digest()
    crowd.send([(n, federation, "commit", (commitment(where, n, name, salt),)) for n in crowd.members])
    reach(net, Phase.REVEAL)
    turn()
    crowd.send([(n, federation, "reveal", (name, NO_ANNEX, salt, NO_PLEDGE)) for n in crowd.members])
    reach(net, Phase.AVAILABILITY, Phase.PROPOSE)
    turn()
    reach(net, Phase.PROPOSE)
    turn()
    while net.snapshot().phase == Phase.PROPOSE:
        pass_time(net, LEAD_S)
        turn()
        if turn is nothing:  # a real node has moved the model, and proposes it
            model = start_of(client, s.version, s.proposal.opened_at, net.snapshot().block)
            crowd.send([(crowd.members[0], federation, "propose", (model, 0))])
    turn(1)
    reach(net, Phase.FINAL)
    while net.snapshot().version == s.version:  # not a look more: the next would open a round
        if turn is nothing:
            model = client.proposed_model(s.clock.number, net.snapshot().block)
            crowd.send([(net.founder, federation, "publish", (model,))])
        else:
            turn(1)
            pass_time(net, 1)


def _at(net: Localnet, crowd: Crowd, desk: Desk, storage: Storage, own: Counter[str]) -> dict[str, float]:
    client, row = net.client, {}
    with opened(desk) as (node, calls, took):
        row["open_node_s"] = took
        looks: list[tuple[int, float, float]] = []

        def turn(times: int = 3) -> None:
            for _ in range(times):
                with measured(calls) as cost:
                    cycle(node)
                looks.append((cost.calls.total(), cost.wall, cost.cpu))

        before = calls.copy()
        _cheap_round(net, crowd, storage, turn)
        spent: Counter[str] = calls - before
        row |= {
            "round_calls": spent.total(), "round_logs": spent["eth_getLogs"], "looks": len(looks),
            "round_s": sum(wall for _, wall, _ in looks), "round_cpu_s": sum(cpu for *_, cpu in looks),
        }  # fmt: skip
    s = client.snapshot()
    for name in EVENTS:
        with measured(own) as scan:
            client.events(name, s.block)
        row[f"scan_{name}_ms"] = 1e3 * scan.wall
    with measured(own) as one:
        client.reveals(s.clock.number, s.block)
    row["scan_one_round_ms"] = 1e3 * one.wall
    with measured(own) as audited:
        findings = audit(client, storage, s.clock.number)
    if exit_code(findings):
        raise RuntimeError(f"the audit of round {s.clock.number}: {findings}")
    row |= {"audit_s": audited.wall, "audit_calls": audited.calls.total(), "blocks": s.block}
    row["journal_kb"] = (desk.home / "data" / "journal.sqlite").stat().st_size / 1e3
    row["show_s"] = show_seconds(net)
    return row | restart(net, desk)
