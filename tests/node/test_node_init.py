"""`fedvol node init`: at a real terminal it asks and tries each answer; without one it says what is missing; whatever
goes wrong, nothing is left half-written."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripts._anvil import free_port
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.errors import ConfigError, FedvolError
from fedvol.node import keystore
from fedvol.node.config import load_config
from tests.node.conftest import Lab

COMMAND = [sys.executable, "-c", "from fedvol.cli import main; main()", "node", "init"]
PATIENCE_S = 60


class Terminal:
    """A process at a terminal: what it shows is waited for, what it asks is answered."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def wait_for(self, text: str) -> str:
        """What it has shown since the last time, up to and with the text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 1)[0]:
                try:
                    self.shown += os.read(self._ours, 4096).decode()
                except OSError:  # it is gone
                    assert text in self.shown, self.shown
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def answer(self, question: str, *lines: str) -> str:
        shown = self.wait_for(question)
        for line in lines:
            os.write(self._ours, f"{line}\n".encode())
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(*arguments: str, environment: dict[str, str]) -> Iterator[Terminal]:
    opened = Terminal(*arguments, environment=environment)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def environment() -> dict[str, str]:
    left_out = ("FEDVOL_PASSWORD", "FEDVOL_RPC", "FEDVOL_DEPLOYMENTS")
    return {name: value for name, value in os.environ.items() if name not in left_out} | {"COLUMNS": "200"}


def test_at_a_terminal_it_asks_and_tries_each_answer(lab: Lab, tmp_path: Path, environment: dict[str, str]) -> None:
    config, deployments = tmp_path / "new" / "node.toml", tmp_path / "deployments.json"
    with terminal("--config", str(config), environment=environment) as t:
        t.answer("--tape [trades.parquet]: ", str(tmp_path / "absent.csv"))
        assert "absent.csv" in t.answer("Keep it all the same? [y/N]: ", "n")
        t.answer("--tape [trades.parquet]: ", str(lab.tape))
        t.wait_for("usable rows")
        t.answer("--desk-column", "colour")
        assert "no column 'colour'" in t.answer("Keep it all the same?", "n")
        t.answer("--desk-column", "desk")
        t.wait_for("btc-short (")
        t.answer("--desk: ", "wings")
        t.answer("--deployments [deployments/1.json]: ", str(deployments))
        t.wait_for("ok: chain 31337, lab")
        t.answer("--rpc [http://127.0.0.1:8545]: ", f"http://127.0.0.1:{free_port()}")
        assert "Nobody answers" in t.answer("Keep it all the same?", "")
        t.answer("--rpc [http://127.0.0.1:8545]: ", lab.url)
        t.wait_for("ok: block")
        t.answer("--storage [ipfs+http://127.0.0.1:5001]: ", str(tmp_path / "none" / "of" / "it"))
        assert "parent exists" in t.answer("Keep it all the same?", "y")  # it is not mounted yet
        t.answer("Password for the new key file: ", "open sesame")
        t.answer("Repeat for confirmation: ", "open sesame")
        said = t.wait_for("fedvol node check")
        assert t.process.wait(PATIENCE_S) == 0
    assert "open sesame" not in said
    found = load_config(config)
    assert (found.tape, found.desk_column, found.desk) == (lab.tape, "desk", "wings")
    assert (found.deployments, found.rpc, found.storage) == (deployments, lab.url, str(tmp_path / "none" / "of" / "it"))
    assert keystore.load(found.keystore, "open sesame").address in said


def test_what_was_given_is_not_asked(lab: Lab, tmp_path: Path, environment: dict[str, str]) -> None:
    given = ["--config", str(tmp_path / "node.toml"), "--tape", "t.csv", "--desk", "wings", "--rpc", "http://h:1"]
    environment["FEDVOL_PASSWORD"] = "open sesame"
    with terminal(*given, "--deployments", "d.json", "--storage", "pins", environment=environment) as t:
        shown = t.wait_for("fedvol node check")
        assert t.process.wait(PATIENCE_S) == 0
    assert "?" not in shown
    assert "--" not in shown.replace("--config", "")


@pytest.mark.parametrize("missing", ["--tape", "--deployments", "--rpc", "--storage"])
def test_without_a_terminal_it_names_the_flag_that_is_missing(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDVOL_PASSWORD", "open sesame")
    flags = {"--tape": "t.csv", "--deployments": "d.json", "--rpc": "http://h:1", "--storage": "pins"}
    given = [word for flag, value in flags.items() if flag != missing for word in (flag, value)]
    result = CliRunner().invoke(app, ["node", "init", "--config", str(tmp_path / "node.toml"), *given])
    assert isinstance(result.exception, ConfigError)
    assert f"{missing} is missing" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_cannot_be_written_leaves_no_key_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDVOL_PASSWORD", "open sesame")
    (tmp_path / "file").write_text("")
    config = tmp_path / "file" / "node.toml"  # its folder is a file
    key = tmp_path / "keys" / "key.json"
    given = ["--tape", "t.csv", "--deployments", "d.json", "--rpc", "http://h:1", "--storage", "pins"]
    result = CliRunner().invoke(app, ["node", "init", "--config", str(config), "--keystore", str(key), *given])
    assert isinstance(result.exception, FedvolError)
    assert "cannot be written" in str(result.exception)
    assert list(key.parent.iterdir()) == []
