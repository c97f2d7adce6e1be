"""Keeps proposers and withholders honest: which bytes and proofs cannot be had, and whether a proposal is what the
vectors give.

It needs no bond and no seat, and acts through the node's account; `fedvol.node.decide` says when.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from fedvol.chain.federation import DEMANDED, REVEALED, FederationClient, Phase, Reveal, Snapshot
from fedvol.errors import StorageError
from fedvol.node.jury import Jury
from fedvol.node.rounds import Aggregate, Bytes, NotDeepEnough, aggregate_now, first_wrong_word, is_vector, patience
from fedvol.protocol import cluster
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import content_id, vector_bytes

log = structlog.get_logger()


@dataclass(frozen=True)
class Found:
    """What this process can answer for another node: its bytes and, where the federation asks for one, its proof."""

    reveal: Reveal
    data: bytes
    evidence: bytes


@dataclass(frozen=True)
class Verdict:
    """Of one proposal. `wrong`: first word at which a dispute is won; None where it holds."""

    number: int
    content_id: bytes
    voids: int
    proposed: bytes
    aggregate: Aggregate
    wrong: int | None


class Watchtower:
    """Looks at one federation's rounds for one account."""

    def __init__(
        self, client: FederationClient, source: Bytes, account: str, dimension: int, confirmations: int
    ) -> None:
        self._client = client
        self._source = source
        self._jury = Jury(client, source)
        self._account = account
        self._dimension = dimension
        self._confirmations = confirmations
        self.is_sure = False
        """Whether `availability` last saw every reveal of the round, its bytes and its proof."""
        self._verdict: Verdict | None = None
        self._unjudged: tuple[bytes, str] | None = None

    def availability(self, s: Snapshot) -> tuple[tuple[str, ...], dict[str, Found]]:
        """(nodes that can be demanded, as their bytes or a proof of them cannot be had; what this process can answer
        for others).

        Bytes of a wrong length can be no vector and no answer, nor can a proof that does not hold: demanding them drops
        their node.
        """
        number = s.clock.number
        seen = self._client.reveals(number, s.block - self._confirmations)
        reveals = [r for r in seen if r.node != self._account]
        found = self._source.of(reveals, number, s.block, patience(s))
        length = vector_bytes(self._dimension, Rule.from_params(s.params).weighted)
        vectors = {r.node: found[r.node] for r in reveals if is_vector(found[r.node], length)}
        unproven = self._jury.unproven(s, reveals, vectors)
        missing = [r for r in reveals if r.node not in vectors or r.node in unproven]
        self.is_sure = not missing and not self._jury.unknown and len(seen) == s.clock.revealed + s.clock.demands
        if not missing and not s.clock.demands:
            return (), {}
        ballots = self._client.ballots([r.node for r in reveals], s.block)
        wanted = tuple(r.node for r in missing if ballots[r.node].state == REVEALED)
        answers = {
            r.node: Found(r, found[r.node], self._jury.evidence(r.node))
            for r in reveals
            if r not in missing and ballots[r.node].round == number and ballots[r.node].state == DEMANDED
        }
        return wanted, answers

    def judge(self, s: Snapshot) -> Verdict | None:
        """The verdict on the proposal that stands; None where there is none, or its bytes cannot be had."""
        name = s.proposal.content_id
        if s.phase != Phase.CHALLENGE:
            return None
        known, voids = self._verdict, s.proposal.voids
        if known is not None and (known.number, known.content_id, known.voids) == (s.clock.number, name, voids):
            return known
        proposed = self._client.proposed_model(s.clock.number, s.block)
        if proposed is None or content_id(proposed) != name:
            return None  # the endpoint's events lag behind its state
        try:
            right = aggregate_now(self._client, self._source, s, self._dimension, self._confirmations)
        except NotDeepEnough:
            return None
        except StorageError as error:
            if self._unjudged != (name, error.message):
                self._unjudged = name, error.message
                log.error("cannot judge the proposal", number=s.clock.number, why=error.message)
            return None
        self._verdict = Verdict(s.clock.number, name, voids, proposed, right, self._first_wrong(s, proposed, right))
        facts = {"number": s.clock.number, "proposer": s.proposal.proposer, "vectors": len(right.vectors)}
        if self._verdict.wrong is None:
            log.info("proposal holds", **facts)
        else:
            log.warning("proposal is wrong", word=self._verdict.wrong, **facts)
        return self._verdict

    def _first_wrong(self, s: Snapshot, proposed: bytes, right: Aggregate) -> int | None:
        if s.roll is None:
            return first_wrong_word(proposed, right.model)
        rule, claims = Rule.from_params(s.params), s.proposal.voids
        return cluster.first_wrong_word(rule, s.roll.m, right.start, right.sums, claims, proposed, self._dimension)
