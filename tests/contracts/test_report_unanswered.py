"""reportUnanswered: bytes withheld cost twice a silence and do not count; the demander is paid."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

PENALTY = 2 * PARAMS["silencePenalty"]
DEMAND = PARAMS["demandBond"]
BURNED = "0x000000000000000000000000000000000000dEaD"


@pytest.fixture
def withheld(revealed, trio, stranger):
    """The first's bytes were demanded, and the time to answer is over."""
    revealed.demand(trio[0], by=stranger)
    revealed.pass_phase()
    return revealed


def test_report_unanswered_pays_the_demander_whoever_reports_succeeds(withheld, trio, nodes, stranger):
    burned = withheld.token.balanceOf(BURNED)
    receipt = withheld.duties.reportUnanswered(trio[0], sender=nodes[4])
    event = {"round": 1, "node": trio[0].address, "demander": stranger.address, "taken": PENALTY}
    assert receipt.events.filter(withheld.duties.UnansweredReported, **event)
    assert withheld.bond(trio[0]) == BOND - PENALTY
    assert withheld.token.balanceOf(BURNED) - burned == PENALTY // 2
    assert (withheld.vault.claimable(stranger), withheld.vault.claimable(nodes[4])) == (PENALTY // 2, 0)
    assert withheld.duties.claimable(stranger) == DEMAND
    assert withheld.ballot_state(trio[0]) == 6
    assert int(withheld.duties.recordOf(trio[0]).faults) == 1
    withheld.duties.claim(sender=stranger)
    assert int(withheld.duties.balance) == 0


@pytest.mark.parametrize("reported", [False, True])
def test_report_unanswered_the_rest_makes_the_model_succeeds(withheld, trio, stranger, reported):
    """Whether reported or not: those whose bytes are not known do not count."""
    if reported:
        withheld.duties.reportUnanswered(trio[0], sender=stranger)
    withheld.pass_to("Propose")
    withheld.pass_time(PARAMS["leadWindow"])  # the lot may have drawn the one that was penalised
    model = withheld.aggregate(trio[1:])
    withheld.federation.propose(model, 0, sender=trio[1])
    withheld.settle(model, trio[1:], by=stranger)
    assert bytes(withheld.registry.modelOf(2)) == model


def test_report_unanswered_without_quorum_the_round_is_void_succeeds(revealed, trio, stranger):
    revealed.demand(*trio[:2], by=stranger)
    assert revealed.phase == "Availability", "both may still answer"
    revealed.pass_phase()
    assert revealed.phase == "Void"
    for node in trio[:2]:
        revealed.duties.reportUnanswered(node, sender=stranger)
    assert [revealed.bond(n) for n in trio] == [BOND - PENALTY, BOND - PENALTY, BOND]
    assert revealed.open() == 2


def test_report_unanswered_after_a_proposal_succeeds(withheld, trio, stranger):
    withheld.pass_to("Propose")
    withheld.federation.propose(withheld.aggregate(trio[1:]), 0, sender=withheld.lead(trio))
    withheld.duties.reportUnanswered(trio[0], sender=stranger)
    assert withheld.bond(trio[0]) == BOND - PENALTY


def test_report_unanswered_in_the_next_round_succeeds(withheld, trio, stranger):
    withheld.pass_to("Void")
    withheld.open()
    receipt = withheld.duties.reportUnanswered(trio[0], sender=stranger)
    assert receipt.events.filter(withheld.duties.UnansweredReported, round=1, taken=PENALTY)
    assert withheld.duties.claimable(stranger) == DEMAND
    withheld.commit(*trio)


def test_report_unanswered_in_time_reverts(revealed, trio, stranger):
    revealed.demand(trio[0], by=stranger)
    for _ in range(2):
        with ape.reverts(revealed.duties.NotDemanded, error_inputs={"node": trio[0].address}):
            revealed.duties.reportUnanswered(trio[0], sender=stranger)
        revealed.pass_time(PARAMS["demandWindow"] - 10)
    assert revealed.phase == "Availability"


def test_report_unanswered_of_who_answered_reverts(revealed, trio, stranger):
    revealed.demand(trio[0], by=stranger)
    revealed.answer(trio[0], by=stranger)
    revealed.pass_to("Propose")
    for node in trio[:2]:
        with ape.reverts(revealed.duties.NotDemanded, error_inputs={"node": node.address}):
            revealed.duties.reportUnanswered(node, sender=stranger)


def test_report_unanswered_twice_reverts(withheld, trio, stranger):
    withheld.duties.reportUnanswered(trio[0], sender=stranger)
    with ape.reverts(withheld.duties.NotDemanded):
        withheld.duties.reportUnanswered(trio[0], sender=stranger)
    assert withheld.bond(trio[0]) == BOND - PENALTY


def test_report_unanswered_cannot_be_dodged_by_a_new_commit_reverts(withheld, trio, stranger):
    """The ballot is all that remembers the demand: nothing replaces it before somebody has reported."""
    withheld.pass_to("Void")
    withheld.open()
    with ape.reverts(withheld.federation.UnansweredDemand, error_inputs={"node": trio[0].address}):
        withheld.commit(trio[0])
    withheld.duties.reportUnanswered(trio[0], sender=trio[1])
    assert withheld.duties.claimable(stranger) == DEMAND
    assert withheld.bond(trio[0]) == BOND - PENALTY
    withheld.commit(trio[0])


def test_report_unanswered_by_the_guilty_earns_it_nothing_succeeds(withheld, trio, stranger):
    withheld.pass_to("Void")
    withheld.open()
    withheld.duties.reportUnanswered(trio[0], sender=trio[0])
    assert withheld.vault.claimable(trio[0]) == 0
    assert withheld.vault.claimable(stranger) == PENALTY // 2
