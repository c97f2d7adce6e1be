"""Grumpkin against what Barretenberg's own code gives, and the laws of a group.

Vectors: `grumpkinMul` of @aztec/bb.js 4.1.2 (Barretenberg in WebAssembly).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol import grumpkin
from fedvol.protocol.grumpkin import GENERATOR, ORDER, is_on_curve, public_key, shared_x
from fedvol.protocol.poseidon2 import FIELD

SECRET = st.integers(1, ORDER - 1) | st.sampled_from([1, 2, ORDER - 1])
TWICE_X = 0x06CE1B0827AAFA85DDEB49CDAA36306D19A74CAA311E13D46D8BC688CDBFFFFE
MULTIPLES = {
    1: (1, 0x2CF135E7506A45D632D270D45F1181294833FC48D823F272C),
    2: (TWICE_X, 0x1C122F81A3A14964909EDE0BA2A6855FC93FAF6FA1A788BF467BE7E7A43F80AC),
    3: (
        0x2941B0928DF1B9480273773B36397DA3E495430A2A7A3857661BC7A446C94F4D,
        0x13AE7E938C892308BEF0F45EE7386DAA2D3B447349A7D0A11B5AA4CFBE69072C,
    ),
    7: (
        0x0E602B9DD6A3E8D039A17F069ADD3F9C2A187A8F629A1DE60A33A8067B9B2842,
        0x14CC8E83DF1B5CBB163BD2C94005CB0707FE570DEF5A165242B1C1419CB014CB,
    ),
    (1 << 253) + 12_345: (
        0x10E594027F4F96984AB15FBED5D0DD5152385EB55198698A99E1CF10F98CE11A,
        0x0439E25F6ADF15C513E4A48B6C0FFE5494630C285ED0C402BE3678998E7F9308,
    ),
    0x1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF: (
        0x1634BC3810B6FD67BE0DFDAD46E401C13AA8C14AEC945502B4865BD82AAFA7C2,
        0x2373408DF2AFED7A50250EFBD0EB7E31E5F2BDD945246F318390C1D8E634600F,
    ),
    ORDER - 2: (TWICE_X, 0x14521EF13D9056C527B167AADEDAD2FD5EF438D8D811E7D1FD660DAC4BC07F55),
    ORDER - 1: (1, 0x30644E72E131A026E93CE7417ADCFAF9FB0CDB0288A15DFCC0A231066DC0D8D5),
}
ALICE = 0x0A3C5E7F9B1D2F4A6C8E0B2D4F6A8C0E1B3D5F7A9C1E3B5D7F9A1C3E5B7D9F11
ALICES = (
    0x20E4DC902B2FE46B3EBB3FD7BEA314C7FFBAA71F421DA4E31191227E3BFEF452,
    0x1EA3AB3AB6B18B4ADEA2913A336416E3844ED9C00F2BE44D7743ACF13965FB8B,
)
BOB = 0x2BD806C97F0E00AF1A1FC3328FA763A9269723C8DB8FAC4F93AF71DB186D6E90
BOBS = (
    0x134797DD5D1050ADA6482E702C7A0BE19B8A476C93C89BE23AD212C1F264E34C,
    0x109D038D249B187BFC69ABBEFB38902438002850076947CF4D4884CB1A9D348F,
)
SHARED = 0x2C0BDB2E25E6382312B733224CB62103C28D860A067D024DDCC71D012DD4AF7C


def textbook_sum(p, q):
    """Chord and tangent; None is the point at infinity."""
    if p is None or q is None:
        return q if p is None else p
    (x1, y1), (x2, y2) = p, q
    if x1 == x2 and (y1 + y2) % FIELD == 0:
        return None
    slope = 3 * x1 * x1 * pow(2 * y1, -1, FIELD) if p == q else (y2 - y1) * pow(x2 - x1, -1, FIELD)
    x3 = (slope * slope - x1 - x2) % FIELD
    return x3, (slope * (x1 - x3) - y1) % FIELD


def textbook_multiple(scalar, point):
    total = None
    for bit in f"{scalar:b}":
        total = textbook_sum(total, total)
        total = textbook_sum(total, point) if bit == "1" else total
    return total


def projective(point, z):
    return (0, z, 0) if point is None else (point[0] * z % FIELD, point[1] * z % FIELD, z)


def affine(p):
    return None if p[2] % FIELD == 0 else grumpkin._affine(p)


@pytest.mark.parametrize(("secret", "point"), MULTIPLES.items())
def test_multiple_of_the_generator_is_barretenbergs(secret, point):
    assert public_key(secret) == point


def test_shared_secret_is_barretenbergs():
    assert public_key(ALICE) == ALICES
    assert public_key(BOB) == BOBS
    assert shared_x(ALICE, BOBS) == shared_x(BOB, ALICES) == SHARED


def test_generator_has_the_prime_order():
    assert is_on_curve(GENERATOR)
    assert affine(grumpkin._multiply(ORDER, GENERATOR)) is None
    assert textbook_multiple(ORDER, GENERATOR) is None


@settings(max_examples=20, deadline=None)
@given(SECRET, SECRET)
def test_both_find_the_same_secret(a, b):
    alices, bobs = public_key(a), public_key(b)
    assert is_on_curve(alices)
    assert shared_x(a, bobs) == shared_x(b, alices) == public_key(a * b % ORDER)[0]


@settings(max_examples=20, deadline=None)
@given(SECRET)
def test_multiplication_is_the_textbooks(secret):
    assert public_key(secret) == textbook_multiple(secret, GENERATOR)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, ORDER), st.integers(1, ORDER - 1), st.integers(1, FIELD - 1))
def test_sums_are_the_textbooks(a, b, z):
    """Unequal, equal, opposite and infinite summands, whatever their third coordinate."""
    p, q = textbook_multiple(a, GENERATOR), public_key(b)
    opposite = (q[0], FIELD - q[1])
    for first in (p, q, opposite, None):
        assert affine(grumpkin._add(projective(first, z), q)) == textbook_sum(first, q)
        assert affine(grumpkin._double(projective(first, z))) == textbook_sum(first, first)


@settings(max_examples=10, deadline=None)
@given(SECRET, SECRET, SECRET)
def test_sums_are_associative(a, b, c):
    p, q, r = projective(public_key(a), 1), public_key(b), public_key(c)
    left = affine(grumpkin._add(grumpkin._add(p, q), r))
    q_plus_r = affine(grumpkin._add(projective(q, 1), r))
    assert left == (affine(p) if q_plus_r is None else affine(grumpkin._add(p, q_plus_r)))


@pytest.mark.parametrize("secret", [0, -1, ORDER, ORDER + 1])
def test_secret_out_of_range_is_refused(secret):
    for call in (lambda: public_key(secret), lambda: shared_x(secret, GENERATOR)):
        with pytest.raises(WireError, match="secret key") as refusal:
            call()
        assert str(secret) not in refusal.value.message.replace("1..ORDER - 1", "")


@pytest.mark.parametrize(
    "peer",
    [(0, 0), (1, 1), (GENERATOR[0], GENERATOR[1] + 1), (1 + FIELD, GENERATOR[1]), (1, GENERATOR[1] + FIELD),
     (1, GENERATOR[1] - FIELD), (-1, 0)],
)  # fmt: skip
def test_peer_off_the_curve_is_refused(peer):
    assert not is_on_curve(peer)
    with pytest.raises(WireError, match="not a point of Grumpkin"):
        shared_x(5, peer)
