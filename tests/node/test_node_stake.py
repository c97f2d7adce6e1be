"""`fedvol stake`, and a daemon with a withdrawal address: what reaches the cold key, and what a hot one cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from scripts._anvil import rpc
from typer.testing import CliRunner
from web3.contract.contract import ContractFunction

from fedvol.chain.address import checked_address
from fedvol.chain.federation import Phase
from fedvol.chain.stake import Stake, Unit, read_stake
from fedvol.cli import app
from fedvol.errors import ConfigError, FedvolError
from fedvol.node.config import load_config
from fedvol.node.daemon import open_node
from tests.node.conftest import BOND, PARAMS, PASSWORD, Lab, key_of, mined
from tests.node.test_node_commands import write

PENALTY = PARAMS["silencePenalty"]
COLD, HEIR = 9, 8
COLD_ADDRESS, HEIR_ADDRESS = (Account.from_key(key_of(i)).address for i in (COLD, HEIR))


@pytest.fixture
def rounds() -> dict[str, Any]:
    return {"minMembers": 2}


@pytest.fixture
def cold(lab: Lab) -> Path:
    """The key file of the withdrawal address."""
    path = lab.folder / "cold.json"
    path.write_text(json.dumps(Account.encrypt(key_of(COLD), PASSWORD, iterations=2)))
    return path


def stake(*arguments: object) -> Any:
    """What the command prints as JSON.

    Raises:
        FedvolError: it failed.
    """
    flags = ["--json"] if arguments[0] == "show" or "--calls" in arguments else ["--yes", "--json"]
    result = CliRunner().invoke(app, ["stake", *map(str, arguments), *flags])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def refusal(*arguments: object) -> str:
    with pytest.raises(FedvolError) as caught:
        stake(*arguments)
    assert caught.value.exit_code != 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by(lab: Lab, key: Path, node: str) -> list[object]:
    """Options for a key that does not lie on the node's machine."""
    return ["--keystore", key, "--node", node, "--rpc", lab.url, "--deployments", lab.folder / "deployments.json"]


def send(lab: Lab, call: ContractFunction, account: str | None = None) -> None:
    mined(call, account or lab.client.web3.eth.accounts[0])


def mint(lab: Lab, account: str, amount: int) -> None:
    send(lab, lab.client.token.functions.mint(account, amount))


def purse(lab: Lab, account: str) -> int:
    return lab.client.token.functions.balanceOf(account).call()


def of(lab: Lab, node: str) -> Stake:
    return read_stake(lab.client, node)


def written(lab: Lab, index: int, **changes: Any) -> list[object]:
    """`--config` of a node's file."""
    config = lab.config(index)
    path = write(config, config.keystore.parent)
    with path.open("r+") as file:  # of the template's settings a test changes a few
        text = file.read()
        file.seek(0)
        file.write("".join(f"{name} = {json.dumps(value)}\n" for name, value in changes.items()) + text)
    return ["--config", path]


def test_cold_address_is_named_first_and_gets_the_bond_when_the_hot_key_leaves(lab: Lab, cold: Path) -> None:
    with open_node(lab.config(1, withdrawal=COLD_ADDRESS)) as node:
        hot = node._account.address
        lab.cycle(node, until=lambda: lab.client.snapshot(hot).node.status == "joining")
        named, bonded = (lab.client.events(name, lab.client.snapshot().block, lab.client.vault)[0]["blockNumber"]
                         for name in ("WithdrawalNamed", "Bonded"))  # fmt: skip
        assert named < bonded
        assert "daemon" in refusal("exit", *written(lab, 1))

    assert "join = false" in refusal("exit", *written(lab, 1))
    config = written(lab, 1, join=False)
    assert COLD_ADDRESS in refusal("withdrawal", HEIR_ADDRESS, *config), "the hot key cannot redirect it"
    assert "fedvol stake exit" in refusal("withdraw", *by(lab, cold, hot))
    left = stake("exit", *config)
    assert left["stake"]["status"] == "none"
    assert "locked until" in refusal("withdraw", *config)

    lab.pass_time(PARAMS["unbonding"])
    stake("withdraw", *config)  # the hot key may ask; the tokens are the cold one's
    assert (purse(lab, COLD_ADDRESS), purse(lab, hot), of(lab, hot).bond) == (BOND, 0, 0)
    assert "nothing there" in refusal("withdraw", *by(lab, cold, hot))


def test_rotation_costs_one_epoch_no_second_bond_and_no_fault_escapes(lab: Lab, cold: Path) -> None:
    others = [lab.node(i, keeper=False) for i in (2, 3)]
    with open_node(lab.config(1, withdrawal=COLD_ADDRESS)) as old:
        hot = old._account.address
        lab.cycle(old, *others, until=lambda: lab.client.snapshot().clock.committed == 3)
    heir = written(lab, HEIR)
    lab.config(HEIR)
    send(lab, lab.client.token.functions.transfer(COLD_ADDRESS, BOND), HEIR_ADDRESS)  # the hot key holds no tokens

    rotate = ["rotate", "--to", HEIR_ADDRESS, *by(lab, cold, hot)]
    assert f"{HEIR_ADDRESS} has not named {COLD_ADDRESS}" in refusal(*rotate)
    stake("withdrawal", COLD_ADDRESS, *heir)
    assert "Only" in refusal("rotate", "--to", HEIR_ADDRESS, *written(lab, 1))
    assert stake(*rotate)["stake"]["retired"], "of a member: no more"
    assert "fedvol stake exit" in refusal(*rotate)
    stake("exit", *written(lab, 1, join=False))

    lab.cycle(*others, until=lambda: lab.client.snapshot().phase == Phase.FINAL, seconds=4)
    model = lab.client.proposed_model(1, lab.client.snapshot().block)
    send(lab, lab.client.federation.functions.publish(model))
    send(lab, lab.client.federation.functions.settleExits(8))
    moved = stake(*rotate)["stake"]
    assert (moved["bond_units"], moved["successor"]) == (0, HEIR_ADDRESS)
    assert of(lab, HEIR_ADDRESS).bond == BOND

    # It had committed and not revealed; the successor itself reports that, and its own bond pays.
    send(lab, lab.client.duties.functions.reportSilence(hot), HEIR_ADDRESS)
    assert of(lab, HEIR_ADDRESS).bond == BOND - PENALTY
    stake("claim", *by(lab, cold, HEIR_ADDRESS))
    assert purse(lab, COLD_ADDRESS) == BOND + PENALTY // 2

    add = ["add", "50", *by(lab, cold, HEIR_ADDRESS)]
    assert [call["to"] for call in stake(*add, "--calls")] == [lab.client.token.address, lab.client.vault.address]
    assert len(stake(*add)["steps"]) == 2
    successor = lab.node(HEIR, withdrawal=COLD_ADDRESS)
    lab.cycle(successor, *others, until=lambda: lab.client.snapshot(HEIR_ADDRESS).node.status == "active")
    assert of(lab, HEIR_ADDRESS).bond == BOND
    with open_node(lab.config(1)) as retired, pytest.raises(ConfigError, match=f"retired by {COLD_ADDRESS}"):
        retired.cycle()


def test_withdrawal_address_is_handed_on_in_two_steps(lab: Lab, cold: Path) -> None:
    config, hot = written(lab, 1), Account.from_key(key_of(1)).address
    assert "operator's own" in refusal("withdrawal", hot, *config)
    assert stake("withdrawal", COLD_ADDRESS, *config)["stake"]["payee"] == COLD_ADDRESS
    offered = stake("withdrawal", HEIR_ADDRESS, *by(lab, cold, hot))["stake"]
    assert (offered["withdrawal"], offered["offered_to"]) == (COLD_ADDRESS, HEIR_ADDRESS)
    assert f"{HEIR_ADDRESS} may take, not {COLD_ADDRESS}" in refusal("accept", *by(lab, cold, hot))
    assert stake("accept", *written(lab, HEIR), "--node", hot)["stake"]["withdrawal"] == HEIR_ADDRESS
    assert f"Only {HEIR_ADDRESS}" in refusal("withdrawal", COLD_ADDRESS, *by(lab, cold, hot))
    says = pytest.raises(ConfigError, match=f"go to {HEIR_ADDRESS}, not to {COLD_ADDRESS}")
    with open_node(lab.config(1, withdrawal=COLD_ADDRESS)) as node, says:
        node.cycle()
    assert of(lab, hot).bond == 0, "it bonds nothing for somebody else"


def test_refusals_say_who_may_and_what_to_do(lab: Lab, cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, hot = written(lab, 1, join=False), Account.from_key(key_of(1)).address
    mint(lab, COLD_ADDRESS, 7)
    said = {
        ("add", "0.000000000000000008", *by(lab, cold, hot)): "holds 0.000000000000000007 BOND",
        ("add", "1e3", *config): "'1e3' is no amount",
        ("exit", *config): "no member that could leave (status: none)",
        ("exit", *by(lab, cold, hot)): f"Only {hot}",
        ("claim", *config): "nothing there",
        ("claim", *by(lab, cold, hot)): "nothing there",
        ("withdrawal", COLD_ADDRESS.lower(), *config): "no valid checksum",
        ("rotate", "--to", "0x12", *config): "is no address",
        ("rotate", "--to", hot, *by(lab, cold, hot)): "Only",
        ("withdraw", *by(lab, lab.config(1).keystore, hot)): "the operator's own key",
        ("withdraw", "--node", hot, "--rpc", lab.url, "--deployments", lab.folder / "deployments.json"): "--keystore",
    }
    for arguments, words in said.items():
        assert words in refusal(*arguments)
    result = CliRunner().invoke(app, ["stake", "withdrawal", COLD_ADDRESS, *map(str, config)])
    assert "--yes" in str(result.exception), "nobody is there to ask"
    assert f"{hot} names {COLD_ADDRESS}, for good" in result.stdout.replace("\n", " ")
    assert of(lab, hot).withdrawal is None

    # A transaction that an earlier command left waiting: a second one beside it would add twice.
    rpc(lab.url, "evm_setAutomine", False)
    lab.client.web3.eth.send_transaction({"from": COLD_ADDRESS, "to": hot, "value": 1})
    assert "waits to be mined" in refusal("add", "0.000000000000000001", *by(lab, cold, hot))

    monkeypatch.setenv("FEDVOL_PASSWORD", "wrong horse")
    assert "another password" in refusal("claim", *by(lab, cold, hot))
    shown = stake("show", *config)  # needs none
    assert (shown["bond_units"], shown["payee"], shown["status"]) == (0, hot, "none")


def test_init_takes_a_cold_address_and_no_slip_of_it(lab: Lab) -> None:
    home = lab.folder / "new"
    places = {"config": home / "node.toml", "tape": lab.tape, "storage": home.parent / "storage", "rpc": lab.url}
    places["deployments"] = lab.folder / "deployments.json"
    init = ["node", "init", *(str(part) for name, value in places.items() for part in (f"--{name}", value))]
    refused = CliRunner().invoke(app, [*init, "--withdrawal", COLD_ADDRESS.lower()])
    assert "--withdrawal" in str(refused.exception)
    assert not home.exists(), "no key for a node that will not be"
    assert CliRunner().invoke(app, [*init, "--withdrawal", COLD_ADDRESS]).exit_code == 0
    assert load_config(home / "node.toml").withdrawal == COLD_ADDRESS


def test_operator_is_no_withdrawal_address(lab: Lab) -> None:
    hot = Account.from_key(key_of(1)).address
    with open_node(lab.config(1, withdrawal=hot)) as node, pytest.raises(ConfigError, match="operator's own"):
        node.cycle()


@pytest.mark.parametrize(
    ("text", "units"),
    [("1", 10**6), ("0.000001", 1), ("12.5", 12_500_000), ("007.10", 7_100_000), ("3.0000000", 3 * 10**6)],
)
def test_amounts_are_exact(text: str, units: int) -> None:
    assert Unit("T", 6).parse(text) == units


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1e3", "1,000", ".5", "5.", "0.0000001", "1_0", "١", "nan", " 1"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Unit("T", 6).parse(text)


def test_amounts_are_shown_with_every_digit() -> None:
    assert [Unit("T", 6).show(n) for n in (0, 1, 1_500_000, 10**12)] == ["0 T", "0.000001 T", "1.5 T", "1,000,000 T"]
    assert (Unit("T", 0).parse("5"), Unit("T", 0).show(5)) == (5, "5 T")


@pytest.mark.parametrize(
    "text", ["", "0x12", "0x" + "00" * 20, COLD_ADDRESS.lower(), COLD_ADDRESS[:-1] + "1", COLD_ADDRESS[2:]]
)
def test_an_address_with_a_slip_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        checked_address(text)
    assert checked_address(COLD_ADDRESS) == COLD_ADDRESS
