"""What `benchmarks.attacks` found, as tables in the terminal and in docs/attacks.md, and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fedvol import console

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
MEASURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "rmse": ("Error: RMSE in vol points", lambda x: f"{x:.{int(x < 99.5)}f}"),
    "put_wing_bias": (
        "Mean error of the put wing, vol points",
        lambda x: f"{x:+.1f}" if abs(x) < 99.5 else f"{x:+.0f}",
    ),
    "outside": ("Quotes outside the market's bid and ask, per cent", lambda x: f"{100 * x:.0f}"),
}
Cells = Sequence[dict[str, Any]]


def grid(cells: Cells, mode: str, measure: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one table: attacks down, rules across, a share after the other in a cell."""
    found = [cell for cell in cells if cell["mode"] == mode]
    rules = list(dict.fromkeys(cell["rule"] for cell in found))
    attacks = list(dict.fromkeys(cell["attack"] for cell in found))
    written = MEASURES[measure][1]

    def text(attack: str, rule: str) -> str:
        at = sorted((c["share"], c[measure]) for c in found if (c["attack"], c["rule"]) == (attack, rule))
        return " / ".join(written(value) for _, value in at) or "–"

    return ["attack", *rules], [[attack, *(text(attack, rule) for rule in rules)] for attack in attacks]


def modes(cells: Cells) -> list[str]:
    return list(dict.fromkeys(cell["mode"] for cell in cells))


def show(cells: Cells) -> None:
    for mode in modes(cells):
        for measure, (title, _) in MEASURES.items():
            header, rows = grid(cells, mode, measure)
            console.table(f"{title}; {mode}; 10 / 20 / 30 / 40% hostile", header, rows)


def table(cells: Cells, page: str) -> str:
    """The page with the tables of these cells between its marks."""
    lines: list[str] = []
    for mode in modes(cells):
        lines += [f"### {mode[0].upper()}{mode[1:]}", ""]
        for measure, (title, _) in MEASURES.items():
            header, rows = grid(cells, mode, measure)
            lines += [f"{title}:", "", f"| {' | '.join(header)} |", "|---" + "|---:" * (len(header) - 1) + "|"]
            lines += [*(f"| {' | '.join(row)} |" for row in rows), ""]
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n{END}{rest.split(END)[1]}"


def draw(cells: Cells, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import LogNorm

    heights = [len({c["attack"] for c in cells if c["mode"] == mode}) for mode in modes(cells)]
    figure, axes = plt.subplots(len(heights), 1, figsize=(12, 13), layout="constrained", height_ratios=heights)
    for axis, mode in zip(axes, modes(cells), strict=True):
        found = {(c["attack"], c["rule"], c["share"]): c["rmse"] for c in cells if c["mode"] == mode}
        attacks = [a for a in dict.fromkeys(key[0] for key in found) if a != "none"]
        rules = list(dict.fromkeys(key[1] for key in found))
        shares = sorted({key[2] for key in found if key[2]})
        columns = [(rule, share) for rule in rules for share in shares]
        values = np.array([[found[attack, rule, share] for rule, share in columns] for attack in attacks])
        image = axis.imshow(values, norm=LogNorm(0.5, 100), cmap="RdYlGn_r", aspect="auto")
        for i, j in np.ndindex(*values.shape):
            axis.text(
                j, i, f"{values[i, j]:.1f}" if values[i, j] < 99.5 else "100+", ha="center", va="center", fontsize=7
            )
        axis.set_yticks(range(len(attacks)), attacks)
        axis.set_xticks(range(len(columns)), [f"{share:.0%}" for _, share in columns], fontsize=7)
        for number, rule in enumerate(rules):
            axis.text(number * len(shares) + 1.5, -0.7, rule, ha="center", va="bottom", fontsize=9)
            axis.axvline(number * len(shares) - 0.5, color="white", linewidth=3)
        axis.set_title(f"{mode}: RMSE in vol points by share of hostile nodes", pad=22, loc="left")
    figure.colorbar(image, ax=axes, shrink=0.4)
    figure.savefig(path, dpi=110)
