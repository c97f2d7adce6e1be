"""What the pricing tests share: one harness, one engine over a real registry, and the vectors."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import pytest

from fedvol.protocol.vector import pack_model

WAD = 10**18
ONE = 1 << 96
YEAR = 365 * 86400
DAY = 86400
PILLARS = [days * DAY for days in (1, 2, 4, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)]
BLOCK = len(PILLARS) + 2
FRACTION_BITS = 20
MAX_FEED_AGE = 3600
MAX_MODEL_AGE = 7 * DAY
BTC = b"BTC".ljust(32, b"\0")
ETH = b"ETH".ljust(32, b"\0")
SPOT = {BTC: 65_000, ETH: 3_500}
INT32 = (-(2**31), 2**31 - 1)


@dataclass(frozen=True)
class Desk:
    """A deployed engine with its feeds, and the account that owns registry, feeds and engine."""

    owner: Any
    harness: Any
    registry: Any
    engine: Any
    feeds: dict[bytes, Any]

    def publish(self, weights: list[int]) -> None:
        self.registry.publish(pack_model(weights), bytes(32), 1, sender=self.owner)


def clone(harness: Any, contract: Any, implementation: Any, owner: Any, args: bytes = b"") -> Any:
    receipt = harness.clone(implementation, args, sender=owner)
    (event,) = receipt.decode_logs(harness.Cloned)
    return contract.at(event.instance)


def typical_weights(seed: int = 7) -> list[int]:
    """Two markets at about 50% and 60% vol with the skew and wings of an ordinary day."""
    rng = random.Random(seed)
    one = 1 << FRACTION_BITS
    weights = []
    for vol in (0.5, 0.6):
        weights += [int((math.log(vol) + rng.gauss(0, 0.05)) * one) for _ in PILLARS]
        weights += [int(-0.3 * one), int(0.1 * one)]
    return weights


def new_engine(project: Any, harness: Any, owner: Any, registry: Any, markets: list[Any], pillars: list[int]) -> Any:
    """A clone that is not set up yet."""
    code = project.PricingEngine.deploy(sender=owner)
    args = code.pack(registry, markets, pillars, FRACTION_BITS, MAX_MODEL_AGE)
    return clone(harness, project.PricingEngine, code, owner, args)


def make_desk(project: Any, owner: Any, weights: list[int] | None = None) -> Desk:
    harness = project.PricingHarness.deploy(sender=owner)
    registry = clone(harness, project.ModelRegistry, project.ModelRegistry.deploy(sender=owner), owner)
    feeds = {market: project.SettableFeed.deploy(owner, 8, spot * 10**8, sender=owner) for market, spot in SPOT.items()}
    markets = [(market, feed, MAX_FEED_AGE) for market, feed in feeds.items()]
    engine = new_engine(project, harness, owner, registry, markets, PILLARS)
    registry.initialize(owner, 2 * BLOCK, pack_model(weights or typical_weights()), engine, sender=owner)
    engine.initialize(registry, owner, markets, PILLARS, FRACTION_BITS, MAX_MODEL_AGE, sender=owner)
    return Desk(owner, harness, registry, engine, feeds)


@pytest.fixture(scope="module")
def desk(project: Any, accounts: Any) -> Desk:
    return make_desk(project, accounts[0])


def option_vectors() -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """(forward, strike, sigma Q96, seconds): 250 from a desk's day, 400 from the edges of the domain."""
    rng = random.Random(76)
    usual, extreme = [], []
    for _ in range(250):
        forward = int(10 ** rng.uniform(1, 6) * WAD)
        strike = int(forward * math.exp(rng.gauss(0, 0.35)))
        usual.append((forward, strike, int(rng.uniform(0.1, 3) * ONE), rng.randrange(3600, 2 * YEAR)))
    for _ in range(200):
        forward = int(10 ** rng.uniform(0, 12) * WAD)
        strike = int(forward * 10 ** rng.choice([-4, -3.99, -2, 0, 1e-9, 2, 3.99, 4]))
        sigma = rng.choice([10**-6, 10**-4, 0.01, 1, 4.48, 10, 100, 900])
        extreme.append((forward, strike, int(sigma * ONE), rng.choice([60, 61, 3600, YEAR, 5 * YEAR])))
    for _ in range(200):  # tiny or huge deviations, yet d1 or d2 where the normal tail still counts
        forward = int(10 ** rng.uniform(0, 12) * WAD)
        sigma, seconds = 10 ** rng.uniform(-4, 2), rng.choice([60, 86400, YEAR, 5 * YEAR])
        moneyness = sigma * math.sqrt(seconds / YEAR) * rng.uniform(-9, 9)
        strike = int(forward * math.exp(max(-9.2, min(9.2, moneyness))))
        extreme.append((forward, strike, int(sigma * ONE), seconds))
    return usual, extreme


def surface_vectors(count: int, seed: int) -> list[tuple[list[int], int, int, int]]:
    """(a market's weights, seconds, forward, strike): a third ordinary, a third any int32, a third int32's edges."""
    rng = random.Random(seed)
    one = 1 << FRACTION_BITS
    edges = [*INT32, 0, 1, -1, one, -3 * one, -3 * one - 1, 3 * one // 2, 3 * one // 2 + 1]
    near = [1, 2, DAY - 1, DAY, DAY + 1, YEAR - 1, YEAR, YEAR + 1, 5 * YEAR]
    rows = []
    for i in range(count):
        if i % 3 == 0:
            weights = [int(rng.gauss(-0.7, 0.3) * one) for _ in PILLARS] + [int(rng.gauss(0, 1) * one) for _ in "sc"]
        elif i % 3 == 1:
            weights = [rng.randint(*INT32) for _ in range(BLOCK)]
        else:
            weights = [rng.choice(edges) for _ in range(BLOCK)]
        seconds = rng.choice(near) if rng.random() < 0.3 else rng.randrange(60, rng.choice([60 * DAY, 5 * YEAR]))
        forward = int(10 ** rng.uniform(-2, 8) * WAD)
        ratio = 2 ** rng.uniform(-14, 14) if rng.random() < 0.3 else math.exp(rng.gauss(0, 0.4))
        rows.append((weights, seconds, forward, int(forward * ratio)))
    return rows
