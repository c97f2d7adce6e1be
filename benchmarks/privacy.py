"""What privacy of one trade costs in vol points, on a tape with a column that names six desks. See README.md here.

PYTHONPATH=offchain:. python benchmarks/privacy.py ../shared/data/dev_quotes.parquet --write
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedvol.console import table
from fedvol.lab.federation import Nodes
from fedvol.learning.evaluate import flat_vol, report
from fedvol.learning.model import Model, Opening, build
from fedvol.learning.privacy import UNIT, Privacy, epsilon_spent
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.holdout import split_holdout, window
from fedvol.market.synthetic import generate
from fedvol.market.tape import load_tape

RESULT = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "privacy.png"

EPSILONS = (1.0, 2.0, 4.0, 8.0, math.inf)
DELTA = 1e-5
ROUNDS = 12
HOURS = 24.0
"""Of the tape that trains; what judges is held out of its last six hours."""
JUDGED_HOURS = 6.0
MOMENTS = {"calm": "2026-06-01", "stress": "2026-03-09"}
"""Ends of the windows that judge. Stress has the highest vols in the file, which lacks the crash of February."""
TUNED_ON = ("2026-01-20", "2026-02-25", "2026-04-10")
"""Ends of the windows on which the defaults of `Privacy` were chosen."""
QUIET = 1e-9
"""Noise that is none: what clipping and public steps cost by themselves."""


def federate(model: Model, desks: Sequence[Rows], opening: Opening, settings: Settings, seed: int, rounds: int):
    """Float weights after some rounds of the founders' plan from the initial ones."""
    nodes, weights = Nodes(model, len(desks), settings=settings, seed=seed), model.initial_weights()
    for _ in range(rounds):
        weights = nodes.round(weights, opening, desks)
    return model.spec.to_float(weights)


def market(model: Model, frame: pd.DataFrame) -> tuple[list[Rows], Rows, int]:
    """Each desk's training rows, the newest ones that nobody trains on, and when (unix seconds)."""
    as_of = int(frame["ts_ms"].max()) // 1000
    train, held = split_holdout(frame)
    markets = model.spec.markets
    desks = [rows_from_tape(rows, markets).after(as_of) for _, rows in train.groupby("desk", sort=True)]
    return desks, rows_from_tape(window(held, JUDGED_HOURS), markets).after(as_of), as_of


def ending(frame: pd.DataFrame, moment: str) -> pd.DataFrame:
    end_ms = pd.Timestamp(moment, tz="UTC").value // 1_000_000
    return window(frame[frame["ts_ms"] <= end_ms], HOURS)


def price(model: Model, desks: list[Rows], judge: Rows, as_of: int, seeds: int, plan: Privacy) -> dict[str, Any]:
    """RMSE in vol points: one a seed for each epsilon, and what a desk has without a federation or a tape."""
    opening = Opening(as_of)

    def rmse(settings: Settings, seed: int = 0, parts: list[Rows] = desks) -> float:
        weights = federate(model, parts, opening, settings, seed, plan.rounds)
        return round(float(model.evaluate(weights, judge, as_of)["rmse"]), 3)

    silent = replace(plan, rounds=None, noise=QUIET, learning_rate=plan.pace)
    start = model.spec.to_float(model.initial_weights())
    pooled = Rows(*(np.concatenate([getattr(rows, c) for rows in desks]) for c in Rows.COLUMNS))
    found: dict[str, Any] = {
        "rows": [len(rows) for rows in desks],
        "judged": len(judge),
        "initial": round(float(model.evaluate(start, judge, as_of)["rmse"]), 3),
        "flat": round(report(flat_vol(pooled), judge, model.spec.markets)["rmse"], 3),
        "alone": [rmse(Settings(), parts=[rows]) for rows in desks],
        "clipped": rmse(Settings(privacy=silent)),
        "rmse": {},
    }
    for epsilon in EPSILONS:
        free = math.isinf(epsilon)
        settings = Settings() if free else Settings(privacy=replace(plan, epsilon=epsilon))
        errors = [rmse(settings, seed) for seed in range(1 if free else seeds)]
        found["rmse"][str(epsilon)] = errors
        print(f"epsilon {epsilon:g}: {errors}", file=sys.stderr)
    return found


def show(figures: dict[str, dict[str, Any]], rounds: int) -> None:
    names = list(figures)
    rows: list[list[object]] = []
    for epsilon in EPSILONS:
        line: list[object] = [f"{epsilon:g}" if math.isfinite(epsilon) else "none"]
        for name in names:
            errors = figures[name]["rmse"][str(epsilon)]
            line += [f"{statistics.mean(errors):.2f}", f"{min(errors):.2f} to {max(errors):.2f}"]
        rows.append(line)
    others = {"clipped without noise": "clipped", "one flat vol": "flat", "initial surface": "initial"}
    for words, key in others.items():
        rows.append([words, *(cell for name in names for cell in (f"{figures[name][key]:.2f}", ""))])
    alone = [figures[name]["alone"] for name in names]
    rows.append(
        [
            "desks alone, no privacy",
            *(c for a in alone for c in (f"{np.mean(a):.2f}", f"{min(a):.2f} to {max(a):.2f}")),
        ]
    )
    columns = [column for name in names for column in (name, "range")]
    title = f"RMSE in vol points by epsilon of one trade, delta {DELTA:g}, over {rounds} rounds"
    table(title, ["epsilon", *columns], rows)
    for name in names:
        print(f"{name}: rows of the desks {figures[name]['rows']}, {figures[name]['judged']} held out judge")


def draw(figures: dict[str, dict[str, Any]], rounds: int, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    private_ones = [epsilon for epsilon in EPSILONS if math.isfinite(epsilon)]
    for (name, found), colour in zip(figures.items(), ("#1f6fb4", "#c4511d"), strict=False):
        errors = [found["rmse"][str(epsilon)] for epsilon in private_ones]
        middle = [statistics.mean(each) for each in errors]
        axes.plot(private_ones, middle, marker="o", color=colour, label=f"{name}, private (mean, range)")
        axes.fill_between(private_ones, [min(e) for e in errors], [max(e) for e in errors], color=colour, alpha=0.15)
        axes.axhline(found["rmse"][str(math.inf)][0], color=colour, linestyle="--", label=f"{name}, no privacy")
        axes.axhline(np.mean(found["alone"]), color=colour, linestyle=":", label=f"{name}, desks alone, no privacy")
    axes.set_xscale("log", base=2)
    axes.set_xticks(private_ones, [f"{epsilon:g}" for epsilon in private_ones])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"epsilon of one trade, all {rounds} rounds, delta {DELTA:g}")
    axes.set_ylabel("RMSE on held-out quotes, vol points")
    axes.set_title("Six desks, mean of all", loc="left")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tape", nargs="?", type=Path, help="by default the made-up market")
    parser.add_argument("--desk-column", default="participant")
    parser.add_argument("--seeds", type=int, default=8, help="runs with other noise for each epsilon")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--learning-rate", type=float, help="by default what the number of rounds makes it")
    parser.add_argument("--write", action="store_true", help=f"{RESULT.name} and docs/images/{PICTURE.name}")
    arguments = parser.parse_args()
    plan = Privacy(epsilon=1.0, delta=DELTA, rounds=arguments.rounds, learning_rate=arguments.learning_rate)
    model = build(mixture_spec())
    if arguments.tape is None:
        frames = {f"made up {seed}": generate(seed, hours=HOURS, snapshots=4) for seed in (2, 6)}
    else:
        tape = load_tape(arguments.tape, arguments.desk_column).rows
        frames = {name: ending(tape, moment) for name, moment in MOMENTS.items()}
    figures = {}
    for name, frame in frames.items():
        figures[name] = price(model, *market(model, frame), arguments.seeds, plan)
    show(figures, arguments.rounds)
    if arguments.write:
        charges = {f"{e:g}": replace(plan, epsilon=e).charge() for e in EPSILONS if math.isfinite(e)}
        document = {
            "unit": UNIT,
            "window_hours": HOURS,
            "moments": MOMENTS,
            "tuned_on": TUNED_ON,
            "privacy": {
                name: value
                for name, value in asdict(replace(plan, learning_rate=plan.pace)).items()
                if name not in ("epsilon", "noise")
            },
            "noise": {name: charge.noise for name, charge in charges.items()},
            "accounted": {name: epsilon_spent([charge] * plan.rounds, DELTA) for name, charge in charges.items()},
            "packages": {name: version(name) for name in ("opacus", "dp-accounting", "torch", "numpy")},
            "markets": figures,
        }
        RESULT.write_text(json.dumps(document, indent=2) + "\n")
        draw(figures, arguments.rounds, PICTURE)


if __name__ == "__main__":
    main()
