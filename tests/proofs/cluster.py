"""A cluster whose place 2 has an update to prove: everything that its proof needs, with lanes at the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fedvol.proofs.circuits import named, of_lanes
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import ORDER, public_key
from fedvol.protocol.mask import key_hash, mask, pair_key
from fedvol.protocol.statement import DIMENSION, Bounds, Subject, bounded_inputs
from fedvol.protocol.vector import pack_weighted

FIRST, PLACE = 16, 2
CLAMP, CAP, SHIFT = 1 << 19, 1 << 18, 18
WHERE = RoundId(31337, "0x" + "11" * 20, 7, 12345)


@dataclass(frozen=True)
class Case:
    secret: int
    self_key: int
    moves: list[int]
    weights: list[int]
    inputs: list[int]

    def named(self) -> dict[str, Any]:
        return named(self.inputs, self.secret, self.self_key, of_lanes(self.moves, self.weights))


def lanes(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Moves and weights within the bounds, the first of each as large as they may be."""
    draw = np.random.default_rng(seed)
    weights = draw.integers(0, CAP + 1, DIMENSION)
    moves = draw.integers(-CLAMP, CLAMP + 1, DIMENSION)
    weights[:2], moves[:2] = CAP, (CLAMP, -CLAMP)
    weights[2], moves[2] = 0, 0
    return np.sign(moves) * (np.abs(moves) * weights >> SHIFT), weights


@dataclass(frozen=True)
class Member:
    """One of a cluster: its secrets, the keys that it shares by place, and what a statement says of it."""

    secret: int
    self_key: int
    keys: list[int]
    subject: Subject


def member(
    m: int = 8, keyless: tuple[int, ...] = (), where: RoundId = WHERE, place: int = PLACE, seed: int = 1
) -> Member:
    draw = np.random.default_rng(seed)
    secrets = [int.from_bytes(draw.bytes(32), "big") % ORDER for _ in range(m)]
    points = [(0, 0) if j in keyless else public_key(secret) for j, secret in enumerate(secrets)]
    keys = [
        0 if j == place or place in keyless else pair_key(secrets[place], point, where, FIRST + place, FIRST + j)
        for j, point in enumerate(points)
    ]
    own = int.from_bytes(draw.bytes(31), "big")
    hashes = [bytes(32) if j == place else key_hash(key) for j, key in enumerate(keys)]
    return Member(secrets[place], own, keys, Subject(where, FIRST, place, points, key_hash(own), hashes))


def case(m: int = 8, keyless: tuple[int, ...] = (), where: RoundId = WHERE, place: int = PLACE, seed: int = 1) -> Case:
    """An honest case; `norm` is the sum of its squares, so that one less is too little."""
    who = member(m, keyless, where, place, seed)
    moves, weights = lanes(seed)
    data = mask(pack_weighted(moves, weights), who.self_key, who.keys, place)
    bounds = Bounds(CLAMP, CAP, 1 << SHIFT, sum(move * move for move in moves.tolist()))
    inputs = bounded_inputs(who.subject, bounds, data)
    return Case(who.secret, who.self_key, moves.tolist(), weights.tolist(), inputs)


def wide() -> Case:
    """Bounds so wide that only the width of a lane bounds a move: unit 1, all weights at the cap."""
    who = member()
    moves, weights = np.arange(DIMENSION) + 1, np.full(DIMENSION, CAP)
    data = mask(pack_weighted(moves, weights), who.self_key, who.keys, PLACE)
    inputs = bounded_inputs(who.subject, Bounds(CLAMP, CAP, 1, (1 << 63) - 1), data)
    return Case(who.secret, who.self_key, moves.tolist(), weights.tolist(), inputs)
