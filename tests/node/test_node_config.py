"""Configuration and key files: what is refused, and that each refusal names its cause."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from eth_account import Account
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.errors import ConfigError, FedvolError, KeyfileError
from fedvol.node import keystore
from fedvol.node.config import load_config
from tests.node.conftest import PASSWORD, key_of

GOOD = {
    "rpc": "http://127.0.0.1:8545",
    "deployments": "d.json",
    "keystore": "key.json",
    "tape": "tape.csv",
    "storage": "pins",
    "data_dir": "data",
}


def write(folder: Path, extra: str = "", **changes: object) -> Path:
    settings = {name: value for name, value in (GOOD | changes).items() if value is not None}
    path = folder / "node.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()) + extra)
    return path


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert config.tape == tmp_path / "tape.csv"
    assert config.storage == str(tmp_path / "pins")
    assert load_config(write(tmp_path, storage="ipfs+http://h:5001")).storage == "ipfs+http://h:5001"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDVOL_NODE_RPC", "https://elsewhere:1")
    monkeypatch.setenv("FEDVOL_NODE_TRAINING__STEPS", "7")
    config = load_config(write(tmp_path, "[training]\nsteps = 9\nclip = 1.5\n"))
    assert config.rpc == "https://elsewhere:1"
    assert (config.training.steps, config.training.clip) == (7, 1.5)


@pytest.mark.parametrize(
    ("extra", "changes", "words"),
    [
        ("tap = 1\n", {}, ("unknown key 'tap'", "tape")),
        ("password = 'x'\n", {}, ("unknown key 'password'", "password_file")),
        ("[training]\nstep = 1\n", {}, ("unknown key 'training.step'", "steps")),
        ("[training]\nsteps = 1.5\n", {}, ("training.steps", "1.5")),
        ("[training]\nclip = -1.0\n", {}, ("clip", "-1.0")),
        ("", {"withdrawal": "0x" + "ab" * 20}, ("withdrawal", "checksum")),
        ("", {"rpc": None}, ("'rpc' is missing", "FEDVOL_NODE_RPC")),
        ("", {"rpc": "ws://x"}, ("rpc", "http://", "ws://x")),
        ("", {"poll_seconds": "soon"}, ("poll_seconds", "soon")),
        ("", {"holdout": 1.0}, ("holdout", "1.0")),
        ("", {"bond": 0}, ("bond", "0")),
        ("rpc = \n", {}, ("no TOML", "line")),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, extra: str, changes: dict[str, object], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, extra, **changes))
    text = str(refused.value)
    assert "\n" not in text
    assert all(word in text for word in words), text
    assert refused.value.exit_code == 2


def test_a_misspelt_environment_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDVOL_NODE_TAP", "x")
    with pytest.raises(ConfigError, match="FEDVOL_NODE_TAP"):
        load_config(write(tmp_path))


def test_a_missing_file_and_a_missing_password_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")
    monkeypatch.delenv("FEDVOL_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="FEDVOL_PASSWORD"):
        load_config(write(tmp_path)).password()
    (tmp_path / "pw").write_text("from file\n")
    assert load_config(write(tmp_path, password_file="pw")).password() == "from file"


# ---------------------------------------------------------------------- key files


def test_a_key_file_opens_with_its_password_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.json"
    address = keystore.create(path, PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keystore.load(path, PASSWORD).address == address == keystore.address_of(path)
    with pytest.raises(KeyfileError, match="another password") as refused:
        keystore.load(path, "wrong horse")
    assert refused.value.exit_code == 3
    with pytest.raises(KeyfileError, match="not overwritten"):
        keystore.create(path, PASSWORD)
    assert [file.name for file in path.parent.iterdir()] == ["key.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: '{"crypto": {}}',
        lambda text: text.replace('"address": "', '"address": "0bad'),
        lambda text: re.sub(r'"address": "....', '"address": "0000', text),
        lambda text: text.replace("scrypt", "rot13"),
        lambda text: json.dumps(json.loads(text) | {"crypto": json.loads(text)["crypto"] | {"ciphertext": "zz"}}),
    ],
)
def test_a_damaged_key_file_is_told_from_a_wrong_password(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "key.json"
    path.write_text(damage(json.dumps(Account.encrypt(key_of(0), PASSWORD, kdf="scrypt", iterations=2))))
    with pytest.raises(KeyfileError, match="damaged"):
        keystore.load(path, PASSWORD)


def test_no_key_file_and_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyfileError, match="no key file"):
        keystore.load(tmp_path / "none.json", PASSWORD)
    for text in ("0x12", "hello", "00" * 32):
        with pytest.raises(KeyfileError, match="no private key") as refused:
            keystore.create(tmp_path / "new.json", PASSWORD, text)
        assert text not in str(refused.value)
    with pytest.raises(KeyfileError, match="password"):
        keystore.create(tmp_path / "new.json", "")
    assert not (tmp_path / "new.json").exists()


def test_a_round_secret_is_the_accounts_own_and_repeats() -> None:
    one, two = Account.from_key(key_of(0)), Account.from_key(key_of(1))
    assert keystore.round_secret(one, b"r1") == keystore.round_secret(one, b"r1")
    assert keystore.round_secret(one, b"r1") != keystore.round_secret(one, b"r2")
    assert keystore.round_secret(one, b"r1") != keystore.round_secret(two, b"r1")


# ---------------------------------------------------------------------- fedvol node init


def test_init_writes_a_configuration_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDVOL_PASSWORD", PASSWORD)
    monkeypatch.setenv("FEDVOL_PRIVATE_KEY", key_of(3))
    arguments = ["node", "init", "--tape", "t.csv", "--import-key", "--desk", 'a "quoted" desk']
    arguments += ["--rpc", "http://127.0.0.1:8545", "--deployments", "d.json", "--storage", "storage"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert Account.from_key(key_of(3)).address in result.output
    config = load_config(tmp_path / "node.toml")
    assert config.tape == tmp_path / "t.csv"
    assert config.desk == 'a "quoted" desk'
    assert (config.federation, config.chain_id, config.window_hours) == (None, None, 24.0)
    assert config.storage == str(tmp_path / "storage")
    assert keystore.load(config.keystore, config.password()).address == Account.from_key(key_of(3)).address

    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, FedvolError)
    assert "not overwritten" in str(again.exception)


def test_every_setting_is_in_the_written_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fedvol.node.config import TEMPLATE, NodeConfig

    missing = [
        name for name in NodeConfig.model_fields if f"{name} =" not in TEMPLATE and f"{{{name}}}" not in TEMPLATE
    ]
    assert missing == ["training", "privacy"]  # they are tables of their own
