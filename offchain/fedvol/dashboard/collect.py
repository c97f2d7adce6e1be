"""The one reader of the chain behind the page: looks for a new block, reads what it changed, puts it on the board."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
import structlog
from web3.exceptions import TransactionNotFound, Web3Exception

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient, Phase, Snapshot
from fedvol.dashboard.board import Board
from fedvol.dashboard.history import History, Incident
from fedvol.dashboard.ledger import Entry, Ledger
from fedvol.dashboard.roster import Roster, clusters
from fedvol.dashboard.surfaces import Surfaces
from fedvol.dashboard.tape import ViewersTape
from fedvol.errors import ChainError, FedvolError

POLL_S = 0.5
OVERLAP = 12
"""Blocks whose events are read again with each new block: a reorganisation may have replaced them."""
BEHIND_LIMIT = 10
"""Looks in a row at an older head until it is believed; an endpoint behind a balancer may lag by a look or two."""
RECEIPTS_A_LOOK = 8
CHECKED = 60
"""Newest versions whose checks are shown."""

log = structlog.get_logger()


class Collector(threading.Thread):
    """Looks until it is stopped. An endpoint that fails leaves the last data up, and says so on the board."""

    def __init__(
        self, client: FederationClient, board: Board, surfaces: Surfaces, tape: ViewersTape | None, poll: float = POLL_S
    ) -> None:
        super().__init__(name="collector", daemon=True)
        self._client, self._board, self._surfaces, self._tape = client, board, surfaces, tape
        self._poll = poll
        self._stopped = threading.Event()
        self._ledger = Ledger(client)
        self._roster = Roster(client)
        self._history = History()
        self._recent: dict[tuple[bytes, tuple[int, int]], None] = {}
        self._head: tuple[int, bytes] = (0, b"")
        self._behind = 0
        self._down_since: int | None = None
        self._newest = 0
        self._edition = 0
        self._last_phase: tuple[int, Phase] = (0, Phase.IDLE)

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            busy = False
            try:
                busy = self.look()
                self._down_since = None
                self._board.publish("link", {"up": True})
            except (FedvolError, Web3Exception, requests.RequestException, OSError) as error:
                self._is_down(
                    error.message
                    if isinstance(error, FedvolError)
                    else f"Could not read the chain: {type(error).__name__}."
                )
            except Exception as error:  # whatever an endpoint answers, the page stays up
                if self._down_since is None:
                    log.error("an answer of the RPC endpoint was not understood", error=repr(error)[:500])
                self._is_down(f"The answer of the RPC endpoint was not understood: {type(error).__name__}.")
            self._stopped.wait(0.02 if busy else self._poll)

    def look(self) -> bool:
        """One look.

        Returns:
            Whether there is more to do at once.

        Raises:
            ChainError: the chain cannot be read.
        """
        with readable("the newest block"):
            head = self._client.web3.eth.get_block("latest")
        number, mark = head["number"], bytes(head["hash"])
        if number < self._head[0]:
            self._behind += 1
            if self._behind < BEHIND_LIMIT:
                return False
            self._start_afresh()
        self._behind = 0
        if (number, mark) != self._head:
            self._read(number)
            self._head = number, mark
            return True
        return self._chores()

    # ------------------------------------------------------------------ a new block

    def _read(self, number: int) -> None:
        seen_ms = int(1000 * time.time())
        s = self._client.snapshot(block=number)
        self._board.publish("head", _head(s, seen_ms))
        if not self._head[0]:
            self._round(s)  # first, so that a page has something to show while years of events are read
            for span in self._ledger.backwards(number):
                self._history.take(span)
                self._recent |= {(e.block_hash, e.place): None for e in span if e.place[0] > number - OVERLAP}
                if self._history.is_long_enough or self._stopped.is_set():
                    break
        elif not self._catch_up(number):
            self._start_afresh()
            return self._read(number)
        self._history.trim()
        self._roster.update(s, self._history.touched)
        self._history.touched = set()
        self._show(s)
        return None

    def _catch_up(self, number: int) -> bool:
        """Takes the events since the last block. Whether what was taken before still stands."""
        first = max(self._client.deployment.block, min(self._head[0], number) - OVERLAP + 1)
        known = {key for key in self._recent if key[1][0] >= first}
        entries: list[Entry] = []
        for start in range(first, number + 1, 1_000):
            entries += self._ledger.read(start, min(number, start + 999))
        found = {(e.block_hash, e.place): e for e in entries}
        if not known <= found.keys():
            return False
        self._history.take([e for key, e in found.items() if key not in known])
        self._recent = dict.fromkeys(key for key in found if key[1][0] > number - OVERLAP)
        return True

    def _start_afresh(self) -> None:
        self._history, self._recent, self._head = History(), {}, (0, b"")
        self._roster.forget()
        self._surfaces.forget()
        self._edition += 1

    def _show(self, s: Snapshot) -> None:
        self._round(s)
        nodes = self._roster.nodes(s, self._history)
        self._board.publish("nodes", nodes)
        self._board.publish("clusters", {"masked": s.roll is not None, "clusters": clusters(s, nodes, self._history)})
        self._board.publish("incidents", [_incident(i) for i in self._history.newest_incidents()])
        self._board.publish("gas", self._history.gas.table())
        self._newest = s.version
        self._show_versions()

    def _round(self, s: Snapshot) -> None:
        if s.phase != Phase.SETTLE:
            self._last_phase = s.clock.number, s.phase
        number, before = self._last_phase
        if number != s.clock.number:
            before = s.clock.stage
        self._board.publish("round", _round(s, before))

    # ------------------------------------------------------------------ what can wait for a quiet look

    def _chores(self) -> bool:
        """A few receipts, or the checks of one version. Whether there is more to do."""
        if self._tape is not None and self._tape.refresh():
            self._surfaces.forget(checks_only=True)
            self._edition += 1
            self._show_versions()
        wanted = self._history.gas.wanted
        for _ in range(min(RECEIPTS_A_LOOK, len(wanted))):
            self._learn_gas(*wanted[-1])
            wanted.pop()
        self._board.publish("gas", self._history.gas.table())
        missing = None
        if self._surfaces.trouble is None:
            missing = next((v for v in self._shown_versions() if not self._surfaces.is_checked(v)), None)
        if missing is not None:
            self._surfaces.check(missing)
            self._show_versions()
        return bool(wanted) or missing is not None

    def _learn_gas(self, transaction: str, kind: str) -> None:
        try:
            with readable("a receipt"):
                receipt = self._client.web3.eth.get_transaction_receipt(transaction)
        except ChainError as error:
            if isinstance(error.__cause__, TransactionNotFound):
                return  # an endpoint that has forgotten old ones
            raise
        if receipt["to"] in self._ledger.addresses:
            self._history.gas.learn(kind, receipt["gasUsed"])

    def _shown_versions(self) -> range:
        """Newest first."""
        return range(self._newest, max(0, self._newest - CHECKED), -1)

    def _show_versions(self) -> None:
        self._board.publish(
            "versions",
            {
                "newest": self._newest,
                "edition": self._edition,
                "trouble": self._surfaces.trouble,
                "tape_trouble": self._tape.trouble if self._tape else None,
                "checks": self._surfaces.checked()[-CHECKED:],
            },
        )

    def _is_down(self, why: str) -> None:
        if self._down_since is None:
            self._down_since = int(1000 * time.time())
        self._board.publish("link", {"up": False, "since_ms": self._down_since, "why": why})


def _head(s: Snapshot, seen_ms: int) -> dict[str, Any]:
    return {"block": s.block, "time": s.time, "seen_ms": seen_ms}


def _round(s: Snapshot, before: Phase) -> dict[str, Any]:
    """`before`: the phase before a gap of finality, where the round stands in one."""
    clock, masked = s.clock, s.roll is not None
    phases = [Phase.DRAW, Phase.COMMIT, Phase.REVEAL, Phase.AVAILABILITY, Phase.UNMASK, Phase.PROPOSE, Phase.CHALLENGE]
    return {
        "number": clock.number,
        "phase": s.phase.name.lower(),
        "before": before.name.lower(),
        "phases": [p.name.lower() for p in phases if masked or p != Phase.UNMASK] + ["final"],
        "ends_at": s.ends_at,
        "next_opening": s.next_opening,
        "is_published": s.published,
        "masked": masked,
        "selected": clock.selected,
        "quorum": clock.quorum,
        "committed": clock.committed,
        "revealed": clock.revealed,
        "unmasked": sum(not s.roll.is_veiled(place) for place in range(clock.selected)) if s.roll else None,
        "demands": clock.demands,
        "failures": s.proposal.failures,
        "proposer": s.proposal.proposer if int(s.proposal.proposer, 16) else None,
        "members": s.members,
        "joining": s.joining,
        "version": s.version,
        "published_at": s.published_at,
    }


def _incident(i: Incident) -> dict[str, Any]:
    taken = None if i.taken is None else i.taken / 1e18
    return {
        "block": i.place[0],
        "round": i.round,
        "what": i.what,
        "node": i.node,
        "by": i.by,
        "taken": taken,
        "transaction": i.transaction,
    }
