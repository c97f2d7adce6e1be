"""`fedvol market` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.market.venue import Venue, trades
from typer.testing import CliRunner

from fedvol.commands.market import app
from fedvol.errors import ConfigError, TapeError
from fedvol.market.synthetic import DESKS

run = CliRunner()


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("market") / "demo.parquet"
    answer = run.invoke(app, ["synthesize", "--out", str(path), "--seed", "7", "--snapshots", "3"])
    assert answer.exit_code == 0
    assert "quotes of 6 desks" in answer.stdout
    return path


def test_inspect_prints_tables(tape: Path) -> None:
    answer = run.invoke(app, ["inspect", str(tape), "--by", "desk"])
    assert answer.exit_code == 0
    for word in (*DESKS, "FedVol tidy tape", "BTC 7-35 d", "usable rows"):
        assert word in answer.stdout


def test_inspect_as_json_reconciles(tape: Path) -> None:
    answer = run.invoke(app, ["inspect", str(tape), "--json", "--by", "desk"])
    found = json.loads(answer.stdout)
    assert found["read"] == found["rows"] + sum(found["dropped"].values())
    assert sum(group["rows"] for group in found["groups"]) == found["rows"]
    assert {group["desk"] for group in found["groups"]} == set(DESKS)


def test_errors_bubble_up(tape: Path) -> None:
    assert isinstance(run.invoke(app, ["inspect", str(tape.with_name("absent"))]).exception, TapeError)
    assert isinstance(run.invoke(app, ["inspect", str(tape), "--by", "nobody"]).exception, TapeError)
    out = str(tape.with_name("x.jsonl"))
    wrong = ["fetch", "--out", out, "--since", "2026-03-02", "--until", "2026-03-01"]
    assert isinstance(run.invoke(app, wrong).exception, ConfigError)
    assert isinstance(run.invoke(app, ["fetch", "--out", out, "--since", "then"]).exception, ConfigError)
    missing = ["synthesize", "--out", str(tape.parent / "no" / "x.parquet")]
    assert isinstance(run.invoke(app, missing).exception, ConfigError)


def test_fetch_then_inspect(tmp_path: Path) -> None:
    out = tmp_path / "btc.jsonl.gz"
    with Venue(trades(1_582_296_978_501, 1_582_296_978_502)) as venue:
        span = ["--since", "2020-02-21", "--until", "2020-02-22"]
        answer = run.invoke(app, ["fetch", *span, "--out", str(out), "--base-url", venue.url])
    assert answer.exit_code == 0, answer.exception
    assert venue.requests[0]["start_timestamp"] == "1582243200000"
    assert "2 trades" in answer.stdout
    assert "Deribit trades" in run.invoke(app, ["inspect", str(out)]).stdout


def test_every_command_teaches_by_example() -> None:
    for command in ("inspect", "fetch", "synthesize"):
        assert "Example:" in run.invoke(app, [command, "--help"]).stdout


def test_help_loads_nothing_heavy() -> None:
    heavy = ["pandas", "scipy", "httpx"]
    code = f"import sys, fedvol.commands.market; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
