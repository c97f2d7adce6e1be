"""The agreed training: Python's integers against the circuit's, what the circuit refuses, and both against floats."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest
from tests.protocol.agreed_cases import (
    LIMITS,
    SALT,
    extreme_row,
    extreme_weights,
    inputs,
    opening,
    ordinary_row,
    ordinary_weights,
    step,
)
from tests.protocol.noir import CIRCUITS, Circuit, Refused, field, mutated, signed

from fedvol.errors import WireError
from fedvol.learning import chart
from fedvol.protocol import agreed, agreed_step, listing
from fedvol.protocol.agreed import UNIT, Limits, Round, Row, fill
from fedvol.protocol.agreed_tables import as_noir
from fedvol.protocol.black76 import YEAR

BLOCK = agreed.BLOCK


@pytest.fixture(scope="module")
def circuit():
    found = Circuit(CIRCUITS / "training_vectors")
    yield found
    found.close()


@pytest.fixture(scope="module")
def honest():
    """Slots, round and inputs that the circuit takes."""
    chance = random.Random("honest")
    at = opening(chance, ordinary_weights(chance))
    slots = fill([ordinary_row(chance, at) for _ in range(40)], LIMITS)
    return slots, at, step(slots, at)


def case(name: str):
    chance = random.Random(name)
    kind = name.rstrip("0123456789")
    at = opening(chance, extreme_weights(chance) if "extreme" in kind else ordinary_weights(chance))
    make = extreme_row if "extreme" in kind else ordinary_row
    rows = [make(chance, at) for _ in range(chance.randrange(65) if kind == "ordinary" else agreed.ROWS)]
    if "pillar" in kind:
        day = chance.choice(at.days)
        rows = [row._replace(market=0, day=day) for row in rows]
    if kind == "none":
        rows = []
    return fill(rows, LIMITS), at


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name",
    [
        "none",
        "unlisted",
        *(f"{kind}{i}" for kind in ("ordinary", "extreme", "pillar", "extreme pillar") for i in (1, 2, 3)),
    ],
)
def test_circuit_and_python_make_the_same_lanes(circuit, name):
    slots, at = case(name)
    if name == "unlisted":
        slots = [row._replace(day=at.days[3] + 1, market=1) if row.weight else row for row in slots]
    p, h, moves = step(slots, at)
    found = circuit.run(inputs(slots, at, moves))
    assert [signed(one) for one in found[0]] == p
    assert [signed(one) for one in found[1]] == h
    assert any(h) == (name not in ("none", "unlisted"))


@pytest.mark.timeout(300)
def test_another_prior_huber_and_vol_count(circuit, honest):
    slots, at, (p, _, _) = honest
    limits = Limits(prior=5000, huber=3000, most_vol=5 * UNIT)
    other, h, moves = step(slots, at, limits)
    assert other != p
    assert [signed(one) for one in circuit.run(inputs(slots, at, moves, limits))[1]] == h


def test_moves_hold_to_a_fraction_of_a_weights_last_place(circuit, honest):
    slots, at, (_, _, moves) = honest
    circuit.run(inputs(slots, at, moves))
    for by in (1 << 40, -(1 << 40)):  # one place of a weight
        for i in (0, 77, 78, 155):
            with pytest.raises(Refused):
                circuit.run(inputs(slots, at, [move + by * (j == i) for j, move in enumerate(moves)]))


TAMPERED = {
    "vol below": lambda row: row._replace(vol=LIMITS.least_vol - 1),
    "vol above": lambda row: row._replace(vol=LIMITS.most_vol + 1),
    "strike too far": lambda row: row._replace(k=LIMITS.most_k + 1),
    "strike too far left": lambda row: row._replace(k=-LIMITS.most_k - 1),
    "more than a whole row": lambda row: row._replace(weight=(1 << 16) + 1),
    "negative weight": lambda row: row._replace(weight=-1),
    "day of 17 bits": lambda row: row._replace(market=1, day=1 << 16),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_rows_outside_the_limits_are_refused(circuit, honest, name):
    slots, at, _ = honest
    tampered = [*slots[:-1], TAMPERED[name](slots[-1])]
    _, _, moves = step(tampered, at)
    with pytest.raises(Refused):
        circuit.run(inputs(tampered, at, moves))


def test_limits_hold_to_the_last_unit(circuit, honest):
    slots, at, _ = honest
    edge = slots[-1]._replace(vol=LIMITS.most_vol, k=-LIMITS.most_k, weight=1 << 16)
    tampered = [*slots[:-1], edge]
    _, h, moves = step(tampered, at)
    assert [signed(one) for one in circuit.run(inputs(tampered, at, moves))[1]] == h


def test_rows_out_of_order_are_refused(circuit, honest):
    slots, at, _ = honest
    last = [
        slots[-1]._replace(market=1, day=day) for day in (60_000, 60_001)
    ]  # of no listed expiry: nothing else minds
    ordered = [*slots[:-2], *last]
    _, h, moves = step(ordered, at)
    assert [signed(one) for one in circuit.run(inputs(ordered, at, moves))[1]] == h
    with pytest.raises(Refused):
        circuit.run(inputs([*slots[:-2], *last[::-1]], at, moves))


@pytest.mark.parametrize("change", ["salt", "root", "as_of", "day", "weight of the model", "prior"])
def test_another_statement_is_refused(circuit, honest, change):
    slots, at, (_, _, moves) = honest
    told = inputs(slots, at, moves)
    place, by = {
        "root": (0, 1),
        "as_of": (1, 60),
        "day": (2, 1 << 192),
        "weight of the model": (4, 99),
        "prior": (3, 1 << 96),
    }.get(change, (0, 0))
    told["statement"][place] = field(int(told["statement"][place], 16) + by)
    if change == "salt":
        told["salt"] = field(SALT + 1)
    with pytest.raises(Refused):
        circuit.run(told)


ARITHMETIC = """
use fedvol::fixed::{least, quotient, root, shift, shift_signed};

fn main(x: Field, y: Field) -> pub [Field; 5] {
    [shift::<8, 20>(x), shift_signed::<8, 20>(0 - x), quotient::<20, 10>(x, y), root::<20>(x, 1), least::<30>(x, y)]
}
"""
SHIFT_HINT = "(upper >> ((by % 8) as u128)) as Field"
QUOTIENT_HINT = "(x as u128 / d as u128) as Field"
LIES = {
    "a shift up": (SHIFT_HINT, SHIFT_HINT + " + 1"),
    "a shift down": (SHIFT_HINT, SHIFT_HINT + " - 1"),
    "a quotient up": (QUOTIENT_HINT, QUOTIENT_HINT + " + 1"),
    "a quotient down": (QUOTIENT_HINT, QUOTIENT_HINT + " - 1"),
    "a root up": ("        found as Field\n", "        found as Field + 1\n"),
    "a root down": ("        found as Field\n", "        found as Field - 1\n"),
    "a comparison": ("(x as u128) < (y as u128)", "(x as u128) >= (y as u128)"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lie", [None, *LIES])
def test_wrong_proposals_of_quotients_and_roots_are_refused(tmp_path, lie):
    package = mutated("training_vectors", tmp_path, "fixed.nr", *([LIES[lie]] if lie else []))
    (package / "src/main.nr").write_text(ARITHMETIC)
    circuit = Circuit(package)
    told = {"x": "100000", "y": "1000"}
    if lie is None:
        assert [signed(one) for one in circuit.run(told)] == [390, -391, 100, 316, 1000]
    else:
        with pytest.raises(Refused):
            circuit.run(told)
    circuit.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("file", "honest_line", "lie"),
    [
        (
            "surface.nr",
            "let found: [Field; N] = unsafe { digits_hint(word, WIDTH) };",
            "let mut found: [Field; N] = unsafe { digits_hint(word, WIDTH) };\n"
            "found[0] += power::<WIDTH>();\nfound[1] -= 1;",
        ),
        ("misfit.nr", "(x as u32 / width) as u8", "(x as u32 / width - 1) as u8"),
        ("equations.nr", "            found = i as u8;", "            found = i as u8 - 1;"),
    ],
)
def test_wrong_proposals_of_digits_cells_and_places_are_refused(honest, tmp_path, file, honest_line, lie):
    slots, at, (_, _, moves) = honest
    circuit = Circuit(mutated("training_vectors", tmp_path, file, (honest_line, lie)))
    with pytest.raises(Refused):
        circuit.run(inputs(slots, at, moves))
    circuit.close()


def test_the_root_binds_every_field_and_the_salt(honest):
    slots, _, _ = honest
    root = agreed.root(slots, SALT)
    row = slots[50]
    others = [
        row._replace(**{name: value})
        for name, value in (
            ("market", 1 - row.market),
            ("day", row.day + 1),
            ("k", row.k + 1),
            ("k", -row.k),
            ("vol", row.vol + 1),
            ("weight", row.weight - 1),
        )
    ]
    roots = [agreed.root([*slots[:50], other, *slots[51:]], SALT) for other in others]
    assert len({root, agreed.root(slots, SALT + 1), *roots}) == len(others) + 2


def test_rows_pack_apart():
    wide = Row(1, (1 << 16) - 1, -(1 << 23) + 1, (1 << 23) - 1, 1 << 16)
    fields = [Row(1, 0, 0, 0, 0), Row(0, wide.day, 0, 0, 0), Row(0, 0, wide.k, 0, 0), Row(0, 0, 0, wide.vol, 0)]
    packed = [row.packed for row in (*fields, Row(0, 0, 0, 0, wide.weight))]
    assert sum(packed) == wide.packed
    assert all(a & b == 0 for i, a in enumerate(packed) for b in packed[:i])


def test_more_rows_than_slots_or_rows_outside_limits_are_not_filled():
    row = Row(0, 20_000, 0, UNIT // 2, 1)
    assert len(fill([row], LIMITS)) == agreed.ROWS
    for bad in ([row] * 65, [row._replace(weight=0)], [row._replace(vol=1)], [row._replace(k=9 * UNIT)]):
        with pytest.raises(WireError):
            fill(bad, LIMITS)
    for limits in (Limits(prior=63), Limits(huber=0), Limits(most_vol=1 << 23), Limits(least_vol=1)):
        with pytest.raises(WireError):
            fill([], limits)


def test_the_documented_vector():
    page = (CIRCUITS.parent / "docs/agreed-training.md").read_text()
    vector = json.loads(page.split("```json\n")[1].split("```")[0])
    given = vector["given"]
    days = [expiry // listing.DAY for expiry in listing.expiries(given["as_of"], agreed.PILLARS)]
    at = Round(given["as_of"], days, 2 * [*13 * given["pillar"], 2 * UNIT, 0])
    slots = fill([Row(*row) for row in given["rows"]], LIMITS)
    p, h, _ = step(slots, at)
    assert vector["gives"] == {
        "statement": [str(one) for one in agreed.training_inputs(agreed.root(slots, given["salt"]), at, LIMITS)[:5]],
        "p": p[:6],
        "h": h[:6],
        "lanes": hashlib.sha256(json.dumps([p, h]).encode()).hexdigest(),
    }


def test_noir_has_the_same_tables():
    assert (CIRCUITS / "lib/src/tables.nr").read_text() == as_noir()


def test_misfits_and_slopes_are_the_float_charts(honest):
    """Within 0.05 vol points and 2% of a slope's scale, for rows up to 2.5 deviations out and vols near the model's."""
    _, at, _ = honest
    chance = np.random.default_rng(7)
    # Wings alike everywhere: no pillar's weights are held by a neighbour's.
    one = np.tile([0.5, 0.5, 0.8, 0.7, 0.5, 0.8], (13, 1))
    tenors = np.array(at.tenors) / YEAR
    floats = chart.chart(one.reshape(1, 13, 2, 3), tenors)
    weights = [*(int(x) for x in np.rint(one * UNIT).ravel()), 0, 0]
    places = agreed_step.chart_weights(weights, at.tenors)
    for j, tenor in enumerate(at.tenors):
        z = chance.uniform(-2.5, 2.5, 20)
        k = z * 0.5 * np.sqrt(tenor / YEAR)
        where = chart.Place(np.zeros(20, dtype=np.int64), k, np.full(20, tenor / YEAR), np.full(20, tenor / YEAR))
        vols, slopes = chart.vols_and_slopes(floats, where)
        for i in range(20):
            row = Row(0, 1, round(k[i] * UNIT), round(vols[i] * UNIT), 1)
            miss, own = agreed_step.misfit(row, places[j], agreed_step._time(tenor))
            scale = [v if lane else UNIT for v in (places[j][0].v, places[j][1].v) for lane in range(3)]
            found = np.array(own) * scale / UNIT**2
            assert abs(miss) < 0.0005 * UNIT
            np.testing.assert_allclose(found, slopes[i, j].ravel(), atol=0.02)


def test_the_solution_is_that_of_the_normal_equations(honest):
    slots, at, (_, _, moves) = honest
    weights = at.block(0)
    places = agreed_step.chart_weights(weights, at.tenors)
    found = [
        agreed_step._pillar(
            [row for row in slots if (row.market, row.day) == (0, day)], places[j], agreed_step._time(tenor), LIMITS
        )
        for j, (day, tenor) in enumerate(zip(at.days, at.tenors, strict=True))
    ]
    rows, right = agreed_step._system(found, weights, agreed_step.coupling(at.tenors), LIMITS.prior)
    matrix = np.array([[row.get(k, 0) for k in range(78)] for row in rows], dtype=float)
    np.testing.assert_array_equal(matrix, matrix.T)
    wanted = np.linalg.solve(matrix / 2**20, np.array(right, dtype=float) / 2**40)
    np.testing.assert_allclose(np.array(moves[:78], dtype=float) / 2**60, wanted, rtol=1e-6, atol=1e-9)
