"""What a round comes to: which vectors count, their bytes, the new model. Proposer, watchtower and audit share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from fedvol.chain.federation import Ballot, FederationClient, Reveal, Snapshot
from fedvol.errors import FedvolError, StorageError
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import WORD_BYTES, content_id, pack_model, unpack_model, vector_bytes
from fedvol.storage import Storage

log = structlog.get_logger()


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

    @property
    def tuple(self) -> tuple[str, bytes, bytes, bytes]:
        return self.node, self.annex, self.salt, self.data


@dataclass(frozen=True)
class Aggregate:
    """A round's new model, and the vectors that it follows from, by rising address."""

    model: bytes
    vectors: tuple[Vector, ...]

    @property
    def calldata(self) -> list[tuple[str, bytes, bytes, bytes]]:
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

    def learn(self, number: int, data: bytes) -> None:
        """Takes bytes of a round that the caller has from elsewhere."""
        self._turn_to(number)
        self._held[content_id(data)] = data

    def of(self, reveals: Iterable[Reveal], number: int, until_block: int) -> dict[str, bytes | StorageError]:
        """Each node's bytes, or why they cannot be had. Bytes that only the chain has are pinned."""
        self._turn_to(number)
        answered: dict[str, bytes] | None = None
        found: dict[str, bytes | StorageError] = {}
        for reveal in reveals:
            name = reveal.content_id
            if name not in self._held:
                try:
                    self._held[name] = self._storage.get(name)
                except StorageError as error:
                    if answered is None:
                        answered = self._client.answered(number, until_block)
                    if content_id(answered.get(reveal.node, b"")) != name:
                        found[reveal.node] = error
                        continue
                    self._held[name] = answered[reveal.node]
                    if self._pins:
                        self._pin(answered[reveal.node])
            found[reveal.node] = self._held[name]
        return found

    def _turn_to(self, number: int) -> None:
        if number != self._round:
            self._round, self._held = number, {}

    def _pin(self, data: bytes) -> None:
        try:
            self._storage.put(data)
        except StorageError as error:
            log.warning("answered bytes are not pinned", why=error.message)


def counted(reveals: Iterable[Reveal], ballots: Mapping[str, Ballot], number: int) -> list[Reveal]:
    """The reveals that enter the aggregate, by rising address. Only final once answering is over."""
    return sorted((r for r in reveals if ballots[r.node].counts(number)), key=lambda r: int(r.node, 16))


def aggregate(
    model: bytes, rule: Rule, reveals: Sequence[Reveal], found: Mapping[str, bytes | StorageError], dimension: int
) -> Aggregate:
    """The new model of the counted `reveals` on top of the round's model.

    Raises:
        StorageError: bytes that cannot be had or cannot be a vector, naming whose: without them nobody knows the model.
        NothingToPropose: no reveal counts.
    """
    length = vector_bytes(dimension, rule.weighted)
    missing = [r.node for r in reveals if not is_vector(found[r.node], length)]
    if missing:
        first = found[missing[0]]
        why = (
            f"fetched: {first.message}"
            if isinstance(first, StorageError)
            else f"used: {len(first)} bytes, not {length}."
        )
        raise StorageError(
            f"The revealed bytes of {', '.join(missing)} cannot be {why}",
            "The node tries again until the round ends; whoever revealed them must pin them.",
        )
    if not reveals:
        raise NothingToPropose("No revealed vector counts.", "The round ends void; the last model stays.")
    vectors = tuple(Vector(r.node, r.annex, r.salt, found[r.node]) for r in reveals)
    new = apply(rule, unpack_model(model, dimension), [vector.data for vector in vectors])
    return Aggregate(pack_model(new), vectors)


def aggregate_now(
    client: FederationClient, source: Bytes, s: Snapshot, dimension: int, confirmations: int
) -> Aggregate:
    """The running round's aggregate; answering is over.

    Raises:
        StorageError, NothingToPropose: see `aggregate`.
        NotDeepEnough: the last reveals are not `confirmations` deep yet.
    """
    until = s.block - confirmations
    reveals = client.reveals(s.clock.number, until)
    chosen = counted(reveals, client.ballots([r.node for r in reveals], s.block), s.clock.number)
    if len(chosen) != s.clock.revealed:
        raise NotDeepEnough(
            f"{len(chosen)} of {s.clock.revealed} reveals of round {s.clock.number} are {confirmations} blocks deep.",
            "Wait for the next block.",
        )
    return aggregate(
        client.model(s.version, s.block),
        Rule.from_params(s.params),
        chosen,
        source.of(chosen, s.clock.number, s.block),
        dimension,
    )


def is_vector(data: bytes | StorageError, length: int) -> bool:
    """Whether these are bytes, and as many as a vector has."""
    return not isinstance(data, StorageError) and len(data) == length


def first_wrong_word(given: bytes, right: bytes) -> int | None:
    """The first word in which two models differ."""
    words = range(0, max(len(given), len(right)), WORD_BYTES)
    return next((i // WORD_BYTES for i in words if given[i : i + WORD_BYTES] != right[i : i + WORD_BYTES]), None)
