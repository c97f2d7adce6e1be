"""How a node acts: from a decision to the one transaction it takes, with what must be on disk first."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog
from eth_account.signers.local import LocalAccount
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD
from web3.types import TxReceipt

from fedvol.chain.federation import FederationClient, Phase, Snapshot
from fedvol.chain.outbox import (
    GAS_HEADROOM,
    MOST_GAS,
    NoFunds,
    Outbox,
    Reverted,
    Unmined,
    WouldRevert,
    call_rpc,
    ether,
    explain_revert,
)
from fedvol.chain.stake import read_stake
from fedvol.chain.versions import moves
from fedvol.errors import ChainError, ConfigError, StorageError
from fedvol.learning.model import Before, Opening
from fedvol.node import metrics
from fedvol.node.budget import Budget
from fedvol.node.config import NodeConfig
from fedvol.node.decide import Act, Action, bond_to_propose
from fedvol.node.journal import COMMITTED, REVEALED, Journal, Masks, Prepared
from fedvol.node.keystore import round_secret
from fedvol.node.rounds import NotDeepEnough, aggregate_now, patience
from fedvol.node.sight import Sight, shared
from fedvol.node.workshop import Workshop
from fedvol.protocol.commitment import NO_ANNEX, RoundId, commitment
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.mask import annex, mask, opening
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import WORD_BYTES, content_id, unpack_model
from fedvol.storage import Storage

EXITS_AT_ONCE = 8

log = structlog.get_logger()


class Acts:
    """The transactions of one account in one federation.

    Args:
        may_send: is asked for each purpose before it is sent, and raises where it must not be.
    """

    def __init__(
        self,
        config: NodeConfig,
        client: FederationClient,
        account: LocalAccount,
        journal: Journal,
        storage: Storage,
        trainer: Workshop,
        outbox: Outbox,
        sight: Sight,
        budget: Budget,
        may_send: Callable[[str], None] = lambda purpose: None,
    ) -> None:
        self._config = config
        self._client = client
        self._account = account
        self._journal = journal
        self._storage = storage
        self._trainer = trainer
        self._outbox = outbox
        self._sight = sight
        self._budget = budget
        self._may_send = may_send

    def do(self, action: Action, s: Snapshot) -> None:
        """Has the act mined.

        Raises:
            FedvolError: it could not be; what others can do as well is then not tried again in this round.
        """
        self._sight.tried(action)
        try:
            with metrics.failures_counted(action.act):
                self._do(action, s)
        except (WouldRevert, Reverted, NoFunds) as error:
            if not shared(action):
                raise
            self._sight.refuse(action, s)
            log.info("left to others", act=str(action.act), number=s.clock.number, node=action.node, why=error.message)

    def _do(self, action: Action, s: Snapshot) -> None:
        federation, duties = self._client.federation.functions, self._client.duties.functions
        number, node = s.clock.number, action.node
        match action.act:
            case Act.NAME_WITHDRAWAL:
                to = self._config.withdrawal
                self._send(f"name-withdrawal:{to}", self._client.vault.functions.nameWithdrawal(to), s, to=to)
            case Act.REGISTER_KEY:
                self._register_key(s)
            case Act.PLEDGE:
                pledge = self._sight.attest.promises.alone(s)  # no proof hangs on it yet: nobody fetches its preimage
                self._send(f"pledge:{number}:{pledge.digest.hex()[:16]}", federation.pledge(pledge.digest), s)
            case Act.JOIN:
                self._join(s)
            case Act.OPEN:
                self._send(f"open:{number + 1}", federation.open(), s)
            case Act.DRAW:
                self._send(f"draw:{number}:{s.proposal.seed_block}", federation.draw(), s)
            case Act.COMMIT:
                self._commit(s)
            case Act.REVEAL:
                self._reveal(s)
            case Act.UNMASK:
                self._unmask(s)
            case Act.ANSWER:
                self._answer(node, s)
            case Act.DEMAND:
                self._send(_about("demand", s, node), duties.demand(node), s, s.params["demandBond"], node=node)
            case Act.PROPOSE:
                self._propose(s)
            case Act.DISPUTE:
                self._dispute(s)
            case Act.SETTLE:
                self._settle(s)
            case Act.PUBLISH:
                self._publish(s)
            case Act.SETTLE_EXITS:
                self._send(f"settle-exits:{number}:{s.block}", federation.settleExits(EXITS_AT_ONCE), s)
            case Act.REPORT_ABSENCE:
                self._report("AbsenceReported", _about("report-absence", s, node), duties.reportAbsence(node), s)
            case Act.REPORT_SILENCE:
                self._report("SilenceReported", _about("report-silence", s, node), duties.reportSilence(node), s)
            case Act.REPORT_UNANSWERED:
                call = duties.reportUnanswered(node)
                self._report("UnansweredReported", _about("report-unanswered", s, node), call, s)
            case Act.REPORT_VEILED:
                self._report("VeiledReported", _about("report-veiled", s, node), duties.reportVeiled(node), s)
            case Act.REPORT_VOID:
                self._send(_about("report-void", s, node), duties.reportVoid(node), s, node=node)
            case Act.CLAIM_TOKENS:
                call = self._client.vault.functions.claim(self._account.address)
                paid = _event(self._client.vault, "Claimed", self._send(f"claim-tokens:{number}:{s.block}", call, s))
                # With a withdrawal address they are not the node's own: it cannot top up from them.
                log.info("earned", tokens=ether(paid["amount"]), to=paid["to"])
            case Act.CLAIM_ETH:
                receipt = self._send(f"claim-eth:{number}:{s.block}", duties.claim(), s)
                log.info("earned", eth=ether(_event(self._client.duties, "Claimed", receipt)["amount"]))
            case Act.TOP_UP:
                self._top_up(s)

    def _send(self, purpose: str, call: ContractFunction, s: Snapshot, value: int = 0, **facts: Any) -> TxReceipt:
        self._may_send(purpose)
        receipt = self._outbox.deliver(purpose, call, s.block, value, s.node.balance_wei)
        metrics.mined(purpose.split(":")[0], receipt, s)
        facts |= {"number": s.clock.number, "block": receipt["blockNumber"], "gas": receipt["gasUsed"]}
        log.info(purpose.split(":")[0], **facts)
        return receipt

    # ------------------------------------------------------------------ the bond

    def _join(self, s: Snapshot) -> None:
        least, node = s.params["bond"], s.node
        bond = self._config.bond or least
        if bond < least:
            raise ConfigError(f"A bond of {bond} is below the federation's {least}.", "Raise bond, or leave it out.")
        stake = read_stake(self._client, node.address, s.block)
        if stake.retired:
            raise ConfigError(
                f"The key of {node.address} was retired by {stake.payee}, and can join no more.",
                "Run the node of the key that follows it; or set join = false, to watch only.",
            )
        # What a former member has not withdrawn counts, and what others have added in advance.
        amount = max(bond - node.bond, 0)
        if node.tokens < amount:
            raise NoFunds(
                f"{node.address} holds {node.tokens} smallest units of the bond token and must bond {amount}.",
                f"Send it some, or `fedvol stake add` to its bond; the token is at {self._client.token.address}.",
            )
        self._approve(amount, s)
        self._send(f"join:{s.clock.number}", self._client.federation.functions.join(amount), s)

    def _top_up(self, s: Snapshot) -> None:
        needed = bond_to_propose(s) if s.phase == Phase.PROPOSE else s.params["bond"]
        amount = min(needed - s.node.bond, s.node.tokens)
        self._approve(amount, s)
        purpose = f"top-up:{s.clock.number}:{s.node.bond}"
        self._send(purpose, self._client.vault.functions.fund(s.node.address, amount), s, tokens=ether(amount))

    def _approve(self, amount: int, s: Snapshot) -> None:
        token, vault = self._client.token.functions, self._client.vault.address
        allowed = call_rpc(lambda: token.allowance(s.node.address, vault).call(block_identifier=s.block))
        if allowed < amount:
            self._send(f"approve:{s.clock.number}:{amount}", token.approve(vault, amount), s)

    def _register_key(self, s: Snapshot) -> None:
        point = self._sight.veil.new_key(s)
        purpose = f"register-key:{s.clock.number}:{point[0]:x}"
        self._send(purpose, self._client.keyring.functions.register(*point), s)
        self._sight.veil.forget(s, point)

    # ------------------------------------------------------------------ the node's own vector

    def _commit(self, s: Snapshot) -> None:
        self._storage.check()  # a commit that cannot be pinned at reveal costs a penalty
        part = self.prepare(s)
        self._send(_of_round("commit", s), self._client.federation.functions.commit(part.commitment), s)
        self._journal.advance(part.number, part.seed, COMMITTED)

    def prepare(self, s: Snapshot) -> Prepared:
        """This round's update: trained once, and from then on what the journal holds."""
        number, seed = s.clock.number, s.clock.seed
        known = self._journal.prepared(number, seed)
        if known is not None:
            return known
        where = RoundId(self._client.deployment.chain_id, self._client.federation.address, number, seed)
        masks = self._sight.veil.masks(s) if s.roll is not None else None
        started = time.monotonic()
        self._budget.charge(number, seed)
        start, opening_ = self._opening(s)
        attest, secret = self._sight.attest, round_secret(self._account, repr(where).encode())
        data = attest.trained(start, opening_.as_of, s) or self._trainer.update(
            start, opening_, Rule.from_params(s.params), secret, attest.norm
        )
        if masks is not None:
            data = mask(data, masks.self_key, masks.pair_keys, masks.place)
        salt = secrets.token_bytes(32)
        bound = commitment(where, self._account.address, content_id(data), salt, _annex(masks))
        seconds = time.monotonic() - started
        metrics.TRAINING.observe(seconds)
        log.info("trained", number=number, rows=self._trainer.count(), seconds=round(seconds, 2))
        return self._journal.prepare(Prepared(number, seed, s.version, data, salt, bound))

    def _opening(self, s: Snapshot) -> tuple[bytes, Opening]:
        """What the round starts from."""
        opened_at, spec = s.proposal.opened_at, self._trainer.spec
        version = self._sight.version(s)
        weights = spec.to_float(unpack_model(version.data, spec.dimension))
        before = Before(weights, version.as_of, np.array(moves(self._client, s.version, s.block)))
        return version.carried(opened_at), Opening(opened_at, before)

    def _reveal(self, s: Snapshot) -> None:
        part = self._journal.prepared(s.clock.number, s.clock.seed)
        try:
            # Not before now: bytes that others could fetch while commits are open could be copied.
            self._sight.pins.put(self._sight.owed(s, part), patience(s))
        except StorageError as error:
            if s.time < s.ends_at - s.clock.reveal_window / 2:
                raise
            # Silence costs more: what is demanded is answered from the journal, and pinned when storage is back.
            log.warning("reveals unpinned", number=part.number, why=error.message)
        shown = _annex(self._journal.masks(part.number, part.seed))
        call = self._client.federation.functions.reveal(part.content_id, shown, part.salt, self._pledge(s))
        self._send(_of_round("reveal", s), call, s)
        self._journal.advance(part.number, part.seed, REVEALED)

    def _pledge(self, s: Snapshot) -> bytes:
        """What the reveal carries of the proof, pinned with it."""
        if self._sight.attest.terms is None or s.roll is None:
            return NO_PLEDGE
        return self._sight.attest.pledge(s).digest

    def _unmask(self, s: Snapshot) -> None:
        part, masks = (read(s.clock.number, s.clock.seed) for read in (self._journal.prepared, self._journal.masks))
        self._journal.open_for(part.number, part.seed, s.roll.missing)
        keys = opening(masks.self_key, masks.pair_keys, masks.place, s.roll.missing_in(s.node.seat // s.roll.m))
        call = self._client.federation.functions.unmask(s.roll.missing, part.content_id, part.salt, keys)
        missing = s.roll.m - len(s.roll.survivors(s.node.seat // s.roll.m))
        self._send(f"{_of_round('unmask', s)}:{s.roll.missing:x}", call, s, missing=missing)

    def _answer(self, node: str, s: Snapshot) -> None:
        if node == self._account.address:
            part = self._journal.prepared(s.clock.number, s.clock.seed)
            shown, salt, data = _annex(self._journal.masks(part.number, part.seed)), part.salt, part.data
            evidence = self._journal.evidence(part.number, part.seed) or b""
        else:
            found = self._sight.answers[node]
            shown, salt, data, evidence = found.reveal.annex, found.reveal.salt, found.data, found.evidence
        call = self._client.duties.functions.answer(node, shown, salt, data, evidence)
        receipt = self._send(_about("answer", s, node), call, s, node=node)
        refund = _event(self._client.duties, "Answered", receipt)["refund"]
        log.info("answered", number=s.clock.number, node=node, refund=ether(refund))

    # ------------------------------------------------------------------ the new model

    def _propose(self, s: Snapshot) -> None:
        spec, depth = self._trainer.spec, self._config.confirmations
        try:
            right = aggregate_now(self._client, self._sight.bytes, s, spec.dimension, depth)
        except NotDeepEnough:
            return
        try:
            self._sight.pins.put([right.model], patience(s))
        except StorageError as error:  # its bytes are in the proposal, too
            log.warning("proposes unpinned", number=s.clock.number, why=error.message)
        purpose = f"{_of_round('propose', s)}:{s.proposal.failures}"
        self._send(purpose, self._client.federation.functions.propose(right.model, right.voids), s)

    def _dispute(self, s: Snapshot) -> None:
        case = self._sight.verdict(s)
        call = self._client.settlement.functions.dispute(case.proposed, case.aggregate.calldata, case.wrong, 1)
        receipt = self._send(f"{_of_round('dispute', s)}:{s.proposal.failures}", call, s, word=case.wrong)
        taken = _event(self._client.settlement, "Disproved", receipt)["taken"]
        log.info(
            "dispute won", number=s.clock.number, proposer=s.proposal.proposer,
            slashed=ether(taken), earned=ether(taken // 2),
        )  # fmt: skip

    def _settle(self, s: Snapshot) -> None:
        case = self._sight.verdict(s)
        done = self._client.settled_words(s.block)
        words = len(case.proposed) // WORD_BYTES - done
        settle = self._client.settlement.functions.settle
        while words > 1 and not self._fits(settle(case.proposed, case.aggregate.calldata, words)):
            words = -(-words // 2)
        purpose = f"{_of_round('settle', s)}:{s.proposal.failures}:{done}"
        self._send(purpose, settle(case.proposed, case.aggregate.calldata, words), s, words=done + words)

    def _fits(self, call: ContractFunction) -> bool:
        """Whether one transaction can carry the call; another refusal of the contract is the outbox's to say."""
        try:
            gas = call_rpc(lambda: call.estimate_gas({"from": self._account.address, "gas": MOST_GAS}))
        except ContractLogicError as error:
            return bool(explain_revert(error)[0])
        except ChainError:
            return False
        return gas * GAS_HEADROOM <= MOST_GAS

    def _publish(self, s: Snapshot) -> None:
        model = self._client.proposed_model(s.clock.number, s.block)
        if model is None or content_id(model) != s.proposal.content_id:
            raise Unmined(
                f"The proposal of round {s.clock.number} is not in the events yet.", "Wait for the RPC endpoint."
            )
        self._send(_of_round("publish", s), self._client.federation.functions.publish(model), s)

    def _report(self, event: str, purpose: str, call: ContractFunction, s: Snapshot) -> None:
        found = _event(self._client.duties, event, self._send(purpose, call, s))
        fault, taken = event.removesuffix("Reported").lower(), ether(found["taken"])
        log.info("reported", number=s.clock.number, fault=fault, node=found["node"], taken=taken)


def _annex(masks: Masks | None) -> bytes:
    return NO_ANNEX if masks is None else annex(masks.self_key, masks.pair_keys, masks.place)


def _of_round(act: str, s: Snapshot) -> str:
    return f"{act}:{s.clock.number}:{s.clock.seed:016x}"


def _about(act: str, s: Snapshot, node: str) -> str:
    return f"{act}:{s.clock.number}:{node}"


def _event(contract: Contract, name: str, receipt: TxReceipt) -> Any:
    """Arguments of the one event of this name that a call of ours made."""
    logs = getattr(contract.events, name)().process_receipt(receipt, errors=DISCARD)
    return next(entry["args"] for entry in logs if entry["address"] == contract.address)
