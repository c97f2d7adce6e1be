"""Clocks and feeds that are wrong: two minutes between a node's clock and the chain's, a price that nobody updates."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from scripts._anvil import anvil

from fedvol.chain.client import connect
from tests.faults.conftest import LONG, PASSWORD, Standing
from tests.faults.soundness import assert_nobody_paid
from tests.node.conftest import Lab, deployer, found, tape_of

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def rounds() -> dict[str, Any]:
    return LONG


@pytest.mark.parametrize("skew", [-120, 120], ids=["behind", "ahead"])
def test_a_chain_whose_clock_is_two_minutes_off(
    artefacts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    """What a node does follows from the chain's time alone. One of them trains on a window that its own clock ends."""
    monkeypatch.setenv("FEDVOL_PASSWORD", PASSWORD)
    with anvil(start=int(time.time()) + skew) as url:
        web3 = connect(url)
        tape = tape_of(web3, tmp_path)
        with found(web3, url, deployer(web3, artefacts), tape, tmp_path, LONG) as lab:
            private = {"privacy": {"epsilon": 4.0, "rounds": 100}}
            federation = Standing(lab, [lab.node(1), lab.node(2), lab.node(3, **private)])
            federation.final(1)
            assert len(lab.client.reveals(1, federation.snapshot().block)) == 3
            assert federation.failures == []
            assert_nobody_paid(lab)


def test_a_feed_that_nobody_updates_stops_quotes_and_no_round(lab: Lab) -> None:
    """The engine tells nothing of a market whose price is stale; that must not keep nodes from their commits."""
    federation = Standing(lab, [lab.node(i) for i in (1, 2, 3)])
    lab.pass_time(2 * 3_600)
    federation.final(1)
    federation.final(2)
    assert len(lab.client.reveals(2, federation.snapshot().block)) == 3
    assert federation.failures == []
    assert_nobody_paid(lab)
