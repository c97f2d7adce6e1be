"""What the lab's commands share: options on which tape is cut how, threads, and reports that are written whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Tape = Annotated[Path, typer.Option(help="A file or folder of quotes or trades, in any format that a node reads.")]
By = Annotated[str, typer.Option(help="Its column that names each row's desk.")]
Nodes = Annotated[
    int | None,
    typer.Option(min=2, help="Nodes, as many as desks by default; above that a desk's rows are dealt among several."),
]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds a snapshot.")]
Hours = Annotated[float, typer.Option(min=0.1, help="How long a snapshot of a stream of trades lasts.")]


def one_thread() -> None:
    """Keeps numpy, before it is imported, from taking a core for each thread: processes share the cores already."""
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def write_whole(path: Path, text: str) -> None:
    """Writes a file, or leaves what was there."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
