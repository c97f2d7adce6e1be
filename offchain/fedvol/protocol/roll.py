"""The roll of a masked round: who of the seated is missing, and whose mask is still on.

Twin of `contracts/libraries/RollLib.sol`. A cluster is m seats side by side: seat s sits in cluster s // m.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_SEATS = 96
_VEIL = 96
_BLANK = (1 << 192) - 1


def least_survivors(m: int) -> int:
    """Fewest survivors with which a cluster of m is unmasked: max(3, ⌈2m/3⌉)."""
    return max(3, -(-2 * m // 3))


@dataclass(frozen=True)
class Roll:
    """Bit s of `word` is set while the vector of seat s does not count, bit 96 + s until seat s has unmasked; the two
    windows above them are the contract's."""

    word: int
    m: int
    selected: int

    @classmethod
    def of(cls, m: int, selected: int, counted: Iterable[int], unmasked: Iterable[int]) -> Roll:
        """The roll in which the seats `counted` count, and those `unmasked` have unmasked."""
        word = _BLANK
        for seat in counted:
            word &= ~(1 << seat)
        for seat in unmasked:
            word &= ~(1 << (_VEIL + seat))
        return cls(word, m, selected)

    @property
    def clusters(self) -> range:
        return range(self.selected // self.m)

    @property
    def missing(self) -> int:
        """What an unmasking is bound to."""
        return self.word & ((1 << _VEIL) - 1)

    def is_missing(self, seat: int) -> bool:
        return bool(self.word >> seat & 1)

    def is_veiled(self, seat: int) -> bool:
        return bool(self.word >> (_VEIL + seat) & 1)

    def missing_in(self, cluster: int) -> int:
        """Bit j is set where the j-th seat of the cluster is missing."""
        return self.word >> (cluster * self.m) & ((1 << self.m) - 1)

    def survivors(self, cluster: int) -> list[int]:
        """Seats of the cluster whose vectors count."""
        first = cluster * self.m
        return [seat for seat in range(first, first + self.m) if not self.is_missing(seat)]

    def is_viable(self, cluster: int) -> bool:
        """Whether the cluster has enough survivors to be unmasked."""
        return len(self.survivors(cluster)) >= least_survivors(self.m)

    def is_open(self, cluster: int) -> bool:
        """Whether it has, and all of them have unmasked: its sum is known."""
        return self.is_viable(cluster) and not any(map(self.is_veiled, self.survivors(cluster)))

    def must_unmask(self, seat: int) -> bool:
        """Whether the seat is a survivor of a viable cluster, and has not unmasked."""
        return not self.is_missing(seat) and self.is_veiled(seat) and self.is_viable(seat // self.m)
