"""The commit hash binds everything it should; written out once more, byte by byte."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils import keccak

from fedvol.protocol.commitment import RoundId, commitment, round_seed

WHERE = RoundId(chain_id=31337, federation="0x" + "Ab" * 20, round=7, seed=2**64 - 3)
NODE, CONTENT, SALT = "0x" + "cD" * 20, b"\x11" * 32, b"\x22" * 32


def word(value: int | bytes | str) -> bytes:
    if isinstance(value, str):
        value = int(value, 16)
    return value if isinstance(value, bytes) else value.to_bytes(32, "big")


def test_commitment_is_the_hash_that_the_specification_states() -> None:
    typehash = keccak(
        text="FedVolCommit(uint256 chainId,address federation,uint24 round,uint64 seed,address node,"
        "bytes32 contentId,bytes32 annex,bytes32 salt)"
    )
    fields = (typehash, 31337, WHERE.federation, 7, WHERE.seed, NODE, CONTENT, bytes(32), SALT)
    assert commitment(WHERE, NODE, CONTENT, SALT) == int.from_bytes(keccak(b"".join(map(word, fields)))[:26], "big")


@pytest.mark.parametrize(
    "change", [{"chain_id": 1}, {"federation": "0x" + "ac" * 20}, {"round": 8}, {"seed": 0}], ids=str
)
def test_commitment_binds_its_round(change) -> None:
    assert commitment(replace(WHERE, **change), NODE, CONTENT, SALT) != commitment(WHERE, NODE, CONTENT, SALT)


def test_commitment_binds_node_content_salt_and_annex() -> None:
    other = b"\x33" * 32
    values = {
        commitment(WHERE, NODE, CONTENT, SALT),
        commitment(WHERE, WHERE.federation, CONTENT, SALT),
        commitment(WHERE, NODE, other, SALT),
        commitment(WHERE, NODE, CONTENT, other),
        commitment(WHERE, NODE, CONTENT, SALT, other),
    }
    assert len(values) == 5
    assert all(0 < v < 2**208 for v in values)


def test_round_seed_is_the_hash_that_the_specification_states() -> None:
    digest = keccak(word(CONTENT) + word(WHERE.federation) + word(7))
    assert round_seed(CONTENT, WHERE.federation, 7) == int.from_bytes(digest[:8], "big")
