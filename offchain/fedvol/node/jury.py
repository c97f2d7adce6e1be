"""Judges the proofs of others before anything is unmasked.

The judge is the chain's own verifier, in calls that cost nothing: what it refuses here, it would refuse in an answer.
The work is the endpoint's, so threads suffice to have several judged at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from fedvol.chain.federation import FederationClient, Reveal, Snapshot
from fedvol.chain.proofs import Claim, refusal
from fedvol.errors import ChainError, FedvolError
from fedvol.node.rounds import Bytes
from fedvol.protocol.evidence import NO_PLEDGE, Evidence, Pledge

log = structlog.get_logger()

AT_ONCE = 4
UNKNOWN = "the endpoint did not answer"


class Jury:
    """What one process has found out of the proofs of the running round."""

    def __init__(self, client: FederationClient, source: Bytes) -> None:
        self._client = client
        self._source = source
        self._round = (0, 0)
        self._held: dict[str, Evidence] = {}
        self._said: dict[str, str] = {}
        self.unknown: set[str] = set()
        """Nodes whose proofs the endpoint did not judge when it was last asked."""

    def unproven(self, s: Snapshot, reveals: Sequence[Reveal], vectors: Mapping[str, bytes]) -> set[str]:
        """Nodes with a vector of which no proof can be had, or none that holds.

        Args:
            vectors: the bytes of those that have some.
        """
        if self._client.proofs is None or s.roll is None:
            return set()
        if self._round != (s.clock.number, s.clock.seed):
            self._round, self._held, self._said = (s.clock.number, s.clock.seed), {}, {}
        open_ = [r for r in reveals if r.node in vectors and r.node not in self._held]
        self.unknown = set()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jury") as pool:
            for reveal, why in zip(open_, pool.map(lambda r: self._judge(r, vectors[r.node], s), open_), strict=True):
                if why is UNKNOWN:
                    self.unknown.add(reveal.node)
                elif why is None:
                    log.info("proof holds", number=s.clock.number, node=reveal.node)
                elif self._said.get(reveal.node) != why:
                    self._said[reveal.node] = why
                    log.warning("proof refused", number=s.clock.number, node=reveal.node, why=why)
        return {r.node for r in open_ if r.node not in self._held and r.node not in self.unknown}

    def evidence(self, node: str) -> bytes:
        """What was judged to hold, as an answer shows it; nothing in a federation that asks for no proofs."""
        return self._held[node].encoded() if node in self._held else b""

    def _judge(self, reveal: Reveal, data: bytes, s: Snapshot) -> str | None:
        if reveal.pledge == NO_PLEDGE:
            return "nothing is pledged"
        try:
            evidence = Evidence.read(self._source.fetch(Pledge.read(self._source.fetch(reveal.pledge)).proof_id))
        except FedvolError as error:
            return error.message
        try:
            why = refusal(self._client, Claim.of(reveal, data, evidence), s.block)
        except ChainError:
            return UNKNOWN  # the endpoint's fault and nobody else's: judged in the next cycle
        if why is None:
            self._held[reveal.node] = evidence
        return why
