"""What the README states is what the repository holds."""

from __future__ import annotations

import json
import re

from scripts._localnet import ROOT

README = (ROOT / "README.md").read_text()


def test_gas_figures_are_those_of_the_snapshot() -> None:
    gas = json.loads((ROOT / "benchmarks" / "gas.json").read_text())
    shown = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", README, re.MULTILINE)
    assert len(shown) >= 10
    assert {name: int(number.replace(",", "")) for name, number in shown} == {name: gas[name] for name, _ in shown}


def test_the_ten_lines_are_the_tested_contract() -> None:
    source = (ROOT / "contracts" / "examples" / "QuoteReader.sol").read_text()
    assert source.split("pragma solidity ^0.8.30;\n\n", 1)[1].rstrip() in README


def test_every_file_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
