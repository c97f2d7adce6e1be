"""Masking and unmasking beside Flower's SecAgg+: CPU time of one thread."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.timing import OURS, cpu_milliseconds, figures, machine
from fedvol.protocol import grumpkin
from fedvol.protocol.poseidon2 import FIELD, mask_words, permute, sponge
from fedvol.protocol.vector import pack_update

NODES, DROPPED, WEIGHTS = 8, 2, 512
WORDS = WEIGHTS // 8
CLIP, LEVELS, MODULUS = 8.0, 1 << 22, 1 << 32
"""Flower's defaults."""

Step = Callable[[], object]


def ours() -> dict[str, Step]:
    """What a node and the one who unmasks compute, on the real sizes."""
    source = random.Random(7)
    secret = source.randrange(1, grumpkin.ORDER)
    peers = [grumpkin.public_key(source.randrange(1, grumpkin.ORDER)) for _ in range(NODES - 1)]
    keys = [source.randrange(FIELD) for _ in range(NODES + DROPPED * (NODES - DROPPED))]
    update = np.random.default_rng(7).integers(-(1 << 20), 1 << 20, WEIGHTS)

    def packed() -> list[int]:
        data = pack_update(update)
        return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]

    def pair_keys() -> list[int]:
        return [sponge([grumpkin.shared_x(secret, peer)])[0] for peer in peers]

    def masked(vector: list[int], masks: list[int]) -> list[int]:
        for i, key in enumerate(masks):
            sign = 1 if i % 2 else -1
            vector = [(v + sign * w) % FIELD for v, w in zip(vector, mask_words(key, WORDS), strict=True)]
        return vector

    plain = packed()
    survivors = NODES - DROPPED
    return {
        "one permutation": lambda: permute((0, 1, 2, 3)),
        "one key agreement": lambda: grumpkin.shared_x(secret, peers[0]),
        "pair keys": pair_keys,
        "masks": lambda: masked(plain, keys[:NODES]),
        "packing": packed,
        "mask": lambda: masked(packed(), [*pair_keys(), keys[0]]),
        "unmask, nobody dropped": lambda: masked(plain, keys[:NODES]),
        "unmask, 2 dropped": lambda: masked(plain, keys[: survivors + DROPPED * survivors]),
    }


def flower() -> dict[str, Step]:
    """The same steps as flwr's client mod and workflow take them; Shamir's shares, which we have none of, left out."""
    from flwr.common.secure_aggregation import ndarrays_arithmetic as arithmetic
    from flwr.common.secure_aggregation import quantization
    from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
    from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
    from flwr.supercore.primitives import asymmetric

    pairs = [asymmetric.generate_key_pairs() for _ in range(NODES)]
    secrets = [asymmetric.private_key_to_bytes(secret) for secret, _ in pairs]
    publics = [asymmetric.public_key_to_bytes(public) for _, public in pairs]
    update = [np.random.default_rng(7).normal(0, 1, WEIGHTS)]
    seeds = [os.urandom(32) for _ in range(NODES)]

    def agreed(secret: bytes, public: bytes) -> bytes:
        return generate_shared_key(asymmetric.bytes_to_private_key(secret), asymmetric.bytes_to_public_key(public))

    def quantized() -> list[np.ndarray]:
        return arithmetic.factor_combine(1, quantization.quantize(update, CLIP, LEVELS))

    def pair_keys() -> list[bytes]:
        return [agreed(secrets[0], public) for public in publics[1:]]

    def masked(vector: list[np.ndarray], masks: list[bytes]) -> list[np.ndarray]:
        shapes = arithmetic.get_parameters_shape(vector)
        for i, seed in enumerate(masks):
            operation = arithmetic.parameters_addition if i % 2 else arithmetic.parameters_subtraction
            vector = operation(vector, pseudo_rand_gen(seed, MODULUS, shapes))
        return arithmetic.parameters_mod(vector, MODULUS)

    def unmasked(dropped: int) -> list[np.ndarray]:
        # The server gets a dropped node's secret key, and itself agrees on its keys with all others.
        keys = [agreed(secrets[i], public) for i in range(dropped) for j, public in enumerate(publics) if j != i]
        _, vector = arithmetic.factor_extract(masked(plain, seeds[dropped:] + keys))
        return quantization.dequantize(vector, CLIP, LEVELS)

    plain = quantized()
    return {
        "one key agreement": lambda: agreed(secrets[0], publics[1]),
        "pair keys": pair_keys,
        "masks": lambda: masked(plain, seeds),
        "packing": quantized,
        "mask": lambda: masked(quantized(), [*pair_keys(), seeds[0]]),
        "unmask, nobody dropped": lambda: unmasked(0),
        "unmask, 2 dropped": lambda: unmasked(DROPPED),
    }


def measure(runs: int) -> dict[str, Any]:
    """CPU milliseconds of each step, ours and Flower's in turns."""
    steps = {OURS: ours(), "Flower": flower()}
    found = {}
    for name in steps[OURS]:
        contenders = {who: each[name] for who, each in steps.items() if name in each}
        times: dict[str, list[float]] = {who: [] for who in contenders}
        for step in contenders.values():
            step()
        for _ in range(runs):
            for who, step in contenders.items():
                times[who].append(cpu_milliseconds(step)[0])
        found[name] = figures(times)
    return {
        **machine(("flwr", "numpy", "cryptography")),
        "nodes": NODES,
        "dropped": DROPPED,
        "weights": WEIGHTS,
        "runs": runs,
        "cpu": found,
    }
