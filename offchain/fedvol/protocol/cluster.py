"""Clusters: from masked vectors and what was opened to sums, and from sums to the new model.

Twin of `contracts/libraries/ClusterLib.sol` and of what `contracts/Settlement.sol` does with it. A word of a sum is a
sum of packed words where everybody masked as agreed, and then leaves the top byte free; else it is anything, and the
cluster is void. The rule over clusters is a weighted one: with Σ over a cluster's n survivors its moves are Σp (plain:
Σu), its weights Σh (plain: n), bounded as those of one node are, m and n times over. So the mean over clusters is the
plain mean exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedvol.protocol.mask import masks_left, pack_claims, unpack_claims, words_of_bytes
from fedvol.protocol.poseidon2 import FIELD, mask_words
from fedvol.protocol.rule import Rule, combine
from fedvol.protocol.vector import BIAS, LANES, WORD_BYTES, lanes_of, pack_model, unpack_model

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Member:
    """A survivor: its place in the cluster, its masked bytes, and what it opened."""

    place: int
    data: bytes
    keys: Sequence[bytes]


@dataclass(frozen=True)
class ClusterSum:
    """Words of a cluster's sum, as they come out, and how many survivors it is of."""

    words: tuple[int, ...]
    survivors: int

    @property
    def void_word(self) -> int | None:
        """The first word that is no sum; None where all are."""
        return next((i for i, word in enumerate(self.words) if word >> 248), None)


def unmask(members: Sequence[Member], missing: int) -> ClusterSum:
    """The sum of a cluster whose survivors have all unmasked.

    Args:
        missing: bit j is set where the j-th of the cluster is missing.
    """
    count = len(members[0].data) // WORD_BYTES
    total = [0] * count
    for member in members:
        total = [a + b for a, b in zip(total, words_of_bytes(member.data), strict=True)]
        for key, sign in masks_left(member.keys, missing, member.place):
            total = [a - sign * b for a, b in zip(total, mask_words(key, count), strict=True)]
    return ClusterSum(tuple(word % FIELD for word in total), len(members))


def rule_over(rule: Rule, m: int) -> Rule:
    """The rule of nodes as one of clusters of m."""
    cap, shift = (rule.weight_cap, rule.weight_shift) if rule.weighted else (1, 0)
    return Rule(rule.kind, rule.clamp, rule.step, True, rule.trim_bps, m * cap, shift)


def apply(rule: Rule, m: int, model: Integers, sums: Sequence[ClusterSum]) -> Integers:
    """The new model; that of before where there is no sum. No sum may be void."""
    if not sums:
        return np.asarray(model, dtype=np.int64)
    pairs = [_as_vector(s, rule, len(model)) for s in sums]
    return combine(rule_over(rule, m), model, np.stack([p for p, _ in pairs]), np.stack([h for _, h in pairs]))


def claims_of(sums: Mapping[int, ClusterSum]) -> int:
    """What a proposer must claim of these clusters.

    Raises:
        WireError: more of them are void than can be claimed.
    """
    words = {k: s.void_word for k, s in sums.items()}
    return pack_claims({k: word for k, word in words.items() if word is not None})


def first_wrong_word(
    rule: Rule, m: int, old: bytes, sums: Mapping[int, ClusterSum], claims: int, proposed: bytes, dimension: int
) -> int | None:
    """The first word of a proposal that a dispute can be won at; None where it holds. As the contract judges it."""
    claimed: list[int] = []
    for k, word in unpack_claims(claims):
        rises = not claimed or k > claimed[-1]
        if not rises or k not in sums or word >= len(sums[k].words) or not sums[k].words[word] >> 248:
            return 0
        claimed.append(k)
    rest = [s for k, s in sums.items() if k not in claimed]
    words = len(proposed) // WORD_BYTES
    bad = [min(i % words for i, word in enumerate(s.words) if word >> 248) for s in rest if s.void_word is not None]
    kept = [s if s.void_word is None else ClusterSum(tuple(w % (1 << 248) for w in s.words), s.survivors) for s in rest]
    right = pack_model(apply(rule, m, unpack_model(old, dimension), kept))
    differs = (i for i in range(words) if right[32 * i : 32 * i + 32] != proposed[32 * i : 32 * i + 32])
    return min([*bad, *list(differs)[:1]], default=None)


def _as_vector(s: ClusterSum, rule: Rule, dimension: int) -> tuple[Integers, Integers]:
    """(moves, weights) as those of one node came."""
    lanes = lanes_of(b"".join(word.to_bytes(WORD_BYTES, "big") for word in s.words)) + BIAS
    moves = np.maximum(lanes - (s.survivors - 1) * BIAS, 0) - BIAS
    if not rule.weighted:
        return moves[:dimension], np.full(dimension, s.survivors, dtype=np.int64)
    half = len(s.words) // 2 * LANES
    weights = np.clip(lanes[half:] - s.survivors * BIAS, 0, s.survivors * rule.weight_cap)
    return moves[:half][:dimension], weights[:dimension]
