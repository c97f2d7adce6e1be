"""The combining rules in the EVM against their Python twins, bit for bit, on random and on extreme vectors."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fedvol.protocol.rule import Rule, RuleKind, combine
from fedvol.protocol.vector import BIAS, LANE_MASK, pack_model

RULES = list(product(RuleKind, (False, True)))
LANE_LOW, LANE_HIGH = -BIAS, LANE_MASK - BIAS
SHIFTS = [31 * (7 - lane) for lane in range(8)]


@pytest.fixture
def rng():
    return np.random.default_rng(20261125)


def rule_of(kind, weighted, **changes):
    return Rule(
        **{
            "kind": kind, "clamp": 1 << 19, "step": 2 << 16, "weighted": weighted, "trim_bps": 2_000,
            "weight_cap": 4_095, "weight_shift": 9,
        } | changes
    )  # fmt: skip


def on_chain(rule):
    return (rule.kind, rule.weighted, rule.trim_bps, rule.clamp, rule.step, rule.weight_cap, rule.weight_shift)


def raw_words(lanes, filler=0):
    """Words of raw lanes (any 31 bits each), the last filled up with `filler`; the top byte is junk."""
    padded = np.full(-(-len(lanes) // 8) * 8, filler, dtype=np.int64)
    padded[: len(lanes)] = lanes
    return [
        sum(int(value + BIAS) << shift for value, shift in zip(row, SHIFTS, strict=True)) | 0xAB << 248
        for row in padded.reshape(-1, 8)
    ]


def words(data):
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def compare(harness, rule, model, moves, weights, filler=LANE_HIGH):
    """Both, on the same vectors; the padding of vectors and old model is junk. Returns the new weights and the gas."""
    expected = combine(rule, model, moves, weights if rule.weighted else None)
    old = words(pack_model(model))
    old[-1] |= (1 << 32 * (-len(model) % 8)) - 1
    rows = [raw_words(row, filler) for row in moves]
    also = [raw_words(row, filler) for row in weights] if rule.weighted else []
    found, gas = harness.combine(on_chain(rule), old, rows, also, len(model))
    assert list(found) == words(pack_model(expected)), (rule, moves, weights)
    return expected, int(gas)


def random_case(rng, n, d):
    model = rng.integers(-(2**31), 2**31, d)
    moves = rng.integers(-(1 << 20), 1 << 20, (n, d))
    weights = rng.integers(-10, 5_000, (n, d))
    # A third of all lanes are extreme, and some columns are full of ties or have no weight at all.
    for lanes in (moves, weights):
        odd = rng.random((n, d)) < 0.3
        extremes = np.array([LANE_LOW, LANE_LOW + 1, -BIAS + 1, -1, 0, 1, BIAS - 1, BIAS, LANE_HIGH - 1, LANE_HIGH])
        lanes[odd] = rng.choice(extremes, odd.sum())
    moves[:, 0] = moves[0, 0]
    weights[:, 1 % d] = 0
    weights[:, 2 % d] = rng.choice([0, 1], n)
    return model, moves, weights


@pytest.mark.parametrize(("kind", "weighted"), RULES)
@pytest.mark.parametrize(
    ("n", "d"), [(1, 3), (2, 9), (3, 16), (4, 8), (5, 13), (31, 8), (32, 11), (33, 8), (64, 8), (128, 8)]
)
def test_rules_twins_on_random_and_extreme_lanes_succeeds(harness, rng, kind, weighted, n, d):
    for changes in ({}, {"trim_bps": 4_999, "clamp": 1, "step": 1}, {"trim_bps": 0, "step": 2**32 - 1}):
        compare(harness, rule_of(kind, weighted, **changes), *random_case(rng, n, d))


@pytest.mark.parametrize(("kind", "weighted"), RULES)
@pytest.mark.parametrize(
    "changes",
    [
        {"clamp": BIAS - 1, "weight_cap": BIAS - 1, "weight_shift": 23},
        {"clamp": BIAS - 1, "weight_cap": 1, "weight_shift": 0},
        {"clamp": 1, "weight_cap": BIAS - 1, "weight_shift": 0},
        {"clamp": 77_777, "weight_cap": 101, "weight_shift": 1, "trim_bps": 3_333},
    ],
)
def test_rules_twins_at_the_bounds_of_the_parameters_succeeds(harness, rng, kind, weighted, changes):
    for n in (2, 7, 128):
        compare(harness, rule_of(kind, weighted, **changes), *random_case(rng, n, 8))


@pytest.mark.parametrize(("kind", "weighted"), RULES)
@pytest.mark.parametrize("sign", [1, -1])
def test_rules_saturate_at_int32_succeeds(harness, kind, weighted, sign):
    rule = rule_of(kind, weighted, clamp=BIAS - 1, step=2**32 - 1, weight_cap=BIAS - 1, weight_shift=23)
    moves, weights = np.full((128, 8), sign * (BIAS - 1)), np.full((128, 8), BIAS - 1)
    found, _ = compare(harness, rule, np.full(8, sign * (2**31 - 1)), moves, weights)
    assert set(found) == {2**31 - 1 if sign > 0 else -(2**31)}


@pytest.mark.parametrize("kind", RuleKind)
def test_rules_no_weight_no_move_succeeds(harness, kind):
    model = np.array([5, -5, 2**31 - 1, -(2**31), 0, 1, 2, 3])
    found, _ = compare(harness, rule_of(kind, True), model, np.full((4, 8), 1000), np.full((4, 8), -3))
    assert list(found) == list(model)


def test_rules_median_of_an_even_count_is_the_middle_truncated_toward_zero_succeeds(harness):
    rule = rule_of(RuleKind.MEDIAN, False, step=1 << 16)
    moves = np.array([[1, -1, 5, 0, 9, -9, 3, 7]] * 2 + [[2, -2, 6, -1, 9, -8, 3, 700_000]] * 2)
    found, _ = compare(harness, rule, np.zeros(8, dtype=np.int64), moves, None)
    assert list(found) == [1, -1, 5, 0, 9, -8, 3, (7 + (1 << 19)) // 2]


@pytest.mark.parametrize("wide", [False, True])
def test_sort_every_length_succeeds(harness, rng, wide):
    """The network is a right one for every number of nodes: all zeros and ones would do, random words do more."""
    lanes, bits, low = (4, 62, 48) if wide else (8, 31, 24)
    for n in [*range(1, 34), 63, 64, 65, 100, 127, 128]:
        values = rng.integers(0, 1 << low, (n, lanes)) if n % 2 else rng.integers(0, 2, (n, lanes))
        packed = [sum(int(v) << (bits * (lanes - 1 - i)) for i, v in enumerate(row)) for row in values]
        found = [int(word) for word in harness.sort(packed, wide)]
        shifts = [bits * (lanes - 1 - i) for i in range(lanes)]
        unpacked = np.array([[word >> s & ((1 << bits) - 1) for s in shifts] for word in found])
        assert (unpacked == np.sort(values, axis=0)).all(), n


def test_is_padded_succeeds(harness):
    for d in range(1, 18):
        data = bytearray(pack_model(np.full(d, -1)))
        assert harness.isPadded(bytes(data), d)
        for at in range(4 * d, len(data)):
            spoilt = data.copy()
            spoilt[at] = 1
            assert not harness.isPadded(bytes(spoilt), d)


@pytest.mark.parametrize(
    ("kind", "weighted", "ceiling"),
    [
        (RuleKind.MEAN, False, 15_000), (RuleKind.MEDIAN, False, 40_000), (RuleKind.TRIMMED_MEAN, False, 42_000),
        (RuleKind.MEAN, True, 45_000), (RuleKind.MEDIAN, True, 140_000), (RuleKind.TRIMMED_MEAN, True, 165_000),
    ],
)  # fmt: skip
def test_rules_gas_a_word_of_32_nodes_does_not_depend_on_what_they_hold(harness, rng, kind, weighted, ceiling):
    rule = rule_of(kind, weighted)
    gas = [compare(harness, rule, *random_case(rng, 32, 8))[1] for _ in range(3)]
    assert max(gas) <= ceiling
    assert max(gas) - min(gas) <= max(gas) // 20
