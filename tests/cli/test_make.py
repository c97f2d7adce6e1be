"""`make test` is every test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_folder_of_tests_is_in_a_lane() -> None:
    named = set(re.findall(r"tests/(\w+)", (ROOT / "Makefile").read_text())) | {"contracts"}  # `ape test` names its own
    there = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert there <= named, f"name {there - named} in the Makefile"
