"""Downloads public option trades of Deribit into a tape: JSON lines, each the record as the venue sent it."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import httpx
import stamina

from fedvol.errors import TapeError

LIVE = "https://www.deribit.com/api/v2"
HISTORY = "https://history.deribit.com/api/v2"
LIVE_KEEPS_MS = 24 * 3_600_000
PAGE = 1000

_TOO_MANY_REQUESTS = 10028
_SUFFIXES = (".jsonl", ".jsonl.gz")

Trade = dict[str, Any]


class _Busy(Exception):
    """The venue's own "too many requests" answer, inside an HTTP 200 or 400."""


def fetch(
    out: Path,
    currency: str,
    since_ms: int,
    until_ms: int,
    base_url: str,
    progress: Callable[[int, int], None] | None = None,
    page: int = PAGE,
) -> int:
    """Writes all option trades of `currency` with since_ms <= timestamp <= until_ms to `out`, and returns
    their number.

    The file appears whole or not at all. Busy and failing answers are tried again with growing pauses, or
    after the pause that the venue asks for.

    Args:
        out: a new file named *.jsonl, or *.jsonl.gz to have it compressed.
        currency: BTC or ETH; options of other coins are under USDC.
        progress: called after each page with the time reached (ms) and the trades written so far.

    Raises:
        TapeError: the file exists or cannot be written, the venue refuses or stays silent, or has no such
        trades.
    """
    if not out.name.endswith(_SUFFIXES):
        raise TapeError(f"{out} is not named *.jsonl or *.jsonl.gz.", "Trades are saved as JSON lines: rename it.")
    if out.exists():
        raise TapeError(f"{out} exists already.", "Choose another name; a tape is never overwritten.")
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    count = 0
    try:
        with _open(part) as sink:
            for trades in trade_pages(currency, since_ms, until_ms, base_url, page):
                sink.writelines(json.dumps(trade, separators=(",", ":")) + "\n" for trade in trades)
                count += len(trades)
                if progress:
                    progress(trades[-1]["timestamp"], count)
        if not count:
            raise TapeError(
                f"{base_url} has no {currency} option trades in that time.",
                "Widen --since and --until; other coins' options are under --currency USDC.",
            )
        part.replace(out)
    except OSError as failure:
        raise TapeError(f"{out} cannot be written: {failure.strerror}.", "Choose another folder.") from None
    finally:
        part.unlink(missing_ok=True)
    return count


def trade_pages(currency: str, since_ms: int, until_ms: int, base_url: str, page: int = PAGE) -> Iterator[list[Trade]]:
    """Pages of trades in the order of time, none lost and none twice.

    Each request starts *at* the last millisecond seen, because a page may end inside one; what was already
    had is left out by its trade_id.
    """
    start, had = since_ms, frozenset[str]()
    with httpx.Client(base_url=base_url, timeout=20.0) as client:
        while True:
            params = {
                "currency": currency,
                "kind": "option",
                "start_timestamp": start,
                "end_timestamp": until_ms,
                "count": page,
                "sorting": "asc",
            }
            trades, has_more = _ask(client, params)
            fresh = [trade for trade in trades if trade["trade_id"] not in had]
            if fresh:
                yield fresh
            if not has_more or not trades:
                return
            last = trades[-1]["timestamp"]
            if last <= start and not fresh:
                raise TapeError(
                    f"More than {page} {currency} trades share the millisecond {last}.",
                    "The venue gives no way past it: fetch the time before and after it into two files.",
                )
            start, had = last, frozenset(trade["trade_id"] for trade in trades)


def _ask(client: httpx.Client, params: dict[str, Any]) -> tuple[list[Trade], bool]:
    where = str(client.base_url)
    try:
        answer = _get(client, params)
        result = answer["result"]
        trades, has_more = result["trades"], bool(result["has_more"])
        for trade in trades:
            if not isinstance(trade["trade_id"], str) or not isinstance(trade["timestamp"], int):
                raise TypeError
    except httpx.HTTPStatusError as failure:
        raise TapeError(f"{where} refused: {_reason(failure.response)}.", "Check --currency and the times.") from None
    except httpx.HTTPError as failure:
        what = str(failure) or type(failure).__name__
        raise TapeError(f"{where} cannot be reached: {what}.", "Check the network, or give --base-url.") from None
    except _Busy:
        raise TapeError(f"{where} stays too busy.", "Wait some minutes and fetch again.") from None
    except (ValueError, KeyError, TypeError):
        raise TapeError(f"{where} answered something that is no page of trades.", "Check --base-url.") from None
    return trades, has_more


def _retry(failure: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if isinstance(failure, httpx.HTTPStatusError):
        code = failure.response.status_code
        pause = failure.response.headers.get("retry-after", "")
        if code == httpx.codes.TOO_MANY_REQUESTS and pause.isdigit():
            return float(pause)
        return code == httpx.codes.TOO_MANY_REQUESTS or code >= 500
    return isinstance(failure, httpx.TransportError | _Busy)


@stamina.retry(on=_retry, attempts=8, timeout=180.0, wait_initial=0.5, wait_max=30.0)
def _get(client: httpx.Client, params: dict[str, Any]) -> Any:
    response = client.get("/public/get_last_trades_by_currency_and_time", params=params)
    if str(_TOO_MANY_REQUESTS) in _reason(response):
        raise _Busy
    response.raise_for_status()
    return response.json()


def _reason(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return f"{error['message']} (code {error['code']})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _open(path: Path) -> TextIO:
    if ".gz" in path.suffixes:
        return gzip.open(path, "wt", encoding="utf-8")  # type: ignore[return-value]
    return path.open("w", encoding="utf-8")
