"""Poseidon2 against what Barretenberg's own code gives, and against the definition, written the slow way.

Vectors: `poseidon2_permutation` and `poseidon2_hash` of @aztec/bb.js 0.87.9 (Barretenberg in WebAssembly), the hashes
also of @zkpassport/poseidon2 0.6.2, which shares no code with it; the longer squeezes of the latter alone.
"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol import poseidon2
from fedvol.protocol.poseidon2 import FIELD, mask_words, permute, sponge

ELEMENT = st.integers(0, FIELD - 1) | st.sampled_from([0, 1, FIELD - 1])
TOP = FIELD - 1
PERMUTATIONS = {
    (0, 1, 2, 3): (
        0x01BD538C2EE014ED5141B29E9AE240BF8DB3FE5B9A38629A9647CF8D76C01737,
        0x239B62E7DB98AA3A2A8F6A0D2FA1709E7A35959AA6C7034814D9DAA90CBAC662,
        0x04CBB44C61D928ED06808456BF758CBF0C18D1E15A7B6DBC8245FA7515D5E3CB,
        0x2E11C5CFF2A22C64D01304B778D78F6998EFF1AB73163A35603F54794C30847A,
    ),
    (0, 0, 0, 0): (
        0x18DFB8DC9B82229CFF974EFEFC8DF78B1CE96D9D844236B496785C698BC6732E,
        0x095C230D1D37A246E8D2D5A63B165FE0FADE040D442F61E25F0590E5FB76F839,
        0x0BB9545846E1AFA4FA3C97414A60A20FC4949F537A68CCECA34C5CE71E28AA59,
        0x18A4F34C9C6F99335FF7638B82AEED9018026618358873C982BBDDE265B2ED6D,
    ),
    (TOP, TOP, TOP, TOP): (
        0x1B18E6CA21A1E9B15D65F0B5861EDE5FF20DB8FA3722531823D0C817D69D945D,
        0x0AFB50EA6867B1CB2D9D1EAC935AF746BC7A780E181A1E6AE9B768C9CBA68878,
        0x0A521A22CA614E65B877D0676652FB60E90A11B462F9846A08E811D95272A9D8,
        0x2369F077784E0AEA99EE3DC6B7B01612AF7F80D7F08B755F9F116E2885EE367F,
    ),
    (1, 0, TOP, 1 << 200): (
        0x21C3209A10AFB1AD75592182FC87DF07622FFEA2EDE1EF8CB2E0F195196B3C0C,
        0x2502A566A1E97FADD1C3AEED4DC1BBA93E36C7570B3E6758B7967493AD65FF22,
        0x18534C4DADDD7194474FDD6A211E640BF9ADFC6B3AF6468F399C5547428105BD,
        0x03C30CFF55164E37C83C7BDE8F5069AAFD6A22ADA9B07C3CC9293DC9051ECB3D,
    ),
}
HASHES = {
    (): 0x18DFB8DC9B82229CFF974EFEFC8DF78B1CE96D9D844236B496785C698BC6732E,
    (0,): 0x2710144414C3A5F2354F4C08D52ED655B9FE253B4BF12CB9AD3DE693D9B1DB11,
    (1,): 0x168758332D5B3E2D13BE8048C8011B454590E06C44BCE7F702F09103EEF5A373,
    (4, 8): 0x2BCAEB6D58BB38BAF753D58C3C96618FEA82163345295EB40E88344EEB0CE2A1,
    (1, 2, 3): 0x23864ADB160DDDF590F1D3303683EBCB914F828E2635F6E85A32F0A1AECD3DD8,
    (1, 2, 3, 4): 0x130BF204A32CAC1F0ACE56C78B731AA3809F06DF2731EBCF6B3464A15788B1B9,
    (TOP,) * 4: 0x0503EF951856C86A9BB84B5208964F3ED61E000C4A28771F71FBCE16CB85599B,
    tuple(i**40 % FIELD for i in range(7)): 0x1027544DC3B7436688DF81269A61869E1091FF0F9E8203C1B08E8A800E0364B1,
    # Barretenberg's own test, poseidon2.test.cpp, "HashConsistencyCheck".
    (0x9A807B615C4D3E2FA0B1C2D3E4F56789FEDCBA9876543210ABCDEF0123456789 % FIELD,) * 4: (
        0x2F43A0F83B51A6F5FC839DEA0ECEC74947637802A579FA9841930A25A0BCEC11
    ),
}
SQUEEZES = {
    (1, 2): [
        0x2954AD4D1CA91F4D2150FC56CC28EF0E5677E6A89711527A7FA2FD0542F90428,
        0x18D60F70C6DFE283A45D5F228D679509BF6971C09E0CE51803B054869053E874,
        0x084713021BA97BE5A315AE6FB8A54A2D5697593DE14540F519B56D5C48861B87,
    ],
    (TOP, 21): [
        0x0D7395A1F06C057B45E3DBD59023C0E4F4D8FC591CB7C7A74D3EB9D44A2D0B2E,
        0x1C872C8FB9987131142EEE32A91217163081E5F17F4C6C0C6741CB1E16F54166,
        0x1D1C2E7242B40F3ADEE95E23FB832E531CA6081BE1E7F22EAE1B32FEF6698408,
    ],
    (5, 6, 7, 8): [
        0x2C972958FC4C8A9533227C10068F086742625A88938446DE084CA2C7BFEEBA03,
        0x03554E78CA8A72A5F1A77AC5C0C1E706966951B86742A9E681049CE484D8D3A8,
        0x265D1A11929293D18638A61C661F4086231B6225E5EA65015628118767C53826,
        0x0416822B044E06085CAD906F48520DB8C12120CAEC510660AFA1C6F2163ED466,
        0x070B8B65DA120A5DD2DBB48EACFBD7484D210B4139EDFE52677D1138CA3E434B,
    ],
}


@pytest.mark.parametrize(("state", "expected"), PERMUTATIONS.items())
def test_permutation_is_barretenbergs(state, expected):
    assert permute(state) == expected


@pytest.mark.parametrize(("inputs", "expected"), HASHES.items())
def test_hash_is_barretenbergs(inputs, expected):
    assert sponge(inputs) == [expected]


@pytest.mark.parametrize(("inputs", "expected"), SQUEEZES.items())
def test_longer_output_is_as_published(inputs, expected):
    assert sponge(inputs, len(expected)) == expected


def test_constants_are_those_that_were_checked():
    """Every constant takes part in every permutation; this names the table when one of them is changed."""
    rows = [*poseidon2._FIRST, poseidon2._PARTIAL, *poseidon2._LAST, poseidon2._DIAGONAL]
    digest = hashlib.sha256(" ".join(f"{number:064x}" for row in rows for number in row).encode())
    assert [len(poseidon2._FIRST), len(poseidon2._PARTIAL), len(poseidon2._LAST)] == [4, 56, 4]
    assert digest.hexdigest() == "0233ecad8194119c1bd0e35ce0bf50820946d22a07a5f2a70cd867b7d2bced11"


def slowly(state):
    """The paper's rounds, with whole matrices, each step reduced."""
    full = [[5, 7, 1, 3], [4, 6, 1, 1], [1, 3, 5, 7], [1, 1, 4, 6]]
    partial = [[1 + poseidon2._DIAGONAL[i] * (i == j) for j in range(4)] for i in range(4)]

    def times(matrix, vector):
        return [sum(m * v for m, v in zip(row, vector, strict=True)) % FIELD for row in matrix]

    state = times(full, state)
    rounds = [(k, full) for k in poseidon2._FIRST]
    rounds += [((k,), partial) for k in poseidon2._PARTIAL]
    rounds += [(k, full) for k in poseidon2._LAST]
    for constants, matrix in rounds:
        powers = [(lane + k) ** 5 % FIELD for lane, k in zip(state, constants, strict=False)]
        state = times(matrix, powers + state[len(powers) :])
    return tuple(state)


@settings(max_examples=50, deadline=None)
@given(st.tuples(ELEMENT, ELEMENT, ELEMENT, ELEMENT))
def test_permutation_is_the_definition(state):
    assert permute(state) == slowly(state)


@settings(max_examples=50, deadline=None)
@given(st.lists(ELEMENT, max_size=8), st.integers(1, 8))
def test_sponge_is_the_definition(inputs, outputs):
    state = [0, 0, 0, len(inputs) * 2**64 + outputs - 1]
    blocks = [inputs[i : i + 3] for i in range(0, len(inputs), 3)] or [[]]
    for block in blocks:
        state = slowly([(s + x) % FIELD for s, x in zip(state, [*[*block, 0, 0, 0][:3], 0], strict=True)])
    found = list(state[:3])
    while len(found) < outputs:
        state = slowly(state)
        found += state[:3]
    assert sponge(inputs, outputs) == found[:outputs]


@settings(max_examples=20, deadline=None)
@given(ELEMENT, st.integers(0, 12))
def test_mask_is_the_sponge_of_key_and_counter(key, count):
    words = mask_words(key, count)
    assert len(words) == count
    assert words == mask_words(key, 12)[:count]
    for w, word in enumerate(words):
        assert word == slowly((key, w // 3, 0, 2 * 2**64 + 2))[w % 3]


def test_masks_of_two_keys_share_no_word():
    assert not set(mask_words(1, 30)) & set(mask_words(2, 30))
    assert len(set(mask_words(1, 30))) == 30


@pytest.mark.parametrize("bad", [-1, FIELD, 2**256])
def test_outside_the_field_is_refused(bad):
    for call in (lambda: permute((0, 0, bad, 0)), lambda: sponge([0, bad]), lambda: mask_words(bad, 1)):
        with pytest.raises(WireError, match="scalar field"):
            call()


def test_a_refused_key_is_not_shown():
    with pytest.raises(WireError) as refusal:
        mask_words(FIELD + 0xDEADBEEF, 1)
    assert "deadbeef" not in str(refusal.value).lower()
    assert str(FIELD + 0xDEADBEEF) not in str(refusal.value)


def test_no_output_is_refused():
    with pytest.raises(WireError, match="1 element or more"):
        sponge([1], 0)
