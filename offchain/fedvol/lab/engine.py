"""How the participants of a round are trained; whatever the engine, they send the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

from fedvol.errors import ConfigError
from fedvol.learning import agreed
from fedvol.learning.contribution import Contribution, contribution
from fedvol.learning.model import Integers, Model, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.protocol.agreed import Limits
from fedvol.protocol.rule import Rule

EngineName = Literal["in-turn", "processes", "batched", "ray"]


@dataclass(frozen=True)
class Job:
    """What all participants of a round have in common.

    Args:
        weights: d fixed-point weights that the round starts from.
        limits: of rows, where all train by `fedvol.learning.agreed`, and `settings` do not count.
        norm: see `contribution`.
    """

    model: Model
    weights: Integers
    opening: Opening
    settings: Settings
    rule: Rule
    limits: Limits | None = None
    norm: int | None = None

    def send(self, rows: Rows, secret: bytes) -> Contribution:
        """What a participant with these rows sends."""
        if self.limits is not None:
            at = self.opening.as_of
            return agreed.update(self.model.spec, self.weights, at, rows, secret, self.limits, self.rule)
        return contribution(self.model, self.weights, self.opening, rows, secret, self.settings, self.rule, self.norm)


Parts = Sequence[tuple[Rows, bytes]]
"""Each participant's rows, and its secret of the round."""


class Engine(Protocol):
    def train(self, job: Job, parts: Parts) -> list[Contribution]:
        """What these participants send, in their order."""

    def close(self) -> None:
        """Ends what it has started. The end of this process does, too."""


class InTurn(Engine):
    """One after the other, in this process."""

    def train(self, job: Job, parts: Parts) -> list[Contribution]:
        return [job.send(rows, secret) for rows, secret in parts]


def engine(name: EngineName, workers: int | None = None) -> Engine:
    """The engine of a name; `workers` counts for processes.

    Raises:
        ConfigError: see `check`.
    """
    check(name)
    match name:
        case "processes":
            from fedvol.lab.engines.processes import Processes

            return Processes(workers)
        case "batched":
            from fedvol.lab.engines.batched import Batched

            return Batched()
        case "ray":
            from fedvol.lab.engines.on_ray import OnRay

            return OnRay()
    return InTurn()


def check(name: EngineName, special: bool = False) -> None:
    """Says before the work what an engine cannot do.

    Args:
        special: participants train by `fedvol.learning.agreed`, or under a budget of privacy.

    Raises:
        ConfigError: Ray is not installed; or a training that cannot be batched.
    """
    if name == "ray" and find_spec("ray") is None:
        raise ConfigError("The engine ray needs Ray, which is not installed.", "pip install 'fedvol[ray]'")
    if name == "batched" and special:
        raise ConfigError("Agreed or private training cannot be batched.", "Use the engine processes.")
