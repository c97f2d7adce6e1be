"""A verifier contract on a private Anvil, called as a peer calls it: `eth_call`, no transaction."""

from __future__ import annotations

import time

from eth_abi import encode
from eth_utils import keccak
from scripts._anvil import TRANSACTION_GAS_CAP, rpc

VERIFY = keccak(text="verify(bytes,bytes32[])")[:4]


def deploy(url: str, contract: dict) -> str:
    """The address of an ethPM contract type, deployed by Anvil's first account."""
    sender = rpc(url, "eth_accounts")[0]
    code = contract["deploymentBytecode"]["bytecode"]
    sent = rpc(url, "eth_sendTransaction", {"from": sender, "data": code, "gas": hex(TRANSACTION_GAS_CAP)})
    for _ in range(200):
        if receipt := rpc(url, "eth_getTransactionReceipt", sent):
            return receipt["contractAddress"]
        time.sleep(0.05)
    raise TimeoutError(f"Anvil has not mined {sent}")


def call(proof: bytes, inputs: list[int]) -> str:
    words = [value.to_bytes(32) for value in inputs]
    return "0x" + (VERIFY + encode(["bytes", "bytes32[]"], [proof, words])).hex()


def accepts(url: str, verifier: str, proof: bytes, inputs: list[int]) -> bool:
    """Whether the contract says yes: it reverts rather than say no."""
    try:
        answer = rpc(url, "eth_call", {"to": verifier, "data": call(proof, inputs)}, "latest")
    except RuntimeError:
        return False
    return int(answer, 16) == 1


def gas(url: str, verifier: str, proof: bytes, inputs: list[int]) -> int:
    """Gas of a transaction that verifies, call data and the base cost included."""
    return int(rpc(url, "eth_estimateGas", {"to": verifier, "data": call(proof, inputs)}), 16)
