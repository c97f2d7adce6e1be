"""What is measured, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

RESULT = Path(__file__).resolve().parent.parent / "peers.json"

ONE_THREAD = {f"{pool}_NUM_THREADS": "1" for pool in ("OMP", "OPENBLAS", "MKL")}
KEPT = {f"MALLOC_{name}_THRESHOLD_": str(1 << 32) for name in ("MMAP", "TRIM")}
"""Tells glibc to keep the memory of large arrays, which it otherwise gives back each time."""


class Part(NamedTuple):
    """A module with `measure(runs)`, and the environment it runs in."""

    module: str
    runs: int
    environment: Mapping[str, str] = MappingProxyType({})


PARTS = {
    "rules": Part("rules", 9, KEPT),
    "rules, memory given back": Part("rules", 9),
    "masking": Part("masking", 31),
    "simulation": Part("simulation", 7),
}
