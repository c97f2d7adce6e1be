"""overturn: what a proof of fraud does to the round and to the liar; and that only the modules may do such things."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

BURNED = "0x000000000000000000000000000000000000dEaD"


def overturn(arena, trio, by):
    """A wrong proposal by the lot's choice, disproved at once. Returns the liar."""
    model = arena.propose(trio, arena.aggregate(trio, {0: 1}))
    liar = next(n for n in trio if n.address == arena.federation.proposal().proposer)
    arena.dispute(model, trio, by=by)
    arena.pass_settling()
    return liar


def raise_bond(arena, node, amount):
    arena.fund(node, amount)
    arena.vault.fund(node, amount, sender=node)


def test_overturn_event_and_state_succeeds(revealed, trio, stranger):
    model = revealed.propose(trio, revealed.aggregate(trio, {0: 1}))
    burned, liar = revealed.token.balanceOf(BURNED), revealed.federation.proposal().proposer
    receipt = revealed.dispute(model, trio, by=stranger)
    event = {"round": 1, "proposer": liar, "accuser": stranger.address, "failures": 1, "taken": BOND}
    assert receipt.events.filter(revealed.federation.Overturned, **event)
    proposal = revealed.federation.proposal()
    assert (int(proposal.proposer, 16), int.from_bytes(proposal.contentId), int(proposal.failures)) == (0, 0, 1)
    assert revealed.token.balanceOf(BURNED) - burned == BOND // 2
    revealed.vault.claim(stranger, sender=stranger)
    assert revealed.token.balanceOf(stranger) == BOND // 2


def test_overturn_odd_bond_burns_the_larger_half_succeeds(revealed, trio, stranger):
    raise_bond(revealed, revealed.lead(trio), 1)
    burned = revealed.token.balanceOf(BURNED)
    overturn(revealed, trio, stranger)
    assert revealed.token.balanceOf(BURNED) - burned == BOND // 2 + 1
    assert revealed.vault.claimable(stranger) == BOND // 2


def test_overturn_lets_any_member_propose_at_once_with_twice_the_bond_succeeds(revealed, trio, stranger):
    liar = overturn(revealed, trio, stranger)
    honest = next(n for n in trio if n != liar)
    model = revealed.aggregate(trio)
    inputs = {"given": BOND, "needed": 2 * BOND}
    with ape.reverts(revealed.federation.BondTooSmall, error_inputs=inputs):
        revealed.federation.propose(model, 0, sender=honest)
    raise_bond(revealed, honest, BOND - 1)
    with ape.reverts(revealed.federation.BondTooSmall, error_inputs=inputs | {"given": 2 * BOND - 1}):
        revealed.federation.propose(model, 0, sender=honest)
    raise_bond(revealed, honest, 1)
    revealed.federation.propose(model, 0, sender=honest)
    revealed.pass_phase()
    revealed.federation.publish(model, sender=stranger)
    assert bytes(revealed.registry.modelOf(2)) == model


def test_overturn_three_times_voids_the_round_and_keeps_the_model_succeeds(revealed, trio, stranger):
    overturn(revealed, trio, stranger)
    for failures in (1, 2):
        liar = next(n for n in trio if revealed.bond(n))
        raise_bond(revealed, liar, (BOND << failures) - BOND)
        model = revealed.aggregate(trio, {failures: 1})
        revealed.federation.propose(model, 0, sender=liar)
        receipt = revealed.dispute(model, trio, by=stranger)
        assert receipt.events.filter(revealed.federation.Overturned, failures=failures + 1, taken=BOND << failures)
        revealed.pass_settling()
    assert revealed.phase == "Void"
    assert int(revealed.registry.current().version) == 1
    assert revealed.vault.claimable(stranger) == 7 * BOND // 2
    revealed.join(stranger)
    assert revealed.open() == 2
    assert revealed.members == [stranger.address], "all three have left"


def test_overturn_without_another_proposal_voids_the_round_succeeds(revealed, trio, stranger):
    overturn(revealed, trio, stranger)
    assert revealed.phase == "Propose"
    revealed.pass_phase()
    assert revealed.phase == "Void"


def test_overturn_makes_the_liar_leave_succeeds(revealed, trio, stranger):
    liar = overturn(revealed, trio, stranger)
    assert revealed.status(liar) == "Leaving"
    with ape.reverts(revealed.federation.BondTooSmall, error_inputs={"given": 0, "needed": 2 * BOND}):
        revealed.federation.propose(revealed.aggregate(trio), 0, sender=liar)
    revealed.pass_to("Void")
    revealed.open()
    assert revealed.status(liar) == "None"
    revealed.join(liar)
    assert revealed.status(liar) == "Joining"


def test_overturn_reaches_who_has_queued_its_exit_succeeds(revealed, trio, stranger):
    """Neither before nor after proposing does an exit take the bond out of reach."""
    model, lead = revealed.aggregate(trio, {0: 1}), revealed.lead(trio)
    revealed.federation.exit(sender=lead)
    revealed.propose(trio, model)
    with ape.reverts(revealed.federation.WrongPhase):
        revealed.federation.settleExits(8, sender=lead)
    with ape.reverts(revealed.vault.StillLocked):
        revealed.vault.withdraw(lead, sender=lead)
    revealed.dispute(model, trio, by=stranger)
    assert revealed.bond(lead) == 0
    assert revealed.status(lead) == "Leaving"


def test_overturn_of_oneself_costs_half_succeeds(revealed, trio):
    """Who accuses itself cannot save the burned half."""
    lead = revealed.lead(trio)
    model = revealed.propose(trio, revealed.aggregate(trio, {0: 1}))
    revealed.dispute(model, trio, by=lead)
    assert (revealed.bond(lead), revealed.vault.claimable(lead)) == (0, BOND // 2)


def test_overturn_finds_the_reserve_that_own_reports_leave_succeeds(make_arena, trio, stranger):
    """A liar that has itself slashed for absence and silence first cannot get below half of the bond."""
    arena = make_arena(silencePenalty=BOND // 16)
    arena.join(*trio)
    drained = trio[0]
    for _ in range(4):
        arena.open()
        arena.commit(*trio)
        arena.reveal(*trio[1:])
        arena.pass_to("Void")
        arena.duties.reportSilence(drained, sender=drained)
    assert arena.bond(drained) == BOND // 2
    assert arena.status(drained) == "Leaving"


def test_overturn_after_the_proposer_was_punished_takes_what_is_left_succeeds(make_arena, nodes, trio, stranger):
    """The lead withheld nothing but was silent elsewhere: here it reveals, is demanded, and does not answer."""
    arena = make_arena(silencePenalty=BOND // 16)
    arena.join(*trio)
    arena.reveal_all(trio)
    lead = arena.lead(trio)
    others = [n for n in trio if n != lead]
    arena.demand(lead, by=stranger)
    arena.pass_to("Propose")
    model = arena.aggregate(others, {0: 1})
    arena.federation.propose(model, 0, sender=lead)
    arena.duties.reportUnanswered(lead, sender=lead)
    assert arena.bond(lead) == BOND - 2 * (BOND // 16)
    arena.dispute(model, others, by=stranger)
    assert arena.bond(lead) == 0


@pytest.mark.parametrize("act", ["overturn", "conclude", "mark", "punish"])
def test_overturn_and_its_like_are_for_the_modules_alone_reverts(revealed, trio, stranger, act):
    model = revealed.propose(trio, revealed.aggregate(trio))
    federation = revealed.federation
    arguments = {
        "overturn": (stranger,),
        "conclude": (model,),
        "mark": (trio[0], 6),
        "punish": (trio[0], 1, stranger, True),
    }[act]
    for caller in (stranger, trio[0], revealed.founder, revealed.guardian):
        with ape.reverts(federation.NotModule, error_inputs={"caller": caller.address}):
            getattr(federation, act)(*arguments, sender=caller)
    assert revealed.bond(trio[0]) == PARAMS["bond"]
