"""`fedvol node check` and `status`: what is told before it costs money, and while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripts._anvil import free_port, rpc
from scripts._faults import faulty_proxy
from scripts._ipfs import ipfs_peer
from typer.testing import CliRunner

from fedvol.chain.interface import require_interface
from fedvol.cli import app
from fedvol.errors import ChainError, ConfigError
from fedvol.node.check import CHECKS
from fedvol.node.funds import OWN_GAS, SHARED_GAS, UNMASK_GAS
from fedvol.node.journal import FILE
from tests.node.conftest import BOND, Lab, mined
from tests.node.test_node_commands import write

ROOT = Path(__file__).resolve().parents[2]


def checked(path: Path) -> dict[str, dict[str, Any]]:
    """By name, with the command's exit code under "exit"."""
    result = CliRunner().invoke(app, ["node", "check", "--config", str(path), "--json"])
    document = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code
    found = {line["name"]: line for line in document["checks"]}
    assert list(found) == ["configuration", *CHECKS]
    assert all(line["next"] and line["text"] for line in found.values() if line["colour"] in ("red", "yellow"))
    return found | {"exit": result.exit_code}


def colours(found: dict[str, Any]) -> dict[str, str]:
    """Of all that are not green."""
    return {name: line["colour"] for name, line in found.items() if name != "exit" and line["colour"] != "green"}


@pytest.fixture
def steady(lab: Lab) -> dict[str, str]:
    """What is yellow in this laboratory, whose chain and tape lie in the past."""
    return {"clock": "yellow", "tape": "yellow"}


def test_a_node_that_is_ready_is_green_and_stays_so_while_it_runs(
    lab: Lab, tmp_path: Path, steady: dict[str, str]
) -> None:
    path = write(lab.config(1), tmp_path)
    before = lab.client.web3.eth.block_number
    found = checked(path)
    assert (colours(found), found["exit"]) == (steady, 0)
    assert "no node runs" in found["process"]["text"]
    assert found["journal"]["text"] == "none yet"
    assert "rows train" in found["tape"]["text"]
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == 3)
    found = checked(path)
    assert (colours(found), found["exit"]) == (steady, 0)
    assert "a node runs" in found["process"]["text"]
    assert "last round 1" in found["journal"]["text"]
    assert found["bond"]["text"].startswith("active, bond 1000 of 1000")
    assert lab.client.web3.eth.block_number > before, "the nodes, not the checks, sent something"
    plain = CliRunner().invoke(app, ["node", "check", "--config", str(path)])
    assert [line.split()[0] for line in plain.stdout.splitlines()].count("green") == len(CHECKS) + 1 - len(steady)


def poor(lab: Lab, folder: Path) -> dict[str, Any]:
    rpc(lab.url, "anvil_setBalance", lab.client.web3.eth.accounts[1], hex(10**6))
    return {}


def no_tokens(lab: Lab, folder: Path) -> dict[str, Any]:
    node = lab.client.web3.eth.accounts[1]
    mined(lab.client.token.functions.transfer(lab.client.web3.eth.accounts[0], BOND), node)
    return {}


def old_contract(lab: Lab, folder: Path) -> dict[str, Any]:
    rpc(lab.url, "anvil_setCode", lab.client.duties.address, "0x6001600101")
    return {}


def moved_contract(lab: Lab, folder: Path) -> dict[str, Any]:
    d = lab.client.deployment
    text = (folder / "deployments.json").read_text().replace(d.settlement, d.duties.lower())
    (folder / "moved.json").write_text(text.replace(d.duties + '"', d.settlement + '"'))
    return {"deployments": str(folder / "moved.json")}


def other_journal(lab: Lab, folder: Path) -> dict[str, Any]:
    lab.node(2)
    return {"data_dir": str(lab.config(2).data_dir)}


def torn_journal(lab: Lab, folder: Path) -> dict[str, Any]:
    (folder / "torn").mkdir()
    (folder / "torn" / FILE).write_bytes(b"nothing" * 1000)
    return {"data_dir": str(folder / "torn")}


def blocked_folder(lab: Lab, folder: Path) -> dict[str, Any]:
    (folder / "file").write_text("")
    return {"data_dir": str(folder / "file" / "data")}


NEEDS_CHAIN = ("contracts", "clock", "funds", "bond", "proofs")


CASES: list[tuple[Callable[[Lab, Path], dict[str, Any]], str, int, tuple[str, ...], str]] = [
    (lambda lab, f: {"keystore": "absent.json"}, "key file", 3, ("funds", "bond"), "fedvol node init"),
    (lambda lab, f: {"chain_id": 5}, "deployment", 2, ("rpc", *NEEDS_CHAIN, "tape"), "chain_id says 5"),
    (lambda lab, f: {"rpc": f"http://127.0.0.1:{free_port()}"}, "rpc", 6, NEEDS_CHAIN, "Nobody answers"),
    (old_contract, "contracts", 6, ("funds", "bond", "proofs"), "Duties"),
    (moved_contract, "contracts", 6, ("funds", "bond", "proofs"), "another version"),
    (poor, "funds", 6, (), "do not pay one round"),
    (no_tokens, "bond", 6, (), "to join takes 1000"),
    (lambda lab, f: {"storage": str(f / "none" / "of" / "it")}, "storage", 5, (), "parent exists"),
    (blocked_folder, "disk", 2, (), "cannot be written"),
    (lambda lab, f: {"tape": "absent.csv"}, "tape", 4, (), "absent.csv"),
    (torn_journal, "journal", 14, (), "damaged"),
    (other_journal, "journal", 2, (), "data folder of"),
]
"""(what is spoilt, the check that is red, exit code, checks that cannot be made then, words in the line)"""


def test_what_is_wrong_is_red_and_the_others_are_looked_at(lab: Lab, tmp_path: Path, steady: dict[str, str]) -> None:
    config = lab.config(1)
    for spoil, red, code, unknown, words in CASES:
        before = rpc(lab.url, "evm_snapshot")
        found = checked(write(config, tmp_path, **spoil(lab, tmp_path)))
        lab.opened.close()
        rpc(lab.url, "evm_revert", before)
        needed = {name: colour for name, colour in steady.items() if name not in unknown}
        assert colours(found) == needed | {red: "red"} | dict.fromkeys(unknown, "unknown"), red
        assert found["exit"] == code
        assert words in found[red]["text"] + found[red]["next"]


def test_a_wrong_password_is_red_and_hides_nothing_else(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: dict[str, str]
) -> None:
    path = write(lab.config(1), tmp_path)
    monkeypatch.setenv("FEDVOL_PASSWORD", "wrong horse")
    found = checked(path)
    assert (colours(found), found["exit"]) == (steady | {"key file": "red"}, 3)


def test_a_bad_configuration_leaves_all_else_unknown(tmp_path: Path) -> None:
    found = checked(tmp_path / "absent.toml")
    assert found["configuration"]["colour"] == "red"
    assert set(colours(found).values()) == {"red", "unknown"}
    assert found["exit"] == 2


def test_storage_that_gives_other_bytes_back_is_red(lab: Lab, tmp_path: Path) -> None:
    with ipfs_peer(tmp_path) as node, faulty_proxy(node) as proxy:
        path = write(lab.config(1), tmp_path, storage=f"ipfs+{proxy.url}")
        assert colours(checked(path)).get("storage") is None
        proxy.mode = "alter"
        found = checked(path)
        assert (found["storage"]["colour"], found["exit"]) == ("red", 5)


def test_a_budget_that_is_spent_is_red_and_one_that_runs_out_is_yellow(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(lab.config(1), tmp_path)
    monkeypatch.setenv("FEDVOL_NODE_PRIVACY__EPSILON", "4.0")
    monkeypatch.setenv("FEDVOL_NODE_PRIVACY__ROUNDS", "3")
    found = checked(path)
    assert found["privacy"]["colour"] == "yellow"
    assert "3 rounds" in found["privacy"]["text"]
    node = lab.node(1, privacy={"epsilon": 4.0, "rounds": 3})
    for number in (1, 2, 3):
        node.acts._budget.charge(number, 7)
    found = checked(path)
    assert (found["privacy"]["colour"], found["exit"]) == ("red", 11)


def test_an_interface_of_another_version_is_told(lab: Lab) -> None:
    require_interface(lab.client)
    rpc(
        lab.url,
        "anvil_setCode",
        lab.client.federation.address,
        lab.client.web3.eth.get_code(lab.client.vault.address).hex(),
    )
    with pytest.raises(ChainError, match=r"Federation at .* has no .*another version"):
        require_interface(lab.client)


def test_another_model_than_the_deployment_files_is_told(lab: Lab) -> None:
    lab.client.deployment.spec["dimension"] += 1
    with pytest.raises(ConfigError, match="has 160 weights"):
        require_interface(lab.client)


def test_what_rounds_are_taken_to_cost_is_what_they_cost() -> None:
    gas = json.loads((ROOT / "benchmarks" / "gas.json").read_text())
    assert 0.5 * OWN_GAS < gas["commit_new_seat"] + gas["reveal_pledged_first"] <= OWN_GAS
    assert 0.5 * UNMASK_GAS < gas["unmask_masked_2_missing"] <= UNMASK_GAS
    assert 0.5 * SHARED_GAS < sum(gas[name] for name in ("open", "draw", "propose", "publish")) <= SHARED_GAS


def test_status_tells_duty_actions_penalties_and_versions(lab: Lab, tmp_path: Path) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == 3)
    path = write(lab.config(1), tmp_path)
    os.environ.pop("FEDVOL_PASSWORD")

    def status() -> dict[str, Any]:
        result = CliRunner().invoke(app, ["node", "status", "--config", str(path), "--json"])
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    found = status()
    assert (found["duty"], found["process_runs"], found["slashed"], found["reported"]) == ("reveal", True, 0, {})
    assert 0 < found["duty_ends_in"] <= 62
    assert found["duty_penalty"] == found["next_penalty"] == BOND // 20
    assert found["model_version"] == found["model_served"] == found["trained_from_version"] == 1
    commit = next(action for action in found["actions"] if action["act"] == "commit")
    assert (commit["round"], commit["outcome"]) == (1, "mined")
    assert commit["gas"] > 21_000
    assert commit["blocks_ago"] >= 0

    lab.cycle(*nodes[1:], until=lambda: lab.version == 2)  # the first stays away, and is reported
    lab.cycle(*nodes[1:], until=lambda: status()["reported"] != {})
    found = status()
    assert (found["reported"], found["faults"], found["slashed"]) == ({"silence": 1}, 1, BOND // 20)
    assert found["next_penalty"] == 2 * (BOND // 20)
    assert CliRunner().invoke(app, ["node", "status", "--config", str(path)]).exit_code == 0
