"""A connection that was checked: the node answers, and it is the chain that was meant."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import requests
from web3 import Web3
from web3.exceptions import Web3Exception

from fedvol.errors import ChainError


@cache
def abi(name: str) -> list[dict[str, Any]]:
    """The interface of one of FedVol's contracts."""
    return json.loads((files("fedvol.chain") / "abi" / f"{name}.json").read_text())


def connect(url: str, chain_id: int | None = None, timeout: float = 10.0) -> Web3:
    """A checked connection.

    Args:
        url: HTTP JSON-RPC endpoint.
        chain_id: the chain that is meant; None takes any.
        timeout: seconds for each call.

    Raises:
        ChainError: nobody answers, not in time, not as a node does, or for another chain.
    """
    # web3.py asks for the chain id before each call; it cannot change behind a connection that was checked.
    provider = Web3.HTTPProvider(
        url,
        request_kwargs={"timeout": timeout},
        exception_retry_configuration=None,
        cache_allowed_requests=True,
        cacheable_requests={"eth_chainId"},
    )
    web3 = Web3(provider)
    try:
        actual = web3.eth.chain_id
    except requests.Timeout as error:
        raise ChainError(
            f"The node at {url} did not answer within {timeout:g} s.", "Try again, or name another RPC endpoint."
        ) from error
    except (requests.RequestException, OSError) as error:
        raise ChainError(
            f"Nobody answers at {url}.", "Start the node there (local: anvil), or name another RPC endpoint."
        ) from error
    except (Web3Exception, ValueError) as error:
        raise ChainError(
            f"{url} answers, but not as an Ethereum node does: {str(error)[:120]}", "Check the RPC endpoint's address."
        ) from error
    if chain_id is not None and actual != chain_id:
        raise ChainError(
            f"The node at {url} serves chain {actual}, not {chain_id}.",
            "Name an RPC endpoint of the right chain, or correct chain_id.",
        )
    return web3
