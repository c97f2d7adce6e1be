"""`fedvol market`: look at a tape, download one, or make one up."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fedvol import console
from fedvol.errors import ConfigError

app = typer.Typer(
    help="Look at a trade tape, download public trades, or make up a market.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_DAY_MS = 86_400_000


@app.command()
def inspect(
    tape: Annotated[Path, typer.Argument(help="A file, or a folder of files that are taken together.")],
    by: Annotated[str | None, typer.Option(help="A column that names each row's desk: count by desk.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
) -> None:
    """Show what a tape holds, what was left out, and why.

    The format is told by content. Known: Deribit trades (public or your own; JSON or CSV) and book summaries,
    Tardis `trades` and `options_chain` CSV, ccxt trades, tables with `ts_ms, currency, expiry_ms, strike,
    cp` and a vol, and FedVol's own columns `ts_ms, market, expiry_ms, strike, is_call, forward, iv` (CSV or
    Parquet; any of them gzipped). Tardis `trades` state no forward: put the `options_chain` files in the
    same folder.

    Nothing leaves this machine.

    Example: `fedvol market inspect trades.csv.gz --by desk`
    """
    from fedvol.market.summary import summarize
    from fedvol.market.tape import load_tape

    found = summarize(load_tape(tape, desk_column=by), by_desk=by is not None)
    if as_json:
        console.emit({"tape": str(tape), **found})
        return
    _say(f"{tape}: {found['format']}, {found['read']:,} records, {found['rows']:,} usable rows")
    _say(f"from {found['first']} to {found['last']}")
    heads = [by] if by else []
    console.table(
        "What is there (k = ln(strike/forward))",
        [*heads, "market", "rows", "expiries", "vol: min mid max", "k: min max"],
        [
            [
                *([g["desk"]] if by else []),
                f"{g['market']} {g['band']}",
                g["rows"],
                g["expiries"],
                f"{g['vol_min']:4.0%} {g['vol_median']:4.0%} {g['vol_max']:4.0%}",
                f"{g['k_min']:+.2f} {g['k_max']:+.2f}",
            ]
            for g in found["groups"]
        ],
    )
    if found["dropped"]:
        console.table("What was left out", ["reason", "records"], [[*item] for item in found["dropped"].items()])
    for note in found["notes"]:
        _say(f"- {note}")


@app.command()
def fetch(
    out: Annotated[Path, typer.Option(help="A new file, *.jsonl or *.jsonl.gz.")],
    currency: Annotated[str, typer.Option(help="BTC or ETH; USDC holds the options of other coins.")] = "BTC",
    since: Annotated[str | None, typer.Option(help="ISO time, UTC. [default: 24 hours before --until]")] = None,
    until: Annotated[str | None, typer.Option(help="ISO time, UTC. [default: now]")] = None,
    base_url: Annotated[str | None, typer.Option(help="API to ask, if not Deribit's own.")] = None,
) -> None:
    """Download public Deribit option trades into a tape.

    Trades of the last 24 hours come from www.deribit.com, older ones from history.deribit.com. The file
    appears whole or not at all.

    Example: `fedvol market fetch --currency ETH --since 2026-03-01 --until 2026-03-02 --out eth.jsonl.gz`
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from fedvol.market import fetch as venue

    now_ms = int(time.time() * 1000)
    until_ms = _ms(until, "--until") if until else now_ms
    since_ms = _ms(since, "--since") if since else until_ms - _DAY_MS
    if since_ms >= until_ms:
        raise ConfigError("--since is not before --until.", "Give --since an earlier time; both are UTC.")
    url = base_url or (venue.LIVE if since_ms >= now_ms - venue.LIVE_KEEPS_MS else venue.HISTORY)
    bar = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]:,} trades"))
    with Progress(*bar, TimeRemainingColumn(), console=console.err) as shown:
        task = shown.add_task(f"{currency} options", total=until_ms - since_ms, count=0)
        count = venue.fetch(
            out,
            currency.upper(),
            since_ms,
            until_ms,
            url,
            lambda reached, count: shown.update(task, completed=reached - since_ms, count=count),
        )
        shown.update(task, completed=until_ms - since_ms)
    _say(f"{count:,} trades in {out}; look at them with: fedvol market inspect {out}")


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same tape.")] = 1,
    hours: Annotated[float, typer.Option(min=0.1, help="Span of the tape.")] = 48.0,
    snapshots: Annotated[int, typer.Option(min=1, help="Full sets of quotes, about 270 rows each.")] = 12,
) -> None:
    """Write a made-up tape: BTC and ETH under the Bates model with calm, storms and liquidity gaps.

    Its `desk` column deals the rows to six desks that share none: btc-short, btc-mid, btc-long, eth-short,
    eth-long, wings.

    Example: `fedvol market synthesize --out demo.parquet --seed 7`, then
    `fedvol market inspect demo.parquet --by desk`
    """
    from fedvol.market.synthetic import generate, write_parquet

    frame = generate(seed, hours, snapshots)
    if not out.parent.is_dir():
        raise ConfigError(f"There is no folder {out.parent}.", "Create it, or name another.")
    write_parquet(frame, out)
    _say(f"{len(frame):,} quotes of {frame['desk'].nunique()} desks in {out}")


def _say(line: str) -> None:
    """One line as it is: paths keep their brackets and are not broken."""
    console.out.print(line, soft_wrap=True, markup=False, highlight=False)


def _ms(text: str, option: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no ISO time.", "Write it like 2026-03-01T12:00.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
