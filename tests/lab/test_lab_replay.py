"""The replay: what it reports is true on a tape whose truth is known, and on real quotes it earns the README's
claim."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.realdata import REAL, needs_real_data
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.errors import TapeError
from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.lab.replay.baselines import Smiles
from fedvol.lab.replay.replay import OTHERS, replay
from fedvol.lab.replay.snapshots import snapshots
from fedvol.lab.replay.terms import BURN, MASKED, PLAIN, Plan, clusters
from fedvol.learning.model import Opening, build
from fedvol.learning.rows import Rows
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import generate, write_parquet
from fedvol.market.tape import load_tape

MARKETS = ("BTC", "ETH")
SHOWN = {"same", "next", "next_index", "n", "violations"}


def quiet(_name: str, _share: float) -> None:
    pass


def test_a_synthetic_tape_is_replayed_and_written(tape, tmp_path):
    done = CliRunner().invoke(app, ["lab", "replay", "--tape", str(tape), "--out", str(tmp_path), "--workers", "1"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["methods"]) == {PLAIN, MASKED, *OTHERS, "local_mean"}
    for entry in report["methods"].values():
        assert set(entry) >= SHOWN
        assert entry["n"] > 0
    found = {name: entry["same"] for name, entry in report["methods"].items()}
    assert found["federated"] < 0.5 * min(found["flat"], found["local_mean"])
    assert found["federated_masked"] == pytest.approx(found["federated"], abs=0.01)
    assert found["lag_quadratic"] is None
    assert report["violations"] == 0
    assert len(report["gains"]) == len(report["desks"]) == 6
    assert "federated" in done.output


def test_no_method_sees_what_it_is_judged_by(tape):
    """Held rows replaced by nonsense change no version and no vol index."""
    rows = load_tape(tape, "desk").rows
    desks = sorted(rows["desk"].unique())
    honest = snapshots(rows, MARKETS, desks, 6, 6.0)
    model = build(mixture_spec())
    weights = Nodes(model, 6).round(model.initial_weights(), Opening(honest[0].as_of), honest[0].desks)
    from fedvol.market.holdout import split_holdout

    train, held = split_holdout(rows)
    spoiled = pd.concat([train, held.assign(iv=2.5)]).sort_values("ts_ms", kind="stable", ignore_index=True)
    other = snapshots(spoiled, MARKETS, desks, 6, 6.0)
    again = Nodes(model, 6).round(model.initial_weights(), Opening(other[0].as_of), other[0].desks)
    assert weights.tolist() == again.tolist()
    np.testing.assert_array_equal(honest[0].vol_index, other[0].vol_index)
    assert set(other[0].held.iv) == {2.5}


def test_masks_change_no_bit_of_a_round(tape):
    rows = load_tape(tape, "desk").rows
    one = snapshots(rows, MARKETS, sorted(rows["desk"].unique()), 6, 6.0)[0]
    model, opening = build(mixture_spec()), Opening(one.as_of)
    start = model.initial_weights()
    plain, masked, other = (Nodes(model, 6, cluster_size=m).round(start, opening, one.desks) for m in (1, 3, 6))
    assert plain.tolist() == masked.tolist() == other.tolist()
    assert plain.tolist() != start.tolist()


def test_a_cluster_of_too_few_with_rows_is_void(tape):
    rows = load_tape(tape, "desk").rows
    one = snapshots(rows, MARKETS, sorted(rows["desk"].unique()), 6, 6.0)[0]
    model, nothing = build(mixture_spec()), one.desks[0].select(np.array([], dtype=np.int64))
    desks = [one.desks[0], nothing, nothing, *one.desks[3:]]
    model_of = Nodes(model, 6, cluster_size=3).round(model.initial_weights(), Opening(one.as_of), desks)
    only = Nodes(model, 6).round(model.initial_weights(), Opening(one.as_of), [nothing] * 3 + list(one.desks[3:]))
    assert model_of.tolist() == only.tolist()


def test_rows_of_a_desk_are_dealt_among_its_nodes(tape):
    rows = load_tape(tape, "desk").rows
    desks = sorted(rows["desk"].unique())
    few, many = (snapshots(rows, MARKETS, desks, nodes, 6.0)[0] for nodes in (6, 13))
    assert sum(map(len, many.desks)) == sum(map(len, few.desks)) == len(few.pooled)
    assert [len(a) for a in few.desks[1:]] == [len(many.desks[i]) + len(many.desks[i + 6]) for i in range(1, 6)]
    with pytest.raises(TapeError, match="5 nodes"):
        snapshots(rows, MARKETS, desks, 5, 6.0)


@pytest.mark.parametrize(
    ("desks", "nodes", "size", "expected"),
    [(6, None, None, (6, 3)), (5, None, None, (5, 5)), (2, None, None, (3, 3)), (17, None, None, (18, 3)),
     (6, 8, 4, (8, 4)), (6, None, 4, (8, 4))],
)  # fmt: skip
def test_clusters_hold_every_node(desks, nodes, size, expected):
    assert clusters(Plan(Path("tape"), "desk", nodes, size), desks) == expected


def test_clusters_that_do_not_fit_are_refused():
    with pytest.raises(TapeError, match="7 nodes do not fill clusters of 3"):
        clusters(Plan(Path("tape"), "desk", 7, 3), 6)


def test_options_that_expire_within_a_snapshot_are_left_out(tape):
    rows = load_tape(tape, "desk").rows
    last = rows["ts_ms"].max()
    short = rows.tail(40).assign(expiry_ms=last - 1, ts_ms=last - 60_000)
    both = pd.concat([rows, short]).sort_values("ts_ms", kind="stable", ignore_index=True)
    desks = sorted(rows["desk"].unique())
    with_them, without = (snapshots(frame, MARKETS, desks, 6, 6.0)[-1] for frame in (both, rows))
    assert (with_them.as_of, len(with_them.pooled)) == (without.as_of, len(without.pooled))
    assert np.isfinite(with_them.held.T).all()
    assert (with_them.held.expiry > with_them.as_of).all()


def test_a_tape_of_one_desk_or_a_moment_is_refused(tape, tmp_path):
    with pytest.raises(TapeError, match="has no column"):
        replay(Plan(tape, "nobody"), 1, quiet)
    short = tmp_path / "short.parquet"
    write_parquet(generate(seed=4, hours=6, snapshots=2), short)
    with pytest.raises(TapeError, match=f"At least {BURN + 2}"):
        replay(Plan(short, "desk"), 1, quiet)


def test_svi_and_quadratics_find_their_own_smiles():
    k = np.linspace(-0.4, 0.4, 15)
    T, a, b, rho, m, sigma = 0.1, 0.01, 0.06, -0.3, 0.02, 0.1
    svi = np.sqrt((a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))) / T)
    for kind, iv in (("svi", svi), ("quadratic", 0.4 - 0.1 * k + 0.5 * k * k)):
        n = len(k)
        rows = Rows(np.zeros(n, dtype=np.int64), k, np.full(n, T), np.full(n, 10**9), iv, np.ones(n))
        np.testing.assert_allclose(Smiles(kind, rows).vols(rows), iv, atol=2e-4)


@needs_real_data
@pytest.mark.parametrize(
    ("first", "last", "most"), [("2026-05-10", "2026-05-13", 0.5), ("2026-02-27", "2026-03-02", 0.75)]
)
def test_six_desks_that_share_no_row_beat_svi_on_everybodys_rows(tmp_path, first, last, most):
    quotes = pd.read_parquet(REAL / "dev_quotes.parquet")
    moment = pd.to_datetime(quotes["ts_ms"], unit="ms")
    path = tmp_path / "week.parquet"
    quotes[(moment >= first) & (moment < last)].to_parquet(path)
    report = replay(Plan(path, "participant"), 2, quiet)
    found = report["methods"]
    assert found["federated"]["same"] < most
    assert found["federated"]["same"] < 0.75 * found["pooled_svi"]["same"]
    assert found["federated"]["same"] < 0.75 * found["pooled_quadratic"]["same"]
    assert found["federated"]["same"] < 1.4 * found["central"]["same"]
    assert found["federated"]["same"] < 0.2 * found["local_mean"]["same"]
    assert abs(found["federated_masked"]["same"] - found["federated"]["same"]) < 0.01
    for index in ("next", "next_index"):
        assert found["federated"][index] < found["lag_quadratic"]["next"]
    assert found["federated"]["next_index"] < 0.9 * found["federated"]["next"]
    assert report["violations"] == 0
    assert all(gain["joint"]["market"] < gain["alone"]["market"] for gain in report["gains"])


def test_the_lab_combines_as_the_founders_plan_says():
    import tomllib

    root = Path(__file__).resolve().parents[2]
    plan = tomllib.loads((root / "federations" / "local.toml").read_text())
    assert plan["rule"]["kind"] == "mean"
    assert PLAN_RULE.weighted is plan["rule"]["weighted"] is True
    assert (PLAN_RULE.weight_cap, PLAN_RULE.weight_shift) == (plan["rule"]["weight_cap"], plan["rule"]["weight_shift"])
    assert (PLAN_RULE.clamp, PLAN_RULE.step) == (plan["rounds"]["clamp"], plan["rounds"]["step"])
