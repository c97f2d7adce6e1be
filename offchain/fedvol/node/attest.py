"""A node's own proofs: made beside the daemon, in processes of their own, and on disk before anybody hears of them."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from fedvol.chain.federation import COMMITTED, FederationClient, Phase, Snapshot
from fedvol.chain.outbox import call_rpc
from fedvol.chain.proofs import Claim, Kind, Terms, public_inputs, refusal, terms_of
from fedvol.chain.versions import start_of
from fedvol.errors import ConfigError, FedvolError, ProofError
from fedvol.learning.agreed import opening
from fedvol.node.journal import Journal, Prepared
from fedvol.node.promises import Dataset, Promises
from fedvol.node.veil import Veil
from fedvol.node.workshop import Workshop
from fedvol.proofs.backend import Proof
from fedvol.proofs.circuits import Inputs, backend_for, make, named, of_lanes, of_rows
from fedvol.proofs.verifier import LOCAL_CHAINS, require_public
from fedvol.protocol.agreed_step import Lanes, step
from fedvol.protocol.evidence import Evidence, Pledge
from fedvol.protocol.mask import annex, key_hash, unmasked
from fedvol.protocol.vector import content_id, pack_weighted, unpack_model, unpack_weighted

log = structlog.get_logger()

PATIENCE = 10.0
"""Seconds between two tries to prove the same."""


class Attest:
    """The proofs of one account in one federation; in one that asks for none it has nothing to do."""

    def __init__(
        self, client: FederationClient, account: str, journal: Journal, veil: Veil, trainer: Workshop, folder: Path
    ) -> None:
        self._client = client
        self._journal = journal
        self._veil = veil
        self._dimension = trainer.spec.dimension
        self.terms = what_is_asked(client, trainer.is_private)
        self.promises: Promises | None = None
        if self.terms is not None and self.terms.kind == Kind.TRAINED:
            self.promises = Promises(client, account, journal, self.terms.limits, trainer.rows, trainer.hours)
        self._said = 0
        self.backend = backend_for(client.deployment.chain_id, folder / "proving") if self.terms else None
        self._workers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prover")
        self._running: tuple[tuple[int, int], Claim, Future[Proof]] | None = None
        self._again_at = 0.0

    @property
    def norm(self) -> int | None:
        """What the sum of the squared lanes of moves may be; None where nothing is proven of it."""
        return self.terms and self.terms.norm

    def is_ready(self, s: Snapshot) -> bool:
        """Whether the proof of this round's update is on disk; has it made where it is not."""
        if self.terms is None or s.roll is None:
            return True
        number, seed = s.clock.number, s.clock.seed
        if self._journal.evidence(number, seed) is not None:
            return True
        part = self._journal.prepared(number, seed)
        in_time = s.phase in (Phase.COMMIT, Phase.SETTLE, Phase.REVEAL)
        if part is not None and in_time and s.node.ballot_round == number and s.node.ballot_state == COMMITTED:
            self._go_on(part, s)
        return self._journal.evidence(number, seed) is not None

    def pledge(self, s: Snapshot) -> Pledge:
        """What the reveal pledges. Its proof is on disk."""
        number, seed = s.clock.number, s.clock.seed
        proof_id = content_id(self._journal.evidence(number, seed))
        return self.promises.with_proof(number, seed, proof_id) if self.promises else Pledge(proof_id)

    def needs_pledge(self, s: Snapshot) -> bool:
        """Whether rows are to be pledged outside a reveal."""
        return self.promises is not None and self.promises.due(s)

    def can_train(self, s: Snapshot) -> bool:
        """Whether the node may commit: what it trains on binds it, where that is proven. Says once why not."""
        asked = self.promises is not None and s.phase == Phase.COMMIT and s.node.ballot_round != s.clock.number
        if not asked or self.promises.binding(s) is not None:
            return True
        if self._said != s.clock.number:
            self._said = s.clock.number
            log.error("sits out", number=s.clock.number, why="it had pledged no rows when the round opened")
        return False

    def trained(self, start: bytes, as_of: int, s: Snapshot) -> bytes | None:
        """The update that the agreed training makes of the rows that bind the node, packed; None where the node trains
        as it likes.

        Args:
            start: the model that the round starts from.
        """
        if self.promises is None or s.roll is None:
            return None
        made = self._step(self.promises.binding(s)[1], start, as_of, s)
        return pack_weighted(np.array(made.p), np.array(made.h))

    def _step(self, rows: Dataset, start: bytes, as_of: int, s: Snapshot) -> Lanes:
        at = opening(unpack_model(start, self._dimension), as_of)
        by = s.params
        return step(rows.slots, at, self.terms.limits, by["clamp"], by["weightCap"], by["weightShift"])

    def close(self) -> None:
        """Lets a proof that still runs go."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _go_on(self, part: Prepared, s: Snapshot) -> None:
        try:
            if self._running is not None and self._running[0] == (part.number, part.seed):
                self._finish(part, s)
            elif time.monotonic() >= self._again_at:
                self._start(part, s)
        except (FedvolError, OSError) as error:  # a full disk may pass, as a silent endpoint may
            self._again_at = time.monotonic() + PATIENCE
            log.error("cannot prove", number=part.number, why=str(error))

    def _start(self, part: Prepared, s: Snapshot) -> None:
        claim, inputs = self.to_prove(part, s)
        program = self.terms.kind.name.lower()
        log.info("proving", number=part.number, what=program, string=self.backend.string.name)
        task = self._workers.submit(make, self.backend, program, inputs)
        self._running = (part.number, part.seed), claim, task

    def _finish(self, part: Prepared, s: Snapshot) -> None:
        _, claim, proof = self._running
        if not proof.done():
            return
        self._running = None
        made = proof.result()
        proven = replace(claim, evidence=claim.evidence.proven(made.proof))
        # What a stale circuit or another reference string made, peers would refuse: that costs more than silence.
        why = refusal(self._client, proven, s.block)
        if why is not None:
            raise ProofError(f"The chain refuses this node's own proof: {why}.", "Are circuits and `bb` up to date?")
        self._journal.keep_evidence(part.number, part.seed, proven.evidence.encoded())
        log.info("proven", number=part.number, seconds=round(made.seconds, 1), megabytes=made.peak_memory >> 20)

    def to_prove(self, part: Prepared, s: Snapshot) -> tuple[Claim, Inputs]:
        """What a proof completes, and the inputs of the circuit that makes it. The commit is mined.

        Raises:
            ProofError: what the node committed to is not here any more.
        """
        masks, peers = self._journal.masks(part.number, part.seed), self._veil.peers(s)
        bound_to = self.promises.binding(s) if self.promises else None
        if masks is None or peers.secret is None or (self.promises and bound_to is None):
            raise ProofError(
                "The secrets of this round's update are not here any more.", "Was an older data folder restored?"
            )
        if self.promises is None:
            before = Pledge()
            bare = unmasked(part.data, masks.self_key, masks.pair_keys, masks.place)
            hidden = of_lanes(*(lanes.tolist() for lanes in unpack_weighted(bare, self._dimension)))
        else:
            before, rows = bound_to
            opened_at = s.proposal.opened_at
            start = start_of(self._client, part.version, opened_at, s.block)
            hidden = of_rows(rows.slots, rows.salt, self._step(rows, start, opened_at, s).moves)
        pairs = tuple(bytes(32) if j == masks.place else key_hash(key) for j, key in enumerate(masks.pair_keys))
        evidence = Evidence(b"", key_hash(masks.self_key), pairs, peers.nodes, before)
        bound = annex(masks.self_key, masks.pair_keys, masks.place)
        claim = Claim(peers.nodes[masks.place], bound, part.data, evidence)
        return claim, named(public_inputs(self._client, claim, s.block), peers.secret, masks.self_key, hidden)


def what_is_asked(client: FederationClient, is_private: bool) -> Terms | None:
    """What the federation asks to be proven, of a node that trains with noise or without; None where of nothing.

    Raises:
        ConfigError: the two do not go together; or a public chain's verifier stands on a string whose secret everybody
            knows.
    """
    terms = terms_of(client)
    if terms is not None and client.deployment.chain_id not in LOCAL_CHAINS:
        require_public(terms.verifier, bytes(call_rpc(lambda: client.web3.eth.get_code(terms.verifier))))
    if terms is not None and terms.kind == Kind.TRAINED and is_private:
        raise ConfigError(
            "This federation has its training proven, and that has no noise in it.",
            "Leave out [privacy], or join a federation whose proofs are of kind bounded.",
        )
    return terms
