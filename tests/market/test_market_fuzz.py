"""Whatever bytes a tape holds: tidy rows whose count reconciles, or a TapeError. Nothing else."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedvol.errors import TapeError
from fedvol.market.schema import features
from fedvol.market.tape import load_tape

COLUMNS = (
    *("ts_ms", "timestamp", "local_timestamp", "creation_timestamp", "datetime", "t"),
    *("instrument_name", "symbol", "market", "currency", "exchange", "cp", "is_call", "kind", "info"),
    *("expiry_ms", "expiration", "strike", "strike_price", "price", "p", "amount", "q", "trade_id", "id"),
    *("iv", "mark_iv", "bid_iv", "ask_iv", "forward", "index_price", "underlying_price", "bid_price", "desk"),
)
NAMES = ("BTC-28FEB20-9750-C", "XRP_USDC-30JUN23-0d625-P", "BTC-PERPETUAL", "BTC/USD:BTC-200228-9750-C", "?")
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1e308, 5e-324, 10**400, 1_582_296_978_501, 1_582_876_800_000, 9750.0, 0.02, 50.0]),
)
VALUES = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from([*NAMES, "BTC", "C", "2020-02-21T14:56:18Z", "1e999", "NaN", "9999999999999999999999"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(COLUMNS), NUMBERS, max_size=3),
)
FULL = st.sampled_from(
    [
        ("timestamp", "instrument_name", "price", "amount", "iv", "index_price", "trade_id"),
        ("ts_ms", "currency", "expiry_ms", "strike", "cp", "iv", "price", "forward", "index_price"),
        ("ts_ms", "market", "expiry_ms", "strike", "is_call", "forward", "iv", "kind"),
        ("instrument_name", "mark_iv", "underlying_price", "creation_timestamp", "bid_price"),
        ("symbol", "timestamp", "strike_price", "expiration", "mark_iv", "underlying_price", "bid_iv"),
        ("exchange", "symbol", "timestamp", "local_timestamp", "price", "amount", "id"),
        ("symbol", "timestamp", "datetime", "price", "amount", "info", "id"),
    ]
)
LAYOUTS = st.one_of(FULL, st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True).map(tuple))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def record_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    layout = draw(LAYOUTS)
    named = st.one_of(st.sampled_from(NAMES), VALUES)
    record = {name: named if name in ("instrument_name", "symbol") else VALUES for name in layout}
    return draw(st.lists(st.fixed_dictionaries(record), min_size=1, max_size=5))


def survives(content: bytes, desk_column: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape"
        path.write_bytes(content)
        try:
            tape = load_tape(path, desk_column=desk_column)
        except TapeError:
            return
        assert tape.read == len(tape.rows) + sum(tape.dropped.values())
        k, years = features(tape.rows)
        assert np.isfinite(k).all()
        assert (years > 0).all()
        assert tape.rows["iv"].between(0, 3, inclusive="neither").all()
        assert np.isfinite(tape.rows["amount"]).all()


@QUICK
@given(st.binary(max_size=400))
def test_bytes(content: bytes) -> None:
    survives(content)


@QUICK
@given(st.sampled_from([b"PAR1", b"\x1f\x8b\x08\x00", b"{", b"[{", b"a,b\n", b'"']), st.binary(max_size=200))
def test_bytes_that_begin_well(head: bytes, tail: bytes) -> None:
    survives(head + tail)


@QUICK
@given(record_lists(), st.booleans())
def test_json(records: list[dict[str, Any]], lines: bool) -> None:
    text = "\n".join(json.dumps(r) for r in records) if lines else json.dumps({"result": {"trades": records}})
    survives(text.encode())


@QUICK
@given(record_lists(), st.sampled_from([None, "desk"]), st.sampled_from([",", ";", "\t"]))
def test_csv(records: list[dict[str, Any]], desk_column: str | None, delimiter: str) -> None:
    frame = pd.DataFrame(records, dtype=object)
    survives(gzip.compress(frame.to_csv(index=False, sep=delimiter).encode("utf-8", "replace")), desk_column)


@QUICK
@given(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=9), st.text(max_size=300))
def test_csv_text_under_a_good_header(header: list[str], body: str) -> None:
    survives((",".join(header) + "\n" + body).encode("utf-8", "replace"))


@QUICK
@given(st.data())
def test_parquet_of_any_types(data: st.DataObject) -> None:
    layout = data.draw(FULL)
    rows = data.draw(st.integers(0, 4))
    kinds = (
        st.floats(),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.sampled_from(NAMES),
        st.datetimes(),
        st.lists(st.integers(0, 9), max_size=2),
    )
    columns = {}
    for name in layout:
        kind = data.draw(st.sampled_from(kinds))
        columns[name] = data.draw(st.lists(st.one_of(kind, st.none()), min_size=rows, max_size=rows))
    frame = pd.DataFrame(columns)
    sink = io.BytesIO()
    frame.to_parquet(sink)
    survives(sink.getvalue())
