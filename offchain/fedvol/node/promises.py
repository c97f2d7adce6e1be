"""What a node will train on, where proofs show the training: rows that it commits to before a round opens.

They are on disk, with the salt of their commitment, before the pledge that binds them leaves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from fedvol.chain.federation import FederationClient, Phase, Snapshot
from fedvol.errors import TapeError
from fedvol.learning.agreed import choose
from fedvol.learning.rows import Rows
from fedvol.node.journal import Journal
from fedvol.protocol.agreed import Limits, Row, fill, root
from fedvol.protocol.evidence import Pledge
from fedvol.protocol.mask import words_of_bytes
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.vector import WORD_BYTES

log = structlog.get_logger()


@dataclass(frozen=True)
class Dataset:
    """64 slots of rows and the salt of the commitment to them."""

    slots: tuple[Row, ...] = field(repr=False)
    salt: int = field(repr=False)

    @property
    def root(self) -> bytes:
        return root(self.slots, self.salt).to_bytes(WORD_BYTES, "big")

    def encoded(self) -> bytes:
        return b"".join(word.to_bytes(WORD_BYTES, "big") for word in (self.salt, *(row.packed for row in self.slots)))

    @classmethod
    def read(cls, data: bytes) -> Dataset:
        salt, *rows = words_of_bytes(data)
        return cls(tuple(map(Row.unpack, rows)), salt)


class Promises:
    """The commitments of one account to its rows.

    Args:
        rows: those that train now.
        hours: age from which a commitment of a node without a seat is renewed.
    """

    def __init__(
        self,
        client: FederationClient,
        account: str,
        journal: Journal,
        limits: Limits,
        rows: Callable[[], Rows],
        hours: float,
    ) -> None:
        self._client = client
        self._account = account
        self._journal = journal
        self._limits = limits
        self._rows = rows
        self._longest = 3_600 * hours

    def binding(self, s: Snapshot) -> tuple[Pledge, Dataset] | None:
        """What binds the node in the running round; None where nothing does that it holds."""
        pledged = self._client.pledges(self._account, s.block)[(s.clock.number - 1) % 2]
        held = self._journal.promised(pledged)
        return held and (Pledge.read(held.preimage), Dataset.read(held.rows))

    def due(self, s: Snapshot) -> bool:
        """Whether the next round would find the node bound to nothing, or to old rows, and no reveal will mend that."""
        seated = s.node.seat is not None and s.node.seat < s.clock.selected
        if seated and s.phase in (Phase.DRAW, Phase.SETTLE, Phase.COMMIT, Phase.REVEAL):
            return False
        held = self._journal.promised(self._client.pledges(self._account, s.block)[s.clock.number % 2])
        return held is None or time.time() - held.at > self._longest

    def alone(self, s: Snapshot) -> Pledge:
        """A pledge of rows outside a reveal; however often it is tried, the same until it is old."""
        return self._promise(f"alone:{s.clock.number}:{time.time() // self._longest:.0f}", Pledge().proof_id)

    def with_proof(self, number: int, seed: int, proof_id: bytes) -> Pledge:
        """What the reveal of a round pledges: its proof, and the rows of the next one. The first stands for ever."""
        return self._promise(f"reveal:{number}:{seed:016x}", proof_id)

    def _promise(self, purpose: str, proof_id: bytes) -> Pledge:
        known = self._journal.promise(purpose)
        if known is not None:
            return Pledge.read(known.preimage)
        try:
            chosen = choose(self._rows(), self._limits, secrets.token_bytes(32))
        except TapeError as error:
            log.error("promises no rows", why=error.message)
            chosen = []
        data = Dataset(tuple(fill(chosen, self._limits)), secrets.randbelow(FIELD))
        pledge = Pledge(proof_id, data.root)
        self._journal.keep_promise(purpose, pledge.digest, pledge.preimage, data.encoded())
        return pledge
