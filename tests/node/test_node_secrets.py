"""Nothing that must stay secret leaves a node: a masked round among real processes, whose chain and storage fail, and
every trace of it searched for every secret of it."""

from __future__ import annotations

import base64
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_account import Account
from scripts._anvil import free_port
from scripts._faults import FaultyProxy, faulty_proxy
from scripts._ipfs import ipfs_peer

from fedvol.node.config import NodeConfig
from fedvol.node.journal import FILE, read_journal
from fedvol.node.keystore import load
from fedvol.node.log import configure
from fedvol.node.maskkeys import MaskKeys
from fedvol.protocol.mask import unmasked
from tests.node.conftest import PASSWORD, Lab, key_of
from tests.node.daemons import Daemon, turn_until
from tests.node.test_node_commands import write

M = 3
CRASH = """
from fedvol.node import acts
def reveal(self, s):
    part = self._journal.prepared(s.clock.number, s.clock.seed)
    salt, masks = part.salt, self._journal.masks(part.number, part.seed)
    raise RuntimeError("a fault in the program, with secrets at hand")
acts.Acts._reveal = reveal
"""


@pytest.fixture
def rounds() -> dict[str, Any]:
    return {"seats": M, "clusterSize": M, "minMembers": M, "commitWindow": 120, "revealWindow": 200, "unmaskWindow": 60}


def secrets_of(config: NodeConfig, dimension: int) -> dict[str, bytes | int]:
    """What one node knows and nobody else may, by name."""
    account = load(config.keystore, PASSWORD)
    found: dict[str, bytes | int] = {"password": PASSWORD.encode(), "private key": int(account.key.hex(), 16)}
    keys = MaskKeys(config.data_dir / "mask-keys", account)
    for path in keys._files():
        found[f"mask key {path.stem}"] = keys._read(path)
    with read_journal(config.data_dir) as journal:
        for part in journal.latest(9):
            masks = journal.masks(part.number, part.seed)
            found[f"salt {part.number}"] = part.salt
            found[f"self key {part.number}"] = masks.self_key
            found |= {f"pair key {part.number}.{j}": key for j, key in enumerate(masks.pair_keys) if key}
            bare = unmasked(part.data, masks.self_key, masks.pair_keys, masks.place)
            found[f"update {part.number}"] = bare[:64]
            found[f"update {part.number}, later"] = bare[-64:]
    return found


def forms(secret: bytes | int) -> Iterator[bytes]:
    """As it could be written."""
    raw = secret.to_bytes(32, "big") if isinstance(secret, int) else secret
    yield raw
    yield repr(raw)[2:-1].encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield base64.b64encode(raw)[: 4 * (len(raw) // 3)]
    if isinstance(secret, int):
        yield f"{secret:x}".encode()
        yield str(secret).encode()


def traces(config: NodeConfig, daemons: list[Daemon], seen: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """(where, what was found there): logs, what processes showed while they ran, all files but journal and password."""
    home = config.keystore.parent
    secret_files = {config.password_file, *(config.data_dir / f"{FILE}{suffix}" for suffix in ("", "-wal", "-shm"))}
    yield from (
        (str(path), path.read_bytes()) for path in home.rglob("*") if path.is_file() and path not in secret_files
    )
    yield from ((str(one.log), one.log.read_bytes()) for one in daemons)
    yield from seen.items()


def looked_at(daemons: list[Daemon], ports: list[int], when: str) -> dict[str, bytes]:
    """Arguments, environment and metrics of the processes that run."""
    seen: dict[str, bytes] = {}
    for i, (one, port) in enumerate(zip(daemons, ports, strict=True)):
        if not one.alive:
            continue
        for what in ("cmdline", "environ"):
            seen[f"{what} of {i} {when}"] = Path(f"/proc/{one.process.pid}/{what}").read_bytes()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            seen[f"metrics of {i} {when}"] = answer.read()
    return seen


def fail_for_a_while(proxy: FaultyProxy, modes: tuple[str, ...]) -> None:
    for mode in modes:
        proxy.mode = mode
        time.sleep(1)
    proxy.mode = "forward"


def test_no_trace_of_a_run_holds_a_secret_of_it(lab: Lab, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FEDVOL_PASSWORD"}
    (tmp_path / "password").write_text(PASSWORD + "\n")
    ports, configs, daemons, seen = [free_port() for _ in range(M)], [], [], {}
    with ExitStack() as opened:
        storage = opened.enter_context(faulty_proxy(opened.enter_context(ipfs_peer(tmp_path))))
        chain = opened.enter_context(faulty_proxy(lab.url))
        for index in range(1, M + 1):
            config = lab.config(index, storage=f"ipfs+{storage.url}", rpc=chain.url)
            path = write(config, config.keystore.parent, password_file=str(tmp_path / "password"))
            configs.append((config, path))

        def start(i: int, **more: Any) -> Daemon:
            arguments = () if i == 1 else ("--log-json",)  # one speaks to people
            metrics = f"127.0.0.1:{ports[i]}"
            one = Daemon(configs[i][1], *arguments, environment=environment, METRICS=metrics, **more)
            opened.callback(one.process.wait)
            opened.callback(one.process.kill)
            return one

        daemons = [start(0, before=CRASH), start(1), start(2)]
        turn_until(lab, [], lambda: lab.client.snapshot().joining + lab.client.snapshot().members == M)
        fail_for_a_while(chain, ("500", "close", "html", "cut"))
        turn_until(lab, [], lambda: lab.client.snapshot().clock.committed == M)
        seen |= looked_at(daemons, ports, "committed")
        storage.mode = "403"
        turn_until(lab, [], lambda: not daemons[0].alive)
        turn_until(lab, [], lambda: b"StorageError" in daemons[1].log.read_bytes(), seconds=0)
        storage.mode = "forward"
        daemons[0] = start(0)
        turn_until(lab, [], lambda: lab.client.snapshot().clock.revealed == M)
        known = [secrets_of(config, 160) for config, _ in configs]
        seen |= looked_at(daemons, ports, "revealed")
        turn_until(lab, [], lambda: lab.version == 2)
        for one in daemons:
            one.process.send_signal(signal.SIGTERM)
        turn_until(lab, [], lambda: not any(one.alive for one in daemons))
        known = [known[i] | secrets_of(config, 160) for i, (config, _) in enumerate(configs)]

    assert daemons[0].said("stopped")
    logs = b"".join(one.log.read_bytes() for one in daemons)
    for word in (b"Traceback", b"with secrets at hand", b"goes on", b"no JSON", b"StorageError", b"reveal", b"unmask"):
        assert word in logs, word
    assert key_of(1) == Account.from_key(known[0]["private key"].to_bytes(32, "big")).key.hex()
    searched = 0
    for (config, _), secrets in zip(configs, known, strict=True):
        assert {"password", "private key", "salt 1", "self key 1", "update 1"} <= secrets.keys()
        assert sum(name.startswith("pair key 1") for name in secrets) == M - 1
        assert any(name.startswith("mask key") for name in secrets)
        for where, content in traces(config, daemons, seen):
            searched += 1
            for name, secret in secrets.items():
                assert not any(form in content for form in forms(secret)), f"{name} is in {where}"
    assert searched > 10 * M


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_in_the_log_shows_no_variables(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure(as_json)
    salt = "salt" + "y" * 12  # what a traceback of source lines does not hold
    try:
        raise RuntimeError("a fault")
    except RuntimeError:
        structlog.get_logger().exception("crashed")
    text = capsys.readouterr().err
    assert "a fault" in text
    assert salt not in text
