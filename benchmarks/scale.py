"""Rounds of many participants and many weights: time by part, memory, and how both grow: `python -m benchmarks.scale`.

Writes benchmarks/scale.json and docs/images/scale.png. Each measurement runs in a process of its own. Participants have
about 12 rows in every market; beyond 128 of them vectors are summed in clusters of 8, as the wire's sums hold no more.
Where clusters of 8 do not come out even the last one is void, and its participants only train.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks" / "scale.json"
PICTURE = ROOT / "docs" / "images" / "scale.png"
sys.path.insert(0, str(ROOT))

from benchmarks.growth import growth, table  # noqa: E402

ENGINES = ("in-turn", "processes", "batched", "ray")
MASKED = "batched, masked"
LIMIT_S = 1800


def measure(**what: Any) -> dict[str, float]:
    """`scale_runs.one.measure`, over there."""
    environment = os.environ | {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, "-m", "benchmarks.scale_runs.one", json.dumps(what)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S)
    if done.returncode:
        raise SystemExit(f"{what} failed; what it said stands above.")
    return json.loads(done.stdout.splitlines()[-1])


def series(console: Console, title: str, over: str, sizes: list[int], **what: Any) -> dict[str, Any]:
    rows = []
    with console.status(title):
        for size in sizes:
            rows.append({over: size} | measure(**what | {over: size}))
    grows = growth([{name: row[name] for name in row if name != "start"} for row in rows], over)
    console.print(title)
    console.print(table(rows, over, grows))
    return {"rows": rows, "exponents": grows, "load": round(os.getloadavg()[0], 1)}


def picture(document: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [
        ("participants", "round, CPU", "CPU seconds a round"),
        ("participants", "peak MB", "peak MB, all processes"),
        ("weights", "round, CPU", "CPU seconds a round"),
    ]
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4), layout="constrained")
    for axis, (over, what, label) in zip(axes, panels, strict=True):
        for name, found in document.get(over, {}).items():
            sizes, values = ([row[column] for row in found["rows"]] for column in (over, what))
            axis.loglog(sizes, values, marker="o", label=f"{name} ({found['exponents'][what]:+.2f})")
        axis.set(xlabel=over, ylabel=label)
        axis.grid(alpha=0.3)
        axis.set_ylim(axis.get_ylim()[0] / 6)
        if axis.lines:
            axis.legend(fontsize=8, title="exponent", title_fontsize=8, loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--masked", nargs="*", type=int, default=[10, 100, 1000], help="participants, with masks")
    parser.add_argument("--weights", nargs="*", type=int, default=[98, 196, 490, 980, 1960], help="98 a market")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--at-weights", type=int, default=196, help="while participants vary")
    parser.add_argument("--at-participants", type=int, default=8, help="while weights vary")
    parser.add_argument("--rounds", type=int, default=2, help="the first starts the engine and does not count")
    parser.add_argument("--vmap", nargs="*", type=int, default=[128, 512], help="blocks, beside torch.func.vmap")
    parser.add_argument("--add", action="store_true", help="keep what the file has of others")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    console, began = Console(), time.perf_counter()
    console.width = max(console.width, 110)
    document: dict[str, Any] = (
        json.loads(options.out.read_text()) if options.add else {"participants": {}, "weights": {}}
    )
    document |= {
        "cores": os.cpu_count(),
        "rounds": options.rounds,
        "at weights": options.at_weights,
        "at participants": options.at_participants,
    }
    plain = {"masks": False, "rounds": options.rounds}
    for name in options.engines:
        if options.participants:
            document["participants"][name] = series(
                console, name, "participants", options.participants, name=name, weights=options.at_weights, **plain
            )
        if options.weights:
            document["weights"][name] = series(
                console, name, "weights", options.weights, name=name, participants=options.at_participants, **plain
            )
    if options.masked:
        document["participants"][MASKED] = series(
            console, MASKED, "participants", options.masked,
            name="batched", weights=options.at_weights, masks=True, rounds=1,
        )  # fmt: skip
    if options.vmap:
        from benchmarks.scale_runs.vmapped import compare

        document["vmap"] = [compare(blocks) for blocks in options.vmap]
        console.print(document["vmap"])
    document["seconds"] = round(time.perf_counter() - began, 1)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    picture(document, options.picture)
    console.print(f"wrote {options.out} and {options.picture}")


if __name__ == "__main__":
    main()
