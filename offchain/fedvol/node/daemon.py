"""One participant: reads the chain at one block, decides, acts only where the act is missing, and sleeps.

What must survive lies in the journal and on the chain: a process that is killed anywhere and started again goes on.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import structlog
from eth_account.signers.local import LocalAccount
from web3.contract.contract import ContractFunction
from web3.exceptions import Web3Exception

from fedvol.chain.client import connect
from fedvol.chain.deployment import Deployment
from fedvol.chain.federation import FederationClient, Phase, Snapshot
from fedvol.chain.outbox import FeesTooHigh, NoFunds, Outbox, Reverted, Unmined, WouldRevert, call_rpc
from fedvol.errors import ChainError, ConfigError, FedvolError, StorageError
from fedvol.node.config import NodeConfig
from fedvol.node.decide import COMMITTED as BALLOT_COMMITTED
from fedvol.node.decide import Act, Action, Roles, View, decide
from fedvol.node.journal import COMMITTED, REVEALED, Journal, Owner, Prepared, open_journal
from fedvol.node.keystore import load, round_secret
from fedvol.node.proposer import NothingToPropose, combine
from fedvol.node.trainer import Trainer
from fedvol.protocol.commitment import NO_ANNEX, RoundId, commitment
from fedvol.protocol.vector import content_id
from fedvol.storage import Storage, open_storage

log = structlog.get_logger()

LONGEST_BACKOFF = 10
"""Polls between two tries while something fails."""

GRACE = 15.0
"""Seconds for which a stopping node goes on waiting for the transaction it has just sent."""


class Stopping(Exception):
    """The node was told to stop while its transaction waits; the journal holds it."""


class Node:
    """One member of one federation. `cycle` is all it does; `run` repeats it."""

    def __init__(
        self,
        config: NodeConfig,
        client: FederationClient,
        account: LocalAccount,
        journal: Journal,
        storage: Storage,
        trainer: Trainer,
    ) -> None:
        self._config = config
        self._client = client
        self._account = account
        self._journal = journal
        self._storage = storage
        self._trainer = trainer
        self._roles = Roles(
            join=config.join,
            propose=config.propose,
            keeper=config.keeper,
            stagger=2 * config.poll_seconds,
        )
        self._outbox = Outbox(
            client.web3,
            account,
            journal,
            max_fee_wei=int(config.max_fee_gwei * 1e9),
            poll=min(config.poll_seconds, 1.0),
            sleep=self._rest,
        )
        self._stop = threading.Event()
        self._stopped_at = 0.0
        self._standing: tuple[object, ...] = ()
        self._standing_since = 0
        self._unreportable: set[tuple[int, str]] = set()

    # ------------------------------------------------------------------ the loop

    def run(self, rounds: int | None = None) -> None:
        """Cycles until it is told to stop, or `rounds` versions have been published since it started.

        Raises:
            FedvolError: what will not pass by itself.
        """
        last = self._client.snapshot().version + rounds if rounds is not None else None
        failures = 0
        while not self._stop.is_set():
            try:
                snapshot = self.cycle()
                failures = 0
            except FedvolError as error:
                if not passes(error):
                    raise
                failures += 1
                log.warning("goes on", after=type(error).__name__, why=error.message)
                self._stop.wait(self._config.poll_seconds * min(failures, LONGEST_BACKOFF))
                continue
            except Stopping:
                break
            if last is not None and snapshot.version >= last:
                log.info("done", version=snapshot.version)
                return
            self._stop.wait(self._config.poll_seconds)
        log.info("stopped")

    def stop(self) -> None:
        """Ends `run` after the current act."""
        self._stopped_at = time.monotonic()
        self._stop.set()

    def cycle(self) -> Snapshot:
        """One look, and at most one act. Returns what was seen."""
        snapshot = self._client.snapshot(self._account.address)
        action = decide(snapshot, self._view(snapshot), self._roles)
        if action is not None:
            self._do(action, snapshot)
        return snapshot

    def _rest(self, seconds: float) -> None:
        if self._stop.is_set() and time.monotonic() - self._stopped_at > GRACE:
            raise Stopping
        time.sleep(seconds)

    # ------------------------------------------------------------------ what else a decision needs

    def _view(self, s: Snapshot) -> View:
        standing = (s.clock.number, s.phase, s.clock.stage, s.proposal.seed_block, s.version)
        if standing != self._standing:
            self._standing, self._standing_since = standing, s.time
            log.info("round", number=s.clock.number, phase=s.phase.name.lower(), version=s.version, block=s.block)
        can_reveal = self._journal.prepared(s.clock.number, s.clock.seed) is not None
        if s.phase == Phase.REVEAL and not can_reveal and self._is_committed(s):
            log.error("cannot reveal", number=s.clock.number, why="this journal does not hold the round's salt")
        return View(can_reveal, s.time - self._standing_since, self._silent(s))

    def _is_committed(self, s: Snapshot) -> bool:
        return s.node.ballot_round == s.clock.number and s.node.ballot_state == BALLOT_COMMITTED

    def _silent(self, s: Snapshot) -> tuple[str, ...]:
        """Others that can be reported: reading all ballots costs, so only where somebody must be silent."""
        over = s.phase in (Phase.PROPOSE, Phase.CHALLENGE, Phase.FINAL, Phase.VOID)
        asked = s.clock.committed >= s.clock.quorum
        if not (self._roles.keeper and over and asked and s.clock.revealed < s.clock.committed):
            return ()
        return tuple(
            member.address
            for member in self._client.members(s)
            if member.ballot_round == s.clock.number
            and member.ballot_state == BALLOT_COMMITTED
            and member.address != self._account.address
            and (s.clock.number, member.address) not in self._unreportable
        )

    # ------------------------------------------------------------------ acts

    def _do(self, action: Action, s: Snapshot) -> None:
        federation, number = self._client.federation.functions, s.clock.number
        match action.act:
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
            case Act.PROPOSE:
                self._propose(s)
            case Act.PUBLISH:
                self._publish(s)
            case Act.REPORT:
                self._report(action.node, s)

    def _send(self, purpose: str, call: ContractFunction, s: Snapshot) -> None:
        receipt = self._outbox.deliver(purpose, call, s.block)
        log.info(purpose.split(":")[0], number=s.clock.number, block=receipt["blockNumber"], gas=receipt["gasUsed"])

    def _join(self, s: Snapshot) -> None:
        least, node = s.params["bond"], s.node
        bond = self._config.bond or least
        if bond < least:
            raise ConfigError(f"A bond of {bond} is below the federation's {least}.", "Raise bond, or leave it out.")
        amount = max(bond - node.bond, 1)  # what a former member has not withdrawn counts
        if node.tokens < amount:
            raise NoFunds(
                f"{node.address} holds {node.tokens} smallest units of the bond token and must bond {amount}.",
                f"Send it some; the token is at {self._client.token.address}.",
            )
        token, vault = self._client.token.functions, self._client.vault.address
        allowed = call_rpc(lambda: token.allowance(node.address, vault).call(block_identifier=s.block))
        if allowed < amount:
            self._send(f"approve:{s.clock.number}:{amount}", token.approve(vault, amount), s)
        self._send(f"join:{s.clock.number}", self._client.federation.functions.join(amount), s)

    def _commit(self, s: Snapshot) -> None:
        self._storage.check()  # a commit that cannot be pinned at reveal costs a penalty
        part = self._prepare(s)
        self._send(_of_round("commit", s), self._client.federation.functions.commit(part.commitment), s)
        self._journal.advance(part.number, part.seed, COMMITTED)

    def _prepare(self, s: Snapshot) -> Prepared:
        """This round's update: trained once, and from then on what the journal holds."""
        number, seed = s.clock.number, s.clock.seed
        known = self._journal.prepared(number, seed)
        if known is not None:
            return known
        where = RoundId(self._client.deployment.chain_id, self._client.federation.address, number, seed)
        started = time.monotonic()
        data = self._trainer.update(
            self._client.model(s.version, s.block),
            s.params["clamp"],
            round_secret(self._account, repr(where).encode()),
        )
        salt = secrets.token_bytes(32)
        bound = commitment(where, self._account.address, content_id(data), salt)
        log.info("trained", number=number, rows=len(self._trainer.rows()), seconds=round(time.monotonic() - started, 2))
        return self._journal.prepare(Prepared(number, seed, s.version, data, salt, bound))

    def _reveal(self, s: Snapshot) -> None:
        part = self._journal.prepared(s.clock.number, s.clock.seed)
        # Not before now: bytes that others could fetch while commits are open could be copied.
        self._storage.put(part.data)
        call = self._client.federation.functions.reveal(part.content_id, NO_ANNEX, part.salt)
        self._send(_of_round("reveal", s), call, s)
        self._journal.advance(part.number, part.seed, REVEALED)

    def _propose(self, s: Snapshot) -> None:
        reveals = self._client.reveals(s.clock.number, s.block - self._config.confirmations)
        if len(reveals) != s.clock.revealed:
            return  # the last of them is not deep enough yet
        model = combine(
            self._client.model(s.version, s.block),
            reveals,
            self._storage,
            dimension=self._trainer.spec.dimension,
            clamp=s.params["clamp"],
            step=s.params["step"],
        )
        self._storage.put(model)
        self._send(_of_round("propose", s), self._client.federation.functions.propose(model), s)

    def _publish(self, s: Snapshot) -> None:
        model = self._client.proposed_model(s.clock.number, s.block)
        if model is None or content_id(model) != s.proposal.content_id:
            raise Unmined(
                f"The proposal of round {s.clock.number} is not in the events yet.", "Wait for the RPC endpoint."
            )
        self._send(_of_round("publish", s), self._client.federation.functions.publish(model), s)

    def _report(self, node: str, s: Snapshot) -> None:
        try:
            self._send(f"report:{s.clock.number}:{node}", self._client.federation.functions.reportSilence(node), s)
        except (WouldRevert, Reverted):
            self._unreportable.add((s.clock.number, node))
            raise


def passes(error: FedvolError) -> bool:
    """Whether waiting may mend it. What is not on this list ends the process."""
    if isinstance(error, StorageError | WouldRevert | Reverted | Unmined | FeesTooHigh | NothingToPropose):
        return True
    return isinstance(error, ChainError) and isinstance(
        error.__cause__, requests.RequestException | Web3Exception | OSError
    )


@contextmanager
def open_node(config: NodeConfig) -> Iterator[Node]:
    """Checks all that the node needs, and holds its data folder.

    Raises:
        FedvolError: what is missing or wrong, before anything was sent.
    """
    account = load(config.keystore, config.password())
    deployment = Deployment.load(config.deployments, config.federation)
    if config.chain_id not in (None, deployment.chain_id):
        raise ConfigError(
            f"{config.deployments} is for chain {deployment.chain_id}, and chain_id says {config.chain_id}.",
            "Name the deployment file of the right chain.",
        )
    client = FederationClient(connect(config.rpc, deployment.chain_id), deployment)
    client.check()
    with open_journal(
        config.data_dir, Owner(deployment.chain_id, client.federation.address, account.address)
    ) as journal:
        storage = open_storage(config.storage)
        storage.check()
        trainer = Trainer(
            deployment.spec,
            config.tape,
            config.training,
            desk_column=config.desk_column,
            desk=config.desk,
            hours=config.window_hours,
            holdout=config.holdout,
        )
        dimension = call_rpc(lambda: client.registry.functions.dimension().call())
        if dimension != trainer.spec.dimension:
            raise ConfigError(
                f"The chain's model has {dimension} weights, the deployment file's {trainer.spec.dimension}.",
                "Get the deployment file again from whoever deployed.",
            )
        log.info(
            "node",
            account=account.address,
            federation=deployment.name,
            chain=deployment.chain_id,
            storage=storage.describe(),
            rows=len(trainer.rows()),
        )
        if not client.snapshot(account.address).node.balance_wei:
            raise NoFunds(f"{account.address} holds no ETH on chain {deployment.chain_id}.", "Send it some for gas.")
        yield Node(config, client, account, journal, storage, trainer)


def run(config: NodeConfig, rounds: int | None = None) -> None:
    """Runs the daemon until SIGTERM or SIGINT, or for some published rounds. A second signal kills it at once."""
    with open_node(config) as node:

        def stop(number: int, _: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            node.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        node.run(rounds)


def _of_round(act: str, s: Snapshot) -> str:
    return f"{act}:{s.clock.number}:{s.clock.seed:016x}"
