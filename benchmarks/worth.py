"""Who gains, what each is worth, and what a score makes of several names. Writes worth.json and docs/images/worth.png.

    .venv/bin/python -m benchmarks.worth gains  --tape QUOTES --by participant --since 2026-02-15 --until 2026-03-15
    .venv/bin/python -m benchmarks.worth guises --tape QUOTES --by participant_mix85 --rule weighted --absent still
    .venv/bin/python -m benchmarks.worth heads  --tape QUOTES --by participant --since 2026-02-20 --until 2026-02-27
    .venv/bin/python -m benchmarks.worth plot

The first three each measure one case and add it to worth.json; one process, one core.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from fedvol import console  # noqa: E402
from fedvol.lab.federation import Nodes  # noqa: E402
from fedvol.lab.replay.snapshots import Snapshot, snapshots  # noqa: E402
from fedvol.lab.replay.terms import BURN  # noqa: E402
from fedvol.lab.replay.walkers import federated  # noqa: E402
from fedvol.lab.worth.guises import GUISES, play  # noqa: E402
from fedvol.lab.worth.worth import RULES, Plan, worth  # noqa: E402
from fedvol.learning.head import private_head  # noqa: E402
from fedvol.learning.model import Model, Opening, build  # noqa: E402
from fedvol.learning.settings import Settings  # noqa: E402
from fedvol.learning.ssvi_mixture import mixture_spec  # noqa: E402
from fedvol.market.tape import load_tape  # noqa: E402

OUT = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).resolve().parent.parent / "docs/images/worth.png"
PRIORS = ("0.0004", "0.04", "0.4", "2")
"""The first is that of a round's training."""
ROUNDS = 2
"""Of a snapshot with guises: the first two do nearly all that five do."""


def gains(options: argparse.Namespace) -> None:
    since, until = (_ms(when) for when in (options.since, options.until))
    plan = Plan(
        options.tape,
        options.by,
        None,
        2,
        options.rule,
        options.absent,
        most=options.last,
        since_ms=since,
        until_ms=until,
    )
    found = worth(plan, lambda share: print(f"\r{share:4.0%}", end="", flush=True))
    _add("gains", f"{options.by}, {options.rule}, {options.absent}, {options.since} to {options.until}", found)


def guises(options: argparse.Namespace) -> None:
    """Every guise of one desk, beside it under one honest name on the same snapshots."""
    model, found, names = _tape(options)
    desk = names.index(options.desk)
    played: dict[str, dict[str, np.ndarray]] = {}
    for name in GUISES:
        played[name] = play(name, model, found, desk, RULES[options.rule], ROUNDS, options.absent, 2)
        print(name, {key: round(float(each.mean()), 3) for key, each in played[name].items()}, flush=True)
    honest = played["honest"]
    table = {
        name: {
            key: {
                "mean": _round(each.mean()),
                "more": _round((each - honest[key]).mean()),
                "error": _error(each, honest[key]),
            }
            for key, each in keys.items()
        }
        for name, keys in played.items()
    }
    entry = {"desk": options.desk, "scored": len(found) - BURN - 1, "rounds": ROUNDS, "guises": table}
    _add("guises", f"{options.by}, {options.rule}, {options.absent}, desk {options.desk}", entry)
    console.table(
        f"desk {options.desk}: the sum over its names (more than honest ± standard error), vol points² a snapshot",
        ["guise", *honest],
        [
            [name, *(f"{c['mean']:.3f} ({c['more']:+.3f} ± {c['error']:.3f})" for c in row.values())]
            for name, row in table.items()
        ],
    )


def heads(options: argparse.Namespace) -> None:
    """RMSE on each desk's own flow and on the whole market, of the joint model and of heads held to it more or less."""
    model, found, names = _tape(options)
    joint = federated(model, Nodes(model, len(names)), 5)
    squares: dict[tuple[str, int], list[np.ndarray]] = {}
    for number, s in enumerate(found):
        joint.learn(s)
        if number < BURN:
            continue
        for node in range(len(names)):
            for prior in ("joint", *PRIORS):
                weights = model.spec.to_float(joint.weights)
                if prior != "joint":
                    held_to = Settings(prior=float(prior))
                    weights = private_head(model, joint.weights, Opening(s.as_of), s.desks[node], held_to)
                vols = model.implied_vol(weights, s.as_of, s.held.market, s.held.k, s.held.expiry)
                both = np.stack([(100 * (vols - s.held.iv)) ** 2, s.held_desk == node])
                squares.setdefault((prior, node), []).append(both)
    table: dict[str, dict[str, list[float]]] = {}
    for prior in ("joint", *PRIORS):
        each = [np.concatenate(squares[prior, node], axis=1) for node in range(len(names))]
        own = [_round(np.sqrt(square[mine == 1].mean())) for square, mine in each]
        table[prior] = {"own_flow": own, "market": [_round(np.sqrt(square.mean())) for square, _ in each]}
    _add("heads", f"{options.by}, {options.since} to {options.until}", table)
    for where in ("own_flow", "market"):
        rows = [[prior, *(f"{value:.2f}" for value in row[where])] for prior, row in table.items()]
        console.table(f"heads by prior: {where}", ["prior", *names], rows)


def plot(_options: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = json.loads(OUT.read_text())
    first = next(found for case, found in report["gains"].items() if case.startswith("participant,"))
    figure, axes = plt.subplots(2, 2, figsize=(13, 8.4))
    for axis, where, title in ((axes[0, 0], "own_flow", "own flow"), (axes[0, 1], "market", "whole market")):
        _gains(axis, first, where)
        axis.set(title=f"{title}: pale calm, full stress", ylabel="RMSE, vol points")
    axes[0, 1].set_yscale("log")
    axes[0, 0].legend(fontsize=8)
    _scores(axes[1, 0], first)
    _guises(axes[1, 1], report["guises"])
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)
    print(f"wrote {PICTURE}")


def _gains(axis: Any, found: dict[str, Any], where: str) -> None:
    places = np.arange(len(found["desks"]))
    kinds = (
        ("alone", "alone", "#2563eb"),
        ("joint", "joint", "#c2410c"),
        ("joint_and_head", "joint + head", "#15803d"),
    )
    for shift, (key, label, color) in enumerate(kinds):
        for offset, (weather, alpha) in enumerate((("calm", 0.45), ("stress", 1.0))):
            heights = [gain[key][where] for gain in found["gains"][weather]]
            at = places + 0.27 * (shift - 1) + 0.12 * (offset - 0.5)
            axis.bar(at, heights, 0.12, color=color, alpha=alpha, label=label if offset else None)
    axis.set_xticks(places, [f"desk {name}" for name in found["desks"]])


def _scores(axis: Any, found: dict[str, Any]) -> None:
    places = np.arange(len(found["desks"]))
    kinds = (("scores", "each node", "#c2410c"), ("group_scores", "shares of two groups drawn by lot", "#777"))
    for shift, (kind, label, color) in enumerate(kinds):
        values = [desk["banzhaf"] for desk in found[kind]["desks"]]
        axis.bar(
            places + 0.36 * (shift - 0.5),
            [value["mean"] for value in values],
            0.34,
            yerr=[value["error"] for value in values],
            color=color,
            label=label,
        )
    axis.set_xticks(places, [f"desk {name}" for name in found["desks"]])
    axis.set(title="Banzhaf values and their standard errors", ylabel="vol points² a snapshot")
    axis.legend(fontsize=8)


def _guises(axis: Any, cases: dict[str, Any]) -> None:
    names = [name for name in GUISES if name != "honest"]
    kinds = (("still", "others still", "#c2410c"), ("gone", "others gone", "#777"))
    for shift, (absent, label, color) in enumerate(kinds):
        found = cases[f"participant_mix85, weighted, {absent}, desk 5"]["guises"]
        at = np.arange(len(names)) + 0.36 * (shift - 0.5)
        more = [found[name]["banzhaf"] for name in names]
        axis.bar(at, [c["more"] for c in more], 0.34, yerr=[c["error"] for c in more], color=color, label=label)
    axis.axhline(0, color="#333", lw=0.8)
    axis.set_yscale("symlog", linthresh=0.5)
    axis.set_xticks(np.arange(len(names)), names, rotation=20)
    axis.set(title="desk 5 in other guises: Banzhaf more than as one honest name", ylabel="vol points² a snapshot")
    axis.legend(fontsize=8)


def _tape(options: argparse.Namespace) -> tuple[Model, list[Snapshot], list[str]]:
    tape = load_tape(options.tape, options.by).rows
    tape = tape[(tape["ts_ms"] >= _ms(options.since)) & (tape["ts_ms"] < _ms(options.until))]
    markets, names = (sorted(tape[column].astype(str).unique()) for column in ("market", "desk"))
    found = snapshots(tape, markets, names, len(names), 6.0)
    return build(mixture_spec(tuple(markets))), found[-options.last if options.last else 0 :], names


def _add(kind: str, case: str, entry: dict[str, Any]) -> None:
    report = json.loads(OUT.read_text()) if OUT.exists() else {}
    report.setdefault(kind, {})[case] = entry
    OUT.write_text(json.dumps(report, indent=1) + "\n")


def _error(each: np.ndarray, honest: np.ndarray) -> float:
    """Standard error of the mean difference, snapshot by snapshot; of the mean itself for the honest."""
    apart = each if each is honest else each - honest
    return _round(apart.std(ddof=1) / np.sqrt(apart.size))


def _round(value: float) -> float:
    return round(float(value), 4)


def _ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gains", "guises", "heads", "plot"))
    parser.add_argument("--tape", type=Path)
    parser.add_argument("--by", default="participant")
    parser.add_argument("--rule", choices=sorted(RULES), default="weighted")
    parser.add_argument("--absent", choices=("still", "gone"), default="still")
    parser.add_argument("--since", default="2026-02-15")
    parser.add_argument("--until", default="2026-03-15")
    parser.add_argument("--last", type=int, help="snapshots; of guises 15 if left out")
    parser.add_argument("--desk", default="5")
    options = parser.parse_args()
    if options.what == "guises":
        options.last = options.last or 15
    {"gains": gains, "guises": guises, "heads": heads, "plot": plot}[options.what](options)


if __name__ == "__main__":
    main()
