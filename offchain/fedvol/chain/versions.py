"""Versions of the model as a round sees them: carried to its opening, and what public state has done since."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fedvol.chain.client import abi, readable
from fedvol.chain.deployment import NOWHERE
from fedvol.chain.federation import FederationClient
from fedvol.protocol import listing
from fedvol.protocol.vector import pack_model, unpack_model

WAD_DIGITS = 18


@dataclass(frozen=True)
class Version:
    """A version of the model.

    Attributes:
        as_of: unix seconds that it is as of: the opening of its round.
        layout: (markets, pillars, weights of a pillar, weights of a market beside its pillars); no pillars: weights
            stand for the same at any time.
    """

    data: bytes
    as_of: int
    layout: tuple[int, int, int, int]

    def carried(self, opened_at: int) -> bytes:
        """Its bytes, read as of a round's opening, as `ModelRegistry.carried` does."""
        markets, pillars, width, tail = self.layout
        if not pillars or opened_at <= self.as_of:
            return self.data
        weights = unpack_model(self.data, markets * (pillars * width + tail))
        return pack_model(listing.carry(weights, markets, pillars, width, tail, self.as_of, opened_at))


def read_version(client: FederationClient, version: int, block: int) -> Version:
    """A version with what it takes to carry it."""
    view = client.registry.functions
    calls = [view.modelOf(version), view.versionAt(version), view.layout()]
    data, at, layout = client.look(f"model version {version}", calls, block).answers
    return Version(bytes(data), at[4], layout)


def as_of_version(client: FederationClient, version: int, block: int) -> int:
    """Unix seconds that a version is as of."""
    return client.look(f"model version {version}", [client.registry.functions.versionAt(version)], block).answers[0][4]


def start_of(client: FederationClient, version: int, opened_at: int, block: int) -> bytes:
    """The model that a round starts from: a version carried to the round's opening."""
    return read_version(client, version, block).carried(opened_at)


def longest_age(client: FederationClient) -> int | None:
    """Seconds from which the pricing engine refuses a version; None where there is no engine."""
    if client.engine.address == NOWHERE:
        return None
    with readable("the pricing engine"):
        return client.engine.functions.configuration().call()[1]


def moves(client: FederationClient, version: int, block: int) -> list[tuple[float, float]]:
    """For each market ln(now / then) of the vol index and of the index, then = when the version was published; 0 where
    a feed tells nothing, or the engine does not serve the version."""

    def ask(calls: list[Any]) -> list[Any]:
        return client.look("the pricing engine", calls, block, may_fail=True).answers

    view, markets = client.engine.functions, client.markets()
    # The engine tells no state of a market whose feed is stale.
    served, *found = ask([view.currentVersion(), *(read(m) for m in markets for read in (view.state, view.feedOf))])
    if served != version:
        return [(0.0, 0.0)] * len(markets)
    then = [value for state in found[::2] for value in ((state[2], state[1]) if state else (0, 0))]
    feeds = [feed for index, _, vol, _ in found[1::2] for feed in (vol, index)]
    live = [feed for feed, value in zip(feeds, then, strict=True) if value and int(feed, 16)]
    views = [client.web3.eth.contract(address=feed, abi=abi("SettableFeed")).functions for feed in live]
    # A dead feed moves nothing, in the engine too.
    told = ask([call for v in views for call in (v.latestRoundData(), v.decimals())])
    now = dict(zip(live, zip(told[::2], told[1::2], strict=True), strict=True))
    pairs = [_move(now.get(feed), value) for feed, value in zip(feeds, then, strict=True)]
    return list(zip(pairs[::2], pairs[1::2], strict=True))


def _move(now: tuple[Any, Any] | None, then: int) -> float:
    if now is None or None in now or then == 0:
        return 0.0
    answer = now[0][1] * 10 ** (WAD_DIGITS - now[1])
    return math.log(answer / then) if answer > 0 else 0.0
