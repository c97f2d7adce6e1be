"""Gas of recomputing a whole aggregate on chain, by nodes, weights and rule: `python benchmarks/settlement.py`.

Writes benchmarks/settlement.json. A cell is the gas of one transaction; where that is more than a transaction may use
(16,777,216, EIP-7825), of the fewest equal steps that fit, together. `bytes` is the calldata of each: the usual public
mempool does not take more than 131,072.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import ape
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "settlement.json"
sys.path.insert(0, str(ROOT))

from scripts._anvil import anvil  # noqa: E402
from tests.contracts.arena import implementations  # noqa: E402
from tests.contracts.crowd import Crowd  # noqa: E402
from tests.contracts.wallets import Reverted  # noqa: E402

from fedvol.protocol.rule import RuleKind  # noqa: E402
from fedvol.protocol.vector import pack_model, words_of  # noqa: E402

NODES = (4, 8, 16, 32, 64, 128)
WEIGHTS = (32, 128, 350, 512)
MEDIAN = [(RuleKind.MEDIAN, False, nodes, weights) for weights in WEIGHTS for nodes in NODES]
OTHERS = [
    (kind, weighted, nodes, weights)
    for kind, weighted in ((RuleKind.MEAN, False), (RuleKind.TRIMMED_MEAN, False), (RuleKind.MEDIAN, True))
    for nodes, weights in ((8, 32), (32, 128), (64, 350))
]
MEMPOOL_BYTES = 131_072
MOST_STEPS = 16


def parts(project, founder, guardian) -> SimpleNamespace:
    codes = implementations(project, founder)
    return SimpleNamespace(
        founder=founder,
        guardian=guardian,
        token=founder.deploy(project.BondToken, founder),
        feed=founder.deploy(project.SettableFeed, founder, 8, 10**13),
        factory=founder.deploy(project.FederationFactory, tuple(code.address for code in codes)),
    )


def cell(crowd: Crowd) -> dict[str, int | None]:
    """Gas and steps of settling a right proposal; null where even single words do not fit."""
    crowd.reveal_round()
    model = pack_model(crowd.aggregate)
    crowd.propose(crowd.members[0], model)
    words = words_of(crowd.weights)
    size = len(crowd.settlement.settle.encode_input(model, crowd.vectors(crowd.members), words))
    for steps in range(1, min(words, MOST_STEPS) + 1):
        each = -(-words // steps)
        before = crowd.wallets.rpc("evm_snapshot", [])
        try:
            gas = [crowd.settle(model, each) for _ in range(-(-words // each))]
            return {"gas": sum(gas), "largest": max(gas), "steps": len(gas), "bytes": size}
        except Reverted:
            crowd.wallets.rpc("evm_revert", [before])
    return {"gas": None, "largest": None, "steps": None, "bytes": size}


def table(figures: list[dict]) -> Table:
    out = Table("rule", "nodes", "weights", "gas", "steps", "bytes", title_justify="left")
    for column in out.columns[1:]:
        column.justify = "right"
    for row in figures:
        gas = f"{row['gas']:,}" if row["gas"] else "does not fit"
        style = "red" if row["bytes"] > MEMPOOL_BYTES else "yellow" if row["steps"] != 1 else None
        values = row["nodes"], row["weights"], gas, row["steps"], f"{row['bytes']:,}"
        out.add_row(row["rule"], *map(str, values), style=style)
    return out


def main() -> None:
    """Measures on a chain of its own."""
    figures = []
    with anvil() as url:
        os.environ["APE_FOUNDRY_HOST"] = url
        with ape.networks.parse_network_choice("ethereum:local:foundry"):
            accounts = ape.accounts.test_accounts
            deployed = parts(ape.project, accounts[18], accounts[17])
            for kind, weighted, nodes, weights in MEDIAN + OTHERS:
                crowd = Crowd(ape.project, ape.chain, deployed, nodes, weights, rule=kind, weighted=weighted)
                name = ("weighted " if weighted else "") + kind.name.lower().replace("_", " ")
                figures.append({"rule": name, "nodes": nodes, "weights": weights} | cell(crowd))
                print(figures[-1], flush=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")
    console = Console()
    console.print(table(figures))
    console.print(f"yellow: in steps, red: more than {MEMPOOL_BYTES:,} bytes; wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
