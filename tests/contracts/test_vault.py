"""StakeVault: what the owner of a bond may do, and what only the federation may."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS


@pytest.fixture
def left(joined, nodes):
    """The first node has left; its bond unbonds."""
    joined.federation.exit(sender=nodes[0])
    return joined


@pytest.fixture
def own_vault(project, joined, accounts):
    """A vault not yet set up, so that a test can be its federation: an ERC-1167 clone of the implementation."""
    owner, code = accounts[0], joined.factory.vaultCode()
    data = "0x3d602d80600a3d3981f3363d3d373d3d3d363d73" + code[2:] + "5af43d82803e903d91602b57fd5bf3"
    create = owner.provider.network.ecosystem.create_transaction
    receipt = owner.call(create(data=data, sender=owner, chain_id=owner.provider.chain_id))
    return project.StakeVault.at(receipt.contract_address)


def test_vault_top_up_succeeds(joined, nodes):
    joined.fund(nodes[0], 5)
    receipt = joined.vault.topUp(5, sender=nodes[0])
    assert receipt.events.filter(joined.vault.Bonded, node=nodes[0].address, amount=5, total=BOND + 5)
    assert int(joined.vault.bondOf(nodes[0]).amount) == BOND + 5


def test_vault_top_up_without_a_bond_reverts(joined, stranger):
    joined.fund(stranger)
    with ape.reverts(joined.vault.NotBonded, error_inputs={"account": stranger.address}):
        joined.vault.topUp(BOND, sender=stranger)


def test_vault_top_up_of_nothing_reverts(joined, nodes):
    with ape.reverts(joined.vault.ZeroAmount):
        joined.vault.topUp(0, sender=nodes[0])


def test_vault_withdraw_after_unbonding_succeeds(left, nodes, stranger):
    left.pass_time(PARAMS["unbonding"])
    receipt = left.vault.withdraw(stranger, sender=nodes[0])
    assert receipt.events.filter(left.vault.Withdrawn, node=nodes[0].address, to=stranger.address, amount=BOND)
    assert left.token.balanceOf(stranger) == BOND
    held = left.vault.bondOf(nodes[0])
    assert (int(held.amount), int(held.unlocksAt)) == (0, 0)
    with ape.reverts(left.vault.NothingToWithdraw):
        left.vault.withdraw(stranger, sender=nodes[0])


def test_vault_withdraw_while_unbonding_reverts(left, nodes):
    unlocks_at = int(left.vault.bondOf(nodes[0]).unlocksAt)
    left.pass_time(PARAMS["unbonding"] - 60)
    with ape.reverts(left.vault.StillLocked, error_inputs={"unlocksAt": unlocks_at}):
        left.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_withdraw_of_a_member_reverts(joined, nodes):
    joined.pass_time(100 * PARAMS["unbonding"])
    with ape.reverts(joined.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        joined.vault.withdraw(nodes[0], sender=nodes[0])


def test_vault_withdraw_by_another_reverts(left, stranger):
    left.pass_time(PARAMS["unbonding"])
    with ape.reverts(left.vault.NothingToWithdraw):
        left.vault.withdraw(stranger, sender=stranger)


def test_vault_withdraw_to_nobody_reverts(left, nodes):
    left.pass_time(PARAMS["unbonding"])
    with ape.reverts(left.vault.ZeroAddress):
        left.vault.withdraw("0x" + "00" * 20, sender=nodes[0])


def test_vault_claim_of_nothing_reverts(joined, stranger):
    with ape.reverts(joined.vault.NothingToWithdraw):
        joined.vault.claim(sender=stranger)


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
    joined.token.mint(nodes[0], 101, sender=joined.founder)
    joined.token.approve(own_vault, 101, sender=nodes[0])
    own_vault.bond(nodes[0], 101, sender=federation)
    receipt = own_vault.slash(nodes[0], 2**256 - 1, 0, stranger, sender=federation)
    event = {"node": nodes[0].address, "taken": 101, "burned": 51, "beneficiary": stranger.address, "reward": 50}
    assert receipt.events.filter(own_vault.Slashed, **event)
    assert not own_vault.slash(nodes[0], 5, 0, stranger, sender=federation).events
    own_vault.claim(sender=stranger)
    assert joined.token.balanceOf(stranger) == 50
    assert joined.token.balanceOf(own_vault) == 0


def test_vault_slash_while_unbonding_succeeds(own_vault, joined, nodes, stranger):
    federation = joined.founder
    own_vault.initialize(joined.token, federation, sender=stranger)
    joined.token.mint(nodes[0], 100, sender=joined.founder)
    joined.token.approve(own_vault, 100, sender=nodes[0])
    own_vault.bond(nodes[0], 100, sender=federation)
    own_vault.release(nodes[0], 1, sender=federation)
    own_vault.slash(nodes[0], 40, 0, stranger, sender=federation)
    own_vault.withdraw(nodes[0], sender=nodes[0])
    assert joined.token.balanceOf(nodes[0]) == 60


def test_vault_initialize_without_token_or_federation_reverts(own_vault, joined, stranger):
    zero = "0x" + "00" * 20
    for token, federation in ((zero, stranger), (joined.token, zero)):
        with ape.reverts(own_vault.ZeroAddress):
            own_vault.initialize(token, federation, sender=stranger)
