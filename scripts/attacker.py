"""A member that does not play by the rules: what the demo shows being caught, and what the attack tests let loose.

`python -m scripts.attacker --config node.toml --cheat-in-round 4` joins like a desk, takes part with an update of its
own making, and in one round is first to propose a model that differs from the right one by one unit in one weight.
"""

from __future__ import annotations

import argparse
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog
from eth_account.signers.local import LocalAccount
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from fedvol.chain.client import connect
from fedvol.chain.deployment import Deployment
from fedvol.chain.federation import FederationClient, Phase, Reveal, Snapshot
from fedvol.errors import FedvolError
from fedvol.node.config import load_config
from fedvol.node.keystore import load
from fedvol.node.rounds import counted
from fedvol.protocol.commitment import NO_ANNEX, RoundId, commitment
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import content_id, pack_model, pack_update, pack_weighted, unpack_model
from fedvol.storage import Storage, open_storage

log = structlog.get_logger()

GAS = 6_000_000
"""For every transaction, unasked: an attacker does not let itself be stopped by a simulation that fails."""

LOOK_EVERY_S = 0.25


@dataclass
class Attacker:
    """An account that may call anything. `tip_gwei`: how much it outbids others."""

    client: FederationClient
    account: LocalAccount
    storage: Storage
    tip_gwei: float = 1.0
    salts: dict[int, bytes] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.account.address

    @property
    def dimension(self) -> int:
        return self.client.registry.functions.dimension().call()

    def look(self) -> Snapshot:
        return self.client.snapshot(self.address)

    def send(self, call: ContractFunction, value: int = 0, gas: int = GAS, tip_gwei: float | None = None) -> TxReceipt:
        """Has a call mined, whether it reverts or not."""
        web3 = self.client.web3
        tip = int((self.tip_gwei if tip_gwei is None else tip_gwei) * 10**9)
        signed = self.account.sign_transaction(
            {
                "type": 2, "chainId": web3.eth.chain_id, "to": call.address, "data": call._encode_transaction_data(),
                "nonce": web3.eth.get_transaction_count(self.address, "pending"), "value": value, "gas": gas,
                "maxFeePerGas": 2 * web3.eth.get_block("latest")["baseFeePerGas"] + tip, "maxPriorityFeePerGas": tip,
            }
        )  # fmt: skip
        return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction), timeout=30)

    # ------------------------------------------------------------------ a member's ordinary acts

    def join(self) -> None:
        bond = self.look().params["bond"]
        self.send(self.client.token.functions.approve(self.client.vault.address, 10 * bond))
        self.must(self.client.federation.functions.join(bond))

    def must(self, call: ContractFunction) -> TxReceipt:
        receipt = self.send(call)
        if receipt["status"] != 1:
            call.call({"from": self.address})  # raises with the contract's reason
            raise FedvolError(f"{call.fn_name} reverted.", "See the chain's log.")
        return receipt

    def vector(self, fill: int = 0) -> bytes:
        """A small update of its own making, of the kind that the federation combines."""
        moves = np.random.default_rng(secrets.randbits(64)).integers(-50, 51, self.dimension) + fill
        if self.look().params["weighted"]:
            return pack_weighted(moves, np.ones(self.dimension, dtype=np.int64))
        return pack_update(moves)

    def commit(self, data: bytes | None = None) -> None:
        clock = self.look().clock
        self.data[clock.number] = data if data is not None else self.vector()
        self.salts[clock.number] = secrets.token_bytes(32)
        where = RoundId(self.client.deployment.chain_id, self.client.federation.address, clock.number, clock.seed)
        made = commitment(where, self.address, content_id(self.data[clock.number]), self.salts[clock.number])
        self.must(self.client.federation.functions.commit(made))

    def reveal(self, pin: bool = True) -> None:
        number = self.look().clock.number
        if pin:
            self.storage.put(self.data[number])
        self.must(self.client.federation.functions.reveal(content_id(self.data[number]), NO_ANNEX, self.salts[number]))

    # ------------------------------------------------------------------ what it knows

    def counted(self) -> list[Reveal]:
        """Reveals that count, by rising address, as the settlement wants them."""
        s = self.look()
        reveals = self.client.reveals(s.clock.number, s.block)
        return counted(reveals, self.client.ballots([r.node for r in reveals], s.block), s.clock.number)

    def vectors(self) -> list[tuple[str, bytes, bytes, bytes]]:
        """Argument of `dispute` and `settle`."""
        return [(r.node, r.annex, r.salt, self._bytes(r)) for r in self.counted()]

    def _bytes(self, reveal: Reveal) -> bytes:
        own = [data for data in self.data.values() if content_id(data) == reveal.content_id]
        return own[0] if own else self.storage.get(reveal.content_id)

    def right_model(self) -> bytes:
        s = self.look()
        weights = unpack_model(self.client.model(s.version), self.dimension)
        return pack_model(apply(Rule.from_params(s.params), weights, [v[3] for v in self.vectors()]))

    def wrong_model(self, weight: int = 0, by: int = 1) -> bytes:
        """The right one, but for one weight."""
        weights = unpack_model(self.right_model(), self.dimension)
        weights[weight] += by
        return pack_model(weights)


def run(attacker: Attacker, cheat_in: int) -> None:
    """Takes part; from round `cheat_in` on, until it has once been first with a wrong proposal."""
    cheated = False
    while True:
        s = attacker.look()
        node = s.node
        assert node is not None
        seated = node.seat is not None and node.seat < s.clock.selected
        if node.status == "none" and not cheated:
            attacker.join()
            log.info("joined")
        elif s.phase == Phase.COMMIT and seated and node.ballot_round != s.clock.number:
            attacker.commit()
        elif s.phase == Phase.REVEAL and node.ballot_state == 1 and s.clock.number in attacker.salts:
            attacker.reveal()
        elif s.phase == Phase.PROPOSE and not cheated and s.clock.number >= cheat_in:
            receipt = attacker.send(attacker.client.federation.functions.propose(attacker.wrong_model()))
            cheated = receipt["status"] == 1
            if cheated:
                log.info("proposed a model that is wrong by one unit in weight 0", number=s.clock.number)
        time.sleep(LOOK_EVERY_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--cheat-in-round", type=int, required=True)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    deployment = Deployment.load(config.deployments, config.federation)
    client = FederationClient(connect(config.rpc, deployment.chain_id), deployment)
    account = load(config.keystore, config.password())
    run(Attacker(client, account, open_storage(config.storage)), arguments.cheat_in_round)


if __name__ == "__main__":
    main()
