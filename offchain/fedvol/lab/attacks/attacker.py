"""Some of the nodes in the hands of one attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedvol.errors import ConfigError
from fedvol.lab.attacks.base import Attack, Scene
from fedvol.lab.engine import Job
from fedvol.learning.contribution import Contribution
from fedvol.learning.model import Integers
from fedvol.learning.rows import Rows

if TYPE_CHECKING:
    from fedvol.lab.federation import Nodes


class Attacker:
    """Args:
    share: of `count` nodes that are hostile, below one half; rounded to the nearest number, drawn by the seed. A larger
        share of the same seed holds the smaller ones.
    rounds: of the whole run. begins: rounds for which they are honest first, unless the attack is of those too.

    Raises:
        ConfigError: a share that leaves no honest majority.
    """

    def __init__(self, attack: Attack, share: float, count: int, seed: int, rounds: int, begins: int = 0) -> None:
        if not 0 <= share < 0.5:
            raise ConfigError(f"A share of {share:g} hostile nodes is no minority.", "Choose 0 to 0.49.")
        self.attack = attack
        order = np.random.default_rng([seed, count]).permutation(count)
        self.hostile = tuple(sorted(order[: round(share * count)].tolist()))
        self._draws = np.random.default_rng([seed, count, 1])
        self._rounds, self._begins = rounds, 0 if attack.from_the_start else begins
        self._before: Integers | None = None

    def poisoned(self, nodes: Nodes, job: Job, desks: Sequence[Rows]) -> list[Rows]:
        """What each node trains on."""
        if nodes.number <= self._begins:
            return list(desks)
        return [self.attack.rows(job, rows) if node in self.hostile else rows for node, rows in enumerate(desks)]

    def tampered(self, nodes: Nodes, job: Job, sent: dict[int, Contribution]) -> dict[int, Contribution]:
        """What each node sends."""
        before = job.weights if self._before is None else self._before
        self._before = job.weights
        here = [node for node in self.hostile if node in sent]
        if not here or len(here) == len(sent) or nodes.number <= self._begins:
            return sent
        scene = Scene(nodes, job, sent, here, before, nodes.number / self._rounds, self._draws)
        theirs = {node: self.attack.send(scene, node) for node in here}
        return {
            node: own if node not in theirs else scene.limited(theirs[node])
            for node, own in sent.items()
            if theirs.get(node, own) is not None
        }
