"""Selection networks: a fixed sequence of minima and maxima that adds up the middle of n numbers.

A sorting network makes the same comparisons whatever the numbers are, so each is one vectorised call on whole rows.
What does not change the wanted sum is pruned: sorting 32 numbers takes 382 calls, their median 258.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Comparator(NamedTuple):
    """Puts the smaller of two numbers at `low` and the larger at `high`, low < high, where they are wanted."""

    low: int
    high: int
    low_wanted: bool = True
    high_wanted: bool = True


class Step(NamedTuple):
    """registers[out] = operation(registers[left], registers[right])."""

    operation: np.ufunc
    left: int
    right: int
    out: int


class Program(NamedTuple):
    """Steps on registers: 0 to n - 1 hold the input and are never written, the others are scratch."""

    steps: tuple[Step, ...]
    result: int
    scratch: int


def pairwise_network(n: int) -> list[Comparator]:
    """A network that sorts n numbers; of the regular ones, the one that loses most when pruned.

    Source: Parberry, The Pairwise Sorting Network, Parallel Processing Letters 2, 1992; Codish and Zazon-Ivry,
    Pairwise Cardinality Networks, LPAR 2010, for the pruning.
    """
    network: list[Comparator] = []

    def sort(lines: Sequence[int]) -> None:
        if len(lines) < 2:
            return
        network.extend(Comparator(low, high) for low, high in zip(lines[0::2], lines[1::2], strict=True))
        sort(lines[0::2])
        sort(lines[1::2])
        reach = len(lines) // 2
        while reach > 1:
            reach //= 2
            network.extend(Comparator(lines[i], lines[i + 2 * reach - 1]) for i in range(1, len(lines) - 2 * reach, 2))

    sort(range(1 << (n - 1).bit_length()))
    # Lines from n on would hold +∞, which no comparator moves.
    return [comparator for comparator in network if comparator.high < n]


def pruned(network: Sequence[Comparator], n: int, kept: range) -> list[Comparator]:
    """The comparators, and the halves of them, on which the sum of the sorted numbers in `kept` depends."""
    unused, summed, exact = range(3)
    need = [summed if line in kept else unused for line in range(n)]
    used: list[Comparator] = []
    for low, high, *_ in reversed(network):
        # Exchanging two summands changes no sum.
        if need[low] == need[high] and need[low] != exact:
            continue
        used.append(Comparator(low, high, need[low] != unused, need[high] != unused))
        need[low] = need[high] = exact
    return used[::-1]


@lru_cache(maxsize=128)
def middle_sum(n: int, trim: int) -> Program:
    """The program that adds up n numbers without the `trim` smallest and the `trim` largest, 0 ≤ 2 · trim < n."""
    kept = range(trim, n - trim)
    at = list(range(n))
    free: list[int] = []
    registers = n
    steps: list[Step] = []

    def write(operation: np.ufunc, left: int, right: int, *, spare: Sequence[int]) -> int:
        """Appends a step and returns where its result lies; the operands in `spare` are not read again."""
        nonlocal registers
        reusable = [operand for operand in spare if operand >= n] or free[-1:]
        out = reusable[0] if reusable else registers
        registers = max(registers, out + 1)
        free[:] = [register for register in [*free, *(operand for operand in spare if operand >= n)] if register != out]
        steps.append(Step(operation, left, right, out))
        return out

    for low, high, low_wanted, high_wanted in pruned(pairwise_network(n), n, kept):
        left, right = at[low], at[high]
        if low_wanted:
            at[low] = write(np.minimum, left, right, spare=() if high_wanted else (left, right))
        if high_wanted:
            at[high] = write(np.maximum, left, right, spare=(left, right))
    total = at[kept[0]]
    for line in kept[1:]:
        total = write(np.add, total, at[line], spare=(total, at[line]))
    return Program(tuple(steps), total, registers - n)
