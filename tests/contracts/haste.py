"""Spares what ape asks anew with every call and transaction; without it the contract tests take twice as long.

The tests have one Anvil that never changes, and nothing in them logs from Solidity: its keys, gas limit, fees,
the kind of a transaction and the proxies of the environment are asked for once; that an address has code, that a nonce
has risen and what a transaction logged, not at all. Most reverts are meant, so that none prints its tree of calls.
"""

from __future__ import annotations

import functools
from typing import Any

import ape_ethereum.provider
import ape_test.accounts
import requests.sessions
from ape.api.transactions import ReceiptAPI
from ape.contracts.base import ContractMethodHandler
from ape_ethereum.ecosystem import Ethereum
from ape_ethereum.provider import Web3Provider
from ape_ethereum.trace import Trace


def hasten() -> None:
    """For the life of the process."""
    ape_test.accounts.generate_dev_accounts = functools.cache(ape_test.accounts.generate_dev_accounts)
    requests.sessions.get_environ_proxies = functools.cache(requests.sessions.get_environ_proxies)
    for name in ("max_gas", "base_fee", "priority_fee"):
        setattr(Web3Provider, name, _once(getattr(Web3Provider, name)))
    Ethereum.default_transaction_type = _once(Ethereum.default_transaction_type)
    ContractMethodHandler._validate_is_contract = _nothing
    Trace.show = _nothing
    ReceiptAPI._await_sender_nonce_increment = _nothing
    ape_ethereum.provider._post_send_transaction = _nothing


def _once(asked: property) -> property:
    """The same for all objects of a class, as there is one chain."""
    found: list[Any] = []

    def answer(self: object) -> Any:
        if not found:
            found.append(asked.fget(self))
        return found[0]

    return property(answer)


def _nothing(*_: object, **__: object) -> None:
    pass
