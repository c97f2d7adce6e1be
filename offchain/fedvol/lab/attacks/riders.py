"""Who wants the model, or a reward, for nothing; and who comes late."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from fedvol.lab.attacks.base import Attack, Floats, Scene
from fedvol.learning.contribution import Contribution
from fedvol.learning.model import Integers


class _Rider(Attack):
    """Sends a move that needs no tape, as sure as the median of the others, so as to look like one of them."""

    @abstractmethod
    def move(self, scene: Scene) -> Floats:
        """In units of the wire, (d,)."""

    def send(self, scene: Scene, node: int) -> Contribution:
        return scene.vector(self.move(scene), self._usual(scene))

    @staticmethod
    def _usual(scene: Scene) -> Integers | None:
        return np.median(scene.sure, axis=0).astype(np.int64) if scene.job.rule.weighted else None


class ZeroRider(_Rider):
    """No move.

    Source: Fraboni, Vidal, Lorenzi, "Free-rider attacks on model aggregation in federated learning", arXiv:2006.11901.
    """

    name: ClassVar[str] = "rider-zero"
    source: ClassVar[str] = "arXiv:2006.11901"

    def move(self, scene: Scene) -> Floats:
        return np.zeros(scene.job.weights.size)


class NoiseRider(_Rider):
    """Noise as large as the last move of the public model.

    Source: Fraboni, Vidal, Lorenzi, arXiv:2006.11901 ("disguised free-riders").
    """

    name: ClassVar[str] = "rider-noise"
    source: ClassVar[str] = "arXiv:2006.11901"

    def move(self, scene: Scene) -> Floats:
        return scene.draws.normal(size=scene.job.weights.size) * np.abs(scene.job.weights - scene.before)


class ReplayRider(_Rider):
    """The last move of the public model once more.

    Source: Lin, Du, Liu, "Free-riders in federated learning: attacks and defenses", arXiv:1911.12560 ("delta
    weights").
    """

    name: ClassVar[str] = "rider-replay"
    source: ClassVar[str] = "arXiv:1911.12560"

    def move(self, scene: Scene) -> Floats:
        return (scene.job.weights - scene.before).astype(np.float64)


class LateJoiner(Attack):
    """Honest, and absent for the first half of the run: what a federation loses whose members come late.

    Source: asynchronous participation as in Yang et al., "Anarchic federated learning", arXiv:2108.09875.
    """

    name: ClassVar[str] = "late-joiner"
    source: ClassVar[str] = "arXiv:2108.09875"
    from_the_start: ClassVar[bool] = True

    def send(self, scene: Scene, node: int) -> Contribution | None:
        return scene.sent[node] if scene.progress > 0.5 else None
