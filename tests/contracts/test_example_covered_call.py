"""The example integrator: calls at the engine's price, none on what is stale, settled in and out of the money."""

from __future__ import annotations

from types import SimpleNamespace

import ape
import pytest
from tests.contracts.pricing_fixtures import BTC, DAY, HOUR, SPOT, WAD, typical_weights

pytest_plugins = ["tests.contracts.pricing_fixtures"]

AT = {"block_id": "latest"}
SPREAD = WAD // 20
TERMS = (BTC, SPREAD, WAD // 5, 2 * WAD, 600, DAY)
STRIKE = SPOT[BTC] * WAD * 11 // 10
RICH = 10**30
LOCKED = 5 * WAD


@pytest.fixture
def vault(project, desk, accounts):
    """A writer has locked five tokens for a call of nine days, 10% out of the money."""
    owner, writer, buyer = desk.owner, accounts[1], accounts[2]
    token, cash = (project.BondToken.deploy(owner, sender=owner) for _ in range(2))
    vault = project.CoveredCallVault.deploy(desk.engine, token, cash, TERMS, sender=owner)
    desk.refresh()
    expiry = desk.engine.expiries(**AT)[4]
    for coin, who in ((token, writer), (cash, buyer)):
        coin.mint(who, RICH, sender=owner)
        coin.approve(vault, RICH, sender=who)
    vault.write(LOCKED, STRIKE, expiry, sender=writer)
    return SimpleNamespace(at=vault, token=token, cash=cash, writer=writer, buyer=buyer, expiry=expiry)


def price(desk, vault):
    quote = desk.engine.quote(BTC, STRIKE, vault.expiry, **AT)
    return quote.call + -(-quote.vega * SPREAD // WAD)


def test_premium_is_the_engine_s_plus_the_spread_and_moves_with_it_succeeds(desk, vault):
    before = price(desk, vault)
    assert vault.at.premiumOf(0, 3 * WAD, **AT).premium == 3 * before
    assert vault.at.premiumOf(0, 1, **AT).premium == -(-before // WAD) > 0
    desk.vols[BTC].set(80 * 10**8, sender=desk.owner)
    after = price(desk, vault)
    assert vault.at.premiumOf(0, WAD, **AT).premium == after > before * 11 // 10
    desk.publish(typical_weights(level=0.8))
    assert vault.at.premiumOf(0, WAD, **AT).premium == price(desk, vault) < before
    assert vault.at.premiumOf(0, WAD, **AT).version == 2


def test_in_the_money_calls_are_exercised_succeeds(desk, vault, chain):
    receipt = vault.at.buy(0, 2 * WAD, RICH, sender=vault.buyer)
    (event,) = receipt.events.filter(vault.at.Bought, id=0, buyer=vault.buyer.address, amount=2 * WAD)
    with ape.reverts(vault.at.NotNow):
        vault.at.exercise(0, WAD, sender=vault.buyer)
    chain.mine(timestamp=vault.expiry)
    vault.at.exercise(0, WAD, sender=vault.buyer)
    with ape.reverts(vault.at.NotEnough, error_inputs={"left": WAD}):
        vault.at.exercise(0, WAD + 1, sender=vault.buyer)
    assert (vault.token.balanceOf(vault.buyer), vault.at.callsOf(0, vault.buyer)) == (WAD, WAD)
    vault.at.claim(sender=vault.writer)
    assert vault.cash.balanceOf(vault.writer) == event.premium + STRIKE
    assert vault.cash.balanceOf(vault.at) == 0
    chain.mine(timestamp=vault.expiry + DAY)
    with ape.reverts(vault.at.NotNow):
        vault.at.exercise(0, WAD, sender=vault.buyer)
    vault.at.reclaim(0, sender=vault.writer)
    assert vault.token.balanceOf(vault.writer) == RICH - WAD
    assert vault.token.balanceOf(vault.at) == 0


def test_out_of_the_money_calls_lapse_succeeds(vault, chain):
    receipt = vault.at.buy(0, LOCKED, RICH, sender=vault.buyer)
    (event,) = receipt.events.filter(vault.at.Bought, id=0)
    chain.mine(timestamp=vault.expiry + DAY - 10)
    vault.at.reclaim(0, sender=vault.writer)
    assert vault.token.balanceOf(vault.at) == LOCKED, "calls may still be exercised"
    chain.mine(timestamp=vault.expiry + DAY)
    vault.at.reclaim(0, sender=vault.writer)
    vault.at.claim(sender=vault.writer)
    assert vault.token.balanceOf(vault.writer) == RICH
    assert vault.cash.balanceOf(vault.writer) == event.premium


def test_it_cannot_oversell_reverts(vault):
    vault.at.buy(0, 4 * WAD, RICH, sender=vault.buyer)
    with ape.reverts(vault.at.NotEnough, error_inputs={"left": WAD}):
        vault.at.buy(0, WAD + 1, RICH, sender=vault.buyer)
    vault.at.reclaim(0, sender=vault.writer)
    assert vault.token.balanceOf(vault.at) == 4 * WAD
    with ape.reverts(vault.at.NotEnough, error_inputs={"left": 0}):
        vault.at.buy(0, 1, RICH, sender=vault.buyer)
    vault.at.reclaim(0, sender=vault.writer)
    assert vault.token.balanceOf(vault.at) == 4 * WAD, "what is sold stays"


def test_a_buyer_s_bound_and_a_writer_s_tokens_are_kept_reverts(desk, vault, stranger):
    premium = price(desk, vault)
    with ape.reverts(vault.at.PremiumAbove):
        vault.at.buy(0, WAD, premium // 2, sender=vault.buyer)
    with ape.reverts(vault.at.NotWriter):
        vault.at.reclaim(0, sender=stranger)
    with ape.reverts(vault.at.NotEnough, error_inputs={"left": 0}):
        ape.chain.mine(timestamp=vault.expiry)
        vault.at.exercise(0, 1, sender=stranger)
    assert vault.at.claim.call(sender=stranger) == 0


def test_what_is_stale_is_refused_reverts(desk, vault):
    """By the vault's bounds, before the engine's."""
    for feeds in (desk.feeds, desk.vols):
        desk.refresh()
        feeds[BTC].setAt(50 * 10**8, desk.now - 700, sender=desk.owner)
        with ape.reverts(vault.at.TooOld):
            vault.at.buy(0, WAD, RICH, sender=vault.buyer)
    desk.pass_time(DAY + HOUR)
    desk.refresh()
    desk.engine.quote(BTC, STRIKE, vault.expiry, **AT)
    with ape.reverts(vault.at.TooOld):
        vault.at.buy(0, WAD, RICH, sender=vault.buyer)
    desk.pass_time(DAY)
    desk.refresh()
    with ape.reverts(desk.engine.StaleModel):
        desk.engine.quote(BTC, STRIKE, vault.expiry, **AT)


def test_an_iv_out_of_the_vault_s_bounds_is_refused_reverts(desk, vault):
    desk.vols[BTC].set(4_000 * 10**8, sender=desk.owner)
    desk.publish(typical_weights(level=1.9))
    desk.vols[BTC].set(60_000 * 10**8, sender=desk.owner)
    iv = desk.engine.iv(BTC, STRIKE, vault.expiry, **AT)
    assert iv > 2 * WAD - WAD // 2
    strike = SPOT[BTC] * WAD // 3
    vault.at.write(WAD, strike, vault.expiry, sender=vault.writer)
    with ape.reverts(vault.at.IvOutOfBounds):
        vault.at.buy(1, WAD, RICH, sender=vault.buyer)
