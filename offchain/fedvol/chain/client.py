"""A connection that was checked: the node answers, and it is the chain that was meant."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import requests
from web3 import Web3
from web3.exceptions import BadResponseFormat, Web3Exception
from web3.types import RPCResponse

from fedvol.errors import ChainError


class WrongChain(ChainError):
    """An endpoint that serves another chain."""

    def __init__(self, actual: int, meant: int) -> None:
        super().__init__(
            f"The RPC endpoint serves chain {actual}, not {meant}.",
            "Name an endpoint of the right chain, or correct chain_id.",
        )


@cache
def abi(name: str) -> list[dict[str, Any]]:
    """The interface of one of FedVol's contracts."""
    return json.loads((files("fedvol.chain") / "abi" / f"{name}.json").read_text())


class _Endpoint(Web3.HTTPProvider):
    """An answer that is no JSON, as of a proxy in front of a node, is a fault of the endpoint like any other."""

    def decode_rpc_response(self, raw_response: bytes) -> RPCResponse:
        try:
            return super().decode_rpc_response(raw_response)
        except ValueError as error:
            raise BadResponseFormat(f"it answers {len(raw_response)} bytes that are no JSON") from error


def connect(url: str, chain_id: int | None = None, timeout: float = 10.0) -> Web3:
    """A checked connection.

    Args:
        url: HTTP JSON-RPC endpoint.
        chain_id: the chain that is meant; None takes any.
        timeout: seconds for each call.

    Raises:
        ChainError: nobody answers, not in time, not as a node does, or for another chain.
    """
    web3 = Web3(_Endpoint(url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None))
    web3.middleware_onion.remove("validation")  # it asks for the chain id before each call; see `lens.look`
    parts = urlsplit(url)
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # the rest of it may be a provider's key
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
        raise WrongChain(actual, chain_id)
    return web3


class readable:
    """Turns what a failing RPC raises into one line."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, requests.RequestException | OSError):
            # Its text may hold the endpoint's path, and with it a provider's key.
            why = type(error).__name__
        elif isinstance(error, Web3Exception):
            why = str(error)[:160]
        else:
            return
        raise ChainError(
            f"Could not read {self.what}: {why}.", "Check the RPC endpoint; it may be down or behind."
        ) from error
