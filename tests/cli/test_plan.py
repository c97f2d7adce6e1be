"""A founder's plan is refused before it costs anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts._localnet import PLAN, ROOT

from fedvol.chain.client import abi
from fedvol.chain.plan import load_plan
from fedvol.errors import ConfigError


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PLAN.read_text()
    assert old in text
    path = tmp_path / "plan.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_committed_plan_is_sound() -> None:
    plan = load_plan(PLAN)
    assert plan.params()["seats"] == 6
    struct = next(e for e in abi("Federation") if e.get("name") == "params")["outputs"][0]["components"]
    assert list(plan.params()) == [field["name"] for field in struct]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("seats = 6", "seats = 0", "seats"),
        ("seats = 6", "seats = 129", "seats"),
        ("seats = 6", "seets = 6", "seets"),
        ("min_members = 3", "min_members = 7", "min_members"),
        ("cluster_size = 1", "cluster_size = 2", "cluster_size"),
        ("cluster_size = 1", "cluster_size = 4", "cluster_size"),
        ("cluster_size = 1", "cluster_size = 17", "cluster_size"),
        ("cluster_size = 1", "cluster_size = 6", "min_members"),
        ("unmask_window = 15", "unmask_window = 0", "unmask_window"),
        ("quorum_bps = 5000", "quorum_bps = 10001", "quorum_bps"),
        ("lead_window = 5", "lead_window = 20", "lead_window"),
        ("unbonding = 300", "unbonding = 60", "unbonding"),
        ("clamp = 524288", "clamp = 8388608", "clamp"),
        ("step = 65536", "step = 0", "step"),
        ("least_vol_bps = 500", "least_vol_bps = 40000", "least_vol_bps"),
        ("most_move_bps = 20000", "most_move_bps = 10000", "most_move_bps"),
        ('bond = "1000000000000000000000"', 'bond = "15"', "bond"),
        ('silence_penalty = "10000000000000000000"', 'silence_penalty = "100000000000000000000"', "silence_penalty"),
        ('token = ""', 'token = "0x12"', "token"),
        ("[feeds.ETH]", "[feeds.SOL]", "feeds"),
        ("pillars = 13", "pillars = 17", "pillars"),
        ('plugin = "ssvi-mixture"', 'plugin = "oracle"', "oracle"),
        ('name = "btc-eth"', 'name = "BTC ETH"', "name"),
        ("interval = 8", "interval = nan", "interval"),
        ("[model]", "[model", "TOML"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_plan(changed(tmp_path, old, new))


def test_a_public_chain_needs_addresses() -> None:
    with pytest.raises(ConfigError, match=r"bonds\.token"):
        load_plan(PLAN).for_public_chain()


def test_the_example_for_a_public_chain_waits_for_its_addresses() -> None:
    with pytest.raises(ConfigError, match="no address"):
        load_plan(ROOT / "federations" / "mainnet.example.toml")
