"""A past round recomputed from chain and storage alone: whoever runs it needs to believe nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from web3.exceptions import Web3Exception

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient, Phase, Reveal, Snapshot, Unmasking
from fedvol.chain.versions import start_of
from fedvol.errors import ChainError, ConfigError, StorageError, WireError
from fedvol.node.rounds import (
    Aggregate,
    Bytes,
    aggregate,
    aggregate_masked,
    first_wrong_word,
    is_vector,
    masked_vectors,
)
from fedvol.protocol import cluster
from fedvol.protocol.cluster import ClusterSum
from fedvol.protocol.commitment import RoundId, commitment, round_seed
from fedvol.protocol.mask import annex_of
from fedvol.protocol.roll import Roll
from fedvol.protocol.rule import Rule, largest_move
from fedvol.protocol.seat import seat
from fedvol.protocol.vector import WORD_BYTES, content_id, unpack_model, vector_bytes
from fedvol.storage import Storage


class Verdict(StrEnum):
    HOLDS = "holds"
    WRONG = "wrong"
    MISSING = "bytes missing"
    UNCHECKABLE = "not checkable"
    RUNNING = "not over yet"


EXIT_CODES = {Verdict.WRONG: 8, Verdict.MISSING: 9, Verdict.UNCHECKABLE: 10, Verdict.RUNNING: 10}
"""Of a command; the first of them that was found. All that holds: 0."""


@dataclass(frozen=True)
class Finding:
    """One step of a round, what was found, and whether it holds."""

    step: str
    what: str
    verdict: Verdict


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where everything holds; else that of the gravest verdict."""
    found = {finding.verdict for finding in findings}
    return next((code for verdict, code in EXIT_CODES.items() if verdict in found), 0)


def audit(client: FederationClient, storage: Storage, number: int) -> list[Finding]:
    """All steps of a round, in order.

    Raises:
        ConfigError: there is no such round.
        ChainError: the chain cannot be read at all.
    """
    return list(_Audit(client, storage, number).findings())


class _Audit:
    def __init__(self, client: FederationClient, storage: Storage, number: int) -> None:
        self.client = client
        self.number = number
        self.head: Snapshot = client.snapshot()
        self.bytes = Bytes(client, storage, pin=False)
        opened = client.events("RoundOpened", self.head.block, round=number)
        if not opened:
            raise ConfigError(
                f"Round {number} was never opened; the last is {self.head.clock.number}.", "Name another with --round."
            )
        self.opened = opened[0]
        client.history.tell(number, self.opened["blockNumber"])
        following = client.events("RoundOpened", self.head.block, since=self.opened["blockNumber"], round=number + 1)
        self.until = following[0]["blockNumber"] if following else self.head.block
        with readable("the model's size"):
            self.dimension = client.registry.functions.dimension().call(block_identifier=self.head.block)

    def findings(self) -> Iterator[Finding]:
        yield self._opening()
        if not self.drawn:
            yield self._ending()
            return
        yield self._checkable("seed", self._seed)
        yield self._checkable("seats", self._seats)
        yield self._checkable("commits", self._commitments)
        yield from self._vectors()
        yield from self._demands()
        if self.masked:
            yield from self._unmaskings()
        yield from self._proposals()
        yield self._ending()

    # ------------------------------------------------------------------ what the chain says

    def _events(self, name: str, contract: Any = None, number: int | None = None) -> list[Any]:
        return self.client.events(name, self.until, contract, round=self.number if number is None else number)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Those that applied to the round, from their events."""
        applied = self.client.events("ParamsApplied", self.opened["blockNumber"])
        return dict(next(e for e in reversed(applied) if e["args"]["round"] <= self.number)["args"]["params"])

    @cached_property
    def drawn(self) -> Any:
        return next(iter(self._events("RoundDrawn")), None)

    @cached_property
    def final(self) -> Any:
        return next(iter(self._events("RoundFinal")), None)

    @cached_property
    def reveals(self) -> list[Reveal]:
        return sorted(self.client.reveals(self.number, self.until), key=lambda r: int(r.node, 16))

    @cached_property
    def answered(self) -> dict[str, bytes]:
        return self.client.answered(self.number, self.until)

    @cached_property
    def demanded(self) -> list[str]:
        return [e["args"]["node"] for e in self._events("Demanded", self.client.duties)]

    @cached_property
    def found(self) -> dict[str, bytes | StorageError]:
        return self.bytes.of(self.reveals, self.number, self.until)

    @property
    def counted(self) -> list[Reveal]:
        return [r for r in self.reveals if r.node not in self.demanded or r.node in self.answered]

    @property
    def masked(self) -> bool:
        return self.params["clusterSize"] > 1

    @cached_property
    def seats(self) -> dict[str, int]:
        return {e["args"]["node"]: e["args"]["seat"] for e in self._events("Committed")}

    @cached_property
    def shown(self) -> dict[str, Unmasking]:
        return self.client.unmaskings(self.number, self.until)

    @cached_property
    def roll(self) -> Roll:
        """As it stood when unmasking was over."""
        counted = [self.seats[r.node] for r in self.counted]
        unmasked = [self.seats[node] for node in self.shown]
        return Roll.of(self.params["clusterSize"], self.opened["args"]["selected"], counted, unmasked)

    @cached_property
    def open(self) -> list[Reveal]:
        """The reveals of a masked round that enter its aggregate."""
        return [r for r in self.counted if self.roll.is_open(self.seats[r.node] // self.roll.m)]

    @cached_property
    def base(self) -> bytes:
        """The model that the round started from."""
        before = [e["args"] for e in self.client.events("RoundFinal", self.opened["blockNumber"])]
        version = max((e["version"] for e in before if e["round"] < self.number), default=1)
        opened_at = self.client.web3.eth.get_block(self.opened["blockNumber"])["timestamp"]
        return start_of(self.client, version, opened_at, self.head.block)

    @cached_property
    def right(self) -> Aggregate | StorageError:
        """What the vectors give."""
        rule = Rule.from_params(self.params)
        try:
            if not self.masked:
                return aggregate(self.base, rule, self.counted, self.found, self.dimension)
            vectors = masked_vectors(self.open, self.found, self.shown, rule, self.dimension)
            return aggregate_masked(self.base, rule, vectors, self.seats, self.roll, self.dimension)
        except StorageError as error:
            return error

    def first_wrong(self, model: bytes, claims: int) -> int | None:
        """Where a proposal can be disproved."""
        if not self.masked:
            return first_wrong_word(model, self.right.model)
        rule, m = Rule.from_params(self.params), self.roll.m
        return cluster.first_wrong_word(rule, m, self.base, self.right.sums, claims, model, self.dimension)

    # ------------------------------------------------------------------ the steps

    def _checkable(self, step: str, check: Callable[[], Finding]) -> Finding:
        """Old blocks and old states are not served by every node."""
        try:
            return check()
        except ChainError as error:
            if not isinstance(error.__cause__, Web3Exception):
                raise
            return Finding(step, error.message, Verdict.UNCHECKABLE)

    def _opening(self) -> Finding:
        epoch = self.drawn["args"]["epochStart"] if self.drawn else "not drawn yet"
        asked = self.opened["args"]
        selected, members = asked["selected"], asked["members"]
        what = f"block {self.opened['blockNumber']}, epoch of round {epoch}, {selected} of {members} members"
        return Finding(
            "opening",
            what,
            _holds(selected == min(self.params["seats"], members - members % self.params["clusterSize"])),
        )

    def _seed(self) -> Finding:
        rearmed = self._events("RoundRearmed")
        block = (rearmed or [self.opened])[-1]["args"]["seedBlock"]
        with readable(f"block {block}"):
            header = self.client.web3.eth.get_block(block)
        seed = round_seed(bytes(header["hash"]), self.client.federation.address, self.number)
        return Finding("seed", f"{seed:016x} of block {block}", _holds(seed == self.drawn["args"]["seed"]))

    def _seats(self) -> Finding:
        """Each committer's seat, drawn again from the members as they stood at the opening."""
        asked = self.opened["args"]
        members = self.client.member_addresses(asked["members"], self.opened["blockNumber"])
        epoch = self._events("RoundDrawn", number=self.drawn["args"]["epochStart"])[0]["args"]["seed"]
        commits = self._events("Committed")
        for event in commits:
            node, given = event["args"]["node"], event["args"]["seat"]
            drawn = seat(epoch, members.index(node), asked["members"]) if node in members else None
            if given != drawn or given >= asked["selected"]:
                return Finding("seats", f"{node} sat at {given}, the lot gave {drawn}", Verdict.WRONG)
        return Finding("seats", f"{len(commits)} committed of {asked['selected']} seats", Verdict.HOLDS)

    def _commitments(self) -> Finding:
        """Each reveal opens the commitment that the chain held before it."""
        if not self.reveals:
            return Finding("commits", "none was opened", Verdict.HOLDS)
        where = RoundId(
            self.client.deployment.chain_id, self.client.federation.address, self.number, self.drawn["args"]["seed"]
        )
        for reveal in self.reveals:
            held = self.client.ballots([reveal.node], reveal.block)[reveal.node]
            made = commitment(where, reveal.node, reveal.content_id, reveal.salt, reveal.annex)
            if (held.round, held.commitment) != (self.number, made):
                return Finding("commits", f"{reveal.node} opened another commitment than its own", Verdict.WRONG)
        return Finding("commits", f"{len(self.reveals)} opened", Verdict.HOLDS)

    def _vectors(self) -> Iterator[Finding]:
        length = vector_bytes(self.dimension, self.params["weighted"])
        for reveal in self.reveals:
            data = self.found[reveal.node]
            if reveal not in self.counted:
                yield Finding("vector", f"{reveal.node}: dropped, as its bytes were not handed out", Verdict.HOLDS)
            elif isinstance(data, StorageError):
                yield Finding("vector", f"{reveal.node}: {data.message}", Verdict.MISSING)
            elif not is_vector(data, length):
                yield Finding("vector", f"{reveal.node}: {len(data)} bytes, not {length}", Verdict.WRONG)
            else:
                yield Finding("vector", f"{reveal.node}: 0x{reveal.content_id.hex()}", Verdict.HOLDS)

    def _demands(self) -> Iterator[Finding]:
        names = {r.node: r.content_id for r in self.reveals}
        for node in self.demanded:
            if node in self.answered:
                right = content_id(self.answered[node]) == names.get(node)
                yield Finding("demand", f"{node}: answered on chain", _holds(right))
            else:
                yield Finding("demand", f"{node}: not answered", Verdict.HOLDS)

    def _unmaskings(self) -> Iterator[Finding]:
        """Each survivor opened what it had committed to, and every cluster has a sum or is void."""
        annexes, m = {r.node: r.annex for r in self.reveals}, self.roll.m
        for node, unmasking in self.shown.items():
            missing = self.roll.missing_in(self.seats[node] // m)
            try:
                made = annex_of(unmasking.keys, missing, m)
            except WireError:
                made = b""
            what = f"{node}: its own key, and those that it shares with {missing.bit_count()} missing"
            yield Finding("unmask", what, _holds(made == annexes.get(node)))
        sums = {} if isinstance(self.right, StorageError) else self.right.sums
        for k in self.roll.clusters:
            yield Finding("cluster", f"{k}: {self._cluster(k, sums)}", Verdict.HOLDS)

    def _cluster(self, k: int, sums: Mapping[int, ClusterSum]) -> str:
        m, survivors = self.roll.m, len(self.roll.survivors(k))
        if not self.roll.is_viable(k):
            return f"void: {survivors} of {m} survive"
        if not self.roll.is_open(k):
            veiled = [n for n, seat in self.seats.items() if seat // m == k and self.roll.must_unmask(seat)]
            return f"void: {', '.join(veiled)} did not unmask"
        if k in sums and sums[k].void_word is not None:
            return f"void: word {sums[k].void_word} of its sum is none, somebody masked wrongly"
        return f"the sum of {survivors}"

    def _proposals(self) -> Iterator[Finding]:
        overturned = [e["args"] for e in self._events("Overturned")]
        words = [e["args"]["word"] for e in self._events("Disproved", self.client.settlement)]
        for i, event in enumerate(self._events("Proposed")):
            model, proposer = bytes(event["args"]["model"]), event["args"]["proposer"]
            if content_id(model) != event["args"]["contentId"]:
                yield Finding("proposal", f"{proposer}: its bytes are not those of its content id", Verdict.WRONG)
                continue
            if isinstance(self.right, StorageError):
                yield Finding("proposal", f"{proposer}: not without all vectors", Verdict.UNCHECKABLE)
                continue
            wrong = self.first_wrong(model, event["args"]["voids"])
            says = "the rule's result" if wrong is None else f"wrong at word {wrong}"
            if i >= len(overturned):
                # A wrong one that is not overturned stands, or became the model.
                yield Finding("proposal", f"{proposer}: {says}", _holds(wrong is None))
                continue
            at = slice(words[i] * WORD_BYTES, (words[i] + 1) * WORD_BYTES)
            # Where a claim, or the lack of one, is wrong any word will do.
            fair = overturned[i]["proposer"] == proposer and (self.masked or model[at] != self.right.model[at])
            yield Finding("proposal", f"{proposer}: {says}, overturned", _holds(wrong is not None))
            yield Finding("dispute", f"{overturned[i]['accuser']}: at word {words[i]}", _holds(fair))

    def _ending(self) -> Finding:
        if self.final is None:
            void = self.number < self.head.clock.number or self.head.phase == Phase.VOID
            what = "void: the last model stays" if void else f"in {self.head.phase.name.lower()}"
            return Finding("end", what, Verdict.HOLDS if void else Verdict.RUNNING)
        version, name = self.final["args"]["version"], self.final["args"]["contentId"]
        model = self.client.model(version, self.head.block)
        if content_id(model) != name:
            return Finding("model", f"version {version} holds other bytes than became final", Verdict.WRONG)
        moved = np.abs(unpack_model(model, self.dimension) - unpack_model(self.base, self.dimension)).max()
        most = largest_move(self.params["clamp"], self.params["step"])
        if moved > most:
            return Finding("model", f"version {version} moved by {moved}, more than {most}", Verdict.WRONG)
        what = f"version {version}, 0x{name.hex()}, moved by {moved} of {most} at most"
        if isinstance(self.right, StorageError):
            return Finding("model", what, Verdict.UNCHECKABLE)
        return Finding("model", what, _holds(model == self.right.model))


def _holds(right: bool) -> Verdict:
    return Verdict.HOLDS if right else Verdict.WRONG
