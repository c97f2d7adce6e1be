"""settleExits and the queue that it empties: first in, first out, and no bond is trapped."""

from __future__ import annotations

import ape
import pytest

from tests.contracts.arena import PHASES


@pytest.fixture
def crowd(accounts):
    return [accounts[i] for i in range(2, 15)]


def void_round(arena):
    arena.open()
    arena.pass_to("Void")


def test_settle_exits_first_in_first_out_succeeds(arena, nodes):
    arena.join(*nodes)
    void_round(arena)
    for i in (4, 1, 3):
        arena.federation.exit(sender=nodes[i])
    arena.federation.settleExits(2, sender=arena.founder)
    assert [arena.status(n) for n in nodes] == ["Active", "None", "Active", "Leaving", "None", "Active"]
    arena.federation.settleExits(2**256 - 1 - 3, sender=arena.founder)
    assert arena.status(nodes[3]) == "None"
    assert {n.address for n in (nodes[0], nodes[2], nodes[5])} == set(arena.members)


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
def test_settle_exits_while_a_round_runs_reverts(arena, nodes, stage):
    arena.join(*nodes)
    arena.federation.open(sender=arena.founder)
    if stage != "Draw":
        arena.pass_blocks(2)
        arena.federation.draw(sender=arena.founder)
        arena.pass_settling()
    if stage in ("Reveal", "Propose", "Challenge"):
        arena.commit(*nodes)
        arena.pass_settling()
    if stage in ("Propose", "Challenge"):
        arena.reveal(*nodes)
        arena.pass_settling()
    if stage == "Challenge":
        arena.federation.propose(arena.model(), sender=arena.lead(nodes))
    actual = {"actual": PHASES.index(stage), "needed": PHASES.index("Final")}
    arena.federation.exit(sender=nodes[0])
    with ape.reverts(arena.federation.WrongPhase, error_inputs=actual):
        arena.federation.settleExits(8, sender=nodes[0])
    with ape.reverts(arena.federation.WrongPhase, error_inputs=actual):
        arena.federation.open(sender=nodes[0])


def test_settle_exits_before_publication_reverts(arena, nodes):
    arena.join(*nodes)
    arena.propose(nodes)
    arena.pass_phase()
    assert arena.phase == "Final"
    with ape.reverts(arena.federation.WrongPhase):
        arena.federation.settleExits(8, sender=nodes[0])


def test_settle_exits_paused_frees_every_bond_succeeds(arena, nodes):
    arena.join(*nodes)
    arena.run_round(nodes)
    arena.federation.pause(sender=arena.guardian)
    for node in nodes:
        arena.federation.exit(sender=node)
    arena.federation.settleExits(6, sender=nodes[0])
    assert arena.members == []
    arena.pass_time(2_000)
    for node in nodes:
        arena.vault.withdraw(node, sender=node)
    assert arena.token.balanceOf(arena.vault) == 0
