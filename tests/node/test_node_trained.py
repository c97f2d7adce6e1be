"""Rounds whose training is proven: on rows pledged before they opened, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from web3.contract import Contract

from fedvol.chain.federation import DROPPED, Phase
from fedvol.chain.proofs import Claim, refusal
from fedvol.node.daemon import Node
from fedvol.protocol.agreed import Limits
from fedvol.protocol.evidence import Evidence, Pledge
from fedvol.storage import open_storage
from tests.node.conftest import Lab
from tests.node.test_node_masked import address, head
from tests.node.test_node_proven import M, rounds, until_revealed  # noqa: F401

NORM = 1 << 46


@pytest.fixture
def proofs(deploy: Callable[..., Contract]) -> tuple[str, int, int, int]:
    return deploy("InsecureTrainedVerifier").address, 2, NORM, Limits().packed


@pytest.fixture
def nodes(lab: Lab) -> list[Node]:
    return [lab.node(i) for i in (1, 2, 3, 4)]


def claims(lab: Lab, number: int) -> dict[str, Claim]:
    storage = open_storage(str(lab.folder / "storage"))
    found = {}
    for reveal in lab.client.reveals(number, head(lab)):
        evidence = Evidence.read(storage.get(Pledge.read(storage.get(reveal.pledge)).proof_id))
        found[reveal.node] = Claim.of(reveal, storage.get(reveal.content_id), evidence)
    return found


def test_two_rounds_are_trained_on_what_was_pledged_before_each(lab: Lab, nodes: list[Node]) -> None:
    """In the first on what each node pledged when it came, in the second on what it pledged with its first reveal."""
    until_revealed(lab, nodes)
    pledged = {e["args"]["node"]: e["args"]["pledge"] for e in lab.client.events("Pledged", head(lab))}
    first = claims(lab, 1)
    assert {node: claim.evidence.before.digest for node, claim in first.items()} == pledged
    with_reveal = {reveal.node: reveal.pledge for reveal in lab.client.reveals(1, head(lab))}
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert not lab.client.events("Demanded", head(lab), lab.client.duties)
    assert lab.client.model(2) != lab.client.model(1)
    lab.cycle(*nodes, until=lambda: lab.round == 2 and lab.client.snapshot().clock.revealed == M, seconds=1)
    assert {node: c.evidence.before.digest for node, c in claims(lab, 2).items()} == with_reveal

    node = address(nodes[0])
    second, block = claims(lab, 2)[node], head(lab)
    assert refusal(lab.client, second, block) is None
    # Last round's proof, another node's, and rows that were pledged after the round had opened.
    assert "ProofRefused" in refusal(lab.client, replaced(second, proof=first[node].evidence.proof), block)
    other = claims(lab, 2)[address(nodes[1])].evidence.proof
    assert "ProofRefused" in refusal(lab.client, replaced(second, proof=other), block)
    late = Pledge.read(open_storage(str(lab.folder / "storage")).get(lab.client.reveals(2, block)[0].pledge))
    assert "NotPledged" in refusal(lab.client, replaced(second, before=late), block)


def replaced(claim: Claim, **changes: Any) -> Claim:
    return replace(claim, evidence=replace(claim.evidence, **changes))


def test_who_trains_on_other_rows_than_it_pledged_is_dropped(
    lab: Lab, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its witness generator finds nothing; a prover without one shows something, and nobody takes it."""
    saboteur = nodes[2].acts._sight.attest
    honest = saboteur._step

    def other_rows(rows: Any, *more: Any) -> Any:
        made = honest(rows, *more)
        moved = np.array(made.p)
        moved[np.flatnonzero(made.h)[0]] += 1
        return made._replace(p=moved.tolist())

    monkeypatch.setattr(saboteur, "_step", other_rows)
    committed = lambda: lab.client.snapshot().clock.committed == M  # noqa: E731
    lab.cycle(*nodes, until=committed, seconds=1)
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == M - 1, seconds=1)
    seed = lab.client.snapshot().clock.seed
    assert nodes[2].acts._journal.evidence(1, seed) is None  # it cannot prove what it sent
    stolen = nodes[0].acts._journal.evidence(1, seed)
    nodes[2].acts._journal.keep_evidence(1, seed, stolen)
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    (demanded,) = lab.client.events("Demanded", head(lab), lab.client.duties)
    assert demanded["args"]["node"] == address(nodes[2])
    state = lambda: lab.client.ballots([address(nodes[2])], head(lab))[address(nodes[2])].state  # noqa: E731
    lab.cycle(*nodes, until=lambda: state() == DROPPED, seconds=1)


def test_who_pledged_nothing_sits_out(lab: Lab, nodes: list[Node]) -> None:
    first = nodes[0].acts._sight.attest
    lab.cycle(*nodes, until=lambda: lab.round == 1, seconds=1)
    while lab.client.snapshot().phase != Phase.COMMIT:
        nodes[1].cycle()
        lab.pass_time(1)
    assert first.can_train(lab.client.snapshot(address(nodes[0])))
    first._journal._write("DELETE FROM promises")
    assert not first.can_train(lab.client.snapshot(address(nodes[0])))
