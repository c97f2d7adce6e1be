"""Instrument names: what is an option, what is not, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvol.market.instrument import contracts, option_name, parse


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, 8, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("name", "market", "expiry", "strike", "is_call", "linear"),
    [
        ("BTC-7JUN19-8000-C", "BTC", at(2019, 6, 7), 8000.0, True, False),
        ("BTC-28FEB20-9750-P", "BTC", at(2020, 2, 28), 9750.0, False, False),
        ("XRP_USDC-30JUN23-0d625-C", "XRP", at(2023, 6, 30), 0.625, True, True),
        ("HYPE_USDC-1JUL26-62-P", "HYPE", at(2026, 7, 1), 62.0, False, True),
        ("BTC/USD:BTC-200228-9750-C", "BTC", at(2020, 2, 28), 9750.0, True, False),
        ("SOL/USDC:SOL-260925-0.5-P", "SOL", at(2026, 9, 25), 0.5, False, False),
        ("SOL/USDC:USDC-260925-78-C", "SOL", at(2026, 9, 25), 78.0, True, True),
    ],
)
def test_options(name: str, market: str, expiry: int, strike: float, is_call: bool, linear: bool) -> None:
    found = parse(name)
    assert (found.kind, found.market, found.expiry_ms, found.strike) == ("option", market, expiry, strike)
    assert (found.is_call, found.linear) == (is_call, linear)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BTC-25MAR23", "future"),
        ("BTC_USDC-25MAR23", "future"),
        ("BTC/USD:BTC-230325", "future"),
        ("BTC-PERPETUAL", "perpetual"),
        ("SOL_USDC-PERPETUAL", "perpetual"),
        ("BTC/USD:BTC", "perpetual"),
        ("BTC/USDC", "spot"),
        ("BTC_USDC", "spot"),
        ("BTC-CS-28FEB25-100000_106000", "combo"),
        ("BTC-PCAL-27JAN23_24FEB23-19000", "combo"),
        ("BTC-FS-28JUN24_PERP", "combo"),
        ("", "unknown"),
        ("nan", "unknown"),
        ("BTC-31FEB23-100-C", "unknown"),
        ("BTC-28FEB20-9750-X", "unknown"),
        ("BTC-28FEB20-9,750-C", "unknown"),
        ("BTC-٣FEB20-9750-C", "unknown"),
        ("BTC-28FEB20-9750-C\n", "unknown"),
    ],
)
def test_what_is_no_option(name: str, kind: str) -> None:
    assert parse(name).kind == kind


@given(
    market=st.from_regex(r"[A-Z][A-Z0-9]{1,7}", fullmatch=True),
    day=st.dates(min_value=datetime(2016, 1, 1).date(), max_value=datetime(2099, 12, 31).date()),
    ticks=st.integers(min_value=1, max_value=10**11),
    is_call=st.booleans(),
    linear=st.booleans(),
)
def test_a_name_written_is_a_name_read(market: str, day, ticks: int, is_call: bool, linear: bool) -> None:
    expiry, strike = at(day.year, day.month, day.day), ticks / 1000
    found = parse(option_name(market, expiry, strike, is_call, linear))
    assert (found.kind, found.market, found.expiry_ms) == ("option", market, expiry)
    assert (found.strike, found.is_call, found.linear) == (strike, is_call, linear)


@given(st.text())
def test_no_text_makes_the_parser_fail(text: str) -> None:
    assert parse(text).kind in ("option", "future", "perpetual", "combo", "spot", "unknown")


def test_contracts_of_a_column_keep_its_order_and_index() -> None:
    names = pd.Series(["BTC-PERPETUAL", "BTC-7JUN19-8000-C", None, 7, {"a": 1}], index=[9, 8, 7, 6, 5], dtype=object)
    terms = contracts(names)
    assert terms["kind"].tolist() == ["perpetual", "option", "unknown", "unknown", "unknown"]
    assert terms.index.tolist() == names.index.tolist()
    assert terms.loc[8, "strike"] == 8000.0
