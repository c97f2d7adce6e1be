"""How much one trade may show: a budget of differential privacy, and what each round takes from it.

The unit is one row of a desk's tape, there or not there. A round adds Gaussian noise to sums of clipped row gradients
(Abadi et al., "Deep Learning with Differential Privacy", 2016); rounds compose by their privacy loss distributions
(Koskela, Jälkö, Honkela 2020; Google's dp-accounting), which bounds epsilon from above and tightly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fedvol.errors import ConfigError

if TYPE_CHECKING:
    from dp_accounting.dp_event import DpEvent

UNIT = "one trade"

LARGEST_DELTA = 1e-3
FASTEST, FASTEST_ROUNDS = 0.5, 12
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Charge:
    """What one round gave away, whoever looks: all that its cost depends on.

    Attributes:
        steps: noisy sums.
        rate: probability with which each row is in a sum.
        noise: standard deviation of the noise, in the most that one row can add to a sum (its clip).
        weights_noise: the same of one more sum of all rows, which earlier versions made weight lanes of; 0 where none.
    """

    steps: int
    rate: float
    noise: float
    weights_noise: float = 0.0


@dataclass(frozen=True)
class Privacy:
    """A budget, and how local training keeps it. Every value is public: none may be chosen by looking at the tape.

    The defaults were tuned at epsilon 2 over 12 rounds on real quotes of six desks, some 140 rows each;
    benchmarks/README.md says which, and judges on others.

    Args:
        epsilon: the most that one trade may change the odds of anything anybody sees, as a logarithm, over all rounds.
        delta: probability with which that may fail; far below one over the number of trades.
        rounds: over which the budget is spread evenly. Give this or `noise`.
        noise: standard deviation of the noise in units of `clip`. The budget then lasts as long as it lasts.
        steps: noisy steps a round.
        rate: probability with which each row is in a step, (0, 1].
        clip: longest pull of one row, L2, in vol points, in the coordinates of `fedvol.learning.private.evened`.
        batch: rows that are taken to curve the misfit, whatever their true number: about as many as a busy desk of the
            federation is known to have in its window. A desk with fewer moves less, one with many more overshoots.
        learning_rate: share of a whole step of Gauss and Newton. By default a half up to 12 rounds, then less in
            proportion: else noise goes on shaking a surface that has arrived. See `pace`.
        smoothing: pull between neighbouring expiries, over that of ordinary training.
        prior: rows' worth of curvature that every weight has at least; noise along weights that no quote tells apart
            is held by it.

    Raises:
        ConfigError: a value with which privacy means nothing.
    """

    epsilon: float
    delta: float = 1e-5
    rounds: int | None = None
    noise: float | None = None
    steps: int = 1
    rate: float = 1.0
    clip: float = 1.5
    batch: float = 100.0
    learning_rate: float | None = None
    smoothing: float = 2000.0
    prior: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epsilon", "delta", "steps", "rate", "clip", "batch", "prior"):
            self._need(name, _finite(getattr(self, name)) and getattr(self, name) > 0, "a positive, finite number")
        self._need("smoothing", _finite(self.smoothing) and self.smoothing >= 0, "a finite number, zero or more")
        self._need("delta", self.delta <= LARGEST_DELTA, f"at most {LARGEST_DELTA:g}, below 1 / number of trades")
        self._need("rate", self.rate <= 1, "a probability")
        if (self.rounds is None) == (self.noise is None):
            raise ConfigError(
                "Privacy needs rounds or noise, and not both.",
                "Say over how many rounds epsilon is spread, or how much noise each step gets.",
            )
        for name, value in (("steps", self.steps), ("rounds", self.rounds)):
            self._need(name, value is None or (type(value) is int and value >= 1), "a positive whole number")
        for name, value in (("noise", self.noise), ("learning_rate", self.learning_rate)):
            self._need(name, value is None or (_finite(value) and value > 0), "a positive, finite number")

    def charge(self) -> Charge:
        """What each round gives away. With `rounds`, the least noise with which the budget lasts for all of them.

        Raises:
            ConfigError: no noise keeps such a budget.
        """
        if self.noise is not None:
            return _charge(self.steps, self.rate, self.noise)
        return _least_noise(self.epsilon, self.delta, self.rounds, self.steps, self.rate)

    @property
    def pace(self) -> float:
        """The learning rate, given or by default."""
        return self.learning_rate or FASTEST * min(1.0, FASTEST_ROUNDS / (self.rounds or 1))

    def _need(self, name: str, good: bool, what: str) -> None:
        if not good:
            raise ConfigError(f"Privacy with {name} = {getattr(self, name)} means nothing.", f"Use {what}.")


def epsilon_spent(charges: Iterable[Charge], delta: float) -> float:
    """Epsilon at delta of all these rounds together, from above; 0 for none. One trade may be in every one of them."""
    return _epsilon(tuple(sorted(Counter(charges).items(), key=repr)), delta)


@cache
def _epsilon(counts: tuple[tuple[Charge, int], ...], delta: float) -> float:
    # Brings scipy and a second of imports: not before somebody asks for privacy.
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    for charge, count in counts:
        accountant.compose(_event(charge, count))
    return float(accountant.get_epsilon(delta)) if counts else 0.0


def _charge(steps: int, rate: float, noise: float) -> Charge:
    return Charge(steps, rate, noise)


@cache
def _least_noise(epsilon: float, delta: float, rounds: int, steps: int, rate: float) -> Charge:
    from dp_accounting.mechanism_calibration import (
        ExplicitBracketInterval,
        LowerEndpointAndGuess,
        NoBracketIntervalFoundError,
        calibrate_dp_mechanism,
    )
    from dp_accounting.pld import PLDAccountant

    # Of the order of what the classical bound of one Gaussian asks for; a wide bracket costs seconds.
    guess = rate * math.sqrt(2 * rounds * steps * math.log(1.25 / delta)) / epsilon

    def search(bracket: ExplicitBracketInterval | LowerEndpointAndGuess) -> Charge:
        def event(noise: float) -> DpEvent:
            return _event(_charge(steps, rate, noise), rounds)

        noise = float(calibrate_dp_mechanism(PLDAccountant, event, epsilon, delta, bracket, tol=_TOLERANCE * guess))
        return _charge(steps, rate, noise)

    try:
        return search(ExplicitBracketInterval(guess / 2, guess * 2))
    except ValueError:  # the answer lies outside
        pass
    try:
        return search(LowerEndpointAndGuess(0.0, guess))
    except (ValueError, NoBracketIntervalFoundError) as error:
        raise ConfigError(
            f"No noise keeps epsilon {epsilon:g} at delta {delta:g} over {rounds} rounds.",
            "Raise epsilon, or spread it over fewer rounds.",
        ) from error


def _event(charge: Charge, rounds: int) -> DpEvent:
    from dp_accounting.dp_event import ComposedDpEvent, GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent

    event = SelfComposedDpEvent(PoissonSampledDpEvent(charge.rate, GaussianDpEvent(charge.noise)), charge.steps)
    if charge.weights_noise:
        event = ComposedDpEvent([event, GaussianDpEvent(charge.weights_noise)])
    return SelfComposedDpEvent(event, rounds)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
