"""A founder's plan is refused before it costs anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts._localnet import PLAN, ROOT

from fedvol.chain.client import abi
from fedvol.chain.plan import load_plan
from fedvol.errors import ConfigError
from fedvol.proofs.reference import IGNITION_POINT2
from fedvol.proofs.verifier import require_public
from fedvol.protocol.agreed import UNIT, Limits


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


PROOFS = """
[proofs]
kind = "trained"
norm = 100000000000000

[bonds]"""


def proven(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The committed plan with proofs, which it can carry but for the changes."""
    path = changed(tmp_path, "cluster_size = 1", "cluster_size = 3")
    text = path.read_text().replace("\n[bonds]", PROOFS, 1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


def test_a_plan_may_ask_for_proofs(tmp_path: Path) -> None:
    plan = load_plan(proven(tmp_path, ("norm = 100000000000000", "norm = 100000000000000\nrows = { most_vol = 2.0 }")))
    verifier, kind, norm, limits = plan.proofs.terms("0x12")
    assert (verifier, kind, norm) == ("0x12", 2, 10**14)
    assert Limits.unpack(limits) == Limits(most_vol=2 * UNIT)
    assert plan.proofs.insecure_verifier == "InsecureTrainedVerifier"
    bounded = load_plan(proven(tmp_path, ('"trained"', '"bounded"')))
    assert bounded.proofs.terms("0x12") == ("0x12", 1, 10**14, 0)
    assert load_plan(PLAN).proofs is None


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("cluster_size = 3", "cluster_size = 1", "cluster_size"),
        ("weighted = true", "weighted = false", "weighted"),
        ("pillars = 13", "pillars = 12", "160 weights"),
        ("fraction_bits = 20", "fraction_bits = 21", "fraction_bits"),
        ('"trained"', '"guessed"', "kind"),
        ("norm = 100000000000000", "norm = 0", "norm"),
        ("norm = 100000000000000", "norm = 43980465111039", "at least 43980465111040"),
        ("norm = 100000000000000", "norm = 100000000000000\nverifier = '0x12'", "verifier"),
        ("norm = 100000000000000", "norm = 100000000000000\nrows = { least_vol = 4.0 }", "least_vol"),
        ("norm = 100000000000000", "norm = 100000000000000\nrows = { prior = 0.00006 }", "prior"),
        ("norm = 100000000000000", "norm = 100000000000000\nrows = { huber = 0.0000001 }", "2\\^-20"),
    ],
)
def test_proofs_that_nobody_could_make_are_refused(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_plan(proven(tmp_path, (old, new)))


def test_a_public_chain_needs_a_verifier(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"proofs\.verifier"):
        load_plan(proven(tmp_path)).for_public_chain()


def test_a_public_chain_refuses_the_insecure_verifiers() -> None:
    for name in ("InsecureBoundedVerifier", "InsecureTrainedVerifier"):
        artefact = json.loads((ROOT / "contracts" / "verifiers" / f"{name}.json").read_text())
        code = bytes.fromhex(artefact["runtimeBytecode"]["bytecode"].removeprefix("0x"))
        assert len(code) > 10_000
        with pytest.raises(ConfigError, match="Ignition"):
            require_public("0x12", code)
    with pytest.raises(ConfigError, match="Ignition"):
        require_public("0x12", b"")


def test_a_public_chain_takes_a_verifier_of_the_public_string() -> None:
    constants = [coordinate.to_bytes(32, "big") for pair in IGNITION_POINT2 for coordinate in pair]
    require_public("0x12", b"\x7f".join([b"code", *constants]))
    with pytest.raises(ConfigError, match="Ignition"):
        require_public("0x12", b"\x7f".join([b"code", *constants[1:]]))


def test_the_example_for_a_public_chain_waits_for_its_addresses() -> None:
    with pytest.raises(ConfigError, match="no address"):
        load_plan(ROOT / "federations" / "mainnet.example.toml")
