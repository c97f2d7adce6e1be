"""Poisoned updates: what is sent was made by no training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from fedvol.lab.attacks.base import Attack, Floats, Scene
from fedvol.learning.contribution import Contribution


class SignFlip(Attack):
    """The own move, turned around, at its honest weights.

    Source: Li et al., "RSA: Byzantine-robust stochastic aggregation", arXiv:1811.03761.
    """

    name: ClassVar[str] = "sign-flip"
    source: ClassVar[str] = "arXiv:1811.03761"

    def send(self, scene: Scene, node: int) -> Contribution:
        moves, weights = scene.sent[node]
        return -moves, weights


class Scaled(Attack):
    """The own move, turned around, and as long and as sure as can be sent.

    Source: the model replacement of Bagdasaryan et al., "How to backdoor federated learning", arXiv:1807.00459.
    """

    name: ClassVar[str] = "scaled"
    source: ClassVar[str] = "arXiv:1807.00459"
    times = 50.0

    def send(self, scene: Scene, node: int) -> Contribution:
        return scene.vector(-self.times * scene.asked(scene.sent[node]))


class _Tuned(Attack):
    """All hostile nodes send one vector, the one of some candidates that moves the model most under the rule at hand,
    and that the engine takes.

    Source: Shejwalkar, Houmansadr, "Manipulating the Byzantine", NDSS 2021; ByzFL tunes its attacks alike,
    arXiv:2505.24802.
    """

    def __init__(self) -> None:
        self._made: tuple[int, Contribution] | None = None

    @abstractmethod
    def candidates(self, scene: Scene) -> Iterable[Floats]:
        """Moves to try."""

    def send(self, scene: Scene, node: int) -> Contribution:
        if self._made is None or self._made[0] != scene.nodes.number:
            vectors = [scene.vector(move) for move in self.candidates(scene)]
            self._made = scene.nodes.number, max(vectors, key=scene.damage)
        return self._made[1]


class ALittleIsEnough(_Tuned):
    """The honest mean, less some standard deviations: few enough to hide among honest nodes.

    Source: Baruch, Baruch, Goldberg, "A little is enough", arXiv:1902.06156.
    """

    name: ClassVar[str] = "alie"
    source: ClassVar[str] = "arXiv:1902.06156"
    factors = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)

    def candidates(self, scene: Scene) -> Iterable[Floats]:
        return [scene.mean - factor * scene.deviation for factor in self.factors]


class InnerProduct(_Tuned):
    """The honest mean, turned around and stretched.

    Source: Xie, Koyejo, Gupta, "Fall of empires: breaking Byzantine-tolerant SGD by inner product manipulation",
    arXiv:1903.03936.
    """

    name: ClassVar[str] = "ipm"
    source: ClassVar[str] = "arXiv:1903.03936"
    factors = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

    def candidates(self, scene: Scene) -> Iterable[Floats]:
        return [-factor * scene.mean for factor in self.factors]


class MinMax(_Tuned):
    """The honest mean, pushed along one direction until it would lie farther from an honest move than those do from
    each other.

    Source: Shejwalkar, Houmansadr, "Manipulating the Byzantine", NDSS 2021.
    """

    name: ClassVar[str] = "min-max"
    source: ClassVar[str] = "NDSS 2021"

    def candidates(self, scene: Scene) -> Iterable[Floats]:
        mean, moves = scene.mean, scene.moves
        pairs = moves[:, None] - moves[None]
        most = float(np.sqrt((pairs**2).sum(axis=2).max()))
        for direction in (-scene.deviation, -np.sign(mean), -mean):
            length = np.linalg.norm(direction)
            if length > 0:
                yield mean + self.farthest(mean, moves, direction / length, most) * direction / length

    @staticmethod
    def farthest(mean: Floats, moves: Floats, direction: Floats, most: float) -> float:
        """The largest step along a unit vector that stays within `most` of every move: of each, a root of a
        quadratic."""
        apart = mean - moves
        along, square = apart @ direction, (apart**2).sum(axis=1)
        inside = along**2 - square + most**2
        return max(0.0, float((-along + np.sqrt(np.maximum(inside, 0.0))).min()))


class Mimic(Attack):
    """All copy one honest node, the one that differs most from the others, for the whole run: no vector is odd, and the
    federation hears one desk many times.

    Source: Karimireddy, He, Jaggi, "Byzantine-robust learning on heterogeneous datasets via bucketing",
    arXiv:2006.09365.
    """

    name: ClassVar[str] = "mimic"
    source: ClassVar[str] = "arXiv:2006.09365"

    def __init__(self) -> None:
        self._victim: int | None = None

    def send(self, scene: Scene, node: int) -> Contribution:
        if self._victim not in scene.honest:
            apart = scene.moves - scene.moves.mean(axis=0)
            _, _, axes = np.linalg.svd(apart, full_matrices=False)
            self._victim = scene.honest[int(np.argmax(np.abs(apart @ axes[0])))]
        return scene.sent[self._victim]
