"""The engine: set-up, quotes from a live registry and feed, every stated refusal."""

from __future__ import annotations

import random

import ape
import pytest
from mpmath import mpf
from tests.contracts.pricing_fixtures import (
    BLOCK,
    BTC,
    DAY,
    ETH,
    FRACTION_BITS,
    INT32,
    MAX_FEED_AGE,
    MAX_MODEL_AGE,
    PILLARS,
    SPOT,
    WAD,
    YEAR,
    clone,
    new_engine,
    typical_weights,
)
from tests.contracts.pricing_reference import black76 as real_black76
from tests.contracts.pricing_reference import surface_iv

from fedvol.protocol import black76, fixedpoint, ssvi, surface
from fedvol.protocol.vector import pack_model

pytest_plugins = ["tests.contracts.pricing_fixtures"]

NOBODY = "0x0000000000000000000000000000000000000000"


@pytest.fixture
def now(chain):
    """Calls on a pending block would see another second; everything here is asked of the latest."""
    return lambda: chain.blocks.head.timestamp


def wad(x):
    return x * WAD >> 96


def expected(weights, market, forward, strike, seconds):
    """The quote by the Python twins."""
    start = BLOCK * (market == ETH)
    slice_ = surface.slice_at(weights[start : start + BLOCK], PILLARS, FRACTION_BITS, seconds)
    k = fixedpoint.ln_ratio(strike, forward)
    variance = ssvi.total_variance(*slice_, k)
    sigma, deviation = ssvi.implied_vol(variance, seconds), fixedpoint.sqrt(variance << 96)
    terms = black76.terms(forward, strike, k, deviation)
    greeks = black76.greeks(forward, terms.density, deviation, sigma, seconds)
    return (forward, wad(sigma), terms.call, terms.put, wad(terms.delta), *greeks)


def test_quotes_are_those_of_the_twin_and_of_the_formula(desk, now):
    weights = typical_weights()
    for market, spot in SPOT.items():
        forward = spot * WAD
        for days, percent in ((0.4, 101), (1, 100), (9, 80), (30, 115), (200, 60), (365, 250), (1500, 100)):
            seconds, strike = int(days * DAY), forward * percent // 100
            quote = desk.engine.quote(market, strike, now() + seconds, block_id="latest")
            assert tuple(quote) == (*expected(weights, market, forward, strike, seconds), 1)
            start = BLOCK * (market == ETH)
            sigma = surface_iv(weights[start : start + BLOCK], PILLARS, FRACTION_BITS, seconds, forward, strike)
            assert abs(mpf(quote.iv) / WAD / sigma - 1) < 1e-9
            real = real_black76(forward, strike, sigma, seconds)
            for name, scale in (("call", 1), ("put", 1), ("delta", WAD), ("vega", 1), ("theta", 1)):
                value = getattr(real, name) * scale
                assert abs(getattr(quote, name) - value) <= 1e-9 * abs(value) + 1e6, name
            assert abs(quote.gamma - real.gamma * WAD**2) <= 1e-9 * real.gamma * WAD**2 + 1


def test_all_readings_agree(desk, now):
    forward, expiry = SPOT[BTC] * WAD, now() + 25 * DAY
    strikes = [forward * percent // 100 for percent in (70, 90, 100, 110, 150)]
    level, ivs = desk.engine.smile(BTC, strikes, expiry, block_id="latest")
    assert level == forward
    for strike, iv in zip(strikes, ivs, strict=True):
        quote = desk.engine.quote(BTC, strike, expiry, block_id="latest")
        assert quote == desk.engine.quoteAt(BTC, forward, strike, expiry, block_id="latest")
        assert quote.iv == iv
        assert iv == desk.engine.iv(BTC, strike, expiry, block_id="latest")
        assert iv == desk.engine.ivAt(BTC, forward, strike, expiry, block_id="latest")


def test_any_model_answers(desk, now):
    """Whatever int32 weights a version holds: the twin's numbers, no revert, no negative volatility."""
    rng = random.Random(5)
    for version in range(2, 10):
        weights = [rng.choice([*INT32, 0, rng.randint(*INT32)]) for _ in range(2 * BLOCK)]
        desk.publish(weights)
        for market, spot in SPOT.items():
            forward, seconds = spot * WAD, rng.randrange(1, 5 * YEAR)
            strike = int(forward * 2 ** rng.uniform(-13.9, 13.9))
            quote = desk.engine.quoteAt(market, forward, strike, now() + seconds, block_id="latest")
            assert tuple(quote) == (*expected(weights, market, forward, strike, seconds), version)
            assert quote.iv > 0


def test_configuration_and_staleness(desk, now, chain):
    configuration = desk.engine.configuration()
    assert configuration.registry == desk.registry.address
    assert configuration.maxModelAge == MAX_MODEL_AGE
    assert configuration.fractionBits == FRACTION_BITS
    assert list(configuration.pillarSeconds) == PILLARS
    assert [bytes(market) for market in configuration.markets] == [BTC, ETH]
    assert tuple(desk.engine.feedOf(BTC)) == (desk.feeds[BTC].address, MAX_FEED_AGE)
    desk.publish(typical_weights())
    desk.feeds[BTC].setAt(SPOT[BTC] * 10**8, now() - 50, sender=desk.owner)
    published = desk.registry.current().publishedAt
    chain.mine(timestamp=now() + 100)
    feed_age, model_age = desk.engine.staleness(BTC, block_id="latest")
    assert model_age == now() - published
    assert feed_age >= 150
    desk.feeds[BTC].setAt(SPOT[BTC] * 10**8, now() + 1000, sender=desk.owner)
    assert desk.engine.staleness(BTC, block_id="latest")[0] == 0


@pytest.mark.parametrize("age", [MAX_FEED_AGE + 10, -1000, None], ids=["old", "future", "never"])
def test_a_stale_feed_refuses(desk, now, age):
    at = 0 if age is None else now() - age
    desk.feeds[BTC].setAt(SPOT[BTC] * 10**8, at, sender=desk.owner)
    with ape.reverts(desk.engine.StaleFeed, error_inputs={"market": BTC, "updatedAt": at}):
        desk.engine.quote(BTC, SPOT[BTC] * WAD, now() + DAY, block_id="latest")
    desk.engine.quoteAt(BTC, SPOT[BTC] * WAD, SPOT[BTC] * WAD, now() + DAY, block_id="latest")


def test_an_answer_carried_over_refuses(desk, now):
    desk.feeds[ETH].set(SPOT[ETH] * 10**8, sender=desk.owner)
    desk.engine.iv(ETH, SPOT[ETH] * WAD, now() + DAY, block_id="latest")
    desk.feeds[ETH].carryOver(sender=desk.owner)
    with ape.reverts(desk.engine.StaleFeed):
        desk.engine.iv(ETH, SPOT[ETH] * WAD, now() + DAY, block_id="latest")


@pytest.mark.parametrize("answer", [0, -1, 2**127 - 1], ids=["zero", "negative", "huge"])
def test_a_nonsense_answer_refuses(desk, now, answer):
    desk.feeds[BTC].set(answer, sender=desk.owner)
    with ape.reverts(desk.engine.BadFeedAnswer, error_inputs={"market": BTC, "answer": answer}):
        desk.engine.iv(BTC, SPOT[BTC] * WAD, now() + DAY, block_id="latest")


def test_a_stale_model_refuses(desk, now, chain):
    chain.mine(timestamp=desk.registry.current().publishedAt + MAX_MODEL_AGE)
    forward = SPOT[BTC] * WAD
    desk.engine.ivAt(BTC, forward, forward, now() + DAY, block_id="latest")
    chain.mine(timestamp=now() + 1)
    with ape.reverts(desk.engine.StaleModel):
        desk.engine.ivAt(BTC, forward, forward, now() + DAY, block_id="latest")


def test_outside_the_domain(desk, now):
    engine, forward = desk.engine, SPOT[BTC] * WAD
    at = {"block_id": "latest"}
    with ape.reverts(engine.UnknownMarket):
        engine.iv(b"SOL".ljust(32, b"\0"), forward, now() + DAY, **at)
    with ape.reverts(engine.Expired):
        engine.iv(BTC, forward, now(), **at)
    with ape.reverts(engine.MaturityTooLong):
        engine.iv(BTC, forward, now() + 5 * YEAR + 1, **at)
    engine.iv(BTC, forward, now() + 5 * YEAR, **at)
    engine.iv(BTC, forward, now() + 1, **at)
    for level, strike in (
        (forward, 0),
        (0, forward),
        (forward, (forward << 14) + 1),
        ((forward << 14) + 1, forward),
        (2**128, 2**127),
        (2**127, 2**128),
        (2**256 - 1, 2**256 - 1),
    ):
        with ape.reverts(engine.StrikeOutOfRange, error_inputs={"strike": strike, "forward": level}):
            engine.quoteAt(BTC, level, strike, now() + DAY, **at)
    for level, strike in ((1, 1), (2**128 - 1, 2**128 - 1), (forward, forward << 14), (forward << 14, forward)):
        assert engine.quoteAt(BTC, level, strike, now() + DAY, **at).iv > 0


def test_only_the_admin_changes_feeds(desk, accounts, project, now):
    feed = project.SettableFeed.deploy(accounts[1], 18, 1234 * WAD, sender=accounts[1])
    with ape.reverts(desk.engine.AccessControlUnauthorizedAccount):
        desk.engine.setFeed(ETH, feed, 60, sender=accounts[1])
    with ape.reverts(desk.engine.ZeroAddress):
        desk.engine.setFeed(ETH, NOBODY, 60, sender=desk.owner)
    with ape.reverts(desk.engine.BadMarket):
        desk.engine.setFeed(ETH, feed, 0, sender=desk.owner)
    with ape.reverts(desk.engine.UnknownMarket):
        desk.engine.setFeed(bytes(32), feed, 60, sender=desk.owner)
    weights = typical_weights()
    desk.publish(weights)
    desk.engine.setFeed(ETH, feed, 60, sender=desk.owner)
    quote = desk.engine.quote(ETH, 1300 * WAD, now() + 9 * DAY, block_id="latest")
    assert tuple(quote)[:-1] == expected(weights, ETH, 1234 * WAD, 1300 * WAD, 9 * DAY)
    with ape.reverts(feed.OwnableUnauthorizedAccount):
        feed.set(1, sender=desk.owner)


def test_set_up_refuses_nonsense(desk, project):
    owner = desk.owner
    odd = project.SettableFeed.deploy(owner, 19, 1, sender=owner)
    feeds = [(market, feed, 60) for market, feed in desk.feeds.items()]
    code = project.PricingEngine.deploy(sender=owner)
    fresh = new_engine(project, desk.harness, owner, desk.registry, feeds, PILLARS)
    good = [desk.registry, owner, feeds, PILLARS, FRACTION_BITS, MAX_MODEL_AGE]
    (btc, feed, age), eth = feeds
    refusals = [
        (0, NOBODY, "ZeroAddress"),
        (1, NOBODY, "ZeroAddress"),
        (2, [], "BadMarketCount"),
        (2, feeds[:1], "WrongDimension"),
        (2, [(btc, feed, age), (btc, feed, age)], "BadMarket"),
        (2, [(bytes(32), feed, age), eth], "BadMarket"),
        (2, [(btc, odd, age), eth], "BadMarket"),
        (2, [(btc, feed, 0), eth], "BadMarket"),
        (2, [(btc, NOBODY, age), eth], "ZeroAddress"),
        (3, [], "BadPillar"),
        (3, PILLARS[:-1], "WrongDimension"),
        (3, [0, *PILLARS[1:]], "BadPillar"),
        (3, [*PILLARS[:-1], PILLARS[-2]], "BadPillar"),
        (3, [*PILLARS[:-1], 5 * YEAR + 1], "BadPillar"),
        (3, [DAY * i for i in range(1, 32)], "BadPillar"),
        (4, 7, "BadFractionBits"),
        (4, 29, "BadFractionBits"),
        (5, 0, "BadModelAge"),
        (5, MAX_MODEL_AGE + 1, "WrongConfiguration"),
    ]
    for place, value, error in refusals:
        with ape.reverts(getattr(fresh, error)):
            fresh.initialize(*good[:place], value, *good[place + 1 :], sender=owner)
    fresh.initialize(*good, sender=owner)
    for done in (fresh, code):
        with ape.reverts(done.InvalidInitialization):
            done.initialize(*good, sender=owner)


def test_only_the_registry_tells_of_a_version(desk):
    with ape.reverts(desk.engine.NotRegistry, error_inputs={"caller": desk.owner.address}):
        desk.engine.modelPublished(9, NOBODY, sender=desk.owner)


def test_a_single_market_and_pillar(desk, project, now):
    registry_code = project.ModelRegistry.deploy(sender=desk.owner)
    registry = clone(desk.harness, project.ModelRegistry, registry_code, desk.owner)
    market = [(ETH, desk.feeds[ETH], 60)]
    engine = new_engine(project, desk.harness, desk.owner, registry, market, [DAY])
    registry.initialize(desk.owner, 3, pack_model([0, 0, 0]), engine, sender=desk.owner)
    engine.initialize(registry, desk.owner, market, [DAY], FRACTION_BITS, MAX_MODEL_AGE, sender=desk.owner)
    quote = engine.quoteAt(ETH, WAD, WAD, now() + 100 * DAY, block_id="latest")
    assert abs(quote.iv - WAD) <= 2 * 10**2  # a level of 0 is 100% at the money
