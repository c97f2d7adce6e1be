"""Combining rules: the round's vectors and the last model in, the new model out.

Twin of `contracts/libraries/RuleLib.sol`.

Per node and weight, after clamping whatever a hostile lane holds (B clamp, H weight cap, s weight shift, q step):

    plain     h = 1,  u = clamp(u, ±B)
    weighted  h = clamp(h, 0, H),  p = clamp(p, ±⌊h·B / 2^s⌋),  u = trunc(p · 2^s / h), 0 where h = 0

With S = Σh (S = 0: no move), the move of a weight is

    mean      trunc(q · Σp · 2^s / (S · 2^16));  plain: trunc(q · Σu / (n · 2^16))
    median    trunc(q · (lo + hi) / 2^17): lo the smallest u with 2C ≥ S, hi with 2C > S, C the weight up to and with u
    trimmed   trunc(q · Σkᵢuᵢ / ((S − 2t) · 2^16)): t = ⌊S · trim_bps / 10,000⌋ cut from each end of the sorted
              weight axis, kᵢ what that leaves of node i

and the new weight is the old one plus the move, saturated to int32. All integers; `trunc` rounds toward zero, once (and
once in a weighted u), so that anybody, and the EVM, finds the same model. No rule moves a weight beyond ⌊B·q / 2^16⌋.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedvol.errors import WireError
from fedvol.protocol.vector import BIAS, MAX_NODES, unpack_update, unpack_weighted

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

Integers = NDArray[np.int64]


class RuleKind(IntEnum):
    """As `RuleKind` in the contract."""

    MEAN = 0
    MEDIAN = 1
    TRIMMED_MEAN = 2


@dataclass(frozen=True)
class Rule:
    """How a federation combines.

    Args:
        clamp: B, 0 < B < 2^23, in weight units.
        step: q, 0 < q < 2^32; 65,536 = the rule's own move.
        weighted: vectors carry a weight for each move.
        trim_bps: share cut from each end, 0..4,999 ten-thousandths.
        weight_cap: H, 0 < H < 2^23.
        weight_shift: s, 0..23, with ⌊H·B / 2^s⌋ < 2^23.

    Raises:
        WireError: a value out of its range, by name.
    """

    kind: RuleKind
    clamp: int
    step: int
    weighted: bool = False
    trim_bps: int = 0
    weight_cap: int = 1
    weight_shift: int = 0

    def __post_init__(self) -> None:
        for name, good in (
            ("clamp", 0 < self.clamp < BIAS),
            ("step", 0 < self.step < 2**32),
            ("trim_bps", 0 <= self.trim_bps < 5_000),
            ("weight_cap", 0 < self.weight_cap < BIAS),
            ("weight_shift", 0 <= self.weight_shift <= 23),
            ("weight_shift", not self.weighted or self.weight_cap * self.clamp >> self.weight_shift < BIAS),
        ):
            if not good:
                raise WireError(
                    f"A rule cannot have {name} = {getattr(self, name)}.", "Use the federation's parameters."
                )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Rule:
        """The rule in a federation's parameters, as `IFederationTypes.Params` names them."""
        return cls(
            RuleKind(params["rule"]),
            params["clamp"],
            params["step"],
            bool(params["weighted"]),
            params["trimBps"],
            params["weightCap"],
            params["weightShift"],
        )


def apply(rule: Rule, model: Integers, vectors: Sequence[bytes]) -> Integers:
    """The new model.

    Args:
        model: d weights, int32 values.
        vectors: bytes of 1..128 nodes, in any order.

    Raises:
        WireError: no vector, too many, or one of a wrong length.
    """
    model = np.asarray(model, dtype=np.int64)
    if not 1 <= len(vectors) <= MAX_NODES:
        raise WireError(f"{len(vectors)} vectors cannot be combined.", f"Hand in 1 to {MAX_NODES}.")
    if rule.weighted:
        pairs = [unpack_weighted(data, len(model)) for data in vectors]
        moves, weights = np.stack([p for p, _ in pairs]), np.stack([h for _, h in pairs])
    else:
        moves, weights = np.stack([unpack_update(data, len(model)) for data in vectors]), None
    return combine(rule, model, moves, weights)


def combine(rule: Rule, model: Integers, moves: Integers, weights: Integers | None = None) -> Integers:
    """`apply` on lane values as they came: n × d moves, and n × d weights where the rule is weighted."""
    numerator, denominator = _MOVES[rule.kind](*_clamped(rule, moves, weights), rule)
    return np.clip(model + _trunc_product(numerator, rule.step, denominator), INT32_MIN, INT32_MAX)


def largest_move(bound: int, step: int) -> int:
    """Largest |move| of a weight that any rule can make: ⌊B·q / 2^16⌋."""
    return bound * step >> 16


def _clamped(rule: Rule, moves: Integers, weights: Integers | None) -> tuple[Integers, Integers, Integers]:
    """(u, h, scaled sum Σp · 2^s) within the public bounds: n × d, n × d, d."""
    if weights is None:
        u = np.clip(moves, -rule.clamp, rule.clamp)
        return u, np.ones_like(u), u.sum(axis=0)
    h = np.clip(weights, 0, rule.weight_cap)
    most = h * rule.clamp >> rule.weight_shift
    p = np.clip(moves, -most, most) << rule.weight_shift  # below 2^46
    return np.sign(p) * (np.abs(p) // np.maximum(h, 1)), h, p.sum(axis=0)


def _mean(u: Integers, h: Integers, total: Integers, rule: Rule) -> tuple[Integers, Integers]:
    return total, h.sum(axis=0) << 16


def _median(u: Integers, h: Integers, total: Integers, rule: Rule) -> tuple[Integers, Integers]:
    u, h = _sorted(u, h)
    reached, whole = 2 * np.cumsum(h, axis=0), h.sum(axis=0)
    low, high = np.argmax(reached >= whole, axis=0), np.argmax(reached > whole, axis=0)
    columns = np.arange(u.shape[1])
    return u[low, columns] + u[high, columns], np.where(whole == 0, 0, 1 << 17)


def _trimmed(u: Integers, h: Integers, total: Integers, rule: Rule) -> tuple[Integers, Integers]:
    u, h = _sorted(u, h)
    end, whole = np.cumsum(h, axis=0), h.sum(axis=0)
    cut = whole * rule.trim_bps // 10_000
    kept = np.maximum(np.minimum(end, whole - cut) - np.maximum(end - h, cut), 0)
    return (kept * u).sum(axis=0), (whole - 2 * cut) << 16


_MOVES = {RuleKind.MEAN: _mean, RuleKind.MEDIAN: _median, RuleKind.TRIMMED_MEAN: _trimmed}


def _sorted(u: Integers, h: Integers) -> tuple[Integers, Integers]:
    # Nodes without weight change no cumulative weight, so it does not matter where they sort.
    order = np.argsort(u, axis=0, kind="stable")
    return np.take_along_axis(u, order, axis=0), np.take_along_axis(h, order, axis=0)


def _trunc_product(numerator: Integers, step: int, denominator: Integers) -> Integers:
    """trunc(step · numerator / denominator), 0 where the denominator is. In Python's integers: it may pass 64 bits."""
    moves = [
        0 if below == 0 else -(-above * step // below) if above < 0 else above * step // below
        for above, below in zip(numerator.tolist(), np.broadcast_to(denominator, numerator.shape).tolist(), strict=True)
    ]
    return np.array(moves, dtype=np.int64)
