"""The tables, from benchmarks/peers.json and gas.json alone, and the pages that carry them between two marks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table as RichTable

from benchmarks.peers.gas import GAS, gas_rows
from benchmarks.peers.parts import RESULT
from benchmarks.peers.timing import OURS

ROOT = RESULT.parent.parent
PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
STEPS = {
    "pair keys": "pair keys: 7 agreements, 7 hashes",
    "masks": "masks: 8 streams, added",
    "packing": "packing; quantizing",
    "mask": "all that a node does",
    "unmask, nobody dropped": "unmasking, nobody dropped: 8 streams",
    "unmask, 2 dropped": "unmasking, 2 dropped: 6 + 12 streams",
}
RULE_TARGETS = {
    "weighted mean": {"numpy w @ X": 1 / 2},
    "median": {"Flower": 5, "ByzFL, numpy": 5},
    "trimmed mean": {"Flower": 5, "ByzFL, numpy": 1.5},
    "Krum": {"Flower": 3, "ByzFL, numpy": 5},
}
"""How many times as long as ours each must take, at least."""
MASK_TARGETS = {"mask": 150, "unmask, nobody dropped": 150, "unmask, 2 dropped": 150}
"""CPU milliseconds of ours, at most."""


class Table(NamedTuple):
    title: str
    header: list[str]
    rows: list[list[str]]
    numbers: range
    """Columns that are set to the right."""

    def markdown(self) -> str:
        rule = ["---:" if column in self.numbers else "---" for column in range(len(self.header))]
        lines = ["| " + " | ".join(row) + " |" for row in (self.header, *self.rows)]
        return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])

    def rich(self) -> RichTable:
        out = RichTable(*self.header, title=self.title, title_justify="left")
        for column in self.numbers:
            out.columns[column].justify = "right"
        for row in self.rows:
            out.add_row(*(cell.replace("`", "").replace("**", "") for cell in row))
        return out


def tables() -> dict[str, Table]:
    """Every table by the name that its marks carry."""
    report, gas = json.loads(RESULT.read_text()), json.loads(GAS.read_text())
    return {
        "rules": _rules(report["rules"]),
        "masking": _masking(report["masking"]),
        "simulation": _simulation(report["simulation"]),
        "gas": Table("gas", ["operation", "gas there", "ours", "gas", "equal?"], gas_rows(gas), range(3, 4)),
        "summary": _summary(report),
    }


def rewrite() -> list[Path]:
    """Puts the tables into the pages; returns those that changed."""
    found = tables()
    changed = []
    for page in PAGES:
        before = page.read_text()
        after = filled(before, found)
        if after != before:
            page.write_text(after)
            changed.append(page)
    return changed


def filled(page: str, found: dict[str, Table]) -> str:
    """A page with what lies between `<!-- peers: NAME -->` and `<!-- / -->` made anew."""
    return re.sub(
        r"(<!-- peers: (\w+) -->\n).*?(<!-- / -->)",
        lambda match: f"{match[1]}\n{found[match[2]].markdown()}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


def number(value: float) -> str:
    """Three figures, and no fewer than stand before the point."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f}"


def with_spread(quartiles: list[float]) -> str:
    low, middle, high = quartiles
    return f"{number(middle)} ({number(low)}–{number(high)})"


def _rules(part: dict[str, Any]) -> Table:
    rows = []
    for rule, contenders in part["cpu"].items():
        for who, found in contenders.items():
            target, ratio = RULE_TARGETS[rule].get(who), found["times_ours"]
            verdict = ["", ""] if target is None else [f"≥ {target:g}", "met" if ratio[1] >= target else "missed"]
            times = "" if who == OURS else with_spread(ratio)
            rows.append([rule if who == OURS else "", who, with_spread(found["ms"]), times, *verdict])
    return Table("aggregation", ["rule", "", "CPU ms", "times ours", "target", ""], rows, range(2, 5))


def _masking(part: dict[str, Any]) -> Table:
    rows = []
    for step, who in part["cpu"].items():
        ours, theirs, target = who[OURS], who.get("Flower"), MASK_TARGETS.get(step)
        verdict = ["", ""] if target is None else [f"≤ {target}", "met" if ours["ms"][1] <= target else "missed"]
        beside = [with_spread(theirs["ms"]), with_spread(theirs["times_ours"])] if theirs else ["", ""]
        rows.append([STEPS.get(step, step), with_spread(ours["ms"]), *beside, *verdict])
    header = ["step", "ours, CPU ms", "Flower, CPU ms", "times ours", "target for ours", ""]
    return Table("secure aggregation", header, rows, range(1, 5))


def _simulation(part: dict[str, Any]) -> Table:
    rows = []
    for name, contenders in part["cpu"].items():
        for who, found in contenders.items():
            times = "" if who == OURS else with_spread(found["times_ours"])
            wall = with_spread(part["wall"][name][who]["ms"])
            rows.append([name if who == OURS else "", who, with_spread(found["ms"]), times, wall])
    return Table("simulation, a desk and round", ["", "", "CPU ms", "times ours", "wall ms"], rows, range(2, 5))


def _summary(report: dict[str, Any]) -> Table:
    """One line each, with each peer's fastest way that users are offered."""
    rows = []
    size = f"{report['rules']['updates']} × {report['rules']['weights']:,}"
    for rule, who in report["rules"]["cpu"].items():
        # ByzFL's mean takes no weights.
        byzfl = min((who["ByzFL, numpy"], who["ByzFL, torch"]), key=lambda found: found["ms"][1])
        flower = min((who["Flower"], who["Flower, old API"]), key=lambda found: found["ms"][1])
        rows.append([f"{rule}, {size}", _ms(who[OURS]), _beside(flower), _beside(byzfl)])
    masking = report["masking"]["cpu"]
    for step, label in (("mask", "a node's masks, cluster of 8"), ("unmask, 2 dropped", "unmasking, 2 of 8 dropped")):
        rows.append([label, _ms(masking[step][OURS]), _beside(masking[step]["Flower"]), "–"])
    for name, who in report["simulation"]["cpu"].items():
        row = [_ms(who[OURS]), _beside(who["Flower, Ray"]), _beside(who["ByzFL"])]
        rows.append([f"a simulated desk's round, {name}", *row])
    return Table("CPU ms, times ours", ["CPU ms", OURS, "Flower", "ByzFL"], rows, range(1, 4))


def _ms(found: dict[str, list[float]]) -> str:
    return number(found["ms"][1])


def _beside(found: dict[str, list[float]]) -> str:
    return f"{_ms(found)} ({number(found['times_ours'][1])}×)"
