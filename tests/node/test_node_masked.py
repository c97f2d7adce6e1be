"""Masked rounds among nodes in one process, on a real chain and a real store: what is shown, and what never is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import fedvol.node.acts as acts
from fedvol.chain.federation import VEILED, Phase
from fedvol.node.audit import audit, exit_code
from fedvol.node.daemon import Node
from fedvol.node.decide import Act, Action
from fedvol.node.journal import JournalError
from fedvol.node.keystore import round_secret
from fedvol.protocol import mask
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.roll import Roll
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import content_id, pack_model, unpack_model, unpack_update
from fedvol.storage import open_storage
from tests.node.conftest import PARAMS, Lab

M = 4


@pytest.fixture
def rounds() -> dict[str, Any]:
    return {"seats": M, "clusterSize": M, "minMembers": M, "epochRounds": 2}


@pytest.fixture
def nodes(lab: Lab) -> list[Node]:
    return [lab.node(i) for i in (1, 2, 3, 4)]


def address(node: Node) -> str:
    return node._account.address


def head(lab: Lab) -> int:
    return lab.client.snapshot().block


def plain_update(lab: Lab, node: Node, number: int, version: int = 1) -> np.ndarray:
    """What the node trained, without its mask: the same tape, model and secret give the same."""
    s = lab.client.snapshot()
    seed = lab.client.events("RoundDrawn", s.block, round=number)[-1]["args"]["seed"]
    where = RoundId(lab.client.deployment.chain_id, lab.client.federation.address, number, seed)
    secret = round_secret(node._account, repr(where).encode())
    start, opening = node.acts._opening(replace(s, version=version))
    data = node.acts._trainer.update(start, opening, Rule.from_params(s.params), secret)
    return unpack_update(data, node.acts._trainer.spec.dimension)


def expected(lab: Lab, nodes: list[Node], number: int = 1) -> bytes:
    """The plain mean of the nodes' updates."""
    old = unpack_model(lab.client.model(1), nodes[0].acts._trainer.spec.dimension)
    total = sum(plain_update(lab, n, number) for n in nodes).tolist()
    step, below = PARAMS["step"], len(nodes) << 16
    return pack_model(old + [int(np.sign(t)) * (abs(t) * step // below) for t in total])


def to_unmask(lab: Lab, nodes: list[Node]) -> None:
    """All have revealed, and nobody has unmasked."""
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == M, seconds=2)
    while lab.client.snapshot().phase != Phase.UNMASK:
        lab.pass_time(1)


def shown(lab: Lab, number: int = 1) -> dict[str, list[int]]:
    found = lab.client.unmaskings(number, head(lab))
    return {node: [int.from_bytes(k, "big") for k in u.keys] for node, u in found.items()}


def secrets_of(node: Node, number: int = 1) -> Any:
    (seed,) = {row[1] for row in node.acts._journal._query("SELECT * FROM masks WHERE number = ?", number)}
    return node.acts._journal.masks(number, int(seed, 16))


def assert_no_update_is_exposed(lab: Lab, nodes: list[Node], number: int = 1) -> None:
    """Nobody's self key is public together with all the pair keys of its vector; of a node that is missing the self key
    never is, and pair keys of survivors never are."""
    public = shown(lab, number)
    for node in nodes:
        masks = secrets_of(node, number)
        others = [k for j, k in enumerate(masks.pair_keys) if j != masks.place and k]
        seen = {key for name, keys in public.items() for key in keys}
        out = [k for k in others if k in seen]
        assert masks.self_key not in seen or not out, "a survivor's pair key is public"
        assert len(others) == M - 1


def test_a_masked_round_gives_the_plain_mean_exactly(lab: Lab, nodes: list[Node]) -> None:
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert lab.client.model(2) == expected(lab, nodes)
    storage = open_storage(str(lab.folder / "storage"))
    for reveal in lab.client.reveals(1, head(lab)):
        words = mask.words_of_bytes(storage.get(reveal.content_id))
        assert sum(word >> 248 != 0 for word in words) > len(words) // 2, "a masked word is any element of the field"
    assert_no_update_is_exposed(lab, nodes)
    findings = audit(lab.client, storage, 1)
    assert exit_code(findings) == 0, findings
    assert [f.step for f in findings].count("unmask") == M
    assert any(f.step == "cluster" and "the sum of 4" in f.what for f in findings)


def test_who_vanishes_between_commit_and_reveal_is_left_out_and_stays_hidden(lab: Lab, nodes: list[Node]) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == M, seconds=2)
    *rest, gone = nodes
    lab.cycle(*rest, until=lambda: lab.version == 2, seconds=8)
    assert lab.client.model(2) == expected(lab, rest)
    assert address(gone) not in shown(lab)
    gone_place = secrets_of(gone).place
    for node in rest:
        keys = shown(lab)[address(node)]
        masks = secrets_of(node)
        assert keys[1 + gone_place] == masks.pair_keys[gone_place]
        assert not {k for j, k in enumerate(masks.pair_keys) if j != gone_place and k} & set(keys)
    assert exit_code(audit(lab.client, open_storage(str(lab.folder / "storage")), 1)) == 0


def test_who_vanishes_before_unmasking_voids_its_cluster_and_pays(lab: Lab, nodes: list[Node]) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == M, seconds=2)
    *rest, gone = nodes
    lab.cycle(*rest, until=lambda: bool(lab.client.events("VeiledReported", head(lab), lab.client.duties)), seconds=8)
    assert lab.version == 1
    (report,) = lab.client.events("VeiledReported", head(lab), lab.client.duties)
    assert report["args"]["node"] == address(gone)
    assert report["args"]["taken"] == 3 * PARAMS["silencePenalty"] // 2
    assert_no_update_is_exposed(lab, nodes)
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=4)


def test_a_restarted_node_opens_with_the_same_bytes(lab: Lab, nodes: list[Node]) -> None:
    node = nodes[0]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == M, seconds=2)
    s = lab.client.snapshot(address(node))
    before = node.acts._journal.prepared(s.clock.number, s.clock.seed), secrets_of(node)
    assert node.acts.prepare(s) == before[0]
    assert node._sight.veil.masks(s) == before[1]
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert content_id(before[0].data) in {r.content_id for r in lab.client.reveals(1, head(lab))}


def test_a_node_opens_for_one_set_of_survivors_only(lab: Lab, nodes: list[Node]) -> None:
    """A reorganisation that makes a survivor a missing node must not make others show what they share with it."""
    node = nodes[0]
    to_unmask(lab, nodes)
    s = lab.client.snapshot(address(node))
    assert node._sight.veil.may_open(s)
    node.acts.do(Action(Act.UNMASK), s)
    changed = replace(s, roll=Roll(s.roll.word | 1 << (node_seat(lab, nodes[1])), s.roll.m, s.roll.selected))
    assert not node._sight.veil.may_open(changed)
    with pytest.raises(JournalError, match="other survivors"):
        node.acts._unmask(changed)
    assert len(shown(lab)[address(node)]) == 2


def node_seat(lab: Lab, node: Node) -> int:
    return lab.client.seats([address(node)], head(lab))[address(node)]


def test_the_survivors_must_be_deep_enough(lab: Lab) -> None:
    nodes = [lab.node(i, confirmations=3) for i in (1, 2, 3, 4)]
    to_unmask(lab, nodes)
    last = lab.client.reveals(1, head(lab))[-1].block
    lab.cycle(*nodes, until=lambda: len(shown(lab)) == M, seconds=1)
    assert min(u.block for u in lab.client.unmaskings(1, head(lab)).values()) > last + 3


def test_a_peer_without_a_key_shares_no_mask_and_too_few_of_them_means_sitting_out(
    lab: Lab, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that are missing, or off the curve, count alike: nothing is shared with their owners."""
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.number == 1, seconds=2)
    while lab.client.snapshot().phase != Phase.COMMIT:
        nodes[1].cycle()
        lab.pass_time(1)
    node, veil = nodes[0], nodes[0]._sight.veil
    s = lab.client.snapshot(address(node))
    real = lab.client.keys
    for bad in ((0, 0), (1, 1)):
        for count, may in ((1, True), (2, False)):
            lost = {address(n) for n in nodes[1 : 1 + count]}
            client = node._sight.veil._client
            monkeypatch.setattr(
                client,
                "keys",
                lambda who, *at, lost=lost, bad=bad: {n: bad if n in lost else k for n, k in real(who, *at).items()},
            )
            veil._peers = None
            assert veil.can_mask(s) is may
    monkeypatch.undo()
    veil._peers = None
    assert veil.can_mask(s)


def test_keys_rotate_by_epoch_and_old_secrets_are_deleted(lab: Lab, nodes: list[Node]) -> None:
    lab.cycle(*nodes, until=lambda: lab.version == 6, seconds=4, limit=600)
    registered = lab.client.events("KeyRegistered", head(lab), lab.client.keyring, node=address(nodes[0]))
    points = [(e["args"]["x"], e["args"]["y"]) for e in registered]
    assert len(set(points)) == len(points) >= 3
    keys = nodes[0]._sight.veil._keys
    held = [keys.secret(point) is not None for point in points]
    assert held[-1]
    assert not held[0], "who steals the keystore opens no old round"
    assert nodes[0].acts._journal._query("SELECT min(number) FROM masks")[0][0] > 1


def test_a_wrong_model_of_a_masked_round_is_disputed(lab: Lab) -> None:
    nodes = [lab.node(i, propose=False) for i in (1, 2, 3, 4)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().phase == Phase.PROPOSE, seconds=2)
    model = unpack_model(expected(lab, nodes), nodes[0].acts._trainer.spec.dimension)
    model[5] += 1
    lab.pass_time(PARAMS["leadWindow"])
    liar = nodes[1]
    call = lab.client.federation.functions.propose(pack_model(model), 0)
    liar.acts._outbox.deliver("lie", call, head(lab))
    disproved = lambda: lab.client.events("Disproved", head(lab), lab.client.settlement)  # noqa: E731
    lab.cycle(*nodes, until=lambda: bool(disproved()), seconds=1)
    (event,) = disproved()
    assert (event["args"]["proposer"], event["args"]["word"]) == (address(liar), 0)


def test_a_peer_that_masks_with_a_wrong_key_voids_its_cluster_and_is_counted(
    lab: Lab, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one cluster nothing is left: the round is final with the model as it was, and nobody pays."""
    saboteur = nodes[2]
    prepare, right = acts.Acts.prepare, acts.mask

    def wrongly(self: Any, s: Any) -> Any:
        wrong = (lambda data, own, pairs, place: right(data, own + 1, pairs, place)) if self is saboteur.acts else right
        monkeypatch.setattr(acts, "mask", wrong)
        return prepare(self, s)

    monkeypatch.setattr(acts.Acts, "prepare", wrongly)
    counted = lambda: lab.client.events("VoidReported", head(lab), lab.client.duties)  # noqa: E731
    everybody = {address(n) for n in nodes}
    lab.cycle(*nodes, until=lambda: {e["args"]["node"] for e in counted()} == everybody, seconds=2)
    assert lab.client.model(2) == lab.client.model(1)
    assert all(lab.client.snapshot(address(n)).node.bond == PARAMS["bond"] for n in nodes)
    findings = audit(lab.client, open_storage(str(lab.folder / "storage")), 1)
    assert exit_code(findings) == 0
    assert any("somebody masked wrongly" in f.what for f in findings)


def test_who_did_not_unmask_still_keeps_its_vector_pinned(lab: Lab, nodes: list[Node]) -> None:
    to_unmask(lab, nodes)
    late = address(nodes[3])
    lab.cycle(*nodes[:3], until=lambda: lab.client.unmaskings(1, head(lab)).keys() == {address(n) for n in nodes[:3]})
    # One reports it, and no other is there to open the next round.
    lab.cycle(nodes[0], until=lambda: lab.client.snapshot(late).node.ballot_state == VEILED)
    (name,) = [r.content_id for r in lab.client.reveals(1, head(lab)) if r.node == late]
    storage = open_storage(str(lab.folder / "storage"))
    (held,) = (lab.folder / "storage").rglob(f"*{name.hex()}*")
    held.chmod(0o600)
    held.unlink()
    assert not storage.has(name)
    deadline = time.monotonic() + 10
    while not storage.has(name):
        assert time.monotonic() < deadline
        nodes[3].cycle()  # its last look at storage may still be going on
        time.sleep(0.05)


def test_a_vector_lost_while_its_node_was_away_is_pinned_again_in_the_next_round(lab: Lab, nodes: list[Node]) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().phase == Phase.CHALLENGE, seconds=2)
    late = nodes[3]
    (name,) = [r.content_id for r in lab.client.reveals(1, head(lab)) if r.node == address(late)]
    lab.cycle(*nodes[:3], until=lambda: lab.version == 2)
    storage = open_storage(str(lab.folder / "storage"))
    (held,) = (lab.folder / "storage").rglob(f"*{name.hex()}*")
    held.chmod(0o600)
    held.unlink()
    assert not storage.has(name)
    lab.cycle(*nodes, until=lambda: lab.version == 3, seconds=2)
    assert storage.has(name)
