"""`fedvol lab worth`: who gains from a federation, and what each is worth to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fedvol import console
from fedvol.commands.tapes import By, Hours, Nodes, Rounds, Tape, one_thread, write_whole

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


def worth(
    tape: Tape,
    by: By = "desk",
    nodes: Nodes = None,
    groups: Annotated[
        int | None,
        typer.Option(
            min=2, help="Also score by so many groups, drawn by lot for each snapshot, from their sums alone."
        ),
    ] = None,
    rule: Annotated[
        Literal["weighted", "capped", "plain"],
        typer.Option(help="How vectors are combined: *capped* lets none weigh more than half a row."),
    ] = "weighted",
    absent: Annotated[
        Literal["still", "gone"],
        typer.Option(help="How those outside a coalition are: there with their weights and no move, or not there."),
    ] = "still",
    rounds: Rounds = 5,
    hours: Hours = 6.0,
    since: Annotated[datetime | None, typer.Option(formats=TIMES, help="Only rows from then on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=TIMES, help="Only rows before then, UTC.")] = None,
    last: Annotated[int | None, typer.Option(min=7, help="Only the newest snapshots of the tape.")] = None,
    coalitions: Annotated[
        int, typer.Option(min=64, help="Coalitions of a round at most: all, or so many drawn by lot.")
    ] = 4096,
    seed: Annotated[int, typer.Option(min=0, help="Of groups and of coalitions that are drawn.")] = 0,
    json_to: Annotated[Path | None, typer.Option("--json", help="Writes the whole report there.")] = None,
) -> None:
    """What each desk gains: RMSE of its own model, of the joint one, and of the joint one with a private *head*, on its
    own flow and on the whole market, in calm and in stress. Stress is the fifth of the snapshots before which the index
    moved most.

    What each desk is worth: by how much its vectors make the joint model price the *next* snapshot better, in vol
    points squared. *Left out*: all against all but this desk. *Banzhaf*: the mean over all coalitions of the others.
    ± is the standard error over snapshots. **A report, not a payment: docs/lab.md says how scores can be gamed.**

    Nothing leaves this machine.

    Example: `fedvol lab worth --tape quotes.parquet --by participant --last 60 --groups 2 --json worth.json`
    """
    one_thread()

    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from fedvol.lab.worth.worth import Plan
    from fedvol.lab.worth.worth import worth as run

    span = (when and int(when.replace(tzinfo=UTC).timestamp() * 1000) for when in (since, until))
    plan = Plan(tape, by, nodes, groups, rule, absent, rounds, hours, last, coalitions, seed, *span)
    columns = TextColumn("snapshots"), BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeRemainingColumn()
    with Progress(*columns, console=console.err, transient=True) as progress:
        bar = progress.add_task("", total=1.0)
        report = run(plan, lambda share: progress.update(bar, completed=share))
    if json_to is not None:
        write_whole(json_to, json.dumps(report, indent=2) + "\n")
    _show(report)


def _show(report: dict[str, Any]) -> None:
    console.out.print(
        f"{report['tape']}: {report['snapshots']} snapshots, {len(report['desks'])} nodes, rule {report['rule']}, "
        f"absent {report['absent']}; stress: "
        f"{report['stress']['snapshots']} whose index moved more than {report['stress']['least_move']:.2%}",
        markup=False,
        soft_wrap=True,
    )
    for weather in ("calm", "stress"):
        console.table(
            f"who gains, {weather}: RMSE in vol points, same snapshot",
            ["desk", "rows", "own: alone", "joint", "+ head", "all: alone", "joint", "+ head"],
            [
                [
                    gain["desk"],
                    gain["rows"],
                    *(_points(gain[m]["own_flow"]) for m in ("alone", "joint", "joint_and_head")),
                    *(_points(gain[m]["market"]) for m in ("alone", "joint", "joint_and_head")),
                ]
                for gain in report["gains"][weather]
            ],
        )
    _scores("each node by itself", report["scores"])
    if report["group_scores"]:
        _scores(f"from the sums of {report['group_scores']['groups']} groups, shared evenly", report["group_scores"])
    console.out.print(f"{report['seconds']:g} s")


def _scores(title: str, found: dict[str, Any]) -> None:
    how = "all coalitions" if found["exact"] else "coalitions drawn by lot"
    console.table(
        f"worth a snapshot, vol points² of the next, {title} ({found['snapshots']} snapshots, {how})",
        ["desk", "left out", "±", "Banzhaf", "±", "calm", "stress"],
        [
            [
                one["desk"],
                *(_points(one["left_out"][key]) for key in ("mean", "error")),
                *(_points(one["banzhaf"][key]) for key in ("mean", "error", "calm", "stress")),
            ]
            for one in found["desks"]
        ]
        + [["whole", "", "", *(_points(found["whole"][key]) for key in ("mean", "error", "calm", "stress"))]],
    )


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
