"""StakeVault: what the owner of a bond may do, and what only the federation may."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

NOBODY = "0x" + "00" * 20


def bond_in(vault, joined, node, amount):
    """Bonds in a vault whose federation is the founder."""
    joined.token.mint(node, amount, sender=joined.founder)
    joined.token.approve(vault, amount, sender=node)
    vault.bond(node, amount, sender=joined.founder)


@pytest.fixture
def left(joined, nodes):
    """The first node has left; its bond unbonds."""
    joined.federation.exit(sender=nodes[0])
    return joined


def test_vault_fund_a_member_succeeds(joined, nodes, stranger):
    """Anybody may; the tokens are the caller's own, and the node's bond cannot be had before it leaves."""
    joined.fund(stranger, 5)
    receipt = joined.vault.fund(nodes[0], 5, sender=stranger)
    assert receipt.events.filter(joined.vault.Bonded, node=nodes[0].address, amount=5, total=BOND + 5)
    assert (int(joined.vault.bondOf(nodes[0]).amount), joined.token.balanceOf(stranger)) == (BOND + 5, 0)


def test_vault_fund_in_advance_joins_without_tokens_succeeds(arena, nodes, cold):
    arena.fund(cold)
    arena.vault.fund(nodes[0], BOND, sender=cold)
    receipt = arena.federation.join(0, sender=nodes[0])
    assert receipt.events.filter(arena.federation.Joining, node=nodes[0].address, bond=BOND)
    with ape.reverts(arena.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        arena.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_fund_in_advance_can_be_had_back_at_once_succeeds(arena, nodes, cold):
    arena.fund(cold)
    arena.vault.nameWithdrawal(cold, sender=nodes[0])
    arena.vault.fund(nodes[0], BOND, sender=cold)
    arena.vault.withdraw(nodes[0], sender=cold)
    assert arena.token.balanceOf(cold) == BOND


def test_vault_fund_while_unbonding_locks_no_longer_succeeds(left, nodes, stranger):
    before = int(left.vault.bondOf(nodes[0]).unlocksAt)
    left.fund(stranger, 5)
    left.vault.fund(nodes[0], 5, sender=stranger)
    assert int(left.vault.bondOf(nodes[0]).unlocksAt) == before
    left.pass_time(PARAMS["unbonding"])
    left.vault.withdraw(nodes[0], sender=nodes[0])
    assert left.token.balanceOf(nodes[0]) == BOND + 5


def test_vault_fund_takes_only_the_caller_s_tokens_reverts(joined, nodes, stranger):
    joined.fund(nodes[0], 5)  # approved for the vault, by the node
    with ape.reverts(joined.token.ERC20InsufficientAllowance):
        joined.vault.fund(nodes[0], 5, sender=stranger)


def test_vault_fund_nothing_or_nobody_reverts(joined, nodes, stranger):
    joined.fund(stranger)
    with ape.reverts(joined.vault.ZeroAmount):
        joined.vault.fund(nodes[0], 0, sender=stranger)
    with ape.reverts(joined.vault.ZeroAddress):
        joined.vault.fund(NOBODY, 1, sender=stranger)


def test_vault_withdraw_after_unbonding_succeeds(left, nodes):
    left.pass_time(PARAMS["unbonding"])
    receipt = left.vault.withdraw(nodes[0], sender=nodes[0])
    event = {"node": nodes[0].address, "to": nodes[0].address, "amount": BOND}
    assert receipt.events.filter(left.vault.Withdrawn, **event)
    assert left.token.balanceOf(nodes[0]) == BOND
    held = left.vault.bondOf(nodes[0])
    assert (int(held.amount), int(held.unlocksAt)) == (0, 0)
    with ape.reverts(left.vault.NothingToWithdraw):
        left.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_withdraw_pays_the_payee_whoever_of_the_two_asks_succeeds(joined, nodes, cold):
    for node in nodes[:2]:
        joined.vault.nameWithdrawal(cold, sender=node)
        joined.federation.exit(sender=node)
    joined.pass_time(PARAMS["unbonding"])
    receipt = joined.vault.withdraw(nodes[0], sender=nodes[0])
    assert receipt.events.filter(joined.vault.Withdrawn, node=nodes[0].address, to=cold.address, amount=BOND)
    joined.vault.withdraw(nodes[1], sender=cold)
    assert (joined.token.balanceOf(cold), joined.token.balanceOf(nodes[0])) == (2 * BOND, 0)


def test_vault_withdraw_while_unbonding_reverts(left, nodes):
    unlocks_at = int(left.vault.bondOf(nodes[0]).unlocksAt)
    left.pass_time(PARAMS["unbonding"] - 60)
    with ape.reverts(left.vault.StillLocked, error_inputs={"unlocksAt": unlocks_at}):
        left.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_withdraw_of_a_member_reverts(joined, nodes):
    joined.pass_time(100 * PARAMS["unbonding"])
    with ape.reverts(joined.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        joined.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_withdraw_by_another_reverts(left, nodes, stranger):
    left.pass_time(PARAMS["unbonding"])
    with ape.reverts(left.vault.NotPayee, error_inputs={"caller": stranger.address, "payee": nodes[0].address}):
        left.vault.withdraw(nodes[0], sender=stranger)


def test_vault_claim_pays_the_payee_succeeds(own_vault, joined, nodes, cold):
    own_vault.initialize(joined.token, joined.founder, sender=joined.founder)
    bond_in(own_vault, joined, nodes[0], 100)
    own_vault.nameWithdrawal(cold, sender=nodes[1])
    for caller in (nodes[1], cold):
        own_vault.slash(nodes[0], 20, 0, nodes[1], sender=joined.founder)
        receipt = own_vault.claim(nodes[1], sender=caller)
        event = {"beneficiary": nodes[1].address, "to": cold.address, "amount": 10}
        assert receipt.events.filter(own_vault.Claimed, **event)
    assert (joined.token.balanceOf(cold), joined.token.balanceOf(nodes[1])) == (20, 0)


def test_vault_claim_of_another_or_nothing_reverts(joined, nodes, stranger):
    with ape.reverts(joined.vault.NotPayee, error_inputs={"caller": stranger.address, "payee": nodes[0].address}):
        joined.vault.claim(nodes[0], sender=stranger)
    with ape.reverts(joined.vault.NothingToWithdraw):
        joined.vault.claim(stranger, sender=stranger)


# ---------------------------------------------------------------------- the withdrawal address


def test_vault_name_withdrawal_once_succeeds(joined, nodes, cold, stranger):
    assert (joined.vault.withdrawalOf(nodes[0]), joined.vault.payeeOf(nodes[0])) == (NOBODY, nodes[0].address)
    receipt = joined.vault.nameWithdrawal(cold, sender=nodes[0])
    assert receipt.events.filter(joined.vault.WithdrawalNamed, node=nodes[0].address, withdrawal=cold.address)
    assert joined.vault.withdrawalOf(nodes[0]) == joined.vault.payeeOf(nodes[0]) == cold.address
    with ape.reverts(joined.vault.AlreadyNamed, error_inputs={"withdrawal": cold.address}):
        joined.vault.nameWithdrawal(stranger, sender=nodes[0])


def test_vault_name_nobody_reverts(joined, nodes):
    with ape.reverts(joined.vault.ZeroAddress):
        joined.vault.nameWithdrawal(NOBODY, sender=nodes[0])


def test_vault_withdrawal_is_handed_on_in_two_steps_succeeds(joined, nodes, cold, stranger):
    vault = joined.vault
    vault.nameWithdrawal(cold, sender=nodes[0])
    receipt = vault.offerWithdrawal(nodes[0], stranger, sender=cold)
    assert receipt.events.filter(vault.WithdrawalOffered, node=nodes[0].address, to=stranger.address)
    assert (vault.withdrawalOf(nodes[0]), vault.offeredTo(nodes[0])) == (cold.address, stranger.address)
    vault.acceptWithdrawal(nodes[0], sender=stranger)
    assert (vault.withdrawalOf(nodes[0]), vault.offeredTo(nodes[0])) == (stranger.address, NOBODY)
    for act in (
        lambda: vault.offerWithdrawal(nodes[0], cold, sender=cold),
        lambda: vault.retire(nodes[0], sender=cold),
    ):
        with ape.reverts(vault.NotPayee, error_inputs={"caller": cold.address, "payee": stranger.address}):
            act()


def test_vault_offer_is_taken_back_reverts(joined, nodes, cold, stranger):
    joined.vault.nameWithdrawal(cold, sender=nodes[0])
    joined.vault.offerWithdrawal(nodes[0], stranger, sender=cold)
    joined.vault.offerWithdrawal(nodes[0], NOBODY, sender=cold)
    with ape.reverts(joined.vault.NotOffered, error_inputs={"caller": stranger.address}):
        joined.vault.acceptWithdrawal(nodes[0], sender=stranger)


def test_vault_offer_by_the_node_or_another_reverts(joined, nodes, cold, stranger):
    """A node that has named none has nothing to offer: it names one."""
    for named in (NOBODY, cold.address):
        for caller in (nodes[0], stranger):
            with ape.reverts(joined.vault.NotPayee, error_inputs={"caller": caller.address, "payee": named}):
                joined.vault.offerWithdrawal(nodes[0], caller, sender=caller)
        if named == NOBODY:
            joined.vault.nameWithdrawal(cold, sender=nodes[0])


def test_vault_federation_only_reverts(joined, nodes, stranger):
    vault = joined.vault
    for act in (
        lambda: vault.bond(nodes[0], 1, sender=stranger),
        lambda: vault.release(stranger, 1, sender=stranger),
        lambda: vault.slash(nodes[0], 1, 0, stranger, sender=stranger),
    ):
        with ape.reverts(vault.NotFederation, error_inputs={"caller": stranger.address}):
            act()


def test_vault_initialize_twice_reverts(joined, stranger):
    with ape.reverts(joined.vault.InvalidInitialization):
        joined.vault.initialize(joined.token, stranger, sender=stranger)


def test_vault_slash_takes_no_more_than_the_bond_succeeds(own_vault, joined, nodes, stranger):
    federation = joined.founder
    own_vault.initialize(joined.token, federation, sender=stranger)
    bond_in(own_vault, joined, nodes[0], 101)
    receipt = own_vault.slash(nodes[0], 2**256 - 1, 0, stranger, sender=federation)
    event = {"node": nodes[0].address, "taken": 101, "burned": 51, "beneficiary": stranger.address, "reward": 50}
    assert receipt.events.filter(own_vault.Slashed, **event)
    assert not own_vault.slash(nodes[0], 5, 0, stranger, sender=federation).events
    own_vault.claim(stranger, sender=stranger)
    assert joined.token.balanceOf(stranger) == 50
    assert joined.token.balanceOf(own_vault) == 0


def test_vault_slash_while_unbonding_succeeds(own_vault, joined, nodes, stranger):
    federation = joined.founder
    own_vault.initialize(joined.token, federation, sender=stranger)
    bond_in(own_vault, joined, nodes[0], 100)
    own_vault.release(nodes[0], 1, sender=federation)
    own_vault.slash(nodes[0], 40, 0, stranger, sender=federation)
    own_vault.withdraw(nodes[0], sender=nodes[0])
    assert joined.token.balanceOf(nodes[0]) == 60


def test_vault_initialize_without_token_or_federation_reverts(own_vault, joined, stranger):
    for token, federation in ((NOBODY, stranger), (joined.token, NOBODY)):
        with ape.reverts(own_vault.ZeroAddress):
            own_vault.initialize(token, federation, sender=stranger)


def test_vault_fund_a_member_that_lost_all_stays_locked_reverts(revealed, trio, stranger):
    """Else it could lie again, and take its bond away before the dispute lands."""
    liar = revealed.lead(trio)
    revealed.pass_to("Propose")
    model = revealed.aggregate(trio, wrong={0: 1})
    revealed.federation.propose(model, 0, sender=liar)
    revealed.dispute(model, trio, by=stranger)
    assert tuple(revealed.vault.bondOf(liar)) == (0, 0)
    revealed.fund(stranger)
    revealed.vault.fund(liar, BOND, sender=stranger)
    with ape.reverts(revealed.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        revealed.vault.withdraw(liar, sender=liar)
