"""How a node stops: at once, or when what is at stake in the running round is done."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from fedvol.chain.federation import Snapshot
from fedvol.chain.outbox import ether
from fedvol.chain.stake import when
from fedvol.node.duty import Duty, duty_of

log = structlog.get_logger()


class Closing:
    """Whether a node was told to stop, and whether it can go.

    Args:
        patience: seconds that it stays at most.
        clock: monotonic seconds.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._asked_at: float | None = None
        self._said: Duty | None = None
        self._looks = False

    def ask(self) -> None:
        if self._asked_at is None:
            self._asked_at = self._clock()

    @property
    def asked(self) -> bool:
        return self._asked_at is not None

    @property
    def left(self) -> float:
        """Seconds for which it may still stay."""
        return 0.0 if self._asked_at is None else self._asked_at + self._patience - self._clock()

    def is_over(self, s: Snapshot | None) -> bool:
        """Whether the node goes now; says what it waits for, or what it leaves undone.

        Args:
            s: what was seen since it was told; None where it has not looked, or has acted, or tried to, since.
        """
        if not self.asked:
            return False
        if s is None:
            if self.left <= 0:
                log.warning("stops", why="it could not see whether anything is at stake", next="start it again to see")
            elif not self._looks:
                self._looks = True
                log.info("looks once more before it stops", at_most_seconds=round(self.left))
            return self.left <= 0
        duty = duty_of(s)
        if duty is None or not duty.at_stake:
            return True
        facts = {"number": s.clock.number, "act": str(duty.act)}
        if self.left <= 0 or duty.opens - s.time > self.left:
            log.warning(
                "stops", **facts, why="what is at stake takes longer than stop_patience",
                start_again_between=f"{when(duty.opens)} and {when(duty.until)}", else_lost=ether(duty.penalty),
            )  # fmt: skip
            return True
        if self._said != duty:
            self._said = duty
            log.info("waits before it stops", **facts, until=when(duty.until), at_most_seconds=round(self.left))
        return False
