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


def test_the_lines_that_read_a_price_are_those_of_the_tested_contract() -> None:
    source = (ROOT / "contracts" / "examples" / "CoveredCallVault.sol").read_text()
    for page in (README, (ROOT / "docs" / "integrating.md").read_text()):
        lines = re.search(r"```solidity\n(.*?)```", page, re.DOTALL)[1].splitlines()
        assert len(lines) == 3
        assert all(line in source for line in lines)


def test_every_file_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
