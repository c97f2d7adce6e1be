"""What updates leak, measured: `python -m benchmarks.leaks`. Writes benchmarks/leaks.json and a picture.

Three attacks (`fedvol.lab.leaks`) on plain updates, on what masked clusters of 4 show, and on those under trade-level
differential privacy. On the real tape where it lies beside the checkout, else on the synthetic market.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "leaks.json"
PICTURE = ROOT / "docs" / "images" / "leaks.png"
sys.path.insert(0, str(ROOT))

from benchmarks.leak_runs import differencing, inversion, membership  # noqa: E402
from fedvol.lab.leaks.inversion import Prior, segments  # noqa: E402
from fedvol.lab.leaks.replay import Replay  # noqa: E402
from fedvol.lab.leaks.scene import rounds, snapshots, split_desks, upto  # noqa: E402
from fedvol.learning.model import Model, build  # noqa: E402
from fedvol.learning.privacy import Privacy  # noqa: E402
from fedvol.learning.rows import Rows, rows_from_tape  # noqa: E402
from fedvol.learning.settings import Settings  # noqa: E402
from fedvol.learning.ssvi_pillars import ssvi_spec  # noqa: E402
from fedvol.market import synthetic  # noqa: E402
from fedvol.market.tape import load_tape  # noqa: E402

EPSILONS = (8.0, 2.0)
DELTA = 1e-5
CURVE = (10, 25, 50, 75, 100)
WARM_UP = 10
"""Rounds from the initial weights on that are not attacked."""
DIFFERENCED = ("cosine", "spread", "own", "own_spread", "of_the_average", "of_all_updates")
DAYS_BEFORE = 7 * 24


@dataclass(frozen=True)
class Size:
    """How much is done. `inversion`: rows → (victims, restarts)."""

    rounds: int = 26
    steps: int = 110
    inversion: tuple[tuple[int, int, int], ...] = ((1, 24, 16), (32, 12, 2), (128, 8, 2))
    differencing: tuple[int, ...] = differencing.ROUNDS


QUICK = Size(3, 20, ((1, 6, 4), (32, 6, 1)), (25,))


def market(longest: int) -> tuple[pd.DataFrame, str]:
    """Quotes of six desks, and their name."""
    path = Path(os.environ.get("FEDVOL_REAL_DATA", ROOT.parent / "shared" / "data")) / "dev_quotes.parquet"
    if path.exists():
        return load_tape(path, "participant").rows, "real quotes, BTC and ETH, six desks that share no row"
    count = longest + 8 * 7
    return synthetic.generate(7, 6.0 * count, count), "the synthetic market, six desks that share no row"


def private(epsilon: float, over: int) -> Settings:
    """The default training under a budget that lasts for so many rounds."""
    return replace(Settings(), privacy=Privacy(epsilon, DELTA, rounds=over))


def budget(epsilon: float, over: int) -> str:
    return f"DP, ε {epsilon:g} over {over} round{'s' if over > 1 else ''}"


def run(size: Size) -> dict:
    """All figures."""
    torch.set_num_threads(1)
    model = build(ssvi_spec())
    frame, name = market(WARM_UP + max(size.differencing))
    ends = snapshots(frame)
    plain = Replay(model.spec, Settings())
    console = Console(stderr=True)
    console.print(f"on {name}")
    seconds: dict[str, float] = {}

    began = time.process_time()
    plays = list(rounds(frame, model, plain, ends[-size.rounds - WARM_UP :], WARM_UP))
    inverted = _invert(size, frame, model, plain, plays)
    seconds["inversion"] = time.process_time() - began
    console.print(inversion_table(inverted))

    began = time.process_time()
    told = membership.membership_rows(plays, plain, membership.WITHOUT_NOISE, 1)
    for epsilon in EPSILONS:
        replay = Replay(model.spec, private(epsilon, 1))
        told += membership.membership_rows(plays, replay, membership.WITH_NOISE, 2, budget(epsilon, 1))
    seconds["membership"] = time.process_time() - began
    console.print(membership_table(told))

    began = time.process_time()
    parted, curve = _tell_apart(size, split_desks(frame, 4), model, ends)
    seconds["differencing"] = time.process_time() - began
    console.print(differencing_table(parted))
    return {
        "market": name,
        "weights": model.spec.dimension,
        "cluster": inversion.CLUSTER,
        "delta": DELTA,
        "cpu_seconds": {part: round(value) for part, value in seconds.items()},
        "inversion": inverted,
        "membership": told,
        "differencing": parted,
        "differencing_by_rounds": curve,
    }


def _invert(size: Size, frame: pd.DataFrame, model: Model, plain: Replay, plays: list) -> list[dict]:
    generator = np.random.default_rng(11)
    spec = model.spec
    # What a stranger knows: a week of the public chain that ended before the first row that a victim holds.
    before = upto(frame, plays[0].end_ms, DAYS_BEFORE)
    prior = Prior(spec, rows_from_tape(before, spec.markets))
    desks = [rows_from_tape(before[before["desk"] == desk], spec.markets) for desk in sorted(frame["desk"].unique())]
    fields = [_cells(model, rows) for rows in desks]
    found = []
    for count, number, restarts in size.inversion:
        crowd = inversion.victims(plays, fields, count, number, generator)
        found += inversion.invert_views(inversion.PLAIN_VIEWS, plain, prior, crowd, restarts, size.steps, generator)
        for epsilon in EPSILONS:
            replay = Replay(spec, private(epsilon, 1))
            views = inversion.private_views(budget(epsilon, 1))
            found += inversion.invert_views(views, replay, prior, crowd, restarts, size.steps, generator)
    return found


def _cells(model: Model, rows: Rows) -> np.ndarray:
    cells = np.zeros((len(model.spec.markets), len(model.spec.pillars)), dtype=bool)
    cells[rows.market, segments(model.spec, rows)] = True
    return cells


def _tell_apart(size: Size, frame: pd.DataFrame, model: Model, ends: np.ndarray) -> tuple[list[dict], list[dict]]:
    longest = max(size.differencing)
    desks = sorted(frame["desk"].unique())
    tapes = []
    for end in ends[-longest - WARM_UP :]:
        now = upto(frame, end, 5)
        tapes.append([rows_from_tape(now[now["desk"] == desk], model.spec.markets) for desk in desks])
    start = model.spec.to_float(model.initial_weights())
    rows, curve = [], []
    for count in size.differencing:
        settings = {"masked": Settings()}
        settings |= {f"masked + {budget(epsilon, count)}": private(epsilon, count) for epsilon in EPSILONS}
        for name, each in settings.items():
            replay = Replay(model.spec, each)
            sent, meant = differencing.updates_of(tapes[: WARM_UP + count], start, replay, WARM_UP, 2.0, 5)
            rows += differencing.differencing_rows(name, sent, meant)
            if count == longest:
                for rounds_seen in CURVE:
                    if rounds_seen <= count:
                        curve += differencing.differencing_rows(name, sent[:rounds_seen], meant[:rounds_seen])
    return rows, curve


def picture(curve: list[dict]) -> None:
    """How well a node's own direction is known after so many rounds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = sorted({(row["setting"], row["redrawn"]) for row in curve}, key=lambda line: (line[0] != "masked", line))
    lines = [line for line in lines if line[0] == "masked" or line[1] == "every round"]
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    for panel, size in zip(panels, differencing.SIZES, strict=True):
        for setting, redrawn in lines:
            each = [
                row for row in curve if (row["setting"], row["redrawn"], row["cluster"]) == (setting, redrawn, size)
            ]
            panel.plot(
                [row["rounds"] for row in each],
                [row["own"] for row in each],
                "-" if setting == "masked" else "--",
                marker="o",
                markersize=3,
                label=f"{setting}; seats redrawn {redrawn}",
            )
        panel.set(title=f"clusters of {size} of 24", xlabel="rounds seen", ylim=(0, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("cosine, node's own part")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2)
    figure.savefig(PICTURE, dpi=120)


def inversion_table(rows: list[dict]) -> Table:
    table = Table(title="Gradient inversion: share of the victim's rows found (same cell, |Δk| ≤ 0.05)")
    for column in ("setting", "attacker sees"):
        table.add_column(column)
    for column in ("rows", "guess", "support", "inverted", "±", "to 0.001", "median |Δk|", "pillars"):
        table.add_column(column, justify="right")
    for row in rows:
        error = "–" if row["k_error"] is None else f"{row['k_error']:.3f}"
        shares = [f"{row[name]:.2f}" for name in ("guessed", "support", "found", "found_error")]
        shares.append(f"{row['exact']:.2f} ({row['support_exact']:.2f})")
        table.add_row(
            row["setting"],
            row["sees"],
            str(row["rows"]),
            *shares,
            error,
            f"{row['pillars']:.2f} ({row['pillars_guessed']:.2f})",
        )
    return table


def membership_table(rows: list[dict]) -> Table:
    table = Table(title="Membership of a row: 95% intervals; chance is 0.500 and 0.10%")
    for column in ("setting", "attacker sees"):
        table.add_column(column)
    for column in ("members", "others", "AUC", "", "TPR at 0.1% FPR", ""):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row["auc_interval"]
        least, most = row["rate_interval"]
        table.add_row(
            row["setting"],
            row["sees"],
            f"{row['members']:,}",
            f"{row['others']:,}",
            f"{row['auc']:.3f}",
            f"{low:.3f} – {high:.3f}",
            f"{row['rate']:.2%}",
            f"{least:.2%} – {most:.2%}",
        )
    return table


def differencing_table(rows: list[dict]) -> Table:
    table = Table(title="Cluster sums told apart: cosine with a node's mean update, 24 nodes")
    for column in ("setting", "seats redrawn"):
        table.add_column(column)
    for column in ("rounds", "m", "cosine", "±", "own part", "±", "average alone", "plain mode"):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (f"{row[name]:.2f}" for name in DIFFERENCED)
        table.add_row(row["setting"], row["redrawn"], str(row["rounds"]), str(row["cluster"]), *figures)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in half a minute; writes nothing")
    arguments = parser.parse_args()
    figures = run(QUICK if arguments.quick else Size())
    if not arguments.quick:
        OUT.write_text(json.dumps(figures, indent=1) + "\n")
        picture(figures["differencing_by_rounds"])
        Console(stderr=True).print(f"wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
