"""`fedvol node` as a participant meets it: what stops it, what it says, and what it never says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from scripts._anvil import free_port, rpc
from typer.testing import CliRunner

from fedvol.chain.outbox import Reverted, WouldRevert
from fedvol.cli import app
from fedvol.errors import ChainError, ConfigError, FedvolError, KeyfileError, StorageError, TapeError
from fedvol.node.config import NodeConfig, write_config
from fedvol.node.journal import FILE, JournalError, read_journal
from tests.node.conftest import PASSWORD, Lab, key_of, mined


def write(config: NodeConfig, folder: Path, **changes: Any) -> Path:
    """The configuration as a file."""
    path = folder / "node.toml"
    path.unlink(missing_ok=True)
    names = ("rpc", "deployments", "keystore", "tape", "desk", "storage", "data_dir")
    settings = {name: str(getattr(config, name)) for name in names} | changes
    write_config(path, settings)
    return path


def failure(path: Path, *arguments: str) -> FedvolError:
    result = CliRunner().invoke(app, ["node", "run", "--config", str(path), *arguments])
    assert isinstance(result.exception, FedvolError), (result.output, result.exception)
    assert "\n" not in str(result.exception)
    return result.exception


def corrupt_tape(lab: Lab, folder: Path) -> dict[str, str]:
    (folder / "bad.parquet").write_bytes(lab.tape.read_bytes()[:1000])
    return {"tape": str(folder / "bad.parquet")}


def dead_rpc(lab: Lab, folder: Path) -> dict[str, str]:
    return {"rpc": f"http://127.0.0.1:{free_port()}"}


def blocked_storage(lab: Lab, folder: Path) -> dict[str, str]:
    (folder / "file").write_text("")
    return {"storage": str(folder / "file" / "store")}


def broken_journal(lab: Lab, folder: Path) -> dict[str, str]:
    (folder / "data").mkdir()
    (folder / "data" / FILE).write_bytes(b"nothing" * 1000)
    return {"data_dir": str(folder / "data")}


def another_chain(lab: Lab, folder: Path) -> dict[str, Any]:
    records = (folder / "deployments.json").read_text().replace("31337", "10")
    (folder / "ten.json").write_text(records)
    return {"deployments": str(folder / "ten.json")}


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda lab, folder: {"chain_id": 5}, ConfigError, ("chain 31337", "chain_id says 5")),
        (another_chain, ChainError, ("serves chain 31337, not 10",)),
        (dead_rpc, ChainError, ("Nobody answers",)),
        (corrupt_tape, TapeError, ("bad.parquet",)),
        (lambda lab, folder: {"tape": "absent.csv"}, TapeError, ("absent.csv",)),
        (lambda lab, folder: {"desk": "nobody"}, TapeError, ("nobody",)),
        (lambda lab, folder: {"keystore": "absent.json"}, KeyfileError, ("absent.json", "fedvol node init")),
        (lambda lab, folder: {"federation": "other"}, ConfigError, ("other", "lab")),
        (blocked_storage, StorageError, ("store",)),
        (broken_journal, JournalError, ("damaged",)),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(
    lab: Lab, tmp_path: Path, spoil: Callable[..., dict[str, Any]], kind: type[FedvolError], words: tuple[str, ...]
) -> None:
    config = lab.config(1)
    error = failure(write(config, tmp_path, **spoil(lab, tmp_path)))
    assert isinstance(error, kind)
    assert all(word in str(error) for word in words), str(error)
    assert error.exit_code != 0
    assert lab.client.web3.eth.get_transaction_count(lab.client.web3.eth.accounts[1]) == 0


def test_a_wrong_password_and_an_empty_account(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(lab.config(1), tmp_path)
    rpc(lab.url, "anvil_setBalance", lab.client.web3.eth.accounts[1], "0x0")
    assert "holds no ETH" in str(failure(path))
    monkeypatch.setenv("FEDVOL_PASSWORD", "wrong horse")
    assert "another password" in str(failure(path))


def test_without_bond_tokens_the_sum_is_named(lab: Lab, tmp_path: Path) -> None:
    path = write(lab.config(1), tmp_path)
    node = lab.client.web3.eth.accounts[1]
    everything = lab.client.token.functions.balanceOf(node).call()
    mined(lab.client.token.functions.transfer(lab.client.web3.eth.accounts[0], everything), node)
    assert f"holds 0 smallest units of the bond token and must bond {everything}" in str(failure(path))


def test_a_slow_rpc_is_told_from_a_dead_one(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(3)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    from fedvol.node import parts

    patient = parts.connect
    monkeypatch.setattr(parts, "connect", lambda url, chain_id: patient(url, chain_id, timeout=0.5))
    error = failure(write(lab.config(1), tmp_path, rpc=f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    assert "did not answer within 0.5 s" in str(error)


def test_status_tells_of_chain_and_journal_without_a_password(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.committed == 3)
    path = write(lab.config(1), tmp_path)
    monkeypatch.delenv("FEDVOL_PASSWORD")
    result = CliRunner().invoke(app, ["node", "status", "--config", str(path), "--json"])
    assert result.exit_code == 0, result.exception
    found = json.loads(result.stdout)
    assert found["account"] == lab.client.web3.eth.accounts[1]
    assert (found["status"], found["round"], found["bond"]) == ("active", 1, 10**21)
    assert (found["claimable_tokens"], found["earned_wei"]) == (0, 0)
    assert [part["step"] for part in found["journal"]] == ["committed"]
    assert CliRunner().invoke(app, ["node", "status", "--config", str(path)]).exit_code == 0


def test_a_daemon_is_killed_comes_back_stops_on_sigterm_and_keeps_its_secrets(lab: Lab, tmp_path: Path) -> None:
    others = [lab.node(i) for i in (1, 2)]
    path = write(lab.config(3), tmp_path)
    logs: list[bytes] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        fedvol = [sys.executable, "-c", "from fedvol.cli import main; main()"]
        command = [*fedvol, "node", "run", "--config", str(path), "--log-json", *arguments]
        environment = os.environ | {"FEDVOL_PASSWORD": PASSWORD, "FEDVOL_NODE_POLL_SECONDS": "0.2"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)

    def turn_until(condition: Callable[[], bool], seconds: int = 1) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, lab.client.snapshot()
            for node in others:
                with suppress(WouldRevert, Reverted):  # the daemon came first
                    node.cycle()
            lab.pass_time(seconds)
            time.sleep(0.2)

    process = start()
    try:
        turn_until(lambda: lab.client.snapshot().clock.committed == 3)
        process.kill()
        logs.append(process.communicate()[0])
        process = start()
        turn_until(lambda: lab.client.snapshot().clock.revealed == 3)
        refused = subprocess.run(process.args, capture_output=True, text=True, env=os.environ)
        assert refused.returncode != 0
        assert "Another node process" in refused.stderr
        process.send_signal(signal.SIGTERM)
        logs.append(process.communicate(timeout=30)[0])
        assert process.returncode == 0
        process = start("--rounds", "1")
        time.sleep(5)  # it counts from the version that it finds
        turn_until(lambda: process.poll() is not None, seconds=4)
        logs.append(process.communicate()[0])
        assert process.returncode == 0
    finally:
        process.kill()

    with read_journal(lab.config(3).data_dir) as journal:
        part = next(part for part in journal.latest(9) if part.number == 1)
    lines = [json.loads(line) for log in logs for line in log.splitlines() if line.startswith(b"{")]
    assert {"trained", "commit", "reveal", "stopped", "done"} <= {line["event"] for line in lines}
    assert [line["event"] for line in lines if line.get("number") == 1].count("trained") == 1
    for secret in (PASSWORD.encode(), key_of(3).encode(), part.salt.hex().encode()):
        assert not any(secret in log for log in logs)
