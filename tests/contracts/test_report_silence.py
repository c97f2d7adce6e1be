"""reportSilence: who commits and does not reveal pays, more each time, half burned, half to who reported it."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

PENALTY = PARAMS["silencePenalty"]
BURNED = "0x000000000000000000000000000000000000dEaD"


def silent_round(arena, nodes):
    """Everybody commits, all but the first reveal, and revealing ends by time."""
    arena.open()
    arena.commit(*nodes)
    arena.reveal(*nodes[1:])
    arena.pass_phase()


@pytest.fixture
def silenced(joined, nodes):
    silent_round(joined, nodes)
    return joined


def bond(arena, node):
    return int(arena.vault.bondOf(node).amount)


def test_report_silence_half_burned_half_to_the_reporter_succeeds(silenced, nodes, stranger):
    burned = silenced.token.balanceOf(BURNED)
    receipt = silenced.duties.reportSilence(nodes[0], sender=stranger)
    event = {"round": 1, "node": nodes[0].address, "reporter": stranger.address, "taken": PENALTY}
    assert receipt.events.filter(silenced.duties.SilenceReported, **event)
    assert bond(silenced, nodes[0]) == BOND - PENALTY
    assert silenced.token.balanceOf(BURNED) - burned == PENALTY // 2
    assert silenced.vault.claimable(stranger) == PENALTY // 2
    silenced.vault.claim(stranger, sender=stranger)
    assert silenced.token.balanceOf(stranger) == PENALTY // 2
    assert int(silenced.duties.recordOf(nodes[0]).faults) == 1
    assert int(silenced.federation.ballotOf(nodes[0]).state) == 3
    assert silenced.status(nodes[0]) == "Active", "a first slip costs no seat"


def test_report_silence_odd_penalty_burns_the_larger_half_succeeds(make_arena, nodes, stranger):
    arena = make_arena(silencePenalty=7)
    arena.join(*nodes[:2])
    silent_round(arena, nodes[:2])
    burned = arena.token.balanceOf(BURNED)
    arena.duties.reportSilence(nodes[0], sender=stranger)
    assert (arena.token.balanceOf(BURNED) - burned, arena.vault.claimable(stranger)) == (4, 3)


def test_report_silence_penalty_doubles_up_to_eight_times_succeeds(make_arena, nodes):
    arena = make_arena(silencePenalty=BOND // 100)
    arena.join(*nodes[:2])
    taken = []
    for _ in range(5):
        silent_round(arena, nodes[:2])
        before = bond(arena, nodes[0])
        arena.duties.reportSilence(nodes[0], sender=nodes[1])
        taken.append((before - bond(arena, nodes[0])) * 100 // BOND)
        arena.pass_to("Void")
    assert taken == [1, 2, 4, 8, 8]


def test_report_silence_of_a_spent_bond_queues_the_exit_succeeds(joined, nodes):
    """Otherwise silence would be free once the bond is gone."""
    for expected in ("Active", "Active", "Active", "Leaving"):
        silent_round(joined, nodes)
        joined.duties.reportSilence(nodes[0], sender=nodes[1])
        joined.pass_to("Void")
        assert joined.status(nodes[0]) == expected
    with ape.reverts(joined.federation.NotMember):
        joined.federation.exit(sender=nodes[0])
    joined.open()
    assert joined.status(nodes[0]) == "None"
    assert int(joined.vault.bondOf(nodes[0]).unlocksAt) > 0


def test_report_silence_of_who_has_left_already_succeeds(silenced, nodes):
    silenced.federation.exit(sender=nodes[0])
    silenced.pass_to("Void")
    silenced.federation.settleExits(1, sender=nodes[0])
    silenced.duties.reportSilence(nodes[0], sender=nodes[1])
    assert bond(silenced, nodes[0]) == BOND - PENALTY
    assert silenced.status(nodes[0]) == "None"


def test_report_silence_twice_reverts(silenced, nodes):
    silenced.duties.reportSilence(nodes[0], sender=nodes[1])
    with ape.reverts(silenced.duties.NotSilent, error_inputs={"node": nodes[0].address}):
        silenced.duties.reportSilence(nodes[0], sender=nodes[1])
    assert bond(silenced, nodes[0]) == BOND - PENALTY


def test_report_silence_of_who_revealed_reverts(silenced, nodes):
    with ape.reverts(silenced.duties.NotSilent, error_inputs={"node": nodes[1].address}):
        silenced.duties.reportSilence(nodes[1], sender=nodes[0])


def test_report_silence_of_who_did_not_commit_reverts(joined, nodes, stranger):
    joined.open()
    joined.commit(*nodes[:5])
    joined.pass_to("Void")
    for node in (nodes[5], stranger):
        with ape.reverts(joined.duties.NotSilent, error_inputs={"node": node.address}):
            joined.duties.reportSilence(node, sender=nodes[0])


def test_report_silence_while_revealing_reverts(make_arena, nodes):
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(*nodes)
    arena.open()
    arena.commit(*nodes)
    for phase in ("Settle", "Reveal"):
        arena.pass_to(phase)
        with ape.reverts(arena.duties.NotSilent):
            arena.duties.reportSilence(nodes[0], sender=nodes[1])


def test_report_silence_where_too_few_committed_reverts(joined, nodes):
    """Nobody was asked to reveal."""
    joined.open()
    joined.commit(*nodes[:2])
    joined.pass_time(1_000)
    assert joined.phase == "Void"
    with ape.reverts(joined.duties.NotSilent):
        joined.duties.reportSilence(nodes[0], sender=nodes[1])


def test_report_silence_where_too_few_revealed_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes)
    joined.pass_to("Reveal")
    joined.pass_phase()
    assert joined.phase == "Void"
    for node in nodes:
        joined.duties.reportSilence(node, sender=nodes[0])
    assert {bond(joined, n) for n in nodes} == {BOND - PENALTY}


def test_report_silence_after_a_proposal_succeeds(silenced, nodes):
    silenced.pass_to("Propose")
    silenced.pass_time(PARAMS["leadWindow"])
    silenced.federation.propose(silenced.model(), 0, sender=nodes[1])
    silenced.duties.reportSilence(nodes[0], sender=nodes[1])
    assert bond(silenced, nodes[0]) == BOND - PENALTY


def test_report_silence_of_the_round_before_reverts(silenced, nodes):
    silenced.pass_to("Void")
    silenced.open()
    silenced.pass_time(1_000)
    with ape.reverts(silenced.duties.NotSilent):
        silenced.duties.reportSilence(nodes[0], sender=nodes[1])
