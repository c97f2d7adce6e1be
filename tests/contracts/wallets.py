"""Transactions straight to Anvil, from any address and without a key: thousands where signed ones would be hundreds."""

from __future__ import annotations

import time
from typing import Any

import requests
from tests.contracts.arena import BOND, Arena


class Reverted(Exception):
    """The transaction was mined and failed."""


class Wallets:
    """What a test does with many members, many rounds, or many readings."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.url, self.session = arena.chain.provider.uri, requests.Session()
        self.session.trust_env = False  # else each request searches the environment for proxies
        self.encoded: dict[tuple[Any, ...], str] = {}
        self.rpc("anvil_autoImpersonateAccount", [True])

    def rpc(self, method: str, parameters: list[Any]) -> Any:
        """Past ape and web3, which cost more than Anvil itself."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = self.session.post(self.url, json=asked, timeout=30).json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def send(self, sender: str, method: Any, *arguments: Any, value: int = 0, gas: int = 2_000_000) -> int:
        """The gas used; `value` in wei."""
        call = {"from": sender, "gas": hex(gas), "value": hex(value)} | self.encode(method, *arguments)
        sent = self.rpc("eth_sendTransaction", [call])
        while (receipt := self.rpc("eth_getTransactionReceipt", [sent])) is None:
            time.sleep(0.001)  # Anvil answers before it has mined
        if receipt["status"] != "0x1":
            raise Reverted(str(method))
        return int(receipt["gasUsed"], 16)

    def read(self, *calls: tuple[Any, ...]) -> list[list[int]]:
        """The words that each (method, arguments ...) answers, all in one request."""
        batch = [
            {"jsonrpc": "2.0", "id": i, "method": "eth_call", "params": [self.encode(*call), "latest"]}
            for i, call in enumerate(calls)
        ]
        answers = sorted(self.session.post(self.url, json=batch, timeout=30).json(), key=lambda a: a["id"])
        results = [bytes.fromhex(a["result"][2:]) for a in answers]
        return [[int.from_bytes(r[i : i + 32], "big") for i in range(0, len(r), 32)] for r in results]

    def encode(self, method: Any, *arguments: Any) -> dict[str, str]:
        key = (method.contract.address, method.abis[0].name, arguments)
        if key not in self.encoded:
            self.encoded[key] = "0x" + bytes(method.encode_input(*arguments)).hex()
        return {"to": method.contract.address, "data": self.encoded[key]}

    def wait(self, seconds: int) -> None:
        self.rpc("evm_increaseTime", [seconds])
        self.rpc("anvil_mine", [])

    def crowd(self, count: int) -> list[str]:
        """New members, none of whose addresses has a zero byte."""
        members = ["0x" + (bytes([17, i + 1]) * 10).hex() for i in range(count)]
        for member in members:
            self.rpc("anvil_setBalance", [member, hex(10**18)])
            self.fund(member, BOND)
            self.send(member, self.arena.federation.join, BOND)
        return members

    def fund(self, member: str, amount: int) -> None:
        self.send(self.arena.founder.address, self.arena.token.mint, member, amount)
        self.send(member, self.arena.token.approve, self.arena.vault, amount)
