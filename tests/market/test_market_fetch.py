"""Downloading: every trade once, nothing half-written, and failures that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.venue import Venue, trades
from tests.realdata import REAL, needs_real_data

from fedvol.errors import TapeError
from fedvol.market import fetch as module
from fedvol.market.fetch import fetch, trade_pages
from fedvol.market.tape import load_tape

BUSY = json.dumps({"error": {"message": "too_many_requests", "code": 10028}}).encode()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def ids(pages: Iterator[list[dict[str, Any]]]) -> list[str]:
    return [trade["trade_id"] for page in pages for trade in page]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 9))
def test_pages_lose_and_repeat_nothing(times: list[int], spare: int) -> None:
    page = max((times.count(ms) for ms in times), default=0) + spare
    with Venue(trades(*times)) as venue:
        got = ids(trade_pages("BTC", 0, 100, venue.url, page))
    assert sorted(got, key=int) == [str(i) for i in range(len(times))]


def test_a_millisecond_that_fills_a_page_exactly_is_passed() -> None:
    with Venue(trades(1, 5, 5, 5, 6)) as venue:
        assert len(ids(trade_pages("BTC", 0, 100, venue.url, 4))) == 5


def test_a_millisecond_with_more_trades_than_a_page_is_refused_not_skipped() -> None:
    with Venue(trades(1, 5, 5, 5, 5, 6)) as venue, pytest.raises(TapeError, match="share the millisecond 5"):
        ids(trade_pages("BTC", 0, 100, venue.url, 3))


def test_the_span_is_kept() -> None:
    with Venue(trades(1, 5, 9)) as venue:
        assert ids(trade_pages("BTC", 5, 8, venue.url)) == ["1"]


@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, b""),
        (503, {}, b"<html>"),
        (429, {"retry-after": "0"}, b""),
        (429, {}, BUSY),
        (200, {}, BUSY),
    ],
)
def test_passing_failures_are_tried_again(tmp_path: Path, failure: tuple[int, dict[str, str], bytes]) -> None:
    with Venue(trades(1, 2)) as venue:
        venue.failures = [failure, failure]
        assert fetch(tmp_path / "a.jsonl", "BTC", 0, 9, venue.url) == 2
    assert len(venue.requests) == 3


def test_a_busy_venue_names_the_pause_it_wants() -> None:
    import httpx

    answer = httpx.Response(429, headers={"retry-after": "17"}, request=httpx.Request("GET", "http://x"))
    assert module._retry(httpx.HTTPStatusError("", request=answer.request, response=answer)) == 17.0


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((400, {}, b'{"error": {"message": "Invalid params", "code": -32602}}'), "refused: Invalid params"),
        ((404, {}, b"nothing"), "refused: HTTP 404"),
        ((500, {}, b""), "refused: HTTP 500"),
        ((200, {}, b"<html>welcome</html>"), "no page of trades"),
        ((200, {}, b'{"result": []}'), "no page of trades"),
        ((200, {}, b'{"result": {"trades": [{}], "has_more": false}}'), "no page of trades"),
        ((200, {}, BUSY), "too busy"),
    ],
)
def test_lasting_failures_leave_no_file(tmp_path: Path, failure: Any, message: str) -> None:
    with Venue(trades(1, 2, 3)) as venue:
        good = json.dumps({"result": {"trades": trades(1), "has_more": True}}).encode()
        venue.failures = [(200, {}, good)] + [failure] * 3
        with pytest.raises(TapeError, match=message):
            fetch(tmp_path / "a.jsonl", "BTC", 0, 9, venue.url)
    assert list(tmp_path.iterdir()) == []


def test_a_venue_that_is_not_there(tmp_path: Path) -> None:
    with Venue([]) as venue:
        pass
    with pytest.raises(TapeError, match="cannot be reached"):
        fetch(tmp_path / "a.jsonl", "BTC", 0, 9, venue.url)
    assert list(tmp_path.iterdir()) == []


def test_no_trades_no_file_and_no_overwriting(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with Venue([]) as venue, pytest.raises(TapeError, match="has no BTC option trades"):
        fetch(out, "BTC", 0, 9, venue.url)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(TapeError, match="exists already"):
        fetch(out, "BTC", 0, 9, "http://unused")
    assert out.read_text() == "mine"
    with pytest.raises(TapeError, match="is not named"):
        fetch(tmp_path / "a.csv", "BTC", 0, 9, "http://unused")
    with pytest.raises(TapeError, match="cannot be written"):
        fetch(tmp_path / "absent" / "a.jsonl", "BTC", 0, 9, "http://unused")


@needs_real_data
@pytest.mark.parametrize("name", ["tape.jsonl", "tape.jsonl.gz"])
def test_real_trades_come_back_as_the_venue_sent_them(tmp_path: Path, name: str) -> None:
    assert REAL is not None
    recorded = REAL / "formats" / "deribit_public_trades_2020_real.json"
    seen: list[tuple[int, int]] = []
    with Venue(json.loads(recorded.read_text())["result"]["trades"]) as venue:
        count = fetch(tmp_path / name, "BTC", 0, 2**42, venue.url, lambda *at: seen.append(at), page=7)
    assert count == 60
    assert len(venue.requests) > 8
    assert seen == sorted(seen)
    assert seen[-1][1] == 60
    ours, theirs = load_tape(tmp_path / name), load_tape(recorded)
    columns = ["ts_ms", "trade_id", "iv", "forward", "amount"]
    order = ["ts_ms", "trade_id"]
    assert ours.rows[columns].sort_values(order).to_numpy().tolist() == (
        theirs.rows[columns].sort_values(order).to_numpy().tolist()
    )
