"""demand: asks on chain for revealed bytes, once for each node and round, in the first half of Availability."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PARAMS

BOND = PARAMS["demandBond"]
WINDOW = PARAMS["demandWindow"]


def test_demand_of_revealed_bytes_succeeds(revealed, trio, stranger):
    (receipt,) = revealed.demand(trio[0], by=stranger)
    event = {"round": 1, "node": trio[0].address, "by": stranger.address, "bond": BOND}
    assert receipt.events.filter(revealed.duties.Demanded, **event)
    asked = revealed.duties.demandOf(trio[0])
    assert (asked.by, int(asked.round), int(asked.bond)) == (stranger.address, 1, BOND)
    assert revealed.ballot_state(trio[0]) == 4
    assert int(revealed.federation.clock().revealed) == 2
    assert int(revealed.federation.clock().demands) == 1
    assert int(revealed.duties.balance) == BOND


def test_demand_makes_time_for_the_answer_succeeds(revealed, trio, stranger):
    opening = int(revealed.federation.clock().since)
    assert int(revealed.federation.phase().endsAt) == opening + WINDOW
    revealed.demand(trio[0], by=stranger)
    assert int(revealed.federation.phase().endsAt) == opening + 2 * WINDOW
    revealed.pass_phase()
    assert revealed.phase == "Settle"
    revealed.pass_settling()
    assert revealed.phase == "Propose"


def test_demand_after_revealing_ended_by_time_succeeds(joined, nodes, stranger):
    joined.open()
    joined.commit(*nodes)
    joined.reveal(*nodes[:5])
    joined.pass_to("Availability")
    joined.demand(*nodes[:2], by=stranger)
    assert int(joined.federation.clock().revealed) == 3
    with ape.reverts(joined.duties.NotDemandable, error_inputs={"node": nodes[5].address}):
        joined.demand(nodes[5], by=stranger)
    joined.duties.reportSilence(nodes[5], sender=stranger)
    with ape.reverts(joined.duties.NotDemandable):
        joined.demand(nodes[5], by=stranger)


def test_demand_twice_reverts(revealed, trio, nodes, stranger):
    revealed.demand(trio[0], by=stranger)
    for by in (stranger, nodes[4]):
        with ape.reverts(revealed.duties.NotDemandable, error_inputs={"node": trio[0].address}):
            revealed.demand(trio[0], by=by)
    revealed.answer(trio[0], by=trio[0])
    with ape.reverts(revealed.duties.NotDemandable):
        revealed.demand(trio[0], by=stranger)


def test_demand_of_a_stranger_reverts(revealed, stranger):
    with ape.reverts(revealed.duties.NotDemandable, error_inputs={"node": stranger.address}):
        revealed.demand(stranger, by=stranger)


def test_demand_before_availability_reverts(make_arena, trio, stranger):
    arena = make_arena(finality=20, unbonding=5_000)
    arena.join(*trio)
    arena.open()
    arena.commit(*trio)
    arena.reveal(trio[0])
    assert arena.phase == "Reveal"
    with ape.reverts(arena.duties.NotDemandable):
        arena.demand(trio[0], by=stranger)
    arena.reveal(*trio[1:])
    assert arena.phase == "Settle", "a reveal may still be undone"
    with ape.reverts(arena.duties.NotDemandable):
        arena.demand(trio[0], by=stranger)


@pytest.mark.parametrize("other_demand", [False, True])
def test_demand_after_its_window_reverts(revealed, trio, stranger, other_demand):
    """Not even where another demand keeps Availability open: there would be no time to answer."""
    if other_demand:
        revealed.demand(trio[1], by=stranger)
    revealed.pass_time(WINDOW)
    assert revealed.phase == ("Availability" if other_demand else "Settle")
    with ape.reverts(revealed.duties.NotDemandable):
        revealed.demand(trio[0], by=stranger)
    revealed.pass_to("Propose")
    with ape.reverts(revealed.duties.NotDemandable):
        revealed.demand(trio[0], by=stranger)


@pytest.mark.parametrize("value", [0, BOND - 1, BOND + 1])
def test_demand_with_another_bond_reverts(revealed, trio, stranger, value):
    with ape.reverts(revealed.duties.WrongDemandBond, error_inputs={"given": value, "needed": BOND}):
        revealed.duties.demand(trio[0], value=value, sender=stranger)


def test_demand_of_the_next_round_follows_a_report_succeeds(revealed, trio, nodes, stranger):
    """A demand that nobody reported cannot be lost under a new one: its node cannot commit before."""
    revealed.demand(trio[0], by=stranger)
    revealed.pass_to("Void")
    revealed.duties.reportUnanswered(trio[0], sender=nodes[4])
    revealed.reveal_all(trio)
    assert revealed.duties.claimable(stranger) == BOND
    revealed.demand(trio[0], by=nodes[4])
    assert revealed.duties.demandOf(trio[0]).by == nodes[4].address
    assert int(revealed.duties.balance) == 2 * BOND
