"""The shuffle: a permutation for each seed, and fair."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.protocol.seat import seat


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, 60))
def test_every_seat_is_taken_once(seed: int, count: int) -> None:
    assert sorted(seat(seed, i, count) for i in range(count)) == list(range(count))


def test_every_member_sits_everywhere_equally_often() -> None:
    """6 members, 1,500 seeds: 250 expected, standard deviation 14.4, bounds six of them: chance never fails it.
    The seeds count up, as those of a poor source would."""
    seeds = 1_500
    for member in range(6):
        seats = Counter(seat(s, member, 6) for s in range(seeds))
        assert set(seats) == set(range(6))
        assert all(abs(n - seeds / 6) < 87 for n in seats.values()), seats


def test_pairs_of_seats_are_as_likely() -> None:
    """Members 0 and 1 of four take each of the 12 ordered pairs of seats: 100 expected, standard deviation 9.6."""
    pairs = Counter((seat(s, 0, 4), seat(s, 1, 4)) for s in range(1_200))
    assert len(pairs) == 12
    assert all(abs(n - 100) < 58 for n in pairs.values()), pairs
