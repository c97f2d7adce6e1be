"""What a proof says: the public inputs of a circuit, in their order. Twin of `contracts/libraries/StatementLib.sol`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedvol.errors import WireError
from fedvol.protocol.agreed import Limits, Round, training_inputs
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import Point
from fedvol.protocol.mask import NO_KEY, context, key_hash, words_of_bytes
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.vector import LANES

PLACES = 8
"""Places of a cluster in the circuits; those beyond m stand empty."""

DIMENSION = 160
WORDS = 2 * DIMENSION // LANES
"""Of a weighted vector: moves, then weights."""

BOUNDED_INPUTS = 3 + 2 * PLACES + 1 + PLACES + 4 + WORDS
TRAINED_INPUTS = BOUNDED_INPUTS + 27


@dataclass(frozen=True)
class Subject:
    """Whose vector a proof is about, and what hides it.

    Attributes:
        first: first seat of the node's cluster.
        place: of the node in it.
        keys: registered points of each of its m places, the node's own included; (0, 0) where there is none.
        self_hash, pair_hashes: SHA-256 of the node's keys; 32 zero bytes at its own place.
    """

    where: RoundId
    first: int
    place: int
    keys: Sequence[Point]
    self_hash: bytes
    pair_hashes: Sequence[bytes]


@dataclass(frozen=True)
class Bounds:
    """What a vector may hold: clamp B, weight cap H, the unit 2^weightShift, and the largest Σp²."""

    clamp: int
    weight_cap: int
    unit: int
    norm: int


def bounded_inputs(subject: Subject, bounds: Bounds, data: bytes) -> list[int]:
    """Of kind Bounded; the first of every other kind.

    Args:
        data: the masked vector.

    Raises:
        WireError: it has another length, or a word of it is no field element.
    """
    words = words_of_bytes(data)
    if len(data) != 32 * WORDS:
        raise WireError(f"A vector of {len(data)} bytes cannot be proven.", f"It takes {WORDS} words.")
    empty = PLACES - len(subject.keys)
    hashes = [*subject.pair_hashes, *[key_hash(NO_KEY)] * empty]
    return [
        context(subject.where), subject.first, subject.place,
        *(coordinate for point in [*subject.keys, *[(0, 0)] * empty] for coordinate in point),
        _top(subject.self_hash), *map(_top, hashes),
        bounds.clamp, bounds.weight_cap, bounds.unit, bounds.norm,
        *map(_element, words),
    ]  # fmt: skip


def trained_inputs(
    subject: Subject, bounds: Bounds, data: bytes, data_root: bytes, at: Round, limits: Limits
) -> list[int]:
    """Of kind Trained: those of Bounded, then those of the training (`agreed.training_inputs`)."""
    root = _element(int.from_bytes(data_root, "big"))
    return [*bounded_inputs(subject, bounds, data), *training_inputs(root, at, limits)]


def _top(digest: bytes) -> int:
    """A hash without its last 8 bits: 256 would not fit into a field element."""
    return int.from_bytes(digest, "big") >> 8


def _element(value: int) -> int:
    """Each statement has one form only."""
    if value >= FIELD:
        raise WireError(f"{value:#x} is no element of the field.", "Reduce it before it is committed to.")
    return value
