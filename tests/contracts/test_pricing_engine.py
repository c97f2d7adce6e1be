"""The engine: set-up, readings equal to the twin's, what the state feeds move, every stated refusal."""

from __future__ import annotations

import random
from types import SimpleNamespace

import ape
import pytest
from mpmath import mpf
from tests.contracts.pricing_fixtures import (
    BLOCK,
    BOUNDS,
    BTC,
    DAY,
    ETH,
    FRACTION_BITS,
    HOUR,
    LAYOUT,
    MAX_FEED_AGE,
    MAX_MODEL_AGE,
    MAX_VOL_AGE,
    NOBODY,
    ONE,
    SPOT,
    START,
    VOL_INDEX,
    WAD,
    P,
    make_desk,
    new_engine,
    new_registry,
    typical_weights,
    wild_weights,
)
from tests.contracts.pricing_reference import black76 as real_black76
from tests.contracts.wallets import Reverted, Wallets

from fedvol.protocol import listing, pricing, surface
from fedvol.protocol.vector import pack_model

pytest_plugins = ["tests.contracts.pricing_fixtures"]

AT = {"block_id": "latest"}
"""Calls on a pending block would see another second."""
FEEDS = ("feeds", "vols")


@pytest.fixture(scope="module")
def free(project, chain, accounts):
    """An engine whose bounds every model keeps."""
    return make_desk(project, chain, accounts[0], bounds=pricing.Bounds(1, 2**32 - 1, 2**32 - 1))


def move(desk, market, index, vol_index):
    """Both feeds answer anew, in whole dollars and points."""
    desk.feeds[market].set(int(index * 10**8), sender=desk.owner)
    desk.vols[market].set(int(vol_index * 10**8), sender=desk.owner)


def clock_of(chart, market, index, vol_index):
    """The twin's, where both answered with what they say at first when the version was published."""
    vol_move = (int(vol_index * 10**8) * 10**10, VOL_INDEX[market] * WAD)
    return pricing.clock(chart, vol_move, (int(index * 10**8) * 10**10, SPOT[market] * WAD))


def test_quotes_are_those_of_the_twin_and_of_the_formula(desk):
    weights = typical_weights()
    desk.refresh()
    for market, spot in SPOT.items():
        chart, forward = desk.chart(weights, market), spot * WAD
        last = chart.tenors[-1] / DAY
        for days, percent in ((0.1, 101), (1, 100), (9, 80), (30, 115), (200, 60), (250, 250), (last, 9)):
            expiry, strike = desk.now + int(days * DAY), forward * percent // 100
            quote = desk.engine.quote(market, strike, expiry, **AT)
            assert tuple(quote) == (forward, *pricing.quote(chart, desk.now, expiry, forward, strike), 1)
            real = real_black76(forward, strike, mpf(quote.iv) / WAD, expiry - desk.now)
            for name, scale in (("call", 1), ("put", 1), ("delta", WAD), ("vega", 1), ("theta", 1)):
                value = getattr(real, name) * scale
                assert abs(getattr(quote, name) - value) <= 1e-9 * abs(value) + 1e6, name
            assert abs(quote.gamma - real.gamma * WAD**2) <= 1e-9 * real.gamma * WAD**2 + 1


def test_all_readings_agree(desk):
    desk.refresh()
    desk.pass_time(HOUR // 2)
    move(desk, BTC, 66_000, 58)
    forward, expiry = 66_000 * WAD, desk.now + 25 * DAY
    strikes = [forward * percent // 100 for percent in (70, 90, 100, 110, 150)]
    level, ivs = desk.engine.smile(BTC, strikes, expiry, **AT)
    assert level == forward
    chart = desk.chart(typical_weights(), BTC)
    for strike, iv in zip(strikes, ivs, strict=True):
        assert desk.engine.quote(BTC, strike, expiry, **AT).iv == iv == desk.engine.iv(BTC, strike, expiry, **AT)
        still = desk.engine.quoteAt(BTC, forward, strike, expiry, **AT)
        assert tuple(still)[1:-1] == pricing.quote(chart, desk.now, expiry, forward, strike)
        assert still.iv == desk.engine.ivAt(BTC, forward, strike, expiry, **AT) != iv


def test_any_model_answers(free):
    """Whatever int32 weights a version holds, and wherever the feeds have gone: the twin's numbers, no revert."""
    rng = random.Random(5)
    for version in range(2, 14):
        free.refresh()
        weights = wild_weights(rng)
        free.publish(weights)
        assert free.engine.currentVersion() == version
        free.pass_time(rng.choice([1, HOUR, DAY]))
        for market in SPOT:
            chart = free.chart(weights, market)
            index, vol_index = (value * 2 ** rng.uniform(-6, 6) for value in (SPOT[market], VOL_INDEX[market]))
            move(free, market, index, vol_index)
            forward = int(index * 10**8) * 10**10
            g = clock_of(chart, market, index, vol_index)
            last = pricing.last_expiry(chart)
            expiry = rng.choice([free.now + 1, last, rng.randrange(free.now + 1, last), chart.as_of + chart.tenors[-1]])
            strike = rng.choice([forward << 14, -(-forward >> 14), forward, int(forward * 2 ** rng.uniform(-9, 9))])
            quote = free.engine.quote(market, strike, expiry, **AT)
            assert tuple(quote) == (forward, *pricing.quote(chart, free.now, expiry, forward, strike, g), version)
            still = free.engine.quoteAt(market, forward, strike, expiry, **AT)
            assert tuple(still) == (forward, *pricing.quote(chart, free.now, expiry, forward, strike), version)
            assert min(quote.iv, still.iv) > 0


def test_the_state_moves_the_surface(desk):
    weights = typical_weights()
    desk.refresh()
    desk.publish(weights)
    chart = desk.chart(weights, BTC)
    assert tuple(desk.engine.state(BTC, **AT)) == (WAD, SPOT[BTC] * WAD, VOL_INDEX[BTC] * WAD)
    desk.pass_time(HOUR)
    for index, vol_index in ((65_000, 60), (60_000, 52), (60_000, 75), (1e6, 1), (1, 1e6), (80_000.5, 40.25)):
        move(desk, BTC, index, vol_index)
        g = clock_of(chart, BTC, index, vol_index)
        assert desk.engine.state(BTC, **AT).g == g * WAD >> 96
        assert ONE >> 2 <= g + 2 <= 4 * ONE + 4
        forward = int(index * 10**8) * 10**10
        for days in (1, 30, 300):
            expiry = desk.now + days * DAY
            quote = desk.engine.quote(BTC, forward, expiry, **AT)
            assert tuple(quote)[1:-1] == pricing.quote(chart, desk.now, expiry, forward, forward, g)
    move(desk, BTC, 65_000, 60)
    expiry = desk.now + 2 * DAY
    assert desk.engine.iv(BTC, SPOT[BTC] * WAD, expiry, **AT) > desk.engine.ivAt(
        BTC, SPOT[BTC] * WAD, SPOT[BTC] * WAD, expiry, **AT
    )


def test_a_vol_stays_as_the_expiry_comes_nearer(desk):
    """At a fixed ln(strike / forward) and expiry, and with the state where it was."""
    desk.refresh()
    expiry, strike = desk.engine.expiries(**AT)[6], SPOT[BTC] * WAD * 9 // 10
    before = desk.engine.iv(BTC, strike, expiry, **AT)
    desk.pass_time(DAY)
    desk.refresh()
    after = desk.engine.iv(BTC, strike, expiry, **AT)
    # A mixture of prices has no vol that is quite constant as time passes.
    assert abs(after / before - 1) < 2e-3


@pytest.mark.parametrize("what", ["old", "future", "never", "carried", "zero", "negative", "huge", "absent"])
@pytest.mark.parametrize("kind", FEEDS)
def test_a_feed_that_does_not_answer_at_publication_moves_nothing(desk, project, kind, what):
    desk.refresh()
    owner, feed, spot = desk.owner, getattr(desk, kind)[BTC], {"feeds": SPOT, "vols": VOL_INDEX}[kind][BTC]
    if what in ("old", "future", "never"):
        at = {"old": desk.now - 2 * MAX_VOL_AGE, "future": desk.now + 10_000, "never": 0}[what]
        feed.setAt(spot * 10**8, at, sender=owner)
    elif what == "carried":
        feed.carryOver(sender=owner)
    elif what == "absent":
        set_code(feed, "0x")
    else:
        feed.set({"zero": 0, "negative": -1, "huge": 2**127 - 1}[what], sender=owner)
    desk.publish(typical_weights())
    version = int(desk.registry.current().version)
    assert desk.engine.currentVersion() == version
    if what == "absent":
        substitute = project.SettableFeed.deploy(owner, 8, spot * 10**8, sender=owner)
        set_code(feed, "0x" + bytes(ape.chain.provider.get_code(substitute.address)).hex())
        slot = "0x" + bytes(12).hex() + owner.address[2:]
        ape.chain.provider.make_request("anvil_setStorageAt", [feed.address, "0x0", slot])
    move(desk, BTC, 70_000, 80)
    (_, *references) = desk.engine.state(BTC, **AT)
    assert references == [0 if kind == "feeds" else SPOT[BTC] * WAD, 0 if kind == "vols" else VOL_INDEX[BTC] * WAD]
    chart = desk.chart(typical_weights(), BTC)
    moves = [(80 * WAD, references[1]), (70_000 * WAD, references[0])]
    g = pricing.clock(chart, *(pair if pair[1] else (0, 0) for pair in moves))
    expiry = desk.now + 9 * DAY
    expected = pricing.quote(chart, desk.now, expiry, 70_000 * WAD, 70_000 * WAD, g)
    assert tuple(desk.engine.quote(BTC, 70_000 * WAD, expiry, **AT))[1:-1] == expected


#: It reverts; it takes all gas; it returns 1 MB; it returns four good words where there should be five.
HOSTILE = {
    "reverts": "0x5f5ffd",
    "takes all gas": "0xfe",
    "floods": "0x620fffff5ff3",
    "is short": "0x42606052633b9aca0060205260805ff3",
}
#: Says 10 dollars, as of now, and takes some 70,000 gas for it.
HUNGRY = "0x620200005f205042606052633b9aca0060205260a05ff3"


def set_code(contract, code):
    ape.chain.provider.make_request("anvil_setCode", [contract.address, code])


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_feed_cannot_stop_a_publication(desk, what):
    desk.refresh()
    code = "0x" + bytes(ape.chain.provider.get_code(desk.feeds[ETH].address)).hex()
    for feeds in (desk.feeds, desk.vols):
        set_code(feeds[ETH], HOSTILE[what])
    receipt = desk.publish(typical_weights())
    assert receipt.gas_used < 1_200_000
    assert desk.engine.currentVersion() == desk.registry.current().version
    desk.engine.ivAt(ETH, WAD, WAD, desk.now + DAY, **AT)
    for feeds in (desk.feeds, desk.vols):
        set_code(feeds[ETH], code)
    assert tuple(desk.engine.state(ETH, **AT)) == (WAD, 0, 0)
    assert desk.engine.state(BTC, **AT).indexReference == SPOT[BTC] * WAD


def test_little_gas_cannot_silence_a_feed(desk, project):
    """A publication, here one with as little to do as can be, hears the feed out or reverts, whatever its gas."""
    weights, registry, engine = single(desk, project, pillars=1)
    set_code(desk.feeds[ETH], HUNGRY)
    call = (registry.publish, pack_model(weights), bytes(32), 9, desk.now)
    needed = registry.publish(*call[1:], sender=desk.owner).gas_used
    assert engine.state(ETH, **AT).indexReference == 10 * WAD
    wallets, outcomes = Wallets(SimpleNamespace(chain=ape.chain)), set()
    for gas in range(needed - 90_000, needed + 130_000, 4_000):
        try:
            wallets.send(desk.owner.address, *call, gas=gas)
        except Reverted:
            outcomes.add(False)
            continue
        outcomes.add(True)
        assert engine.state(ETH, **AT).indexReference == 10 * WAD
    assert outcomes == {False, True}


def test_configuration_expiries_and_staleness(desk):
    configuration = desk.engine.configuration()
    assert configuration.registry == desk.registry.address
    numbers = (configuration.maxModelAge, configuration.fractionBits, configuration.pillars)
    assert numbers == (MAX_MODEL_AGE, FRACTION_BITS, P)
    assert tuple(configuration.bounds) == BOUNDS
    assert [bytes(market) for market in configuration.markets] == [BTC, ETH]
    feeds = (desk.feeds[BTC].address, MAX_FEED_AGE, desk.vols[BTC].address, MAX_VOL_AGE)
    assert tuple(desk.engine.feedOf(BTC)) == feeds
    desk.publish(typical_weights(), desk.now - HOUR)
    as_of = int(desk.registry.current().asOf)
    assert list(desk.engine.expiries(**AT)) == listing.expiries(as_of, P)
    desk.feeds[BTC].setAt(SPOT[BTC] * 10**8, desk.now - 50, sender=desk.owner)
    desk.vols[BTC].setAt(SPOT[BTC] * 10**8, desk.now - 90, sender=desk.owner)
    desk.pass_time(100)
    feed_age, vol_age, model_age = desk.engine.staleness(BTC, **AT)
    assert model_age == desk.now - as_of > HOUR
    assert 150 <= feed_age < vol_age - 30
    desk.feeds[BTC].setAt(SPOT[BTC] * 10**8, desk.now + 1000, sender=desk.owner)
    assert desk.engine.staleness(BTC, **AT)[0] == 0


@pytest.mark.parametrize("age", [3 * HOUR, -1000, None], ids=["old", "future", "never"])
@pytest.mark.parametrize("kind", FEEDS)
def test_a_stale_feed_refuses(desk, kind, age):
    desk.refresh()
    feed, at = getattr(desk, kind)[BTC], 0 if age is None else desk.now - age
    feed.setAt(SPOT[BTC] * 10**8, at, sender=desk.owner)
    forward = SPOT[BTC] * WAD
    with ape.reverts(desk.engine.StaleFeed, error_inputs={"market": BTC, "feed": feed.address, "updatedAt": at}):
        desk.engine.quote(BTC, forward, desk.now + DAY, **AT)
    desk.engine.quoteAt(BTC, forward, forward, desk.now + DAY, **AT)
    desk.engine.quote(ETH, SPOT[ETH] * WAD, desk.now + DAY, **AT)


@pytest.mark.parametrize("kind", FEEDS)
def test_an_answer_carried_over_refuses(desk, kind):
    desk.refresh()
    desk.engine.iv(ETH, SPOT[ETH] * WAD, desk.now + DAY, **AT)
    getattr(desk, kind)[ETH].carryOver(sender=desk.owner)
    with ape.reverts(desk.engine.StaleFeed):
        desk.engine.iv(ETH, SPOT[ETH] * WAD, desk.now + DAY, **AT)


@pytest.mark.parametrize("answer", [0, -1, 2**127 - 1], ids=["zero", "negative", "huge"])
@pytest.mark.parametrize("kind", FEEDS)
def test_a_nonsense_answer_refuses(desk, kind, answer):
    desk.refresh()
    feed = getattr(desk, kind)[BTC]
    feed.set(answer, sender=desk.owner)
    inputs = {"market": BTC, "feed": feed.address, "answer": answer}
    with ape.reverts(desk.engine.BadFeedAnswer, error_inputs=inputs):
        desk.engine.iv(BTC, SPOT[BTC] * WAD, desk.now + DAY, **AT)


def test_a_model_of_old_data_refuses(desk, chain):
    """Its age counts from the time that it is as of, however late it was published."""
    as_of = desk.now + HOUR
    desk.pass_time(MAX_MODEL_AGE)
    desk.publish(typical_weights(), as_of)
    chain.mine(timestamp=as_of + MAX_MODEL_AGE)
    forward = SPOT[BTC] * WAD
    desk.engine.ivAt(BTC, forward, forward, desk.now + DAY, **AT)
    chain.mine(timestamp=desk.now + 1)
    version = int(desk.registry.current().version)
    with ape.reverts(desk.engine.StaleModel, error_inputs={"version": version, "asOf": as_of}):
        desk.engine.ivAt(BTC, forward, forward, desk.now + DAY, **AT)


def test_outside_the_domain(desk):
    desk.refresh()
    engine, forward = desk.engine, SPOT[BTC] * WAD
    with ape.reverts(engine.UnknownMarket):
        engine.iv(b"SOL".ljust(32, b"\0"), forward, desk.now + DAY, **AT)
    with ape.reverts(engine.Expired, error_inputs={"expiry": desk.now}):
        engine.iv(BTC, forward, desk.now, **AT)
    last = pricing.last_expiry(desk.chart(typical_weights(), BTC))
    for expiry in (last + 1, 2**256 - 1):
        with ape.reverts(engine.ExpiryBeyondSurface, error_inputs={"expiry": expiry, "last": last}):
            engine.iv(BTC, forward, expiry, **AT)
    engine.iv(BTC, forward, last, **AT)
    engine.iv(BTC, forward, desk.now + 1, **AT)
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
            engine.quoteAt(BTC, level, strike, desk.now + DAY, **AT)
    for level, strike in ((1, 1), (2**128 - 1, 2**128 - 1), (forward, forward << 14), (forward << 14, forward)):
        assert engine.quoteAt(BTC, level, strike, desk.now + DAY, **AT).iv > 0


# ------------------------------------------------------------------ bounds


def scaled(weights, market, pillar, factor):
    """Both vols of one listed expiry times `factor`."""
    weights = list(weights)
    for which in (0, 3):
        weights[BLOCK * (market == ETH) + surface.PILLAR_WEIGHTS * pillar + which] *= factor
    return [int(weight) for weight in weights]


def assert_refused(desk, receipt, market, breach):
    version = int(desk.registry.current().version)
    expected = {"version": version, "market": market, "expiry": breach.expiry, "vol": breach.vol}
    assert receipt.events.filter(desk.engine.VersionRefused, **expected)


@pytest.mark.parametrize("market", [BTC, ETH])
@pytest.mark.parametrize(("level", "bounds"), [(0.06, (800, 40_000)), (4.4, (300, 30_000))], ids=["low", "high"])
def test_a_level_out_of_bounds_is_refused(project, chain, accounts, market, level, bounds):
    bounds = pricing.Bounds(*bounds, 2**31)
    desk = make_desk(project, chain, accounts[0], bounds=bounds)
    rest = typical_weights()[:BLOCK]
    weights = [int(level / 0.5 * w) if i % 3 == 0 and i < BLOCK - 2 else w for i, w in enumerate(rest)]
    receipt = desk.publish(weights + rest if market == BTC else rest + weights)
    breach = pricing.first_breach(desk.chart(weights, BTC), bounds)
    assert_refused(desk, receipt, market, breach)
    assert desk.engine.currentVersion() == 1
    assert list(desk.engine.expiries()) == listing.expiries(int(desk.registry.versionAt(1).asOf), P)
    quote = desk.engine.quoteAt(BTC, WAD, WAD, desk.now + DAY, **AT)
    still = pricing.draw(typical_weights()[:BLOCK], int(desk.registry.versionAt(1).asOf), P, FRACTION_BITS)
    assert tuple(quote) == (WAD, *pricing.quote(still, desk.now, desk.now + DAY, WAD, WAD), 1)


@pytest.mark.parametrize(("factor", "good"), [(1.9, True), (0.53, True), (2.1, False), (0.47, False)])
def test_a_level_moves_no_further_than_its_bound(desk, factor, good):
    old, weights = typical_weights(), [int(w) for w in typical_weights(level=factor)]
    desk.pass_time(DAY // 2)
    receipt = desk.publish(weights)
    as_of = int(desk.registry.versionAt(1).asOf)
    before = pricing.draw(old[:BLOCK], as_of, P, FRACTION_BITS)
    breach = pricing.first_breach(desk.chart(weights, BTC), BOUNDS, before)
    assert (breach is None) is good
    if breach:
        assert_refused(desk, receipt, BTC, breach)
    assert desk.engine.currentVersion() == (2 if good else 1)


def test_the_edge_of_a_move_is_where_the_twin_has_it(desk):
    """Levels closer and closer to the bound: engine and twin agree on which is the first beyond it."""
    before = pricing.draw(typical_weights()[BLOCK:], int(desk.registry.versionAt(1).asOf), P, FRACTION_BITS)
    low, high = 1.5, 2.5
    for _ in range(24):
        middle = (low + high) / 2
        weights = typical_weights()[:BLOCK] + typical_weights(level=middle)[BLOCK:]
        breach = pricing.first_breach(pricing.draw(weights[BLOCK:], desk.now, P, FRACTION_BITS), BOUNDS, before)
        low, high = (low, middle) if breach else (middle, high)
    for level, version in ((high, 1), (low, 3)):
        weights = typical_weights()[:BLOCK] + typical_weights(level=level)[BLOCK:]
        chart = pricing.draw(weights[BLOCK:], desk.now, P, FRACTION_BITS)
        breach = pricing.first_breach(chart, BOUNDS, before)
        receipt = desk.publish(weights, chart.as_of)
        assert desk.engine.currentVersion() == (3 if breach is None else 1) == version
        if breach:
            assert_refused(desk, receipt, ETH, breach)


def test_what_is_refused_is_held_against_the_last_good_chart(desk):
    """Two moves of 1.9 in a row pass, one of 3.6 does not, nor after a refusal."""
    for level, version in ((1.9, 2), (3.9, 2), (3.9, 2), (3.6, 5)):
        desk.pass_time(HOUR)
        desk.publish(typical_weights(level=level))
        assert desk.engine.currentVersion() == version


def test_a_chart_too_old_to_be_read_bounds_no_move(desk, chain):
    """Else a real move beyond the bound would silence the engine for good."""
    as_of = int(desk.registry.current().asOf)
    chain.mine(timestamp=as_of + MAX_MODEL_AGE - 10)
    desk.publish(typical_weights(level=3), desk.now)
    assert desk.engine.currentVersion() == 1
    chain.mine(timestamp=as_of + MAX_MODEL_AGE + 1)
    desk.publish(typical_weights(level=3), desk.now)
    assert desk.engine.currentVersion() == 3


def test_a_refused_version_leaves_the_references(desk):
    desk.refresh()
    desk.publish(typical_weights())
    move(desk, BTC, 70_000, 80)
    desk.publish(typical_weights(level=3))
    assert tuple(desk.engine.state(BTC, **AT))[1:] == (SPOT[BTC] * WAD, VOL_INDEX[BTC] * WAD)


# ------------------------------------------------------------------ set-up and feeds


def test_only_the_admin_changes_feeds(desk, accounts, project):
    feed = project.SettableFeed.deploy(accounts[1], 18, 1234 * WAD, sender=accounts[1])
    odd = project.SettableFeed.deploy(accounts[1], 19, 1, sender=accounts[1])
    vol = desk.vols[ETH]
    with ape.reverts(desk.engine.AccessControlUnauthorizedAccount):
        desk.engine.setFeed(ETH, feed, 60, vol, 60, sender=accounts[1])
    with ape.reverts(desk.engine.ZeroAddress):
        desk.engine.setFeed(ETH, NOBODY, 60, vol, 60, sender=desk.owner)
    for refused in ((feed, 0, vol, 60), (feed, 60, vol, 0), (odd, 60, vol, 60), (feed, 60, odd, 60)):
        with ape.reverts(desk.engine.BadMarket):
            desk.engine.setFeed(ETH, *refused, sender=desk.owner)
    with ape.reverts(desk.engine.UnknownMarket):
        desk.engine.setFeed(bytes(32), feed, 60, vol, 60, sender=desk.owner)
    desk.refresh()
    receipt = desk.engine.setFeed(ETH, feed, 600, vol, 700, sender=desk.owner)
    changed = {"market": ETH, "feed": feed.address, "maxFeedAge": 600, "volFeed": vol.address, "maxVolAge": 700}
    assert receipt.events.filter(desk.engine.FeedChanged, **changed)
    chart, expiry = desk.chart(typical_weights(), ETH), desk.now + 9 * DAY
    g = pricing.clock(chart, (VOL_INDEX[ETH] * WAD,) * 2, (1234 * WAD, SPOT[ETH] * WAD))
    quote = desk.engine.quote(ETH, 1300 * WAD, expiry, **AT)
    assert tuple(quote)[1:-1] == pricing.quote(chart, desk.now, expiry, 1234 * WAD, 1300 * WAD, g)
    with ape.reverts(feed.OwnableUnauthorizedAccount):
        feed.set(1, sender=desk.owner)


def test_another_vol_index_moves_nothing_until_the_next_version(desk, project):
    """What it answers cannot be held against what the old one answered."""
    other = project.SettableFeed.deploy(desk.owner, 18, WAD // 2, sender=desk.owner)
    desk.refresh()
    spot = (desk.feeds[BTC], MAX_FEED_AGE)
    desk.engine.setFeed(BTC, *spot, other, HOUR, sender=desk.owner)
    assert tuple(desk.engine.state(BTC, **AT)) == (WAD, SPOT[BTC] * WAD, 0)
    desk.publish(typical_weights())
    assert tuple(desk.engine.state(BTC, **AT)) == (WAD, SPOT[BTC] * WAD, WAD // 2)
    desk.engine.setFeed(BTC, *spot, other, 2 * HOUR, sender=desk.owner)
    assert desk.engine.state(BTC, **AT).volReference == WAD // 2, "the same source keeps its reference"
    desk.engine.setFeed(BTC, *spot, NOBODY, 0, sender=desk.owner)
    assert desk.engine.state(BTC, **AT).volReference == 0
    assert tuple(desk.engine.feedOf(BTC))[2:] == (NOBODY, 0)
    assert desk.engine.staleness(BTC, **AT).volAge == 0
    desk.publish(typical_weights())
    desk.engine.setFeed(BTC, *spot, other, HOUR, sender=desk.owner)
    assert desk.engine.state(BTC, **AT).volReference == 0


def test_set_up_refuses_nonsense(desk, project):
    owner = desk.owner
    odd = project.SettableFeed.deploy(owner, 19, 1, sender=owner)
    feeds = [(market, feed, 60, desk.vols[market], 60) for market, feed in desk.feeds.items()]
    code = project.PricingEngine.deploy(sender=owner)
    fresh = new_engine(project, desk.harness, owner, desk.registry, feeds)
    good = [desk.registry, owner, feeds, P, FRACTION_BITS, MAX_MODEL_AGE, BOUNDS]
    (btc, feed, age, vol, vol_age), eth = feeds
    refusals = [
        (0, NOBODY, "ZeroAddress"),
        (1, NOBODY, "ZeroAddress"),
        (2, [], "BadMarketCount"),
        (2, feeds[:1], "WrongDimension"),
        (2, [(btc, feed, age, vol, vol_age), (btc, feed, age, vol, vol_age)], "BadMarket"),
        (2, [(bytes(32), feed, age, vol, vol_age), eth], "BadMarket"),
        (2, [(btc, odd, age, vol, vol_age), eth], "BadMarket"),
        (2, [(btc, feed, 0, vol, vol_age), eth], "BadMarket"),
        (2, [(btc, feed, age, odd, vol_age), eth], "BadMarket"),
        (2, [(btc, feed, age, vol, 0), eth], "BadMarket"),
        (2, [(btc, NOBODY, age, vol, vol_age), eth], "ZeroAddress"),
        (3, 0, "BadPillars"),
        (3, P - 1, "WrongDimension"),
        (3, 17, "BadPillars"),
        (4, 7, "BadFractionBits"),
        (4, 29, "BadFractionBits"),
        (5, 0, "BadModelAge"),
        (5, MAX_MODEL_AGE + 1, "WrongConfiguration"),
        (6, (500, 500, 20_000), "BadBounds"),
        (6, (500, 40_000, 9_999), "BadBounds"),
        (6, (500, 40_001, 20_000), "WrongConfiguration"),
    ]
    for place, value, error in refusals:
        with ape.reverts(getattr(fresh, error)):
            fresh.initialize(*good[:place], value, *good[place + 1 :], sender=owner)
    fresh.initialize(*good, sender=owner)
    for done in (fresh, code):
        with ape.reverts(done.InvalidInitialization):
            done.initialize(*good, sender=owner)


def test_a_genesis_out_of_bounds_is_refused(desk, project):
    feeds = [(market, feed, 60, NOBODY, 0) for market, feed in desk.feeds.items()]
    registry = new_registry(project, desk.harness, desk.owner)
    engine = new_engine(project, desk.harness, desk.owner, registry, feeds)
    weights = scaled(typical_weights(), ETH, P - 1, 7.4)
    registry.initialize(desk.owner, 2 * BLOCK, LAYOUT, pack_model(weights), engine, sender=desk.owner)
    breach = pricing.first_breach(pricing.draw(weights[BLOCK:], int(registry.current().asOf), P, FRACTION_BITS), BOUNDS)
    inputs = {"market": ETH, "expiry": breach.expiry, "vol": breach.vol}
    arguments = (registry, desk.owner, feeds, P, FRACTION_BITS, MAX_MODEL_AGE, BOUNDS)
    with ape.reverts(engine.BadGenesis, error_inputs=inputs):
        engine.initialize(*arguments, sender=desk.owner)


def test_only_the_registry_tells_of_a_version(desk):
    with ape.reverts(desk.engine.NotRegistry, error_inputs={"caller": desk.owner.address}):
        desk.engine.modelPublished(9, NOBODY, START, sender=desk.owner)


def single(desk, project, pillars):
    """Weights, registry and engine of one market without a vol index."""
    registry = new_registry(project, desk.harness, desk.owner)
    market = [(ETH, desk.feeds[ETH], MAX_FEED_AGE, NOBODY, 0)]
    engine = new_engine(project, desk.harness, desk.owner, registry, market, pillars=pillars)
    one = 1 << FRACTION_BITS
    weights = [one * 6 // 10, one // 2, one] * 2 * pillars + [one, one]
    weights += [0] * (-len(weights) % 8)
    count = surface.weights_of(pillars)
    registry.initialize(desk.owner, count, (1, pillars, 6, 2), pack_model(weights), engine, sender=desk.owner)
    desk.refresh()
    rest = (market, pillars, FRACTION_BITS, MAX_MODEL_AGE, BOUNDS)
    engine.initialize(registry, desk.owner, *rest, sender=desk.owner)
    return weights, registry, engine


@pytest.mark.parametrize("pillars", [1, 16])
def test_a_single_market_with_one_pillar_or_sixteen(desk, project, pillars):
    weights, registry, engine = single(desk, project, pillars)
    as_of = int(registry.current().asOf)
    chart = pricing.draw(weights[: surface.weights_of(pillars)], as_of, pillars, FRACTION_BITS)
    desk.feeds[ETH].set(3_000 * 10**8, sender=desk.owner)
    g = pricing.clock(chart, (0, 0), (3_000 * WAD, SPOT[ETH] * WAD))
    for expiry in (desk.now + HOUR, chart.as_of + chart.tenors[0], pricing.last_expiry(chart)):
        quote = engine.quote(ETH, 3_100 * WAD, expiry, **AT)
        assert tuple(quote)[1:-1] == pricing.quote(chart, desk.now, expiry, 3_000 * WAD, 3_100 * WAD, g)
