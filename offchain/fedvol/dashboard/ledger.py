"""Events of all of a federation's contracts, a span of blocks in one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eth_utils.abi import event_abi_to_log_topic
from web3.exceptions import Web3Exception

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient
from fedvol.errors import ChainError

SPAN = 5_000
"""Blocks that most RPC endpoints give at once."""


@dataclass(frozen=True)
class Entry:
    """One event. `place`: (block, index in the block), the order of the chain."""

    place: tuple[int, int]
    block_hash: bytes
    transaction: str
    name: str
    args: dict[str, Any]


class Ledger:
    """Reads events; remembers nothing but the span that the endpoint agrees to."""

    def __init__(self, client: FederationClient) -> None:
        parts = [
            client.federation, client.vault, client.registry, client.engine, client.settlement, client.duties,
            client.keyring,
        ]  # fmt: skip
        self._web3 = client.web3
        self._first = client.deployment.block
        self._span = SPAN
        self._events = {
            (part.address, bytes(event_abi_to_log_topic(entry))): part.events[entry["name"]]()
            for part in parts
            for entry in part.abi
            if entry["type"] == "event"
        }
        self.addresses = frozenset(part.address for part in parts)

    def read(self, first: int, last: int) -> list[Entry]:
        """Those of the blocks `first` to `last`, both included, in the order of the chain.

        Raises:
            ChainError: the endpoint does not answer, or not for so many blocks.
        """
        asked = {"address": sorted(self.addresses), "fromBlock": first, "toBlock": last}
        with readable(f"the events of blocks {first} to {last}"):
            logs = self._web3.eth.get_logs(asked)
        return [entry for log in logs if (entry := self._decoded(log)) is not None]

    def backwards(self, last: int) -> Iterator[list[Entry]]:
        """All events up to `last`, newest spans first, down to the federation's creation.

        Raises:
            ChainError: the endpoint does not answer.
        """
        while last >= self._first:
            first = max(self._first, last - self._span + 1)
            try:
                yield self.read(first, last)
            except ChainError as error:
                if self._span == 1 or not isinstance(error.__cause__, Web3Exception):
                    raise
                self._span = max(1, self._span // 4)  # the endpoint refuses so many blocks
                continue
            last = first - 1

    def _decoded(self, log: Any) -> Entry | None:
        event = self._events.get((log["address"], bytes(log["topics"][0]))) if log["topics"] else None
        if event is None:
            return None
        place = log["blockNumber"], log["logIndex"]
        given = event.process_log(log)["args"]
        args = {name: given[name] for name in given}  # not dict(given): an argument may be called `keys`
        return Entry(place, bytes(log["blockHash"]), log["transactionHash"].to_0x_hex(), event.event_name, args)
