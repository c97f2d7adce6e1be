"""The plug-in interface: specs travel exactly, and a model is found by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fedvol.errors import ConfigError
from fedvol.learning.model import ModelSpec, build
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import SsviMixture, mixture_spec
from fedvol.protocol.vector import pack_model, unpack_model

SPEC = mixture_spec()


def test_two_markets_on_thirteen_expiries_take_160_weights():
    assert SPEC.dimension == 160


def test_a_spec_survives_json_and_every_field_enters_its_hash():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    others = [
        replace(SPEC, name="other"),
        replace(SPEC, markets=("ETH", "BTC")),
        replace(SPEC, pillars=12),
        replace(SPEC, fraction_bits=19),
        replace(SPEC, dimension=31),
    ]
    assert len({spec.hash() for spec in [SPEC, *others]}) == 6


def test_the_canonical_bytes_are_pinned():
    spec = mixture_spec(("BTC",), 2, 20)
    text = b'{"dimension":14,"fraction_bits":20,"markets":["BTC"],"name":"ssvi-mixture","pillars":2}'
    assert spec.canonical_bytes() == text


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"markets": ()},
        {"markets": ("BTC", "BTC")},
        {"markets": ("",)},
        {"pillars": 0},
        {"pillars": 17},
        {"fraction_bits": 7},
        {"dimension": 0},
        {"dimension": 2049},
    ],
)
def test_nonsense_specs_are_refused(change):
    with pytest.raises(ConfigError):
        replace(SPEC, **change)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**json.loads(SPEC.to_json()), "extra": 1}),
        json.dumps({**json.loads(SPEC.to_json()), "dimension": "160"}),
        json.dumps({**json.loads(SPEC.to_json()), "pillars": 1.5}),
    ],
)
def test_alien_json_is_refused(text):
    with pytest.raises(ConfigError):
        ModelSpec.from_json(text)


def test_build_finds_a_model_by_name_and_refuses_the_rest():
    assert isinstance(build(SPEC), SsviMixture)
    with pytest.raises(ConfigError, match="no model named 'net'"):
        build(replace(SPEC, name="net"))
    with pytest.raises(ConfigError, match="160"):
        build(replace(SPEC, dimension=161))


def test_initial_weights_travel_and_mean_half_at_the_money():
    model = build(SPEC)
    weights = unpack_model(pack_model(model.initial_weights()), SPEC.dimension)
    vols = model.implied_vol(SPEC.to_float(weights), 0, [[0], [1]], 0.0, [3_600, 10**6, 3 * 10**7, 6 * 10**7])
    np.testing.assert_allclose(vols, 0.51, atol=0.01)
    put, call = model.implied_vol(SPEC.to_float(weights), 0, 0, [-0.2, 0.2], 10**7)
    assert put == pytest.approx(call)
    assert put > 0.515


def test_weights_are_carried_to_the_expiries_of_a_later_time():
    model = build(SPEC)
    weights = np.arange(SPEC.dimension)
    later = model.carry(weights, 1_780_000_000, 1_780_000_000 + 86_400)
    first, second = later.reshape(2, -1)
    assert first[:6].tolist() == list(range(6, 12))
    assert second[-2:].tolist() == [158, 159]
    assert model.carry(weights, 1_780_000_000, 1_780_000_000 + 60).tolist() == weights.tolist()


def test_fixed_point_rounds_to_nearest_and_saturates():
    assert SPEC.to_fixed([0.5 / SPEC.scale, 1.5 / SPEC.scale, 1e9, -1e9]).tolist() == [
        0,
        2,
        2**31 - 1,
        -(2**31),
    ]
    assert SPEC.to_float([1 << 20]).tolist() == [1.0]


@pytest.mark.parametrize("change", [{"steps": 0}, {"prior": -1.0}, {"clip": float("nan")}])
def test_settings_that_mean_nothing_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        Settings(**change)
