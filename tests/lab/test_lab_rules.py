"""Combining rules: what the definitions say, for any n; nothing non-finite gets in, nothing finite overflows."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedvol.errors import FedvolError
from fedvol.lab import rules
from fedvol.lab.selection import middle_sum, pairwise_network

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 5))
FLOATS = {np.float32: st.floats(width=32), np.float64: st.floats()}
UPDATES = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda t: arrays(t, SHAPES, elements=FLOATS[t].filter(np.isfinite))
)

RULES: dict[str, Callable] = {
    "weighted_mean": lambda u: rules.weighted_mean(u, np.arange(len(u)) % 3),
    "median": rules.median,
    "trimmed_mean": lambda u: rules.trimmed_mean(u, 2),
    "krum": lambda u: rules.krum(u, 1),
    "weighted_mean_by": lambda u: rules.weighted_mean_by(u, np.ones_like(u)),
}


def normal(n: int, d: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(n * d).standard_normal((n, d)).astype(dtype)


def brute_distances(updates: np.ndarray) -> np.ndarray:
    exact = updates.astype(np.longdouble)
    return np.array([((exact - row) ** 2).sum(axis=1) for row in exact])


def test_examples_in_the_docstrings_run() -> None:
    found = doctest.testmod(rules)
    assert found.attempted >= 5
    assert not found.failed


@pytest.mark.parametrize("n", range(1, 14))
def test_network_sorts_every_sequence_of_zeros_and_ones(n: int) -> None:
    # A network that sorts these sorts everything.
    lines = np.array(list(itertools.product((0, 1), repeat=n))).T.copy()
    for low, high, *_ in pairwise_network(n):
        lines[low], lines[high] = np.minimum(lines[low], lines[high]), np.maximum(lines[low], lines[high])
    assert (np.diff(lines, axis=0) >= 0).all()


def test_network_for_32_is_pruned() -> None:
    assert len(pairwise_network(32)) == 191
    assert len(middle_sum(32, 15).steps) == 258 + 1


@pytest.mark.parametrize("d", [1, 7, rules.BLOCK, 2 * rules.BLOCK + 3])
def test_median_is_numpys_across_blocks(d: int) -> None:
    for n in (1, 2, 9, 32):
        assert np.array_equal(rules.median(normal(n, d)), np.median(normal(n, d), axis=0))


@pytest.mark.parametrize("n", [*range(1, 34), 63, 64, 65, 128])
def test_every_trim_of_every_size(n: int) -> None:
    updates = normal(n, 50, np.float64)
    for trim in range((n + 1) // 2):
        expected = np.sort(updates, axis=0)[trim : n - trim].mean(axis=0)
        assert np.allclose(rules.trimmed_mean(updates, trim), expected, rtol=1e-13, atol=1e-14)


@given(UPDATES, st.data())
def test_trimmed_mean_lies_where_its_definition_says(updates: np.ndarray, data: st.DataObject) -> None:
    n = len(updates)
    trim = data.draw(st.integers(0, (n - 1) // 2))
    before = updates.copy()
    mean = rules.trimmed_mean(updates, trim)
    kept = np.sort(updates, axis=0)[trim : n - trim].astype(np.longdouble)
    assert mean.dtype == updates.dtype
    error = np.abs(mean - kept.mean(axis=0))
    assert (
        error <= 2 * n * np.finfo(updates.dtype).eps * np.abs(kept).max(axis=0) + np.finfo(updates.dtype).tiny
    ).all()
    assert np.array_equal(updates, before)


@given(UPDATES, st.data())
def test_weighted_mean_is_its_formula(updates: np.ndarray, data: st.DataObject) -> None:
    n = len(updates)
    weights = data.draw(arrays(np.float64, n, elements=st.floats(0, 1.7e308)).filter(np.any))
    mean = rules.weighted_mean(updates, weights)
    exact, shares = updates.astype(np.longdouble), weights.astype(np.longdouble)
    error = np.abs(mean - (shares[:, None] * exact).sum(axis=0) / shares.sum())
    bound = 2 * n * np.finfo(updates.dtype).eps * np.abs(exact).max(axis=0) + n * np.finfo(updates.dtype).tiny
    assert (error <= bound).all()


@given(UPDATES, st.data())
def test_weighted_mean_by_is_its_formula(updates: np.ndarray, data: st.DataObject) -> None:
    curvature = data.draw(arrays(np.float64, updates.shape, elements=st.sampled_from([0, 0, 1e-300, 1, 3, 1e300])))
    mean = rules.weighted_mean_by(updates, curvature)
    exact, h = updates.astype(np.longdouble), curvature.astype(np.longdouble)
    total = h.sum(axis=0)
    error = np.abs(mean - (h * exact).sum(axis=0) / np.where(total > 0, total, 1))
    bound = 2 * len(h) * np.finfo(updates.dtype).eps * np.abs(exact).max(axis=0) + np.finfo(updates.dtype).tiny
    assert mean.dtype == updates.dtype
    assert (error <= bound).all()
    assert not mean[total == 0].any()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_update_is_refused_by_its_row(rule: str, dtype: type, value: float) -> None:
    d = rules.BLOCK + 37
    for row, column in [(0, 0), (3, d - 1), (4, rules.BLOCK - 1), (7, rules.BLOCK), (8, d - 2)]:
        updates = normal(9, d, dtype)
        # Large, so that a check by sums or squares would overflow and cry wolf, or let the culprit pass.
        updates *= np.finfo(dtype).max / 10
        updates[row, column] = value
        with pytest.raises(FedvolError, match=rf"^Update {row} holds {value} at weight {column}\."):
            RULES[rule](updates)


def test_all_non_finite_updates_are_named() -> None:
    updates = normal(9, 5)
    updates[[2, 5, 6], 1] = np.inf, np.nan, -np.inf
    with pytest.raises(FedvolError, match="Update 2 holds inf at weight 1, and so do 5, 6 elsewhere"):
        rules.median(updates)


def test_non_finite_curvature_is_refused_where_the_update_is_zero() -> None:
    curvature = np.ones((3, 4))
    curvature[2, 1] = np.nan
    with pytest.raises(FedvolError, match="Curvature 2 holds nan at weight 1"):
        rules.weighted_mean_by(np.zeros((3, 4)), curvature)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_of_the_largest_numbers_is_finite(dtype: type) -> None:
    largest = np.finfo(dtype).max
    updates = np.full((9, 3), largest, dtype)
    for rule in ("weighted_mean", "median", "trimmed_mean", "weighted_mean_by"):
        assert np.allclose(RULES[rule](updates), largest, rtol=1e-6), rule
    assert np.array_equal(rules.median(updates[:2]), updates[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-22, 1e-3, 1e19])
def test_krum_distances_keep_their_digits(dtype: type, scale: float) -> None:
    # Honest updates close to each other and far from 0, two near twins, two equal ones, and attackers of every size.
    updates = (5 + 0.01 * normal(16, 20_003, np.float64)) * scale
    updates[1] = updates[0] * (1 + 1e-6)
    updates[3] = updates[2]
    updates[[4, 5, 6]] *= np.array([[-1e3], [1e8], [-1e15]])
    updates = updates.astype(dtype)
    expected = brute_distances(updates)
    distances = rules._squared_distances(updates)
    assert (distances >= 0).all()
    assert np.array_equal(distances, distances.T)
    assert np.allclose(distances, expected.astype(float), rtol=1e-4, atol=0)


@given(st.integers(0, 4), st.data())
def test_krum_selects_by_its_definition(byzantine: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(2 * byzantine + 3, 2 * byzantine + 8))
    # Whole numbers: every distance is exact, ties included.
    updates = data.draw(arrays(np.float32, (n, 3), elements=st.integers(-9, 9)))
    nearest = np.sort(brute_distances(updates), axis=1)[:, 1 : n - byzantine - 1]
    assert rules.krum(updates, byzantine) == np.argmin(nearest.sum(axis=1))


@pytest.mark.parametrize("place", [0, 11])
@pytest.mark.parametrize("size", [1e3, 1e12, 1e37])
def test_krum_selects_the_same_beside_an_attacker_of_any_size(place: int, size: float) -> None:
    updates = normal(11, 1000)
    exact = np.sort(brute_distances(updates), axis=1)[:, 1:10].sum(axis=1)
    attacked = np.insert(updates, place, np.float32(size), axis=0)
    assert np.delete(np.arange(12), place)[np.argmin(exact)] == rules.krum(attacked, 1)


def test_krum_refuses_what_float64_cannot_square() -> None:
    updates = normal(5, 3, np.float64)
    updates[2] = 1e200
    with pytest.raises(FedvolError, match="Update 2 is too far away"):
        rules.krum(updates, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rules.median(np.zeros((0, 3))), "cannot be combined"),
        (lambda: rules.median(np.zeros(3)), "cannot be combined"),
        (lambda: rules.trimmed_mean(np.zeros((4, 1)), 2), "leaves no mean"),
        (lambda: rules.trimmed_mean(np.zeros((4, 1)), -1), "leaves no mean"),
        (lambda: rules.krum(np.zeros((4, 1)), 1), "cannot withstand 1 of 4"),
        (lambda: rules.krum(np.zeros((4, 1)), -1), "cannot withstand"),
        (lambda: rules.weighted_mean(np.zeros((2, 1)), [1]), r"weights of shape \(1,\)"),
        (lambda: rules.weighted_mean(np.zeros((2, 1)), [1, -1]), "Update 1 has the weight -1"),
        (lambda: rules.weighted_mean(np.zeros((2, 1)), [np.nan, 1]), "Update 0 has the weight nan"),
        (lambda: rules.weighted_mean(np.zeros((2, 1)), [0, 0]), "All weights are 0"),
        (lambda: rules.weighted_mean_by(np.zeros((2, 1)), np.zeros((2, 2))), "came with curvature of shape"),
        (lambda: rules.weighted_mean_by(np.zeros((2, 1)), [[1], [-1]]), "Curvature 1 is negative"),
    ],
)
def test_what_cannot_be_combined_is_refused(call: Callable, message: str) -> None:
    with pytest.raises(FedvolError, match=message):
        call()
