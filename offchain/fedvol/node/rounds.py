"""What a round comes to: which vectors count, their bytes, the new model. Proposer, watchtower and audit share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import structlog

from fedvol.chain.federation import Ballot, FederationClient, Reveal, Snapshot, Unmasking
from fedvol.chain.versions import start_of
from fedvol.errors import FedvolError, StorageError
from fedvol.protocol import cluster
from fedvol.protocol.cluster import ClusterSum, Member
from fedvol.protocol.roll import Roll
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import WORD_BYTES, content_id, pack_model, unpack_model, vector_bytes
from fedvol.storage import Storage
from fedvol.storage.base import shown

log = structlog.get_logger()


AT_ONCE = 8
LONGEST = 30.0
"""Objects that are asked for at once, and seconds for which a cycle waits for them at most."""


class NothingToPropose(FedvolError):
    """A round in which no revealed vector counts."""


class NotDeepEnough(FedvolError):
    """Reveals that a reorganisation may still change."""


@dataclass(frozen=True)
class Vector:
    """As `ISettlement.Vector`: a node's bytes, and what opens its commitment with them."""

    node: str
    annex: bytes
    salt: bytes
    data: bytes
    keys: tuple[bytes, ...] = ()

    @property
    def tuple(self) -> tuple[str, bytes, bytes, bytes, tuple[bytes, ...]]:
        return self.node, self.annex, self.salt, self.data, self.keys


@dataclass(frozen=True)
class Aggregate:
    """A round's new model, the one it starts from, and the vectors that it follows from, by rising address. Of a masked
    round also `sums`, those of its clusters, and `voids`, what the proposer must claim of those that are none."""

    model: bytes
    start: bytes
    vectors: tuple[Vector, ...]
    voids: int = 0
    sums: Mapping[int, ClusterSum] = field(default_factory=dict)

    @property
    def calldata(self) -> list[tuple[Any, ...]]:
        """As the settlement contract takes them."""
        return [vector.tuple for vector in self.vectors]


class Bytes:
    """The bytes behind a round's reveals: from storage, or as answered on chain. Kept while the round runs."""

    def __init__(self, client: FederationClient, storage: Storage, *, pin: bool = True) -> None:
        self._client = client
        self._storage = storage
        self._pins = pin
        self._round = 0
        self._held: dict[bytes, bytes] = {}
        self._asked: dict[bytes, Future[bytes]] = {}
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    def learn(self, number: int, data: bytes) -> None:
        """Takes bytes of a round that the caller has from elsewhere."""
        self._turn_to(number)
        self._held[content_id(data)] = data

    def fetch(self, name: bytes) -> bytes:
        """Another object of the round.

        Raises:
            StorageError: it cannot be had.
        """
        if name not in self._held:
            self._held[name] = self._storage.get(name)
        return self._held[name]

    def of(
        self, reveals: Sequence[Reveal], number: int, until_block: int, seconds: float = LONGEST
    ) -> dict[str, bytes | StorageError]:
        """Each node's bytes, or why they cannot be had. Bytes that only the chain has are pinned.

        Args:
            seconds: for which storage may keep the caller waiting, in all; what comes later is there the next time.
        """
        self._turn_to(number)
        failed = self._fetch([r.content_id for r in reveals], seconds)
        answered: dict[str, bytes] | None = None
        found: dict[str, bytes | StorageError] = {}
        for reveal in reveals:
            name = reveal.content_id
            if name not in self._held:
                if answered is None:
                    answered = self._client.answered(number, until_block)
                if content_id(answered.get(reveal.node, b"")) != name:
                    found[reveal.node] = failed[name]
                    continue
                self._held[name] = answered[reveal.node]
                if self._pins:
                    self._workers.submit(self._pin, answered[reveal.node])
            found[reveal.node] = self._held[name]
        return found

    def _fetch(self, names: Iterable[bytes], seconds: float) -> dict[bytes, StorageError]:
        """Asks for all that is not held, at once. Returns what cannot be had, or not yet."""
        wanted = {name for name in names if name not in self._held}
        for name in wanted - self._asked.keys():
            self._asked[name] = self._workers.submit(self._storage.get, name)
        wait([self._asked[name] for name in wanted], timeout=seconds)
        failed: dict[bytes, StorageError] = {}
        for name in wanted:
            if not self._asked[name].done():
                failed[name] = StorageError(f"{shown(name)} has not come within {seconds:g} s.", "It may still come.")
                continue
            try:
                self._held[name] = self._asked.pop(name).result()
            except StorageError as error:
                failed[name] = error
        return failed

    def _turn_to(self, number: int) -> None:
        if number != self._round:
            self._round, self._held, self._asked = number, {}, {}

    def _pin(self, data: bytes) -> None:
        try:
            self._storage.put(data)
        except StorageError as error:
            log.warning("answered bytes are not pinned", why=error.message)


def counted(reveals: Iterable[Reveal], ballots: Mapping[str, Ballot], number: int) -> list[Reveal]:
    """The reveals that enter the aggregate, by rising address. Only final once answering is over."""
    return sorted((r for r in reveals if ballots[r.node].counts(number)), key=lambda r: int(r.node, 16))


def require_bytes(reveals: Sequence[Reveal], found: Mapping[str, bytes | StorageError], length: int) -> None:
    """Raises StorageError where bytes cannot be had or cannot be a vector, naming whose."""
    missing = [r.node for r in reveals if not is_vector(found[r.node], length)]
    if not missing:
        return
    first = found[missing[0]]
    why = f"fetched: {first.message}" if isinstance(first, StorageError) else f"used: {len(first)} bytes, not {length}."
    raise StorageError(
        f"The revealed bytes of {', '.join(missing)} cannot be {why}",
        "The node tries again until the round ends; whoever revealed them must pin them.",
    )


def aggregate(
    model: bytes, rule: Rule, reveals: Sequence[Reveal], found: Mapping[str, bytes | StorageError], dimension: int
) -> Aggregate:
    """The new model of the counted `reveals` on top of the round's model.

    Raises:
        StorageError: bytes that cannot be had or cannot be a vector, naming whose: without them nobody knows the model.
        NothingToPropose: no reveal counts.
    """
    require_bytes(reveals, found, vector_bytes(dimension, rule.weighted))
    if not reveals:
        raise NothingToPropose("No revealed vector counts.", "The round ends void; the last model stays.")
    vectors = tuple(Vector(r.node, r.annex, r.salt, found[r.node]) for r in reveals)
    new = apply(rule, unpack_model(model, dimension), [vector.data for vector in vectors])
    return Aggregate(pack_model(new), model, vectors)


def aggregate_masked(
    model: bytes, rule: Rule, vectors: Sequence[Vector], seats: Mapping[str, int], roll: Roll, dimension: int
) -> Aggregate:
    """Likewise of a masked round.

    Args:
        vectors: of all survivors of open clusters, by rising address, with what they opened.
        seats: theirs.

    Raises:
        WireError: more clusters have no sum than can be claimed.
        NothingToPropose: no cluster is open.
    """
    if not vectors:
        raise NothingToPropose("No cluster was unmasked.", "The round ends void; the last model stays.")
    groups: dict[int, list[Member]] = {}
    for v in vectors:
        groups.setdefault(seats[v.node] // roll.m, []).append(Member(seats[v.node] % roll.m, v.data, v.keys))
    sums = {k: cluster.unmask(members, roll.missing_in(k)) for k, members in sorted(groups.items())}
    good = [s for s in sums.values() if s.void_word is None]
    new = cluster.apply(rule, roll.m, unpack_model(model, dimension), good)
    return Aggregate(pack_model(new), model, tuple(vectors), cluster.claims_of(sums), sums)


def aggregate_now(
    client: FederationClient, source: Bytes, s: Snapshot, dimension: int, confirmations: int
) -> Aggregate:
    """The running round's aggregate; answering, and unmasking, are over.

    Raises:
        StorageError, NothingToPropose: see `aggregate`.
        NotDeepEnough: the last reveals, or unmaskings, are not `confirmations` deep yet.
    """
    until, number = s.block - confirmations, s.clock.number
    reveals = client.reveals(number, until)
    ballots = client.ballots([r.node for r in reveals], s.block)
    chosen = counted(reveals, ballots, number)
    if s.roll is not None:
        chosen = [r for r in chosen if s.roll.is_open(ballots[r.node].seat // s.roll.m)]
    expected = s.clock.revealed if s.roll is None else survivors(s.roll)
    shown = client.unmaskings(number, until) if s.roll is not None else {}
    if len(chosen) != expected or (s.roll is not None and not {r.node for r in chosen} <= shown.keys()):
        raise NotDeepEnough(
            f"{len(chosen)} of {expected} reveals of round {number} are {confirmations} blocks deep.",
            "Wait for the next block.",
        )
    model, rule = start_of(client, s.version, s.proposal.opened_at, s.block), Rule.from_params(s.params)
    found = source.of(chosen, number, s.block, patience(s))
    if s.roll is None:
        return aggregate(model, rule, chosen, found, dimension)
    seats = {r.node: ballots[r.node].seat for r in chosen}
    return aggregate_masked(
        model, rule, masked_vectors(chosen, found, shown, rule, dimension), seats, s.roll, dimension
    )


def patience(s: Snapshot) -> float:
    """Seconds for which storage may keep a node waiting in the running phase."""
    return min(LONGEST, max(0.5, (s.ends_at - s.time) / 8))


def survivors(roll: Roll) -> int:
    """Nodes whose vectors enter the aggregate of a masked round."""
    return sum(len(roll.survivors(k)) for k in roll.clusters if roll.is_open(k))


def masked_vectors(
    reveals: Sequence[Reveal],
    found: Mapping[str, bytes | StorageError],
    shown: Mapping[str, Unmasking],
    rule: Rule,
    dimension: int,
) -> list[Vector]:
    """The vectors of survivors of open clusters, with what they opened.

    Raises:
        StorageError: bytes that cannot be had or cannot be a vector.
    """
    require_bytes(reveals, found, vector_bytes(dimension, rule.weighted))
    return [Vector(r.node, r.annex, r.salt, found[r.node], shown[r.node].keys) for r in reveals]


def is_vector(data: bytes | StorageError, length: int) -> bool:
    """Whether these are bytes, and as many as a vector has."""
    return not isinstance(data, StorageError) and len(data) == length


def first_wrong_word(given: bytes, right: bytes) -> int | None:
    """The first word in which two models differ."""
    words = range(0, max(len(given), len(right)), WORD_BYTES)
    return next((i // WORD_BYTES for i in words if given[i : i + WORD_BYTES] != right[i : i + WORD_BYTES]), None)
