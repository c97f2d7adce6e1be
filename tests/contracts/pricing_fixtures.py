"""What the pricing tests share: one harness, one engine over a real registry at a fixed time, and the vectors."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from fedvol.protocol import pricing, surface
from fedvol.protocol.vector import pack_model

WAD = 10**18
ONE = 1 << 96
YEAR = 365 * 86400
DAY = 86400
HOUR = 3600
P = 13
BLOCK = surface.weights_of(P)
FRACTION_BITS = 24
UNIT = 1 << FRACTION_BITS
MAX_FEED_AGE = 3600
MAX_VOL_AGE = 7200
MAX_MODEL_AGE = 2 * DAY
BOUNDS = pricing.Bounds(500, 40_000, 20_000)
BTC = b"BTC".ljust(32, b"\0")
ETH = b"ETH".ljust(32, b"\0")
SPOT = {BTC: 65_000, ETH: 3_500}
VOL_INDEX = {BTC: 52, ETH: 61}
INT32 = (-(2**31), 2**31 - 1)
#: A Wednesday; all that depends on the calendar depends on this.
START = int(datetime(2035, 1, 3, 12, tzinfo=UTC).timestamp())
LAYOUT = (2, P, surface.PILLAR_WEIGHTS, surface.STATE_WEIGHTS)
NOBODY = "0x0000000000000000000000000000000000000000"


@dataclass
class Desk:
    """A deployed engine with its feeds, two a market, and the account that owns registry, feeds and engine."""

    chain: Any
    owner: Any
    harness: Any
    registry: Any
    engine: Any
    feeds: dict[bytes, Any]
    vols: dict[bytes, Any]
    round: int = field(default=0)

    @property
    def now(self) -> int:
        return int(self.chain.blocks.head.timestamp)

    def pass_time(self, seconds: int) -> None:
        """Mines a block that much later."""
        self.chain.mine(timestamp=self.now + seconds)

    def publish(self, weights: list[int], as_of: int | None = None) -> Any:
        """As of now, unless said."""
        self.round += 1
        time = self.now if as_of is None else as_of
        return self.registry.publish(pack_model(weights), bytes(32), self.round, time, sender=self.owner)

    def refresh(self) -> None:
        """All feeds answer anew, with what they said at first."""
        for market in SPOT:
            self.feeds[market].set(SPOT[market] * 10**8, sender=self.owner)
            self.vols[market].set(VOL_INDEX[market] * 10**8, sender=self.owner)

    def chart(self, weights: list[int], market: bytes) -> pricing.Chart:
        """The twin's, as of the registry's version."""
        return draw(weights, market, int(self.registry.current().asOf))


def draw(weights: list[int], market: bytes, as_of: int) -> pricing.Chart:
    start = BLOCK * (market == ETH)
    return pricing.draw(weights[start : start + BLOCK], as_of, P, FRACTION_BITS)


def clone(harness: Any, contract: Any, implementation: Any, owner: Any, args: bytes = b"") -> Any:
    receipt = harness.clone(implementation, args, sender=owner)
    (event,) = receipt.decode_logs(harness.Cloned)
    return contract.at(event.instance)


def typical_weights(seed: int = 7, level: float = 1.0) -> list[int]:
    """Two markets at about 50% and 60% vol with the skew, wings and betas of an ordinary day."""
    rng = random.Random(seed)
    weights = []
    for vol in (0.5 * level, 0.6 * level):
        for _ in range(P):
            for scale in (0.9, 1.3):
                pillar = (vol * scale * math.exp(rng.gauss(0, 0.02)), rng.uniform(0.6, 0.9), rng.uniform(0.9, 1.3))
                weights += [int(x * UNIT) for x in pillar]
        weights += [int(0.8 * UNIT), int(-0.3 * UNIT)]
    return weights


def wild_weights(rng: random.Random) -> list[int]:
    """Any int32, the edges more than others."""
    return [rng.choice([*INT32, 0, UNIT, rng.randint(*INT32), rng.randrange(2 * UNIT)]) for _ in range(2 * BLOCK)]


def new_engine(project: Any, harness: Any, owner: Any, registry: Any, markets: list[Any], **changes: Any) -> Any:
    """A clone that is not set up yet."""
    code = project.PricingEngine.deploy(sender=owner)
    values = {"pillars": P, "bits": FRACTION_BITS, "age": MAX_MODEL_AGE, "bounds": BOUNDS} | changes
    args = code.pack(registry, markets, *values.values())
    return clone(harness, project.PricingEngine, code, owner, args)


def new_registry(project: Any, harness: Any, owner: Any) -> Any:
    return clone(harness, project.ModelRegistry, project.ModelRegistry.deploy(sender=owner), owner)


def make_desk(
    project: Any, chain: Any, owner: Any, weights: list[int] | None = None, bounds: pricing.Bounds = BOUNDS
) -> Desk:
    if chain.blocks.head.timestamp < START:
        chain.mine(timestamp=START)
    harness = project.PricingHarness.deploy(sender=owner)
    registry = new_registry(project, harness, owner)
    feeds, vols = (
        {market: project.SettableFeed.deploy(owner, 8, value * 10**8, sender=owner) for market, value in values.items()}
        for values in (SPOT, VOL_INDEX)
    )
    markets = [(market, feeds[market], MAX_FEED_AGE, vols[market], MAX_VOL_AGE) for market in SPOT]
    engine = new_engine(project, harness, owner, registry, markets, bounds=bounds)
    genesis = pack_model(weights or typical_weights())
    registry.initialize(owner, 2 * BLOCK, LAYOUT, genesis, engine, sender=owner)
    engine.initialize(registry, owner, markets, P, FRACTION_BITS, MAX_MODEL_AGE, bounds, sender=owner)
    return Desk(chain, owner, harness, registry, engine, feeds, vols)


@pytest.fixture(scope="module")
def desk(project: Any, chain: Any, accounts: Any) -> Desk:
    return make_desk(project, chain, accounts[0])
