"""The lab is the protocol: one of its rounds and one of real nodes on a real chain come to the same bytes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.node.conftest import Lab, artefacts, chain, chain_url, deploy, lab, logs_as_before, proofs, tape  # noqa: F401

from fedvol.chain.federation import Phase
from fedvol.lab.federation import Nodes
from fedvol.learning.contribution import packed
from fedvol.learning.model import build
from fedvol.node.daemon import Node
from fedvol.node.keystore import round_secret
from fedvol.node.trainer import Trainer
from fedvol.protocol.cluster import Member
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import content_id, pack_model, unpack_model

M = 3


@dataclass
class Watched:
    """A backend that reads a chain's round and its nodes' keystores and journals."""

    round_id: RoundId
    by_node: list[int]
    secrets: list[bytes]
    mask_secrets: list[int]
    self_keys: list[int]

    def where(self, number: int) -> RoundId:
        return self.round_id

    def seats(self, number: int, count: int) -> list[int]:
        return self.by_node

    def round_secret(self, number: int, node: int) -> bytes:
        return self.secrets[node]

    def mask_secret(self, node: int) -> int:
        return self.mask_secrets[node]

    def self_key(self, number: int, node: int) -> int:
        return self.self_keys[node]


@pytest.fixture(params=[(1, False), (1, True), (M, False), (M, True)], ids=["plain", "weighted", "masked", "both"])
def rounds(request: pytest.FixtureRequest) -> dict[str, Any]:
    size, weighted = request.param
    changes = {"seats": 6, "clusterSize": size, "minMembers": 6, "weighted": weighted, "weightShift": 12}
    return changes | {"rule": int(weighted)}


def watched(lab: Lab, nodes: list[Node]) -> Watched:  # noqa: F811
    """Of a round in which all have revealed."""
    s = lab.client.snapshot()
    where = RoundId(lab.client.deployment.chain_id, lab.client.federation.address, s.clock.number, s.clock.seed)
    masked = s.roll is not None
    peers = [n._attest._veil.peers(lab.client.snapshot(n._account.address)) for n in nodes] if masked else []
    return Watched(
        where,
        [lab.client.snapshot(n._account.address).node.seat for n in nodes],
        [round_secret(n._account, repr(where).encode()) for n in nodes],
        [one.secret for one in peers],
        [n.acts._journal.masks(s.clock.number, s.clock.seed).self_key for n in nodes] if masked else [],
    )


def test_a_round_of_the_lab_and_one_on_a_chain_are_the_same_bytes(lab: Lab, rounds: dict[str, Any]) -> None:  # noqa: F811
    nodes = [lab.node(i) for i in range(1, 7)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == 6, seconds=2)
    backend = watched(lab, nodes)
    revealed = {r.node: r.content_id for r in lab.client.reveals(1, lab.client.snapshot().block)}
    start, opening = nodes[0].acts._opening(replace(lab.client.snapshot(), version=1))
    lab.cycle(*nodes, until=lambda: lab.version == 2)
    assert lab.client.snapshot().phase in (Phase.IDLE, Phase.FINAL)

    trainers = []
    for node in nodes:
        *parts, options = pickle.loads(node.acts._trainer._recipe)
        trainers.append(Trainer(*parts, **options))
    spec = trainers[0].spec
    settings, params = parts[-1], lab.client.snapshot().params
    rule, size = Rule.from_params(params), rounds["clusterSize"]
    federation = Nodes(build(spec), 6, rule, settings, cluster_size=size, backend=backend)
    weights = unpack_model(start, spec.dimension)
    sent = federation.sent(weights, opening, [trainer.rows() for trainer in trainers])
    data = {node: packed(one) for node, one in sent.items()}
    pinned = dict(data)
    if size > 1:
        for number, cluster in enumerate(federation.clusters()):
            for place, node in enumerate(cluster):
                member: Member = federation._member(number * size, cluster, place, data[node], 0)
                pinned[node] = member.data
    assert {nodes[i]._account.address: content_id(bytes_) for i, bytes_ in pinned.items()} == revealed
    new = federation.settle(weights, data)
    assert pack_model(new) == lab.client.model(2)
    assert new.tolist() != weights.tolist()
