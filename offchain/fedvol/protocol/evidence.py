"""What a node shows with a proof, and what its reveal pledges. Twin of `contracts/interfaces/IProofs.sol`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import to_checksum_address

from fedvol.errors import WireError
from fedvol.protocol.vector import content_id

NO_PLEDGE = bytes(32)
_TYPES = ["bytes", "bytes32", "bytes32[]", "address[]", "bytes32", "bytes32"]


@dataclass(frozen=True)
class Pledge:
    """Both halves of what a reveal pledges: the proof of this round, and the data of the node's next one.

    Attributes:
        proof_id: content id of the encoded `Evidence`; 32 zero bytes where there is none yet.
        data_root: root of the rows that the next round will train on; 32 zero bytes where none are promised.
    """

    proof_id: bytes = bytes(32)
    data_root: bytes = bytes(32)

    @property
    def preimage(self) -> bytes:
        """64 bytes; pinned under `digest`."""
        return self.proof_id + self.data_root

    @property
    def digest(self) -> bytes:
        """What the chain gets: SHA-256 of the preimage."""
        return content_id(self.preimage)

    @classmethod
    def read(cls, preimage: bytes) -> Pledge:
        """Raises WireError for anything but 64 bytes."""
        if len(preimage) != 64:
            raise WireError(f"A pledge has {len(preimage)} bytes, not 64.", "Whoever pinned it must pin it anew.")
        return cls(preimage[:32], preimage[32:])


@dataclass(frozen=True)
class Evidence:
    """All that the chain needs besides its own state and the vector to verify a proof.

    Attributes:
        proof: as `bb` makes it for the EVM.
        self_hash, pair_hashes: SHA-256 of the node's keys, by place; 32 zero bytes at its own.
        ring: addresses of the cluster, by place.
        before: the node's pledge from before the round opened.
    """

    proof: bytes
    self_hash: bytes
    pair_hashes: tuple[bytes, ...]
    ring: tuple[str, ...]
    before: Pledge = Pledge()

    @property
    def tuple(self) -> tuple[Any, ...]:
        """As `IProofs.Evidence`."""
        return (
            self.proof, self.self_hash, list(self.pair_hashes), list(self.ring),
            self.before.proof_id, self.before.data_root,
        )  # fmt: skip

    def encoded(self) -> bytes:
        return encode(_TYPES, self.tuple)

    @property
    def proof_id(self) -> bytes:
        return content_id(self.encoded())

    def proven(self, proof: bytes) -> Evidence:
        """The same with a proof."""
        return replace(self, proof=proof)

    @classmethod
    def read(cls, data: bytes) -> Evidence:
        """Raises WireError for bytes that are no evidence."""
        try:
            proof, self_hash, pairs, ring, proof_id, root = decode(_TYPES, data)
        except (DecodingError, OverflowError, ValueError) as error:
            raise WireError("These bytes are no evidence of a proof.", "Whoever pinned them must answer.") from error
        return cls(proof, self_hash, tuple(pairs), tuple(map(to_checksum_address, ring)), Pledge(proof_id, root))
