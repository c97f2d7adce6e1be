"""The interfaces that the off-chain package carries are those of the contracts as they are."""

from __future__ import annotations

import pytest
from scripts import abi


@pytest.mark.parametrize("name", abi.NAMES)
def test_abi_snapshot_is_current(name):
    assert (abi.FOLDER / f"{name}.json").read_text() == abi.current(name), "run `make abi` and commit the result"
