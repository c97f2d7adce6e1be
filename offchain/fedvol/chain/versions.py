"""Versions of the model as a round sees them: carried to its opening, and what public state has done since."""

from __future__ import annotations

import math

import requests
from web3.exceptions import Web3Exception

from fedvol.chain.client import abi
from fedvol.chain.federation import FederationClient, readable
from fedvol.protocol import listing
from fedvol.protocol.vector import pack_model, unpack_model

WAD_DIGITS = 18


def start_of(client: FederationClient, version: int, opened_at: int, block: int) -> bytes:
    """The model that a round starts from: a version carried to the round's opening, as `ModelRegistry.carried` does."""
    return carried(client, client.model(version, block), as_of_version(client, version, block), opened_at, block)


def carried(client: FederationClient, data: bytes, as_of: int, opened_at: int, block: int) -> bytes:
    """A version's bytes, as of one time, read as of a round's opening."""
    with readable("the model's layout"):
        markets, pillars, width, tail = client.registry.functions.layout().call(block_identifier=block)
    if not pillars or opened_at <= as_of:
        return data
    weights = unpack_model(data, markets * (pillars * width + tail))
    return pack_model(listing.carry(weights, markets, pillars, width, tail, as_of, opened_at))


def as_of_version(client: FederationClient, version: int, block: int) -> int:
    """Unix seconds that a version is as of: the opening of its round."""
    with readable(f"model version {version}"):
        return client.registry.functions.versionAt(version).call(block_identifier=block)[4]


def moves(client: FederationClient, version: int, block: int) -> list[tuple[float, float]]:
    """For each market ln(now / then) of the vol index and of the index, then = when the version was published; 0 where
    a feed tells nothing, or the engine does not serve the version."""
    with readable("the pricing engine"):
        view, at = client.engine.functions, {"block_identifier": block}
        markets = view.configuration().call(**at)[-1]
        if view.currentVersion().call(**at) != version:
            return [(0.0, 0.0)] * len(markets)
        found = []
        for market in markets:
            _, index_then, vol_then = view.state(market).call(**at)
            index, _, vol, _ = view.feedOf(market).call(**at)
            found.append((_move(client, vol, vol_then, block), _move(client, index, index_then, block)))
    return found


def _move(client: FederationClient, feed: str, then: int, block: int) -> float:
    if then == 0 or int(feed, 16) == 0:
        return 0.0
    view, at = client.web3.eth.contract(address=feed, abi=abi("SettableFeed")).functions, {"block_identifier": block}
    try:
        answer = view.latestRoundData().call(**at)[1] * 10 ** (WAD_DIGITS - view.decimals().call(**at))
    except (Web3Exception, requests.RequestException):
        return 0.0  # a dead feed moves nothing, in the engine too
    return math.log(answer / then) if answer > 0 else 0.0
