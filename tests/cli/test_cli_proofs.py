"""`fedvol prove` and `fedvol verify` where there is nothing to prove: what they say of themselves, and of that."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from scripts._localnet import BIN
from tests.node.conftest import (  # noqa: F401
    Lab,
    artefacts,
    chain,
    chain_url,
    deploy,
    lab,
    proofs,
    rounds,
    tape,
)

from fedvol.node.config import write_config


def fedvol(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "fedvol", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("command", "options"), [("prove", ("--config", "--out")), ("verify", ("--storage", "--node"))]
)
def test_help_shows_what_it_takes_and_an_example(command: str, options: tuple[str, ...]) -> None:
    done = fedvol(command, "--help")
    assert done.returncode == 0, done.stderr
    for word in (*options, "--json", f"Example: fedvol {command}"):
        assert word in done.stdout


def test_verify_tells_its_exit_codes() -> None:
    assert "Exit codes: 0 all hold, 8 one does not." in fedvol("verify", "--help").stdout


def nothing_to_prove(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: Federation lab asks for no proofs.")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_prove_is_refused_where_no_proofs_are_asked_for(lab: Lab, tmp_path: Path) -> None:  # noqa: F811
    config, path = lab.config(1), tmp_path / "node.toml"
    names = ("rpc", "deployments", "keystore", "tape", "desk", "storage", "data_dir")
    write_config(path, {name: str(getattr(config, name)) for name in names})
    nothing_to_prove(fedvol("prove", "--config", path, "--out", tmp_path / "evidence.bin"))
    assert not (tmp_path / "evidence.bin").exists()


def test_verify_is_refused_where_no_proofs_are_asked_for(lab: Lab, tmp_path: Path) -> None:  # noqa: F811
    where = ("--rpc", lab.url, "--deployments", tmp_path / "deployments.json")
    nothing_to_prove(fedvol("verify", "--storage", tmp_path / "storage", *where))


def test_the_evidence_in_a_file_is_one_nodes(tmp_path: Path) -> None:
    done = fedvol("verify", "--storage", tmp_path, "--evidence", tmp_path / "evidence.bin")
    assert done.returncode == 2
    assert "Say whose with --node." in done.stderr
