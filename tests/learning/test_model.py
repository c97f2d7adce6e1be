"""The plug-in interface: specs travel exactly, and a model is found by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fedvol.errors import ConfigError
from fedvol.learning.model import ModelSpec, build
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_pillars import SsviPillars, ssvi_spec
from fedvol.protocol.vector import pack_model, unpack_model

SPEC = ssvi_spec()


def test_two_markets_on_the_default_pillars_take_32_weights():
    assert SPEC.dimension == 32
    assert SPEC.pillars[:2] == (86_400, 172_800)
    assert SPEC.pillar_years[-1] == 1.0


def test_a_spec_survives_json_and_every_field_enters_its_hash():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    others = [
        replace(SPEC, name="other"),
        replace(SPEC, markets=("ETH", "BTC")),
        replace(SPEC, pillars=SPEC.pillars[:-1]),
        replace(SPEC, fraction_bits=19),
        replace(SPEC, dimension=31),
    ]
    assert len({spec.hash() for spec in [SPEC, *others]}) == 6


def test_the_canonical_bytes_are_pinned():
    spec = ssvi_spec(("BTC",), (1, 10), 20)
    text = b'{"dimension":4,"fraction_bits":20,"markets":["BTC"],"name":"ssvi-pillars","pillars":[86400,864000]}'
    assert spec.canonical_bytes() == text


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"markets": ()},
        {"markets": ("BTC", "BTC")},
        {"markets": ("",)},
        {"pillars": ()},
        {"pillars": (0, 5)},
        {"pillars": (5, 5)},
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
        json.dumps({**json.loads(SPEC.to_json()), "dimension": "32"}),
        json.dumps({**json.loads(SPEC.to_json()), "pillars": [1.5]}),
    ],
)
def test_alien_json_is_refused(text):
    with pytest.raises(ConfigError):
        ModelSpec.from_json(text)


def test_build_finds_a_model_by_name_and_refuses_the_rest():
    assert isinstance(build(SPEC), SsviPillars)
    with pytest.raises(ConfigError, match="no model named 'net'"):
        build(replace(SPEC, name="net"))
    with pytest.raises(ConfigError, match="32"):
        build(replace(SPEC, dimension=33))


def test_initial_weights_travel_and_mean_sixty_percent_at_the_money():
    model = build(SPEC)
    weights = unpack_model(pack_model(model.initial_weights()), SPEC.dimension)
    vols = model.implied_vol(SPEC.to_float(weights), [[0], [1]], 0.0, [0.001, 0.1, 1.0, 2.0])
    np.testing.assert_allclose(vols, 0.6, atol=1e-6)
    put, call = model.implied_vol(SPEC.to_float(weights), 0, [-0.2, 0.2], 0.1)
    assert put > call


def test_fixed_point_rounds_to_nearest_and_saturates():
    assert SPEC.to_fixed([0.5 / SPEC.scale, 1.5 / SPEC.scale, 1e9, -1e9]).tolist() == [
        0,
        2,
        2**31 - 1,
        -(2**31),
    ]
    assert SPEC.to_float([1 << 20]).tolist() == [1.0]


@pytest.mark.parametrize("change", [{"steps": 0}, {"learning_rate": -1.0}, {"clip": float("nan")}])
def test_settings_that_mean_nothing_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        Settings(**change)
