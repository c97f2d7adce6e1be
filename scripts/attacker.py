"""A member that does not play by the rules: what the demo shows being caught, and what the attack tests let loose.

`python -m scripts.attacker --config node.toml --cheat-in-round 4` is a node that in one round is first to propose, a
model that differs from the right one by one unit in one weight. With `--mask-wrongly` it spoils the sum of its cluster
instead, by masking with a key that it does not commit to.
"""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import structlog
from eth_account.signers.local import LocalAccount
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

import fedvol.node.acts as acts_module
from fedvol.chain.federation import FederationClient, Reveal, Snapshot
from fedvol.errors import FedvolError
from fedvol.node.config import load_config
from fedvol.node.daemon import Node, open_node
from fedvol.node.rounds import aggregate_now, counted
from fedvol.protocol.commitment import NO_ANNEX, RoundId, commitment
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import content_id, pack_model, pack_update, pack_weighted, unpack_model
from fedvol.storage import Storage

log = structlog.get_logger()

GAS = 6_000_000
"""For every transaction, unasked: an attacker does not let itself be stopped by a simulation that fails."""


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
        shown = content_id(self.data[number]), NO_ANNEX, self.salts[number], NO_PLEDGE
        self.must(self.client.federation.functions.reveal(*shown))

    # ------------------------------------------------------------------ what it knows

    def counted(self) -> list[Reveal]:
        """Reveals that count, by rising address, as the settlement wants them."""
        s = self.look()
        reveals = self.client.reveals(s.clock.number, s.block)
        return counted(reveals, self.client.ballots([r.node for r in reveals], s.block), s.clock.number)

    def vectors(self) -> list[tuple[str, bytes, bytes, bytes, list[bytes]]]:
        """Argument of `dispute` and `settle`, in plain rounds."""
        return [(r.node, r.annex, r.salt, self._bytes(r), []) for r in self.counted()]

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


def cheat_once(node: Node, cheat_in: int) -> None:
    """Makes a node first, once from round `cheat_in` on, with a model that is wrong by one unit in one weight."""
    acts = node.acts
    # Neither waits for its turn, nor accuses itself.
    node._roles = replace(node._roles, stagger=0.0, watchtower=False)

    def wrong(s: Snapshot) -> None:
        if s.clock.number < cheat_in or not node._roles.join:
            return
        right = aggregate_now(acts._client, acts._sight.bytes, s, acts._trainer.spec.dimension, 0)
        model = unpack_model(right.model, acts._trainer.spec.dimension)
        model[0] += 1
        call = acts._client.federation.functions.propose(pack_model(model), right.voids)
        acts._send(f"cheat:{s.clock.number}", call, s)
        log.info("proposed a model that is wrong by one unit in weight 0", number=s.clock.number)
        node._roles = replace(node._roles, join=False, propose=False)

    acts._propose = wrong


def mask_wrongly() -> None:
    """Makes every node of this process mask with another self key than the one that it commits to."""
    right = acts_module.mask
    acts_module.mask = lambda data, own, pairs, place: right(data, own + 1, pairs, place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--cheat-in-round", type=int)
    parser.add_argument("--mask-wrongly", action="store_true")
    arguments = parser.parse_args()
    if arguments.mask_wrongly:
        mask_wrongly()
    with open_node(load_config(arguments.config)) as node:
        if arguments.cheat_in_round is not None:
            cheat_once(node, arguments.cheat_in_round)
        node.run()


if __name__ == "__main__":
    main()
