"""`fedvol lab`: what a federation would have known, on a tape that has been."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fedvol import console

app = typer.Typer(
    help="Replay tapes through the federation's own code, without a chain.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

TITLES = {
    "flat": "flat vol",
    "lag_quadratic": "last quadratics",
    "pooled_quadratic": "pooled quadratics",
    "pooled_svi": "pooled SVI",
    "local_mean": "each desk alone",
    "central": "central",
    "federated": "federated",
    "federated_masked": "masked",
}


@app.command()
def replay(
    tape: Annotated[Path, typer.Option(help="A file or folder of quotes or trades, in any format that a node reads.")],
    by: Annotated[str, typer.Option(help="Its column that names each row's desk.")] = "desk",
    nodes: Annotated[
        int | None,
        typer.Option(
            min=2, help="Nodes, as many as desks by default; above that a desk's rows are dealt among several."
        ),
    ] = None,
    cluster_size: Annotated[
        int | None, typer.Option(min=3, max=16, help="Of the masked federation; by default the smallest that fits.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a snapshot.")] = 5,
    hours: Annotated[float, typer.Option(min=0.1, help="How long a snapshot of a stream of trades lasts.")] = 6.0,
    last: Annotated[int | None, typer.Option(min=6, help="Only the newest snapshots of the tape.")] = None,
    training: Annotated[
        Literal["float", "agreed"],
        typer.Option(help="How the federations' nodes train: *agreed* is the integer step that a proof can show."),
    ] = "float",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    json_to: Annotated[
        Path | None, typer.Option("--json", help="Writes the whole report there, by snapshot too.")
    ] = None,
) -> None:
    """Walks a tape snapshot by snapshot. Half of each snapshot's rows train, chosen by a hash of the row; errors are
    of the other half, which no method sees: in the same snapshot, and in the next before it is learned from.

    *next* uses the last version as it was; *next, index* lets the clock of the version move with the market's index and
    with a vol index, made here of the training rows near the money, as the pricing engine does with its feeds.

    *Last quadratics*: a quadratic for each expiry on all rows of the snapshot before. *Pooled*: one for each expiry,
    or an SVI, on everybody's training rows. *Central*: this model on them. *Head*: the joint model after one more
    training on a desk's own rows, which it sends nobody.

    Nothing leaves this machine.

    Example: `fedvol lab replay --tape quotes.parquet --by participant --json replay.json`
    """
    for library in ("OPENBLAS", "OMP", "MKL"):  # the processes share the cores already
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from fedvol.lab.replay.replay import Plan, replay

    plan = Plan(tape, by, nodes, cluster_size, rounds, hours, last, training == "agreed")
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeElapsedColumn()
    with Progress(*columns, console=console.err, transient=True) as progress:
        bars: dict[str, Any] = {}

        def told(name: str, share: float) -> None:
            if name not in bars:
                bars[name] = progress.add_task(TITLES.get(name, name), total=1.0)
            progress.update(bars[name], completed=share)

        report = replay(plan, workers or os.cpu_count() or 1, told)
    if json_to is not None:
        part = json_to.with_name(json_to.name + ".part")
        part.write_text(json.dumps(report, indent=2) + "\n")
        part.replace(json_to)
    _show(report)


def _show(report: dict[str, Any]) -> None:
    dropped = ", ".join(f"{reason}: {count:,}" for reason, count in report["dropped"].items()) or "none"
    console.out.print(
        f"{report['tape']}: {report['rows']:,} rows, {report['snapshots']} snapshots, {len(report['desks'])} desks, "
        f"markets {', '.join(report['markets'])}; dropped: {dropped}",
        markup=False,
        soft_wrap=True,
    )
    found = report["methods"]
    console.table(
        f"RMSE in vol points on {found['central']['n']:,} rows that nobody trained on",
        ["method", "same", "next", "next, index", "put wing", "arbitrage", "s"],
        [
            [
                title,
                *(_number(found[name].get(key)) for key in ("same", "next", "next_index")),
                _number(found[name].get("by", {}).get("same", {}).get("put_wing")),
                found[name]["violations"],
                _number(found[name].get("seconds")),
            ]
            for name, title in TITLES.items()
        ],
    )
    bands = found["central"]["by"]["same"]["by_maturity"]
    markets = found["central"]["by"]["same"]["by_market"]
    shown = [name for name in TITLES if found[name].get("by", {}).get("same")]
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


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
