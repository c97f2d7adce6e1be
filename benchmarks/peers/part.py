"""Measures one part in this process and puts it into peers.json: what `benchmarks.peers` starts for each."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from benchmarks.peers.parts import PARTS, RESULT


def main(name: str) -> None:
    part = PARTS[name]
    found = import_module(f"benchmarks.peers.{part.module}").measure(part.runs)
    report = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    report[name] = found
    RESULT.write_text(json.dumps({each: report[each] for each in PARTS if each in report}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
