"""Poseidon2 and Grumpkin in the EVM against their Python twins, on random and on extreme inputs; and what they cost."""

from __future__ import annotations

import random

import pytest

from fedvol.protocol.grumpkin import GENERATOR, ORDER, is_on_curve, public_key
from fedvol.protocol.poseidon2 import FIELD, mask_words, permute, sponge

TOP = FIELD - 1
PERMUTATION_CEILING = 16_500
CONSTANTS_CEILING = 2_000


@pytest.fixture(scope="module")
def harness(project, accounts):
    return accounts[0].deploy(project.MaskHarness)


@pytest.fixture
def rng():
    return random.Random(20261125)


def test_poseidon2_published_vector_succeeds(harness):
    """`poseidon2_permutation` of @aztec/bb.js 0.87.9."""
    assert list(harness.permute([[0, 1, 2, 3]])[0]) == [
        0x01BD538C2EE014ED5141B29E9AE240BF8DB3FE5B9A38629A9647CF8D76C01737,
        0x239B62E7DB98AA3A2A8F6A0D2FA1709E7A35959AA6C7034814D9DAA90CBAC662,
        0x04CBB44C61D928ED06808456BF758CBF0C18D1E15A7B6DBC8245FA7515D5E3CB,
        0x2E11C5CFF2A22C64D01304B778D78F6998EFF1AB73163A35603F54794C30847A,
    ]


def test_poseidon2_twins_permutation_succeeds(harness, rng):
    ends = [[x if i >> lane & 1 else y for lane in range(4)] for i in range(16) for x, y in [(TOP, 0), (TOP, 1)]]
    some = [[rng.randrange(FIELD) for _ in range(4)] for _ in range(100)]
    near = [[rng.choice([TOP, TOP - 1, 0, 1, 1 << 253, rng.randrange(FIELD)]) for _ in range(4)] for _ in range(50)]
    states = ends + some + near
    for at in range(0, len(states), 50):
        found = harness.permute(states[at : at + 50])
        assert [tuple(state) for state in found] == [permute(tuple(state)) for state in states[at : at + 50]]


def test_poseidon2_twins_mask_succeeds(harness, rng):
    counters = [0, 1, 2, 21, 255, 256, 2**32 - 1, 2**64 - 1, 2**128, TOP]
    for key in (0, 1, TOP, *(rng.randrange(FIELD) for _ in range(8))):
        found = harness.mask(key, counters)
        assert [list(words) for words in found] == [sponge([key, counter], 3) for counter in counters]
        stream = [word for words in harness.mask(key, list(range(22))) for word in words]
        assert stream[:64] == mask_words(key, 64)


def test_poseidon2_memory_around_it_stays_succeeds(harness):
    """Constants are loaded after other memory, results are written into memory taken before, many times over."""
    found = harness.permute([[i, i, i, i] for i in range(60)])
    assert [tuple(state) for state in found] == [permute((i, i, i, i)) for i in range(60)]


def test_poseidon2_gas_succeeds(harness):
    """A permutation, net of the call and of loading the constants; each costs the same."""
    gas = [int(harness.gasOfPermutations(many)[0]) for many in (0, 1, 2, 20)]
    assert gas[2] - gas[1] <= PERMUTATION_CEILING
    assert gas[3] - gas[2] == 18 * (gas[2] - gas[1])
    assert gas[0] <= CONSTANTS_CEILING
    state = (0, 0, 0, 0)
    for _ in range(20):
        state = permute(state)
    assert harness.gasOfPermutations(20)[1] == state[0]


def test_grumpkin_twins_on_curve_succeeds(harness, rng):
    points = [GENERATOR, *(public_key(rng.randrange(1, ORDER)) for _ in range(20))]
    off = [(0, 0), (1, 1), (TOP, TOP), (0, 1), (2**256 - 1, 2**256 - 1), (0, FIELD), (FIELD, 0)]
    for x, y in points:
        off += [(x, y ^ 1), (y, x), (x + FIELD, y), (x, y + FIELD), (x ^ 1, y)]
        points = [*points, (x, FIELD - y)]
    found = harness.isOnCurve(points + off)
    assert list(found) == [is_on_curve(point) for point in points + off]
    assert all(found[: len(points)])
    assert not any(found[len(points) :])
