"""Every real record that venues handed out loads, with the counts that were counted by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.realdata import REAL, needs_real_data

from fedvol.errors import TapeError
from fedvol.market.schema import TIDY, features
from fedvol.market.tape import Tape, load_tape

pytestmark = needs_real_data

# file -> format, records, usable rows, what was dropped
FILES = {
    "formats/ccxt_trades_recast.json": ("ccxt trades", 30, 30, {}),
    "formats/deribit_book_summary_btc_option_real.json": ("Deribit book summary", 5, 5, {}),
    "formats/deribit_public_trades_2020_real.json": ("Deribit trades", 60, 60, {}),
    "formats/deribit_trades_2022_renamed_with_duplicates_real.csv": (
        "Deribit trades",
        458,
        195,
        {"duplicate trade_id": 263},
    ),
    "formats/deribit_trades_2024_csv_real.csv": ("Deribit trades", 200, 195, {"duplicate trade_id": 5}),
    "formats/sol_hype_trades_real.csv": ("table of trades or quotes", 200, 200, {}),
    "formats/tardis_options_chain_real_values.csv": ("Tardis options_chain", 400, 400, {}),
    "formats/tardis_trades_recast.csv": (
        "Tardis trades",
        200,
        41,
        {"no forward": 158, "price allows no vol": 1},
    ),
    "dev_quotes.parquet": ("table of trades or quotes", 231_581, 231_581, {}),
    "dev_trades.parquet": ("table of trades or quotes", 26_778, 26_778, {}),
}


@pytest.fixture(scope="module")
def tapes() -> dict[str, Tape]:
    assert REAL is not None
    return {name: load_tape(REAL / name) for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_counts_reconcile(tapes: dict[str, Tape], name: str) -> None:
    tape = tapes[name]
    assert (tape.format, tape.read, len(tape.rows), tape.dropped) == FILES[name]
    assert tape.read == len(tape.rows) + sum(tape.dropped.values())


@pytest.mark.parametrize("name", FILES)
def test_rows_are_tidy(tapes: dict[str, Tape], name: str) -> None:
    rows = tapes[name].rows
    assert list(rows) == list(TIDY)
    assert rows["ts_ms"].is_monotonic_increasing
    k, years = features(rows)
    assert np.isfinite(k).all()
    assert (np.abs(k) < 3).all()
    assert (years > 0).all()
    assert rows["iv"].between(0.05, 3.0).all()
    assert rows["amount"].ge(0).all()


def test_vols_in_percent_and_in_fractions_come_out_alike(tapes: dict[str, Tape]) -> None:
    percent = tapes["formats/sol_hype_trades_real.csv"].rows["iv"].median()
    fraction = tapes["dev_trades.parquet"].rows["iv"].median()
    assert 0.3 < fraction < 1.5
    assert 0.3 < percent < 1.5


def test_forwards_of_linear_trades_lie_near_the_index(tapes: dict[str, Tape]) -> None:
    import pandas as pd

    assert REAL is not None
    raw = pd.read_parquet(REAL / "dev_trades.parquet", columns=["trade_id", "index_price"])
    rows = tapes["dev_trades.parquet"].rows.merge(raw, on="trade_id")
    basis = np.log(rows["forward"] / rows["index_price"])
    assert abs(basis.median()) < 1e-3
    assert basis.abs().quantile(0.999) < 0.03


def test_vols_inverted_from_prices_agree_with_the_venues_own(tapes: dict[str, Tape]) -> None:
    """The Tardis file holds trades without vols; 15 of its usable ones are also in the file with vols."""
    blind = tapes["formats/tardis_trades_recast.csv"].rows
    seen = tapes["formats/deribit_trades_2022_renamed_with_duplicates_real.csv"].rows
    both = blind.merge(seen, on="trade_id", suffixes=("", "_venue"))
    assert len(both) == 15
    assert (both["iv"] - both["iv_venue"]).abs().max() < 0.025


def test_the_name_wins_over_a_damaged_strike_column(tapes: dict[str, Tape]) -> None:
    assert (tapes["formats/deribit_trades_2024_csv_real.csv"].rows["strike"] == 70_000.0).all()


def test_missing_bids_are_nan_and_the_rows_stay(tapes: dict[str, Tape]) -> None:
    rows = tapes["formats/tardis_options_chain_real_values.csv"].rows
    assert int(rows["bid_iv"].isna().sum()) == 19
    assert int(rows["ask_iv"].isna().sum()) == 4


def test_a_list_of_instruments_is_no_tape() -> None:
    assert REAL is not None
    with pytest.raises(TapeError, match="no vols or option prices"):
        load_tape(REAL / "formats/deribit_get_instruments_btc_option_real.json")


def test_a_folder_is_one_tape_and_duplicates_across_files_go(tmp_path) -> None:
    assert REAL is not None
    names = ("deribit_public_trades_2020_real.json", "ccxt_trades_recast.json")
    for name in names:
        (tmp_path / name).write_bytes((REAL / "formats" / name).read_bytes())
    tape = load_tape(tmp_path)
    assert (tape.read, len(tape.rows), tape.dropped) == (90, 60, {"duplicate trade_id": 30})
    assert tape.format == "ccxt trades + Deribit trades"


def test_one_desk_of_six() -> None:
    assert REAL is not None
    tape = load_tape(REAL / "dev_quotes.parquet", desk_column="participant", desk="1")
    assert (len(tape.rows), tape.dropped) == (18_024, {"another desk's": 231_581 - 18_024})
    assert set(tape.rows["desk"]) == {"1"}


def test_a_quarter_of_a_million_rows_load_in_seconds() -> None:
    assert REAL is not None
    began = time.perf_counter()
    load_tape(REAL / "dev_quotes.parquet")
    assert time.perf_counter() - began < 10  # about 1 s alone on one core
