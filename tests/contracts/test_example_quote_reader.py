"""The example that the README quotes: a protocol reads a price, or gets a stated refusal."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PILLARS, PRICES, WEIGHTS

from fedvol.protocol import black76, fixedpoint, surface
from fedvol.protocol.ssvi import implied_vol_at
from fedvol.protocol.vector import unpack_model

WAD = 10**18
MONTH = 30 * 86_400
BTC = b"BTC".ljust(32, b"\0")
MAX_FEED_AGE = 3_600


@pytest.fixture
def reader(project, arena):
    return arena.founder.deploy(project.QuoteReader, arena.engine)


def test_read_price_of_a_trained_model_succeeds(arena, nodes, reader, chain):
    arena.join(*nodes)
    model = unpack_model(arena.run_round(nodes), WEIGHTS).tolist()
    arena.feeds[0].set(PRICES[0], sender=arena.founder)
    forward = PRICES[0] * 10**10
    strike, expiry = forward * 11 // 10, chain.blocks.head.timestamp + MONTH

    price, delta = reader.callOnBtc(strike, expiry, block_id="latest")

    slice_ = surface.slice_at(model[: len(PILLARS) + 2], PILLARS, 20, MONTH)
    sigma = implied_vol_at(*slice_, fixedpoint.ln_ratio(strike, forward), MONTH)
    expected = black76.price(forward, strike, sigma, MONTH)
    assert price == pytest.approx(expected.call, rel=1e-12)
    assert delta == pytest.approx(expected.delta * WAD >> 96, rel=1e-12)
    assert arena.engine.quote(BTC, strike, expiry, block_id="latest").version == 2


def test_read_price_from_a_stale_feed_reverts(arena, reader, chain):
    arena.feeds[0].set(PRICES[0], sender=arena.founder)
    updated_at = chain.blocks.head.timestamp
    expiry = updated_at + MONTH
    arena.pass_time(MAX_FEED_AGE + 1)
    with ape.reverts(arena.engine.StaleFeed, error_inputs={"market": BTC, "updatedAt": updated_at}):
        reader.callOnBtc(PRICES[0] * 10**10, expiry, block_id="latest")
