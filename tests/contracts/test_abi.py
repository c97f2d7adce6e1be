"""What the off-chain package carries of the contracts is what they are."""

from __future__ import annotations

import pytest
from scripts import abi


@pytest.mark.parametrize("file", abi.FILES)
def test_abi_snapshot_is_current(file):
    assert (abi.FOLDER / file).read_text() == abi.current(file), "run `make abi` and commit the result"
