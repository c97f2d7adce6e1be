"""How commands speak: tables for people, JSON for programs, one line for a failure."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console()
err = Console(stderr=True)


def table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """Prints rows as a table; numbers are right-aligned."""
    view = Table(title=title, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        # In a narrow terminal a cell takes more lines: it loses nothing.
        view.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Names may come from a tape, the chain or storage: brackets in them are no markup.
        view.add_row(*(escape(_shown(cell)) for cell in row))
    out.print(view)


def _shown(cell: object) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.2f}" if abs(cell) >= 100 else f"{cell:.4g}"
    return str(cell)


def emit(value: Any) -> None:
    """Prints one JSON document on standard output and nothing else."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
