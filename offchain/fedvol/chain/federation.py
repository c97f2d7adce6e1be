"""A federation as it stands at one block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import requests
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from fedvol.chain.client import abi
from fedvol.chain.deployment import NOWHERE, Deployment
from fedvol.chain.outbox import Unmined
from fedvol.errors import ChainError
from fedvol.protocol.roll import MOST_SEATS, Roll
from fedvol.protocol.seat import seat

NO_SEAT = 255
LATEST_EPOCH = 2**24 - 1
STATUSES = ("none", "joining", "active", "leaving")

NOTHING, COMMITTED, REVEALED, SILENT, DEMANDED, ANSWERED, DROPPED, VEILED = range(8)
"""`Ballot.state` in the contract."""


class Phase(IntEnum):
    """As `IFederationTypes.Phase`."""

    IDLE = 0
    DRAW = 1
    COMMIT = 2
    REVEAL = 3
    AVAILABILITY = 4
    UNMASK = 5
    PROPOSE = 6
    CHALLENGE = 7
    FINAL = 8
    VOID = 9
    SETTLE = 10


@dataclass(frozen=True)
class Clock:
    """As `IFederationTypes.Clock`; times in seconds."""

    stage: Phase
    cluster_size: int
    number: int
    epoch_start: int
    demands: int
    since: int
    commit_window: int
    reveal_window: int
    finality: int
    selected: int
    quorum: int
    committed: int
    revealed: int
    seed: int


@dataclass(frozen=True)
class Proposal:
    proposer: str
    opened_at: int
    seed_block: int
    failures: int
    content_id: bytes
    voids: int


@dataclass(frozen=True)
class Ballot:
    """As `IFederationTypes.Ballot`. `seat` is what the ballot was cast from: of this epoch only if `round` is."""

    commitment: int
    round: int
    seat: int
    state: int

    @classmethod
    def unpack(cls, word: int) -> Ballot:
        """From the word that the contract stores (`BallotLib`)."""
        return cls(word & ((1 << 208) - 1), word >> 208 & 0xFFFFFF, word >> 232 & 0xFF, word >> 240)

    def counts(self, number: int) -> bool:
        """Whether the node's vector enters the aggregate of a round, once answering is over."""
        return self.round == number and self.state in (REVEALED, ANSWERED)


@dataclass(frozen=True)
class NodeState:
    """One node's part. `seat` is None where it has none in this epoch; amounts in wei and token units.
    `key_since`: first round for which the key that it registered last may hold, 0 without one."""

    address: str
    status: str
    index: int
    seat: int | None
    ballot_round: int
    ballot_state: int
    faults: int
    absences: int
    absent_round: int
    voids: int
    key_since: int
    bond: int
    unlocks_at: int
    balance_wei: int
    tokens: int


@dataclass(frozen=True)
class Snapshot:
    """Everything a node decides from, read at one block."""

    block: int
    time: int
    phase: Phase
    ends_at: int
    clock: Clock
    proposal: Proposal
    params: dict[str, int]
    next_opening: int
    version: int
    published_at: int
    lead_seat: int
    members: int
    joining: int
    roll: Roll | None
    node: NodeState | None

    @property
    def masked(self) -> bool:
        """Whether rounds are masked by the parameters in force; a running round says so itself (`roll`)."""
        return self.params["clusterSize"] > 1

    @property
    def published(self) -> bool:
        return self.clock.stage == Phase.FINAL


@dataclass(frozen=True)
class Reveal:
    node: str
    content_id: bytes
    annex: bytes
    salt: bytes
    pledge: bytes
    block: int


@dataclass(frozen=True)
class Unmasking:
    """What a survivor opened: see `fedvol.protocol.mask.opening`."""

    node: str
    keys: tuple[bytes, ...]
    block: int


class FederationClient:
    """Typed reads of one federation."""

    def __init__(self, web3: Web3, deployment: Deployment) -> None:
        self.web3 = web3
        self.deployment = deployment
        self.federation = self._at("Federation", deployment.federation)
        self.vault = self._at("StakeVault", deployment.vault)
        self.registry = self._at("ModelRegistry", deployment.registry)
        self.engine = self._at("PricingEngine", deployment.engine)
        self.token = self._at("BondToken", deployment.token)
        self.settlement = self._at("Settlement", deployment.settlement)
        self.duties = self._at("Duties", deployment.duties)
        self.keyring = self._at("Keyring", deployment.keyring)
        self.proofs = self._at("Proofs", deployment.proofs) if deployment.proofs != NOWHERE else None
        self._params_since: tuple[tuple[int, int] | None, dict[str, int]] = (None, {})

    def _at(self, name: str, address: str) -> Contract:
        return self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=abi(name))

    def check(self) -> None:
        """Raises ChainError where the chain holds no such federation."""
        with readable("the federation's code"):
            if not self.web3.eth.get_code(self.federation.address):
                raise ChainError(
                    f"Chain {self.web3.eth.chain_id} holds no contract at {self.federation.address}.",
                    "The deployment file belongs to another chain, or the local chain was restarted: deploy again.",
                )

    def snapshot(self, node: str | None = None, block: int | None = None) -> Snapshot:
        """Reads the federation, and `node`'s part in it, at one block (the latest by default)."""
        with readable("the federation's state"):
            head = self.web3.eth.get_block(block if block is not None else "latest")
            at = {"block_identifier": head["number"]}
            view = self.federation.functions
            phase, ends_at = view.phase().call(**at)
            stage, *fields = view.clock().call(**at)
            clock = Clock(Phase(stage), *fields)
            proposal = Proposal(*view.proposal().call(**at))
            params = self._params(clock, proposal, at)
            version, _, published_at, _ = self.registry.functions.current().call(**at)
            members, joining = view.memberCounts().call(**at)
            return Snapshot(
                block=head["number"],
                time=head["timestamp"],
                phase=Phase(phase),
                ends_at=ends_at,
                clock=clock,
                proposal=proposal,
                params=params,
                next_opening=proposal.opened_at + params["interval"] if clock.number else 0,
                version=version,
                published_at=published_at,
                lead_seat=clock.seed % clock.selected if clock.selected else NO_SEAT,
                members=members,
                joining=joining,
                roll=self._roll(clock, at),
                node=self._node(Web3.to_checksum_address(node), at) if node else None,
            )

    def _roll(self, clock: Clock, at: dict[str, int]) -> Roll | None:
        if clock.cluster_size == 1:
            return None
        word = self.federation.functions.words([]).call(**at)[1]
        return Roll(word, clock.cluster_size, clock.selected)

    def _params(self, clock: Clock, proposal: Proposal, at: dict[str, int]) -> dict[str, int]:
        """They change at an opening only, so one read a round will do."""
        opening = (clock.number, proposal.opened_at)
        if self._params_since[0] != opening:
            self._params_since = (opening, self._read_params(at))
        return self._params_since[1]

    def _read_params(self, at: dict[str, int]) -> dict[str, int]:
        fields = next(e for e in abi("Federation") if e.get("name") == "params")["outputs"][0]["components"]
        values = self.federation.functions.params().call(**at)
        return {field["name"]: value for field, value in zip(fields, values, strict=True)}

    def _node(self, node: str, at: dict[str, int]) -> NodeState:
        view = self.federation.functions
        status, index = view.memberOf(node).call(**at)
        faults, absences, absent_round, voids, _ = self.duties.functions.recordOf(node).call(**at)
        _, ballot_round, _, ballot_state = view.ballotOf(node).call(**at)
        seat = view.seatOf(node).call(**at)
        bond, unlocks_at = self.vault.functions.bondOf(node).call(**at)
        return NodeState(
            address=node,
            status=STATUSES[status],
            index=index,
            seat=None if seat == NO_SEAT else seat,
            ballot_round=ballot_round,
            ballot_state=ballot_state,
            faults=faults,
            absences=absences,
            absent_round=absent_round,
            voids=voids,
            key_since=self.keyring.functions.keyOf(node, LATEST_EPOCH).call(**at)[2],
            bond=bond,
            unlocks_at=unlocks_at,
            balance_wei=self.web3.eth.get_balance(node, **at),
            tokens=self.token.functions.balanceOf(node).call(**at),
        )

    def members(self, snapshot: Snapshot) -> list[NodeState]:
        """All members, the joining ones last."""
        at = {"block_identifier": snapshot.block}
        addresses = self.member_addresses(snapshot.members + snapshot.joining, snapshot.block)
        with readable("the members"):
            return [self._node(address, at) for address in addresses]

    def member_addresses(self, count: int, block: int) -> list[str]:
        """The first `count` members: the frozen ones in the order of the lot, then those who join."""
        with readable("the members"):
            return list(self.federation.functions.membersAt(0, count).call(block_identifier=block))

    def ballots(self, nodes: Iterable[str], block: int) -> dict[str, Ballot]:
        """The ballots of some nodes, in one call."""
        nodes = list(nodes)
        with readable("the ballots"):
            *_, words = self.federation.functions.words(nodes).call(block_identifier=block)
        return {node: Ballot.unpack(word) for node, word in zip(nodes, words, strict=True)}

    def seat(self, node: str, block: int) -> int:
        """A node's seat in the current epoch; `NO_SEAT` where it has none."""
        with readable("a seat"):
            return self.federation.functions.seatOf(node).call(block_identifier=block)

    def record(self, node: str, block: int) -> tuple[int, int, int, int, int]:
        """As `IDuties.Record`: (faults, absences, round of the last, void epochs in a row, first round of the last)."""
        with readable("a node's record"):
            return tuple(self.duties.functions.recordOf(node).call(block_identifier=block))

    def demand_of(self, node: str, block: int) -> tuple[str, int, int]:
        """(who demanded the node's bytes, in which round, bond in wei), of the last demand that still holds a bond."""
        with readable("a demand"):
            return tuple(self.duties.functions.demandOf(node).call(block_identifier=block))

    def missing_at(self, block: int) -> tuple[int, int]:
        """(round, who is missing in it: `Roll.missing`) at a block."""
        with readable("the roll"):
            clock, roll, _ = self.federation.functions.words([]).call(block_identifier=block)
        return clock >> 8 & 0xFFFFFF, roll & ((1 << MOST_SEATS) - 1)

    def keys(self, nodes: list[str], epoch_start: int, block: int) -> dict[str, tuple[int, int]]:
        """The points of Grumpkin that hold for the nodes in an epoch; (0, 0) where there is none."""
        with readable("the keys"):
            found = self.keyring.functions.keysOf(nodes, epoch_start).call(block_identifier=block)
        return {node: (x, y) for node, (x, y, _) in zip(nodes, found, strict=True)}

    def pledges(self, node: str, block: int) -> tuple[bytes, bytes]:
        """A node's last pledges, by the parity of the round in which they were made: in round n the other's binds."""
        with readable("the pledges"):
            even, odd = (self.federation.functions.pledgeBefore(node, n).call(block_identifier=block) for n in (1, 2))
        return even, odd

    def seated(self, epoch_start: int, members: int, block: int) -> dict[int, str]:
        """Who sits where in the epoch that a running round belongs to, by the lot; of all its members."""
        drawn = self.events("RoundDrawn", block, round=epoch_start)
        if not drawn:
            raise Unmined(f"The draw of round {epoch_start} is not in the events yet.", "Wait for the RPC endpoint.")
        addresses = self.member_addresses(members, block)
        return {seat(drawn[-1]["args"]["seed"], i, members): node for i, node in enumerate(addresses)}

    def unmaskings(self, round_number: int, until_block: int) -> dict[str, Unmasking]:
        """What survivors opened in a round, by node."""
        return {
            e["args"]["node"]: Unmasking(e["args"]["node"], tuple(map(bytes, e["args"]["keys"])), e["blockNumber"])
            for e in self.events("Unmasked", until_block, round=round_number)
        }

    def claimable(self, node: str, block: int) -> tuple[int, int]:
        """What the node has earned and not claimed: (token units in the vault, wei in the duties)."""
        with readable("what can be claimed"):
            return (
                self.vault.functions.claimable(node).call(block_identifier=block),
                self.duties.functions.claimable(node).call(block_identifier=block),
            )

    def claimed(self, node: str, block: int) -> tuple[int, int]:
        """All that the node has claimed so far, from the events: (token units, wei; bonds of demands included)."""
        tokens = self.events("Claimed", block, self.vault, beneficiary=node)
        wei = self.events("Claimed", block, self.duties, account=node)
        return sum(e["args"]["amount"] for e in tokens), sum(e["args"]["amount"] for e in wei)

    def settled_words(self, block: int) -> int:
        """Words of the standing proposal that were recomputed on chain."""
        with readable("the settlement"):
            return self.settlement.functions.settledWords().call(block_identifier=block)

    def reveals(self, round_number: int, until_block: int) -> list[Reveal]:
        """Who revealed what in a round, in the order of the chain."""
        return [
            Reveal(*(e["args"][name] for name in ("node", "contentId", "annex", "salt", "pledge")), e["blockNumber"])
            for e in self.events("Revealed", until_block, round=round_number)
        ]

    def proposed_model(self, round_number: int, until_block: int) -> bytes | None:
        """Bytes of the round's last proposal, from its event."""
        found = self.events("Proposed", until_block, round=round_number)
        return bytes(found[-1]["args"]["model"]) if found else None

    def answered(self, round_number: int, until_block: int) -> dict[str, bytes]:
        """Bytes that were answered on chain in a round, by node."""
        found = self.events("Answered", until_block, self.duties, round=round_number)
        return {e["args"]["node"]: bytes(e["args"]["data"]) for e in found}

    def events(self, name: str, until_block: int, contract: Contract | None = None, **filters: Any) -> list[Any]:
        """Events of the federation, or of another of its contracts, from its creation up to and with `until_block`."""
        with readable(f"the {name} events"):
            return list(
                getattr((contract or self.federation).events, name).get_logs(
                    from_block=self.deployment.block, to_block=until_block, argument_filters=filters
                )
            )

    def model(self, version: int, block: int | None = None) -> bytes:
        """A version's bytes."""
        with readable(f"model version {version}"):
            return bytes(
                self.registry.functions.modelOf(version).call(block_identifier=block if block is not None else "latest")
            )


class readable:
    """Turns what a failing RPC raises into one line."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, requests.RequestException | OSError):
            # Its text may hold the endpoint's path, and with it a provider's key.
            why = type(error).__name__
        elif isinstance(error, Web3Exception):
            why = str(error)[:160]
        else:
            return
        raise ChainError(
            f"Could not read {self.what}: {why}.", "Check the RPC endpoint; it may be down or behind."
        ) from error
