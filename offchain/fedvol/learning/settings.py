"""How a desk trains. Its own choice: the protocol bounds what comes out, not how it came about."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from fedvol.errors import ConfigError
from fedvol.learning.privacy import Privacy

_MAY_BE_ZERO = ("damping",)


@dataclass(frozen=True)
class Settings:
    """Local training of one round.

    The defaults were tuned on real quotes; see docs/model.md.

    Args:
        steps: of Levenberg and Marquardt a round.
        damping: of the first step, in rows that move one to one with a weight.
        prior: pull back to the round's weights, same unit. Rows that say little about a weight lose against it.
        huber_points: misfit in vol points beyond which a row pulls with constant force.
        clip: longest move of a round, L2 in weight units.
        max_rows: at most this many rows, drawn by the seed, are used in a round; bounds its time.
        privacy: trains by `fedvol.learning.private` under this budget instead; None trains without noise.

    Raises:
        ConfigError: a value with which training means nothing.
    """

    steps: int = 3
    damping: float = 1e-4
    prior: float = 4e-4
    huber_points: float = 4.0
    clip: float = 8.0
    max_rows: int = 4096
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "privacy":
                continue
            if not math.isfinite(value) or value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                raise ConfigError(
                    f"Training with {field.name} = {value} means nothing.", "Use a positive, finite number."
                )
