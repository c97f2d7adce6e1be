"""A federation as it stands at one block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from web3 import Web3
from web3.contract import Contract

from fedvol.chain.client import abi, readable
from fedvol.chain.deployment import NOWHERE, Deployment
from fedvol.chain.history import History
from fedvol.chain.lens import Call, Seen, look
from fedvol.errors import ChainError
from fedvol.protocol.roll import MOST_SEATS, Roll

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
        self.history = History(web3, deployment.block)
        self._markets: tuple[bytes, ...] = ()

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
        """Reads the federation, and `node`'s part in it, at one block (the latest by default): one RPC call."""
        view = self.federation.functions
        calls = [view.phase(), view.clock(), view.proposal(), view.params(), view.memberCounts(), view.words([])]
        calls.append(self.registry.functions.current())
        node = Web3.to_checksum_address(node) if node else None
        seen = self.look("the federation's state", calls + (self._part(node) if node else []), block)
        (phase, ends_at), (stage, *fields), proposal, params, counts, words, model, *part = seen.answers
        clock, proposal = Clock(Phase(stage), *fields), Proposal(*proposal)
        named = {field["name"]: value for field, value in zip(_PARAMS, params, strict=True)}
        if block is None:
            self.history.saw(seen.block, seen.time, clock.number, proposal.opened_at)
        return Snapshot(
            block=seen.block,
            time=seen.time,
            phase=Phase(phase),
            ends_at=ends_at,
            clock=clock,
            proposal=proposal,
            params=named,
            next_opening=proposal.opened_at + named["interval"] if clock.number else 0,
            version=model[0],
            published_at=model[2],
            lead_seat=clock.seed % clock.selected if clock.selected else NO_SEAT,
            members=counts[0],
            joining=counts[1],
            roll=Roll(words[1], clock.cluster_size, clock.selected) if clock.cluster_size > 1 else None,
            node=_node(node, part) if node else None,
        )

    def look(self, what: str, calls: Sequence[Call], block: int | None = None, *, may_fail: bool = False) -> Seen:
        """Many reads at one block: see `fedvol.chain.lens.look`.

        Raises:
            ChainError: `what` cannot be read.
            WrongChain: the endpoint has moved to another chain.
        """
        with readable(what):
            return look(self.web3, calls, block, chain_id=self.deployment.chain_id, may_fail=may_fail)

    def _part(self, node: str) -> list[Call]:
        """What a node's state is made of: see `_node`."""
        view = self.federation.functions
        return [
            view.memberOf(node),
            self.duties.functions.recordOf(node),
            view.ballotOf(node),
            view.seatOf(node),
            self.vault.functions.bondOf(node),
            self.keyring.functions.keyOf(node, LATEST_EPOCH),
            self.token.functions.balanceOf(node),
            node,
        ]

    def members(self, snapshot: Snapshot) -> list[NodeState]:
        """All members, the joining ones last."""
        addresses = self.member_addresses(snapshot.members + snapshot.joining, snapshot.block)
        calls = [call for address in addresses for call in self._part(address)]
        found = iter(self.look("the members", calls, snapshot.block).answers)
        return [_node(address, [next(found) for _ in self._part(address)]) for address in addresses]

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

    def seats(self, nodes: Iterable[str], block: int) -> dict[str, int]:
        """The nodes' seats in the current epoch; `NO_SEAT` where one has none."""
        return self._of_each("the seats", self.federation.functions.seatOf, nodes, block)

    def records(self, nodes: Iterable[str], block: int) -> dict[str, tuple[int, int, int, int, int]]:
        """As `IDuties.Record`: (faults, absences, round of the last, void epochs in a row, first round of the last)."""
        return self._of_each("the nodes' records", self.duties.functions.recordOf, nodes, block)

    def _of_each(self, what: str, view: Callable[[str], Call], nodes: Iterable[str], block: int) -> dict[str, Any]:
        nodes = list(nodes)
        return dict(zip(nodes, self.look(what, [view(node) for node in nodes], block).answers, strict=True))

    def demands(self, nodes: Iterable[str], block: int) -> dict[str, tuple[str, int, int]]:
        """(who demanded a node's bytes, in which round, bond in wei), of the last demand that still holds a bond."""
        return self._of_each("the demands", self.duties.functions.demandOf, nodes, block)

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
        calls = [self.federation.functions.pledgeBefore(node, n) for n in (1, 2)]
        even, odd = self.look("the pledges", calls, block).answers
        return even, odd

    def seated(self, members: int, block: int) -> dict[int, str]:
        """Who sits where in the running epoch, of all its members."""
        addresses = self.member_addresses(members, block)
        return {seat: node for node, seat in self.seats(addresses, block).items() if seat != NO_SEAT}

    def unmaskings(self, round_number: int, until_block: int) -> dict[str, Unmasking]:
        """What survivors opened in a round, by node."""
        return {
            e["args"]["node"]: Unmasking(e["args"]["node"], tuple(map(bytes, e["args"]["keys"])), e["blockNumber"])
            for e in self.events("Unmasked", until_block, round=round_number)
        }

    def claimable(self, node: str, block: int) -> tuple[int, int]:
        """What the node has earned and not claimed: (token units in the vault, wei in the duties)."""
        calls = [self.vault.functions.claimable(node), self.duties.functions.claimable(node)]
        tokens, wei = self.look("what can be claimed", calls, block).answers
        return tokens, wei

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

    def events(
        self, name: str, until_block: int, contract: Contract | None = None, since: int | None = None, **filters: Any
    ) -> list[Any]:
        """Events of the federation, or of another of its contracts, up to and with `until_block`.

        Args:
            since: first block; by default where the running round begins if that is what `filters` ask for, else the
                federation's creation.
        """
        event = getattr((contract or self.federation).events, name)
        with readable(f"the {name} events"):
            first = self.history.beginning(filters.get("round")) if since is None else since
            return self.history.events(event, first, until_block, filters)

    def markets(self) -> tuple[bytes, ...]:
        """The pricing engine's names of its markets; they never change."""
        if not self._markets:
            with readable("the markets"):
                self._markets = tuple(self.engine.functions.configuration().call()[-1])
        return self._markets

    def model(self, version: int, block: int | None = None) -> bytes:
        """A version's bytes."""
        with readable(f"model version {version}"):
            return bytes(
                self.registry.functions.modelOf(version).call(block_identifier=block if block is not None else "latest")
            )


_PARAMS = next(e for e in abi("Federation") if e.get("name") == "params")["outputs"][0]["components"]


def _node(address: str, part: Sequence[Any]) -> NodeState:
    (status, index), record, ballot, seat, bond, key, tokens, wei = part
    faults, absences, absent_round, voids, _ = record
    return NodeState(
        address=address,
        status=STATUSES[status],
        index=index,
        seat=None if seat == NO_SEAT else seat,
        ballot_round=ballot[1],
        ballot_state=ballot[3],
        faults=faults,
        absences=absences,
        absent_round=absent_round,
        voids=voids,
        key_since=key[2],
        bond=bond[0],
        unlocks_at=bond[1],
        balance_wei=wei,
        tokens=tokens,
    )
