"""The fixtures of the node tests, and a standing federation that one fault after another befalls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scripts._anvil import anvil
from scripts._faults import FaultyProxy, faulty_proxy

from fedvol.chain.client import connect
from fedvol.chain.federation import Phase, Snapshot
from fedvol.errors import FedvolError
from fedvol.market.synthetic import DEFAULT_END_MS
from fedvol.node.daemon import Node, passes
from tests.faults.soundness import penalties
from tests.node.conftest import (  # noqa: F401
    BOND,
    PASSWORD,
    Lab,
    artefacts,
    chain,
    chain_url,
    deploy,
    deployer,
    found,
    lab,
    logs_as_before,
    mined,
    proofs,
    rounds,
    tape,
    tape_of,
)
from tests.node.test_node_outbox import journal, token  # noqa: F401

MUST_ACT = (Phase.COMMIT, Phase.REVEAL, Phase.UNMASK)
LONG = {
    "commitWindow": 600, "revealWindow": 600, "unmaskWindow": 600, "proposeWindow": 600, "demandWindow": 24,
    "challengeWindow": 30, "interval": 5, "unbonding": 100_000,
}  # fmt: skip
"""Nobody is late on a slow machine, as chain time goes by with ours."""

M = 4
"""One cluster: a round lives on without one of it."""


@dataclass
class Standing:
    """A federation of nodes in this process, of which one at a time may have a bad endpoint, made so by the proxy.

    `failures`: what nodes went on after, as a daemon does, since a phase was `reach`ed.
    """

    lab: Lab
    nodes: list[Node]
    proxy: FaultyProxy | None = None
    failures: list[FedvolError] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        return self.lab.client.snapshot()

    def address(self, index: int) -> str:
        return self.nodes[index]._account.address

    @contextmanager
    def endpoint(self, index: int, mode: str, faults: Iterable[str] = ()) -> Iterator[FaultyProxy]:
        """A node's endpoint goes wrong meanwhile."""
        self.proxy.mode, self.proxy.faults = mode, iter(faults)
        with self.moved(index, self.proxy.url):
            yield self.proxy

    @contextmanager
    def moved(self, index: int, url: str) -> Iterator[None]:
        """A node's endpoint is another one meanwhile."""
        provider = self.nodes[index]._client.web3.provider
        good, provider.endpoint_uri = provider.endpoint_uri, url
        try:
            yield
        finally:
            provider.endpoint_uri = good

    def turn(self, seconds: int = 2) -> None:
        """Every node looks and acts once; what a daemon goes on after is noted, and everything else raised."""
        for node in self.nodes:
            try:
                node.cycle()
            except FedvolError as error:
                if not passes(error):
                    raise
                self.failures.append(error)
        self.lab.pass_time(seconds)

    def live(self, until: Callable[[Snapshot], bool], turns: int = 120) -> Snapshot:
        for _ in range(turns):
            s = self.snapshot()
            if until(s):
                return s
            # What somebody must act in ends with the act; the rest is waited for, with time to demand and to answer.
            left = max(1, s.ends_at - s.time)
            self.turn({Phase.CHALLENGE: left, Phase.AVAILABILITY: max(3, left // 2)}.get(s.phase, 1))
        raise AssertionError(f"still in {self.snapshot()} after {self.failures[-3:]}")

    def reach(self, phase: Phase) -> Snapshot:
        """A phase of the next round that has not begun yet."""
        self.failures.clear()
        number = self.snapshot().clock.number + (self.snapshot().clock.number > 0)
        return self.live(lambda s: s.phase == phase and s.clock.number >= max(1, number))

    def final(self, number: int) -> None:
        """Lives on until the round is final and published."""
        self.live(lambda s: s.clock.number > number or (s.clock.number == number and s.published))
        assert self.lab.client.events("RoundFinal", self.snapshot().block, round=number), "the round is void"

    def penalties(self, number: int) -> dict[str, list[str]]:
        return penalties(self.lab, number)


@contextmanager
def standing_federation(
    artefacts: dict[str, Any],  # noqa: F811
    folder: Path,
    count: int,
    changes: dict[str, Any],
    storages: Sequence[str] = (),
) -> Iterator[Standing]:
    """A federation of `count` nodes on a chain of its own, after its first round."""
    everybody = {"seats": count, "minMembers": count, "epochRounds": 64}
    with anvil(start=DEFAULT_END_MS // 1000) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDVOL_PASSWORD", PASSWORD)
        web3 = connect(url)
        deployed = deployer(web3, artefacts)
        with found(web3, url, deployed, tape_of(web3, folder), folder, everybody | LONG | changes) as lab:
            places = [{"storage": place} for place in storages] or [{}] * count
            nodes = [lab.node(i, **place) for i, place in enumerate(places, start=1)]
            for node in nodes:
                node.acts._outbox._patience = 1.0  # seconds that a test waits, too
                mint = lab.client.token.functions.mint(node._account.address, BOND)  # to top up what lateness costs
                mined(mint, web3.eth.accounts[0])
            federation = Standing(lab, nodes, lab.opened.enter_context(faulty_proxy(url)))
            federation.final(federation.reach(Phase.COMMIT).clock.number)
            yield federation


@pytest.fixture(scope="session")
def other_chain() -> Iterator[str]:
    """The endpoint of chain 1."""
    with anvil(accounts=1, chain_id=1) as url:
        yield url


@pytest.fixture(scope="module")
def standing(artefacts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:  # noqa: F811
    """A masked one."""
    with standing_federation(artefacts, tmp_path_factory.mktemp("standing"), M, {"clusterSize": M}) as federation:
        yield federation
