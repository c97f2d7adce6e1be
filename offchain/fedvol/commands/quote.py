"""`fedvol quote`: volatility, price and greeks, as the chain computes them."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Json, Name, Rpc, open_client
from fedvol.console import emit, table
from fedvol.errors import ChainError, ConfigError

if TYPE_CHECKING:
    from fedvol.chain.federation import FederationClient

WAD = Decimal(10**18)
FIELDS = ("forward", "iv", "call", "put", "delta", "gamma", "vega", "theta")


def quote(
    market: Annotated[str, typer.Argument(help="Market of the federation, say BTC.")],
    strike: Annotated[list[float], typer.Option("--strike", "-k", help="Strike in dollars; repeat for several.")],
    days: Annotated[float, typer.Option("--days", "-d", help="Days to expiry.", min=0.0)] = 30.0,
    forward: Annotated[float | None, typer.Option(help="Forward in dollars; the market's feed if left out.")] = None,
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Asks the federation's pricing engine. A stale feed or model is refused, never guessed.

    Example: fedvol quote BTC -k 80000 -k 90000 -k 100000 --days 30
    """
    client = open_client(rpc, deployments, name)
    if market not in client.deployment.spec.get("markets", []):
        raise ConfigError(
            f"Federation {client.deployment.name} has no market {market!r}.",
            f"Use one of: {', '.join(client.deployment.spec.get('markets', []))}.",
        )
    now = client.web3.eth.get_block("latest")["timestamp"]
    expiry = int(now + days * 86_400)
    rows = [read_quote(client, market, k, expiry, forward) | {"expiry_days": days} for k in strike]
    if as_json:
        emit({"market": market, "expiry": expiry, "quotes": rows})
        return
    expires = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry))
    table(
        f"{market}, {days:g} days ({expires}), model version {rows[0]['version']}",
        ["strike", "iv %", "call", "put", "delta", "gamma", "vega /pt", "theta /day"],
        [
            [r["strike"], r["iv"] * 100, r["call"], r["put"], r["delta"], r["gamma"], r["vega"] / 100, r["theta"] / 365]
            for r in rows
        ],
    )


def read_quote(
    client: FederationClient, market: str, strike: float, expiry: int, forward: float | None = None
) -> dict[str, Any]:
    """One quote from the contract, in dollars and fractions.

    Raises:
        ChainError: the engine refuses; names its reason.
    """
    from web3.exceptions import ContractCustomError, ContractLogicError

    from fedvol.chain.client import readable

    key, k = market.encode().ljust(32, b"\0"), int(Decimal(str(strike)) * WAD)
    functions = client.engine.functions
    call = (
        functions.quote(key, k, expiry)
        if forward is None
        else functions.quoteAt(key, int(Decimal(str(forward)) * WAD), k, expiry)
    )
    with readable("the pricing engine"):
        try:
            values = call.call()
        except (ContractCustomError, ContractLogicError) as error:
            raise ChainError(
                f"The engine refuses {market} {strike:g}: {reason(client, error)}.",
                "Wait for a fresh feed or model, or ask within the stated domain.",
            ) from error
    numbers = {field: float(Decimal(value) / WAD) for field, value in zip(FIELDS, values, strict=False)}
    return {"market": market, "strike": strike} | numbers | {"version": values[-1]}


def reason(client: FederationClient, error: Exception) -> str:
    """Name of the custom error behind a revert."""
    from web3 import Web3

    from fedvol.chain.client import abi

    data = str(getattr(error, "data", None) or error)
    for entry in abi("PricingEngine"):
        if entry["type"] == "error":
            signature = f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
            if Web3.keccak(text=signature)[:4].hex() in data:
                return entry["name"]
    return data[:80]
