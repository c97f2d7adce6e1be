"""The made-up market: right prices, six desks that share nothing, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from fedvol.market.bates import Bates
from fedvol.market.schema import TIDY, features
from fedvol.market.synthetic import DESKS, generate, write_parquet
from fedvol.market.tape import load_tape

MODEL = Bates(3.0, 0.3, 1.2, -0.3, 10.0, -0.03, 0.06)


def put_by_quadrature(forward: float, strike: float, variance: float, years: float) -> float:
    """Lewis (2001): call = F - sqrt(FK)/pi * integral of Re[exp(-iu ln(K/F)) phi(u - i/2)] / (u^2 + 1/4)."""
    log_strike = np.log(strike / forward)

    def integrand(u: float) -> float:
        phi = MODEL.characteristic(np.array([u - 0.5j]), variance, years)[0]
        return float(np.real(np.exp(-1j * u * log_strike) * phi)) / (u * u + 0.25)

    integral = quad(integrand, 0, np.inf, limit=2000, epsabs=1e-13, epsrel=1e-12)[0]
    return strike - np.sqrt(forward * strike) / np.pi * integral


@pytest.mark.parametrize("years", [1 / 365, 7 / 365, 0.25, 1.0])
def test_cosine_series_agrees_with_quadrature(years: float) -> None:
    strikes = np.exp(np.array([-1.5, -0.5, 0.0, 0.5, 1.5]) * 0.6 * np.sqrt(years))
    got = MODEL.put_price(1.0, strikes, 0.3, years)
    expected = [put_by_quadrature(1.0, float(k), 0.3, years) for k in strikes]
    assert got == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("years", [1 / 365, 1.0])
def test_the_forward_is_a_martingale(years: float) -> None:
    """E[F_T/F_0] = phi(-i) = 1: the drift of the jumps is paid for."""
    assert MODEL.characteristic(np.array([-1j]), 0.3, years)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.fixture(scope="module")
def tape() -> pd.DataFrame:
    return generate(seed=3)


def test_same_seed_same_tape(tape: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(generate(seed=3), tape)
    assert not generate(seed=4)["iv"].equals(tape["iv"])


def test_rows_are_tidy_and_finite(tape: pd.DataFrame) -> None:
    assert list(tape) == [*TIDY, "desk"]
    assert 2_000 < len(tape) < 5_000
    numbers = tape[["strike", "forward", "iv", "ask_iv", "amount"]].to_numpy()
    assert np.isfinite(numbers).all()
    assert (numbers > 0).all()
    k, years = features(tape)
    assert (years > 0).all()
    assert np.abs(k).max() < 3
    two_sided = tape.dropna(subset="bid_iv")
    assert (two_sided["bid_iv"] < two_sided["iv"]).all()
    assert (tape["iv"] < tape["ask_iv"]).all()
    assert 0 < len(two_sided) < len(tape)


@pytest.mark.parametrize("seed", [1, 2])
def test_six_desks_that_share_nothing(seed: int) -> None:
    tape = generate(seed)
    assert set(tape["desk"]) == set(DESKS)
    assert tape.groupby("desk").size().min() > 50
    days = features(tape)[1] * 365
    desk, btc = tape["desk"], tape["market"] == "BTC"
    assert btc[desk.str.startswith("btc")].all()
    assert not btc[desk.str.startswith("eth")].any()
    assert days[desk == "btc-short"].max() <= 7 < days[desk == "btc-mid"].min()
    assert days[desk == "btc-mid"].max() <= 35 < days[desk == "btc-long"].min()
    assert days[desk == "eth-short"].max() <= 14 < days[desk == "eth-long"].min()
    assert days[desk == "wings"].min() > 7


def test_a_storm_is_seen_in_the_vols() -> None:
    """Over two months of snapshots, weather moves the at-the-money vol by more than noise does."""
    tape = generate(seed=5, hours=24 * 60, snapshots=15)
    k, years = features(tape)
    near = tape[(np.abs(k) < 0.05) & (tape["market"] == "BTC") & (years < 40 / 365)]
    level = near.groupby(near["ts_ms"] // 3_600_000)["iv"].median()
    assert level.max() > 1.3 * level.min()


def test_it_comes_back_from_parquet_as_it_was(tape: pd.DataFrame, tmp_path) -> None:
    write_parquet(tape, tmp_path / "tape.parquet")
    loaded = load_tape(tmp_path / "tape.parquet", desk_column="desk")
    pd.testing.assert_frame_equal(loaded.rows, tape)
    assert loaded.dropped == {}
    assert [p.name for p in tmp_path.iterdir()] == ["tape.parquet"]
