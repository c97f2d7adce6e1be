"""How contenders are timed: in turns in one process, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

OURS = "ours"

Spread = list[float]
"""Lower quartile, median, upper quartile."""


def spread(values: Sequence[float], digits: int) -> Spread:
    return [round(value, digits) for value in statistics.quantiles(values, n=4, method="inclusive")]


def figures(times: Mapping[str, Sequence[float]], digits: int = 3) -> dict[str, dict[str, Spread]]:
    """Milliseconds of each contender and, run by run, its multiple of ours."""
    found = {name: {"ms": spread(each, digits)} for name, each in times.items()}
    for name, each in times.items():
        ratios = [theirs / ours for theirs, ours in zip(each, times[OURS], strict=True)]
        found[name]["times_ours"] = spread(ratios, digits)
    return found


def cpu_milliseconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of this process, user and system, and what the call returns."""
    gc.collect()
    start = time.process_time()
    result = run()
    return 1000 * (time.process_time() - start), result


def machine(packages: Sequence[str]) -> dict[str, Any]:
    return {
        "processor": processor(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
