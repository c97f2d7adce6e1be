"""How numbers travel: updates in 31-bit lanes, models in 32-bit lanes, both named by SHA-256.

Twin of `contracts/libraries/VectorLib.sol`.

*Update word*: 8 lanes of 31 bits in one big-endian 32-byte word, lane 0 the most significant (bits 217 to 247), the top
byte zero, so that a word is an element of the BN254 scalar field. A lane holds u + 2^23 with |u| < 2^23: sums of up to
128 nodes cannot carry into the next lane.

*Model word*: 8 weights of 32 bits, two's complement, big endian, weight 0 the most significant.

The last word of either is padded with the value 0. The content id is the SHA-256 of the bytes: the EVM has it as a
precompile, and the same digest names the bytes on IPFS (CIDv1, raw, sha2-256).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedvol.errors import WireError

LANES = 8
LANE_BITS = 31
LANE_MASK = (1 << LANE_BITS) - 1
BIAS = 1 << 23
WORD_BYTES = 32
MAX_DIMENSION = 2048
MAX_NODES = 128

_SHIFTS = [LANE_BITS * (LANES - 1 - lane) for lane in range(LANES)]


def words_of(dimension: int) -> int:
    """Number of 32-byte words that carry `dimension` numbers.

    Raises:
        WireError: the dimension is not in 1..2048.
    """
    if not 1 <= dimension <= MAX_DIMENSION:
        raise WireError(
            f"A vector of {dimension} numbers cannot travel.", f"Use between 1 and {MAX_DIMENSION} weights."
        )
    return -(-dimension // LANES)


def content_id(data: bytes) -> bytes:
    """SHA-256 of the bytes: 32 bytes."""
    return hashlib.sha256(data).digest()


def _integers(values: ArrayLike, low: int, high: int, what: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise WireError(f"{what} must be a flat vector of integers.", "Quantize it first.")
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise WireError(f"{what} holds a number outside [{low}, {high}].", "Clip it to the federation's bounds first.")
    return array.astype(np.int64)


def pack_update(update: ArrayLike) -> bytes:
    """Packs d integers with |u| < 2^23 into ⌈d/8⌉ words.

    Raises:
        WireError: not a flat integer vector, too long, or a number out of range.
    """
    lanes = _integers(update, 1 - BIAS, BIAS - 1, "The update") + BIAS
    words = words_of(lanes.size)
    padded = np.full(words * LANES, BIAS, dtype=np.int64)
    padded[: lanes.size] = lanes
    rows = padded.reshape(words, LANES).tolist()
    return b"".join(
        sum(value << shift for value, shift in zip(row, _SHIFTS, strict=True)).to_bytes(WORD_BYTES, "big")
        for row in rows
    )


def unpack_update(data: bytes, dimension: int) -> NDArray[np.int64]:
    """The d lane values less their bias, as they stand.

    A hostile sender may put any 31-bit number in a lane, so the result lies in [-2^23, 2^31 - 2^23) and must be clamped
    before use. The top byte and the padding are ignored.

    Raises:
        WireError: the bytes are not exactly ⌈d/8⌉ words.
    """
    _check_length(data, dimension, "update")
    return lanes_of(data)[:dimension]


def lanes_of(data: bytes) -> NDArray[np.int64]:
    """Every lane of whole words, less its bias."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8)).reshape(-1, 8 * WORD_BYTES)[:, 8:]
    lanes = np.zeros((bits.size // LANE_BITS, LANE_BITS + 1), dtype=np.uint8)
    lanes[:, 1:] = bits.reshape(-1, LANE_BITS)
    return np.packbits(lanes, axis=1).view(">u4").ravel().astype(np.int64) - BIAS


def vector_bytes(dimension: int, weighted: bool) -> int:
    """Length of what a node reveals: the moves, and as many words of weights where the rule is weighted."""
    return words_of(dimension) * WORD_BYTES * (2 if weighted else 1)


def pack_weighted(moves: ArrayLike, weights: ArrayLike) -> bytes:
    """Packs d moves (weight · move / 2^s, |p| < 2^23), then d weights (0 <= h < 2^23), each as `pack_update` does.

    Raises:
        WireError: as `pack_update`; a negative weight; two lengths.
    """
    moves, weights = np.asarray(moves), _integers(weights, 0, BIAS - 1, "The vector of weights")
    if moves.shape != weights.shape:
        raise WireError(f"{moves.size} moves and {weights.size} weights make no vector.", "Hand in as many of each.")
    return pack_update(moves) + pack_update(weights)


def unpack_weighted(data: bytes, dimension: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(moves, weights) as they stand; see `unpack_update`.

    Raises:
        WireError: the bytes are not exactly 2 · ⌈d/8⌉ words.
    """
    _check_length(data, dimension, "weighted update", vector_bytes(dimension, True))
    half = len(data) // 2
    return lanes_of(data[:half])[:dimension], lanes_of(data[half:])[:dimension]


def pack_model(weights: ArrayLike) -> bytes:
    """Packs d int32 weights into ⌈d/8⌉ words, zero-padded.

    Raises:
        WireError: not a flat integer vector, too long, or a number that is no int32.
    """
    values = _integers(weights, -(2**31), 2**31 - 1, "The model")
    padded = np.zeros(words_of(values.size) * LANES, dtype=">i4")
    padded[: values.size] = values
    return padded.tobytes()


def unpack_model(data: bytes, dimension: int) -> NDArray[np.int64]:
    """The d weights.

    Raises:
        WireError: the bytes are not exactly ⌈d/8⌉ words.
    """
    _check_length(data, dimension, "model")
    return np.frombuffer(data, dtype=">i4")[:dimension].astype(np.int64)


def _check_length(data: bytes, dimension: int, what: str, expected: int = 0) -> None:
    expected = expected or words_of(dimension) * WORD_BYTES
    if len(data) != expected:
        raise WireError(
            f"The {what} has {len(data)} bytes where {dimension} weights take {expected}.",
            "Its sender uses another model or is broken; it does not count.",
        )
