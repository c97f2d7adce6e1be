"""What a node costs, and how that grows with nodes, members and rounds: `python -m benchmarks.load`.

Writes each part into benchmarks/load.json when it is done. `--parts`, `--nodes`, `--rounds`, `--members` and
`--history` choose sizes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "load.json"
sys.path.insert(0, str(ROOT))

from benchmarks.growth import growth, table  # noqa: E402
from benchmarks.load_runs import history, members, nodes  # noqa: E402
from benchmarks.load_runs.node import quiet  # noqa: E402

WIDTH = 110
PARTS = ("nodes", "members", "history")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--nodes", nargs="+", type=int, default=[12, 48, 200], help="real nodes")
    parser.add_argument("--rounds", type=int, default=20, help="of the most nodes")
    parser.add_argument("--members", nargs="+", type=int, default=[10, 50, 200, 1000], help="for selection")
    parser.add_argument("--history", nargs="+", type=int, default=[10, 100, 1000], help="rounds that have been")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "load", help="working folder")
    options = parser.parse_args()
    quiet()
    console = Console()
    console.width = max(console.width, WIDTH)
    shutil.rmtree(options.home, ignore_errors=True)
    document: dict[str, object] = json.loads(options.out.read_text()) if options.out.exists() else {}
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        for part in options.parts:
            runs: dict[str, tuple[str, Sequence[int], Iterable[dict[str, float]]]] = {
                "nodes": (
                    "nodes", options.nodes, nodes.run(options.home / "nodes", options.nodes, options.rounds, progress)
                ),
                "members": ("members", options.members, members.run(options.home / "members", options.members)),
                "history": ("rounds", options.history, history.run(options.home / "history", options.history)),
            }  # fmt: skip
            over, sizes, rows = runs[part]
            began, found = time.perf_counter(), []
            for row in progress.track(rows, total=len(sizes), description=part):
                found.append(row)
            grows = growth(found, over)
            document[part] = {"rows": found, "exponents": grows, "seconds": round(time.perf_counter() - began, 1)}
            options.out.write_text(json.dumps(document, indent=1) + "\n")
            console.print(table(found, over, grows))
    console.print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
