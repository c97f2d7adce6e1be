"""Six daemons, a real Anvil, real tapes: the main job from deployment to a quote."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from scripts._localnet import BIN, Localnet, localnet, run
from scripts._report import DAY, Judge, forwards
from scripts.demo import between_commit_and_reveal, split_tape
from tests.realdata import REAL, needs_real_data

from fedvol.chain.federation import Snapshot
from fedvol.chain.versions import as_of_version, start_of
from fedvol.commands.quote import read_quote
from fedvol.learning.model import build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import content_id, pack_model, unpack_model
from fedvol.storage import open_storage

ROUNDS = 5
WINDOW_HOURS = 6.0

PLAN = {"rounds": {"commit_window": 60, "reveal_window": 60, "propose_window": 60, "unbonding": 900}}
"""Phases end when all have acted; a desk that comes back has a minute for it, however busy the machine is."""

T = TypeVar("T")

pytestmark = [needs_real_data, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def judge() -> Judge:
    assert REAL is not None
    return Judge(
        build(mixture_spec()), split_tape(REAL / "dev_quotes.parquet", None, 0, WINDOW_HOURS, desks=6), WINDOW_HOURS
    )


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory, judge: Judge) -> Iterator[Localnet]:
    """Runs the rounds once: one desk is killed between commit and reveal, another while it waits, both come back."""
    assert REAL is not None
    home = tmp_path_factory.mktemp("net")
    with localnet(home, WINDOW_HOURS, len(judge.own), changes=PLAN, start=judge.as_of) as net:
        for market, price in forwards(judge.market).items():
            net.set_price(market, price)
        for name, tape in split_tape(REAL / "dev_quotes.parquet", None, 0, WINDOW_HOURS, desks=6).items():
            net.add_desk(name, tape)
        for desk in net.desks:
            net.start(desk)
        committed = wait(net, lambda s: s.clock.number >= 2 and between_commit_and_reveal(net, s))
        net.kill(committed)
        time.sleep(2)
        net.start(committed)
        wait(net, lambda s: s.version >= 4)
        other = next(desk for desk in net.desks if desk is not committed)
        net.kill(other)
        net.start(other)
        wait(net, lambda s: s.version > ROUNDS)
        yield net


def wait(net: Localnet, look: Callable[[Snapshot], T], seconds: float = 180) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        snapshot = net.snapshot()
        if found := look(snapshot):
            return found
        stopped = [desk for desk in net.desks if desk.process is not None and not desk.alive]
        assert not stopped, f"{stopped[0].name} stopped:\n{stopped[0].log.read_text()[-3000:]}"
        time.sleep(0.2)
    logs = "\n".join(f"== {desk.name}\n{desk.log.read_text()[-1500:]}" for desk in net.desks)
    raise AssertionError(f"still in {net.snapshot()}\n{logs}")


def test_every_final_model_is_what_the_rule_makes_of_what_was_revealed(net: Localnet) -> None:
    client, storage = net.client, open_storage(str(net.home / "storage"))
    head = client.web3.eth.block_number
    dimension = client.registry.functions.dimension().call()
    params = client.snapshot().params
    finals = client.events("RoundFinal", head)
    assert len(finals) >= ROUNDS
    for event in finals:
        version, number = event["args"]["version"], event["args"]["round"]
        reveals = client.reveals(number, head)
        # Also the desk that was killed after its commit: its journal kept what it had committed to.
        assert len(reveals) == len(net.desks)
        opened_at = as_of_version(client, version, head)
        before = unpack_model(start_of(client, version - 1, opened_at, head), dimension)
        expected = pack_model(apply(Rule.from_params(params), before, [storage.get(r.content_id) for r in reveals]))
        assert client.model(version) == expected
        assert event["args"]["contentId"] == content_id(expected)


def test_a_killed_desk_loses_nothing(net: Localnet) -> None:
    """Both came back: nobody was reported silent, and every bond is whole."""
    assert not list(net.client.duties.events.SilenceReported.get_logs(from_block=0))
    for member in net.client.members(net.snapshot()):
        assert member.bond == net.snapshot().params["bond"]
        assert member.faults == 0


def test_the_joint_model_beats_each_desk_alone_and_a_flat_vol(net: Localnet, judge: Judge) -> None:
    s = net.snapshot()
    joint = judge.joint(net.client.model(s.version), as_of_version(net.client, s.version, s.block))
    alone = judge.alone(ROUNDS)
    assert joint < np.mean(list(alone.values()))
    assert joint < judge.flat()


def test_a_protocol_reads_a_quote(net: Localnet, judge: Judge) -> None:
    """iv from the contract is the model's own, and put-call parity holds on undiscounted Black-76."""
    forward = forwards(judge.market)["BTC"]
    strike = round(forward * 1.1, -3)
    expiry = net.client.web3.eth.get_block("latest")["timestamp"] + 30 * DAY
    quote = read_quote(net.client, "BTC", strike, expiry)
    spec = judge.model.spec
    weights = spec.to_float(unpack_model(net.client.model(quote["version"]), spec.dimension))
    as_of = as_of_version(net.client, quote["version"], net.snapshot().block)
    vol = judge.model.implied_vol(weights, as_of, 0, np.log(strike / quote["forward"]), expiry)
    assert quote["iv"] == pytest.approx(float(vol), rel=1e-5)
    assert quote["call"] - quote["put"] == pytest.approx(quote["forward"] - strike, abs=1e-6)
    assert 0 < quote["delta"] < 0.5


def test_commands_read_the_same_chain(net: Localnet) -> None:
    where = ["--rpc", net.url, "--deployments", net.deployments]
    shown = json.loads(run([BIN / "fedvol", "federation", "show", "--json", *where], {}))
    assert len(shown["members"]) == len(net.desks)
    quoted = json.loads(run([BIN / "fedvol", "quote", "ETH", "-k", 3000, "--json", *where], {}))
    assert 0.05 < quoted["quotes"][0]["iv"] < 4.5
    desk = net.desks[0]
    status = json.loads(run([BIN / "fedvol", "node", "status", "--config", desk.config, "--json"], net.secrets(desk)))
    assert desk.address.lower() in json.dumps(status).lower()


def test_an_unknown_market_or_a_strike_out_of_range_is_refused_by_name(net: Localnet) -> None:
    where = ["--rpc", net.url, "--deployments", str(net.deployments)]
    for asked, code, word in ((["DOGE", "-k", "1"], 2, "DOGE"), (["BTC", "-k", "0.001"], 6, "StrikeOutOfRange")):
        done = subprocess.run([BIN / "fedvol", "quote", *asked, *where], capture_output=True, text=True)
        assert done.returncode == code
        assert done.stderr.startswith("error:")
        assert word in done.stderr


def test_no_secret_reaches_a_log(net: Localnet) -> None:
    for desk in net.desks:
        text = desk.log.read_text()
        assert net.secrets(desk)["FEDVOL_PASSWORD"] not in text
        assert "private" not in text.lower()


def test_a_second_deployment_changes_nothing(net: Localnet, tmp_path: Path) -> None:
    before = net.deployments.read_text()
    run(
        [BIN / "ape", "run", "deploy", "--network", "ethereum:local:foundry", "--account", "TEST::0",
         "--deployments", net.deployments],
        {"APE_FOUNDRY_HOST": net.url},
    )  # fmt: skip
    assert net.deployments.read_text() == before
