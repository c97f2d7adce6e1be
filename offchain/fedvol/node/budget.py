"""What a node has given away of its tape, and whether it can afford another round: kept in the journal.

A round is paid for before it is trained, so that a crash can cost too much and never too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from fedvol.errors import FedvolError
from fedvol.learning.privacy import UNIT, Charge, Privacy, epsilon_spent
from fedvol.node.journal import Journal
from fedvol.node.metrics import EPSILON_LEFT, EPSILON_SPENT

log = structlog.get_logger()

_FAR = 1 << 20
"""Rounds left beyond which they are not counted."""


class BudgetSpent(FedvolError):
    """A round that would give away more than its owner allows."""

    exit_code = 11


@dataclass(frozen=True)
class Account:
    """Where a budget stands.

    Attributes:
        spent: epsilon of all rounds so far, at the budget's delta, of one trade that was in all of them.
        left: rounds that can still be paid for; capped at 2^20.
        charged: rounds that were paid for.
        unprotected: rounds that this node trained without noise. Their trades are not protected by the budget.
    """

    epsilon: float
    delta: float
    spent: float
    left: int
    charged: int
    unprotected: int

    def facts(self) -> dict[str, Any]:
        """For `fedvol node status`."""
        return {
            "privacy_unit": UNIT,
            "privacy_epsilon": self.epsilon,
            "privacy_delta": self.delta,
            "privacy_epsilon_spent": round(self.spent, 4),
            "privacy_epsilon_left": round(max(0.0, self.epsilon - self.spent), 4),
            "privacy_rounds_charged": self.charged,
            "privacy_rounds_left": self.left,
            "privacy_rounds_without_noise": self.unprotected,
        }


class Budget:
    """The budget of one journal. Without a `Privacy` it asks for nothing and allows everything."""

    def __init__(self, journal: Journal, privacy: Privacy | None) -> None:
        self._journal = journal
        self._privacy = privacy
        self._told: set[tuple[int, int]] = set()
        self._show()

    def allows(self, number: int, seed: int, trained: bool = False) -> bool:
        """Whether the round's update may leave; said once in the log where it may not.

        Args:
            trained: there is an update already; it may leave if it was paid for, and so has noise.
        """
        if self._privacy is None:
            return True
        if trained:
            why, good = "its update was trained before there was a privacy budget", self._paid(number, seed)
        else:
            why, good = "the privacy budget is spent", self._fits(number, seed)
        if not good and (number, seed) not in self._told:
            self._told.add((number, seed))
            log.warning(
                "sits out", number=number, why=why, epsilon=self._privacy.epsilon,
                next="exit the federation if it goes on: each round that is sat out costs an absence penalty",
            )  # fmt: skip
        return good

    def charge(self, number: int, seed: int) -> None:
        """Pays for a round, on disk before this returns. A second time for the same round is free.

        Raises:
            BudgetSpent: it cannot be paid for; nothing is charged.
        """
        if self._privacy is None:
            return
        if not self._fits(number, seed):
            raise BudgetSpent(
                f"Round {number} would take more than epsilon {self._privacy.epsilon:g} of {UNIT}.",
                "Exit the federation, or raise the budget knowingly.",
            )
        self._journal.charge(number, seed, self._privacy.charge())
        self._show()

    def _show(self) -> None:
        if self._privacy is not None:
            spent = epsilon_spent(self._journal.charges(), self._privacy.delta)
            EPSILON_SPENT.set(spent)
            EPSILON_LEFT.set(max(0.0, self._privacy.epsilon - spent))

    def _paid(self, number: int, seed: int) -> bool:
        return len(self._journal.charges()) > len(self._journal.charges(without=(number, seed)))

    def _fits(self, number: int, seed: int) -> bool:
        others = self._journal.charges(without=(number, seed))
        return epsilon_spent([*others, self._privacy.charge()], self._privacy.delta) <= self._privacy.epsilon


def account(journal: Journal | None, privacy: Privacy) -> Account:
    """Where the budget stands, by a journal that may be open elsewhere; None is one that is not there yet."""
    charges = journal.charges() if journal else []
    return Account(
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        spent=epsilon_spent(charges, privacy.delta),
        left=_rounds_left(charges, privacy),
        charged=len(charges),
        unprotected=journal.uncharged() if journal else 0,
    )


def _rounds_left(charges: list[Charge], privacy: Privacy) -> int:
    """By bisection: epsilon grows with every round."""
    each = privacy.charge()

    def fits(count: int) -> bool:
        return epsilon_spent([*charges, *[each] * count], privacy.delta) <= privacy.epsilon

    high = 1
    while high < _FAR and fits(high):
        high *= 2
    low = high // 2
    if high >= _FAR:
        return _FAR
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
