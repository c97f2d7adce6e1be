"""Tables of the agreed training, 20 binary places, to the nearest; `circuits/lib/src/tables.nr` has the same."""

from __future__ import annotations

from fedvol.protocol.fixedpoint import ONE, SCALE, exp, mills

PLACES = 20
MILLS_CELL = 15
"""Binary places of a deviation, of its 20, that lie inside a cell of MILLS: cells are 1/32 wide."""
EXP_PLACES = 14
"""Binary places of a power; cells of EXP are 1/16 wide, centred on their entry."""
LEAST_POWER = -14
CELLS = 256


def _rounded(x: int) -> int:
    return x + (1 << SCALE - PLACES - 1) >> SCALE - PLACES


def _left(d: int) -> int:
    """m = 1 - d (1 - Phi(d)) / phi(d) at d = d / 32."""
    return ONE - d * mills(d * ONE // 32) // 32


MILLS = [_rounded(_left(d)) for d in range(CELLS + 1)]
EXP = [_rounded(exp(LEAST_POWER * ONE + (2 * j + 1) * ONE // 32)) for j in range(CELLS)]


def as_noir() -> str:
    """The text of tables.nr."""
    text = "//! Made by `fedvol.protocol.agreed_tables`, which says what they are. 20 binary places.\n"
    for name, values in (("MILLS", MILLS), ("EXP", EXP)):
        lines = [" ".join(f"{value}," for value in values[first : first + 10]) for first in range(0, len(values), 10)]
        text += f"\npub global {name}: [Field; {len(values)}] = [\n    " + "\n    ".join(lines) + "\n];\n"
    return text
