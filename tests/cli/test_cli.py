"""What a user meets when something is wrong: one line, the next thing to try, a non-zero exit."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts._anvil import anvil, free_port
from scripts._localnet import BIN

from fedvol.chain.deployment import Deployment

ZERO = "0x" + "11" * 20


def fedvol(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "fedvol", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error:")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture
def deployments(tmp_path: Path) -> Path:
    path = tmp_path / "deployments" / "31337.json"
    Deployment("here", 31337, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, 1, {}, {"markets": ["BTC"]}).save(
        path
    )
    return path


@pytest.fixture(scope="module")
def chain() -> Iterator[str]:
    with anvil() as url:
        yield url


def cpu_of(*arguments: str) -> float:
    """Seconds of processor, whatever else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert fedvol(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_teaches_and_is_quick() -> None:
    done = fedvol("--help")
    assert done.returncode == 0
    assert min(cpu_of("--help") for _ in range(3)) <= 0.5
    for word in ("node", "federation", "market", "quote", "Exit codes"):
        assert word in done.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "numpy", "web3", "pydantic", "structlog", "prometheus_client"}
    code = f"import sys, fedvol.cli; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([BIN / "python", "-c", code]).returncode == 0


def test_rpc_down(deployments: Path) -> None:
    done = fedvol("federation", "show", "--rpc", f"http://127.0.0.1:{free_port()}", "--deployments", deployments)
    fails(done, 6, "Nobody answers", "Start the node")


def test_rpc_slow(deployments: Path) -> None:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        threading.Thread(target=lambda: held.append(server.accept()), daemon=True).start()
        done = fedvol(
            "federation", "show", "--rpc", f"http://127.0.0.1:{server.getsockname()[1]}", "--deployments", deployments
        )
    fails(done, 6, "did not answer within")


def test_wrong_chain(deployments: Path, chain: str, tmp_path: Path) -> None:
    records = json.loads(deployments.read_text())
    records["federations"]["here"]["chain_id"] = 1
    deployments.write_text(json.dumps(records))
    fails(fedvol("quote", "BTC", "-k", 1, "--rpc", chain, "--deployments", deployments), 6, "serves chain 31337, not 1")


def test_nothing_deployed_there(deployments: Path, chain: str) -> None:
    fails(fedvol("federation", "show", "--rpc", chain, "--deployments", deployments), 6, "no contract at")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"federations": 3}', '{"federations": {}}'])
def test_bad_deployment_file(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "deployments.json"
    if content is not None:
        path.write_text(content)
    fails(fedvol("federation", "show", "--deployments", path), 2, "eploy")
