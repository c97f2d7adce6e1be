"""FedVol beside its peers: measures every part, in a process of its own each, rewrites benchmarks/peers.json and the
tables of README.md and benchmarks/README.md, and prints them. `make peers` makes the environment and runs this.

    python -m benchmarks.peers [PART …] [--tables]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from rich.console import Console

from benchmarks.peers.pages import ROOT, rewrite, tables
from benchmarks.peers.parts import ONE_THREAD, PARTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all, or of: {'; '.join(PARTS)}")
    parser.add_argument("--tables", action="store_true", help="measure nothing: tables from what is measured already")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.parts if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are: {'; '.join(PARTS)}")
    console = Console()
    for name in [] if arguments.tables else arguments.parts or PARTS:
        console.print(f"measuring {name} …")
        environment = os.environ | ONE_THREAD | dict(PARTS[name].environment)
        command = [sys.executable, "-m", "benchmarks.peers.part", name]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            sys.exit(f"{name} could not be measured: see above. What was measured before stays.")
    for table in tables().values():
        console.print(table.rich())
    for page in rewrite():
        console.print(f"rewrote the tables of {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
