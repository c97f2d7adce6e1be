"""join: bond first, member from the next epoch."""

from __future__ import annotations

import ape
from tests.contracts.arena import BOND, PARAMS


def test_join_bonded_succeeds(arena, nodes):
    node = nodes[0]
    arena.fund(node)
    receipt = arena.federation.join(BOND, sender=node)
    assert receipt.events.filter(arena.federation.Joining, node=node.address, bond=BOND)
    assert arena.status(node) == "Joining"
    assert arena.members == [node.address]
    assert tuple(arena.federation.memberCounts()) == (0, 1)
    assert int(arena.vault.bondOf(node).amount) == BOND
    assert arena.token.balanceOf(arena.vault) == BOND
    assert int(arena.federation.seatOf(node)) == 255


def test_join_more_than_the_least_bond_succeeds(arena, nodes):
    arena.fund(nodes[0], 3 * BOND)
    arena.federation.join(3 * BOND, sender=nodes[0])
    assert int(arena.vault.bondOf(nodes[0]).amount) == 3 * BOND


def test_join_opening_makes_active_succeeds(joined, nodes):
    joined.federation.open(sender=joined.founder)
    assert {joined.status(n) for n in nodes} == {"Active"}
    assert tuple(joined.federation.memberCounts()) == (6, 0)


def test_join_twice_reverts(arena, nodes):
    arena.join(nodes[0])
    arena.fund(nodes[0])
    with ape.reverts(arena.federation.AlreadyMember, error_inputs={"node": nodes[0].address}):
        arena.federation.join(BOND, sender=nodes[0])


def test_join_bond_too_small_reverts(arena, nodes):
    arena.fund(nodes[0])
    with ape.reverts(arena.federation.BondTooSmall, error_inputs={"given": BOND - 1, "needed": BOND}):
        arena.federation.join(BOND - 1, sender=nodes[0])


def test_join_without_approval_reverts(arena, nodes):
    arena.token.mint(nodes[0], BOND, sender=arena.founder)
    with ape.reverts(arena.token.ERC20InsufficientAllowance):
        arena.federation.join(BOND, sender=nodes[0])
    assert arena.members == []


def test_join_while_leaving_reverts(joined, nodes):
    joined.open()
    joined.federation.exit(sender=nodes[0])
    with ape.reverts(joined.federation.AlreadyMember, error_inputs={"node": nodes[0].address}):
        joined.federation.join(0, sender=nodes[0])


def test_join_again_with_the_bond_still_held_succeeds(arena, nodes):
    arena.join(nodes[0])
    arena.federation.exit(sender=nodes[0])
    assert int(arena.vault.bondOf(nodes[0]).unlocksAt) > 0
    arena.federation.join(0, sender=nodes[0])
    held = arena.vault.bondOf(nodes[0])
    assert (int(held.amount), int(held.unlocksAt)) == (BOND, 0)
    arena.pass_time(3_000)
    with ape.reverts(arena.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        arena.vault.withdraw(nodes[0], sender=nodes[0])


def test_join_again_after_withdrawal_without_bond_reverts(arena, nodes):
    arena.join(nodes[0])
    arena.federation.exit(sender=nodes[0])
    arena.pass_time(PARAMS["unbonding"])
    arena.vault.withdraw(nodes[0], sender=nodes[0])
    with ape.reverts(arena.federation.BondTooSmall, error_inputs={"given": 0, "needed": BOND}):
        arena.federation.join(0, sender=nodes[0])


def test_join_again_does_not_wipe_silences_succeeds(joined, nodes):
    """Leaving and coming back is no way out of the doubling penalty."""
    joined.open()
    silent = nodes[0]
    joined.commit(*nodes)
    joined.reveal(*nodes[1:])
    joined.federation.exit(sender=silent)
    joined.pass_to("Void")
    joined.federation.settleExits(8, sender=joined.founder)
    joined.fund(silent)
    joined.federation.join(BOND, sender=silent)
    joined.duties.reportSilence(silent, sender=nodes[1])
    assert int(joined.duties.recordOf(silent).faults) == 1
    joined.federation.exit(sender=silent)
    joined.federation.join(0, sender=silent)
    assert int(joined.duties.recordOf(silent).faults) == 1
