"""The README's picture: smiles with market points, the joint surface and one desk's own; the surface; a storm.

    .venv/bin/python -m benchmarks.surface [--tape FILE --by COLUMN] [--out docs/images/joint.png]

Without a tape it takes the synthetic market, in a week with a storm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from fedvol.lab.federation import Nodes
from fedvol.lab.replay.report import rmse
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.walkers import PooledSmiles, Surface, alone, federated, moves
from fedvol.learning.model import Before, Model, Opening, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import generate
from fedvol.market.tape import load_tape

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DAY = 86_400
ROUNDS = 5
SEED, HOURS, SNAPSHOTS = 12, 120.0, 20
DAYS = (7, 30, 90)


def error_by_round(model: Model, nodes: Nodes, walked: list[Snapshot]) -> tuple[list[float], list[float]]:
    """RMSE on held rows after each round, and of pooled SVI in the same snapshot; rounds of the first snapshot left
    out."""
    weights, last, joint, svi = model.initial_weights(), None, [], []
    for s in walked:
        before = None
        if last is not None:
            before = Before(model.spec.to_float(weights), last.as_of, moves(last, s))
            weights = model.carry(weights, last.as_of, s.as_of)
        smiles = PooledSmiles("svi")
        smiles.learn(s)
        for number in range(15 if last is None else ROUNDS):
            if last is not None:
                joint.append(_error(model, weights, s))
                svi.append(rmse(smiles.vols(s.held), s.held))
            weights = nodes.round(weights, Opening(s.as_of, before if number == 0 else None), s.desks)
        last = s
    return joint, svi


def _error(model: Model, weights: np.ndarray, s: Snapshot) -> float:
    floats = model.spec.to_float(weights)
    return rmse(model.implied_vol(floats, s.as_of, s.held.market, s.held.k, s.held.expiry), s.held)


def draw(out: Path, model: Model, walked: list[Snapshot], names: list[str]) -> None:
    nodes = Nodes(model, len(names))
    joint, own = federated(model, nodes, ROUNDS), alone(model, lambda s: s.desks[0], ROUNDS)
    for s in walked:
        joint.learn(s)
        own.learn(s)
    figure = plt.figure(figsize=(14, 8.2))
    last = walked[-1]
    for place, days in enumerate(DAYS):
        _smile(figure.add_subplot(2, 3, place + 1), last, joint, own, days, names[0], place == 0)
    _surface(figure.add_subplot(2, 3, 4, projection="3d"), joint)
    axis = figure.add_subplot(2, 3, (5, 6))
    by_round, svi = error_by_round(model, Nodes(model, len(names)), walked)
    axis.plot(by_round, color="#c2410c", lw=1.5, label="federated, before each round")
    axis.plot(svi, color="#555", lw=1.2, ls="--", label="SVI per expiry on everybody's rows")
    for start in range(0, len(by_round), ROUNDS):
        axis.axvline(start, color="#ddd", lw=0.6, zorder=0)
    axis.set(xlabel="round (a line: a new snapshot)", ylabel="error, vol points", ylim=(0, None))
    axis.set_title("error on rows that nobody trained on, round by round")
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    print(f"wrote {out}")


def _smile(axis: plt.Axes, s: Snapshot, joint: Surface, own: Surface, days: int, name: str, labelled: bool) -> None:
    rows = s.held.select(s.held.market == 0)
    expiry = min(np.unique(rows.expiry), key=lambda e: abs((e - s.as_of) / DAY - days))
    here = rows.select(rows.expiry == expiry)
    k = np.linspace(here.k.min() - 0.02, here.k.max() + 0.02, 81)
    axis.plot(here.k, 100 * here.iv, "o", ms=4, color="#777", label="quotes that nobody trained on")
    for surface, color, label in ((joint, "#c2410c", "joint surface"), (own, "#2563eb", f"{name} alone")):
        weights = surface.model.spec.to_float(surface.weights)
        vols = surface.model.implied_vol(weights, surface.as_of, 0, k, int(expiry))
        axis.plot(k, 100 * vols, color=color, lw=1.8 if surface is joint else 1.2, label=label)
    axis.set(title=f"{(expiry - s.as_of) / DAY:.0f} days", xlabel="ln(strike / forward)", ylabel="implied vol, %")
    axis.grid(alpha=0.3)
    if labelled:
        axis.legend(fontsize=8)


def _surface(axis: plt.Axes, joint: Surface) -> None:
    days, k = np.geomspace(1, 270, 40), np.linspace(-0.5, 0.5, 41)
    grid_k, grid_days = np.meshgrid(k, days)
    weights = joint.model.spec.to_float(joint.weights)
    expiry = joint.as_of + np.rint(grid_days * DAY).astype(np.int64)
    vols = 100 * joint.model.implied_vol(weights, joint.as_of, 0, grid_k, expiry)
    axis.plot_surface(grid_k, np.log10(grid_days), vols, cmap="viridis", edgecolor="#333", lw=0.1)
    ticks = [1, 7, 30, 90, 270]
    axis.set_yticks(np.log10(ticks), [str(t) for t in ticks])
    axis.set(xlabel="ln(strike / forward)", ylabel="days", zlabel="implied vol, %", title="the joint surface")
    axis.view_init(24, -58)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", type=Path)
    parser.add_argument("--by", default="desk")
    parser.add_argument("--last", type=int, default=SNAPSHOTS)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "docs/images/joint.png")
    options = parser.parse_args()
    rows = load_tape(options.tape, options.by).rows if options.tape else generate(SEED, HOURS, SNAPSHOTS)
    markets = tuple(sorted(rows["market"].astype(str).unique()))
    names = sorted(rows["desk"].astype(str).unique())
    walked = snapshots(rows, markets, names, len(names), 6.0)[-options.last :]
    draw(options.out, build(mixture_spec(markets)), walked, names)


if __name__ == "__main__":
    main()
