"""A federation on a fresh local chain with real daemons: what the demo shows and the end-to-end tests assert."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import tomli_w
from eth_account import Account

from fedvol.chain.client import abi, connect
from fedvol.chain.deployment import Deployment
from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.console import err
from fedvol.errors import FedvolError
from fedvol.node.keystore import address_of
from scripts._anvil import anvil, rpc

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PLAN = ROOT / "federations" / "local.toml"
GRACE_S = 10


@dataclass
class Desk:
    """One participant: its folder, its tape, its process.

    Attributes:
        rogue: what it runs instead of a node.
        environment: what its process does differently from the others.
    """

    name: str
    home: Path
    rogue: list[object] | None = None
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def tape(self) -> Path:
        return self.home / "tape.parquet"

    @property
    def config(self) -> Path:
        return self.home / "node.toml"

    @property
    def address(self) -> str:
        return address_of(self.home / "key.json")

    @property
    def log(self) -> Path:
        return self.home / "node.log"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Localnet:
    """A chain, a federation, and desks that can be started, killed and started again."""

    url: str
    home: Path
    client: FederationClient
    window_hours: float
    environment: dict[str, str] = field(default_factory=dict)
    desks: list[Desk] = field(default_factory=list)
    rogues: list[Desk] = field(default_factory=list)

    @property
    def deployments(self) -> Path:
        return self.home / "deployments.json"

    @property
    def founder(self) -> str:
        return self.client.web3.eth.accounts[0]

    def snapshot(self) -> Snapshot:
        return self.client.snapshot()

    def send(self, contract: str, address: str, function: str, *arguments: object) -> None:
        """A transaction of the founder's, whose account Anvil holds."""
        target = self.client.web3.eth.contract(address=address, abi=abi(contract))
        sent = getattr(target.functions, function)(*arguments).transact({"from": self.founder})
        receipt = self.client.web3.eth.wait_for_transaction_receipt(sent, timeout=30)
        if receipt["status"] != 1:
            raise RuntimeError(f"{contract}.{function} reverted")

    def set_vol(self, market: str, vol: float) -> None:
        self.send("SettableFeed", self.client.deployment.vol_feeds[market], "set", int(vol * 10**8))

    def set_price(self, market: str, price: float) -> None:
        self.send("SettableFeed", self.client.deployment.feeds[market], "set", int(price * 10**8))

    def add_desk(self, name: str, tape: pd.DataFrame, rogue: list[object] | None = None) -> Desk:
        """A desk with a tape of its own, a funded account, and a configuration made as a participant makes it.

        Args:
            rogue: what it runs in place of a node; `--config` and its file are added.
        """
        desk = Desk(name, self.home / name, rogue)
        desk.home.mkdir(parents=True)
        tape.to_parquet(desk.tape, index=False)
        account = Account.create()
        run(
            [
                BIN / "fedvol", "node", "init", "--config", desk.config, "--keystore", desk.home / "key.json",
                "--import-key", "--rpc", self.url, "--deployments", self.deployments,
                "--tape", desk.tape, "--storage", self.home / "storage",
            ],
            env=self.secrets(desk) | {"FEDVOL_PRIVATE_KEY": account.key.hex()},
        )  # fmt: skip
        self.client.web3.provider.make_request("anvil_setBalance", [account.address, hex(10**20)])
        bond = self.snapshot().params["bond"]
        self.send("BondToken", self.client.deployment.token, "mint", account.address, 2 * bond)
        (self.rogues if rogue else self.desks).append(desk)
        return desk

    def secrets(self, desk: Desk) -> dict[str, str]:
        return {"FEDVOL_PASSWORD": f"a password of {desk.name}"}

    def settings(self) -> dict[str, str]:
        """What all desks do differently from a public chain: blocks come fast, and all join before the first round."""
        return {
            "FEDVOL_NODE_POLL_SECONDS": "0.5",
            "FEDVOL_NODE_WINDOW_HOURS": str(self.window_hours),
            "FEDVOL_NODE_STOP_PATIENCE": "1",
            "OMP_NUM_THREADS": "1",
        } | self.environment

    def start(self, desk: Desk) -> None:
        with desk.log.open("ab") as log:
            desk.process = subprocess.Popen(
                [*(desk.rogue or [BIN / "fedvol", "node", "run"]), "--config", desk.config],
                cwd=desk.home,
                env=os.environ
                | self.secrets(desk)
                | self.settings()
                | desk.environment
                | {"PYTHONPATH": f"{ROOT / 'offchain'}:{ROOT}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, desk: Desk) -> None:
        """As a power cut does."""
        assert desk.process is not None
        desk.process.send_signal(signal.SIGKILL)
        desk.process.wait()

    @contextmanager
    def halted(self, desks: list[Desk]) -> Iterator[None]:
        """Some desks stand still meanwhile, as a machine does that has too much to do."""
        processes = [desk.process for desk in desks if desk.alive and desk.process]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends every desk, gently first."""
        running = [desk.process for desk in [*self.desks, *self.rogues] if desk.alive and desk.process]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def localnet(
    home: Path,
    window_hours: float,
    members: int,
    block_time: int = 1,
    rogues: int = 0,
    changes: dict[str, dict[str, object]] | None = None,
    start: int | None = None,
    history: int | None = None,
) -> Iterator[Localnet]:
    """Starts Anvil, deploys the local plan with ape, and ends every process on the way out, also on Ctrl-C.

    Args:
        members: rounds wait for that many, so that all take part in every epoch.
        block_time: seconds.
        rogues: seats for members beyond those.
        changes: to the plan, section → key → value.
        start: unix seconds at which the chain begins: the end of the tapes, whose options must live on.
        history: blocks whose state the chain can still be asked for.
    """
    home.mkdir(parents=True, exist_ok=True)
    plan = home / "plan.toml"
    content = tomllib.loads(PLAN.read_text())
    content["rounds"] |= {"min_members": members, "seats": members + rogues}
    for section, values in (changes or {}).items():
        content[section] = content.get(section, {}) | values
    plan.write_text(tomli_w.dumps(content))
    with anvil(log=home / "anvil.log", start=start, history=history) as url:
        run(
            [
                BIN / "ape", "run", "deploy", "--network", "ethereum:local:foundry", "--account", "TEST::0",
                "--federation", plan, "--deployments", home / "deployments.json",
            ],
            env={"APE_FOUNDRY_HOST": url},
        )  # fmt: skip
        # Deployed at once; from here on blocks come by the clock, as on a public chain.
        rpc(url, "evm_setAutomine", False)
        rpc(url, "evm_setIntervalMining", block_time)
        deployment = Deployment.load(home / "deployments.json")
        net = Localnet(url, home, FederationClient(connect(url, deployment.chain_id), deployment), window_hours)
        try:
            yield net
        finally:
            net.stop()


@contextmanager
def told() -> Iterator[None]:
    """For a program that runs a federation: a failure becomes one line and its exit code, SIGINT and SIGTERM 130."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except FedvolError as error:
        err.print(f"[bold red]error:[/] {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("stopped; every process has ended")
        sys.exit(130)


def run(command: list[object], env: dict[str, str]) -> str:
    """Runs a command to its end; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    if done.returncode:
        shown = " ".join(Path(str(part)).name for part in command[:3])
        raise RuntimeError(f"`{shown}` failed ({done.returncode}):\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
