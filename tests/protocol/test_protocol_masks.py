"""Masks, rolls and clusters: what comes off is what was put on, and nothing else ever is."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol import cluster, mask
from fedvol.protocol.cluster import ClusterSum, Member
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import ORDER, public_key
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.roll import Roll, least_survivors
from fedvol.protocol.rule import Rule, RuleKind
from fedvol.protocol.rule import apply as apply_plain
from fedvol.protocol.vector import BIAS, pack_model, pack_update, pack_weighted

WHERE = RoundId(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3", 7, 11)
CLAMP = 1 << 18
BOUND = st.integers(-(BIAS - 1), BIAS - 1)


def secrets_of(m: int, rng: random.Random) -> list[int]:
    return [rng.randrange(1, ORDER) for _ in range(m)]


def masked(updates: list[bytes], m: int, missing: int, rng: random.Random, first: int = 8) -> list[Member]:
    """A cluster of m with real keys, whose missing have masked like the others and are then left out."""
    secrets = secrets_of(m, rng)
    points = [public_key(s) for s in secrets]
    members = []
    for place, data in enumerate(updates):
        pairs = [
            0 if j == place else mask.pair_key(secrets[place], points[j], WHERE, first + place, first + j)
            for j in range(m)
        ]
        own = rng.randrange(1, FIELD)
        if missing >> place & 1:
            continue
        keys = mask.opening(own, pairs, place, missing)
        assert mask.annex_of(keys, missing, m) == mask.annex(own, pairs, place)
        members.append(Member(place, mask.mask(data, own, pairs, place), keys))
    return members


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([(3, 0), (4, 0), (4, 2), (8, 0), (8, 0b10000001)]))
def test_the_sum_of_a_cluster_is_the_plain_sum(seed: int, shape: tuple[int, int]) -> None:
    (m, missing), rng = shape, random.Random(seed)
    numbers = np.random.default_rng(seed)
    moves = numbers.integers(-CLAMP, CLAMP + 1, (m, 19))
    total = cluster.unmask(masked([pack_update(u) for u in moves], m, missing, rng), missing)
    assert total.void_word is None
    kept = [i for i in range(m) if not missing >> i & 1]
    plain = sum(int.from_bytes(pack_update(moves[i])[:32], "big") for i in kept)
    assert total.words[0] == plain
    for kind in RuleKind:
        rule = Rule(kind, CLAMP, 1 << 16)
        old = numbers.integers(-(2**20), 2**20, 19)
        new = cluster.apply(rule, m, old, [total])
        exact = moves[kept].sum(axis=0)
        assert (new == old + np.sign(exact) * (np.abs(exact) // len(kept))).all(), "one cluster: every rule is its mean"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.lists(BOUND, min_size=3, max_size=3), min_size=3, max_size=4), min_size=1, max_size=4))
def test_the_mean_over_clusters_is_the_plain_mean(clusters: list[list[list[int]]]) -> None:
    """Also far beyond the clamp? No: there the plain rule clamps each, and a cluster only its sum."""
    inside = [[np.clip(u, -CLAMP, CLAMP) for u in members] for members in clusters]
    sums = []
    for members in inside:
        words = [sum(int.from_bytes(pack_update(u), "big") for u in members)]
        sums.append(ClusterSum(tuple(words), len(members)))
    rule, old = Rule(RuleKind.MEAN, CLAMP, 3 << 15), np.array([5, -5, 2**31 - 2])
    plain = apply_plain(rule, old, [pack_update(u) for members in inside for u in members])
    assert (cluster.apply(rule, 4, old, sums) == plain).all()


def test_a_cluster_is_bounded_as_its_nodes_are() -> None:
    for fill, n in ((BIAS - 1, 3), (1 - BIAS, 4)):
        words = (sum(int.from_bytes(pack_update([fill] * 8), "big") for _ in range(n)),)
        moved = cluster.apply(Rule(RuleKind.MEAN, CLAMP, 1 << 16), 4, np.zeros(8), [ClusterSum(words, n)])
        assert set(np.abs(moved)) == {CLAMP}


def test_weighted_sums_add_up_in_both_lanes() -> None:
    rng, numbers = random.Random(3), np.random.default_rng(3)
    rule = Rule(RuleKind.MEAN, CLAMP, 1 << 16, weighted=True, weight_cap=255, weight_shift=6)
    h = numbers.integers(0, 256, (4, 9))
    p = np.array([[int(w) * int(u) >> 6 for w, u in zip(hs, us, strict=True)] for hs, us in
                  zip(h, numbers.integers(-CLAMP, CLAMP, (4, 9)), strict=True)])  # fmt: skip
    vectors = [pack_weighted(a, b) for a, b in zip(p, h, strict=True)]
    total = cluster.unmask(masked(vectors, 4, 0, rng), 0)
    old = np.zeros(9, dtype=np.int64)
    assert (cluster.apply(rule, 4, old, [total]) == apply_plain(rule, old, vectors)).all()


# ---------------------------------------------------------------------- keys


def test_both_ends_of_a_pair_find_the_same_key_and_nothing_else_does() -> None:
    a, b = 5, 6
    key = mask.pair_key(a, public_key(b), WHERE, 0, 1)
    assert key == mask.pair_key(b, public_key(a), WHERE, 1, 0)
    others = {
        mask.pair_key(a, public_key(b), WHERE, 0, 2),
        mask.pair_key(a, public_key(7), WHERE, 0, 1),
        *(
            mask.pair_key(a, public_key(b), RoundId(*{**vars(WHERE), **change}.values()), 0, 1)
            for change in ({"chain_id": 1}, {"federation": "0x" + "11" * 20}, {"round": 8}, {"seed": 12})
        ),
    }
    assert len(others) == 6
    assert key not in others


@pytest.mark.parametrize("peer", [(0, 0), (1, 1), (FIELD, 0), (1, FIELD + 1)])
def test_a_peer_without_a_key_shares_no_mask(peer: tuple[int, int]) -> None:
    assert mask.pair_key(5, peer, WHERE, 0, 1) == mask.NO_KEY
    data = pack_update([1, 2, 3])
    assert mask.mask(data, 9, [0, 0, 7], 0) == mask.mask(data, 9, [123, 0, 7], 0), "the own place counts for nothing"


def test_an_opening_shows_keys_with_the_missing_only() -> None:
    pairs = [11, 0, 13, 14]
    shown = mask.opening(5, pairs, 1, 0b0100)
    assert shown[0] == (5).to_bytes(32, "big")
    assert shown[3] == (13).to_bytes(32, "big")
    assert not {(11).to_bytes(32, "big"), (14).to_bytes(32, "big")} & set(shown)
    assert len(mask.opening(5, pairs, 1, 0)) == 2
    with pytest.raises(WireError):
        mask.opening(5, pairs, 1, 0b0010)
    with pytest.raises(WireError):
        mask.annex_of(shown[:-1], 0b0100, 4)


def test_a_wrong_key_is_seen_in_the_sum() -> None:
    rng = random.Random(1)
    members = masked([pack_update(list(range(64)))] * 4, 4, 0, rng)
    spoilt = [Member(m.place, m.data, [(7).to_bytes(32, "big"), *m.keys[1:]]) if m.place == 2 else m for m in members]
    total = cluster.unmask(spoilt, 0)
    assert total.void_word is not None
    assert cluster.claims_of({3: total}) == mask.pack_claims({3: total.void_word})


# ---------------------------------------------------------------------- claims, and proposals


def test_claims_travel() -> None:
    voids = {0: 0, 5: 511, 15: 1}
    assert dict(mask.unpack_claims(mask.pack_claims(voids))) == voids
    with pytest.raises(WireError):
        mask.pack_claims(dict.fromkeys(range(17), 0))


def test_a_proposal_is_judged_with_its_claims() -> None:
    rule, old = Rule(RuleKind.MEAN, CLAMP, 1 << 16), pack_model([0] * 16)
    good = ClusterSum(tuple(3 * int.from_bytes(pack_update([9] * 8), "big") for _ in range(2)), 3)
    bad = ClusterSum((good.words[0], 1 << 250), 3)
    sums = {0: good, 1: bad}
    right, claim = pack_model([9] * 16), mask.pack_claims({1: 1})

    def judge(claims: int, model: bytes) -> int | None:
        return cluster.first_wrong_word(rule, 3, old, sums, claims, model, 16)

    assert judge(claim, right) is None
    assert judge(claim, pack_model([9] * 15 + [8])) == 1
    assert judge(0, right) == 1, "a void cluster that is not claimed"
    for claims in ({0: 0}, {1: 0}, {2: 0}, {1: 2}):
        assert judge(mask.pack_claims(claims), right) == 0
    assert judge(claim | claim << 16, right) == 0, "claims must rise"
    assert judge(claim << 16, right) == 0, "an empty one among them"


# ---------------------------------------------------------------------- rolls


@pytest.mark.parametrize(("m", "least"), [(3, 3), (4, 3), (5, 4), (6, 4), (7, 5), (8, 6), (16, 11)])
def test_fewest_survivors(m: int, least: int) -> None:
    assert least_survivors(m) == least


def test_a_roll_knows_who_must_unmask() -> None:
    roll = Roll.of(4, 12, counted=[0, 1, 2, 4, 5, 8, 9, 10, 11], unmasked=[0, 1, 8, 9, 10, 11])
    assert [roll.is_viable(k) for k in roll.clusters] == [True, False, True]
    assert [roll.is_open(k) for k in roll.clusters] == [False, False, True]
    assert [s for s in range(12) if roll.must_unmask(s)] == [2]
    assert roll.missing_in(0) == 0b1000
    assert roll.survivors(1) == [4, 5]
    assert roll.missing >> 12 == (1 << 84) - 1, "seats that nobody has are missing"
