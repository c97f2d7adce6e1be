"""The methods side by side: each learns from a snapshot's training half, and prices what it did not see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.federation import Nodes
from fedvol.lab.replay.baselines import Smiles
from fedvol.lab.replay.snapshots import Snapshot
from fedvol.learning.evaluate import flat_vol
from fedvol.learning.head import private_head
from fedvol.learning.model import Before, Model, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings

Floats = NDArray[np.float64]

FIRST_ROUNDS = 15
"""Rounds of the first snapshot, which starts from the initial weights."""


class Walker(ABC):
    """Learns one snapshot after the other."""

    @abstractmethod
    def learn(self, at: Snapshot) -> None:
        """Takes in a snapshot's training half."""

    @abstractmethod
    def vols(self, rows: Rows) -> Floats:
        """Prices rows with what was learned last."""

    def moved_vols(self, rows: Rows, now: Snapshot) -> Floats:
        """The same where the index and the vol index of a later snapshot are public."""
        return self.vols(rows)


class Flat(Walker):
    """One vol for everything: the weighted mean of the training rows."""

    def learn(self, at: Snapshot) -> None:
        self._vol = flat_vol(at.pooled)

    def vols(self, rows: Rows) -> Floats:
        return np.full(len(rows), self._vol)


class PooledSmiles(Walker):
    """A smile for each expiry on everybody's training rows."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def learn(self, at: Snapshot) -> None:
        self.smiles = Smiles(self._kind, at.pooled)

    def vols(self, rows: Rows) -> Floats:
        return self.smiles.vols(rows)


class LagQuadratic(Walker):
    """The last snapshot's quadratics, on all of its rows, held ones included: what a desk quotes from that recalibrates
    as often as the federation."""

    def learn(self, at: Snapshot) -> None:
        self._smiles = Smiles("quadratic", Rows.joined([at.pooled, at.held]))

    def vols(self, rows: Rows) -> Floats:
        return self._smiles.vols(rows)


class Surface(Walker):
    """A chain of versions of the model, each trained from the last.

    Args:
        advance: (weights, opening, snapshot) → the next weights; called `rounds` times a snapshot.
        first: rounds of the first snapshot, which starts from the initial weights.
        nodes: who trains it, where it is a federation.
    """

    def __init__(
        self,
        model: Model,
        advance: Callable[[NDArray[np.int64], Opening, Snapshot], NDArray[np.int64]],
        rounds: int,
        first: int = FIRST_ROUNDS,
        nodes: Nodes | None = None,
    ) -> None:
        self.model, self.nodes, self._advance, self._rounds, self._first = model, nodes, advance, rounds, first
        self.weights = model.initial_weights()
        self._at: Snapshot | None = None

    @property
    def as_of(self) -> int:
        return self._at.as_of

    def learn(self, at: Snapshot) -> None:
        before, rounds = None, self._first
        if self._at is not None:
            floats = self.model.spec.to_float(self.weights)
            before, rounds = Before(floats, self._at.as_of, moves(self._at, at)), self._rounds
            self.weights = self.model.carry(self.weights, self._at.as_of, at.as_of)
        for number in range(rounds):
            # What the state did to the version in force is learned once.
            self.weights = self._advance(self.weights, Opening(at.as_of, before if number == 0 else None), at)
        self._at = at

    def vols(self, rows: Rows) -> Floats:
        return self._priced(rows, 1.0)

    def moved_vols(self, rows: Rows, now: Snapshot) -> Floats:
        g = self.model.clocks(self.model.spec.to_float(self.weights), moves(self._at, now))
        return self._priced(rows, g[rows.market])

    def headed_vols(self, rows: Rows, own: Rows) -> Floats:
        """Prices rows after one more training on a desk's own, which never leaves it."""
        head = private_head(self.model, self.weights, Opening(self.as_of), own)
        return self.model.implied_vol(head, self.as_of, rows.market, rows.k, rows.expiry)

    def _priced(self, rows: Rows, g: Floats | float) -> Floats:
        weights = self.model.spec.to_float(self.weights)
        return self.model.implied_vol(weights, self.as_of, rows.market, rows.k, rows.expiry, g)


def federated(model: Model, nodes: Nodes, rounds: int, after: Surface | None = None) -> Surface:
    """A federation's surface. `after`: that of another with as many nodes; this one goes on where it stands."""
    surface = Surface(model, lambda weights, opening, at: nodes.round(weights, opening, at.desks), rounds, nodes=nodes)
    if after is not None:
        surface.weights, surface._at, nodes.number = after.weights, after._at, after.nodes.number
    return surface


def alone(model: Model, rows_of: Callable[[Snapshot], Rows], rounds: int, settings: Settings | None = None) -> Surface:
    """Somebody with these rows and as many rounds; given everybody's, it is central training."""
    settings = settings or Settings()

    def advance(weights: NDArray[np.int64], opening: Opening, at: Snapshot) -> NDArray[np.int64]:
        start = model.spec.to_float(weights)
        return model.spec.to_fixed(model.train(start, opening, rows_of(at), bytes(32), settings))

    return Surface(model, advance, rounds)


def moves(then: Snapshot, now: Snapshot) -> Floats:
    """`Before.moves` between two snapshots; 0 where either tells nothing."""
    found = np.stack([np.log(now.vol_index / then.vol_index), np.log(now.index / then.index)], axis=1)
    return np.where(np.isfinite(found), found, 0.0)
