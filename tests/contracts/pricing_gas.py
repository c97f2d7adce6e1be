"""Gas of pricing, by snapshot name: what the functions take net of the call, and a quote with everything cold."""

from __future__ import annotations

from typing import Any

from tests.contracts.pricing_fixtures import BTC, DAY, ONE, SPOT, WAD, YEAR, make_desk


def measure(project: Any, accounts: Any) -> dict[str, int]:
    """The worst of an in-, an at- and an out-of-the-money option for the pure functions.

    `quote_full`: execution of `quote` (30 days, 10% out of the money) in a transaction of its own, so that every slot
    and every contract but the engine that is called is cold; the receipt less what any transaction with its calldata
    costs.
    """
    desk = make_desk(project, accounts[0])
    forward = SPOT[BTC] * WAD
    strikes = [forward * percent // 100 for percent in (90, 100, 115)]
    seconds = 30 * DAY
    sigma = ONE // 2
    slice_ = (sigma * sigma * seconds // YEAR >> 96, -3 * ONE // 10, 11 * ONE // 10)
    harness = desk.harness
    options = [(forward, strike, sigma, seconds) for strike in strikes]
    ssvi = [(forward, strike, *slice_, seconds) for strike in strikes]
    expiry = project.provider.get_block("latest").timestamp + seconds
    receipt = desk.engine.quote.transact(BTC, forward * 11 // 10, expiry, sender=desk.owner)
    full = receipt.gas_used - 21_000 - sum(16 if byte else 4 for byte in bytes(receipt.data))
    return {
        "black76": max(harness.gasOfPrice(option)[0] for option in options),
        "ssvi_iv": max(harness.gasOfImpliedVol(option)[0] for option in ssvi),
        "quote_pure": max(harness.gasOfQuote(option)[0] for option in ssvi),
        "quote_full": full,
    }
