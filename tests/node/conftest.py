"""A real Anvil, a real federation on it, real tapes and storage; time passes when a test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_account import Account
from scripts._anvil import anvil, rpc
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.types import TxReceipt

from fedvol.chain.client import connect
from fedvol.chain.deployment import NOWHERE, Deployment
from fedvol.chain.federation import FederationClient
from fedvol.learning.model import build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import DEFAULT_END_MS, generate, write_parquet
from fedvol.node.config import NodeConfig
from fedvol.node.daemon import Node, open_node
from fedvol.protocol.vector import pack_model

PASSWORD = "correct horse"
BOND = 1_000 * 10**18
PARAMS = {
    "seats": 6, "clusterSize": 1, "quorumBps": 5_000, "epochRounds": 4, "seedDelay": 1, "finality": 2, "interval": 20,
    "commitWindow": 60, "revealWindow": 60, "leadWindow": 20, "proposeWindow": 60, "challengeWindow": 20,
    "unbonding": 2_000, "clamp": 1 << 19, "step": 1 << 16, "bond": BOND, "silencePenalty": BOND // 20, "minMembers": 3,
    "demandWindow": 10, "demandBond": 10**16, "rule": 0, "weighted": False, "trimBps": 2_000, "weightCap": 4_095,
    "weightShift": 9, "unmaskWindow": 20, "closed": False,
}  # fmt: skip
PARTS = ("federation", "vault", "registry", "engine", "settlement", "duties", "keyring", "proofs")
ARTEFACTS = Path(__file__).resolve().parents[2] / ".build" / "__local__.json"
_MNEMONIC = "test test test test test test test test test test test junk"


def key_of(index: int) -> str:
    """Private key of one of Anvil's funded accounts."""
    Account.enable_unaudited_hdwallet_features()
    return Account.from_mnemonic(_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key.hex()


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """`fedvol node run` configures logging for its process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def artefacts() -> dict[str, Any]:
    if not ARTEFACTS.exists():
        pytest.skip("the contracts are not compiled: run `ape compile`")
    return json.loads(ARTEFACTS.read_text())["contractTypes"]


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    with anvil(start=DEFAULT_END_MS // 1000) as url:
        yield url


@pytest.fixture
def chain(chain_url: str) -> Iterator[Web3]:
    """Anvil, put back afterwards to what it was before."""
    before = rpc(chain_url, "evm_snapshot")
    yield connect(chain_url)
    rpc(chain_url, "evm_setAutomine", True)
    rpc(chain_url, "evm_revert", before)


@pytest.fixture
def deploy(chain: Web3, artefacts: dict[str, Any]) -> Callable[..., Contract]:
    return deployer(chain, artefacts)


def mined(call: ContractConstructor | ContractFunction, sender: str, value: int = 0) -> TxReceipt:
    """Sends and waits: Anvil answers before it has mined, and on a busy machine much is asked in between."""
    receipt = call.w3.eth.wait_for_transaction_receipt(call.transact({"from": sender, "value": value}))
    assert receipt["status"] == 1, call
    return receipt


def deployer(chain: Web3, artefacts: dict[str, Any]) -> Callable[..., Contract]:
    def deploy_one(name: str, *arguments: object) -> Contract:
        kind = artefacts[name]
        factory = chain.eth.contract(abi=kind["abi"], bytecode=kind["deploymentBytecode"]["bytecode"])
        receipt = mined(factory.constructor(*arguments), chain.eth.accounts[0])
        return chain.eth.contract(address=receipt["contractAddress"], abi=kind["abi"])

    return deploy_one


@dataclass
class Lab:
    """One federation that nobody has joined yet, and nodes for it."""

    url: str
    client: FederationClient
    folder: Path
    tape: Path
    opened: ExitStack

    def config(self, index: int, **changes: Any) -> NodeConfig:
        """Configuration of the node at Anvil's account `index`, with a key file (a cheap one) and funds."""
        home = self.folder / f"node{index}"
        home.mkdir(exist_ok=True)
        key = home / "key.json"
        if not key.exists():
            key.write_text(json.dumps(Account.encrypt(key_of(index), PASSWORD, iterations=2)))
            founder, node = self.client.web3.eth.accounts[0], Account.from_key(key_of(index)).address
            sent = self.client.token.functions.mint(node, BOND).transact({"from": founder})
            rpc(self.url, "anvil_mine", 1)  # a herd's chain mines only when it is told
            self.client.web3.eth.wait_for_transaction_receipt(sent)
        desks = ("btc-short", "btc-mid", "btc-long", "eth-short", "eth-long", "wings")
        settings: dict[str, Any] = {
            "rpc": self.url,
            "deployments": self.folder / "deployments.json",
            "keystore": key,
            "tape": self.tape,
            "desk": desks[index % 6],
            "storage": str(self.folder / "storage"),
            "data_dir": home / "data",
            "poll_seconds": 1.0,
            "training": {"steps": 5},
        }
        return NodeConfig(**(settings | changes))

    def node(self, index: int, **changes: Any) -> Node:
        """Opens a node in this process; it is closed with the test."""
        return self.opened.enter_context(open_node(self.config(index, **changes)))

    def pass_time(self, seconds: int) -> None:
        rpc(self.url, "evm_increaseTime", seconds)
        rpc(self.url, "anvil_mine", 1)

    def cycle(self, *nodes: Node, until: Callable[[], bool], seconds: int = 8, limit: int = 200) -> None:
        """Lets every node look and act in turn, and time go by, until something holds."""
        for _ in range(limit):
            for node in nodes:
                node.cycle()
            if until():
                return
            self.pass_time(seconds)
        raise AssertionError(f"{self.client.snapshot()} after {limit} turns")

    @property
    def round(self) -> int:
        return self.client.snapshot().clock.number

    @property
    def version(self) -> int:
        return self.client.snapshot().version


@pytest.fixture
def tape(chain: Web3, tmp_path: Path) -> Path:
    """It ends when the chain begins."""
    return tape_of(chain, tmp_path)


def tape_of(chain: Web3, folder: Path) -> Path:
    path = folder / "tape.parquet"
    now = chain.eth.get_block("latest")["timestamp"]
    write_parquet(generate(seed=3, hours=6, snapshots=2, end_ms=1000 * now), path)
    return path


@pytest.fixture
def rounds() -> dict[str, Any]:
    """Changes to the parameters; a test module overrides it."""
    return {}


@pytest.fixture
def proofs() -> tuple[str, int, int, int]:
    """`IProofs.Terms`: nothing is to be proven; a test module overrides it."""
    return NOWHERE, 0, 0, 0


@pytest.fixture
def lab(
    rounds: dict[str, Any],
    proofs: tuple[str, int, int, int],
    chain: Web3,
    chain_url: str,
    deploy: Callable[..., Contract],
    tape: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lab]:
    monkeypatch.setenv("FEDVOL_PASSWORD", PASSWORD)
    with found(chain, chain_url, deploy, tape, tmp_path, rounds, proofs) as lab:
        yield lab


@contextmanager
def found(
    chain: Web3,
    url: str,
    deploy: Callable[..., Contract],
    tape: Path,
    folder: Path,
    rounds: dict[str, Any],
    proofs: tuple[str, int, int, int] = (NOWHERE, 0, 0, 0),
) -> Iterator[Lab]:
    """A federation, whose nodes are closed on the way out. `rounds`: changes to `PARAMS`."""
    founder = chain.eth.accounts[0]
    spec = mixture_spec()
    token = deploy("BondToken", founder)
    feeds = [deploy("SettableFeed", founder, 8, price) for price in (60_000 * 10**8, 3_000 * 10**8)]
    codes = [deploy("Federation", deploy("Rulebook").address).address] + [
        deploy(name).address
        for name in ("StakeVault", "ModelRegistry", "PricingEngine", "Settlement", "Duties", "Keyring", "Proofs")
    ]
    factory = deploy("FederationFactory", tuple(codes))
    label = b"lab".ljust(32, b"\0")
    config = {
        "label": label,
        "bondToken": token.address,
        "dimension": spec.dimension,
        "genesis": pack_model(build(spec).initial_weights()),
        "markets": [
            (name.encode().ljust(32, b"\0"), feed.address, 3_600, "0x" + "00" * 20, 0)
            for name, feed in zip(spec.markets, feeds, strict=True)
        ],
        "pillars": spec.pillars,
        "fractionBits": spec.fraction_bits,
        "maxModelAge": 7 * 86_400,
        "bounds": (500, 40_000, 20_000),
        "params": PARAMS | rounds,
        "admin": founder,
        "guardian": founder,
        "proofs": proofs,
    }
    receipt = mined(factory.functions.create(config), founder)
    parts = factory.functions.addressesOf(founder, label).call()
    deployment = Deployment(
        name="lab",
        chain_id=chain.eth.chain_id,
        factory=factory.address,
        **dict(zip(PARTS, parts, strict=True)),
        token=token.address,
        timelock=founder,
        block=receipt["blockNumber"],
        spec=json.loads(spec.to_json()),
    )
    deployment.save(folder / "deployments.json")
    with ExitStack() as opened:
        yield Lab(url, FederationClient(chain, deployment), folder, tape, opened)
