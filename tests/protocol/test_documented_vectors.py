"""The test vectors of docs/protocol.md, recomputed with the Python twins: the page cannot rot.

A vector is a fenced json block {"vector": kind, "given": …, "gives": …}. Bytes are 0x-hex; integers that a JSON reader
may not hold exactly are decimal strings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fedvol.market.holdout import row_hash, split_holdout
from fedvol.protocol import (
    black76,
    cluster,
    fixedpoint,
    grumpkin,
    listing,
    mask,
    mixture,
    poseidon2,
    rule,
    ssvi,
    surface,
    vector,
)
from fedvol.protocol.commitment import COMMIT_TYPEHASH, RoundId, commitment, round_seed
from fedvol.protocol.seat import seat
from fedvol.storage.cid import cid_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
VECTORS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
SPECIFIED_IN = ("IFederation", "IModelRegistry", "IStakeVault")


def octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def shown(data: bytes) -> str:
    return f"0x{data.hex()}"


def content_id(data: str) -> dict[str, str]:
    digest = vector.content_id(octets(data))
    return {"content_id": shown(digest), "cid": cid_of(digest)}


def pack_update(update: list[int]) -> dict[str, str]:
    return {"bytes": shown(vector.pack_update(update))}


def unpack_update(data: str, dimension: int) -> dict[str, list[int]]:
    return {"update": vector.unpack_update(octets(data), dimension).tolist()}


def pack_model(weights: list[int]) -> dict[str, str]:
    return {"bytes": shown(vector.pack_model(weights))}


def seed_of(block_hash: str, federation: str, round_number: int) -> dict[str, str]:
    return {"seed": str(round_seed(octets(block_hash), federation, round_number))}


def seats(seed: str, members: int, selected: int) -> dict[str, Any]:
    return {"seats": [seat(int(seed), i, members) for i in range(members)], "lead_seat": int(seed) % selected}


def commit_hash(
    chain_id: int, federation: str, round_number: int, seed: str, node: str, content_id: str, annex: str, salt: str
) -> dict[str, str]:
    where = RoundId(chain_id, federation, round_number, int(seed))
    first_bits = commitment(where, node, octets(content_id), octets(salt), octets(annex))
    return {"typehash": shown(COMMIT_TYPEHASH), "commitment": f"0x{first_bits:052x}"}


def combining_rule(
    model: list[int], moves: list[list[int]], weights: list[list[int]] | None = None, **how: Any
) -> dict[str, Any]:
    kind = rule.RuleKind[how.pop("rule")]
    lanes = None if weights is None else np.array(weights)
    made = rule.Rule(kind, weighted=weights is not None, **how)
    moved = rule.combine(made, np.array(model), np.array(moves), lanes)
    return {"model": moved.tolist(), "largest_move": rule.largest_move(made.clamp, made.step)}


def weighted_vector(moves: list[int], weights: list[int]) -> dict[str, Any]:
    return {"bytes": shown(vector.pack_weighted(moves, weights))}


def hash_of_row(share: float, **row: Any) -> dict[str, Any]:
    frame = pd.DataFrame([row])
    return {"hash": f"0x{int(row_hash(frame)[0]):016x}", "held_out": len(split_holdout(frame, share)[1]) == 1}


def constants() -> dict[str, Any]:
    numbers = {name: getattr(fixedpoint, name) for name in ("LN2", "INV_LN2", "INV_SQRT_2PI", "SQRT2_Q64")}
    rows = {name: getattr(fixedpoint, name) for name in ("LN_P", "LN_Q", "EXP_P", "EXP_Q", "MILLS_P", "MILLS_Q")}
    numbers |= {"MOST_SLOPE": surface.MOST_SLOPE, "MOST_SHOCK": surface.MOST_SHOCK}
    return {name: str(value) for name, value in numbers.items()} | {
        name: [str(value) for value in row] for name, row in rows.items()
    }


def functions(sqrt: str, ln_ratio: list[str], exp: str, mills: str) -> dict[str, str]:
    return {
        "sqrt": str(fixedpoint.sqrt(int(sqrt))),
        "ln_ratio": str(fixedpoint.ln_ratio(*(int(number) for number in ln_ratio))),
        "exp": str(fixedpoint.exp(int(exp))),
        "mills": str(fixedpoint.mills(int(mills))),
    }


def expiries(as_of: int, count: int) -> dict[str, list[int]]:
    return {"expiries": listing.expiries(as_of, count)}


def carry(
    weights: list[int], markets: int, pillars: int, width: int, tail: int, before: int, later: int
) -> dict[str, list[int]]:
    carried = listing.carry(np.array(weights), markets, pillars, width, tail, before, later)
    return {"weights": carried.tolist()}


def chart(weights: list[int], tenors: list[int], fraction_bits: int) -> dict[str, Any]:
    slices = surface.chart(weights, tenors, fraction_bits)
    packed = [pillar.theta << 56 | pillar.p << 28 | pillar.c for both in zip(*slices, strict=True) for pillar in both]
    return {"slices": slices_as_lists(slices), "packed": f"0x{''.join(f'{pillar:024x}' for pillar in packed)}"}


def slices_as_lists(slices: list[list[surface.Pillar]]) -> list[list[list[int]]]:
    return [[list(pillar) for pillar in pillars] for pillars in slices]


def clock(betas: list[int], fraction_bits: int, moves: list[list[str]], tenors: list[int]) -> dict[str, Any]:
    g = surface.shock(betas, fraction_bits, [(int(now), int(then)) for now, then in moves])
    return {"g": str(g), "moments": [str(surface.moment_of(tenor, g)) for tenor in tenors]}


def deviation(variances: list[str], k: str) -> dict[str, str]:
    return {"deviation": str(mixture.deviation(*(int(variance) for variance in variances), int(k)))}


def quote(
    slices: list[list[list[int]]], tenors: list[int], g: str, tenor: int, elapsed: int, forward: str, strike: str
) -> dict[str, Any]:
    """As `PricingEngine` composes the libraries."""
    moment, left = surface.moment_of(tenor, int(g)), tenor - elapsed
    k = fixedpoint.ln_ratio(int(strike), int(forward))
    at = [surface.slice_at([surface.Pillar(*row) for row in rows], tenors, moment) for rows in slices]
    variances = [ssvi.total_variance(slice_, k) * left // tenor for slice_ in at]
    dev = mixture.deviation(*variances, k)
    sigma = fixedpoint.sqrt(dev * dev * black76.YEAR // left)
    terms = black76.terms(int(forward), int(strike), k, dev)
    greeks = black76.greeks(int(forward), terms.density, dev, sigma, left)
    found = {
        "k": k,
        "moment": moment,
        "deviation": dev,
        "sigma": sigma,
        "density": terms.density,
        "quote": {
            "iv": _wad(sigma),
            "call": terms.call,
            "put": terms.put,
            "delta": _wad(terms.delta),
            **greeks._asdict(),
        },
    }
    rows = [[str(x) for x in slice_] for slice_ in at]
    return {"slices": rows, "variances": [str(variance) for variance in variances]} | _as_text(found)


def _wad(x: int) -> int:
    return x * black76.WAD >> fixedpoint.SCALE


def _as_text(found: dict[str, Any]) -> dict[str, Any]:
    return {key: _as_text(value) if isinstance(value, dict) else str(value) for key, value in found.items()}


def permute(state: list[str]) -> dict[str, Any]:
    return {"state": [_word(x) for x in poseidon2.permute(tuple(map(int, state)))]}


def mask_words(key: str, count: int) -> dict[str, Any]:
    return {"words": [_word(x) for x in poseidon2.mask_words(int(key), count)]}


def pair_key(
    secret: str,
    peer: list[str],
    chain_id: int,
    federation: str,
    round_number: int,
    seed: str,
    seat: int,
    peer_seat: int,
) -> dict[str, Any]:
    where = RoundId(chain_id, federation, round_number, int(seed))
    key = mask.pair_key(int(secret), tuple(int(c, 16) for c in peer), where, seat, peer_seat)
    public = [_word(c) for c in grumpkin.public_key(int(secret))]
    return {"public": public, "context": _word(mask.context(where)), "key": _word(key)}


def annex(self_key: str, pair_keys: list[str], place: int, missing: list[int]) -> dict[str, Any]:
    own, pairs, gone = int(self_key), [int(k) for k in pair_keys], sum(1 << j for j in missing)
    opened = mask.opening(own, pairs, place, gone)
    assert mask.annex_of(opened, gone, len(pairs)) == mask.annex(own, pairs, place)
    return {"annex": shown(mask.annex(own, pairs, place)), "opening": [shown(k) for k in opened]}


def claims(voids: dict[str, int]) -> dict[str, Any]:
    return {"claims": _word(mask.pack_claims({int(k): word for k, word in voids.items()}))}


def masked_cluster(
    updates: list[list[int]],
    self_keys: list[str],
    pair_keys: list[list[str]],
    places: list[int],
    missing: list[int],
    m: int,
    clamp: int,
    step: int,
) -> dict[str, Any]:
    gone, members = sum(1 << j for j in missing), []
    for update, own, pairs, place in zip(updates, map(int, self_keys), pair_keys, places, strict=True):
        keys = [int(k) for k in pairs]
        data = mask.mask(vector.pack_update(update), own, keys, place)
        members.append(cluster.Member(place, data, mask.opening(own, keys, place, gone)))
    total = cluster.unmask(members, gone)
    made = rule.Rule(rule.RuleKind.MEAN, clamp, step)
    model = cluster.apply(made, m, np.zeros(len(updates[0]), dtype=np.int64), [total])
    return {"masked": [shown(x.data) for x in members], "sum": [_word(w) for w in total.words], "model": model.tolist()}


def _word(x: int) -> str:
    return f"0x{x:064x}"


TWINS = {
    "permute": permute,
    "mask_words": mask_words,
    "pair_key": pair_key,
    "annex": annex,
    "claims": claims,
    "cluster": masked_cluster,
    "content_id": content_id,
    "pack_update": pack_update,
    "unpack_update": unpack_update,
    "pack_model": pack_model,
    "seed": seed_of,
    "seats": seats,
    "commitment": commit_hash,
    "combine": combining_rule,
    "pack_weighted": weighted_vector,
    "row_hash": hash_of_row,
    "constants": constants,
    "functions": functions,
    "expiries": expiries,
    "carry": carry,
    "chart": chart,
    "clock": clock,
    "deviation": deviation,
    "quote": quote,
}


@pytest.mark.parametrize("documented", VECTORS, ids=lambda documented: documented["vector"])
def test_vector_is_what_the_code_gives(documented: dict[str, Any]) -> None:
    assert TWINS[documented["vector"]](**documented["given"]) == documented["gives"]


def test_every_encoding_has_a_vector() -> None:
    assert {documented["vector"] for documented in VECTORS} == set(TWINS)


@pytest.mark.parametrize("name", SPECIFIED_IN)
def test_every_event_is_listed_as_the_interface_declares_it(name: str) -> None:
    interface = (ROOT / "contracts" / "interfaces" / f"{name}.sol").read_text(encoding="utf-8")
    events = re.findall(r"^ +(event .*;)$", interface, re.MULTILINE)
    assert events
    assert [event for event in events if event not in PAGE] == []
