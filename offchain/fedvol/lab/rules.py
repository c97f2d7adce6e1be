"""Combining rules on floats: mean, median, trimmed mean, Krum, and a mean weighted by curvature.

`updates` is n × d, one row an update; float32 stays float32, every other type becomes float64. An update that holds NaN
or an infinity is refused by its row: a mean would be poisoned by it, a median would hide it. The rules go through the
weights in blocks that fit the cache; what they cost is in benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedvol.errors import FedvolError
from fedvol.lab.selection import middle_sum

Floats = NDArray[np.float32] | NDArray[np.float64]

BLOCK = 16_000
"""Weights a block. A power of two would put every row of a block at the same place in the cache."""

PROBE = 2.0**-40
"""Far from overflow and underflow when multiplied: a block times PROBE is finite if, and only if, the block is."""

CANCELLED = 0.01
"""A squared distance below this part of the squared norms it was taken from has lost digits and is taken again."""


def weighted_mean(updates: ArrayLike, weights: ArrayLike) -> Floats:
    """Σ wᵢ·uᵢ / Σ wᵢ, of d weights.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks, arXiv:1602.05629 (FedAvg).

    Args:
        updates: n × d, n ≥ 1.
        weights: n numbers ≥ 0, not all 0; commonly the numbers of rows trained on.

    Raises:
        FedvolError: a non-finite update, a weight that cannot be used, or shapes that do not fit.

    >>> weighted_mean([[0.0, 2.0], [4.0, 6.0]], [3, 1])
    array([1., 3.])
    """
    updates = _rows(updates)
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(updates),):
        raise FedvolError(
            f"{len(updates)} updates came with weights of shape {shares.shape}.", "Give one weight an update."
        )
    for i in np.flatnonzero(~(np.isfinite(shares) & (shares >= 0))):
        raise FedvolError(f"Update {i} has the weight {shares[i]}.", "Weights are finite and not negative.")
    if not shares.any():
        raise FedvolError("All weights are 0.", "Give at least one update a weight.")
    shares = shares / shares.max()
    shares = (shares / shares.sum()).astype(updates.dtype)
    # BLAS may skip a zero and what it multiplies.
    if not np.isfinite(updates[shares == 0]).all():
        _refuse_non_finite(updates)
    return _mean_without_overflow(lambda rows: shares @ rows, updates)


def median(updates: ArrayLike) -> Floats:
    """The median of each weight over the updates; for an even n the mean of the two in the middle, as `numpy.median`.

    Source: Yin et al., Byzantine-Robust Distributed Learning, arXiv:1803.01498.

    Args:
        updates: n × d, n ≥ 1.

    Raises:
        FedvolError: a non-finite update, or no updates.

    >>> median([[1.0, 8.0], [2.0, 9.0], [1e9, -1e9]])
    array([2., 8.])
    """
    updates = _rows(updates)
    return trimmed_mean(updates, (len(updates) - 1) // 2)


def trimmed_mean(updates: ArrayLike, trim: int) -> Floats:
    """The mean of each weight over the updates, without its `trim` smallest and its `trim` largest values.

    Source: Yin et al., Byzantine-Robust Distributed Learning, arXiv:1803.01498.

    Args:
        updates: n × d, n ≥ 1.
        trim: values cut from each end, 0 ≤ 2 · trim < n.

    Raises:
        FedvolError: a non-finite update, no updates, or a trim that leaves nothing.

    >>> trimmed_mean([[1.0], [2.0], [6.0], [1e9]], trim=1)
    array([4.])
    """
    updates = _rows(updates)
    n = len(updates)
    if not 0 <= 2 * trim < n:
        raise FedvolError(f"Cutting {trim} of {n} updates from each end leaves no mean.", "Choose 0 ≤ 2 · trim < n.")
    return _mean_without_overflow(lambda rows: _middle_mean(rows, trim), updates)


def krum(updates: ArrayLike, byzantine: int) -> int:
    """The row of the update with the least sum of squared distances to its n − f − 2 nearest others, f = `byzantine`.

    Squared distances are never negative and keep four digits or more, however large other updates are: where
    ‖a‖² + ‖b‖² − 2a·b cancels, the origin is moved next to a and b.

    Source: Blanchard et al., Machine Learning with Adversaries, arXiv:1703.02757.

    Args:
        updates: n × d, n ≥ 2f + 3.
        byzantine: f ≥ 0, the most updates that may be hostile.

    Returns:
        The row of `updates`; the first of them where several are best.

    Raises:
        FedvolError: a non-finite update, too few updates for f, or float64 updates whose distance overflows.

    >>> krum([[1.0, 1.0], [1.1, 0.9], [0.9, 1.2], [1.0, 1.1], [50.0, -50.0]], byzantine=1)
    3
    """
    updates = _rows(updates)
    n = len(updates)
    if byzantine < 0 or n < 2 * byzantine + 3:
        raise FedvolError(f"Krum cannot withstand {byzantine} of {n} updates.", "Choose f ≥ 0 and n ≥ 2f + 3.")
    distances = _squared_distances(updates)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, : n - byzantine - 2]
    return int(np.argmin(nearest.sum(axis=1)))


def weighted_mean_by(updates: ArrayLike, curvature: ArrayLike) -> Floats:
    """Σ hᵢ·uᵢ / Σ hᵢ for each weight, so that who knows a weight well moves it most; 0 where nobody has curvature.

    Source: Matena and Raffel, Merging Models with Fisher-Weighted Averaging, arXiv:2111.09832.

    Args:
        updates: n × d, n ≥ 1.
        curvature: n × d, ≥ 0; commonly the diagonal of the Fisher information.

    Raises:
        FedvolError: a non-finite update or curvature, a negative curvature, or shapes that do not fit.

    >>> weighted_mean_by([[1.0, 5.0], [3.0, 7.0]], [[3.0, 0.0], [1.0, 0.0]])
    array([1.5, 0. ])
    """
    updates, curvature = _rows(updates), _rows(curvature)
    if updates.shape != curvature.shape:
        raise FedvolError(
            f"Updates of shape {updates.shape} came with curvature of shape {curvature.shape}.",
            "Give one number a weight.",
        )
    n, d = updates.shape
    mean = np.empty(d, updates.dtype)
    work = np.empty((n, min(d, BLOCK)))
    limit = np.finfo(mean.dtype).max
    for block in _blocks(updates):
        u, h = updates[:, block], curvature[:, block]
        if not (_is_finite(u) and _is_finite(h)):
            _refuse_non_finite(updates)
            _refuse_non_finite(curvature, "Curvature")
        if h.min() < 0:
            raise FedvolError(f"Curvature {np.argmin(h.min(axis=1))} is negative.", "Curvature is 0 or more.")
        # Shares add up to 1 before they meet an update, so that nothing overflows but a last rounding.
        shares = np.divide(h, np.maximum(h.max(axis=0), np.finfo(h.dtype).tiny), out=work[:, : h.shape[1]])
        total = shares.sum(axis=0)
        shares /= np.where(total > 0, total, 1)
        shares *= u
        with np.errstate(over="ignore"):
            mean[block] = np.clip(shares.sum(axis=0), -limit, limit)
    return mean


def _rows(updates: ArrayLike) -> Floats:
    rows = np.asarray(updates)
    if rows.dtype != np.float32:
        rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise FedvolError(
            f"Updates of shape {rows.shape} cannot be combined.", "Give n × d numbers, one row an update."
        )
    return rows


def _blocks(updates: Floats) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, updates.shape[1], BLOCK))


def _is_finite(block: Floats) -> bool:
    return bool(np.isfinite(block @ np.full(block.shape[1], PROBE, block.dtype)).all())


def _refuse_non_finite(updates: Floats, what: str = "Update") -> None:
    """Raises for the rows that hold NaN or an infinity; returns when there is none."""
    bad = [i for i, row in enumerate(updates) if not np.isfinite(row).all()]
    if bad:
        column = int(np.argmin(np.isfinite(updates[bad[0]])))
        others = f", and so do {', '.join(map(str, bad[1:]))} elsewhere" if len(bad) > 1 else ""
        raise FedvolError(
            f"{what} {bad[0]} holds {updates[bad[0], column]} at weight {column}{others}.",
            "Leave it out and combine the others.",
        )


def _mean_without_overflow(mean: Callable[[Floats], Floats], updates: Floats) -> Floats:
    """mean(updates); where its sums overflow, 2^k · mean(updates / 2^k), as a mean of finite numbers is finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = mean(updates)
    if np.isfinite(result).all():
        return result
    _refuse_non_finite(updates)
    scale = updates.dtype.type(2.0 ** len(updates).bit_length())
    limit = np.finfo(updates.dtype).max / scale
    return np.clip(mean(updates / scale), -limit, limit) * scale


def _middle_mean(updates: Floats, trim: int) -> Floats:
    n, d = updates.shape
    program = middle_sum(n, trim)
    scratch = np.empty((program.scratch, min(d, BLOCK)), updates.dtype)
    mean = np.empty(d, updates.dtype)
    for block in _blocks(updates):
        rows = updates[:, block]
        if not _is_finite(rows):
            _refuse_non_finite(updates)
        registers = [*rows, *scratch[:, : rows.shape[1]]]
        for operation, left, right, out in program.steps:
            operation(registers[left], registers[right], out=registers[out])
        np.divide(registers[program.result], updates.dtype.type(n - 2 * trim), out=mean[block])
    return mean


def _squared_distances(updates: Floats) -> NDArray[np.float64]:
    """n × n squared distances: all that can be told from 0 as the origin, then from one update after the other."""
    n = len(updates)
    distances = np.zeros((n, n))
    unsettled = ~np.eye(n, dtype=bool)
    near, origin = np.arange(n), None
    while True:
        gram = _gram(updates, near, origin)
        squares = np.diag(gram)
        sums = squares[:, None] + squares
        found = sums - 2 * gram
        # The row of an update that is the origin is always settled, so the loop ends.
        settled = found >= CANCELLED * sums
        pairs = np.ix_(near, near)
        distances[pairs] = np.where(unsettled[pairs] & settled, found, distances[pairs])
        unsettled[pairs] &= ~settled
        if not unsettled.any():
            return distances
        origin = int(unsettled.sum(axis=0).argmax())
        near = np.flatnonzero(unsettled[origin] | (np.arange(n) == origin))


def _gram(updates: Floats, near: NDArray[np.intp], origin: int | None) -> NDArray[np.float64]:
    """(uᵢ − o)·(uⱼ − o) for the rows `near`, summed over blocks in float64; throughout where float32 has no room."""
    rows = slice(None) if len(near) == len(updates) else near
    d = updates.shape[1]
    for dtype in dict.fromkeys((updates.dtype, np.dtype(np.float64))):
        gram = np.zeros((len(near), len(near)))
        with np.errstate(over="ignore", invalid="ignore"):
            for block in _blocks(updates):
                moved = updates[rows, block].astype(dtype, copy=False)
                if origin is not None:
                    moved = moved - updates[origin, block]
                gram += moved @ moved.T
        # One square may be 0, the origin's; two as small as this have lost digits to underflow.
        underflow = d * np.finfo(dtype).tiny / np.finfo(dtype).eps
        if np.isfinite(gram).all() and (dtype == np.float64 or np.sort(np.diag(gram))[1] > underflow):
            return gram
        _refuse_non_finite(updates)
    largest = int(np.abs(updates).max(axis=1).argmax())
    raise FedvolError(f"Update {largest} is too far away: squared distances overflow.", "Leave it out.")
