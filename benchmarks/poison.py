"""One poisoner of six, clusters of one: what each rule keeps of the surface. Prints a table, writes poison.json.

    .venv/bin/python -m benchmarks.poison --tape QUOTES --by participant_mix85 --by participant [--last N]

*Flip*: the poisoner sends minus three times its move, and its honest weights. *Puts*: it trains on its own rows with
ten vol points added to puts more than one standard deviation out of the money. Both send what the rule lets them:
moves and weights are clamped to the public bounds. The poisoner is the desk with most rows.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from fedvol import console  # noqa: E402
from fedvol.lab.replay.federation import PLAN_RULE, Nodes  # noqa: E402
from fedvol.lab.replay.snapshots import Snapshot, snapshots  # noqa: E402
from fedvol.lab.replay.walkers import federated  # noqa: E402
from fedvol.learning.evaluate import report  # noqa: E402
from fedvol.learning.model import build  # noqa: E402
from fedvol.learning.rows import Rows  # noqa: E402
from fedvol.learning.ssvi_mixture import mixture_spec  # noqa: E402
from fedvol.market.tape import load_tape  # noqa: E402
from fedvol.protocol.rule import RuleKind  # noqa: E402

OUT = Path(__file__).with_suffix(".json")
ROUNDS, BURN = 5, 4
RULES = {
    "mean": PLAN_RULE,
    "mean, moves ≤ 0.05": replace(PLAN_RULE, clamp=int(0.05 * 2**20)),
    "mean, moves ≤ 0.02, weights ≤ ½ row": replace(PLAN_RULE, clamp=int(0.02 * 2**20), weight_cap=2**11),
    "median": replace(PLAN_RULE, kind=RuleKind.MEDIAN),
    "trimmed 20%": replace(PLAN_RULE, kind=RuleKind.TRIMMED_MEAN, trim_bps=2_000),
}
ATTACKS = ("none", "flip", "puts")
BIAS = 0.10


def run(case: tuple[str, str, list[Snapshot], tuple[str, ...]]) -> dict[str, float]:
    """RMSE and mean put-wing error in vol points over all snapshots but the first few."""
    rule, attack, walked, markets = case
    poisoner = int(np.argmax(np.sum([[len(rows) for rows in s.desks] for s in walked], axis=0)))

    by = RULES[rule]
    most = by.weight_cap * by.clamp >> by.weight_shift

    def tamper(node: int, moves: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return np.clip(-3 * moves if node == poisoner else moves, -most, most), weights

    nodes = Nodes(build(mixture_spec(markets)), 6, by, tamper=tamper if attack == "flip" else None)
    walker = federated(nodes.model, nodes, ROUNDS)
    said, held = [], []
    for number, s in enumerate(walked):
        if attack == "puts":
            desks = [_dear_puts(rows) if node == poisoner else rows for node, rows in enumerate(s.desks)]
            walker.learn(replace(s, desks=tuple(desks)))
        else:
            walker.learn(s)
        if number >= BURN:
            said.append(walker.vols(s.held))
            held.append(s.held)
    found = report(np.concatenate(said), Rows.joined(held), markets)
    return {"rmse": round(found["rmse"], 3), "put_wing_bias": round(found["put_wing_bias"], 3)}


def _dear_puts(rows: Rows) -> Rows:
    cheap = rows.k < -rows.iv * np.sqrt(rows.T)
    return replace(rows, iv=np.where(cheap, rows.iv + BIAS, rows.iv))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--by", action="append", required=True)
    parser.add_argument("--last", type=int, default=16)
    parser.add_argument("--name", default="calm", help="of this tape in poison.json")
    options = parser.parse_args()
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    for by in options.by:
        tape = load_tape(options.tape, by)
        markets = tuple(sorted(tape.rows["market"].astype(str).unique()))
        names = sorted(tape.rows["desk"].astype(str).unique())
        walked = snapshots(tape.rows, markets, names, len(names), 6.0)[-options.last :]
        cases = [(rule, attack, walked, markets) for rule in RULES for attack in ATTACKS]
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
            found = list(pool.map(run, cases))
        table = {rule: dict(zip(ATTACKS, found[3 * i : 3 * i + 3], strict=True)) for i, rule in enumerate(RULES)}
        results.setdefault(options.name, {})[by] = {"snapshots": len(walked) - BURN, "rules": table}
        console.table(
            f"{options.name}, {by}: RMSE (mean put-wing error), vol points",
            ["rule", *ATTACKS],
            [
                [rule, *(f"{cell['rmse']:.2f} ({cell['put_wing_bias']:+.2f})" for cell in row.values())]
                for rule, row in table.items()
            ],
        )
    OUT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
