"""Loading: every wart that tapes are known to have, made by hand, and every refusal."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fedvol.errors import TapeError
from fedvol.market.black76 import price
from fedvol.market.schema import MS_PER_YEAR
from fedvol.market.tape import Tape, load_tape

NOW = 1_582_296_978_501
EXPIRY = 1_582_876_800_000  # 28FEB20 08:00 UTC
YEARS = (EXPIRY - NOW) / MS_PER_YEAR
NAME = "BTC-28FEB20-9750-C"


def trade(number: int = 1, **changes: Any) -> dict[str, Any]:
    record = {
        "trade_id": str(number),
        "timestamp": NOW,
        "instrument_name": NAME,
        "price": 0.0255,
        "amount": 0.2,
        "iv": 49.69,
        "index_price": 9688.27,
        "direction": "sell",
    }
    return {name: value for name, value in (record | changes).items() if value is not ...}


def load(tmp_path: Path, content: Any, **options: Any) -> Tape:
    """Loads records, text or bytes, and checks that the books balance."""
    path = tmp_path / "tape"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    tape = load_tape(path, **options)
    assert tape.read == len(tape.rows) + sum(tape.dropped.values())
    return tape


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trade_id": "1"}, "duplicate trade_id"),
        ({"trade_id": "1", "timestamp": NOW - 501}, "duplicate trade_id"),
        ({"instrument_name": "BTC-PERPETUAL"}, "not an option"),
        ({"instrument_name": "BTC-28FEB20"}, "not an option"),
        ({"instrument_name": "BTC-CS-28FEB20-9000_9750"}, "combo"),
        ({"instrument_name": "BTC-28FEB20-9750"}, "bad instrument name"),
        ({"instrument_name": None}, "bad instrument name"),
        ({"instrument_name": "BTC-28FEB20-0-C"}, "bad strike"),
        ({"timestamp": "yesterday"}, "bad timestamp"),
        ({"timestamp": None}, "bad timestamp"),
        ({"timestamp": -5}, "bad timestamp"),
        ({"timestamp": EXPIRY}, "expired"),
        ({"price": float("nan")}, "non-finite price"),
        ({"price": float("inf")}, "non-finite price"),
        ({"price": None}, "non-finite price"),
        ({"price": 0}, "price is not positive"),
        ({"amount": -1}, "bad amount"),
        ({"amount": None}, "bad amount"),
        ({"iv": 0}, "vol is zero"),
        ({"iv": 999}, "vol above 300%"),
        ({"iv": 300.0}, "vol above 300%"),
        ({"iv": None, "price": 2.0}, "price allows no vol"),
        (
            {"iv": 49.0, "price": 0.9, "index_price": None, "instrument_name": "BTC-27MAR20-9750-C"},
            "no forward",
        ),
    ],
)
def test_a_bad_record_is_dropped_and_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    good = trade(1)
    assert load(tmp_path, [good, trade(**{"number": 2} | changes)]).dropped == {reason: 1}
    assert len(load(tmp_path, [good, trade(2, **changes)]).rows) == 1


def test_a_tape_with_nothing_left_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"no usable option vol \(non-finite price: 2\)"):
        load(tmp_path, [trade(1, price=float("nan")), trade(2, price=None)])


@pytest.mark.parametrize("wrap", ["answer", "list", "answers", "lines", "gzip", "csv", "semicolons", "bom", "one"])
def test_containers_are_told_by_content(tmp_path: Path, wrap: str) -> None:
    trades = [trade(1), trade(2, timestamp=NOW + 5)]
    answer = {"jsonrpc": "2.0", "result": {"trades": trades, "has_more": False}}
    frame = pd.DataFrame(trades)
    content: Any = {
        "answer": answer,
        "list": trades,
        "answers": [answer, {"result": {"trades": [trade(3)]}}],
        "lines": "\n".join(json.dumps(t) for t in trades) + "\n",
        "gzip": gzip.compress(json.dumps(answer).encode()),
        "csv": frame.to_csv(),
        "semicolons": frame.to_csv(sep=";", index=False),
        "bom": b"\xef\xbb\xbf" + frame.to_csv(index=False).encode(),
        "one": trade(1),
    }[wrap]
    tape = load(tmp_path, content)
    assert tape.format == "Deribit trades"
    assert len(tape.rows) == {"answers": 3, "one": 1}.get(wrap, 2)
    row = tape.rows.iloc[0]
    assert (row.ts_ms, row.market, row.expiry_ms, row.strike, row.is_call) == (
        NOW,
        "BTC",
        EXPIRY,
        9750.0,
        True,
    )
    assert row.iv == pytest.approx(0.4969)
    assert row.trade_id == "1"


@pytest.mark.parametrize(
    "stamp", [NOW, NOW * 1000, NOW / 1000, str(NOW), "2020-02-21 14:56:18.501", "2020-02-21T14:56:18.501Z"]
)
def test_times_in_any_unit(tmp_path: Path, stamp: Any) -> None:
    assert load(tmp_path, [trade(timestamp=stamp)]).rows["ts_ms"].tolist() == [NOW]


def test_renamed_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame([trade()]).rename(columns={"amount": "q", "price": "p", "timestamp": "t"})
    tape = load(tmp_path, frame.assign(s="TRADE", d="2020-02-21").to_csv(index=False))
    assert tape.rows["amount"].tolist() == [0.2]
    assert any("t = timestamp" in note for note in tape.notes)


def test_private_columns_go_no_further(tmp_path: Path) -> None:
    private = {"order_id": "secret-1", "label": "secret-2", "fee": 0.1, "profit_loss": 5.0, "user_id": 77}
    tape = load(tmp_path, [trade(**private, underlying_price=9700.0, state="filled")])
    assert tape.rows["forward"].tolist() == [9700.0]
    assert "secret" not in tape.rows.to_csv()
    assert not set(private) & set(tape.rows)
    assert any("private columns left out: order_id, label, fee, profit_loss, user_id" in n for n in tape.notes)


def test_the_forward_comes_from_the_trade_itself_and_not_from_the_index(tmp_path: Path) -> None:
    forward = 9_720.0
    coin = float(price(forward, 9750.0, 0.4969, YEARS, True)[0] / forward)
    tape = load(tmp_path, [trade(price=coin, index_price=9_600.0)])
    assert tape.rows["forward"].iloc[0] == pytest.approx(forward, rel=1e-8)
    assert tape.notes[-1] == "forward implied by the trade's own price and vol: 1 rows"


def test_a_price_that_contradicts_its_vol_falls_back_to_the_index(tmp_path: Path) -> None:
    tape = load(tmp_path, [trade(price=0.2)])
    assert tape.rows["forward"].tolist() == [9688.27]
    assert tape.notes[-1] == "forward taken from index: 1 rows"


@pytest.mark.parametrize("linear", [False, True])
def test_trades_without_vol_are_inverted_with_the_parity_forward(tmp_path: Path, linear: bool) -> None:
    forward, base = 9_700.0, "BTC_USDC" if linear else "BTC"
    unit = 1.0 if linear else forward
    lines = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"]
    for i, (strike, side) in enumerate([(9750, "C"), (9750, "P"), (10500, "C"), (9000, "P")]):
        value = price(forward, float(strike), 0.55, YEARS, side == "C")[0] / unit
        lines.append(f"deribit,{base}-28FEB20-{strike}-{side},{NOW * 1000},{NOW * 1000},{i},buy,{value!r},1")
    tape = load(tmp_path, "\n".join(line.replace("np.float64(", "").replace(")", "") for line in lines))
    assert tape.format == "Tardis trades"
    assert tape.rows["forward"].to_numpy() == pytest.approx(np.full(4, forward), rel=1e-9)
    assert tape.rows["iv"].to_numpy() == pytest.approx(np.full(4, 0.55), rel=1e-7)


def test_book_summary_bids_and_asks_become_vols(tmp_path: Path) -> None:
    coin = [float(price(9_700.0, 9_750.0, vol, YEARS, True)[0] / 9_700.0) for vol in (0.48, 0.53)]
    quote = {
        "instrument_name": NAME,
        "mark_iv": 50.0,
        "underlying_price": 9_700.0,
        "creation_timestamp": NOW,
        "bid_price": coin[0],
        "ask_price": coin[1],
    }
    put = quote | {"instrument_name": NAME[:-1] + "P", "bid_price": None}
    rows = load(tmp_path, {"result": [quote, put, quote]}).rows
    assert rows["kind"].tolist() == ["quote", "quote"]
    assert rows["iv"].tolist() == [0.5, 0.5]
    assert rows["bid_iv"].iloc[0] == pytest.approx(0.48, rel=1e-6)
    assert rows["ask_iv"].iloc[0] == pytest.approx(0.53, rel=1e-6)
    assert np.isnan(rows["bid_iv"].iloc[1])


def test_ccxt_takes_vol_from_info_and_ignores_cost(tmp_path: Path) -> None:
    record = {
        "id": "7",
        "timestamp": NOW,
        "datetime": "2020-02-21T14:56:18.501Z",
        "symbol": "BTC/USD:BTC-200228-9750-C",
        "price": 0.0255,
        "amount": 0.2,
        "cost": 7.84,
        "info": trade(7),
    }
    tape = load(tmp_path, json.dumps(record) + "\n" + json.dumps(record | {"id": "8", "info": None}))
    assert tape.format == "ccxt trades"
    assert tape.rows["iv"].iloc[0] == pytest.approx(0.4969)
    # The second says neither vol nor index; the first, at the same moment, tells the forward.
    assert tape.rows["iv"].iloc[1] == pytest.approx(0.4969, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_table_of_quotes_in_percent_or_fraction(tmp_path: Path, scale: float) -> None:
    frame = pd.DataFrame(
        {
            "ts_ms": [NOW, NOW],
            "currency": "BTC",
            "expiry_ms": EXPIRY,
            "strike": [9750.0, 9000.0],
            "cp": ["C", "P"],
            "forward": 9700.0,
            "bid_iv": [0.48 * scale, 0.58 * scale],
            "ask_iv": [0.52 * scale, 0.62 * scale],
            "participant": ["007", "x"],
        }
    )
    tape = load(tmp_path, frame.to_csv(index=False), desk_column="participant")
    assert tape.rows["iv"].to_numpy() == pytest.approx([0.5, 0.6])
    assert tape.rows["desk"].tolist() == ["007", "x"]
    one = load(tmp_path, frame.to_csv(index=False), desk_column="participant", desk="007")
    assert (len(one.rows), one.dropped) == (1, {"another desk's": 1})


def test_a_garbled_csv_line_is_counted(tmp_path: Path) -> None:
    text = pd.DataFrame([trade(1), trade(2)]).to_csv(index=False)
    assert load(tmp_path, text + "a,b,c,d,e,f,g,h,i,j,k\n").dropped == {"malformed record": 1}


def test_list_entries_that_are_no_records_are_counted(tmp_path: Path) -> None:
    assert load(tmp_path, [trade(1), None, 7, "x"]).dropped == {"malformed record": 3}


def test_rows_in_the_wrong_order_are_sorted_and_said(tmp_path: Path) -> None:
    tape = load(tmp_path, [trade(1, timestamp=NOW + 9), trade(2), trade(3, timestamp=NOW + 4)])
    assert tape.rows["trade_id"].tolist() == ["2", "3", "1"]
    assert tape.notes[-1] == "rows earlier than the row before them, put in order: 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\x1f\x8b\x08truncated", "gzip stream ends badly"),
        (gzip.compress(b"x" * 5000)[:-9], "gzip stream ends badly"),
        (b"PAR1 and then nothing", "damaged Parquet"),
        (b"\x00\x01\x02\x03", "binary file"),
        (b"\xff\xfeabc", "neither Parquet nor text"),
        (b'{"result": {"trades": [', "damaged JSON"),
        (b"[]", "without a single record"),
        (b'{"error": {"code": 10028}}', "error answer"),
        (b"[" * 100_000, "damaged JSON"),
        (b"hello, world\n1,2\n", "no vols or option prices"),
        (b"timestamp,instrument_name,price,amount\n", "it holds no records"),
    ],
)
def test_what_is_no_tape_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TapeError, match=message) as refusal:
        load(tmp_path, content)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in refusal.value.message
    assert refusal.value.hint.endswith(".")


def test_missing_files_empty_folders_and_unknown_desks(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="no tape at"):
        load_tape(tmp_path / "absent")
    with pytest.raises(TapeError, match="empty folder"):
        load_tape(tmp_path)
    with pytest.raises(TapeError, match="no column 'desk'"):
        load(tmp_path, [trade()], desk="a")
    with pytest.raises(TapeError, match="no rows of desk 'b'"):
        load(tmp_path, [trade(desk="a")], desk="b")


def test_parquet_in_a_foreign_layout_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pd.DataFrame({"a": [1]}).to_parquet(sink)
    with pytest.raises(TapeError, match="no vols or option prices"):
        load(tmp_path, sink.getvalue())
