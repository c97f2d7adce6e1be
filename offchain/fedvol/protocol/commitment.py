"""What a node commits to, and where a round's seed comes from. Twin of `contracts/libraries/CommitLib.sol`."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi import encode
from eth_utils import keccak

COMMIT_TYPEHASH = keccak(
    text="FedVolCommit(uint256 chainId,address federation,uint24 round,uint64 seed,address node,"
    "bytes32 contentId,bytes32 annex,bytes32 salt)"
)
NO_ANNEX = bytes(32)


@dataclass(frozen=True)
class RoundId:
    """One round of one federation on one chain; what every hash binds."""

    chain_id: int
    federation: str
    round: int
    seed: int


def commitment(where: RoundId, node: str, content_id: bytes, salt: bytes, annex: bytes = NO_ANNEX) -> int:
    """First 208 bits of the commit hash, as an integer.

    Args:
        node: address of the committing node.
        content_id: SHA-256 of the packed update, 32 bytes.
        salt: 32 random bytes, never used before.
        annex: 32 zero bytes in plain mode.
    """
    types = ["bytes32", "uint256", "address", "uint24", "uint64", "address", "bytes32", "bytes32", "bytes32"]
    values = [
        COMMIT_TYPEHASH, where.chain_id, where.federation, where.round, where.seed, node, content_id, annex, salt,
    ]  # fmt: skip
    return int.from_bytes(keccak(encode(types, values)), "big") >> 48


def round_seed(block_hash: bytes, federation: str, round_number: int) -> int:
    """First 64 bits of keccak256(abi.encode(block hash, contract, round))."""
    digest = keccak(encode(["bytes32", "address", "uint24"], [block_hash, federation, round_number]))
    return int.from_bytes(digest[:8], "big")
