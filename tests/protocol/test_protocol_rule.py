"""The combining rules against an independent reference in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol.rule import INT32_MAX, INT32_MIN, Rule, RuleKind, apply, combine, largest_move
from fedvol.protocol.vector import pack_update, pack_weighted

LANES = st.integers(-(2**23), 2**31 - 2**23 - 1) | st.integers(-3, 3)
WEIGHT = st.integers(INT32_MIN, INT32_MAX)
NODES = st.lists(st.tuples(LANES, LANES), min_size=1, max_size=16)
RULES = st.builds(
    Rule,
    kind=st.sampled_from(RuleKind),
    clamp=st.integers(1, 2**23 - 1),
    step=st.integers(1, 2**32 - 1),
    weighted=st.booleans(),
    trim_bps=st.integers(0, 4_999),
    weight_cap=st.integers(1, 2**23 - 1),
    weight_shift=st.just(23),
) | st.builds(
    Rule,
    kind=st.sampled_from(RuleKind),
    clamp=st.integers(1, 50),
    step=st.integers(1, 1 << 18),
    weighted=st.booleans(),
    trim_bps=st.integers(0, 4_999),
    weight_cap=st.integers(1, 5),
    weight_shift=st.integers(0, 3),
)


def reference(rule: Rule, old: int, nodes: list[tuple[int, int]]) -> int:
    """One weight, by the definition: every node stands for as many copies of its move as it has weight."""
    pairs, mean_numerator = [], 0
    for lane, weight_lane in nodes:
        if rule.weighted:
            h = min(max(weight_lane, 0), rule.weight_cap)
            most = floor(Fraction(h * rule.clamp, 2**rule.weight_shift))
            p = max(-most, min(most, lane))
            mean_numerator += p * 2**rule.weight_shift
            u = trunc(Fraction(p * 2**rule.weight_shift, h)) if h else 0
        else:
            h, u = 1, max(-rule.clamp, min(rule.clamp, lane))
            mean_numerator += u
        pairs.append((u, h))
    whole = sum(h for _, h in pairs)
    if whole == 0:
        return old
    pairs.sort()
    if rule.kind == RuleKind.MEAN:
        move = Fraction(mean_numerator, whole)
    elif rule.kind == RuleKind.MEDIAN:
        reached, low, high = 0, None, None
        for u, h in pairs:
            reached += h
            low = u if low is None and Fraction(reached) >= Fraction(whole, 2) else low
            high = u if high is None and Fraction(reached) > Fraction(whole, 2) else high
        move = Fraction(low + high, 2)
    else:
        cut = floor(Fraction(whole * rule.trim_bps, 10_000))
        total, at = 0, 0
        for u, h in pairs:
            total += u * max(0, min(at + h, whole - cut) - max(at, cut))
            at += h
        move = Fraction(total, whole - 2 * cut)
    return max(INT32_MIN, min(INT32_MAX, old + trunc(move * Fraction(rule.step, 65_536))))


def one(rule: Rule, old: int, nodes: list[tuple[int, int]]) -> int:
    lanes = np.array(nodes).reshape(-1, 2)
    return int(combine(rule, np.array([old]), lanes[:, :1], lanes[:, 1:] if rule.weighted else None)[0])


@given(RULES, WEIGHT, NODES)
def test_every_rule_is_the_exact_one_truncated_once(rule, old, nodes) -> None:
    assert one(rule, old, nodes) == reference(rule, old, nodes)


@given(RULES, NODES)
def test_no_rule_moves_further_than_the_largest_move(rule, nodes) -> None:
    assert abs(one(rule, 0, nodes)) <= largest_move(rule.clamp, rule.step)


@given(RULES, WEIGHT, NODES)
def test_the_order_of_nodes_does_not_matter(rule, old, nodes) -> None:
    assert one(rule, old, nodes) == one(rule, old, nodes[::-1])


@given(RULES, WEIGHT, NODES)
def test_weights_of_one_are_no_weights(rule, old, nodes) -> None:
    """Plain is weighted with a weight of one each, where the shift takes nothing away."""
    plain = Rule(rule.kind, rule.clamp, rule.step, False, rule.trim_bps)
    equal = Rule(rule.kind, rule.clamp, rule.step, True, rule.trim_bps, 1, 0)
    assert one(plain, old, nodes) == one(equal, old, [(lane, 1) for lane, _ in nodes])


def test_median_and_trimmed_mean_leave_out_a_poisoner() -> None:
    nodes = [(10, 3), (11, 3), (12, 3), (13, 3), (2**22, 2**22)]
    for kind, weighted in product((RuleKind.MEDIAN, RuleKind.TRIMMED_MEAN), (False, True)):
        rule = Rule(kind, 1 << 20, 1 << 16, weighted, 2_000, weight_cap=3, weight_shift=0)
        given_moves = [(u * (min(h, 3) if weighted else 1), h) for u, h in nodes]
        assert 10 <= one(rule, 0, given_moves) <= 13
    assert one(Rule(RuleKind.MEAN, 1 << 20, 1 << 16), 0, nodes) > 100_000


def test_apply_reads_bytes() -> None:
    model = np.arange(9)
    moves = np.array([[7] * 9, [9] * 9, [1_000] * 9])
    plain = Rule(RuleKind.MEDIAN, 1 << 20, 1 << 16)
    assert apply(plain, model, [pack_update(row) for row in moves]).tolist() == (model + 9).tolist()
    weighted = Rule(RuleKind.MEDIAN, 1 << 19, 1 << 16, True, weight_cap=8, weight_shift=0)
    weights = np.array([[1] * 9, [1] * 9, [4] * 9])
    vectors = [pack_weighted(row * h, h) for row, h in zip(moves, weights, strict=True)]
    assert apply(weighted, model, vectors).tolist() == (model + 1_000).tolist()


@pytest.mark.parametrize(
    "vectors", [[], [pack_update(np.zeros(17, dtype=int))], [pack_update(np.zeros(2, dtype=int))] * 129]
)
def test_what_does_not_fit_is_refused(vectors) -> None:
    with pytest.raises(WireError):
        apply(Rule(RuleKind.MEAN, 1, 1), np.zeros(2, dtype=np.int64), vectors)


@pytest.mark.parametrize(
    ("name", "value"),
    [("clamp", 0), ("clamp", 2**23), ("step", 0), ("trim_bps", 5_000), ("weight_cap", 2**23), ("weight_shift", 24)],
)
def test_a_parameter_out_of_its_range_is_refused_by_name(name, value) -> None:
    with pytest.raises(WireError, match=name):
        Rule(**{"kind": RuleKind.MEAN, "clamp": 1, "step": 1} | {name: value})
