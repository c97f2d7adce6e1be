"""Everything that can be known of a node before it costs money: one line a check, and none stops the others."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from web3.exceptions import Web3Exception

from fedvol.chain.outbox import NoFunds, call_rpc, ether
from fedvol.errors import ChainError, ConfigError, FedvolError, ProofError, StorageError
from fedvol.node import lock
from fedvol.node.budget import BudgetSpent, account
from fedvol.node.config import load_config
from fedvol.node.duty import penalty
from fedvol.node.funds import epoch_gas, require_funds, round_gas
from fedvol.node.journal import read_journal
from fedvol.node.parts import Parts
from fedvol.proofs.backend import find_bb, find_node
from fedvol.proofs.circuits import backend_for
from fedvol.proofs.verifier import LOCAL_CHAINS

SKEW, MOST_SKEW = 30, 120
"""Seconds by which the clock here and the latest block may differ: to be noted, and to be mended."""

LEAST_DISK, LITTLE_DISK = 100 << 20, 1 << 30
"""Bytes: a year of rounds takes about as much as the second."""

OLD_TAPE_H = 24.0

FEW_PENALTIES = 2


class Colour(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What one check found. `exit_code`: of a red one; `next`: what to do, of a red or yellow one."""

    name: str
    colour: Colour
    text: str
    next: str = ""
    exit_code: int = 0

    def document(self) -> dict[str, Any]:
        return asdict(self)


class Warn(Exception):
    """Ends a check with something to be noted."""

    def __init__(self, text: str, next_: str) -> None:
        super().__init__(text)
        self.text = text
        self.next = next_


def check(path: Path) -> list[Finding]:
    """Looks at the node that a configuration file describes, from the file up; sends nothing.

    What hangs on a part that was found red is not looked at: it is `UNKNOWN`.
    """
    try:
        config = load_config(path)
    except FedvolError as error:
        first = _red("configuration", error)
        return [first, *(Finding(name, Colour.UNKNOWN, "needs the configuration") for name in CHECKS)]
    parts, told = Parts(config), dict[str, str]()
    found = [Finding("configuration", Colour.GREEN, str(path))]
    for name, look in CHECKS.items():
        try:
            found.append(Finding(name, Colour.GREEN, look(parts)))
        except Warn as warning:
            found.append(Finding(name, Colour.YELLOW, warning.text, warning.next))
        except FedvolError as error:
            cause = str(error)  # a part that many checks need fails each of them with the same words
            if cause in told:
                found.append(Finding(name, Colour.UNKNOWN, f"needs what is red above: {told[cause]}"))
            else:
                told[cause] = name
                found.append(_red(name, error))
        except (OSError, Web3Exception) as error:
            found.append(_red(name, FedvolError(f"It cannot be looked at ({error}).", "See what that means.")))
    return found


def exit_code(findings: list[Finding]) -> int:
    """That of the first red one; 0 where there is none."""
    return next((f.exit_code for f in findings if f.colour == Colour.RED), 0)


def _red(name: str, error: FedvolError) -> Finding:
    return Finding(name, Colour.RED, error.message, error.hint, error.exit_code)


# ---------------------------------------------------------------------- the checks: text of a green one, or raise


def _key(parts: Parts) -> str:
    return f"{parts.account.address} opens with the password"


def _deployment(parts: Parts) -> str:
    d = parts.deployment
    return f"federation {d.name} on chain {d.chain_id}"


def _rpc(parts: Parts) -> str:
    web3 = parts.endpoint.web3
    block = call_rpc(lambda: web3.eth.block_number)
    return f"chain {parts.deployment.chain_id}, block {block:,}"


def _contracts(parts: Parts) -> str:
    return f"all there, and of this version ({parts.client.federation.address})"


def _clock(parts: Parts) -> str:
    head = call_rpc(lambda: parts.endpoint.web3.eth.get_block("latest"))
    ahead = head["timestamp"] - time.time()
    if abs(ahead) <= SKEW:
        return f"within {SKEW} s of the latest block"
    told = f"The latest block is {abs(ahead):,.0f} s {'in the future' if ahead > 0 else 'old'}."
    remedy = (
        "Set this machine's clock (NTP)."
        if ahead > 0
        else "Is the endpoint in step with its chain? If so, set this machine's clock (NTP)."
    )
    if abs(ahead) <= MOST_SKEW or parts.deployment.chain_id in LOCAL_CHAINS:
        raise Warn(told, remedy)
    raise ChainError(told, remedy)


def _funds(parts: Parts) -> str:
    s = parts.snapshot
    require_funds(s)
    price = call_rpc(lambda: parts.client.web3.eth.gas_price)
    held, needed = s.node.balance_wei, epoch_gas(s) * price
    if held < round_gas(s) * price:
        raise NoFunds(
            f"{ether(held)} ETH do not pay one round at {price / 1e9:g} gwei.", f"Send {s.node.address} some."
        )
    told = f"{ether(held)} ETH; an epoch takes about {ether(needed)} at {price / 1e9:g} gwei"
    if held < needed:
        raise Warn(told, f"Send {s.node.address} some.")
    return told


def _bond(parts: Parts) -> str:
    s = parts.snapshot
    least, bond, tokens = s.params["bond"], s.node.bond, s.node.tokens
    if s.node.status == "none":
        wanted = max(parts.config.bond or 0, least)
        if not parts.config.join:
            return "no member, and does not join"
        if bond + tokens < wanted:
            raise ChainError(
                f"{ether(tokens)} bond tokens; to join takes {ether(wanted - bond)}.",
                f"Send {s.node.address} some; the token is at {parts.deployment.token}.",
            )
        return f"{ether(tokens)} tokens, enough to join with {ether(wanted)}"
    told = f"{s.node.status}, bond {ether(bond)} of {ether(least)}, {s.node.faults} faults"
    if bond == 0:
        raise ChainError(f"The bond is gone ({told}).", "Exit, and join again with a new bond.")
    if bond < least and bond + (tokens if parts.config.top_up else 0) < least:
        raise Warn(told, f"Below the federation's bond it cannot propose: send {s.node.address} tokens to top up with.")
    if bond < FEW_PENALTIES * penalty(s, s.node):
        raise Warn(told, "The next two penalties take all of it: find out why it is penalised, and top up.")
    return told


def _storage(parts: Parts) -> str:
    storage, data = parts.storage, b"fedvol node check " + secrets.token_bytes(16)
    began = time.monotonic()
    name = storage.put(data)
    if storage.get(name) != data:
        raise StorageError(f"The {storage.describe()} gave other bytes back.", "Ask whoever runs it.")
    storage.unpin(name)
    return f"{storage.describe()}: put, got and let go in {time.monotonic() - began:.1f} s"


def _disk(parts: Parts) -> str:
    folder = parts.config.data_dir
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{there} cannot be written.", "Correct its owner and mode, or name another data_dir.")
    free = shutil.disk_usage(there).free
    told = f"{free / 2**30:,.1f} GiB free for {folder}"
    if free < LEAST_DISK:
        raise ConfigError(f"Only {free >> 20} MiB are free for {folder}.", "Make room.")
    if free < LITTLE_DISK:
        raise Warn(told, "Make room before long.")
    return told


def _tape(parts: Parts) -> str:
    trainer = parts.trainer
    rows, age = trainer.count(), time.time() - trainer.newest()
    told = f"{rows:,} rows train, the newest is {_hours(age)} old"
    if trainer.is_private and not rows:
        raise Warn(told, "It would send noise alone: is the tape still written to, and this machine's clock right?")
    if age > 3600 * min(OLD_TAPE_H, trainer.hours):
        raise Warn(told, "Is the tape still written to?")
    return told


def _journal(parts: Parts) -> str:
    with read_journal(parts.config.data_dir) as journal:
        if journal is None:
            return "none yet"
        if not journal.belongs_to(parts.owner):
            return "empty"
        waiting = len(journal.waiting())
        last = journal.latest(1)
    return f"whole; last round {last[0].number if last else '–'}, {waiting} transactions wait"


def _process(parts: Parts) -> str:
    return "a node runs on this data_dir" if lock.is_held(parts.config.data_dir) else "no node runs on this data_dir"


def _privacy(parts: Parts) -> str:
    config = parts.config.privacy
    if config is None:
        return "off: the node trains without noise"
    with read_journal(parts.config.data_dir) as journal:
        stands = account(journal, config)
    told = f"ε {max(0.0, stands.epsilon - stands.spent):.3g} of {stands.epsilon:g} left, {stands.left:,} rounds"
    if not stands.left:
        raise BudgetSpent(
            f"The budget is spent ({told}).", "Exit: each round that is sat out costs a penalty. Or raise it knowingly."
        )
    if stands.left < parts.snapshot.params["epochRounds"]:
        raise Warn(told, "Less than an epoch: exit before it is spent.")
    if stands.unprotected:
        raise Warn(f"{told}; {stands.unprotected} rounds were trained without noise", "Nothing protects their trades.")
    return told


def _proofs(parts: Parts) -> str:
    terms = parts.terms
    if terms is None:
        return "not asked for"
    tools = {"Node.js": find_node(), "bb": find_bb()}
    for what, tool in tools.items():
        _run(what, tool)
    backend = backend_for(parts.deployment.chain_id, parts.config.data_dir / "proving")
    return f"{terms.kind.name.lower()}; Node.js and bb run, reference string {backend.string.name}"


def _run(what: str, tool: str) -> None:
    try:
        subprocess.run([tool, "--version"], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ProofError(
            f"{what} at {tool} does not run ({type(error).__name__}).", "Run `make setup` again."
        ) from None


def _hours(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


CHECKS: dict[str, Callable[[Parts], str]] = {
    "key file": _key,
    "deployment": _deployment,
    "rpc": _rpc,
    "contracts": _contracts,
    "clock": _clock,
    "funds": _funds,
    "bond": _bond,
    "storage": _storage,
    "disk": _disk,
    "tape": _tape,
    "journal": _journal,
    "process": _process,
    "privacy": _privacy,
    "proofs": _proofs,
}
