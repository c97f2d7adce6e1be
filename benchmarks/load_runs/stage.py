"""The stage of the load benchmark: a chain, members without daemons, and what counts a node's calls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from eth_utils import keccak, to_checksum_address
from scripts._anvil import rpc
from scripts._localnet import Localnet, localnet
from web3 import Web3
from web3.middleware import Web3Middleware

from fedvol.chain.federation import Phase
from fedvol.market.synthetic import DEFAULT_END_MS
from fedvol.protocol.grumpkin import public_key

WINDOW_HOURS = 6.0
GAS = 1_500_000
AT_ONCE = 200
ROUNDS = {
    "finality": 1, "interval": 4, "commit_window": 40, "reveal_window": 40, "demand_window": 10, "unmask_window": 40,
    "lead_window": 5, "propose_window": 40, "challenge_window": 15, "unbonding": 3_600,
}  # fmt: skip
"""Time is passed by the benchmark, so windows cost nothing."""


@dataclass
class Cost:
    """Of something that a node does. Seconds; `calls` are requests to the RPC endpoint by method."""

    wall: float = 0.0
    cpu: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)


def count_calls(web3: Web3) -> Counter[str]:
    """From now on, all requests of this connection by method, but for those that web3.py answers by itself."""
    calls: Counter[str] = Counter()

    class Counting(Web3Middleware):
        def request_processor(self, method: Any, params: Any) -> Any:
            if method != "eth_chainId":
                calls[method] += 1
            return method, params

    web3.middleware_onion.inject(Counting, layer=0)
    return calls


@contextmanager
def measured(calls: Counter[str]) -> Iterator[Cost]:
    """Fills in what the block costs, as `count_calls` counts."""
    cost, before = Cost(), calls.copy()
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost.calls = calls - before


@contextmanager
def stage(home: Path, seats: int, least: int, rounds: dict[str, object], pillars: int = 13) -> Iterator[Localnet]:
    """A federation whose blocks come with transactions, and whose time stands still in between."""
    plan: dict[str, dict[str, object]] = {
        "rounds": ROUNDS | {"seats": seats} | rounds,
        "model": {"pillars": pillars, "max_model_age": 30 * 86_400},
    }
    with localnet(home, WINDOW_HOURS, least, changes=plan, start=DEFAULT_END_MS // 1000) as net:
        rpc(net.url, "evm_setIntervalMining", 0)
        rpc(net.url, "evm_setAutomine", True)
        rpc(net.url, "anvil_autoImpersonateAccount", True)
        yield net


def pass_time(net: Localnet, seconds: int) -> None:
    rpc(net.url, "evm_increaseTime", seconds)
    rpc(net.url, "anvil_mine", 1)


def reach(net: Localnet, *wanted: Phase, limit: int = 40) -> Phase:
    """Lets time go by until the round is in one of these phases."""
    for _ in range(limit):
        head = net.client.web3.eth.get_block("latest")
        now, ends_at = net.client.federation.functions.phase().call(block_identifier=head["number"])
        if Phase(now) in wanted:
            return Phase(now)
        pass_time(net, max(1, ends_at - head["timestamp"]))
    raise RuntimeError(f"the round stays in {Phase(now).name.lower()}")


class Crowd:
    """Members without daemons: Anvil sends for any account that it is told to play."""

    def __init__(self, net: Localnet, name: str = "crowd") -> None:
        self.net, self.name = net, name
        self.members: list[str] = []
        self._http = httpx.Client(timeout=60, trust_env=False)

    def send(self, calls: Sequence[tuple[str, Any, str, Sequence[Any]]]) -> list[int]:
        """(sender, contract, function, arguments) of each transaction. Returns their gas.

        Raises:
            RuntimeError: one has failed.
        """
        gas: list[int] = []
        for start in range(0, len(calls), AT_ONCE):
            part = calls[start : start + AT_ONCE]
            # Those of a batch are not taken in order: whoever sends several numbers them.
            sent = {sender: self.net.client.web3.eth.get_transaction_count(sender) for sender, *_ in part}
            transactions = []
            for call in part:
                transactions.append([_transaction(*call) | {"nonce": hex(sent[call[0]])}])
                sent[call[0]] += 1
            hashes = self._batch("eth_sendTransaction", transactions)
            gas += [self._gas(tx, call) for tx, call in zip(hashes, part, strict=True)]
        return gas

    def join(self, count: int) -> None:
        """Lets members join until there are `count`, all with the same key to mask with."""
        client, founder = self.net.client, self.net.founder
        bond = self.net.snapshot().params["bond"]
        new = [
            to_checksum_address(keccak(text=f"{self.name} {i}")[-20:]) for i in range(len(self.members), count)
        ]  # fmt: skip
        self._batch("anvil_setBalance", [[node, hex(10**20)] for node in new])
        self.send([(founder, client.token, "mint", (node, bond)) for node in new])
        self.send([(node, client.token, "approve", (client.vault.address, bond)) for node in new])
        self.send([(node, client.keyring, "register", public_key(1)) for node in new])
        self.send([(node, client.federation, "join", (bond,)) for node in new])
        self.members += new

    def _gas(self, tx: str, call: tuple[str, Any, str, Sequence[Any]]) -> int:
        for _ in range(500):
            receipt = rpc(self.net.url, "eth_getTransactionReceipt", tx)
            if receipt is not None:
                if int(receipt["status"], 16) != 1:
                    rpc(self.net.url, "eth_call", _transaction(*call), "latest")  # raises with the reason
                    raise RuntimeError(f"{call[2]} reverted, and would not now")
                return int(receipt["gasUsed"], 16)
            time.sleep(0.01)
        raise RuntimeError(f"{call[2]} was not mined")

    def _batch(self, method: str, params: Sequence[Sequence[object]]) -> list[Any]:
        if not params:
            return []
        body = [{"jsonrpc": "2.0", "id": i, "method": method, "params": list(p)} for i, p in enumerate(params)]
        replies = sorted(self._http.post(self.net.url, json=body).json(), key=lambda reply: reply["id"])
        bad = next((reply["error"]["message"] for reply in replies if "error" in reply), None)
        if bad is not None:
            raise RuntimeError(f"{method}: {bad}")
        return [reply["result"] for reply in replies]


def _transaction(sender: str, contract: Any, function: str, arguments: Sequence[Any]) -> dict[str, str]:
    data = contract.encode_abi(function, args=list(arguments))
    return {"from": sender, "to": contract.address, "data": data, "gas": hex(GAS)}
