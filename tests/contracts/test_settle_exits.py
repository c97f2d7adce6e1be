"""settleExits and the queue that it empties: first in, first out, and no bond is trapped."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PARAMS, PHASES


@pytest.fixture
def crowd(accounts):
    return [accounts[i] for i in range(2, 15)]


def void_round(arena):
    arena.open()
    arena.pass_to("Void")


def test_settle_exits_first_in_first_out_succeeds(joined, nodes):
    void_round(joined)
    for i in (4, 1, 3):
        joined.federation.exit(sender=nodes[i])
    joined.federation.settleExits(2, sender=joined.founder)
    assert [joined.status(n) for n in nodes] == ["Active", "None", "Active", "Leaving", "None", "Active"]
    joined.federation.settleExits(2**256 - 1 - 3, sender=joined.founder)
    assert joined.status(nodes[3]) == "None"
    assert {n.address for n in (nodes[0], nodes[2], nodes[5])} == set(joined.members)


def test_settle_exits_many_leave_over_two_openings_succeeds(arena, crowd):
    arena.join(*crowd)
    void_round(arena)
    for node in crowd[:10]:
        arena.federation.exit(sender=node)
    void_round(arena)
    assert [arena.status(n) for n in crowd] == ["None"] * 8 + ["Leaving"] * 2 + ["Active"] * 3
    assert int(arena.federation.clock().selected) == 5
    void_round(arena)
    assert [arena.status(n) for n in crowd] == ["None"] * 10 + ["Active"] * 3


def test_settle_exits_joiners_fill_the_gap_behind_the_frozen_succeeds(arena, nodes):
    arena.join(*nodes[:4])
    void_round(arena)
    arena.join(*nodes[4:])
    arena.federation.exit(sender=nodes[0])
    arena.federation.settleExits(1, sender=arena.founder)
    assert arena.members == [nodes[i].address for i in (3, 1, 2, 5, 4)]
    assert tuple(arena.federation.memberCounts()) == (3, 2)
    assert [arena.status(nodes[i]) for i in (3, 1, 2, 5, 4)] == ["Active"] * 3 + ["Joining"] * 2


@pytest.mark.parametrize("stage", ["Draw", "Commit", "Reveal", "Propose", "Challenge"])
def test_settle_exits_while_a_round_runs_reverts(joined, nodes, stage):
    joined.federation.open(sender=joined.founder)
    if stage != "Draw":
        joined.pass_blocks(2)
        joined.federation.draw(sender=joined.founder)
        joined.pass_settling()
    if stage in ("Reveal", "Propose", "Challenge"):
        joined.commit(*nodes)
        joined.pass_settling()
    if stage in ("Propose", "Challenge"):
        joined.reveal(*nodes)
        joined.pass_to("Propose")
    if stage == "Challenge":
        joined.federation.propose(joined.model(), 0, sender=joined.lead(nodes))
    actual = {"actual": PHASES.index(stage), "needed": PHASES.index("Final")}
    joined.federation.exit(sender=nodes[0])
    with ape.reverts(joined.federation.WrongPhase, error_inputs=actual):
        joined.federation.settleExits(8, sender=nodes[0])
    with ape.reverts(joined.federation.WrongPhase, error_inputs=actual):
        joined.federation.open(sender=nodes[0])


def test_settle_exits_before_publication_reverts(joined, nodes):
    joined.propose(nodes)
    joined.pass_phase()
    assert joined.phase == "Final"
    with ape.reverts(joined.federation.WrongPhase):
        joined.federation.settleExits(8, sender=nodes[0])


def test_settle_exits_paused_frees_every_bond_succeeds(joined, nodes):
    joined.run_round(nodes)
    joined.federation.pause(sender=joined.guardian)
    for node in nodes:
        joined.federation.exit(sender=node)
    joined.federation.settleExits(6, sender=nodes[0])
    assert joined.members == []
    joined.pass_time(PARAMS["unbonding"])
    for node in nodes:
        joined.vault.withdraw(node, sender=node)
    assert joined.token.balanceOf(joined.vault) == 0
