"""Proof-carrying rounds: real proofs, a real verifier, and what becomes of a vector that has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner
from web3.contract import Contract

import fedvol.node.acts as acts
from fedvol.chain.federation import ANSWERED, COMMITTED, DROPPED, Phase
from fedvol.cli import app
from fedvol.errors import ConfigError
from fedvol.node.audit import audit, exit_code
from fedvol.node.daemon import Node
from fedvol.proofs.backend import Proof
from fedvol.protocol.evidence import Evidence, Pledge
from fedvol.protocol.mask import unmasked
from fedvol.protocol.vector import pack_weighted, unpack_model, unpack_weighted
from fedvol.storage import open_storage
from tests.node.conftest import PARAMS, Lab, mined
from tests.node.test_node_commands import write
from tests.node.test_node_masked import address, head, secrets_of

M = 4
NORM = 1 << 46
SHIFT = 18


@pytest.fixture
def rounds() -> dict[str, Any]:
    weights = {"weighted": True, "weightCap": 1 << 18, "weightShift": 18}
    windows = {"revealWindow": 200, "demandWindow": 60, "demandBond": 10**18, "unbonding": 10_000}
    return {"seats": M, "clusterSize": M, "minMembers": M, "epochRounds": 8} | weights | windows


@pytest.fixture
def proofs(deploy: Callable[..., Contract]) -> tuple[str, int, int, int]:
    return deploy("InsecureBoundedVerifier").address, 1, NORM, 0


@pytest.fixture
def nodes(lab: Lab) -> list[Node]:
    return [lab.node(i) for i in (1, 2, 3, 4)]


def ballot(lab: Lab, node: Node) -> int:
    return lab.client.ballots([address(node)], head(lab))[address(node)].state


def until_revealed(lab: Lab, nodes: list[Node], count: int = M) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == count, seconds=1)


def test_an_honest_round_is_proven_off_chain_and_costs_no_verification(lab: Lab, nodes: list[Node]) -> None:
    until_revealed(lab, nodes)
    storage = open_storage(str(lab.folder / "storage"))
    for reveal in lab.client.reveals(1, head(lab)):
        pledge = Pledge.read(storage.get(reveal.pledge))
        assert Evidence.read(storage.get(pledge.proof_id)).proof_id == pledge.proof_id
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert not lab.client.events("Demanded", head(lab), lab.client.duties)
    assert exit_code(audit(lab.client, storage, 1)) == 0


def spoil(saboteur: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks with another key than it commits to: without proofs this voids its cluster, and nobody knows who it was."""
    prepare, right = acts.Acts.prepare, acts.mask

    def wrongly(self: Any, s: Any) -> Any:
        wrong = (lambda data, own, pairs, place: right(data, own + 1, pairs, place)) if self is saboteur.acts else right
        monkeypatch.setattr(acts, "mask", wrong)
        return prepare(self, s)

    monkeypatch.setattr(acts.Acts, "prepare", wrongly)


def pretend(saboteur: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows noise of the right length where a proof should be, and does not look at it."""
    monkeypatch.setattr("fedvol.node.attest.refusal", lambda *_: None)
    attest = saboteur.acts._sight.attest
    attest._workers.submit = lambda *_: _Done(Proof(bytes(range(256)) * 34 + bytes(64), [], 0.1, 0))  # type: ignore


class _Done:
    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def done(self) -> bool:
        return True

    def result(self) -> Proof:
        return self._proof


def test_a_garbage_vector_is_dropped_before_unmasking_and_its_sender_pays(
    lab: Lab, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster goes on without it, and its sum is that of the others."""
    saboteur, honest = nodes[2], [n for i, n in enumerate(nodes) if i != 2]
    spoil(saboteur, monkeypatch)
    pretend(saboteur, monkeypatch)
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    (demanded,) = lab.client.events("Demanded", head(lab), lab.client.duties)
    assert demanded["args"]["node"] == address(saboteur)
    assert not lab.client.events("VoidReported", head(lab), lab.client.duties)
    assert not lab.client.snapshot().proposal.voids
    opened = lab.client.unmaskings(1, head(lab))
    assert set(opened) == {address(n) for n in honest}
    lab.cycle(*honest, until=lambda: ballot(lab, saboteur) == DROPPED, seconds=1)
    (reported,) = lab.client.events("UnansweredReported", head(lab), lab.client.duties)
    assert reported["args"]["node"] == address(saboteur)
    assert reported["args"]["taken"] == 2 * PARAMS["silencePenalty"]
    assert all(lab.client.snapshot(address(n)).node.bond == PARAMS["bond"] for n in honest)
    totals = sum(np.array(bare(n)) for n in honest)
    moved = np.flatnonzero(totals[1])
    step = totals[0][moved] * 2.0**SHIFT / totals[1][moved]
    new, old = (weights_of(lab, version) for version in (2, 1))
    assert np.abs((new - old)[moved] - step).max() <= 1


def bare(node: Node) -> tuple[np.ndarray, np.ndarray]:
    masks = secrets_of(node)
    part = node.acts._journal.prepared(1, masks.seed)
    return unpack_weighted(unmasked(part.data, masks.self_key, masks.pair_keys, masks.place), 160)


def weights_of(lab: Lab, version: int) -> np.ndarray:

    return unpack_model(lab.client.model(version), 160)


def test_a_node_that_is_demanded_for_nothing_shows_its_proof_and_is_refunded(lab: Lab, nodes: list[Node]) -> None:
    until_revealed(lab, nodes)
    while lab.client.snapshot().phase != Phase.AVAILABILITY:
        lab.pass_time(1)
    victim, founder = nodes[0], lab.client.web3.eth.accounts[0]
    bond = lab.client.snapshot().params["demandBond"]
    mined(lab.client.duties.functions.demand(address(victim)), founder, bond)
    lab.cycle(*nodes, until=lambda: ballot(lab, victim) == ANSWERED, seconds=1)
    (answer,) = lab.client.events("Answered", head(lab), lab.client.duties)
    receipt = lab.client.web3.eth.get_transaction_receipt(answer["transactionHash"])
    assert answer["args"]["refund"] >= receipt["gasUsed"] * receipt["effectiveGasPrice"]
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert len(lab.client.unmaskings(1, head(lab))) == M


def test_a_node_reveals_no_proof_that_the_chain_would_refuse(lab: Lab, nodes: list[Node]) -> None:
    """A stale circuit, say, or another reference string: silence costs half as much."""
    stale = nodes[1]
    stale.acts._sight.attest._workers.submit = lambda *_: _Done(Proof(bytes(8_768), [], 0.1, 0))  # type: ignore
    until_revealed(lab, nodes, M - 1)
    assert ballot(lab, stale) == COMMITTED
    assert stale.acts._journal.evidence(1, lab.client.snapshot().clock.seed) is None


def test_a_proof_survives_a_restart_and_is_made_once(lab: Lab, nodes: list[Node]) -> None:
    first, *_others = nodes
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == M, seconds=1)
    seed = lab.client.snapshot().clock.seed
    while first.acts._journal.evidence(1, seed) is None:
        first.cycle()
    made = first.acts._journal.evidence(1, seed)
    first.acts._sight.attest._running = None
    until_revealed(lab, nodes)
    assert first.acts._journal.evidence(1, seed) == made


def test_proving_and_verifying_by_hand(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    config = lab.config(1)
    path = write(config, config.keystore.parent)
    common = ["--rpc", lab.url, "--deployments", str(config.deployments)]
    judge = ["verify", "--storage", config.storage, *common]
    early = CliRunner().invoke(app, ["prove", "--config", str(path)])
    assert isinstance(early.exception, ConfigError)
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == M, seconds=1)
    made = CliRunner().invoke(app, ["prove", "--config", str(path), "--out", str(tmp_path / "evidence"), "--json"])
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    assert said["public inputs"] == 72
    assert said["seconds"] > 0
    assert said["peak memory, MB"] > 10
    until_revealed(lab, nodes)
    judged = CliRunner().invoke(app, [*judge, "--json"])
    assert judged.exit_code == 0, judged.output
    assert [row["verdict"] for row in json.loads(judged.stdout)["proofs"]] == ["holds"] * M
    # One made by hand holds as well, for its node and for no other.
    by_hand = ["--evidence", str(tmp_path / "evidence"), "--node"]
    assert CliRunner().invoke(app, [*judge, *by_hand, address(nodes[0])]).exit_code == 0
    assert CliRunner().invoke(app, [*judge, *by_hand, address(nodes[1])]).exit_code == 8


def test_what_is_sent_is_shortened_to_the_norm(lab: Lab) -> None:
    from fedvol.learning.quantize import within

    moves = np.array([300, -400, 0, 1])
    assert within(moves, 250_001).tolist() == moves.tolist()
    short = within(moves, 62_500)
    assert short.tolist() == [149, -199, 0, 0]
    assert sum(short**2) <= 62_500
    assert len(pack_weighted(moves, np.abs(moves))) == 64
