"""contracts/libraries against offchain/fedvol/protocol: the same numbers, bit for bit."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fedvol.protocol import commitment as twin
from fedvol.protocol.rule import RuleKind, largest_move
from fedvol.protocol.seat import seat
from fedvol.protocol.vector import (
    BIAS,
    content_id,
    pack_model,
    pack_update,
    unpack_model,
    unpack_update,
    words_of,
)  # fmt: skip

INT32 = (-(2**31), 2**31 - 1)
EXTREME_LANES = (0, 1, BIAS - 1, BIAS, BIAS + 1, 2**24 - 1, 2**31 - 1)
NOWHERE = 2**256 - 1


@pytest.fixture
def rng():
    return np.random.default_rng(20260)


def words(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def raw_word(rng, top: int = 0) -> int:
    """An update word as a hostile sender makes it: extreme or random lanes, anything in the top byte."""
    lanes = rng.choice([*EXTREME_LANES, *map(int, rng.integers(0, 2**31, 4))], 8)
    return sum(int(lane) << 31 * (7 - i) for i, lane in enumerate(lanes)) | top << 248


def test_twins_packing_succeeds(harness, rng):
    updates = [rng.integers(1 - BIAS, BIAS, 2048), np.full(8, 1 - BIAS), np.full(8, BIAS - 1), np.zeros(8, int)]
    models = [rng.integers(*INT32, 2048, endpoint=True), np.full(8, INT32[0]), np.full(8, INT32[1]), np.zeros(8, int)]
    for update, model in zip(updates, models, strict=True):
        lanes, weights = harness.unpack(words(pack_update(update)), words(pack_model(model)))
        assert list(lanes) == update.tolist()
        assert list(weights) == model.tolist()


def test_twins_unpacking_of_hostile_words_succeeds(harness, rng):
    hostile = [raw_word(rng, top) for top in (0, 1, 255) * 20] + [0, NOWHERE, (1 << 248) - 1]
    data = b"".join(w.to_bytes(32, "big") for w in hostile)
    lanes, weights = harness.unpack(hostile, hostile)
    assert list(lanes) == unpack_update(data, 8 * len(hostile)).tolist()
    assert list(weights) == unpack_model(data, 8 * len(hostile)).tolist()


def test_twins_length_and_content_id_succeeds(harness, rng):
    for dimension in (1, 7, 8, 9, 110, 2047, 2048):
        assert harness.byteLength(dimension) == 32 * words_of(dimension)
    for size in (0, 1, 32, 448):
        data = rng.bytes(size)
        assert harness.sha(data) == content_id(data)


def test_twins_commitment_succeeds(harness, chain, rng):
    random_ = random.Random(7)
    for number, seed in [(0, 0), (1, 1), (2**24 - 1, 2**64 - 1), (77, random_.getrandbits(64))]:
        node = "0x" + rng.bytes(20).hex()
        where = twin.RoundId(chain.chain_id, harness.address, number, seed)
        content, annex, salt = rng.bytes(32), rng.bytes(32), rng.bytes(32)
        expected = twin.commitment(where, node, content, salt, annex)
        assert harness.commitment(number, seed, node, content, annex, salt) == expected
        assert harness.roundSeed(content, number) == twin.round_seed(content, harness.address, number)


def test_twins_seats_permute_succeeds(harness):
    """Every list of 1 to 40 members, and larger ones: each seat is taken once, and the same in Python."""
    for count in [*range(1, 41), 128, 200, 255, 256, 257]:
        for s in (0, 2**64 - 1, 0x1234567890ABCDEF ^ count) if count in (1, 2, 6, 40) else (count * 7919,):
            seats = [int(x) for x in harness.seats(s, count, 0, count)]
            assert sorted(seats) == list(range(count))
            assert seats == [seat(s, i, count) for i in range(count)]


def test_twins_seats_of_huge_lists_succeeds(harness):
    for count in (2**16, 2**31, 2**32 - 1):
        for first in (0, count // 2, count - 8):
            assert [int(x) for x in harness.seats(count, count, first, 8)] == [
                seat(count, first + i, count) for i in range(8)
            ]


@pytest.mark.parametrize("kind", RuleKind)
def test_twins_no_rule_moves_further_than_the_bound_succeeds(harness, kind):
    """What `propose` accepts: ⌊B·q / 2^16⌋ is reached, and never passed."""
    for bound, step in [(1, 1), (3, 2**15), (2**20, 2**16), (12_345, 98_765)]:
        row = words(pack_update(np.full(8, min(BIAS - 1, bound))))
        ((moved,), _) = harness.combine((kind, False, 2_000, bound, step, 1, 0), [0], [row] * 5, [], 8)
        assert set(unpack_model(int(moved).to_bytes(32, "big"), 8)) == {largest_move(bound, step)}


def test_twins_first_move_above_succeeds(harness, rng):
    cases = []
    for _ in range(20):
        old = rng.integers(*INT32, 24, endpoint=True)
        new = np.clip(old + rng.integers(-5, 6, 24), *INT32)
        cases += [(old, new, bound) for bound in (0, 3, 4, 5)]
    ends = np.array([INT32[0]] * 24), np.array([INT32[1]] * 24)
    cases += [(*ends, 2**32 - 2), (*ends, 2**32 - 1), (*ends[::-1], 2**32 - 2), (*ends[::-1], 2**32 - 1)]
    last = np.zeros(24, int)
    last[23] = -9
    cases += [(np.zeros(24, int), last, 8), (np.zeros(24, int), last, 9)]
    for old, new, bound in cases:
        above = np.flatnonzero(np.abs(new - old) > bound)
        expected = int(above[0]) if above.size else NOWHERE
        assert harness.firstMoveAbove(pack_model(old), pack_model(new), bound) == expected
