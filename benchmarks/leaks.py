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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "leaks.json"
PICTURE = ROOT / "docs" / "images" / "leaks.png"
sys.path.insert(0, str(ROOT))

from benchmarks.leak_runs import differencing, inversion, membership  # noqa: E402
from fedvol.lab.leaks.scene import rounds, split_desks  # noqa: E402
from fedvol.lab.replay.snapshots import Snapshot, snapshots  # noqa: E402
from fedvol.learning.model import Model, build  # noqa: E402
from fedvol.learning.privacy import Privacy  # noqa: E402
from fedvol.learning.settings import Settings  # noqa: E402
from fedvol.learning.ssvi_mixture import mixture_spec  # noqa: E402
from fedvol.market import synthetic  # noqa: E402
from fedvol.market.tape import load_tape  # noqa: E402

EPSILONS = (8.0, 2.0)
DELTA = 1e-5
WARM_UP = 8
"""Snapshots from the initial weights on that are not attacked."""
PARTS = 4
QUIET = 1e-9


@dataclass(frozen=True)
class Size:
    """How much is done. `inversion`: rows, victims, and whether guesses are bent; `rounds`: of membership;
    `differencing`: rounds without noise, and rounds with it."""

    rounds: int = 3
    inversion: tuple[tuple[int, int, bool], ...] = ((1, 12, True), (8, 6, True), (32, 4, True), (128, 6, False))
    differencing: tuple[tuple[int, ...], tuple[int, ...]] = ((25, 100), (25,))


QUICK = Size(1, ((1, 6, True), (32, 2, False)), ((25,), ()))


def market(longest: int) -> tuple[pd.DataFrame, str]:
    """Quotes of six desks, and their name."""
    path = Path(os.environ.get("FEDVOL_REAL_DATA", ROOT.parent / "shared" / "data")) / "dev_quotes.parquet"
    if path.exists():
        return load_tape(path, "participant").rows, "real quotes, BTC and ETH, six desks that share no row"
    count = longest + 8 * 7
    return synthetic.generate(7, 6.0 * count, count), "the synthetic market, six desks that share no row"


def cut(frame: pd.DataFrame, model: Model, most: int) -> list[Snapshot]:
    """The newest snapshots of a tape, each desk a node."""
    hours = np.sort(frame["ts_ms"].unique())
    frame = frame[frame["ts_ms"] > hours[-1] - (most + 2) * 6 * 3_600_000 * 1.2]
    desks = sorted(frame["desk"].unique())
    return snapshots(frame, model.spec.markets, desks, len(desks), 6.0)[-most:]


def private(epsilon: float, over: int) -> Settings:
    """The default training under a budget that lasts for so many rounds."""
    return replace(Settings(), privacy=Privacy(epsilon, DELTA, rounds=over))


def quiet(settings: Settings) -> Settings:
    plan = settings.privacy
    return replace(settings, privacy=replace(plan, rounds=None, noise=QUIET, learning_rate=plan.pace))


def budget(epsilon: float, over: int) -> str:
    return f"DP, ε {epsilon:g} over {over} round{'s' if over > 1 else ''}"


def run(size: Size) -> dict:
    """All figures; the three attacks side by side where there are cores."""
    model = build(mixture_spec())
    frame, name = market(WARM_UP + max(size.differencing[0]))
    console = Console(stderr=True, width=140)
    console.print(f"on {name}")
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        parts = [pool.submit(_timed, part, size, frame) for part in (_invert, _members, _tell_apart)]
        (inverted, told, parted), seconds = zip(*(part.result() for part in parts), strict=True)
    console.print(inversion_table(inverted))
    console.print(membership_table(told))
    console.print(differencing_table(parted))
    return {
        "market": name,
        "model": model.spec.name,
        "weights": model.spec.dimension,
        "cluster": inversion.CLUSTER,
        "delta": DELTA,
        "shadows": membership.SHADOWS,
        "membership_rounds": size.rounds,
        "cpu_seconds": dict(zip(("inversion", "membership", "differencing"), seconds, strict=True)),
        "inversion": inverted,
        "membership": told,
        "differencing": parted,
    }


def _timed(part: Callable[[Size, pd.DataFrame, Model], list[dict]], size: Size, frame: pd.DataFrame):
    began = time.process_time()
    return part(size, frame, build(mixture_spec())), round(time.process_time() - began)


def _invert(size: Size, frame: pd.DataFrame, model: Model) -> list[dict]:
    generator, rows = np.random.default_rng(11), []
    plays = list(rounds(cut(frame, model, WARM_UP + 12), model, WARM_UP))
    for count, number, bent in size.inversion:
        crowd = inversion.victims(plays, count, number, generator)
        rows += inversion.inversion_rows(model, crowd, bent, generator)
    return rows


def _members(size: Size, frame: pd.DataFrame, model: Model) -> list[dict]:
    plays = list(rounds(cut(frame, model, WARM_UP + size.rounds), model, WARM_UP))
    rows = membership.membership_rows(model, plays, Settings(), membership.WITHOUT_NOISE, 1)
    for epsilon in EPSILONS:
        named = budget(epsilon, 1)
        rows += membership.membership_rows(model, plays, private(epsilon, 1), membership.WITH_NOISE, 2, named)
    return rows


def _tell_apart(size: Size, frame: pd.DataFrame, model: Model) -> list[dict]:
    plain, noisy = size.differencing
    found = cut(split_desks(frame, PARTS), model, WARM_UP + max(plain))
    settings = [("masked", count, Settings()) for count in plain]
    settings += [(f"masked + {budget(epsilon, n)}", n, private(epsilon, n)) for epsilon in EPSILONS for n in noisy]
    rows = []
    for name, count, each in settings:
        silent = quiet(each) if each.privacy else None
        seen = differencing.updates_of(model, found[-count - WARM_UP :], each, silent, WARM_UP, 5)
        for lanes in ("moves", "weights") if silent is None else ("moves",):
            rows += differencing.differencing_rows(name, lanes, *seen[lanes])
    return rows


def picture(rows: list[dict]) -> None:
    """How well a node's own part is known, by what its sums are of."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = list(dict.fromkeys((row["setting"], row["lanes"]) for row in rows))
    shown = min(row["rounds"] for row in rows)
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    redrawn = list(differencing.EPOCHS)
    for panel, size in zip(panels, differencing.SIZES, strict=True):
        for number, (setting, lanes) in enumerate(lines):
            each = {
                row["redrawn"]: row["own"]
                for row in rows
                if (row["setting"], row["lanes"], row["cluster"], row["rounds"]) == (setting, lanes, size, shown)
            }
            place = np.arange(len(redrawn)) + 0.2 * (number - (len(lines) - 1) / 2)
            panel.bar(place, [each[name] for name in redrawn], 0.18, label=f"{setting}: {lanes}")
        panel.set(title=f"clusters of {size} of 24, {shown} rounds", xlabel="seats redrawn", ylim=(0, 1))
        panel.set_xticks(range(len(redrawn)), redrawn)
        panel.grid(alpha=0.3, axis="y")
    panels[0].set_ylabel("cosine, node's own part")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2)
    figure.savefig(PICTURE, dpi=120)


def inversion_table(rows: list[dict]) -> Table:
    table = Table(title="Rows read back: share of the victim's rows found (same market and expiry, |Δk| ≤ 0.05)")
    for column in ("setting", "attacker sees"):
        table.add_column(column)
    for column in ("rows", "victims", "found", "±", "to 0.001", "count off", "expiries"):
        table.add_column(column, justify="right")
    for row in rows:
        names = ("found", "found_error", "exact", "count_error", "pillars")
        shares = ["–" if row[name] is None else f"{row[name]:.2f}" for name in names]
        table.add_row(row["setting"], row["sees"], str(row["rows"]), str(row["victims"]), *shares)
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
    table = Table(title="Cluster sums told apart: cosine with a node's mean lanes, 24 nodes")
    for column in ("setting", "lanes", "seats redrawn"):
        table.add_column(column)
    for column in ("rounds", "m", "own part", "±", "whole", "average alone"):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (f"{row[name]:.2f}" for name in ("own", "own_spread", "cosine", "of_the_average"))
        table.add_row(row["setting"], row["lanes"], row["redrawn"], str(row["rounds"]), str(row["cluster"]), *figures)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in half a minute; writes nothing")
    arguments = parser.parse_args()
    figures = run(QUICK if arguments.quick else Size())
    if not arguments.quick:
        OUT.write_text(json.dumps(figures, indent=1) + "\n")
        picture(figures["differencing"])
        Console(stderr=True).print(f"wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
