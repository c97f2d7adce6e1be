"""Where the real tapes are, for tests that use them. They are never part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_beside = Path(os.environ.get("FEDVOL_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REAL = _beside if _beside.is_dir() else None

needs_real_data = pytest.mark.skipif(
    REAL is None, reason="real tapes are not beside this checkout (set FEDVOL_REAL_DATA to their folder)"
)
