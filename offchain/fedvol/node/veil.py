"""How a node masks: with whom, under which keys, and when it may open what."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import structlog

from fedvol.chain.federation import LATEST_EPOCH, FederationClient, Phase, Snapshot
from fedvol.errors import FedvolError
from fedvol.node.journal import Journal, Masks
from fedvol.node.maskkeys import MaskKeys
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import Point, is_on_curve
from fedvol.protocol.mask import pair_key
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.roll import least_survivors

log = structlog.get_logger()


class CannotMask(FedvolError):
    """A node that would show its update, as too few share masks with it."""


@dataclass(frozen=True)
class Peers:
    """The node's cluster in an epoch. `points`: keys by place, (0, 0) where there is none; `secret`: the node's own."""

    seat: int
    m: int
    nodes: tuple[str, ...]
    points: tuple[Point, ...]
    secret: int | None = field(repr=False)

    @property
    def place(self) -> int:
        return self.seat % self.m

    @property
    def masking(self) -> int:
        """Others in the cluster that share a mask with the node."""
        return sum(is_on_curve(p) for j, p in enumerate(self.points) if j != self.place)


class Veil:
    """The masks of one account in one federation."""

    def __init__(self, client: FederationClient, account: str, keys: MaskKeys, journal: Journal, depth: int) -> None:
        self._client = client
        self._account = account
        self._keys = keys
        self._journal = journal
        self._depth = depth
        self._peers: tuple[tuple[int, ...], Peers] | None = None
        self._latest: tuple[int, bool] = (-1, False)
        self._said: tuple[int, str] | None = None

    # ------------------------------------------------------------------ keys

    def needs_key(self, s: Snapshot) -> bool:
        """Whether a key is due: there is none (in a plain federation too: it may become a masked one); or, in a masked
        one, the last is in use already, or its secret is lost."""
        since = s.node.key_since
        if since == 0 or not s.masked or (s.clock.number and since <= s.clock.epoch_start):
            return since == 0 or s.masked
        if self._latest[0] != since:
            self._latest = since, self._keys.secret(self._point(LATEST_EPOCH, s.block)) is not None
        return not self._latest[1]

    def new_key(self, s: Snapshot) -> Point:
        """A key to register, its secret on disk: one whose registration has not arrived, else a new one."""
        latest = self._point(LATEST_EPOCH, s.block) if s.node.key_since else None
        return self._keys.spare(latest) or self._keys.create()

    def forget(self, s: Snapshot, point: Point) -> None:
        """Once `point` is registered: deletes the keys of past epochs, and the masks that came of them."""
        self._keys.forget_all_but({self._point(s.clock.epoch_start, s.block), point})
        self._journal.forget_masks(s.clock.epoch_start)

    def _point(self, epoch: int, block: int) -> Point:
        return self._client.keys([self._account], epoch, block)[self._account]

    # ------------------------------------------------------------------ masks

    def can_mask(self, s: Snapshot) -> bool:
        """Whether the node may commit in this round; says once why not."""
        if s.roll is None or s.phase != Phase.COMMIT or s.node.seat is None or s.node.seat >= s.clock.selected:
            return True
        if self._journal.masks(s.clock.number, s.clock.seed) is not None:
            return True
        try:
            self._checked(s)
        except CannotMask as error:
            if self._said != (s.clock.number, error.message):
                self._said = s.clock.number, error.message
                log.error("sits out", number=s.clock.number, why=error.message)
            return False
        return True

    def masks(self, s: Snapshot) -> Masks:
        """The node's keys of this round: made once, and from then on what the journal holds.

        Raises:
            CannotMask: too few peers share masks with it, or its own secret is gone.
        """
        number, seed = s.clock.number, s.clock.seed
        known = self._journal.masks(number, seed)
        if known is not None:
            return known
        peers = self._checked(s)
        where = RoundId(self._client.deployment.chain_id, self._client.federation.address, number, seed)
        first = peers.seat - peers.place
        pairs = tuple(
            0 if j == peers.place else pair_key(peers.secret, point, where, peers.seat, first + j)
            for j, point in enumerate(peers.points)
        )
        own = 1 + secrets.randbelow(FIELD - 1)
        return self._journal.keep_masks(Masks(number, seed, peers.place, own, pairs))

    def may_open(self, s: Snapshot) -> bool:
        """Whether the node is due to unmask, for survivors that are certain, and the only ones it ever opened for."""
        node = s.node
        if s.phase != Phase.UNMASK or node.ballot_round != s.clock.number or not s.roll.must_unmask(node.seat):
            return False
        masks = self._journal.masks(s.clock.number, s.clock.seed)
        if masks is None:
            return False
        if masks.opened_for not in (None, s.roll.missing):
            if self._said != (s.clock.number, "opened"):
                self._said = s.clock.number, "opened"
                log.error(
                    "does not unmask", number=s.clock.number, why="it has, for other survivors: the chain was undone"
                )
            return False
        return self._client.missing_at(s.block - max(1, self._depth)) == (s.clock.number, s.roll.missing)

    def _checked(self, s: Snapshot) -> Peers:
        peers = self.peers(s)
        if peers.secret is None:
            raise CannotMask("This node has no key that holds in this epoch.", "It has registered one for the next.")
        least = least_survivors(peers.m) - 1
        if peers.masking < least:
            raise CannotMask(
                f"{peers.masking} of the cluster share a mask with this node, {least} must.", "They need keys, too."
            )
        return peers

    def peers(self, s: Snapshot) -> Peers:
        """The node's cluster in the epoch of a running masked round, in which it has a seat."""
        epoch, seat, m = s.clock.epoch_start, s.node.seat, s.roll.m
        # By the round's seed, too: a reorganisation may have drawn the epoch anew.
        known = (epoch, seat, s.clock.seed)
        if self._peers is None or self._peers[0] != known:
            first = seat - seat % m
            nodes = self._peers[1].nodes if self._peers is not None else ()
            if list(self._client.seats(nodes, s.block).values()) != list(range(first, first + m)):
                seated = self._client.seated(s.members, s.block)
                nodes = tuple(seated[first + j] for j in range(m))
            found = self._client.keys(list(nodes), epoch, s.block)
            points = tuple(found[node] for node in nodes)
            own = points[seat % m]
            secret = self._keys.secret(own) if is_on_curve(own) else None
            self._peers = known, Peers(seat, m, nodes, points, secret)
        return self._peers[1]
