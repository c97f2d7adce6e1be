"""`fedvol stake`: a node's bond, by the operator's key or by the withdrawal address's."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedvol.commands.options import (
    DEFAULT_DEPLOYMENTS,
    DEFAULT_RPC,
    Deployments,
    Json,
    Name,
    Rpc,
    open_client,
    parse_address,
)
from fedvol.console import emit, out, table
from fedvol.errors import ChainError, ConfigError, KeyfileError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from fedvol.chain.federation import FederationClient
    from fedvol.chain.outbox import AttemptLog
    from fedvol.chain.stake import Stake, Unit
    from fedvol.node.config import NodeConfig
    from fedvol.node.stake import Moves, Step

app = typer.Typer(
    no_args_is_help=True,
    help="Your node's bond: add, leave, withdraw, claim, change keys. By the operator's key (--config; its daemon must "
    "not run), or by the withdrawal address's (--keystore), whether or not it runs.",
)

CONFIG = Path("node.toml")


@dataclass(frozen=True)
class Given:
    """The options that all of these commands share."""

    config: Annotated[
        Path | None,
        typer.Option("--config", help="The node's configuration; by default node.toml, unless --node is given."),
    ] = None
    node: Annotated[str | None, typer.Option("--node", help="Whose stake; by default the configuration's.")] = None
    keystore: Annotated[
        Path | None,
        typer.Option("--keystore", help="Key file that signs; by default the configuration's, the operator's."),
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="Password of --keystore; else FEDVOL_PASSWORD, else it is asked."),
    ] = None
    rpc: Rpc = DEFAULT_RPC
    deployments: Deployments = DEFAULT_DEPLOYMENTS
    name: Name = None
    max_fee_gwei: Annotated[
        float, typer.Option("--max-fee-gwei", min=0.0, help="Most that a unit of gas may cost, with --keystore.")
    ] = 300.0
    calls: Annotated[
        bool,
        typer.Option("--calls", help="Send nothing: print the calls, for a hardware wallet or a multisig to sign."),
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    as_json: Json = False


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options above; it gets them as its first argument, a `Given`."""
    common = list(inspect.signature(Given, eval_str=True).parameters.values())
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    def run(**values: Any) -> None:
        command(Given(**{p.name: values.pop(p.name) for p in common}), **values)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return run


# ---------------------------------------------------------------------- commands


@app.command()
@shared
def show(given: Given) -> None:
    """Shows a node's bond, whose it is, when it unlocks, and what can be claimed. Needs no password.

    Example: fedvol stake show --node 0x… --deployments deployments/1.json --json
    """
    with _open(given, signs=False) as case:
        facts = _facts(case.stake, case.unit)
    if given.as_json:
        emit(facts)
    else:
        table(f"stake of {case.stake.node}", ["", "value"], [[k, _said(v)] for k, v in facts.items() if k != "node"])


@app.command()
@shared
def add(given: Given, amount: Annotated[str, typer.Argument(help="In tokens, such as 250 or 0.5.")]) -> None:
    """Adds to a bond, from the signer's tokens: a top-up, or in advance what the node joins with.

    Example: fedvol stake add 250 --keystore cold.json --node 0x…
    """
    _perform(given, lambda case: case.moves.add(case.unit.parse(amount)))


@app.command("exit")
@shared
def exit_(given: Given) -> None:
    """Leaves the federation; the bond is withdrawn after the unbonding time. Operator's key.

    Stop the daemon, set `join = false` in its configuration (or it would join again), run this, start it again: it does
    what it still owes the running round, and carries its exit out.

    Example: fedvol stake exit --config node.toml
    """

    def steps(case: Case) -> list[Step]:
        if case.settings is not None and case.settings.join:
            raise ConfigError(
                "The configuration says join = true: the node would join again.", "Set join = false first."
            )
        return case.moves.exit()

    _perform(given, steps)


@app.command()
@shared
def withdraw(given: Given) -> None:
    """Pays the unlocked bond to the withdrawal address; without one, to the node.

    Example: fedvol stake withdraw --keystore cold.json --node 0x…
    """
    _perform(given, lambda case: case.moves.withdraw())


@app.command()
@shared
def claim(given: Given) -> None:
    """Pays rewards to the withdrawal address; without one, to the node. ETH is the operator's: its daemon claims it.

    Example: fedvol stake claim --keystore cold.json --node 0x…
    """
    _perform(given, lambda case: case.moves.claim())


@app.command()
@shared
def rotate(
    given: Given, to: Annotated[str, typer.Option("--to", help="The node that follows: a new key's address.")]
) -> None:
    """Retires a node's key and hands its bond to another's, without unbonding. Withdrawal address's key.

    The new one must have named the same withdrawal address. Of a member it only retires the key: let the node leave,
    and run this again. Where a key was stolen, run it at once.

    Example: fedvol stake rotate --to 0x… --keystore cold.json --node 0x…
    """
    _perform(given, lambda case: case.moves.rotate(parse_address(to, "--to")))


@app.command()
@shared
def withdrawal(
    given: Given, to: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where bond and rewards are to be paid.")]
) -> None:
    """Names the withdrawal address (operator's key, once), or offers its place to another (its own key).

    Example: fedvol stake withdrawal 0x… --config node.toml
    """
    _perform(given, lambda case: case.moves.withdrawal(parse_address(to, "ADDRESS")))


@app.command()
@shared
def accept(given: Given) -> None:
    """Becomes the withdrawal address, where that was offered to the signer.

    Example: fedvol stake accept --keystore new-cold.json --node 0x…
    """
    _perform(given, lambda case: case.moves.accept())


# ---------------------------------------------------------------------- how all of them run


@dataclass(frozen=True)
class Case:
    """One node's stake, and who signs; `account` is None where nobody does."""

    client: FederationClient
    stake: Stake
    unit: Unit
    moves: Moves
    settings: NodeConfig | None
    account: LocalAccount | None
    log: AttemptLog
    max_fee_gwei: float


def _perform(given: Given, plan: Callable[[Case], list[Step]]) -> None:
    """Says what will happen, asks, sends, and says what has."""
    from fedvol.chain.stake import read_stake

    with _open(given, signs=not given.calls) as case:
        steps = plan(case)
        if given.calls:
            emit([_call(step) for step in steps])
            return
        if len(steps) == 1:
            case.moves.try_out(steps)  # before anybody is asked
        if not given.as_json:
            out.print(f"{case.account.address} signs on chain {case.client.deployment.chain_id}:", soft_wrap=True)
            for number, step in enumerate(steps, 1):
                out.print(f"{number}. {step.says}", soft_wrap=True, markup=False)
        if not given.yes:
            _ask(given)
        done = [_call(step) | _deliver(case, step) for step in steps]
        after = _facts(read_stake(case.client, case.stake.node), case.unit)
    if given.as_json:
        emit({"signer": case.account.address, "steps": done, "stake": after})
        return
    for sent in done:
        out.print(f"in block {sent['block']}: {sent['transaction']}", soft_wrap=True)
    out.print(f"bond {after['bond']}, status {after['status']}, unlocks {_said(after['unlocks'])}", markup=False)


def _deliver(case: Case, step: Step) -> dict[str, Any]:
    from fedvol.chain.outbox import Outbox, WouldRevert

    outbox = Outbox(case.client.web3, case.account, case.log, max_fee_wei=int(case.max_fee_gwei * 1e9))
    try:
        receipt = outbox.deliver(step.purpose, step.call, case.stake.block)
    except WouldRevert as error:
        raise case.moves.explain(error) from error
    return {
        "transaction": receipt["transactionHash"].to_0x_hex(),
        "block": receipt["blockNumber"],
        "gas_used": receipt["gasUsed"],
    }


@contextmanager
def _open(given: Given, *, signs: bool) -> Iterator[Case]:
    """Reads the stake, and unlocks the key that signs."""
    from fedvol.chain.stake import read_stake, read_unit
    from fedvol.node.config import load_config
    from fedvol.node.journal import JournalInUse, Owner, open_journal
    from fedvol.node.keystore import address_of
    from fedvol.node.stake import Memory, Moves

    settings = load_config(given.config or CONFIG) if given.config or given.node is None else None
    operator = address_of(settings.keystore) if settings else None
    node = parse_address(given.node, "--node") if given.node else operator
    account = _signer(given, settings) if signs else None
    if account is not None and settings is None and account.address == node:
        raise ConfigError(f"{given.keystore} is the operator's own key.", "Sign with --config: its journal is needed.")
    if settings is not None:
        client = open_client(settings.rpc, settings.deployments, settings.federation)
    else:
        client = open_client(given.rpc, given.deployments, given.name)
    stake, unit = read_stake(client, node), read_unit(client)
    moves = Moves(client, stake, unit, account.address if account else stake.payee)
    case = Case(client, stake, unit, moves, settings, account, Memory(), given.max_fee_gwei)
    if account is None:
        yield case
    elif account.address != operator:
        _require_quiet(client, account.address)
        yield case
    else:
        owner = Owner(client.deployment.chain_id, client.federation.address, operator)
        with ExitStack() as stack:
            try:
                journal = stack.enter_context(open_journal(settings.data_dir, owner))
            except JournalInUse as error:
                raise ConfigError(
                    f"The daemon of {operator} runs, and nobody else may use its nonces.",
                    "Stop it for the while; or sign with the withdrawal address's key (--keystore).",
                ) from error
            yield replace(case, log=journal, max_fee_gwei=settings.max_fee_gwei)


def _signer(given: Given, settings: NodeConfig | None) -> LocalAccount:
    from fedvol.node.keystore import load

    if given.keystore is not None:
        return load(given.keystore, _password(given))
    if settings is None:
        raise ConfigError("Whose key signs?", "Name a --keystore, or the node's --config.")
    return load(settings.keystore, settings.password())


def _require_quiet(client: FederationClient, account: str) -> None:
    """A command that was stopped may have left a transaction: sent again beside it, a move would happen twice."""
    from fedvol.chain.outbox import call_rpc

    count = client.web3.eth.get_transaction_count
    mined, known = (call_rpc(lambda at=at: count(account, at)) for at in ("latest", "pending"))
    if known > mined:
        raise ChainError(
            f"A transaction of {account} waits to be mined (nonce {mined}).", "Wait for it, or replace it in a wallet."
        )


def _call(step: Step) -> dict[str, str]:
    return {"what": step.says, "to": step.call.address, "data": step.call._encode_transaction_data(), "value": "0"}


def _ask(given: Given) -> None:
    if given.as_json or not sys.stdin.isatty():
        raise ConfigError("Nobody is there to ask.", "Say --yes to send without a question.")
    typer.confirm("Send?", abort=True)


def _password(given: Given) -> str:
    from fedvol.node.config import PASSWORD, read_password

    if given.password_file is not None:
        return read_password(given.password_file)
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise KeyfileError(f"{given.keystore} needs its password.", f"Set {PASSWORD}, or name a --password-file.")
    return typer.prompt(f"Password of {given.keystore}", hide_input=True)


def _facts(stake: Stake, unit: Unit) -> dict[str, Any]:
    from fedvol.chain.stake import when

    shown = {
        "bond": unit.show(stake.bond),
        "unlocks": when(stake.unlocks_at) if stake.unlocks_at else None,
        "rewards": unit.show(stake.rewards),
    }
    return asdict(stake) | {"bond_units": stake.bond, "rewards_units": stake.rewards} | shown


def _said(value: Any) -> str:
    return "–" if value is None else str(value)
