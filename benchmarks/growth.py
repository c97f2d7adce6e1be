"""How figures grow with a size: exponents fitted in logarithms, and the table that shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table

FLAT, LINEAR, STEEPER = 0.15, 0.75, 1.25
"""Exponents below which something is called flat, from which linear, and from which more than that."""


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the logarithm of the values over that of the sizes: 0 is flat, 1 linear."""
    if min(values) <= 0 or len(sizes) < 2:
        return 0.0
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth(rows: Sequence[dict[str, float]], over: str) -> dict[str, float]:
    sizes = [row[over] for row in rows]
    return {name: round(exponent(sizes, [row[name] for row in rows]), 2) for name in rows[0] if name != over}


def table(rows: Sequence[dict[str, float]], over: str, grows: dict[str, float]) -> Table:
    view = Table(over, *(f"{row[over]:g}" for row in rows), "exponent", "", title_justify="left")
    for column in view.columns[1:-1]:
        column.justify = "right"
    for name, power in grows.items():
        word = "flat" if power < FLAT else "between" if power < LINEAR else "linear" if power < STEEPER else "steeper"
        style = "red" if power >= LINEAR else "green" if power < FLAT else "yellow"
        view.add_row(name, *(f"{row[name]:,.4g}" for row in rows), f"{power:+.2f}", f"[{style}]{word}[/]")
    return view
