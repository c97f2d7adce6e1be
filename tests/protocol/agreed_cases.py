"""Inputs for the agreed training: ordinary, extreme, and as the circuit takes them."""

from __future__ import annotations

import random
from typing import Any

from tests.protocol.noir import field

from fedvol.proofs.circuits import of_rows
from fedvol.protocol import agreed, agreed_step, listing
from fedvol.protocol.agreed import BLOCK, MARKETS, PILLARS, UNIT, Limits, Round, Row
from fedvol.protocol.surface import SLICES

CLAMP, CAP, SHIFT = 1 << 19, 1 << 18, 18
SALT = 0x5A17
LIMITS = Limits()
EDGES = (
    (-(2**31), 2**31 - 1, 31457, 4718592),
    (-(2**31), 2**31 - 1, 20971, 2076180),
    (2**31 - 1, -5, 20971, 2076180),
)
"""Raw vols, right and left wings at and beyond their bounds."""


def opening(chance: random.Random, weights: list[int]) -> Round:
    as_of = 1_780_000_000 + chance.randrange(10**7)
    days = [expiry // listing.DAY for expiry in listing.expiries(as_of, PILLARS)]
    return Round(as_of, days, weights)


def ordinary_weights(chance: random.Random) -> list[int]:
    one = [[chance.uniform(0.3, 1.2), chance.uniform(0.1, 1.5), chance.uniform(0.1, 1.5)] for _ in range(MARKETS * 26)]
    body = [int(UNIT * number) for three in one for number in three]
    return _with_state(body)


def extreme_weights(chance: random.Random) -> list[int]:
    return _with_state([chance.choice(lane) for _ in range(MARKETS * PILLARS * SLICES) for lane in EDGES])


def ordinary_row(chance: random.Random, at: Round) -> Row:
    strike = max(-LIMITS.most_k, min(LIMITS.most_k, int(chance.gauss(0, 0.3) * UNIT)))
    day = chance.choice([*at.days, 20_000, 60_000, at.days[3] + 1])
    vol = int(UNIT * chance.uniform(0.3, 1.2))
    return Row(chance.randrange(MARKETS), day, strike, vol, chance.randrange(1, 1 << 16))


def extreme_row(chance: random.Random, at: Round) -> Row:
    strike = chance.choice([-LIMITS.most_k, LIMITS.most_k, 0, 1, -1, chance.randrange(LIMITS.most_k)])
    vol = chance.choice([LIMITS.least_vol, LIMITS.most_vol, UNIT // 2])
    return Row(chance.randrange(MARKETS), chance.choice(at.days), strike, vol, chance.choice([1, 1 << 16]))


def step(slots: list[Row], at: Round, limits: Limits = LIMITS) -> agreed_step.Lanes:
    return agreed_step.step(slots, at, limits, CLAMP, CAP, SHIFT)


def inputs(slots: list[Row], at: Round, moves: list[int], limits: Limits = LIMITS, salt: int = SALT) -> dict[str, Any]:
    """As training_vectors takes them."""
    hidden = of_rows(slots, salt, moves)
    return {
        "statement": [field(one) for one in agreed.training_inputs(agreed.root(slots, salt), at, limits)],
        "clamp": field(CLAMP),
        "cap": field(CAP),
        "unit": field(1 << SHIFT),
        "salt": hidden["salt"],
        "moves": hidden["solution"],
        "slots": hidden["slots"],
    }


def _with_state(body: list[int]) -> list[int]:
    own = BLOCK - 2
    return [number for m in range(MARKETS) for number in [*body[m * own : (m + 1) * own], 2 * UNIT, 0]]
