"""What the pages say of the peers is what was measured: needs neither Flower nor ByzFL."""

from __future__ import annotations

import json
import re

import pytest
from benchmarks.peers.gas import GAS, OPERATIONS
from benchmarks.peers.pages import PAGES, ROOT, filled, tables
from benchmarks.peers.parts import PARTS, RESULT

MARK = re.compile(r"<!-- peers: (\w+) -->\n(.*?)<!-- / -->", re.DOTALL)
REPORT = json.loads(RESULT.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_those_of_the_figures(page):
    text = page.read_text()
    assert filled(text, tables()) == text, "run `.venv/bin/python -m benchmarks.peers --tables` and commit the pages"


def test_every_table_stands_on_one_page():
    shown = [name for page in PAGES for name, _ in MARK.findall(page.read_text())]
    assert sorted(shown) == sorted(tables())


def test_a_page_shows_the_median_of_the_file():
    """Read here by another way than the tables are made."""
    page = (ROOT / "benchmarks" / "README.md").read_text()
    found = REPORT["rules"]["cpu"]["median"]["Flower"]
    row = next(line for line in page.split("| median | ours |")[1].splitlines() if line.startswith("|  | Flower |"))
    milliseconds, times = (float(cell.split("(")[0]) for cell in row.split("|")[3:5])
    assert milliseconds == pytest.approx(found["ms"][1], rel=0.01)
    assert times == pytest.approx(found["times_ours"][1], rel=0.01)


def test_what_lies_around_a_table_stays():
    page = "a\n<!-- peers: gas -->\n<!-- / -->\nb\n<!-- peers: rules -->\nold\n<!-- / -->\nc\n"
    found = filled(page, tables())
    assert re.findall(r"^(?:a|b|c|old)$", found, re.MULTILINE) == ["a", "b", "c"]
    assert filled(found, tables()) == found


def test_every_part_is_measured_with_its_spread():
    assert list(REPORT) == list(PARTS)
    for name, part in REPORT.items():
        assert part["runs"] == PARTS[name].runs
        assert part["processor"]
        assert part["packages"]
        for contenders in part["cpu"].values():
            assert contenders["ours"]["times_ours"] == [1, 1, 1]
            for found in contenders.values():
                assert found["ms"] == sorted(found["ms"])
                assert found["times_ours"] == sorted(found["times_ours"])


def test_gas_beside_peers_is_that_of_the_snapshot():
    gas = json.loads(GAS.read_text())
    page = (ROOT / "benchmarks" / "README.md").read_text()
    for each in OPERATIONS:
        row = next(line for line in page.splitlines() if line.startswith(f"| {each.peer} |"))
        assert f"| {sum(gas[name] for name in each.ours):,} |" in row
        theirs = int(re.search(r"[\d,]+", each.gas)[0].replace(",", ""))
        assert ("theirs wins" in each.equal) == (theirs < sum(gas[name] for name in each.ours))


def test_what_both_environments_hold_has_one_version():
    locked, wanted = (
        dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "benchmarks/requirements-peers.txt")
    )
    shared = wanted.keys() & locked.keys() - {"scipy"}  # locked twice, by the version of Python
    assert {"numpy", "eth-abi", "rich"} <= shared
    assert {name: wanted[name] for name in shared} == {name: locked[name] for name in shared}
    assert wanted["torch"] == json.loads((ROOT / "package.json").read_text())["fedvol"]["torch"]
