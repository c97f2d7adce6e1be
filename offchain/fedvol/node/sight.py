"""What a node finds out before it decides: from chain, storage and journal, and no more than the phase asks for."""

from __future__ import annotations

import structlog

from fedvol.chain.deployment import NOWHERE
from fedvol.chain.federation import (
    ANSWERED,
    COMMITTED,
    DEMANDED,
    REVEALED,
    VEILED,
    FederationClient,
    Phase,
    Snapshot,
)  # fmt: skip
from fedvol.chain.outbox import call_rpc
from fedvol.chain.versions import Version, read_version
from fedvol.errors import ConfigError
from fedvol.node.attest import Attest
from fedvol.node.budget import Budget
from fedvol.node.decide import Act, Action, Roles, View
from fedvol.node.faults import Faults
from fedvol.node.journal import Journal, Prepared
from fedvol.node.pins import Pins
from fedvol.node.rounds import Bytes
from fedvol.node.veil import Veil
from fedvol.node.watchtower import Found, Verdict, Watchtower

log = structlog.get_logger()

CLAIM_GAS = 60_000
"""What a claim costs; wei worth less than it stay where they are."""

_SHARED = (
    Act.ANSWER, Act.DEMAND, Act.DISPUTE, Act.SETTLE, Act.REPORT_ABSENCE, Act.REPORT_SILENCE, Act.REPORT_UNANSWERED,
    Act.REPORT_VEILED, Act.REPORT_VOID, Act.CLAIM_TOKENS, Act.CLAIM_ETH, Act.TOP_UP, Act.REGISTER_KEY, Act.PLEDGE,
    Act.SETTLE_EXITS,
)  # fmt: skip


def shared(action: Action) -> bool:
    """Whether the round goes on where the act fails: somebody else came first, or will come."""
    return action.act in _SHARED


class Sight:
    """The views of one account."""

    def __init__(
        self,
        client: FederationClient,
        account: str,
        journal: Journal,
        source: Bytes,
        watchtower: Watchtower,
        veil: Veil,
        attest: Attest,
        roles: Roles,
        budget: Budget,
        pins: Pins,
        withdrawal: str | None,
    ) -> None:
        self.pins = pins
        self.veil = veil
        self.attest = attest
        self.bytes = source
        self.answers: dict[str, Found] = {}
        self._client = client
        self._account = account
        self._journal = journal
        self._watchtower = watchtower
        self._roles = roles
        self._budget = budget
        self._withdrawal = withdrawal
        self._is_named = False
        self._version: tuple[tuple[int, int, int], Version] | None = None
        self._faults = Faults(client, account)
        self._standing: tuple[object, ...] = ()
        self._standing_since = 0
        self._purse: list[Action] = []
        self._ended: set[tuple[str, int]] = set()
        self._refused: set[tuple[int, int, Action]] = set()

    def view(self, s: Snapshot) -> View:
        """All that `decide` wants to know besides the snapshot."""
        standing = (s.clock.number, s.phase, s.clock.stage, s.proposal.seed_block, s.proposal.failures, s.version)
        if standing != self._standing:
            self._standing, self._standing_since = standing, s.time
            log.info("round", number=s.clock.number, phase=s.phase.name.lower(), version=s.version, block=s.block)
            self._purse = self._to_claim(s)
        part = self._journal.prepared(s.clock.number, s.clock.seed)
        if part is None and s.phase == Phase.REVEAL and _has_committed(s):
            log.error("cannot reveal", number=s.clock.number, why="this journal does not hold the round's salt")
        if part is not None:
            self.bytes.learn(s.clock.number, part.data)  # storage may have lost them
            if _has_revealed(s):
                self.pins.keep(s, lambda: self._kept(s, part))
        missing, holds, watched = (), None, True
        self.answers = {}
        owes = s.node.ballot_round == s.clock.number and s.node.ballot_state == DEMANDED
        # Its own answer comes first: fetching the bytes of others may take a while.
        if self._roles.watchtower and s.phase == Phase.AVAILABILITY and not (owes and part is not None):
            missing, self.answers = self._watchtower.availability(s)
            watched = self._watchtower.is_sure
        if self._roles.watchtower and s.phase == Phase.CHALLENGE:
            verdict = self._watchtower.judge(s)
            watched = verdict is not None and verdict.wrong is None
            holds = None if verdict is None or self._is_refused(_judged(verdict), s) else verdict.wrong is None
        reports = self._faults.due(s) if self._roles.keeper else []
        return View(
            needs_withdrawal=self._needs_withdrawal(s),
            can_open=part is not None and self.attest.is_ready(s),
            needs_key=self.veil.needs_key(s),
            needs_pledge=self.attest.needs_pledge(s) and not self._is_refused(Action(Act.PLEDGE), s),
            can_mask=self.veil.can_mask(s) and self.attest.can_train(s),
            may_open=self.veil.may_open(s),
            can_afford=self._can_afford(s, part is not None),
            waited=s.time - self._standing_since,
            watched=watched and self.pins.settled,
            missing=tuple(n for n in missing if not self._is_refused(Action(Act.DEMAND, n), s)),
            answerable=tuple(n for n in self.answers if not self._is_refused(Action(Act.ANSWER, n), s)),
            holds=holds,
            reports=tuple(action for action in reports if not self._is_refused(action, s)),
            purse=tuple(action for action in self._purse if not self._is_refused(action, s)),
        )

    def owed(self, s: Snapshot, part: Prepared) -> tuple[bytes, ...]:
        """The objects behind this node's reveal of the round. Where updates are proven, the proof is on disk."""
        evidence = self._journal.evidence(part.number, part.seed)
        if self.attest.terms is None or s.roll is None or evidence is None:
            return (part.data,)
        return part.data, evidence, self.attest.pledge(s).preimage

    def _kept(self, s: Snapshot, part: Prepared) -> tuple[bytes, ...]:
        """What this node keeps pinned in the round: the last round's update too, as it may have been away when that was
        lost, and the version in force."""
        last = self._journal.revealed_before(s.clock.number)
        return (*self.owed(s, part), *(() if last is None else (last.data,)), self.version(s).data)

    def version(self, s: Snapshot) -> Version:
        """The version in force, read once a round. All keep it pinned: its proposer's storage may have failed."""
        of = s.version, s.clock.number, s.clock.seed
        if self._version is None or self._version[0] != of:
            self._version = of, read_version(self._client, s.version, s.block)
        return self._version[1]

    def verdict(self, s: Snapshot) -> Verdict:
        """The verdict that the view was made of."""
        verdict = self._watchtower.judge(s)
        assert verdict is not None
        return verdict

    def refuse(self, action: Action, s: Snapshot) -> None:
        """Not to be tried again in this round, unless a proposal is overturned."""
        self._refused.add((s.clock.number, s.proposal.failures, action))

    def tried(self, action: Action) -> None:
        """A claim is due again only when the round has moved."""
        self._purse = [due for due in self._purse if due != action]

    def _needs_withdrawal(self, s: Snapshot) -> bool:
        """Read again until the node has bonded: a reorganisation may undo the naming.

        Raises:
            ConfigError: the chain names another, or it would be the operator's own.
        """
        if self._withdrawal is None or (self._is_named and s.node.status != "none"):
            return False
        if self._withdrawal == self._account:
            raise ConfigError(
                f"withdrawal = {self._withdrawal} is the operator's own address.",
                "Name one whose key does not lie here, or leave it out.",
            )
        named = call_rpc(
            lambda: self._client.vault.functions.withdrawalOf(self._account).call(block_identifier=s.block)
        )
        if named not in (NOWHERE, self._withdrawal):
            raise ConfigError(
                f"The chain says that bond and rewards of {self._account} go to {named}, not to {self._withdrawal}.",
                "If that one is yours, correct `withdrawal`. If not, somebody else has this key: bond nothing with it.",
            )
        self._is_named = named != NOWHERE
        return not self._is_named

    def _can_afford(self, s: Snapshot, trained: bool) -> bool:
        asked = s.phase == Phase.COMMIT and s.node.seat is not None and not _has_committed(s)
        return not asked or self._budget.allows(s.clock.number, s.clock.seed, trained)

    def _is_refused(self, action: Action, s: Snapshot) -> bool:
        return (s.clock.number, s.proposal.failures, action) in self._refused

    def _to_claim(self, s: Snapshot) -> list[Action]:
        """What lies in the contracts for this account: read once between two rounds."""
        if not (s.published or s.phase in (Phase.DRAW, Phase.VOID)):
            return []
        due = [Action(Act.REPORT_UNANSWERED, node) for node in self._abandoned(s)]
        tokens, wei = self._client.claimable(self._account, s.block)
        if tokens:
            due.append(Action(Act.CLAIM_TOKENS))
        if wei and wei > CLAIM_GAS * call_rpc(lambda: self._client.web3.eth.gas_price):
            due.append(Action(Act.CLAIM_ETH))
        return due

    def _abandoned(self, s: Snapshot) -> list[str]:
        """Whose bytes this account demanded in an earlier round that ended with the bond still put up."""
        if s.phase != Phase.DRAW or not self._roles.watchtower:
            return []
        begun = (purpose.split(":") for purpose in self._journal.purposes(Act.DEMAND))
        asked = {(node, int(number)) for _, number, node in begun if int(number) < s.clock.number} - self._ended
        held = self._client.demands({node for node, _ in asked}, s.block)
        self._ended |= {(node, number) for node, number in asked if held[node][:2] != (self._account, number)}
        return [node for node, _ in sorted(asked - self._ended)]


def _has_committed(s: Snapshot) -> bool:
    return s.node.ballot_round == s.clock.number and s.node.ballot_state == COMMITTED


def _has_revealed(s: Snapshot) -> bool:
    return s.node.ballot_round == s.clock.number and s.node.ballot_state in (REVEALED, DEMANDED, ANSWERED, VEILED)


def _judged(verdict: Verdict) -> Action:
    return Action(Act.SETTLE if verdict.wrong is None else Act.DISPUTE)
