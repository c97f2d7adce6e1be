"""The agreed training beside the float one, on a tape: a plain federation's errors on rows that nobody trained on.

python -m benchmarks.agreed --tape quotes.parquet --by participant --name calm --rounds 5 10
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from fedvol.lab.federation import Nodes
from fedvol.lab.replay import report
from fedvol.lab.replay.report import Record
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import BURN
from fedvol.lab.replay.walkers import federated
from fedvol.learning.model import Model, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.tape import load_tape
from fedvol.protocol.agreed import Limits

RESULT = Path(__file__).with_suffix(".json")


def walk(model: Model, found: list[Snapshot], rounds: int, agreed: bool) -> dict[str, float]:
    """RMSE in vol points in the same snapshot and in the next, and the processor's seconds."""
    started, record = time.process_time(), Record()
    walker = federated(model, Nodes(model, len(found[0].desks), agreed=Limits() if agreed else None), rounds)
    for number, one in enumerate(found):
        if number:
            record.next.append(walker.vols(one.held))
            record.next_index.append(walker.moved_vols(one.held, one))
        walker.learn(one)
        record.same.append(walker.vols(one.held))
        record.violations += report.arbitrage(walker)
    judged = report.judge(record, found, model.spec.markets, BURN)
    kept = {key: round(judged[key], 4) for key in ("same", "next", "next_index")}
    kept["put_wing"] = round(judged["by"]["same"]["put_wing"], 4)
    kept["worst_snapshot"] = round(float(np.max(judged["error_by_snapshot"][BURN:])), 4)
    return kept | {"violations": record.violations, "seconds": round(time.process_time() - started, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--by", default="desk")
    parser.add_argument("--name", default="calm", help="of this tape in agreed.json")
    parser.add_argument("--rounds", type=int, nargs="+", default=[5])
    parser.add_argument("--every", type=int, default=1, help="only each so many-th snapshot")
    options = parser.parse_args()
    tape = load_tape(options.tape, options.by)
    markets = tuple(sorted(tape.rows["market"].astype(str).unique()))
    desks = sorted(tape.rows["desk"].astype(str).unique())
    found = snapshots(tape.rows, markets, desks, len(desks), 6.0)[:: options.every]
    model = build(mixture_spec(markets))
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for rounds in options.rounds:
        for training in ("float", "agreed"):
            entry = walk(model, found, rounds, training == "agreed")
            print(options.name, training, rounds, entry, flush=True)
            result.setdefault(options.name, {}).setdefault(str(rounds), {})[training] = entry
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
