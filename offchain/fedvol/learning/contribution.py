"""What one participant sends in a round, before it is packed and masked: daemons and the lab make it here."""

from __future__ import annotations

from fedvol.learning.model import Floats, Integers, Model, ModelSpec, Opening
from fedvol.learning.quantize import to_update, to_weighted, within
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import pack_update, pack_weighted

Contribution = tuple[Integers, Integers | None]
"""(d moves, d weights, or None where the rule has none)."""


def contribution(
    model: Model,
    weights: Integers,
    opening: Opening,
    rows: Rows,
    secret: bytes,
    settings: Settings,
    rule: Rule,
    norm: int | None = None,
) -> Contribution:
    """Trains from a model and quantizes the move.

    Args:
        weights: d fixed-point weights that the round starts from.
        rule: of the federation; its clamp bounds the move, and a weighted one also gets how sure this desk is.
        norm: what a proof bounds the sum of the squared lanes of moves by, in a federation that asks for one.
        secret: 32 bytes, this node's own for this round; the same rows, model and secret give the same lanes.

    Raises:
        WireError: training diverged.
    """
    start = model.spec.to_float(weights)
    trained = model.train(start, opening, rows, secret, settings)
    sure = model.curvature(start, opening, rows, secret, settings) if rule.weighted else None
    return quantized(model.spec, weights, trained, sure, secret, rule, norm)


def quantized(
    spec: ModelSpec,
    weights: Integers,
    trained: Floats,
    sure: Floats | None,
    secret: bytes,
    rule: Rule,
    norm: int | None = None,
) -> Contribution:
    """`contribution` of a desk that has trained: d float weights, and its curvature where the rule is weighted."""
    update = to_update(trained, weights, spec, rule.clamp, secret)
    if sure is None:
        return update, None
    moves, weighed = to_weighted(update, sure, rule, secret)
    return moves if norm is None else within(moves, norm), weighed


def packed(sent: Contribution) -> bytes:
    """The bytes of the wire.

    Raises:
        WireError: a lane that the wire cannot carry.
    """
    moves, weights = sent
    return pack_update(moves) if weights is None else pack_weighted(moves, weights)
