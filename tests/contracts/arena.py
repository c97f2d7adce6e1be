"""A whole federation on Anvil, and the few verbs that every contract test needs."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedvol.protocol import commitment as twin
from fedvol.protocol.vector import content_id, pack_model, pack_update

WEIGHTS = 32
MARKETS = ("BTC", "ETH")
PRICES = (60_000 * 10**8, 3_000 * 10**8)
PILLARS = [86_400 * d for d in (1, 2, 4, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)]
BOND = 1_000 * 10**18
PARAMS = {
    "seats": 6,
    "clusterSize": 1,
    "quorumBps": 5_000,
    "epochRounds": 4,
    "seedDelay": 1,
    "finality": 2,
    "interval": 100,
    "commitWindow": 100,
    "revealWindow": 100,
    "leadWindow": 50,
    "proposeWindow": 100,
    "challengeWindow": 100,
    "unbonding": 2_000,
    "clamp": 1 << 20,
    "step": 1 << 16,
    "bond": BOND,
    "silencePenalty": BOND // 20,
    "minMembers": 1,
}
STATUSES = ("None", "Joining", "Active", "Leaving")
PHASES = ("Idle", "Draw", "Commit", "Reveal", "Propose", "Challenge", "Final", "Void", "Settle")


@dataclass
class Arena:
    """One federation: its contracts, its founder, and what a test does with them."""

    chain: Any
    founder: Any
    guardian: Any
    token: Any
    factory: Any
    feeds: list[Any]
    federation: Any
    vault: Any
    registry: Any
    engine: Any
    genesis: bytes

    # ------------------------------------------------------------------ time

    def pass_time(self, seconds: int) -> None:
        self.chain.pending_timestamp += seconds
        self.chain.mine(1)

    def pass_blocks(self, count: int) -> None:
        self.chain.mine(count)

    @property
    def phase(self) -> str:
        return PHASES[int(self.federation.phase().now_)]

    def pass_phase(self) -> None:
        """Lets the phase end by time alone."""
        ends_at = int(self.federation.phase().endsAt)
        assert ends_at, f"{self.phase} does not end by time"
        self.pass_time(ends_at - self.chain.pending_timestamp)

    def pass_settling(self) -> None:
        """Lets the finality gap go by, if the round is in one."""
        if self.phase == "Settle":
            self.pass_phase()

    def pass_to(self, phase: str) -> None:
        """Lets time alone bring the round to `phase`."""
        while self.phase != phase:
            self.pass_phase()

    def pass_to_opening(self) -> None:
        """Waits until the schedule allows the next round."""
        wait = int(self.federation.nextOpening()) - self.chain.pending_timestamp
        if wait > 0:
            self.pass_time(wait)

    # ------------------------------------------------------------------ members

    def fund(self, node: Any, amount: int = BOND) -> None:
        self.token.mint(node, amount, sender=self.founder)
        self.token.approve(self.vault, amount, sender=node)

    def join(self, *nodes: Any) -> None:
        for node in nodes:
            self.fund(node)
            self.federation.join(BOND, sender=node)

    def status(self, node: Any) -> str:
        return STATUSES[int(self.federation.memberOf(node).status)]

    @property
    def members(self) -> list[str]:
        return list(self.federation.membersAt(0, 1_000))

    # ------------------------------------------------------------------ a round

    def open(self) -> int:
        """Opens and draws a round, and waits until it accepts commits. Returns its number."""
        self.pass_to_opening()
        self.federation.open(sender=self.founder)
        self.pass_blocks(int(self.federation.params().seedDelay) + 1)
        self.federation.draw(sender=self.founder)
        self.pass_settling()
        return int(self.federation.clock().number)

    def update(self, node: Any, fill: int | None = None) -> bytes:
        """Bytes of an update; random and the node's own unless filled with one number."""
        if fill is not None:
            return pack_update(np.full(WEIGHTS, fill))
        rng = np.random.default_rng(int(node.address, 16) % 2**32)
        return pack_update(rng.integers(-1000, 1000, WEIGHTS))

    def salt(self, node: Any) -> bytes:
        return hashlib.sha256(node.address.encode()).digest()

    def commitment(self, node: Any, data: bytes | None = None) -> int:
        clock = self.federation.clock()
        where = twin.RoundId(self.chain.chain_id, self.federation.address, int(clock.number), int(clock.seed))
        return twin.commitment(where, node.address, content_id(data or self.update(node)), self.salt(node))

    def commit(self, *nodes: Any) -> list[Any]:
        return [self.federation.commit(self.commitment(n), sender=n) for n in nodes]

    def reveal(self, *nodes: Any) -> list[Any]:
        self.pass_settling()
        return [self.federation.reveal(content_id(self.update(n)), bytes(32), self.salt(n), sender=n) for n in nodes]

    def propose(self, nodes: list[Any]) -> bytes:
        """The lead proposes the current model, moved by one everywhere; all `nodes` acted before."""
        self.open()
        self.commit(*nodes)
        self.reveal(*nodes)
        self.pass_settling()
        model = self.model()
        self.federation.propose(model, sender=self.lead(nodes))
        return model

    def lead(self, nodes: list[Any]) -> Any:
        """The node that the lot lets propose first."""
        seat = int(self.federation.leadSeat())
        return next(n for n in nodes if int(self.federation.seatOf(n)) == seat)

    def model(self, shift: int = 1) -> bytes:
        """The current model with every weight moved by `shift`."""
        version = int(self.registry.current().version)
        weights = np.frombuffer(bytes(self.registry.modelOf(version)), dtype=">i4").astype(np.int64)
        return pack_model(weights + shift)

    def run_round(self, nodes: list[Any]) -> bytes:
        """A whole honest round; leaves the new version published."""
        model = self.propose(nodes)
        self.pass_phase()
        self.federation.publish(model, sender=self.founder)
        return model


def config_of(token: Any, feeds: list[Any], founder: Any, guardian: Any, **changes: Any) -> dict[str, Any]:
    """The factory's argument; `changes` go to the parameters, `label` and `dimension` to the config itself."""
    outer = {key: changes.pop(key) for key in ("label", "dimension", "genesis") if key in changes}
    return {
        "label": b"test".ljust(32, b"\0"),
        "bondToken": token.address,
        "dimension": WEIGHTS,
        "genesis": pack_model(np.zeros(WEIGHTS, dtype=np.int64)),
        "markets": [
            (name.encode().ljust(32, b"\0"), feed.address, 3_600) for name, feed in zip(MARKETS, feeds, strict=True)
        ],
        "pillarSeconds": PILLARS,
        "fractionBits": 20,
        "maxModelAge": 7 * 86_400,
        "params": PARAMS | changes,
        "admin": founder.address,
        "guardian": guardian.address,
    } | outer


@pytest.fixture(scope="session")
def blueprints(project: Any, accounts: Any) -> SimpleNamespace:
    """What is deployed once: token, feeds, implementations and the factory."""
    founder = accounts[0]
    parts = [
        founder.deploy(getattr(project, name))
        for name in ("Federation", "StakeVault", "ModelRegistry", "PricingEngine")
    ]
    return SimpleNamespace(
        founder=founder,
        guardian=accounts[1],
        token=founder.deploy(project.BondToken, founder),
        feeds=[founder.deploy(project.SettableFeed, founder, 8, price) for price in PRICES],
        factory=founder.deploy(project.FederationFactory, *parts),
    )


@pytest.fixture(scope="session")
def make_arena(project: Any, chain: Any, blueprints: SimpleNamespace) -> Any:
    """Deploys a federation; keyword arguments change its parameters."""

    def make(**changes: Any) -> Arena:
        b = blueprints
        changes.setdefault("label", os.urandom(32))
        config = config_of(b.token, b.feeds, b.founder, b.guardian, **changes)
        b.factory.create(config, sender=b.founder)
        parts = b.factory.addressesOf(b.founder, config["label"])
        return Arena(
            chain=chain,
            founder=b.founder,
            guardian=b.guardian,
            token=b.token,
            factory=b.factory,
            feeds=b.feeds,
            federation=project.Federation.at(parts.federation),
            vault=project.StakeVault.at(parts.vault),
            registry=project.ModelRegistry.at(parts.registry),
            engine=project.PricingEngine.at(parts.engine),
            genesis=config["genesis"],
        )

    return make


@pytest.fixture
def arena(make_arena: Any) -> Arena:
    """A federation nobody has joined yet."""
    return make_arena()


@pytest.fixture(scope="session")
def joined(make_arena: Any, nodes: list[Any]) -> Arena:
    """A federation that six desks have joined; no round was opened. Shared: each test finds it as new."""
    arena = make_arena()
    arena.join(*nodes)
    return arena


@pytest.fixture(scope="session")
def nodes(accounts: Any) -> list[Any]:
    """Six desks, apart from founder and guardian."""
    return [accounts[i] for i in range(2, 8)]


@pytest.fixture
def stranger(accounts: Any) -> Any:
    return accounts[19]
