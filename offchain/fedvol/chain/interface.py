"""Whether a chain's contracts are those that this package speaks to.

Federations are minimal proxies (ERC-1167), and the code behind them holds what its deployer chose: no hash of it is the
same everywhere. What can be checked of any deployment is that each contract answers to every function that this
package's interface of it names: a dispatcher compares the selector, so that the code holds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from eth_utils import function_signature_to_4byte_selector
from eth_utils.abi import abi_to_signature
from web3 import Web3
from web3.contract import Contract

from fedvol.chain.client import abi, readable
from fedvol.chain.deployment import NOWHERE
from fedvol.chain.federation import FederationClient
from fedvol.errors import ChainError, ConfigError

_PROXY = bytes.fromhex("363d3d373d3d3d363d73")


def require_interface(client: FederationClient) -> None:
    """Looks at each contract of the federation.

    Raises:
        ChainError: one is missing, or lacks a function.
        ConfigError: the deployment file's addresses or model are not those on the chain.
    """
    for name, contract in _contracts(client):
        missing = _missing(client.web3, name, contract)
        if missing:
            raise ChainError(
                f"The {name} at {contract.address} has no {missing[0]} ({len(missing)} functions are missing).",
                "It is of another version: take the fedvol that the federation was deployed with.",
            )
    _require_record(client)


def _contracts(client: FederationClient) -> Iterator[tuple[str, Contract]]:
    names = {
        "Federation": client.federation, "StakeVault": client.vault, "ModelRegistry": client.registry,
        "PricingEngine": client.engine, "Settlement": client.settlement, "Duties": client.duties,
        "Keyring": client.keyring, "Proofs": client.proofs,
    }  # fmt: skip
    yield from ((name, c) for name, c in names.items() if c is not None and c.address != NOWHERE)


def _missing(web3: Web3, name: str, contract: Contract) -> list[str]:
    """Functions of the interface that the code behind a contract does not know."""
    with readable(f"the code of the {name}"):
        code = bytes(web3.eth.get_code(contract.address))
        if code.startswith(_PROXY):
            code = bytes(web3.eth.get_code(Web3.to_checksum_address(code[len(_PROXY) : len(_PROXY) + 20])))
    signatures = [abi_to_signature(entry) for entry in abi(name) if entry["type"] == "function"]
    # The compiler drops leading zeros.
    return [s for s in signatures if function_signature_to_4byte_selector(s).lstrip(b"\0") not in code]


def _require_record(client: FederationClient) -> None:
    record, federation = client.deployment, client.federation.functions
    told = (record.settlement, record.duties, record.proofs, record.vault, record.registry, record.keyring)
    parts = [federation.modules(), federation.vault(), federation.registry(), federation.keyring()]
    asked = [*parts, client.registry.functions.dimension()]
    modules, *rest, dimension = client.look("the federation's parts", asked).answers
    there = (*modules, *rest)
    if [address.lower() for address in there] != [address.lower() for address in told]:
        raise ConfigError(
            "The deployment file names other contracts than the federation on the chain.",
            "Get the deployment file again from whoever deployed.",
        )
    if record.spec and dimension != record.spec.get("dimension"):
        raise ConfigError(
            f"The chain's model has {dimension} weights, the deployment file's {record.spec.get('dimension')}.",
            "Get the deployment file again from whoever deployed.",
        )
