"""reportAbsence: a missed round costs half a silence, more each time; the second in a row costs the seat."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

HALF = PARAMS["silencePenalty"] // 2
BURNED = "0x000000000000000000000000000000000000dEaD"


def miss(arena, trio):
    """A round without the first, up to the end of its commits."""
    if arena.phase not in ("Idle", "Void", "Final"):
        arena.pass_to("Void")
    arena.open()
    arena.commit(*trio[1:])
    arena.pass_phase()


@pytest.fixture(scope="module")
def members(make_arena, trio):
    arena = make_arena()
    arena.join(*trio)
    return arena


@pytest.fixture
def missed(members, trio):
    miss(members, trio)
    return members


def test_report_absence_takes_half_a_silence_succeeds(missed, trio, stranger):
    burned = missed.token.balanceOf(BURNED)
    receipt = missed.duties.reportAbsence(trio[0], sender=stranger)
    event = {"round": 1, "node": trio[0].address, "reporter": stranger.address, "taken": HALF, "suspended": False}
    assert receipt.events.filter(missed.duties.AbsenceReported, **event)
    assert missed.bond(trio[0]) == BOND - HALF
    assert missed.token.balanceOf(BURNED) - burned == HALF // 2
    assert missed.vault.claimable(stranger) == HALF // 2
    record = missed.duties.recordOf(trio[0])
    assert (int(record.faults), int(record.absences), int(record.absentRound)) == (1, 1, 1)
    assert missed.status(trio[0]) == "Active"


def test_report_absence_odd_amounts_round_against_the_absent_succeeds(make_arena, trio, stranger):
    arena = make_arena(silencePenalty=5)
    arena.join(*trio)
    miss(arena, trio)
    burned = arena.token.balanceOf(BURNED)
    arena.duties.reportAbsence(trio[0], sender=stranger)
    assert BOND - arena.bond(trio[0]) == 3
    assert (arena.token.balanceOf(BURNED) - burned, arena.vault.claimable(stranger)) == (2, 1)


def test_report_absence_second_in_a_row_costs_twice_and_suspends_succeeds(missed, trio, stranger):
    missed.duties.reportAbsence(trio[0], sender=stranger)
    miss(missed, trio)
    receipt = missed.duties.reportAbsence(trio[0], sender=stranger)
    assert receipt.events.filter(missed.duties.AbsenceReported, round=2, taken=2 * HALF, suspended=True)
    assert missed.status(trio[0]) == "Leaving"
    assert int(missed.duties.recordOf(trio[0]).absences) == 0
    missed.pass_to("Void")
    missed.open()
    assert missed.status(trio[0]) == "None"
    missed.fund(trio[0], 3 * HALF)
    missed.federation.join(3 * HALF, sender=trio[0])
    assert missed.status(trio[0]) == "Joining", "it may come back once its bond is whole"


def test_report_absence_a_commit_between_starts_the_count_anew_succeeds(missed, trio, stranger):
    missed.duties.reportAbsence(trio[0], sender=stranger)
    missed.pass_to("Void")
    missed.open()
    missed.commit(*trio)
    for absences in (1, 2):
        miss(missed, trio)
        receipt = missed.duties.reportAbsence(trio[0], sender=stranger)
        taken = HALF << absences
        assert receipt.events.filter(missed.duties.AbsenceReported, taken=taken, suspended=absences == 2)


def test_report_absence_unreported_rounds_do_not_suspend_succeeds(missed, trio, stranger):
    miss(missed, trio)
    receipt = missed.duties.reportAbsence(trio[0], sender=stranger)
    assert receipt.events.filter(missed.duties.AbsenceReported, round=2, taken=HALF, suspended=False)


def test_report_absence_escalates_with_other_faults_succeeds(members, trio, stranger):
    members.open()
    members.commit(*trio)
    members.reveal(*trio[1:])
    members.pass_to("Propose")
    members.duties.reportSilence(trio[0], sender=stranger)
    miss(members, trio)
    receipt = members.duties.reportAbsence(trio[0], sender=stranger)
    assert receipt.events.filter(members.duties.AbsenceReported, taken=2 * HALF, suspended=False)


def test_report_absence_where_too_few_committed_succeeds(members, trio, stranger):
    members.open()
    members.pass_phase()
    assert members.phase == "Void"
    for node in trio:
        members.duties.reportAbsence(node, sender=stranger)
    assert {members.bond(n) for n in trio} == {BOND - HALF}


def test_report_absence_while_committing_reverts(members, trio, stranger):
    refused = {"error_inputs": {"node": trio[0].address}}
    with ape.reverts(members.duties.NotAbsent, **refused):
        members.duties.reportAbsence(trio[0], sender=stranger)
    members.federation.open(sender=stranger)
    with ape.reverts(members.duties.NotAbsent, **refused):
        members.duties.reportAbsence(trio[0], sender=stranger)
    members.pass_blocks(2)
    members.federation.draw(sender=stranger)
    members.pass_settling()
    members.commit(*trio[1:])
    with ape.reverts(members.duties.NotAbsent, **refused):
        members.duties.reportAbsence(trio[0], sender=stranger)


def test_report_absence_twice_in_a_round_reverts(missed, trio, stranger):
    missed.duties.reportAbsence(trio[0], sender=stranger)
    with ape.reverts(missed.duties.NotAbsent, error_inputs={"node": trio[0].address}):
        missed.duties.reportAbsence(trio[0], sender=stranger)


def test_report_absence_of_who_committed_reverts(missed, trio, stranger):
    """Not to reveal is silence, and is judged once."""
    missed.pass_to("Void")
    with ape.reverts(missed.duties.NotAbsent, error_inputs={"node": trio[1].address}):
        missed.duties.reportAbsence(trio[1], sender=stranger)
    missed.duties.reportSilence(trio[1], sender=stranger)
    with ape.reverts(missed.duties.NotAbsent):
        missed.duties.reportAbsence(trio[1], sender=stranger)


def test_report_absence_without_a_seat_reverts(make_arena, nodes, trio, stranger):
    """A joiner waits for its epoch, a member may not be drawn, and a stranger owes nothing."""
    arena = make_arena(seats=2)
    arena.join(*trio)
    arena.open()
    arena.join(nodes[4])
    arena.pass_phase()
    unseated = next(n for n in trio if int(arena.federation.seatOf(n)) >= 2)
    for node in (unseated, nodes[4], stranger):
        with ape.reverts(arena.duties.NotAbsent, error_inputs={"node": node.address}):
            arena.duties.reportAbsence(node, sender=stranger)
    for node in trio:
        if node != unseated:
            arena.duties.reportAbsence(node, sender=stranger)


def test_report_absence_of_who_leaves_is_due_until_it_has_left_succeeds(missed, trio, stranger):
    missed.federation.exit(sender=trio[0])
    missed.duties.reportAbsence(trio[0], sender=stranger)
    assert missed.bond(trio[0]) == BOND - HALF


def test_report_absence_after_the_exits_reverts(missed, trio, stranger):
    """Seats are gone once a member has left: whose seat it was can no longer be told."""
    missed.federation.exit(sender=trio[0])
    missed.pass_to("Void")
    missed.federation.settleExits(8, sender=stranger)
    with ape.reverts(missed.duties.NotAbsent, error_inputs={"node": trio[0].address}):
        missed.duties.reportAbsence(trio[0], sender=stranger)
