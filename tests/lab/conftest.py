"""The tape of the lab's tests, whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedvol.market.synthetic import generate, write_parquet


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "tape.parquet"
    write_parquet(generate(seed=4, hours=48, snapshots=8), path)
    return path
