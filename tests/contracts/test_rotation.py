"""StakeVault: a key is put out of use, its bond goes to another node, and no fault gets away."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS
from tests.contracts.test_report_silence import silent_round

PENALTY = PARAMS["silencePenalty"]
NOBODY = "0x" + "00" * 20


@pytest.fixture
def heir(accounts):
    """The operator's next key."""
    return accounts[11]


@pytest.fixture
def named(joined, nodes, heir, cold):
    """The first node and the key that will follow it have one withdrawal address."""
    for node in (nodes[0], heir):
        joined.vault.nameWithdrawal(cold, sender=node)
    return joined


@pytest.fixture
def left(named, nodes):
    """The first node has left without a round; its bond unbonds."""
    named.federation.exit(sender=nodes[0])
    return named


@pytest.fixture
def guilty(named, nodes):
    """The first node has left after a round in which it did not reveal; nobody has reported it yet."""
    silent_round(named, nodes)
    named.federation.exit(sender=nodes[0])
    named.pass_to("Void")
    named.federation.settleExits(8, sender=nodes[1])
    return named


def held(arena, node):
    bond = arena.vault.bondOf(node)
    return int(bond.amount), int(bond.unlocksAt)


def test_rotate_costs_one_epoch_and_no_second_bond_succeeds(left, nodes, heir, cold):
    before = held(left, nodes[0])
    receipt = left.vault.rotate(nodes[0], heir, sender=cold)
    event = {"from": nodes[0].address, "to": heir.address, "amount": BOND, "liableUntil": before[1]}
    assert receipt.events.filter(left.vault.Rotated, **event)
    assert receipt.events.filter(left.vault.Retired, node=nodes[0].address)
    assert (held(left, nodes[0])[0], held(left, heir)) == (0, before)
    assert tuple(left.vault.rotationOf(nodes[0])) == (True, heir.address, 0)
    assert tuple(left.vault.rotationOf(heir)) == (False, NOBODY, before[1])
    left.federation.join(0, sender=heir)
    left.open()
    assert left.status(heir) == "Active"
    assert held(left, heir) == (BOND, 0)


@pytest.mark.parametrize("joins", [False, True])
def test_rotate_a_late_fault_follows_the_bond_succeeds(guilty, nodes, heir, cold, stranger, joins):
    guilty.vault.rotate(nodes[0], heir, sender=cold)
    if joins:
        guilty.federation.join(0, sender=heir)
    receipt = guilty.duties.reportSilence(nodes[0], sender=stranger)
    assert receipt.events.filter(guilty.duties.SilenceReported, node=nodes[0].address, taken=PENALTY)
    assert receipt.events.filter(guilty.vault.Slashed, node=heir.address, taken=PENALTY)
    assert guilty.bond(heir) == BOND - PENALTY
    assert guilty.vault.claimable(stranger) == PENALTY // 2


@pytest.fixture
def own(project, joined, own_vault, nodes, heir, cold, stranger):
    """A vault whose federation is the founder: two nodes of one payee, the first bonded."""
    own_vault.initialize(joined.token, joined.founder, sender=joined.founder)
    joined.token.mint(nodes[0], 100, sender=joined.founder)
    joined.token.approve(own_vault, 100, sender=nodes[0])
    own_vault.bond(nodes[0], 100, sender=joined.founder)
    for node in (heir, stranger):  # members once
        own_vault.bond(node, 0, sender=joined.founder)
        own_vault.release(node, 1, sender=joined.founder)
    for node in (nodes[0], heir):
        own_vault.nameWithdrawal(cold, sender=node)
    return own_vault


def taken(vault, joined, node, amount, reserve=0):
    receipt = vault.slash(node, amount, reserve, joined.founder, sender=joined.founder)
    return sum(int(event.taken) for event in receipt.events.filter(vault.Slashed))


def test_rotate_liability_ends_with_the_old_unbonding_succeeds(own, joined, nodes, heir, cold, chain):
    """Also where the successor has left and joined, and would be free earlier: then its bond waits."""
    end = chain.pending_timestamp + 1_000
    own.release(nodes[0], end, sender=joined.founder)
    own.rotate(nodes[0], heir, sender=cold)
    own.bond(heir, 0, sender=joined.founder)
    own.release(heir, 1, sender=joined.founder)
    assert int(own.bondOf(heir).unlocksAt) == end
    with ape.reverts(own.StillLocked, error_inputs={"unlocksAt": end}):
        own.withdraw(heir, sender=cold)
    assert taken(own, joined, nodes[0], 30, reserve=80) == 20
    joined.pass_time(1_000)
    assert taken(own, joined, nodes[0], 30) == 0
    own.withdraw(heir, sender=cold)
    assert joined.token.balanceOf(cold) == 80


def test_rotate_again_only_when_no_fault_can_follow_reverts(own, joined, nodes, heir, cold, stranger, chain):
    """A fault is one step from its bond at most: no chain to follow, and none to get lost in."""
    end = chain.pending_timestamp + 1_000
    own.nameWithdrawal(cold, sender=stranger)
    own.release(nodes[0], end, sender=joined.founder)
    own.rotate(nodes[0], heir, sender=cold)
    with ape.reverts(own.StillLiable, error_inputs={"until": end}):
        own.rotate(heir, stranger, sender=cold)
    own.retire(heir, sender=cold)
    assert taken(own, joined, nodes[0], 10) == 10, "a retired successor still pays"
    joined.pass_time(1_000)
    own.rotate(heir, stranger, sender=cold)
    assert int(own.bondOf(stranger).amount) == 90
    assert taken(own, joined, nodes[0], 10) == 0


def test_rotate_onto_a_bond_adds_up_succeeds(own, joined, nodes, heir, cold, stranger, chain):
    """Else a stranger's unit of dust would stop every rotation."""
    joined.token.mint(stranger, 1, sender=joined.founder)
    joined.token.approve(own, 1, sender=stranger)
    own.fund(heir, 1, sender=stranger)
    own.bond(heir, 0, sender=joined.founder)
    own.release(nodes[0], chain.pending_timestamp + 1_000, sender=joined.founder)
    own.rotate(nodes[0], heir, sender=cold)
    assert tuple(own.bondOf(heir)) == (101, 0)
    assert joined.token.balanceOf(own) == 101


def test_rotate_of_a_member_reverts(named, nodes, heir, cold):
    with ape.reverts(named.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        named.vault.rotate(nodes[0], heir, sender=cold)


def test_rotate_by_another_than_the_payee_reverts(left, nodes, heir, cold, stranger):
    for caller in (nodes[0], heir, stranger):
        with ape.reverts(left.vault.NotPayee, error_inputs={"caller": caller.address, "payee": cold.address}):
            left.vault.rotate(nodes[0], heir, sender=caller)


def test_rotate_to_who_did_not_agree_reverts(left, nodes, cold, stranger):
    """Its own bond would answer for faults that are not its own."""
    for other in (stranger, nodes[1]):
        with ape.reverts(left.vault.NotPayee, error_inputs={"caller": cold.address, "payee": other.address}):
            left.vault.rotate(nodes[0], other, sender=cold)


def test_rotate_to_itself_or_back_reverts(left, nodes, heir, cold):
    with ape.reverts(left.vault.NodeRetired, error_inputs={"node": nodes[0].address}):
        left.vault.rotate(nodes[0], nodes[0], sender=cold)
    left.vault.rotate(nodes[0], heir, sender=cold)
    left.pass_time(PARAMS["unbonding"])
    with ape.reverts(left.vault.NodeRetired, error_inputs={"node": nodes[0].address}):
        left.vault.rotate(heir, nodes[0], sender=cold)


def test_rotate_nothing_reverts(left, nodes, heir, cold):
    for _ in range(2):
        with ape.reverts(left.vault.ZeroAmount):
            left.vault.rotate(heir, nodes[0], sender=cold)
    left.vault.rotate(nodes[0], heir, sender=cold)
    with ape.reverts(left.vault.ZeroAmount):
        left.vault.rotate(nodes[0], heir, sender=cold)


# ---------------------------------------------------------------------- a stolen key


def test_retire_ends_the_race_for_a_stolen_key_succeeds(named, nodes, heir, cold):
    """The thief could join again with the bond as soon as it is released: not once the payee has retired the key."""
    named.open()
    assert named.vault.retire(nodes[0], sender=cold).events.filter(named.vault.Retired, node=nodes[0].address)
    named.federation.exit(sender=nodes[0])
    named.pass_to("Void")
    named.federation.settleExits(8, sender=nodes[1])
    with ape.reverts(named.vault.NodeRetired, error_inputs={"node": nodes[0].address}):
        named.federation.join(0, sender=nodes[0])
    named.vault.rotate(nodes[0], heir, sender=cold)
    named.federation.join(0, sender=heir)
    assert named.bond(heir) == BOND


def test_retire_a_member_goes_on_and_pays_succeeds(named, nodes, cold, stranger):
    """It holds up no opening, and its faults are its own for as long as its bond is."""
    named.vault.retire(nodes[0], sender=cold)
    silent_round(named, nodes)
    named.duties.reportSilence(nodes[0], sender=stranger)
    assert named.bond(nodes[0]) == BOND - PENALTY
    named.federation.exit(sender=nodes[0])
    named.pass_to("Void")
    named.open()
    assert named.status(nodes[0]) == "None"
    named.pass_time(PARAMS["unbonding"])
    named.vault.withdraw(nodes[0], sender=cold)
    assert named.token.balanceOf(cold) == BOND - PENALTY


def test_retire_twice_or_by_another_reverts(named, nodes, cold, stranger):
    for caller in (nodes[0], stranger):
        with ape.reverts(named.vault.NotPayee, error_inputs={"caller": caller.address, "payee": cold.address}):
            named.vault.retire(nodes[0], sender=caller)
    named.vault.retire(nodes[0], sender=cold)
    with ape.reverts(named.vault.NodeRetired):
        named.vault.retire(nodes[0], sender=cold)


def test_retired_key_takes_no_more_bond_reverts(left, nodes, heir, cold, stranger):
    """With tokens of its own a thief would otherwise join, and its new faults would fall on the bond that moved."""
    left.vault.rotate(nodes[0], heir, sender=cold)
    left.join(stranger)
    left.fund(nodes[0])
    with ape.reverts(left.vault.NodeRetired):
        left.federation.join(BOND, sender=nodes[0])
    left.fund(stranger)
    with ape.reverts(left.vault.NodeRetired):
        left.vault.fund(nodes[0], BOND, sender=stranger)


def test_thief_of_a_key_gets_neither_bond_nor_rewards_succeeds(named, nodes, heir, cold, stranger):
    thief = nodes[0]  # who holds the key is the node
    silent_round(named, [*nodes[1:], thief])  # the next one is silent, and the thief reports it
    named.duties.reportSilence(nodes[1], sender=thief)
    vault = named.vault
    for act in (
        lambda: vault.nameWithdrawal(stranger, sender=thief),
        lambda: vault.offerWithdrawal(thief, stranger, sender=thief),
        lambda: vault.acceptWithdrawal(thief, sender=thief),
        lambda: vault.rotate(thief, stranger, sender=thief),
        lambda: vault.rotate(thief, heir, sender=thief),
        lambda: vault.withdraw(thief, sender=thief),
    ):
        with ape.reverts():
            act()
    vault.claim(thief, sender=thief)
    named.federation.exit(sender=thief)
    named.pass_to("Void")
    named.federation.settleExits(8, sender=thief)
    named.pass_time(PARAMS["unbonding"])
    vault.withdraw(thief, sender=thief)
    assert named.token.balanceOf(thief) == named.token.balanceOf(stranger) == 0
    assert named.token.balanceOf(cold) == BOND + PENALTY // 2


def test_rotate_in_a_closed_federation_asks_the_guardian_reverts(make_arena, nodes, heir, cold):
    arena = make_arena(closed=True)
    role = arena.federation.MEMBER()
    arena.federation.grantRole(role, nodes[0], sender=arena.guardian)
    arena.join(nodes[0])
    for node in (nodes[0], heir):
        arena.vault.nameWithdrawal(cold, sender=node)
    arena.federation.exit(sender=nodes[0])
    arena.vault.rotate(nodes[0], heir, sender=cold)
    with ape.reverts(arena.federation.AccessControlUnauthorizedAccount):
        arena.federation.join(0, sender=heir)
    arena.federation.grantRole(role, heir, sender=arena.guardian)
    arena.federation.join(0, sender=heir)


# ---------------------------------------------------------------------- a hostile token


@pytest.fixture
def hooked(project, joined, own_vault, nodes):
    """A vault of a token that calls where it likes in the middle of a transfer, and is the payee of a node."""
    token = joined.founder.deploy(project.HookedToken, nodes[0], 1_000)
    own_vault.initialize(token, joined.founder, sender=joined.founder)
    token.approve(own_vault, 1_000, sender=nodes[0])
    for node in nodes[:2]:
        own_vault.nameWithdrawal(token, sender=node)
    for node in nodes[1::-1]:
        own_vault.bond(node, 0, sender=joined.founder)
        own_vault.release(node, 1, sender=joined.founder)
    own_vault.bond(nodes[0], 100, sender=joined.founder)
    own_vault.slash(nodes[0], 10, 0, nodes[0], sender=joined.founder)
    own_vault.release(nodes[0], 1, sender=joined.founder)
    return token, own_vault


@pytest.mark.parametrize("again", ["withdraw", "claim", "rotate", "fund"])
def test_vault_is_not_entered_twice_reverts(hooked, nodes, again):
    token, vault = hooked
    arguments = {"rotate": (nodes[0], nodes[1]), "fund": (nodes[0], 1)}.get(again, (nodes[0],))
    token.arm(vault, getattr(vault, again).encode_input(*arguments), sender=nodes[0])
    for outer in (
        lambda: vault.withdraw(nodes[0], sender=nodes[0]),
        lambda: vault.claim(nodes[0], sender=nodes[0]),
        lambda: vault.fund(nodes[1], 5, sender=nodes[0]),
    ):
        with ape.reverts(vault.ReentrancyGuardReentrantCall):
            outer()
    assert int(vault.bondOf(nodes[0]).amount) == 90


def test_vault_refuses_a_fee_on_transfer_reverts(hooked, nodes):
    token, vault = hooked
    token.arm(token, token.skim.encode_input(vault), sender=nodes[0])
    with ape.reverts(vault.UnexpectedTransfer, error_inputs={"received": 4, "expected": 5}):
        vault.fund(nodes[1], 5, sender=nodes[0])
