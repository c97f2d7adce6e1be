"""How a desk trains. Its own choice: the protocol bounds what comes out, not how it came about."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from fedvol.errors import ConfigError
from fedvol.learning.privacy import Privacy

_MAY_BE_ZERO = ("proximal", "smoothing")


@dataclass(frozen=True)
class Settings:
    """Local training of one round.

    The defaults were tuned together with a federation step of 2 (times the mean update) on real quotes: with
    six desks that share no row, six rounds come near central training, and desks that all hold the same rows
    do not overshoot.

    Args:
        steps: Adam steps a round.
        learning_rate: of the first step, in weight units; falls linearly to zero.
        huber_points: misfit in vol points beyond which a row pulls with constant force.
        proximal: pull back to the round's weights, in vol points² per weight unit². Rows that say little
            about a weight lose against it.
        smoothing: pull of neighbouring levels towards each other where a desk's rows leave gaps, same unit.
        few_rows: a desk whose rows weigh less than this in sum pulls in proportion.
        clip: longest move of a round, L2 in weight units.
        max_rows: at most this many rows, drawn by the seed, are used in a round; bounds its time.
        privacy: trains by `fedvol.learning.private` under this budget instead; None trains without noise.

    Raises:
        ConfigError: a value with which training means nothing.
    """

    steps: int = 40
    learning_rate: float = 0.05
    huber_points: float = 4.0
    proximal: float = 40.0
    smoothing: float = 5.0
    few_rows: float = 20.0
    clip: float = 2.0
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
