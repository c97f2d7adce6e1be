"""One participant: reads the chain at one block, decides, acts only where the act is missing, and sleeps.

What must survive lies in the journal and on the chain: a process that is killed anywhere and started again goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from shutil import rmtree

import requests
import structlog
from eth_account.signers.local import LocalAccount
from web3.exceptions import Web3Exception

from fedvol.chain.client import WrongChain
from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.chain.outbox import FeesTooHigh, Outbox, Reverted, Unmined, WouldRevert
from fedvol.chain.versions import longest_age
from fedvol.errors import ChainError, FedvolError, StorageError
from fedvol.node.acts import Acts
from fedvol.node.attest import Attest
from fedvol.node.budget import Budget
from fedvol.node.closing import Closing
from fedvol.node.config import NodeConfig
from fedvol.node.decide import Roles, decide
from fedvol.node.duty import AT_STAKE
from fedvol.node.funds import require_funds
from fedvol.node.journal import Journal, open_journal
from fedvol.node.keystore import held
from fedvol.node.maskkeys import MaskKeys
from fedvol.node.metrics import NOTHING, PAUSE, VERSION_LIMIT, CountedCalls, CountedStorage, Metrics, served
from fedvol.node.pace import rest
from fedvol.node.parts import Parts
from fedvol.node.pins import Pins
from fedvol.node.rounds import Bytes, NothingToPropose
from fedvol.node.sight import Sight
from fedvol.node.veil import CannotMask, Veil
from fedvol.node.watchtower import Watchtower
from fedvol.node.workshop import TrainingStopped, Workshop
from fedvol.storage import Storage

log = structlog.get_logger()

LONGEST_BACKOFF = 10
"""Polls between two tries while something fails."""

LONGEST_REST = 1.0
"""Seconds between two looks, at most, of a node that is about to stop."""


STOPS = (signal.SIGTERM, signal.SIGINT)


class Stopping(Exception):
    """The node was told to stop: what it was about to send is not at stake, or what it has sent waits too long."""


class Node:
    """One member of one federation. `cycle` is all it does; `run` repeats it."""

    def __init__(
        self,
        config: NodeConfig,
        client: FederationClient,
        account: LocalAccount,
        journal: Journal,
        storage: Storage,
        trainer: Workshop,
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
            poll=config.poll_seconds,
            sleep=self._rest,
        )
        self.pause = config.poll_seconds
        """Seconds after which the next look is due."""
        self._head: tuple[int, int] | None = None
        self._wake = threading.Event()
        self._closing = Closing(config.stop_patience)
        self._seen: Snapshot | None = None
        self._metrics = Metrics()
        self._source = source = Bytes(client, storage)
        self._pins = Pins(storage)
        watchtower = Watchtower(client, source, account.address, trainer.spec.dimension, config.confirmations)
        masks = MaskKeys(config.data_dir / "mask-keys", account)
        veil = Veil(client, account.address, masks, journal, config.confirmations)
        budget = Budget(journal, config.privacy)
        self._attest = Attest(client, account.address, journal, veil, trainer, config.data_dir)
        self._sight = Sight(
            client, account.address, journal, source, watchtower, veil, self._attest, self._roles, budget,
            self._pins, config.withdrawal,
        )  # fmt: skip
        self._journal = journal
        self.acts = Acts(
            config, client, account, journal, storage, trainer, outbox, self._sight, budget, self._may_send
        )

    # ------------------------------------------------------------------ the loop

    def run(self, rounds: int | None = None) -> None:
        """Cycles until it is told to stop, or `rounds` versions have been published since it started.

        Raises:
            FedvolError: what will not pass by itself.
        """
        last = self._client.snapshot().version + rounds if rounds is not None else None
        failures = 0
        while not self._closing.is_over(self._seen):
            try:
                snapshot = self.cycle()
                failures = 0
            except FedvolError as error:
                if not passes(error):
                    raise
                failures += 1
                log.warning("goes on", after=type(error).__name__, why=error.message)
            except Stopping:
                continue
            else:
                if last is not None and snapshot.version >= last and not self._closing.asked:
                    log.info("done", version=snapshot.version)
                    self.stop()
            self._wait(self._config.poll_seconds * min(failures, LONGEST_BACKOFF) if failures else self.pause)
        log.info("stopped")

    def close(self) -> None:
        """Lets go what runs beside the loop."""
        for worker in (self._attest, self._pins, self._source):
            worker.close()

    def stop(self) -> None:
        """Has `run` end after the current act, and what is at stake (`stop_patience`)."""
        self._closing.ask()
        self._seen = None  # the last look may be as old as the pause
        self._wake.set()

    def cycle(self) -> Snapshot:
        """One look, and at most one act. Returns what was seen."""
        snapshot = self._client.snapshot(self._account.address)
        self._metrics.saw(snapshot)
        roles = replace(self._roles, only_at_stake=self._closing.asked)
        view = self._sight.view(snapshot)
        action = decide(snapshot, view, roles)
        self._seen = snapshot if action is None else None
        self.pause = self._config.poll_seconds
        if action is not None:
            self.acts.do(action, snapshot)
        else:
            self.pause = max(self.pause, rest(snapshot, view, roles, self._beat(snapshot)))
        return snapshot

    def _beat(self, s: Snapshot) -> float:
        """Seconds that a block takes, by this look and the one before; never less than between two looks."""
        time, block = self._head or (s.time, s.block)
        self._head = s.time, s.block
        return max(self._config.poll_seconds, (s.time - time) / (s.block - block) if s.block > block else 0)

    def _wait(self, seconds: float) -> None:
        PAUSE.set(seconds)
        self._wake.clear()
        if self._closing.asked:
            time.sleep(min(seconds, LONGEST_REST))
        else:
            self._wake.wait(seconds)

    def _may_send(self, purpose: str) -> None:
        if self._closing.asked and purpose.split(":")[0] not in AT_STAKE and not self._journal.attempts(purpose):
            raise Stopping

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._closing.asked and self._closing.left <= 0:
                raise Stopping
            time.sleep(min(left, 1.0))


def passes(error: FedvolError) -> bool:
    """Whether waiting may mend it. What is not on this list ends the process."""
    passing = StorageError | WouldRevert | Reverted | Unmined | FeesTooHigh | NothingToPropose | CannotMask
    if isinstance(error, passing | WrongChain | TrainingStopped):
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
    parts = Parts(config)
    account, deployment, client = parts.account, parts.deployment, parts.client
    with open_journal(config.data_dir, parts.owner) as journal, held(config.keystore):
        storage, trainer = CountedStorage(parts.storage), parts.trainer
        log.info(
            "node",
            account=account.address,
            federation=deployment.name,
            chain=deployment.chain_id,
            storage=storage.describe(),
            rows=trainer.count(),
        )
        require_funds(parts.snapshot)
        limit = longest_age(client)
        VERSION_LIMIT.set(NOTHING if limit is None else limit)
        client.web3.middleware_onion.inject(CountedCalls, layer=0)
        rmtree(config.data_dir / "proving", ignore_errors=True)  # secrets that a killed process could not remove
        node = Node(config, client, account, journal, storage, trainer)
        try:
            yield node
        finally:
            node.close()


def run(config: NodeConfig, rounds: int | None = None) -> None:
    """Runs the daemon until SIGTERM or SIGINT, or for some published rounds. A second signal ends it at once."""
    with served(config.metrics), open_node(config) as node:

        def stop(number: int, _: object) -> None:
            for each in STOPS:
                signal.signal(each, end)
            node.stop()

        def end(number: int, _: object) -> None:
            os._exit(128 + number)  # the first process of a container has no default way to die

        for each in STOPS:
            signal.signal(each, stop)
        node.run(rounds)
