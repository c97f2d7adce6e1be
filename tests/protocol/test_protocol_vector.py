"""Packing: what goes in comes out, what does not fit is refused by name, and sums do not carry."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol.vector import (
    BIAS,
    LANE_BITS,
    LANE_MASK,
    LANES,
    MAX_DIMENSION,
    MAX_NODES,
    content_id,
    pack_model,
    pack_update,
    unpack_model,
    unpack_update,
    words_of,
)  # fmt: skip

UPDATES = st.lists(st.integers(1 - BIAS, BIAS - 1), min_size=1, max_size=40)
MODELS = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=40)


@given(UPDATES)
def test_update_comes_back(values: list[int]) -> None:
    data = pack_update(values)
    assert len(data) == 32 * words_of(len(values))
    assert unpack_update(data, len(values)).tolist() == values


@given(UPDATES)
def test_update_words_are_field_elements(values: list[int]) -> None:
    data = pack_update(values)
    assert all(byte == 0 for byte in data[::32])
    padding = unpack_update(data, LANES * words_of(len(values)))[len(values) :]
    assert not padding.any()


@given(MODELS)
def test_model_comes_back(values: list[int]) -> None:
    data = pack_model(values)
    assert unpack_model(data, len(values)).tolist() == values
    assert data[: 4 * len(values)] == b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    assert not any(data[4 * len(values) :])


def test_lane_0_is_the_most_significant() -> None:
    assert int.from_bytes(pack_update([1 - BIAS] * 7 + [2 - BIAS]), "big") == sum(1 << 31 * i for i in range(1, 8)) + 2
    assert pack_model([1, -1])[:8] == bytes.fromhex("00000001ffffffff")


@pytest.mark.parametrize("value", [1 - BIAS, BIAS - 1])
def test_128_packed_words_sum_without_carry(value: int) -> None:
    """The lanes of the sum are the sums of the lanes, at the extremes: what masking relies on."""
    word = int.from_bytes(pack_update([value, -value] * 4), "big")
    total = MAX_NODES * word
    assert total < 1 << 248
    lanes = [total >> LANE_BITS * (LANES - 1 - i) & LANE_MASK for i in range(LANES)]
    assert [lane - MAX_NODES * BIAS for lane in lanes] == [MAX_NODES * value, -MAX_NODES * value] * 4


@pytest.mark.parametrize("value", [BIAS, -BIAS, 2**40])
def test_update_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(WireError, match="The update holds a number outside"):
        pack_update([0, value])


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_model_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(WireError, match="The model holds a number outside"):
        pack_model([0, value])


@pytest.mark.parametrize("pack", [pack_update, pack_model])
@pytest.mark.parametrize("values", [[0.5], [float("nan")], np.zeros((2, 2), dtype=int), ["1"], [True], 3, []])
def test_what_is_no_flat_integer_vector_is_refused(pack, values) -> None:
    with pytest.raises(WireError):
        pack(values)


@pytest.mark.parametrize("pack", [pack_update, pack_model])
def test_too_long_is_refused(pack) -> None:
    pack(np.zeros(MAX_DIMENSION, dtype=int))
    with pytest.raises(WireError, match="2049 numbers cannot travel"):
        pack(np.zeros(MAX_DIMENSION + 1, dtype=int))


@pytest.mark.parametrize(("unpack", "name"), [(unpack_update, "update"), (unpack_model, "model")])
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_wrong_length_is_refused(unpack, name, size) -> None:
    with pytest.raises(WireError, match=f"The {name} has {size} bytes where 8 weights take 32"):
        unpack(bytes(size), 8)


@given(st.binary(max_size=64))
def test_content_id_is_sha256(data: bytes) -> None:
    assert content_id(data) == hashlib.sha256(data).digest()
