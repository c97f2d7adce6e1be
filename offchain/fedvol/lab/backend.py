"""What stands in for a chain and for keystores: who sits where in a round, and every secret that a node would keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import ORDER
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.seat import seat


class Backend(Protocol):
    """Rounds are numbered from 1, nodes from 0."""

    def where(self, number: int) -> RoundId:
        """The round that masks are bound to."""

    def seats(self, number: int, count: int) -> Sequence[int]:
        """The seat of each node: a permutation of 0..count-1."""

    def round_secret(self, number: int, node: int) -> bytes:
        """32 bytes that training and rounding draw from."""

    def mask_secret(self, node: int) -> int:
        """1..ORDER-1 of Grumpkin."""

    def self_key(self, number: int, node: int) -> int:
        """1..FIELD-1, of this round alone."""


@dataclass(frozen=True)
class Seeded:
    """Everything from one number, so that a run can be repeated.

    Args:
        epoch: rounds after which seats are drawn anew, by the protocol's lot; None: node i has seat i for good.
    """

    seed: int = 0
    epoch: int | None = None

    def where(self, number: int) -> RoundId:
        return RoundId(1, "0x" + "00" * 20, number, self.seed % 2**64)

    def seats(self, number: int, count: int) -> Sequence[int]:
        if self.epoch is None:
            return range(count)
        draw = self._random(b"seats", (number - 1) // self.epoch) % 2**64
        return [seat(draw, node, count) for node in range(count)]

    def round_secret(self, number: int, node: int) -> bytes:
        return self._random(b"secret", number, node).to_bytes(32, "big")

    def mask_secret(self, node: int) -> int:
        return 1 + self._random(b"mask key", node) % (ORDER - 1)

    def self_key(self, number: int, node: int) -> int:
        return 1 + self._random(b"self key", number, node) % (FIELD - 1)

    def _random(self, label: bytes, *numbers: int) -> int:
        text = b"fedvol lab " + label + b" %d" % self.seed + b"".join(b" %d" % number for number in numbers)
        return int.from_bytes(hashlib.sha256(text).digest(), "big")
