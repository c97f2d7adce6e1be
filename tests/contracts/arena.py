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
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import content_id, pack_model, pack_update, pack_weighted, unpack_model

WEIGHTS = 32
MARKETS = ("BTC", "ETH")
PRICES = (60_000 * 10**8, 3_000 * 10**8)
VOL_INDICES = (50 * 10**8, 60 * 10**8)
PILLARS = 13
FRACTION_BITS = 24
BOUNDS = {"leastVolBps": 500, "mostVolBps": 40_000, "mostMoveBps": 20_000}
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
    "unbonding": 4_000,
    "clamp": 1 << 20,
    "step": 1 << 16,
    "bond": BOND,
    "silencePenalty": BOND // 20,
    "minMembers": 1,
    "demandWindow": 50,
    "demandBond": 10**17,
    "rule": 0,
    "weighted": False,
    "trimBps": 2_000,
    "weightCap": 4_095,
    "weightShift": 10,
    "unmaskWindow": 50,
    "closed": False,
}
NO_PROOFS = ("0x" + "00" * 20, 0, 0, 0)
STATUSES = ("None", "Joining", "Active", "Leaving")
PHASES = (
    "Idle", "Draw", "Commit", "Reveal", "Availability", "Unmask", "Propose", "Challenge", "Final", "Void", "Settle",
)  # fmt: skip


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
    settlement: Any
    duties: Any
    keyring: Any
    genesis: bytes
    weights: int = WEIGHTS
    weighted: bool = False
    proofs: Any = None

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
            return pack_update(np.full(self.weights, fill))
        rng = np.random.default_rng(int(node.address, 16) % 2**32)
        moves = rng.integers(-1000, 1000, self.weights)
        return pack_weighted(moves, rng.integers(0, 9, self.weights)) if self.weighted else pack_update(moves)

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
        reveal = self.federation.reveal
        return [reveal(content_id(self.update(n)), bytes(32), self.salt(n), NO_PLEDGE, sender=n) for n in nodes]

    def reveal_all(self, nodes: list[Any]) -> None:
        """A round in which all `nodes` reveal, up to where bytes can be demanded."""
        self.open()
        self.commit(*nodes)
        self.reveal(*nodes)
        self.pass_to("Availability")

    def propose(self, nodes: list[Any], model: bytes | None = None) -> bytes:
        """The lead proposes `model`, or the current one moved by one everywhere; `nodes` reveal before, if need be."""
        if self.phase != "Availability":
            self.reveal_all(nodes)
        self.pass_to("Propose")
        model = model or self.model()
        self.federation.propose(model, 0, sender=self.lead(nodes))
        return model

    def lead(self, nodes: list[Any]) -> Any:
        """The node that the lot lets propose first."""
        seat = int(self.federation.leadSeat())
        return next(n for n in nodes if int(self.federation.seatOf(n)) == seat)

    def model(self, shift: int = 1) -> bytes:
        """The model that the round starts from with every weight moved by `shift`."""
        opened_at = int(self.federation.proposal().openedAt)
        weights = unpack_model(bytes(self.registry.carried(opened_at)), self.weights)
        return pack_model(weights + shift)

    # ------------------------------------------------------------------ settlement and duties

    def aggregate(self, nodes: list[Any], wrong: dict[int, int] | None = None) -> bytes:
        """The rule's model of the updates of `nodes`; `wrong` adds to single weights."""
        params = self.federation.params()
        rule = Rule.from_params({key: params[key] for key in PARAMS})
        model = apply(rule, unpack_model(self.model(0), self.weights), [self.update(n) for n in nodes])
        for index, error in (wrong or {}).items():
            model[index] += error
        return pack_model(model)

    def vectors(self, nodes: list[Any]) -> list[tuple[Any, ...]]:
        """What settlement asks for: node, annex, salt and bytes, in rising order of address."""
        rising = sorted(nodes, key=lambda n: int(n.address, 16))
        return [(n.address, bytes(32), self.salt(n), self.update(n), []) for n in rising]

    def dispute(self, model: bytes, nodes: list[Any], first: int = 0, words: int | None = None, *, by: Any) -> Any:
        """By default the whole model."""
        count = len(model) // 32 - first if words is None else words
        return self.settlement.dispute(model, self.vectors(nodes), first, count, sender=by)

    def settle(self, model: bytes, nodes: list[Any], words: int = 2**256 - 1, *, by: Any = None) -> Any:
        return self.settlement.settle(model, self.vectors(nodes), words, sender=by or self.founder)

    def demand(self, *nodes: Any, by: Any) -> list[Any]:
        bond = int(self.federation.params().demandBond)
        return [self.duties.demand(n, value=bond, sender=by) for n in nodes]

    def answer(self, node: Any, *, by: Any) -> Any:
        return self.duties.answer(node, bytes(32), self.salt(node), self.update(node), b"", sender=by)

    def bond(self, node: Any) -> int:
        return int(self.vault.bondOf(node).amount)

    def ballot_state(self, node: Any) -> int:
        return int(self.federation.ballotOf(node).state)

    # ------------------------------------------------------------------ whole rounds

    def run_round(self, nodes: list[Any]) -> bytes:
        """A whole honest round; leaves the new version published."""
        model = self.propose(nodes)
        self.pass_phase()
        self.federation.publish(model, sender=self.founder)
        return model


def config_of(token: Any, founder: Any, guardian: Any, **changes: Any) -> dict[str, Any]:
    """The factory's argument, without an engine; `changes` go to the parameters, or the config's part of that name."""
    names = ("label", "dimension", "genesis", "markets", "pillars", "fractionBits", "proofs")
    outer = {key: changes.pop(key) for key in names if key in changes}
    weights = outer.get("dimension", WEIGHTS)
    return {
        "label": b"test".ljust(32, b"\0"),
        "bondToken": token.address,
        "dimension": WEIGHTS,
        "genesis": pack_model(np.zeros(weights, dtype=np.int64)),
        "markets": [],
        "pillars": 0,
        "fractionBits": FRACTION_BITS,
        "maxModelAge": 7 * 86_400,
        "bounds": BOUNDS,
        "params": PARAMS | changes,
        "admin": founder.address,
        "guardian": guardian.address,
        "proofs": NO_PROOFS,
    } | outer


def surface_of(feeds: list[Any], vols: list[Any], pillars: int = PILLARS, bits: int = FRACTION_BITS) -> dict[str, Any]:
    """What makes a config one with an engine: a flat surface at 60% for BTC and ETH."""
    one = 1 << bits
    block = [one * 6 // 10, one * 7 // 10, one * 11 // 10] * 2 * pillars + [one // 2, -one // 4]
    names = [name.encode().ljust(32, b"\0") for name in MARKETS]
    return {
        "dimension": len(block) * len(names),
        "genesis": pack_model(np.array(block * len(names))),
        "markets": [
            (name, feed.address, 3_600, vol.address, 3_600) for name, feed, vol in zip(names, feeds, vols, strict=True)
        ],
        "pillars": pillars,
        "fractionBits": bits,
    }


def implementations(project: Any, founder: Any) -> list[Any]:
    """The codes of a federation's parts, in the order of `IFederationFactory.Parts`."""
    rulebook = founder.deploy(project.Rulebook)
    names = ("StakeVault", "ModelRegistry", "PricingEngine", "Settlement", "Duties", "Keyring", "Proofs")
    return [founder.deploy(project.Federation, rulebook), *(founder.deploy(getattr(project, name)) for name in names)]


@pytest.fixture(scope="session")
def blueprints(project: Any, accounts: Any) -> SimpleNamespace:
    """What is deployed once: token, feeds, implementations and the factory."""
    founder = accounts[0]
    parts = implementations(project, founder)
    return SimpleNamespace(
        founder=founder,
        guardian=accounts[1],
        token=founder.deploy(project.BondToken, founder),
        feeds=[founder.deploy(project.SettableFeed, founder, 8, price) for price in PRICES],
        vols=[founder.deploy(project.SettableFeed, founder, 8, index) for index in VOL_INDICES],
        factory=founder.deploy(project.FederationFactory, tuple(part.address for part in parts)),
    )


@pytest.fixture(scope="session")
def make_arena(project: Any, chain: Any, blueprints: SimpleNamespace) -> Any:
    """Deploys a federation; keyword arguments change its parameters, `pillars` gives it a surface and an engine."""

    def make(**changes: Any) -> Arena:
        b = blueprints
        if "pillars" in changes:
            bits = changes.get("fractionBits", FRACTION_BITS)
            changes |= surface_of(b.feeds, b.vols, changes["pillars"], bits)
        changes.setdefault("label", os.urandom(32))
        config = config_of(b.token, b.founder, b.guardian, **changes)
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
            engine=project.PricingEngine.at(parts.engine) if config["markets"] else None,
            settlement=project.Settlement.at(parts.settlement),
            duties=project.Duties.at(parts.duties),
            keyring=project.Keyring.at(parts.keyring),
            genesis=config["genesis"],
            weights=config["dimension"],
            weighted=config["params"]["weighted"],
            proofs=project.Proofs.at(parts.proofs) if "proofs" in changes else None,
        )

    return make


@pytest.fixture(scope="session")
def harness(project: Any, accounts: Any) -> Any:
    """The protocol's internal libraries, callable."""
    return accounts[0].deploy(project.ProtocolHarness)


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


@pytest.fixture
def revealing(joined, nodes):
    """The first round: everybody has committed; revealing has begun."""
    joined.open()
    joined.commit(*nodes)
    joined.pass_settling()
    return joined


@pytest.fixture(scope="module")
def revealed(make_arena: Any, trio: list[Any]) -> Arena:
    """Three desks of a model whose last word is partial have revealed; their bytes can be demanded."""
    arena = make_arena(dimension=30)
    arena.join(*trio)
    arena.reveal_all(trio)
    return arena


@pytest.fixture(scope="session")
def trio(nodes: list[Any]) -> list[Any]:
    return nodes[:3]


@pytest.fixture(scope="session")
def nodes(accounts: Any) -> list[Any]:
    """Six desks, apart from founder and guardian."""
    return [accounts[i] for i in range(2, 8)]


@pytest.fixture
def stranger(accounts: Any) -> Any:
    return accounts[19]


@pytest.fixture
def cold(accounts: Any) -> Any:
    """A withdrawal address: a key that never lies on a node's machine."""
    return accounts[10]


@pytest.fixture
def own_vault(project: Any, joined: Arena, accounts: Any) -> Any:
    """A vault not yet set up, so that a test can be its federation: an ERC-1167 clone of the implementation."""
    owner, code = accounts[0], joined.factory.vaultCode()
    data = "0x3d602d80600a3d3981f3363d3d373d3d3d363d73" + code[2:] + "5af43d82803e903d91602b57fd5bf3"
    create = owner.provider.network.ecosystem.create_transaction
    receipt = owner.call(create(data=data, sender=owner, chain_id=owner.provider.chain_id))
    return project.StakeVault.at(receipt.contract_address)
