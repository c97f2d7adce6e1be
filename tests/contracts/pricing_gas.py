"""Gas of pricing, by snapshot name: what the functions take net of the call, and readings with everything cold."""

from __future__ import annotations

from typing import Any

from tests.contracts.pricing_fixtures import (
    BTC,
    DAY,
    FRACTION_BITS,
    ONE,
    SPOT,
    WAD,
    YEAR,
    make_desk,
    typical_weights,
)

from fedvol.protocol import surface
from fedvol.protocol.vector import pack_model


def measure(project: Any, chain: Any, accounts: Any) -> dict[str, int]:
    """The worst of an in-, an at- and an out-of-the-money option for the pure functions.

    Readings (30 days, 10% out of the money, both state feeds counting): execution in a transaction of its own, so that
    every slot and every contract but the engine that is called is cold; the receipt less what any transaction with its
    calldata costs. `smile_strike`: what one strike more adds to `smile`.
    """
    desk = make_desk(project, chain, accounts[0])
    engine, harness, forward = desk.engine, desk.harness, SPOT[BTC] * WAD
    desk.refresh()
    strikes = [forward * percent // 100 for percent in (90, 100, 115)]
    seconds, sigma = 30 * DAY, ONE // 2
    options = [(forward, strike, sigma, seconds) for strike in strikes]
    variance = sigma * sigma * seconds // YEAR >> 96
    log_strikes = [-ONE // 10, 0, ONE // 7]
    expiry, strike = desk.now + seconds, forward * 11 // 10

    def cold(method: Any, *arguments: Any) -> int:
        receipt = method.transact(*arguments, sender=desk.owner)
        return int(receipt.gas_used - 21_000 - sum(16 if byte else 4 for byte in bytes(receipt.data)))

    one, nine = (cold(engine.smile, BTC, [strike] * count, expiry) for count in (1, 9))
    chart = desk.chart(typical_weights(), BTC)
    return {
        "black76": max(harness.gasOfPrice(option)[0] for option in options),
        "mixture_deviation": max(harness.gasOfDeviation(variance, 2 * variance, k)[0] for k in log_strikes),
        "chart_pure": harness.gasOfChart((pack_model(typical_weights()), 0, chart.tenors, FRACTION_BITS))[0],
        "quote_pure": max(_quote_pure(harness, chart, k) for k in log_strikes),
        "iv": cold(engine.iv, BTC, strike, expiry),
        "iv_at": cold(engine.ivAt, BTC, forward, strike, expiry),
        "quote_full": cold(engine.quote, BTC, strike, expiry),
        "quote_at": cold(engine.quoteAt, BTC, forward, strike, expiry),
        "smile_strike": (nine - one) // 8,
    }


def _quote_pure(harness: Any, chart: Any, log_strike: int) -> int:
    """From a drawn chart in memory to the volatility."""
    pillars = b"".join(
        b"".join((p.theta << 56 | p.p << 28 | p.c).to_bytes(12, "big") for p in both)
        for both in zip(*chart.slices, strict=True)
    )
    tenors = b"".join(tenor.to_bytes(4, "big") for tenor in chart.tenors)
    return int(harness.gasOfIv((pillars, tenors, surface.UNMOVED, 30 * DAY, DAY, log_strike))[0])
