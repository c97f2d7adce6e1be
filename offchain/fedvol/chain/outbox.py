"""Transactions that arrive once: simulated first, on disk before they leave, repriced while they wait.

One transaction is in flight at a time, so the account's next nonce on the chain is always the one to use. What got
stuck is repeated at a higher price, or replaced by the next transaction that needs its nonce. The account must be the
node's own: nothing else may send from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

import requests
import stamina
from eth_abi import decode
from eth_account.signers.local import LocalAccount
from eth_utils import function_signature_to_4byte_selector
from eth_utils.abi import abi_to_signature
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception, Web3RPCError
from web3.types import TxReceipt

from fedvol.chain.client import abi
from fedvol.errors import ChainError

CONTRACTS = ("Federation", "StakeVault", "ModelRegistry", "BondToken", "Settlement", "Duties", "Keyring", "Proofs")

BUSY = (429, 502, 503, 504)
"""HTTP answers that say nothing about the call, only that the endpoint is busy."""

MOST_GAS = 16_777_216
"""EIP-7825: what one transaction may need."""

GAS_HEADROOM = 1.25
"""Over the estimate: another node's transaction may come first and change what this one costs."""

BUMP = 1.125
"""Nodes accept a replacement from 10% more on; a little more passes rounding."""

FEE_BLOCKS, LEAST_TIP = 5, 10**8
"""Blocks of whose median tips the dearest is paid; and the least tip, wei for a unit of gas."""

PLENTY = 2
"""An account that held so many times what a transaction may cost need not be asked again."""

_T = TypeVar("_T")


class WouldRevert(ChainError):
    """A call that the contract refuses as things stand; it was not sent."""

    def __init__(self, purpose: str, error: str, reason: str) -> None:
        super().__init__(f"The contract refuses {purpose}: {reason}. It was not sent.", "See `fedvol federation show`.")
        self.error = error


class Reverted(ChainError):
    """A transaction that passed simulation and failed in its block, as somebody else came first."""


class Unmined(ChainError):
    """A transaction that is still waiting; it is on disk, and goes on when asked for again."""


class FeesTooHigh(ChainError):
    """The chain asks for more than the node may pay for a unit of gas."""


class NoFunds(ChainError):
    """The account cannot pay."""


@dataclass(frozen=True)
class Attempt:
    """One signed transaction for a purpose. Fees in wei for a unit of gas; `sent_at` in seconds since 1970."""

    purpose: str
    nonce: int
    hash: bytes
    raw: bytes
    max_fee: int
    tip: int
    sent_at: float


class AttemptLog(Protocol):
    """What the outbox keeps on disk; `record` returns only when it is durable."""

    def record_attempt(self, attempt: Attempt) -> None: ...

    def attempts(self, purpose: str) -> list[Attempt]:
        """All of a purpose, the oldest first."""

    def dearest_attempt(self, nonce: int) -> Attempt | None:
        """The one with the highest fee among all that were signed with this nonce."""

    def settle_attempt(self, tx_hash: bytes, block: int, succeeded: bool) -> None: ...


class Outbox:
    """Sends contract calls of one account.

    Args:
        max_fee_wei: most that a unit of gas may cost, tip included.
        resubmit_after: seconds after which a waiting transaction is repeated at a higher price.
        patience: seconds that `deliver` waits in all.
        poll: seconds between two looks for the receipt, once it is later than usual.
    """

    def __init__(
        self,
        web3: Web3,
        account: LocalAccount,
        log: AttemptLog,
        *,
        max_fee_wei: int,
        resubmit_after: float = 30.0,
        patience: float = 90.0,
        poll: float = 2.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._web3 = web3
        self._account = account
        self._log = log
        self._max_fee_wei = max_fee_wei
        self._resubmit_after = resubmit_after
        self._patience = patience
        self._poll = poll
        self._sleep = sleep
        self._usual = 0.1  # seconds to a receipt; learned
        self._chain_id = call_rpc(lambda: web3.eth.chain_id)

    def deliver(self, purpose: str, call: ContractFunction, seen: int, value: int = 0, held: int = 0) -> TxReceipt:
        """Has the call mined once, whatever was begun for this purpose before, by this process or one that died.

        Args:
            purpose: names the act, such as "commit:12:9f…": the same act has the same purpose.
            seen: block at which the caller read that the act is missing; what was mined later counts as the act.
            value: wei that the call pays.
            held: wei that the account held when the caller looked; asked again where that is not plenty.

        Raises:
            WouldRevert, NoFunds, FeesTooHigh: nothing was sent.
            Reverted, Unmined: see there.
            ChainError: the RPC fails.
        """
        started, pause = time.monotonic(), self._usual
        sent: float | None = None
        while True:
            # The nonce comes first: if it is used up, the receipt of whatever used it is there to be found.
            nonce = self._next_nonce()
            receipt = self._receipt(purpose, seen)
            if receipt is None:
                self._push(purpose, call, nonce, value, held)
                sent = sent or time.monotonic()
                self._sleep(pause)
                receipt = self._receipt(purpose, seen)
            if receipt is not None:
                self._learn(sent)
                return receipt
            if time.monotonic() - started > self._patience:
                raise Unmined(
                    f"{purpose} is not in a block after {self._patience:g} s.", "Wait, or allow a higher max_fee_gwei."
                )
            pause = max(self._poll, pause / 2)
            self._sleep(pause)

    def _learn(self, sent: float | None) -> None:
        """Looks for the next receipt a little earlier than this one was found: else the wait could only grow."""
        if sent is not None:
            self._usual += 0.3 * (min(0.7 * (time.monotonic() - sent), self._resubmit_after / 2) - self._usual)

    def _receipt(self, purpose: str, seen: int) -> TxReceipt | None:
        failed = None
        for attempt in self._log.attempts(purpose):
            try:
                receipt = call_rpc(lambda h=attempt.hash: self._web3.eth.get_transaction_receipt(h))
            except TransactionNotFound:
                continue
            succeeded = receipt["status"] == 1
            self._log.settle_attempt(attempt.hash, receipt["blockNumber"], succeeded)
            if receipt["blockNumber"] <= seen:
                continue
            if succeeded:
                return receipt
            failed = receipt  # after a reorganisation the act may have been mined with another nonce
        if failed is not None:
            raise Reverted(
                f"{purpose} failed in block {failed['blockNumber']}: somebody came first, or the phase had ended.",
                "Nothing to do: the node reads the chain again.",
            )
        return None

    def _push(self, purpose: str, call: ContractFunction, nonce: int, value: int, held: int) -> None:
        """Sends, repeats at a higher price, or makes sure that the node still knows what waits."""
        waiting = next((a for a in reversed(self._log.attempts(purpose)) if a.nonce == nonce), None)
        if waiting is None:
            self._send(purpose, call, nonce, value, held)
        elif abs(time.time() - waiting.sent_at) >= self._resubmit_after:  # the clock may have been set back
            if self._fees(nonce) is None:
                self._broadcast(waiting)
            else:
                self._send(purpose, call, nonce, value, held)
        elif not self._is_known(waiting):
            self._broadcast(waiting)

    def _send(self, purpose: str, call: ContractFunction, nonce: int, value: int, held: int) -> None:
        gas = min(int(self._simulate(purpose, call, value) * GAS_HEADROOM), MOST_GAS)
        fees = self._fees(nonce)
        if fees is None:
            raise FeesTooHigh(
                f"{purpose} waits behind a transaction that already pays the most that max_fee_gwei allows.",
                "Wait until that one is mined, or raise max_fee_gwei.",
            )
        max_fee, tip = fees
        needed = gas * max_fee + value
        if held < PLENTY * needed:
            self._check_funds(purpose, needed)
        transaction = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "to": call.address,
            "data": call._encode_transaction_data(),
            "value": value,
            "gas": gas,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": tip,
        }
        signed = self._account.sign_transaction(transaction)
        attempt = Attempt(purpose, nonce, bytes(signed.hash), bytes(signed.raw_transaction), max_fee, tip, time.time())
        self._log.record_attempt(attempt)
        self._broadcast(attempt)

    def _simulate(self, purpose: str, call: ContractFunction, value: int) -> int:
        """Gas that the call takes in the latest state."""
        try:
            return call_rpc(lambda: call.estimate_gas({"from": self._account.address, "value": value}))
        except ContractLogicError as error:
            name, reason = explain_revert(error)
            raise WouldRevert(purpose, name, reason) from error

    def _fees(self, nonce: int) -> tuple[int, int] | None:
        """(max fee, tip): what the market asks, and enough to replace what waits with this nonce. None where the limit
        forbids a replacement."""
        market = call_rpc(lambda: self._web3.eth.fee_history(FEE_BLOCKS, "latest", [50]))
        base = market["baseFeePerGas"][-1]  # of the next block
        tip = max([LEAST_TIP, *(tip for (tip,) in market["reward"])])
        if base + tip > self._max_fee_wei:
            raise FeesTooHigh(
                f"Gas costs {(base + tip) / 1e9:g} gwei, more than max_fee_gwei = {self._max_fee_wei / 1e9:g}.",
                "Wait for calmer times, or raise it.",
            )
        max_fee = min(2 * base + tip, self._max_fee_wei)
        rival = self._log.dearest_attempt(nonce)
        if rival is not None:
            tip = max(tip, int(rival.tip * BUMP) + 1)
            max_fee = max(max_fee, int(rival.max_fee * BUMP) + 1, tip)
        return (max_fee, tip) if max_fee <= self._max_fee_wei else None

    def _check_funds(self, purpose: str, needed: int) -> None:
        held = call_rpc(lambda: self._web3.eth.get_balance(self._account.address))
        if held < needed:
            raise NoFunds(
                f"{self._account.address} holds {ether(held)} ETH and needs up to {ether(needed)} for {purpose}.",
                "Send it some.",
            )

    def _broadcast(self, attempt: Attempt) -> None:
        try:
            call_rpc(lambda: self._web3.eth.send_raw_transaction(attempt.raw))
        except ChainError as error:
            # Known already, mined meanwhile, or priced below the pool's floor: the next look decides which.
            refusal = str(error.__cause__).lower() if isinstance(error.__cause__, Web3RPCError) else ""
            if not any(text in refusal for text in ("already", "nonce too low", "underpriced", "base fee")):
                raise

    def _is_known(self, attempt: Attempt) -> bool:
        try:
            call_rpc(lambda: self._web3.eth.get_transaction(attempt.hash))
        except TransactionNotFound:
            return False
        return True

    def _next_nonce(self) -> int:
        return call_rpc(lambda: self._web3.eth.get_transaction_count(self._account.address, "latest"))


def call_rpc(call: Callable[[], _T]) -> _T:
    """Makes an RPC call, and makes it again where only the transport failed.

    Raises:
        ChainError: nobody answers, or with a refusal (its cause).
        ContractLogicError, TransactionNotFound: answers that the caller asked for.
    """
    try:
        for attempt in stamina.retry_context(on=_transport_failed, attempts=4, timeout=30, wait_initial=0.2):
            with attempt:
                return call()
    except (ContractLogicError, TransactionNotFound):
        raise
    except requests.RequestException as error:
        raise ChainError(
            "The RPC endpoint does not answer.", "Check that the node there is up and in reach."
        ) from error
    except Web3Exception as error:
        raise ChainError(
            f"The RPC endpoint refuses: {str(error)[:160]}", "Check the node there and its log."
        ) from error
    raise AssertionError("stamina returns or raises")


def _transport_failed(error: Exception) -> bool:
    busy = isinstance(error, requests.HTTPError) and error.response is not None and error.response.status_code in BUSY
    return busy or isinstance(error, requests.ConnectionError | requests.Timeout)


def explain_revert(error: ContractLogicError) -> tuple[str, str]:
    """Name of the custom error ("" if there is none), and the error with its arguments as text."""
    data = error.data if isinstance(error.data, str) else ""
    entry = _errors().get(data[2:10])
    if entry is None:
        return "", (error.message or data or "no reason given")
    types = [item["type"] for item in entry["inputs"]]
    values = decode(types, bytes.fromhex(data[10:])) if types else ()
    shown = (f"{item['name']}={_shown(value)}" for item, value in zip(entry["inputs"], values, strict=True))
    return entry["name"], f"{entry['name']}({', '.join(shown)})"


@cache
def _errors() -> dict[str, dict[str, Any]]:
    """Selector (hex) → ABI entry, of every custom error that may come up through the federation."""
    entries = [entry for name in CONTRACTS for entry in abi(name) if entry["type"] == "error"]
    return {function_signature_to_4byte_selector(abi_to_signature(entry)).hex(): entry for entry in entries}


def _shown(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def ether(wei: int) -> str:
    return f"{wei / 1e18:.6f}".rstrip("0").rstrip(".")
