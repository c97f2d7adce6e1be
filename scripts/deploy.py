"""`ape run deploy`: puts a federation on any network that ape knows.

Safe to run twice: what the deployment file records and the chain still holds is used again. Nonsense is refused before
any gas is spent.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ape
import click
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand, account_option, network_option

from fedvol.chain.deployment import NOWHERE, Deployment
from fedvol.chain.plan import FederationPlan, load_plan
from fedvol.errors import FedvolError
from fedvol.learning.model import ModelSpec, build
from fedvol.proofs.verifier import LOCAL_CHAINS, require_public
from fedvol.protocol.surface import weights_of
from fedvol.protocol.vector import pack_model

ROOT = Path(__file__).resolve().parent.parent
FEED_DECIMALS = 8
IMPLEMENTATIONS = ("StakeVault", "ModelRegistry", "PricingEngine", "Settlement", "Duties", "Keyring", "Proofs")
"""After the federation itself, in the order of `IFederationFactory.Parts`."""


class Deployer:
    """Deploys contracts once: remembers addresses in a file beside the deployment records."""

    def __init__(self, account: AccountAPI, confirmations: int | None, memory: Path) -> None:
        self.account = account
        self.confirmations = confirmations
        self.memory = memory
        self.known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}

    def once(self, key: str, contract: str, *arguments: Any) -> Any:
        """The contract remembered as `key`, if the chain still holds it; else a new one."""
        address = self.known.get(key)
        if address and ape.chain.provider.get_code(address):
            return getattr(ape.project, contract).at(address)
        instance = self.account.deploy(
            getattr(ape.project, contract), *arguments, required_confirmations=self.confirmations
        )
        self.known[key] = instance.address
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        self.memory.write_text(json.dumps(self.known, indent=2) + "\n")
        click.echo(f"deployed {key:<22} {instance.address}")
        return instance


def spec_of(plan: FederationPlan) -> ModelSpec:
    model = plan.model
    return ModelSpec(
        name=model.plugin,
        markets=tuple(model.markets),
        pillars=model.pillars,
        fraction_bits=model.fraction_bits,
        dimension=len(model.markets) * weights_of(model.pillars),
    )


def parts_for(plan: FederationPlan, deployer: Deployer) -> SimpleNamespace:
    """Token, feeds, timelock and factory: the plan's own, or new ones."""
    me = deployer.account
    token = plan.bonds.token or deployer.once("BondToken", "BondToken", me).address
    feeds = {
        market: feed.address
        or deployer.once(
            f"Feed {market}", "SettableFeed", me, FEED_DECIMALS, int((feed.local_price or 1) * 10**FEED_DECIMALS)
        ).address
        for market, feed in plan.feeds.items()
    }
    vol_feeds = {market: feed.vol_address for market, feed in plan.feeds.items() if feed.vol_address} | {
        market: deployer.once(
            f"Vol feed {market}", "SettableFeed", me, FEED_DECIMALS, int(feed.local_vol * 10**FEED_DECIMALS)
        ).address
        for market, feed in plan.feeds.items()
        if feed.local_vol and not feed.vol_address
    }
    governor = plan.governance.governor or me.address
    timelock = deployer.once(
        f"Timelock {governor}", "Timelock", plan.governance.timelock_delay, [governor], [governor],
        "0x0000000000000000000000000000000000000000",
    )  # fmt: skip
    rulebook = deployer.once("Rulebook", "Rulebook")
    codes = [deployer.once("Federation", "Federation", rulebook.address)]
    codes += [deployer.once(name, name) for name in IMPLEMENTATIONS]
    return SimpleNamespace(
        token=token,
        feeds=feeds,
        vol_feeds=vol_feeds,
        timelock=timelock.address,
        guardian=plan.governance.guardian or me.address,
        factory=deployer.once("FederationFactory", "FederationFactory", tuple(code.address for code in codes)),
    )


def terms_for(plan: FederationPlan, deployer: Deployer) -> tuple[str, int, int, int]:
    """What updates must prove: nothing; or by the plan's verifier; or, on a local chain, by an insecure one."""
    if plan.proofs is None:
        return NOWHERE, 0, 0, 0
    verifier, insecure = plan.proofs.verifier, plan.proofs.insecure_verifier
    return plan.proofs.terms(verifier or deployer.once(insecure, insecure).address)


def create(plan: FederationPlan, deployer: Deployer) -> Deployment:
    """The plan's federation, created unless this account created it before."""
    me, spec = deployer.account, spec_of(plan)
    parts = parts_for(plan, deployer)
    where = parts.factory.addressesOf(me, plan.label)
    if not ape.chain.provider.get_code(where.federation):
        config = {
            "label": plan.label,
            "bondToken": parts.token,
            "dimension": spec.dimension,
            "genesis": pack_model(build(spec).initial_weights()),
            "markets": [
                (
                    market.encode().ljust(32, b"\0"),
                    parts.feeds[market],
                    plan.feeds[market].max_age,
                    parts.vol_feeds.get(market, NOWHERE),
                    plan.feeds[market].vol_max_age,
                )
                for market in plan.model.markets
            ],
            "pillars": plan.model.pillars,
            "fractionBits": plan.model.fraction_bits,
            "maxModelAge": plan.model.max_model_age,
            "bounds": (plan.model.least_vol_bps, plan.model.most_vol_bps, plan.model.most_move_bps),
            "params": plan.params(),
            "admin": parts.timelock,
            "guardian": parts.guardian,
            "proofs": terms_for(plan, deployer),
        }
        receipt = parts.factory.create(config, sender=me, required_confirmations=deployer.confirmations)
        block = receipt.block_number
        where = parts.factory.addressesOf(me, plan.label)  # the engine's is known from here on
        click.echo(f"created  {plan.name:<22} {where.federation}")
    else:
        created = parts.factory.FederationCreated.query("*")
        block = int(created[created["event_arguments"].apply(lambda a: a["label"] == plan.label)]["block_number"].min())
        click.echo(f"found    {plan.name:<22} {where.federation}")
    return Deployment(
        name=plan.name,
        chain_id=ape.chain.chain_id,
        factory=parts.factory.address,
        federation=where.federation,
        vault=where.vault,
        registry=where.registry,
        engine=where.engine,
        settlement=where.settlement,
        duties=where.duties,
        keyring=where.keyring,
        token=parts.token,
        timelock=parts.timelock,
        block=block,
        feeds=parts.feeds,
        vol_feeds=parts.vol_feeds,
        spec=json.loads(spec.to_json()),
        proofs=where.proofs,
    )


@click.command(cls=ConnectedProviderCommand)
@network_option()
@account_option()
@click.option(
    "--federation", "plan_file", default=str(ROOT / "federations" / "local.toml"), show_default=False,
    help="The founder's plan (default: federations/local.toml).",
)  # fmt: skip
@click.option(
    "--confirmations", type=int, default=None, help="Blocks to wait for after a transaction (default: the network's)."
)
@click.option("--deployments", default=None, help="Where the addresses go (default: deployments/CHAIN_ID.json).")
def cli(account: AccountAPI, plan_file: str, confirmations: int | None, deployments: str | None) -> None:
    """Deploys the federation of a plan, with whatever it still lacks, and records its addresses."""
    try:
        plan = load_plan(plan_file)
        if ape.chain.chain_id not in LOCAL_CHAINS:
            plan.for_public_chain()
            if plan.proofs is not None:
                require_public(plan.proofs.verifier, bytes(ape.chain.provider.get_code(plan.proofs.verifier)))
        out = Path(deployments) if deployments else ROOT / "deployments" / f"{ape.chain.chain_id}.json"
        if not account.balance:
            raise FedvolError(f"{account.address} holds no coins to pay gas with.", "Fund it first.")
        deployment = create(plan, Deployer(account, confirmations, out.with_suffix(".parts.json")))
        deployment.save(out)
    except FedvolError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"recorded in {out}")
