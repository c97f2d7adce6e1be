"""One participant: reads the chain at one block, decides, acts only where the act is missing, and sleeps.

What must survive lies in the journal and on the chain: a process that is killed anywhere and started again goes on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import rmtree

import requests
import structlog
from eth_account.signers.local import LocalAccount
from web3.exceptions import Web3Exception

from fedvol.chain.client import connect
from fedvol.chain.deployment import Deployment
from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.chain.outbox import FeesTooHigh, NoFunds, Outbox, Reverted, Unmined, WouldRevert, call_rpc
from fedvol.errors import ChainError, ConfigError, FedvolError, StorageError
from fedvol.node.acts import Acts
from fedvol.node.attest import Attest
from fedvol.node.budget import Budget
from fedvol.node.config import NodeConfig
from fedvol.node.decide import Roles, decide
from fedvol.node.journal import Journal, Owner, open_journal
from fedvol.node.keystore import load
from fedvol.node.maskkeys import MaskKeys
from fedvol.node.rounds import Bytes, NothingToPropose
from fedvol.node.sight import Sight
from fedvol.node.trainer import Trainer
from fedvol.node.veil import CannotMask, Veil
from fedvol.node.watchtower import Watchtower
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
        self._roles = Roles(
            join=config.join,
            propose=config.propose,
            keeper=config.keeper,
            watchtower=config.watchtower,
            settle=config.settle,
            top_up=config.top_up,
            stagger=2 * config.poll_seconds,
        )
        outbox = Outbox(
            client.web3,
            account,
            journal,
            max_fee_wei=int(config.max_fee_gwei * 1e9),
            poll=min(config.poll_seconds, 1.0),
            sleep=self._rest,
        )
        self._stop = threading.Event()
        self._stopped_at = 0.0
        source = Bytes(client, storage)
        watchtower = Watchtower(client, source, account.address, trainer.spec.dimension, config.confirmations)
        masks = MaskKeys(config.data_dir / "mask-keys", account)
        veil = Veil(client, account.address, masks, journal, config.confirmations)
        budget = Budget(journal, config.privacy)
        self._attest = Attest(client, account.address, journal, veil, trainer, config.data_dir)
        self._sight = Sight(
            client, account.address, journal, source, watchtower, veil, self._attest, self._roles, budget
        )
        self.acts = Acts(config, client, account, journal, storage, trainer, outbox, self._sight, budget)

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

    def close(self) -> None:
        """Lets go what runs beside the loop."""
        self._attest.close()

    def stop(self) -> None:
        """Ends `run` after the current act."""
        self._stopped_at = time.monotonic()
        self._stop.set()

    def cycle(self) -> Snapshot:
        """One look, and at most one act. Returns what was seen."""
        snapshot = self._client.snapshot(self._account.address)
        action = decide(snapshot, self._sight.view(snapshot), self._roles)
        if action is not None:
            self.acts.do(action, snapshot)
        return snapshot

    def _rest(self, seconds: float) -> None:
        if self._stop.is_set() and time.monotonic() - self._stopped_at > GRACE:
            raise Stopping
        time.sleep(seconds)


def passes(error: FedvolError) -> bool:
    """Whether waiting may mend it. What is not on this list ends the process."""
    if isinstance(error, StorageError | WouldRevert | Reverted | Unmined | FeesTooHigh | NothingToPropose | CannotMask):
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
        trainer = trainer_of(config, deployment)
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
        rmtree(config.data_dir / "proving", ignore_errors=True)  # secrets that a killed process could not remove
        node = Node(config, client, account, journal, storage, trainer)
        try:
            yield node
        finally:
            node.close()


def trainer_of(config: NodeConfig, deployment: Deployment) -> Trainer:
    """What trains the federation's model on the node's tape.

    Raises:
        ConfigError: this fedvol cannot train such a model.
    """
    return Trainer(
        deployment.spec,
        config.tape,
        config.settings(),
        desk_column=config.desk_column,
        desk=config.desk,
        hours=config.window_hours,
        holdout=config.holdout,
    )


def run(config: NodeConfig, rounds: int | None = None) -> None:
    """Runs the daemon until SIGTERM or SIGINT, or for some published rounds. A second signal kills it at once."""
    with open_node(config) as node:

        def stop(number: int, _: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            node.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        node.run(rounds)
