"""`fedvol lab`: what a federation would have known, on a tape that has been."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fedvol import console
from fedvol.commands.tapes import By, Hours, Nodes, Rounds, Tape, one_thread, write_whole
from fedvol.commands.worth import worth

app = typer.Typer(
    help="Replay tapes through the federation's own code, without a chain.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command()(worth)

TITLES = {
    "flat": "flat vol",
    "lag_quadratic": "last quadratics",
    "pooled_quadratic": "pooled quadratics",
    "pooled_svi": "pooled SVI",
    "local_mean": "each desk alone",
    "central": "central",
    "federated": "federated",
    "federated_masked": "masked",
    "federated_proven": "masked, proven",
}

Rules = Literal["mean", "bounded-mean", "median", "trimmed-mean", "equal-median", "equal-trimmed-mean"]
Attacks = Literal[
    "sign-flip", "scaled", "label-bias", "wash-trades", "alie", "ipm", "min-max", "mimic", "rider-zero", "rider-noise",
    "rider-replay", "late-joiner",
]  # fmt: skip


@app.command()
def replay(
    tape: Tape,
    by: By = "desk",
    nodes: Nodes = None,
    cluster_size: Annotated[
        int | None, typer.Option(min=3, max=16, help="Of the masked federation; by default the smallest that fits.")
    ] = None,
    rounds: Rounds = 5,
    hours: Hours = 6.0,
    last: Annotated[int | None, typer.Option(min=6, help="Only the newest snapshots of the tape.")] = None,
    training: Annotated[
        Literal["float", "agreed"],
        typer.Option(help="How the federations' nodes train: *agreed* is the integer step that a proof can show."),
    ] = "float",
    rule: Annotated[
        Rules,
        typer.Option(
            help="How the federations combine: a *bounded* mean takes a tenth of a plan's moves, *equal* ones count "
            "all nodes alike."
        ),
    ] = "mean",
    attack: Annotated[
        Attacks | None, typer.Option(help="What some of the nodes do: see docs/lab.md. By default all are honest.")
    ] = None,
    hostile: Annotated[float, typer.Option(min=0.0, max=0.49, help="Share of the nodes that do it.")] = 0.2,
    dp: Annotated[
        float | None,
        typer.Option(min=0.01, help="Every node trains under this epsilon of one trade, spent on the whole tape."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How often the federations are walked.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    engine: Annotated[
        Literal["in-turn", "processes", "batched", "ray"],
        typer.Option(help="How participants are trained; *ray*: locally, or on the cluster that RAY_ADDRESS names."),
    ] = "in-turn",
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Writes report.json, with errors by snapshot, and report.html, with plots, into this folder. What is "
            "done is kept there: after a stop the same command goes on.",
        ),
    ] = None,
) -> None:
    """Walks a tape snapshot by snapshot. Half of each snapshot's rows train, chosen by a hash of the row; errors are
    of the other half, which no method sees: in the same snapshot, and in the next before it is learned from.

    *next* uses the last version as it was; *next, index* lets the clock of the version move with the market's index and
    with a vol index, made here of the training rows near the money, as the pricing engine does with its feeds.

    *Last quadratics*: a quadratic for each expiry on all rows of the snapshot before. *Pooled*: one for each expiry,
    or an SVI, on everybody's training rows. *Central*: this model on them. *Head*: the joint model after one more
    training on a desk's own rows, which it sends nobody.

    Nothing leaves this machine, but for a Ray cluster that you name.

    Example: `fedvol lab replay --tape quotes.parquet --by participant --attack alie --rule median --out replay`
    """
    one_thread()

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from fedvol.lab.replay.picture import write
    from fedvol.lab.replay.replay import replay
    from fedvol.lab.replay.terms import Plan

    plan = Plan(
        tape,
        by,
        nodes,
        cluster_size,
        rounds,
        hours,
        last,
        training == "agreed",
        rule,
        attack,
        hostile,
        dp,
        seeds,
        engine,
    )
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeElapsedColumn()
    with Progress(*columns, console=console.err, transient=True) as progress:
        bars: dict[str, Any] = {}

        def told(name: str, share: float) -> None:
            if name not in bars:
                kind, _, number = name.partition(" ")
                bars[name] = progress.add_task(f"{TITLES.get(kind, kind)} {number}".strip(), total=1.0)
            progress.update(bars[name], completed=share)

        report = replay(plan, workers or os.cpu_count() or 1, told, out)
    if out is not None:
        write_whole(out / "report.json", json.dumps(report, indent=2) + "\n")
        write_whole(out / "report.html", write(report, TITLES))
    _show(report)


def _show(report: dict[str, Any]) -> None:
    dropped = ", ".join(f"{reason}: {count:,}" for reason, count in report["dropped"].items()) or "none"
    console.out.print(
        f"{report['tape']}: {report['rows']:,} rows, {report['snapshots']} snapshots, {len(report['desks'])} desks, "
        f"markets {', '.join(report['markets'])}; dropped: {dropped}",
        markup=False,
        soft_wrap=True,
    )
    found, plan = report["methods"], report["plan"]
    if plan["attack"] is not None:
        refused = {TITLES[name]: found[name]["refused"] for name in TITLES if "refused" in found.get(name, {})}
        console.out.print(
            f"{plan['attack']} by {round(plan['hostile'] * plan['nodes'])} of {plan['nodes']} nodes, rule "
            f"{plan['rule']}; versions that the engine refused: {', '.join(f'{n} {c}' for n, c in refused.items())}"
        )
    titles = {name: title for name, title in TITLES.items() if name in found}
    console.table(
        f"RMSE in vol points on {found['central']['n']:,} rows that nobody trained on",
        ["method", "same", "next", "next, index", "put wing", "its bias", "outside quotes", "arbitrage", "s"],
        [
            [
                title,
                *(_spread(found[name], key) for key in ("same", "next", "next_index")),
                *(_number(found[name].get("by", {}).get("same", {}).get(key)) for key in ("put_wing", "put_wing_bias")),
                "–" if found[name].get("outside") is None else f"{found[name]['outside']:.0%}",
                found[name]["violations"],
                _number(found[name].get("seconds")),
            ]
            for name, title in titles.items()
        ],
    )
    bands = found["central"]["by"]["same"]["by_maturity"]
    markets = found["central"]["by"]["same"]["by_market"]
    shown = [name for name in titles if found[name].get("by", {}).get("same")]
    console.table(
        "the same snapshot, by market and maturity",
        ["method", *markets, *bands],
        [
            [
                TITLES[name],
                *(_number(found[name]["by"]["same"]["by_market"][m]) for m in markets),
                *(_number(found[name]["by"]["same"]["by_maturity"][b]) for b in bands),
            ]
            for name in shown
        ],
    )
    console.table(
        "what each desk has of it (same snapshot)",
        ["desk", "rows", "own: alone", "joint", "+ head", "all: alone", "joint", "+ head"],
        [
            [
                gain["desk"],
                gain["rows"],
                *(_number(gain[m]["own_flow"]) for m in ("alone", "joint", "joint_and_head")),
                *(_number(gain[m]["market"]) for m in ("alone", "joint", "joint_and_head")),
            ]
            for gain in report["gains"]
        ],
    )
    if report["noise"] is not None:
        console.out.print(
            f"the same option twice in a snapshot differs by {report['noise']:.2f} points: nobody beats that"
        )
    console.out.print(f"{report['violations']} violations, {report['seconds']:g} s")


def _spread(entry: dict[str, Any], key: str) -> str:
    """The mean over seeds, and how far they go where there are several."""
    each = [value for value in entry.get("seeds", {}).get(key, []) if value is not None]
    text = _number(entry.get(key))
    return text if len(each) < 2 else f"{text} ({_number(min(each))}–{_number(max(each))})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
