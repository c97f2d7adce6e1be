"""Events, read from where they can begin, in pieces that the endpoint takes: as quick in round 1,000 as in round 1."""

from __future__ import annotations

from typing import Any

import requests
from web3 import Web3
from web3.exceptions import Web3RPCError

LONGEST_SPAN, SHORTEST_SPAN = 100_000, 10
"""Blocks that one request asks for; halved while the endpoint refuses."""

MARGIN, SLACK = 900, 3_600
"""Seconds before a round's opening from which its events are read: at least, as a reorganisation may have moved it, and
so much longer at most."""

APART, KEPT = 600, 64
"""Seconds between two blocks that are remembered, and how many."""


class History:
    """What one federation's contracts have emitted.

    Args:
        first: block of creation.
    """

    def __init__(self, web3: Web3, first: int) -> None:
        self._web3 = web3
        self._first = first
        self._span = LONGEST_SPAN
        self._marks: list[tuple[int, int]] = []  # (time, block), both rising
        self._running = (0, 0)  # (round, second of its opening)
        self._begins: dict[tuple[int, int], int] = {}
        self._told: dict[int, int] = {}

    def saw(self, block: int, time: int, number: int, opened_at: int) -> None:
        """Remembers the head of the chain, and the round that runs there."""
        if not self._marks or time >= self._marks[-1][0] + APART:
            self._marks = [*self._marks, (time, block)][-KEPT:]
        if number >= self._running[0]:
            self._running = number, opened_at

    def tell(self, number: int, block: int) -> None:
        """Takes the block of a past round's opening."""
        self._told[number] = block

    def beginning(self, number: Any) -> int:
        """A block before everything that a round emitted. That of the running round is close: found in O(log n) calls,
        or in none where the head was seen before it opened. Of what is no round, or none that is known, the first."""
        if number in self._told:
            return self._told[number]
        if number != self._running[0]:
            return self._first
        if self._running not in self._begins:
            self._begins = {self._running: self._before(self._running[1] - MARGIN)}
        return self._begins[self._running]

    def events(self, event: Any, since: int, until: int, filters: dict[str, Any]) -> list[Any]:
        """Events of a kind from `since` to `until`, both included, in the order of the chain."""
        found: list[Any] = []
        while since <= until:
            last = min(until, since + self._span - 1)
            try:
                found += event.get_logs(from_block=since, to_block=last, argument_filters=filters)
            except (Web3RPCError, requests.HTTPError):
                if last - since < SHORTEST_SPAN:
                    raise
                self._span = (last - since + 1) // 2
                continue
            since = last + 1
        return found

    def _before(self, time: int) -> int:
        """A block no younger than `time`, and at most `SLACK` older; the first where there is none."""
        low = max((mark for mark in self._marks if mark[0] <= time), default=None)
        high = min((mark for mark in self._marks if mark[0] > time), default=None)
        low = low or (self._time(self._first), self._first)
        high = high or self._head()
        bisect = False
        while low[0] < time - SLACK and high[1] - low[1] > 1:
            share = 0.5 if bisect else (time - SLACK / 2 - low[0]) / (high[0] - low[0])
            block = min(max(low[1] + int(share * (high[1] - low[1])), low[1] + 1), high[1] - 1)
            mark = self._time(block), block
            low, high = (mark, high) if mark[0] <= time else (low, mark)
            bisect = not bisect
        return low[1]

    def _head(self) -> tuple[int, int]:
        head = self._web3.eth.get_block("latest")
        return head["timestamp"], head["number"]

    def _time(self, block: int) -> int:
        return self._web3.eth.get_block(block)["timestamp"]
